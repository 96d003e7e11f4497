"""No step of a run costs more per video because there are many: operations are counted, no clock is asked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import ErrorClass
from cityguessr_data.core.schemas import CLIPS, FINGERPRINT_KEY
from cityguessr_data.core.types import Place, SourceRow, VideoTask
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.planning import plan_tasks
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.executor import WorkItem
from cityguessr_data.run.ledger import record_attempt
from cityguessr_data.run.parts import Parts
from cityguessr_data.run.runner import find_todo
from cityguessr_data.run.stage import Step
from cityguessr_data.run.store import Store, read_part
from cityguessr_data.status import read_status
from tests.support_operations import operations, parts_opened

PLACE = Place("Tokyo", "Tokyo", "Japan", "Asia")


def item(number: int) -> WorkItem:
    video_id = f"v{number:03d}"
    return WorkItem(VideoTask(video_id, f"/films/{video_id}.mp4", (row(number),)), f"f{number}")


def row(number: int) -> SourceRow:
    return SourceRow(number + 2, f"/films/v{number:03d}.mp4", PLACE, f"v{number:03d}", None, None)


def stage(store: Store, work: WorkItem, n_clips: int = 1) -> Path:
    """A staged video: a folder with a file, and a row or some of each table."""
    folder, video_id = store.new_staging(work.task.video_id), work.task.video_id
    parts = Parts(folder, {FINGERPRINT_KEY: work.fingerprint.encode()})
    clips = []
    for index in range(n_clips):
        clip_id = f"{video_id}_{index:05d}"
        (folder / "clips" / clip_id).mkdir()
        (folder / "clips" / clip_id / "001.jpg").write_text("x")
        parts.add([{"clip_id": clip_id, "position": 0, "path": f"clips/{video_id}/{clip_id}/001.jpg"}], [])
        texts = dict.fromkeys(("city", "state", "country", "continent", "frames_uri"), "x")
        numbers = dict.fromkeys(("clip_index", "width", "height", "n_sampled"), 1)
        clips.append({"clip_id": clip_id, "video_id": video_id, "fingerprint": work.fingerprint, **texts, **numbers})
    parts.close(clips, {"video_id": video_id, "url": work.task.url, "n_clips": n_clips, "status": "done"})
    return folder


def of_parts(opened: Counter[str]) -> dict[str, int]:
    """Without the few files that are one for all videos."""
    return {path: times for path, times in opened.items() if "parts/" in path}


def attempt(store: Store, work: WorkItem, error_class: ErrorClass | None = None) -> None:
    status = "failed" if error_class else "done"
    steps = [
        Step("download", "done", datetime.now(UTC), 0.1),
        Step("clip", status, datetime.now(UTC), 0.1, error_class),
    ]
    record_attempt(store, work.task.video_id, work.fingerprint, steps)


def commit(store: Store, work: WorkItem, n_clips: int = 1) -> None:
    """As the runner does it."""
    staging = stage(store, work, n_clips)
    attempt(store, work)
    store.commit(work.task.video_id, staging)


def data_set(out: Path, n_videos: int, n_clips: int = 1) -> Store:
    store = Store(out)
    for number in range(n_videos):
        commit(store, item(number), n_clips)
    store.write_dataset({"config": {}})
    return store


def test_a_commit_does_the_same_however_many_are_committed(tmp_path: Path) -> None:
    store, costs = Store(tmp_path), {}
    for number in range(20):
        staging = stage(store, item(number))
        with operations() as done, parts_opened(tmp_path) as opened:
            attempt(store, item(number))
            store.commit(item(number).task.video_id, staging)
        costs[number] = done + opened
    assert costs[2] == costs[19]
    assert costs[2]["open"] > 0


def test_of_what_is_done_the_commit_alone_is_opened(tmp_path: Path) -> None:
    """And of the others their own attempts: a run that finds thousands done is soon at work."""
    store = data_set(tmp_path, 6)
    attempt(store, item(6), ErrorClass.NETWORK)
    attempt(store, item(7), ErrorClass.REMOVED)
    with parts_opened(tmp_path) as opened:
        todo = find_todo(store, [item(number) for number in range(9)], retry_failed=False)
    assert todo.done == tuple(f"v{number:03d}" for number in range(6))
    assert [failure.video_id for failure in (*todo.retryable, *todo.gone)] == ["v006", "v007"]
    assert todo.missing == (item(8),)
    commits = {f"parts/clips/v{number:03d}.parquet": 1 for number in range(6)}
    assert of_parts(opened) == commits | {f"parts/attempts/v{number:03d}.parquet": 1 for number in (6, 7)}


def test_a_failure_of_what_was_asked_before_is_none_of_today(tmp_path: Path) -> None:
    store = data_set(tmp_path, 1)
    again = WorkItem(item(0).task, "changed")
    assert find_todo(store, [again], retry_failed=False).missing == (again,)
    attempt(store, again, ErrorClass.REMOVED)
    assert [failure.video_id for failure in find_todo(store, [again], retry_failed=False).gone] == ["v000"]
    assert find_todo(store, [item(0)], retry_failed=False).done == ("v000",)


def test_a_plan_asks_for_each_fingerprint_once_and_opens_no_part(tmp_path: Path) -> None:
    store, asked = data_set(tmp_path / "out", 4), []

    def fingerprint_of(task: VideoTask) -> str:
        asked.append(task.video_id)
        return f"of {task.video_id}"

    downloader = Downloader(DownloadConfig(cache=tmp_path / "cache"))
    with parts_opened(tmp_path) as opened:
        plan = plan_tasks(store, [row(n) for n in range(9)], downloader, fingerprint_of, retry_failed=False)
    assert sorted(asked) == [f"v{number:03d}" for number in range(9)]
    assert [(one.task.video_id, one.fingerprint) for one in plan.items] == [(v, f"of {v}") for v in sorted(asked)]
    assert not of_parts(opened)


@pytest.mark.parametrize("n_videos", [2, 5])
def test_manifests_and_status_open_each_part_at_most_twice(tmp_path: Path, n_videos: int) -> None:
    store = data_set(tmp_path, n_videos)
    for step, per_video in ((read_status, 2), (lambda _: assemble(store), 3), (read_status, 0)):
        with parts_opened(tmp_path) as opened:
            step(tmp_path)
        parts = of_parts(opened)
        assert len(parts) == n_videos * per_video if per_video < 3 else len(parts) >= n_videos * per_video
        assert max(opened.values()) <= 2


def test_row_groups_are_filled_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 4 rows, groups of 10 or more: 12, 12, and the 4 that are left."""
    store = data_set(tmp_path, 7, n_clips=4)
    monkeypatch.setattr("cityguessr_data.run.manifests.GROUP_ROWS", 10)
    assert assemble(store)["clips"] == 28
    with pq.ParquetFile(tmp_path / "manifests" / "clips.parquet") as manifest:
        assert [manifest.metadata.row_group(i).num_rows for i in range(manifest.num_row_groups)] == [12, 12, 4]
        assert manifest.schema_arrow.equals(CLIPS)
        assert manifest.schema_arrow.metadata == CLIPS.metadata


