"""What the right to write and commits meet on a real S3 server: answers that are late or lost, files that are lost."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, StopError
from cityguessr_data.core.remote import tries
from cityguessr_data.core.remote.objects import Remote
from cityguessr_data.core.remote.place import folder_of
from cityguessr_data.media.source_cache import SourceCache
from cityguessr_data.run.remote import lock
from cityguessr_data.run.remote.lock import Lease
from cityguessr_data.run.store import Store
from tests.support_remote import stage, whole_videos
from tests.support_s3 import BUCKET, S3, Request, s3_server

CLIPS = "sets/one/parts/clips/v.parquet"


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="s3:// urls need `pip install s3fs`")
    pytest.importorskip("moto.server", reason="the S3 server needs `pip install 'moto[s3,server]'`")
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    server.clear()
    for name, value in server.env(tmp_path / "work", AWS_MAX_ATTEMPTS="2").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tries, "_WAIT_S", 0.01)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    return server


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_writer_that_was_stopped_while_it_asked_does_not_ask_again(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    """Between a request that fails and the next one of the same object it sleeps, and another takes over."""
    monkeypatch.setenv("CGTOOL_PART_MB", "5")
    (tmp_path / "file").write_bytes(os.urandom((11 << 20) if in_parts else 100))
    slept = []

    def follow(request: Request) -> str | None:
        wanted = request.query.get("partNumber") == ["2"] if in_parts else request.key == CLIPS
        if not wanted or slept:
            return None
        slept.append(request)
        s3.client().put_object(Bucket=BUCKET, Key="sets/one/.cgtool/lock/00000002.json", Body=b"{}")
        now_s = lock._now_s()
        monkeypatch.setattr(lock, "_now_s", lambda: now_s + 1000)
        return "slow-down"

    held = Lease(Remote(s3.url()), "a")
    held.acquire()
    held.stop()  # as all that sleeps
    remote = Remote(s3.url(), held.check)
    s3.reset(follow)
    with pytest.raises(StopError, match="taken over"):
        remote.put("parts/clips/v.parquet", tmp_path / "file")
    assert slept
    again = [request for request in s3.log[slept[0].number :] if request.key == CLIPS and request.method == "PUT"]
    assert [request for request in again if request.query.get("partNumber") in (None, ["2"])] == []
    assert CLIPS not in s3.objects()


def test_a_run_does_not_refuse_itself_where_the_answer_to_its_lock_is_lost(s3: S3) -> None:
    lost = []

    def lose(request: Request) -> str | None:
        if "/lock/0" not in request.key or request.method != "PUT" or lost:
            return None
        lost.append(request)
        return "lost"

    s3.reset(lose)
    held = Lease(Remote(s3.url()), "a")
    assert held.acquire() is False
    assert len(lost) == 1
    with pytest.raises(InputError, match="another run"):
        Lease(Remote(s3.url()), "b").acquire()
    held.release()


def test_what_a_redone_video_lacks_there_is_sent_and_nothing_else(s3: S3) -> None:
    """Its rows are the same, so they cannot tell that a file was lost or damaged."""
    store = Store(folder_of(s3.url()))
    with store.locked():
        store.commit("v", stage(store, "v", "m", 2))
    as_sent = s3.objects("sets/one/clips/")
    first, second, *_ = sorted(as_sent)
    s3.client().delete_object(Bucket=BUCKET, Key=first)
    s3.client().put_object(Bucket=BUCKET, Key=second, Body=as_sent[second][:-1] + b"?")
    with store.locked():
        s3.reset()
        store.commit("v", stage(store, "v", "m", 2))
    assert s3.objects("sets/one/clips/") == as_sent
    sent = {request.key.partition("/ready/v/")[2] for request in s3.log if request.method == "PUT"}
    assert {name for name in sent if name.endswith(".jpg")} == {
        key.removeprefix("sets/one/") for key in (first, second)
    }  # fmt: skip


@pytest.mark.parametrize("how", ["lost", "damaged", "whole"])
def test_a_tar_that_a_redone_video_lacks_there_is_sent(s3: S3, tmp_path: Path, how: str) -> None:
    store, name, work = Store(folder_of(s3.url())), "sets/one/clips/v.tar", tmp_path / "work"
    with store.locked():
        store.commit("v", in_tar(stage(store, "v", "m", 2)))
    as_sent = s3.objects("sets/one/clips/")
    assert set(as_sent) == {name}
    if how == "lost":
        s3.client().delete_object(Bucket=BUCKET, Key=name)
    if how == "damaged":
        s3.client().put_object(Bucket=BUCKET, Key=name, Body=b"x")
    with store.locked():
        s3.reset()
        store.commit("v", in_tar(stage(store, "v", "m", 2)))
    assert any(request.key.endswith("v.tar") and request.n_write for request in s3.log) is (how != "whole")
    assert s3.objects("sets/one/clips/") == as_sent
    assert len(whole_videos(store)["v"][1]) == 2
    assert list(work.rglob("*.tar")), "which was brought here"
    with store.locked():
        store.commit("v", in_tar(stage(store, "v", "another", 1)))
    assert not list(work.rglob("*.tar")), "it may show what was taken out"


def test_an_upload_to_the_cache_that_a_kill_cut_off_is_ended_by_the_next_of_that_video(s3: S3, tmp_path: Path) -> None:
    for name in ("v.mp4", "v2.mp4"):
        s3.client().create_multipart_upload(Bucket=BUCKET, Key=f"cache/sources/{name}")
    cache = SourceCache(folder_of("s3://bucket/cache"))
    path = cache.partial("v") / "v.mp4"
    path.write_bytes(b"\x00\x00\x00\x18ftypmp42")
    cache.keep("v", "https://example.org/v", path, {})
    left = [one["Key"] for one in s3.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]]
    assert left == ["cache/sources/v2.mp4"]


def in_tar(staged: Path) -> Path:
    """A staged video with its frames in a tar, as --layout tar has them."""
    with tarfile.open(staged / "clips.tar", "w") as tar:
        for path in sorted((staged / "clips").rglob("*.jpg")):
            info = tarfile.TarInfo(f"{path.parent.name}.{path.name}")
            info.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(info, content)
            path.unlink()
        for folder in (*(staged / "clips").iterdir(), staged / "clips"):
            folder.rmdir()
    part = staged / "parts" / "frames.parquet"
    table = pq.read_table(part)
    names = [path.split("/", 2)[2].replace("/", ".") for path in table["path"].to_pylist()]
    at = table.schema.get_field_index("path")
    pq.write_table(table.set_column(at, table.schema.field(at), [[f"clips/v.tar#{name}" for name in names]]), part)
    return staged
