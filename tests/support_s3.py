"""A real S3 server on loopback (moto's), which can be told to misbehave and counts what it is asked.

The faults are made where the request comes in, before moto sees it: an answer of 503 or 500, a connection that is reset
in the middle of an upload, a process that is killed before its n-th request that writes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

BUCKET = "bucket"
_WRITES = ("PUT", "POST", "DELETE")
_ANSWERS = {
    "slow-down": ("503 Slow Down", "SlowDown"),
    "error": ("500 Error", "InternalError"),
    "denied": ("403 Forbidden", "AccessDenied"),
    "no-upload": ("404 Not Found", "NoSuchUpload"),
}

Answer = Iterable[bytes]


@dataclass
class Request:
    """One request, as the server saw it."""

    method: str
    key: str
    """Without the bucket; empty for what is asked of the bucket, such as a listing."""
    query: dict[str, list[str]]
    number: int
    """From 1, of all since the server was told `reset`."""
    n_write: int
    """From 1, of those that write; 0 for one that only reads."""

    @property
    def kind(self) -> str:
        """What it is, for counting."""
        if self.method == "POST":
            return "DELETE many" if "delete" in self.query else "POST (parts)"
        if self.method == "GET" and not self.key:
            return "LIST uploads" if "uploads" in self.query else "LIST"
        return self.method


@dataclass
class S3:
    """The server. `fault` is asked about every request and may name a fault: see `faulty`."""

    port: int = 0
    log: list[Request] = field(default_factory=list)
    fault: Callable[[Request], str | None] = lambda _request: None
    victim: int = 0
    """The process that the fault `kill` kills."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, name: str = "sets/one") -> str:
        return f"s3://{BUCKET}/{name}"

    def env(self, work: Path, **more: str) -> dict[str, str]:
        """Variables for a process that uses this server, with a folder for its working copies."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "very-secret-key", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "CGTOOL_WORK": str(work), **more,
        }  # fmt: skip

    def reset(self, fault: Callable[[Request], str | None] = lambda _request: None, victim: int = 0) -> None:
        """Forget the log, and take another fault."""
        with self._lock:
            self.log, self.fault, self.victim = [], fault, victim

    def counts(self) -> Counter[str]:
        """Requests since `reset`, by kind."""
        return Counter(request.kind for request in self.log)

    @property
    def n_writes(self) -> int:
        return sum(request.n_write > 0 for request in self.log)

    def client(self) -> Any:
        """boto3's: a witness of what lies there that shares no code with ours."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{self.port}", aws_access_key_id="x", aws_secret_access_key="y",
            region_name="us-east-1",
        )  # fmt: skip

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Everything in the bucket below a prefix, read by boto3."""
        client = self.client()
        found = {}
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            for one in page.get("Contents", ()):
                found[one["Key"]] = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
        return found

    def clear(self) -> None:
        """Empty the bucket."""
        self.reset()
        client = self.client()
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            if keys := [{"Key": one["Key"]} for one in page.get("Contents", ())]:
                client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
        for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()):
            client.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])
        self.reset()

    def _noted(self, environ: dict[str, Any]) -> Request:
        path = unquote(environ["PATH_INFO"]).lstrip("/")
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        with self._lock:
            writes = environ["REQUEST_METHOD"] in _WRITES
            number = len(self.log) + 1
            n_write = self.n_writes + 1 if writes else 0
            self.log.append(Request(environ["REQUEST_METHOD"], path.partition("/")[2], query, number, n_write))
            return self.log[-1]


def faulty(server: S3, app: Callable[..., Answer]) -> Callable[..., Answer]:
    """`app` with the faults of `server`.

    slow-down, error, denied, no-upload: 503, 500, 403 and 404 as S3 answers them. reset: half the body is read, then
    the connection is reset. lost: the request is carried out, and the connection is reset in place of an answer. kill:
    the victim is killed, and the request is never carried out.
    """

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        fault = server.fault(server._noted(environ))
        if fault is None:
            return app(environ, start)
        if fault == "kill":
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.victim, signal.SIGKILL)
            fault = "reset"
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if fault in ("reset", "lost"):
            if fault == "lost":
                list(app(environ, lambda *_: lambda _: None))
            else:
                environ["wsgi.input"].read(length // 2)
            connection: socket.socket = environ["werkzeug.socket"]
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(connection.detach())  # close() would wait for the files made of it
            return []
        environ["wsgi.input"].read(length)
        status, code = _ANSWERS[fault]
        body = f"<Error><Code>{code}</Code><Message>Please reduce your request rate.</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


@contextlib.contextmanager
def s3_server() -> Iterator[S3]:
    """A server with one bucket, until the end of the block."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, type: str, message: str, *args: Any) -> None:
            pass

    server = S3()
    app = faulty(server, DomainDispatcherApplication(create_backend_app))
    listening = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        server.client().create_bucket(Bucket=BUCKET)
        server.reset()
        yield server
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