def test_a_part_is_read_as_other_readers_read_it(tmp_path: Path) -> None:
    store = data_set(tmp_path, 1, n_clips=3)
    for table in ("videos", "clips", "frames", "faces", "attempts"):
        path = store.part(table, "v000")
        assert read_part(path).equals(pq.read_table(path), check_metadata=True)
    some = read_part(store.part("clips", "v000"), ["n_sampled", "city"])
    assert some.to_pydict() == {"n_sampled": [1, 1, 1], "city": ["x", "x", "x"]}
    assert isinstance(some, pa.Table)


def test_a_part_holds_all_rows_in_groups_of_some_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """7 clips of 4 frames, groups of 10 or more: 12, 12, and the 4 that are left."""
    monkeypatch.setattr("cityguessr_data.run.parts._GROUP_ROWS", 10)
    (tmp_path / "staging").mkdir()
    parts = Parts(tmp_path / "staging", {})
    for clip in range(7):
        parts.add([{"clip_id": f"c{clip}", "position": i, "path": f"{clip}/{i}"} for i in range(4)], [])
    parts.close([], None)
    with pq.ParquetFile(parts.folder / "frames.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [12, 12, 4]
        rows = file.read().to_pylist()
    assert [row["path"] for row in rows] == [f"{clip}/{i}" for clip in range(7) for i in range(4)]
    assert pq.read_metadata(parts.folder / "faces.parquet").num_rows == 0
