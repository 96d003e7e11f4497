"""What `cgtool review --apply` prints when it is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgtool.review_summary import show_applied
from cityguessr_data.over_frames.apply_review import ApplyResult


def test_stale_decisions_are_told_also_where_there_is_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show_applied(Path("out"), ApplyResult(3, 3, n_stale=2), as_json=False)
    said = capsys.readouterr().out
    assert "nothing to do" in said
    assert "2 decisions about earlier builds" in said


def test_many_dropped_clips_are_counted_and_some_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    show_applied(Path("out"), ApplyResult(3, 3, dropped=[f"v_{i:05d}" for i in range(12)]), as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "12 clips: v_00000," in said and said.endswith("v_00009 and 2 more")
