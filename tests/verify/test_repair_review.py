"""A review that was applied is not lost by a repair, whatever cuts it short; what is not applied again is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cityguessr_data.over_frames.apply_review import apply_review
from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.review.lock import review_lock
from cityguessr_data.run.store import Store
from cityguessr_data.verify import redo, repair
from tests.support_verify import (
    FACES,
    Silent,
    Whole,
    contents,
    edit,
    look,
    mended,
    only,
    put_together,
    rows_of,
    run,
    told,
)

NOTE = ".cgtool/review/again.json"


def decide(out: Path, action: str = "draw", box: tuple[float, float, float, float] | None = (200, 30, 248, 90)) -> None:
    mark = rows_of(out, "clips", FACES)[0]["fingerprint"]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    row = Decision(action, f"{FACES}_00000", mark, "me", "s", now, new_id(), 0, box)  # type: ignore[arg-type]
    DecisionLog(Store(out)).append(FACES, [row])


@pytest.fixture
def reviewed(out: Path) -> Path:
    """OUT with a box that a person drew, applied; and with a fault for which its video is done again."""
    decide(out)
    assert apply_review(out, Silent(), 1).n_frames == 1
    return out


def damage(out: Path) -> None:
    edit(out, "videos", FACES, lambda rows: [{**rows[0], "n_clips": 7}])


def drawn(out: Path) -> int:
    return sum(face["origin"] == "manual" and face["blurred"] for face in rows_of(out, "faces", FACES))


def test_stopped_before_the_review_is_applied_again(
    reviewed: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_reviewed = contents(reviewed)
    damage(reviewed)

    def stopped(*_given: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(repair, "apply_held", stopped)
        with pytest.raises(KeyboardInterrupt):
            mended(reviewed, whole)
    assert drawn(reviewed) == 0
    lost = [fault for fault in look(reviewed, "none").findings.faults if fault.check == "decisions"]
    assert [(fault.mend, fault.unit) for fault in lost] == [("review", FACES)]
    repaired = mended(reviewed, whole)
    assert repaired.after.clean and repaired.reviewed == [FACES], told(repaired.after)
    assert contents(reviewed) == as_reviewed and not (reviewed / NOTE).exists()


def test_stopped_before_anything_is_done_again(reviewed: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """The note is on the disk by then."""
    damage(reviewed)

    def stopped(*_given: object, **_more: object) -> None:
        assert FACES in (reviewed / NOTE).read_text()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(redo, "run_videos", stopped)
        with pytest.raises(KeyboardInterrupt):
            mended(reviewed, whole)
    assert not look(reviewed, "none").findings.of("decisions")
    assert mended(reviewed, whole).after.clean and drawn(reviewed) == 1 and not (reviewed / NOTE).exists()


def test_a_review_that_cannot_be_applied_again_is_told(
    reviewed: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(reviewed)
    result = SimpleNamespace(
        report=SimpleNamespace(failed=[SimpleNamespace(video_id=FACES, message="no")]), interrupted=False, stopped=None
    )
    with monkeypatch.context() as patch:
        patch.setattr(repair, "apply_held", lambda *_given, **_more: result)
        repaired = mended(reviewed, whole)
    assert repaired.not_reviewed == {FACES: "no"} and repaired.failed and not repaired.reviewed
    assert only(repaired.after, "decisions")[0].mend == "review"
    assert mended(reviewed, whole).after.clean and drawn(reviewed) == 1


def test_a_video_that_is_left_to_the_build_gets_its_review_back(reviewed: Path, whole: Whole) -> None:
    rows = (reviewed / ".cgtool" / "rows.parquet").read_bytes()
    (reviewed / ".cgtool" / "rows.parquet").unlink()
    damage(reviewed)
    put_together(reviewed)
    repaired = mended(reviewed, whole)
    assert repaired.redone.to_build == (FACES,)
    left = [fault for fault in repaired.after.findings.faults if fault.check != "dataset"]
    assert [fault.what for fault in left] == ["waits to be done again by the build command"], "one fault, not five"
    run("build-dataset", whole.table, "--out", reviewed, *whole.options())
    assert drawn(reviewed) == 0 and (reviewed / ".cgtool" / "rows.parquet").read_bytes() == rows
    assert [fault.mend for fault in only(look(reviewed, "none"), "decisions")] == ["review"]
    repaired = mended(reviewed, whole)
    assert repaired.after.clean and repaired.reviewed == [FACES] and drawn(reviewed) == 1


def test_decisions_that_nobody_has_applied_are_a_note(out: Path) -> None:
    decide(out)
    result = look(out, "none")
    assert result.clean and any("not carried out" in note for note in result.findings.notes)


def test_a_damaged_note_and_an_open_review(reviewed: Path, whole: Whole) -> None:
    from cityguessr_data.core.errors import InputError

    (reviewed / NOTE).write_text("{")
    assert only(look(reviewed, "none"), "decisions")[0].mend == "person"
    damage(reviewed)
    with pytest.raises(InputError, match=r"again\.json is damaged"):
        mended(reviewed, whole)
    (reviewed / NOTE).unlink()
    with review_lock(Store(reviewed)), pytest.raises(InputError, match="is open already"):
        mended(reviewed, whole)
    assert drawn(reviewed) == 1


def test_a_result_that_decisions_would_not_be_about_replaces_nothing(
    reviewed: Path, whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(reviewed)
    before = contents(reviewed)
    with monkeypatch.context() as patch:
        patch.setattr(redo, "task_fingerprint", lambda _recorded, _task: "another")
        failed: Any = mended(reviewed, whole).redone.failed
    assert "about which its review says nothing" in failed[FACES]
    assert {path: held for path, held in contents(reviewed).items() if "parts" in path} == {
        path: held for path, held in before.items() if "parts" in path
    }
