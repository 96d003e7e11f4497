"""What S3 can do and fsspec's common ways hide: listings page by page, what an object is called once it is written, and
uploads in parts whose every request is asked for by itself, so that each is tried again and guarded as any other.
"""

from __future__ import annotations

import math
import mimetypes
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..environment import number_told
from ..errors import StopError

_USUAL_PART_MB = 50
_LEAST_PART_MB = 5
_MOST_PARTS = 10_000
_LARGEST_COPY_BYTES = 5 << 30
_UPLOADS = 3
"""Times that an upload in parts is begun, where somebody else ended it."""


class Ask(Protocol):
    """Makes a request, and makes it again where that may help (Remote._ask, Remote._write)."""

    def __call__(self, what: str, ask: Callable[[], Any]) -> Any: ...


SideBySide = Callable[[Sequence[Callable[[], Any]]], list[Any]]


def is_s3(fs: Any) -> bool:
    """Whether it speaks S3."""
    return hasattr(fs, "call_s3")


def part_bytes() -> int:
    """How big the parts of an upload are: $CGTOOL_PART_MB, or 50 MB. What is twice as big goes in parts.

    Raises:
        InputError: it is no number of 5 or more, which is what S3 takes.
    """
    return int(number_told("CGTOOL_PART_MB", _USUAL_PART_MB, _LEAST_PART_MB) * (1 << 20))


def pages(fs: Any, ask: Ask, what: str, path: str, *, deep: bool) -> Iterator[Sequence[Mapping[str, Any]]]:
    """What a listing says of the objects whose paths start so: Key, Size, ETag, LastModified; a thousand a page."""
    bucket, _, start = path.partition("/")
    more: dict[str, Any] = {} if deep else {"Delimiter": "/"}
    while True:
        said = ask(what, partial(fs.call_s3, "list_objects_v2", Bucket=bucket, Prefix=start, **more))
        yield said.get("Contents", ())
        if not said.get("IsTruncated"):
            return
        more["ContinuationToken"] = said["NextContinuationToken"]


def put(fs: Any, ask: Ask, what: str, path: str, source: Path, side_by_side: SideBySide) -> str:
    """Write an object from a file. Returns its ETag."""
    bucket, _, key = path.partition("/")
    size, usual = source.stat().st_size, part_bytes()
    kind = mimetypes.guess_type(source.name)[0]
    named = {"Bucket": bucket, "Key": key}
    typed = named | ({"ContentType": kind} if kind else {})
    if size < 2 * usual:
        return token(ask(what, lambda: fs.call_s3("put_object", Body=source.read_bytes(), **typed)))
    step = max(usual, math.ceil(size / _MOST_PARTS))

    def send(number: int, upload: str) -> dict[str, Any]:
        def part() -> Any:
            with source.open("rb") as stream:
                stream.seek((number - 1) * step)
                body = stream.read(step)
            return fs.call_s3("upload_part", PartNumber=number, UploadId=upload, Body=body, **named)

        return {"PartNumber": number, "ETag": ask(what, part)["ETag"]}

    for _ in range(_UPLOADS):
        upload = ask(what, partial(fs.call_s3, "create_multipart_upload", **typed))["UploadId"]
        try:
            numbers = range(1, math.ceil(size / step) + 1)
            parts = side_by_side([partial(send, number, upload) for number in numbers])
            whole = {"UploadId": upload, "MultipartUpload": {"Parts": parts}}
            return token(ask(what, partial(fs.call_s3, "complete_multipart_upload", **named, **whole)))
        except FileNotFoundError:  # another took it for left behind, or its end was not heard of
            source.stat()
        except BaseException:
            with suppress(Exception):  # asked once: the next run ends what is left
                fs.call_s3("abort_multipart_upload", UploadId=upload, **named)
            raise
    raise StopError(f"s3://{path}: the store does not {what}: its upload is ended by others", "Try again later")


def copy(fs: Any, source: str, target: str, size: int | None) -> str:
    """Copy an object within the store. Returns the ETag of the new one, or nothing where it is not told.

    Args:
        size: in bytes, where that is known: above 5 GiB it is copied in parts.
    """
    if size is None or size > _LARGEST_COPY_BYTES:
        fs.cp_file(source, target)
        return ""
    (bucket, _, key), (to_bucket, _, to_key) = source.partition("/"), target.partition("/")
    origin = {"Bucket": bucket, "Key": key}
    said = fs.call_s3("copy_object", CopySource=origin, Bucket=to_bucket, Key=to_key)
    return token(said.get("CopyObjectResult", {}))


def delete(fs: Any, paths: Sequence[str]) -> None:
    """Delete up to a thousand objects of one bucket. s3fs's own way keeps errors of single ones to itself."""
    bucket = paths[0].partition("/")[0]
    keys = [{"Key": path.partition("/")[2]} for path in paths]
    said = fs.call_s3("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
    if said.get("Errors"):
        raise OSError(f"{len(said['Errors'])} objects were not deleted: {said['Errors'][0].get('Code')}")


def uploads(fs: Any, ask: Ask, path: str) -> list[tuple[str, str]]:
    """(path, upload) of every upload in parts that is not ended, of objects whose paths start so."""
    bucket, _, start = path.partition("/")
    found: list[tuple[str, str]] = []
    more: dict[str, Any] = {}
    while True:
        request = partial(fs.call_s3, "list_multipart_uploads", Bucket=bucket, Prefix=start, **more)
        said = ask("list unfinished uploads", request)
        found += [(f"{bucket}/{one['Key']}", one["UploadId"]) for one in said.get("Uploads", ())]
        if not said.get("IsTruncated"):
            return found
        more = {"KeyMarker": said["NextKeyMarker"], "UploadIdMarker": said.get("NextUploadIdMarker", "")}


def end_upload(fs: Any, path: str, upload: str) -> None:
    """End one of them; its parts are deleted."""
    bucket, _, key = path.partition("/")
    fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)


def token(said: Mapping[str, Any]) -> str:
    """The ETag that an answer tells."""
    return str(said.get("ETag", "")).strip('"')
