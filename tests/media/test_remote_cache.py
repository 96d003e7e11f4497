"""The source cache on an object store: sent when whole, found elsewhere, checked when fetched, released when done."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import fsspec
import pytest

from cityguessr_data.core.remote.place import folder_of
from cityguessr_data.media.source_cache import SourceCache
from tests.support_remote import Killed, clear_memory, memory_store

LINK = "https://example.org/v"
VIDEO = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def memory() -> None:
    clear_memory()


def cache(root: Path, monkeypatch: pytest.MonkeyPatch) -> SourceCache:
    monkeypatch.setenv("CGTOOL_WORK", str(root))
    return SourceCache(folder_of("memory://bucket/cache"))


def download(at: SourceCache, content: bytes = VIDEO, link: str = LINK) -> None:
    path = at.partial("v") / "v.mp4"
    path.write_bytes(content)
    at.keep("v", link, path, {"title": "t"})


def stored() -> dict[str, bytes]:
    fs = fsspec.filesystem("memory")
    return {name.removeprefix("/bucket/cache/"): fs.cat_file(name) for name in fs.find("/bucket/cache")}


def test_a_source_is_found_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory_store(monkeypatch) as log:
        download(cache(tmp_path / "a", monkeypatch))
        assert log == [f"put_file bucket/cache/sources/v.{ending}" for ending in ("mp4", "json")]
        assert stored()["sources/v.mp4"] == VIDEO
        other = cache(tmp_path / "b", monkeypatch)
        assert other.holds("v", LINK)
        assert not list(other.root.rglob("*.mp4")), "to know that it is there is not to fetch it"
        found = other.find("v", LINK)
        assert found is not None
        assert found.path.read_bytes() == VIDEO
        assert (found.sha256, found.title) == (hashlib.sha256(VIDEO).hexdigest(), "t")
        assert other.find("v", "https://example.org/another") is None
        assert other.find("w", LINK) is None


def test_local_copies_go_when_their_video_is_done_and_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_store(monkeypatch) as log:
        ours = cache(tmp_path / "a", monkeypatch)
        download(ours)
        ours.release("v")
        assert not list((ours.root / "sources").iterdir())
        assert ours.find("v", LINK) is not None
        assert len(log) == 2, "what is there is not sent again"


def test_an_upload_that_a_kill_cut_off_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for die_at in (1, 2):
        clear_memory()
        root = tmp_path / str(die_at)
        with memory_store(monkeypatch, die_at), pytest.raises(Killed):
            download(cache(root, monkeypatch))
        with memory_store(monkeypatch):
            assert cache(tmp_path / f"other{die_at}", monkeypatch).find("v", LINK) is None
            ours = cache(root, monkeypatch)
            ours.release("v")
            assert ours.find("v", LINK) is not None, "what was not sent is not released, and not downloaded again"
            assert set(stored()) == {"sources/v.mp4", "sources/v.json"}


def test_other_bytes_than_noted_are_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory_store(monkeypatch):
        download(cache(tmp_path / "a", monkeypatch))
        fsspec.filesystem("memory").pipe_file("/bucket/cache/sources/v.mp4", VIDEO[:-1] + b"?")
        other = cache(tmp_path / "b", monkeypatch)
        assert other.find("v", LINK) is None
        assert not list(other.root.rglob("*.mp4"))
        download(other)
        assert stored()["sources/v.mp4"] == VIDEO, "it takes the place of the damaged one"
        assert cache(tmp_path / "c", monkeypatch).find("v", LINK) is not None


def test_dropping_goes_note_first_and_touches_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory_store(monkeypatch) as log:
        ours = cache(tmp_path / "a", monkeypatch)
        download(ours)
        for name in ("sources/v2.mp4", "sources/v2.json"):
            fsspec.filesystem("memory").pipe_file(f"/bucket/cache/{name}", json.dumps({}).encode())
        log.clear()
        ours.drop("v")
        assert log == [f"rm_file bucket/cache/sources/v.{ending}" for ending in ("json", "mp4")]
        assert set(stored()) == {"sources/v2.mp4", "sources/v2.json"}
        assert ours.find("v", LINK) is None
