"""`cgtool status` and `cgtool cache drop` on output directories that are written directly, and on two real builds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cgtool.summary import show_status
from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.errors import ErrorClass, InputError
from cityguessr_data.core.schemas import CLIPS, FINGERPRINT_KEY
from cityguessr_data.core.words import n_of
from cityguessr_data.run.ledger import record_attempt
from cityguessr_data.run.stage import Step
from cityguessr_data.run.store import Store
from cityguessr_data.status import drop_cache, read_status
from tests.support_build import SHORT, cgtool, result_of, write_sources
from tests.support_video import numbered_video


def commit(out: Path, video_id: str, fingerprint: str, status: str = "done", reason: str | None = None) -> None:
    """The parts of a committed video that the status reads: one clip of 5 frames with 2 faces."""
    store = Store(out)
    few = pa.schema([CLIPS.field(name) for name in ("n_sampled", "n_faces", "blur")])
    clips = pa.Table.from_pylist([{"n_sampled": 5, "n_faces": 2, "blur": "paper"}], few)
    write_table(store.part("videos", video_id), pa.table({"status": [status], "reason": [reason]}))
    for table in ("frames", "faces"):
        write_table(store.part(table, video_id), pa.table({}))
    write_table(store.part("clips", video_id), clips.replace_schema_metadata({FINGERPRINT_KEY: fingerprint.encode()}))


def fail(out: Path, video_id: str, fingerprint: str, error_class: ErrorClass) -> None:
    from datetime import UTC, datetime

    step = Step("download", "failed", datetime.now(UTC), 0.1, error_class, f"{video_id} did not work")
    record_attempt(Store(out), video_id, fingerprint, [step])


def data_set(out: Path, wanted: dict[str, str], **cached: list[str]) -> Path:
    """An output directory whose last run asked for `wanted`: id -> fingerprint. Its cache is <out>.cache."""
    cache = str(out.with_name(out.name + ".cache").resolve())
    videos = [{"video_id": v, "url": f"https://example.org/{v}.mp4", "fingerprint": f} for v, f in wanted.items()]
    defaults = {"folders": [cache], "fetched": list(wanted), "videos": list(wanted)}
    plan = {"out": str(out.resolve()), "cache": cache, "links": {}, "videos": videos, "cached": defaults | cached}
    Store(out).write_dataset({"config": {}})
    Store(out).write_plan(plan)
    return out


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x" * 100)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_an_outdated_result_is_not_done(tmp_path: Path) -> None:
    names = ("same", "untried", "broken", "removed", "stale_failure", "new")
    out = data_set(tmp_path / "out", dict.fromkeys(names, "new"))
    commit(out, "same", "new")
    for name in ("untried", "broken", "removed", "stale_failure"):
        commit(out, name, "old")
    fail(out, "broken", "new", ErrorClass.NETWORK)
    fail(out, "removed", "new", ErrorClass.REMOVED)
    fail(out, "stale_failure", "other", ErrorClass.NETWORK)  # of a request that is neither the old nor the new one
    status = read_status(out)
    assert (status.asked, status.done, status.outdated, status.pending) == (6, 1, 4, 3)
    assert [(f.video_id, f.message) for f in status.retryable] == [("broken", "broken did not work")]
    assert [f.video_id for f in status.gone] == ["removed"]
    assert status.clips == 5


def test_videos_that_were_not_asked_for_stand_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data_set(tmp_path / "out", {"a": "1", "b": "1", "c": "1"})
    commit(out, "a", "1")
    commit(out, "b", "1", "dropped", "too-short: 10 frames")
    for name in ("x", "y", "z"):
        commit(out, name, "1")
    commit(out, "w", "1", "dropped", "too-short: 10 frames")
    status = read_status(out)
    assert (status.asked, status.done, status.dropped, status.extra) == (3, 1, {"too-short": 1}, 4)
    assert status.asked == status.done + sum(status.dropped.values()) + status.pending
    show_status(status, as_json=False)
    shown = capsys.readouterr().out
    assert "1 done of 3, 1 dropped (1 too-short), 1 pending\n" in " ".join(shown.split(" ")).replace(" \n", "\n")
    assert "4 videos that the last table did not name" in shown


@pytest.mark.parametrize("damage", ["{", "[1, 2]", ""])
def test_a_damaged_plan_is_named_with_its_remedy(tmp_path: Path, damage: str) -> None:
    out = data_set(tmp_path / "out", {"a": "1"})
    (out / ".cgtool" / "plan.json").write_text(damage)
    for command in (read_status, drop_cache):
        with pytest.raises(InputError, match=r"plan\.json is damaged.*Delete it") as caught:
            command(out)
        assert caught.value.exit_code == 2


def test_drop_takes_what_is_its_own_and_status_counts_exactly_that(tmp_path: Path) -> None:
    out = data_set(tmp_path / "out", {"a": "1", "b_2": "1"}, fetched=["a"], videos=["a", "b_2"])
    cache = tmp_path / "out.cache"
    own = (
        "sources/a.mp4", "sources/a.json", "sources/.a.json.tmp", "partial/a/x/part", "partial/a/y",
        "clips/a_00000.mp4", "clips/b_2_00001.mp4", "clips/.a_00002.cutting/000.mp4",
    )  # fmt: skip
    foreign = (
        "sources/other.mp4", "sources/a/mine.mp4", "partial/other/y", "clips/other_00000.mp4", "clips/b_00000.mp4",
        "sources/b_2.mp4", "clips/a_film.mp4", "served/film.mp4", "mine/deep/note.txt",
    )  # fmt: skip
    fill(cache, *own, *foreign)
    (cache / "mine" / "empty").mkdir()
    (cache / "partial" / "another").mkdir()
    assert read_status(out).cache_bytes == 100 * len(own)
    dropped = drop_cache(out)
    assert (dropped.files, dropped.bytes) == (len(own), 100 * len(own))
    assert files(cache) == set(foreign)
    assert (cache / "mine" / "empty").is_dir()
    assert (cache / "partial" / "another").is_dir()
    assert not (cache / "partial" / "a").exists()
    assert not (cache / "clips" / ".a_00002.cutting").exists()
    assert read_status(out).cache_bytes == 0
    assert drop_cache(out).files == 0  # forgotten


def test_an_emptied_cache_goes_itself(tmp_path: Path) -> None:
    out = data_set(tmp_path / "out", {"a": "1"})
    fill(tmp_path / "out.cache", "sources/a.mp4")
    drop_cache(out)
    assert not (tmp_path / "out.cache").exists()


def test_the_videos_of_the_demo_go_whole(tmp_path: Path) -> None:
    out = data_set(tmp_path / "out", {"a": "1"})
    served = tmp_path / "out.cache" / "served"
    fill(served, "a.mp4", "sources.csv")
    assert read_status(out).cache_bytes == 0
    (served / "videos.json").write_text(json.dumps([["a.mp4", "Tokyo"]]))
    assert read_status(out).cache_bytes == 200 + (served / "videos.json").stat().st_size
    assert drop_cache(out).files == 3
    assert not served.exists()


def test_a_copy_does_not_drop_the_cache_of_its_original(tmp_path: Path) -> None:
    out = data_set(tmp_path / "out", {"a": "1"})
    cache = tmp_path / "out.cache"
    fill(cache, "sources/a.mp4")
    copy = shutil.copytree(out, tmp_path / "copy")
    assert read_status(copy).cache_bytes == 0
    done = cgtool("cache", "drop", copy)
    assert done.returncode == 2
    assert "copied or moved" in done.stderr
    assert "--cache" in done.stderr
    assert files(cache) == {"sources/a.mp4"}
    for wrong in (copy, copy / "clips", tmp_path / "absent"):
        with pytest.raises(InputError):
            drop_cache(copy, wrong)
    assert result_of(cgtool("cache", "drop", copy, "--cache", cache, "--json")) == {
        "caches": [str(cache)], "files": 1, "bytes": 100,
    }  # fmt: skip


def test_nothing_of_earlier_tables_and_caches_is_forgotten(tmp_path: Path, detector_weights: Path) -> None:
    """Two tables, two caches, then a copy that builds on: the copy must not inherit the caches of its original."""
    out, first, second = tmp_path / "out", tmp_path / "first", tmp_path / "second"
    for name, cache in (("a", first), ("b", second)):
        numbered_video(tmp_path / f"{name}.mp4", 25)
        table = write_sources(tmp_path / "sources.csv", [{"url": f"{name}.mp4", "city": "Tokyo"}])
        done = cgtool("build-dataset", table, "--out", out, "--cache", cache, "--keep-clips", *SHORT)
        assert done.returncode == 0, done.stderr
    assert "1 video, 1 clip, 5 frames" in done.stdout
    assert "scenes" in done.stdout
    status = result_of(cgtool("status", out, "--json"))
    assert (status["asked"], status["done"], status["extra"], status["outdated"]) == (1, 1, 1, 0)
    on_disk = sum(p.stat().st_size for folder in (first, second) for p in folder.rglob("*.mp4"))
    assert status["cache_bytes"] == on_disk > 0

    copy = shutil.copytree(out, tmp_path / "copy")
    again = cgtool("build-dataset", tmp_path / "sources.csv", "--out", copy, "--keep-clips", *SHORT)
    assert again.returncode == 0, again.stderr
    assert drop_cache(copy).files == 0
    assert (first / "clips" / "local_a_00000.mp4").is_file()

    dropped = drop_cache(out)
    assert set(dropped.caches) == {first, second}
    assert (dropped.files, dropped.bytes) == (2, on_disk)
    assert not first.exists()
    assert not second.exists()


@pytest.mark.parametrize(("n", "expected"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips")])
def test_counts_with_their_nouns(n: int, expected: str) -> None:
    assert n_of(n, "clip") == expected


def test_json_has_every_field(tmp_path: Path) -> None:
    out = data_set(tmp_path / "out", {"a": "1"})
    value: dict[str, Any] = result_of(cgtool("status", out, "--json"))
    assert {"asked", "done", "outdated", "extra", "pending", "cache_bytes"} <= set(value)
