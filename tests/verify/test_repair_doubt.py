"""Where the tables of a video are damaged, a repair deletes nothing of it, and keeps what the manifests still say."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.run.store import Store
from cityguessr_data.verify.repair import Repaired
from tests.support_verify import (
    FACES,
    OTHER,
    Row,
    Whole,
    contents,
    edit,
    everything,
    look,
    mended,
    part,
    put_together,
    rows_of,
    told,
)


@pytest.fixture
def without_sources(whole: Whole, tmp_path: Path) -> Iterator[None]:
    (whole.root / "src").rename(tmp_path / "away")
    yield
    (tmp_path / "away").rename(whole.root / "src")


def _a_row(out: Path) -> None:
    edit(out, "frames", FACES, lambda rows: rows[1:])


def _exchanged(out: Path) -> None:
    for table in ("frames", "faces"):
        one, other = part(out, table, FACES), part(out, table, OTHER)
        held = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(held)


def _paths(out: Path) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows[:5]:
            row["path"] = row["path"].replace("_00000/", "_00077/")

    edit(out, "frames", FACES, change)


def _clips(out: Path) -> None:
    for table in ("clips", "frames"):
        edit(out, table, FACES, lambda rows: [row for row in rows if row["clip_id"].endswith("_00000")])


def _agreeing(out: Path) -> None:
    """The video has lost clips in all of its parts: they agree with each other, and only the manifests know."""
    _clips(out)
    edit(out, "faces", FACES, lambda rows: [row for row in rows if row["clip_id"].endswith("_00000")])
    edit(out, "videos", FACES, lambda rows: [rows[0] | {"n_clips": 1}])


def _rows_too(out: Path) -> None:
    _a_row(out)
    (out / ".cgtool" / "rows.parquet").unlink()


def _all_parts(out: Path) -> None:
    for table in ("frames", "faces", "videos", "clips"):
        part(out, table, FACES).write_bytes(b"PAR1")


def _a_count(out: Path) -> None:
    """All frames are named still; only the manifests know how many clips there were."""
    edit(out, "videos", FACES, lambda rows: [rows[0] | {"n_clips": 7}])


DAMAGE = [_a_count, _a_row, _exchanged, _paths, _clips, _agreeing, _rows_too, _all_parts]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.usefixtures("without_sources")
def test_parts_are_made_again_from_the_manifests(out: Path, whole: Whole, damage: Callable[[Path], None]) -> None:
    as_built = contents(out)
    marks = {name: pq.read_schema(part(out, name, FACES)).metadata for name in ("clips", "frames")}
    damage(out)
    repaired = mended(out, whole)
    assert FACES in repaired.from_manifests and not repaired.deleted and not repaired.redone.done
    assert contents(out) == as_built
    assert marks == {name: pq.read_schema(part(out, name, FACES)).metadata for name in marks}
    assert {fault.where for fault in repaired.after.findings.faults} <= {".cgtool/rows.parquet"}, told(repaired.after)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.usefixtures("without_sources")
def test_where_they_do_not_fit_nothing_is_lost(out: Path, whole: Whole, damage: Callable[[Path], None]) -> None:
    """A frame is gone too: nobody can say any more that the manifests are right."""
    (out / rows_of(out, "frames", FACES)[3]["path"]).unlink()
    damage(out)
    before = everything(out)
    repaired = mended(out, whole)
    again = mended(out, whole)  # also the second time
    after = everything(out)
    assert {name: after.get(name) for name in before if name.startswith(("clips/", "manifests/"))} == {
        name: held for name, held in before.items() if name.startswith(("clips/", "manifests/"))
    }
    assert FACES not in repaired.from_manifests + again.from_manifests
    assert repaired.why_not and again.why_not and repaired.failed and not repaired.deleted + again.deleted


@pytest.mark.usefixtures("without_sources")
def test_a_stray_of_a_video_in_doubt_stays_until_it_is_mended(out: Path, whole: Whole) -> None:
    first = out / rows_of(out, "frames", FACES)[0]["path"]
    stray = first.with_name("006.jpg")
    shutil.copy(first, stray)
    lost = first.read_bytes()
    first.unlink()
    repaired = mended(out, whole)
    assert repaired.kept == [stray.relative_to(out).as_posix()] and stray.exists() and not repaired.deleted
    assert repaired.put_together, "the manifests say what the parts say"
    first.write_bytes(lost)
    assert mended(out, whole).deleted == repaired.kept and not stray.exists()


@pytest.mark.usefixtures("whole")
def test_a_tar_s_manifest_is_not_written_over(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    (tarred.root / "src").rename(tmp_path / "away")
    try:
        as_built = contents(out)
        _a_row(out)
        repaired = mended(out, tarred)
        assert repaired.from_manifests == [FACES] and contents(out) == as_built
    finally:
        (tmp_path / "away").rename(tarred.root / "src")


def test_what_is_done_again_is_not_deleted_afterwards(out: Path, whole: Whole) -> None:
    """Frames that no row named before the video was done again are those that it has now."""
    as_built = contents(out)
    _a_row(out)
    put_together(out)
    assert {fault.mend for fault in look(out, "none").findings.of("orphans")} == {"delete"}
    repaired = mended(out, whole)
    assert repaired.after.clean and repaired.redone.done == (FACES,) and not repaired.deleted, told(repaired.after)
    assert contents(out) == as_built


def test_what_may_be_a_later_result_is_not_taken_back(out: Path, whole: Whole) -> None:
    """A clips part that says something else than the manifest: the video is done again instead."""

    def relabelled(rows: list[Row]) -> None:
        rows[0]["scene_majority"] = 3

    edit(out, "clips", FACES, relabelled)
    repaired = mended(out, whole)
    assert repaired.after.clean and not repaired.from_manifests and repaired.redone.done == (FACES,)


@pytest.mark.usefixtures("without_sources")
def test_what_was_removed_does_not_come_back(out: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after its parts were emptied and before the manifests were: whatever else fails then."""
    from datetime import UTC, datetime

    from cityguessr_data.run.tombstones import Tombstone, bury
    from cityguessr_data.verify import repair

    bury(Store(out), [Tombstone("clip", f"{FACES}_00001", datetime(2026, 1, 1, tzinfo=UTC), "on request", "0.1.0")])
    _clips(out)
    monkeypatch.setattr(repair, "finish_removals", lambda _store: None)
    repaired: Repaired = mended(out, whole)
    assert not repaired.from_manifests
    assert f"{FACES}_00001" not in {row["clip_id"] for row in rows_of(out, "clips", FACES)}


def test_a_reviewed_video_is_done_again_and_not_taken_back(out: Path, whole: Whole) -> None:
    """Its parts are of after the review; the manifests may be of before."""
    from cityguessr_data.verify import from_manifests
    from cityguessr_data.verify.asked import Asked

    store = Store(out)
    _a_row(out)
    noted = from_manifests.noted_rows(store, {FACES})[FACES]
    given: Any = (store, FACES, noted, Asked.of(store.dataset() or {}), from_manifests.FrameFiles(out))
    assert from_manifests.made_again(*given) is not None
    part(out, "decisions", FACES).parent.mkdir()
    part(out, "decisions", FACES).write_bytes(b"")
    assert from_manifests.made_again(*given) is None
