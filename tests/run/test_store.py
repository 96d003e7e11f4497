"""The commit protocol: whatever moment a process dies at, OUT holds the old result or the new one, whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.core.schemas import CLIPS, FACES, FINGERPRINT_KEY, FRAMES, UNIT_TABLES
from cityguessr_data.run.assemble import assemble, is_stale
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import video_table


def stage(store: Store, video_id: str, mark: str, n_clips: int) -> Path:
    """A staged video whose every file tells `mark`."""
    folder = store.new_staging(video_id)
    clip_rows, frame_rows = [], []
    (folder / "clips").mkdir(parents=True)
    (folder / "parts").mkdir()
    for i in range(n_clips):
        clip_id = f"{video_id}_{i:05d}"
        (folder / "clips" / clip_id).mkdir()
        (folder / "clips" / clip_id / "001.jpg").write_text(mark)
        row = dict.fromkeys(CLIPS.names) | {
            "clip_id": clip_id, "video_id": video_id, "clip_index": i, "width": 1, "height": 1, "city": mark,
            "state": "s", "country": "c", "continent": "k", "n_sampled": 1, "frames_uri": f"clips/{video_id}/{clip_id}",
            "fingerprint": mark, "n_faces": 0,
        }  # fmt: skip
        clip_rows.append(row)
        path = f"clips/{video_id}/{clip_id}/001.jpg"
        frame_rows.append(
            dict.fromkeys(FRAMES.names) | {"clip_id": clip_id, "position": 0, "path": path, "sha256": mark}
        )
    video = {"video_id": video_id, "url": "u", "n_clips": n_clips, "status": "done", "title": mark}
    tables = {
        "clips": pa.Table.from_pylist(clip_rows, CLIPS),
        "frames": pa.Table.from_pylist(frame_rows, FRAMES),
        "faces": FACES.empty_table(),
        "videos": video_table(dict.fromkeys(("n_frames",)) | video),
    }
    for name, table in tables.items():
        marked = table.replace_schema_metadata({FINGERPRINT_KEY: mark.encode()})
        pq.write_table(marked, folder / "parts" / f"{name}.parquet")
    return folder


def held(store: Store, video_id: str) -> str | None:
    """Which result OUT holds of a video, by its commit; fails where the result is not whole."""
    if video_id not in store.committed():
        return None
    mark = store.committed()[video_id].fingerprint
    clips = pq.read_table(store.part("clips", video_id)).to_pylist()
    frames = pq.read_table(store.part("frames", video_id)).to_pylist()
    assert {row["city"] for row in clips} <= {mark}
    assert [row["clip_id"] for row in clips] == [row["clip_id"] for row in frames]
    for row in frames:
        assert (store.out / row["path"]).read_text() == mark == row["sha256"]
    folders = {p.name for p in (store.out / "clips" / video_id).glob("*")}
    assert folders == {row["clip_id"] for row in clips}
    assert pq.read_table(store.part("videos", video_id)).to_pylist()[0]["title"] == mark
    return mark


class Killed(BaseException):
    """Stands in for kill -9: nothing catches it."""


@contextlib.contextmanager
def dying_after(n_operations: int) -> Iterator[list[str]]:
    """Every change of the file system goes through here and the n-th does not happen."""
    done: list[str] = []

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if len(done) == n_operations:
                raise Killed
            done.append(getattr(function, "__name__", str(function)))
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr(os, "replace", counted(os.replace))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        yield done


@pytest.mark.parametrize("clips_of_new", [3, 0])
def test_a_redo_killed_at_any_operation_leaves_the_old_or_the_new_result_whole(
    tmp_path: Path, clips_of_new: int
) -> None:
    outcomes = []
    for n in range(100):
        store = Store(tmp_path / f"out{n}")
        store.commit("v", stage(store, "v", "old", 2))
        staging = stage(store, "v", "new", clips_of_new)
        try:
            with dying_after(n):
                store.commit("v", staging)
        except Killed:
            pass
        else:
            break
        mark_seen_by_readers = held(store, "v")
        assert mark_seen_by_readers in ("old", None, "new")
        for m in range(100):  # the recovery may be killed too
            try:
                with dying_after(m):
                    store.recover()
            except Killed:
                continue
            break
        mark = held(store, "v")
        assert mark in ("old", "new"), f"lost after {n} operations"
        outcomes.append(mark)
        assert not list((store.work / "staging").glob("*"))
        assert not list((store.work / "ready").glob("*"))
    assert outcomes[0] == "old"
    assert outcomes[-1] == "new"
    assert sorted(outcomes, reverse=True) == outcomes  # one moment decides


def test_a_first_commit_killed_before_it_is_decided_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    staging = stage(store, "v", "new", 1)
    with contextlib.suppress(Killed), dying_after(1):
        store.commit("v", staging)
    store.recover()
    assert held(store, "v") is None
    assert not list(tmp_path.rglob("*.jpg"))


def test_manifests_hold_committed_videos_only_and_follow_the_parts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit("b", stage(store, "b", "one", 2))
    store.commit("a", stage(store, "a", "one", 1))
    stage(store, "c", "unfinished", 4)
    assert is_stale(store)
    assert assemble(store)["clips"] == 3
    assert not is_stale(store)
    clips = pq.read_table(tmp_path / "manifests" / "clips.parquet")
    assert clips["clip_id"].to_pylist() == ["a_00000", "b_00000", "b_00001"]
    assert clips.schema.metadata == CLIPS.metadata
    store.commit("a", stage(store, "a", "two", 2))
    assert is_stale(store)
    assert assemble(store)["frames"] == 4


def test_passed_through_columns_of_any_video_reach_the_videos_manifest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for video_id, extra in [("a", {"camera": "hand"}), ("b", {}), ("c", {"note": "x"})]:
        folder = stage(store, video_id, "m", 0)
        row = {"video_id": video_id, "url": "u", "n_clips": 0, "status": "done", **extra}
        pq.write_table(video_table(row), folder / "parts" / "videos.parquet")
        store.commit(video_id, folder)
    assemble(store)
    videos = pq.read_table(tmp_path / "manifests" / "videos.parquet").to_pydict()
    assert videos["camera"] == ["hand", None, None]
    assert videos["note"] == [None, None, "x"]


def test_a_second_writer_is_refused_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from cityguessr_data.run.store import Store\n"
        "with Store(Path(sys.argv[1])).locked(): print('in', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline() == b"in\n"
    with pytest.raises(InputError, match="another run"), Store(tmp_path).locked():
        pass
    other.kill()
    other.wait()
    other.stdout.close()
    with Store(tmp_path).locked():
        pass


def test_an_unwritable_place_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"), Store(tmp_path / "file" / "out").locked():
        pass


def test_every_table_has_its_parts_in_the_order_of_the_commit() -> None:
    assert UNIT_TABLES[-1] == "clips"
    assert set(UNIT_TABLES) == {"videos", "clips", "frames", "faces"}
