"""What lies where on an object store: no cache in a data set, nothing there that has no place, nothing left out."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from cityguessr_data.build_config import BuildConfig
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.remote.objects import Entry, Remote
from cityguessr_data.core.remote.place import folder_of, place_of
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.media.source_cache import SourceCache
from cityguessr_data.run.kept_sources import KeptSources
from cityguessr_data.run.store import Store
from cityguessr_data.status import drop_cache, read_status
from cityguessr_data.verify.findings import Findings
from cityguessr_data.verify.stored import StoredFrames
from tests.support_remote import clear_memory, machine, memory_store, stage

VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(1000)
LINK = "https://example.org/v"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clear_memory()
    monkeypatch.setenv("CGTOOL_WORK", str(tmp_path / "work"))
    with memory_store(monkeypatch):
        yield


def put(name: str, content: bytes = b"x") -> None:
    fsspec.filesystem("memory").pipe_file(f"/{name}", content)


def folder(url: str) -> Path:
    place = place_of(url)
    assert isinstance(place, str)
    return folder_of(place)


def build(out: Path, cache: Path) -> BuildConfig:
    return BuildConfig(sources=Path("sources.csv"), out=out, download=DownloadConfig(cache=cache))


@pytest.mark.parametrize("other", ["s3a", "S3"])
@pytest.mark.parametrize(
    ("out", "cache"), [("b/al/one", "b/al/one/cache"), ("b/cache/one", "b/cache"), ("b/al", "b/al")]
)
def test_a_cache_in_a_data_set_is_known_by_any_spelling(other: str, out: str, cache: str) -> None:
    pytest.importorskip("s3fs", reason="s3:// urls need `pip install s3fs`")
    for ours, theirs in (("s3", other), (other, "s3")):
        with pytest.raises(InputError, match="unblurred"):
            build(folder(f"{ours}://{out}"), folder(f"{theirs}://{cache}"))


@pytest.mark.parametrize("mark", ["dataset.json", ".cgtool/lock/00000001.json"])
@pytest.mark.parametrize("cache", ["memory://b/al/two", "memory://b/al/two/clips", "memory://b/al/two/x/y"])
def test_a_cache_in_another_data_set_is_refused(mark: str, cache: str) -> None:
    put(f"b/al/two/{mark}")
    with pytest.raises(InputError, match="al/two lie in one another"):
        build(folder("memory://b/al/one"), folder(cache))
    with pytest.raises(InputError, match="al/two lie in one another"):
        build(Path("local"), folder(cache))


def test_a_data_set_in_another_cache_is_refused(tmp_path: Path) -> None:
    keep(folder("memory://b/cache"), tmp_path)
    for out in ("memory://b/cache", "memory://b/cache/one", "memory://b/cache/sources"):
        with pytest.raises(InputError, match="b/cache and the output directory"):
            build(folder(out), folder("memory://b/elsewhere"))


def test_neighbours_are_no_reason_to_refuse(tmp_path: Path) -> None:
    keep(folder("memory://b/al/cache"), tmp_path)
    for name in ("b/al/two/dataset.json", "b/al/one/dataset.json", "b/al/sources/list.csv", "b/sources/a.json"):
        put(name, b"{}")
    build(folder("memory://b/al/one"), folder("memory://b/al/cache"))


def test_what_lies_anywhere_there_and_has_no_place_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = machine(tmp_path, monkeypatch)
    with store.locked():
        store.commit("v", stage(store, "v", "m", 1))
        store.write_dataset({"id": "x"})
    strays = {"raw.mp4", "parts/frames/zz.jpg", "clips/ghost/001.jpg", ".cgtool/staging/x/1.jpg", "clips/v/b.jpg"}
    for name in strays:
        put(f"bucket/set/{name}")
    put("bucket/set2/other.mp4")
    findings = Findings()
    stored = StoredFrames(store, findings)
    stored.end({"v"})
    assert {fault.where for fault in findings.faults} == strays - {"clips/v/b.jpg"}, "which the check of v tells"
    assert all(fault.mend == "person" and fault.hint for fault in findings.faults)


def test_names_of_millions_of_frames_are_kept_in_some_bytes_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_units, n_frames = 20, 1000

    def pages(_: Remote) -> Iterator[dict[str, Entry]]:
        for unit in range(n_units):
            names = (f"clips/v{unit:05d}/v{unit:05d}_{i // 16:05d}/{i % 16 + 1:03d}.jpg" for i in range(n_frames))
            yield {name: Entry(100_000, "d41d8cd98f00b204e9800998ecf8427e", None) for name in names}

    store, findings = machine(tmp_path, monkeypatch), Findings()
    assert store.copy is not None
    monkeypatch.setattr(Remote, "pages", pages)
    tracemalloc.start()
    stored = StoredFrames(store, findings)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / (n_units * n_frames) < 15
    assert peak < kept + 2000 * n_frames, "a page at a time"
    stored.end(())
    assert findings.n_faults["orphans"] == n_units * n_frames


def keep(cache: Path, root: Path) -> SourceCache:
    at = SourceCache(cache)
    path = at.partial("v") / "v.mp4"
    path.write_bytes(VIDEO)
    at.keep("v", LINK, path, {})
    return at


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A data set whose last build asked for a video that lies in the cache of `keep`."""
    store, cache = Store(tmp_path / "out"), "memory://bucket/cache"
    store.write_dataset({"id": "x"})
    cached = {"fetched": ["v"], "videos": ["v"], "folders": [cache]}
    store.write_plan({"out": str(store.out.resolve()), "cache": cache, "cached": cached, "videos": []})
    return store.out


def test_a_source_is_counted_once_wherever_it_lies(tmp_path: Path, out: Path) -> None:
    cache = keep(folder("memory://bucket/cache"), tmp_path)
    stored = fsspec.filesystem("memory").du("/bucket/cache")
    assert stored > len(VIDEO)
    assert read_status(out).cache_bytes == stored, "here and there"
    cache.release("v")
    assert read_status(out).cache_bytes == stored, "there alone"
    assert cache.find("v", LINK) is not None
    dropped = drop_cache(out)
    assert (dropped.files, dropped.bytes) == (2, stored)
    assert not fsspec.filesystem("memory").find("/bucket/cache")


def test_a_source_that_was_brought_here_to_be_compared_is_let_go(tmp_path: Path, out: Path) -> None:
    cache = keep(folder("memory://bucket/cache"), tmp_path)
    sha256 = hashlib.sha256(VIDEO).hexdigest()
    for was_here in (True, False):
        if not was_here:
            cache.release("v")
        sources = KeptSources(Store(out))
        path = sources.find("v", LINK, sha256)
        assert isinstance(path, Path)
        assert path.is_file()
        sources.let_go()
        assert path.is_file() is was_here
