"""Several tabs of the review page, a reload, and a kill in mid-review: nothing is overwritten, nothing lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.review.desk import Desk
from tests.support_page import until
from tests.support_review import (
    BOTH,
    DOUBT,
    EMPTY,
    decisions,
    started,
    told,
)
from tests.support_reviewer import Reviewer

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def test_two_tabs_get_two_clips_and_never_overwrite_each_other(out: Path, person: Reviewer) -> None:
    one = person.open()
    two = person.open(person.site)
    assert (one.clip, two.clip) == (DOUBT, BOTH)
    two.press("ArrowUp")
    assert two.clip == DOUBT and "another tab is at this clip too" in two.page.inner_text(".flags")
    one.press("b")
    two.press("x", "x")
    assert "has decided on this clip meanwhile" in two.said
    assert two.boxes() == ["face 1 of 1, score 0.45, to be blurred"]
    assert told(out) == [("blur", DOUBT, 5)]
    assert [person.refused.pop()] == [409]
    two.press("x", "x")
    two.press("u")
    assert [action for action, *_ in told(out)] == ["blur", "drop", "undo"]
    two.press("u")  # what the other tab did is not this one's to undo
    assert len(decisions(out)) == 3 and "nothing left to take back" in two.said
    assert [person.refused.pop()] == [400]


def test_a_tab_that_is_closed_gives_its_clip_back(person: Reviewer, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[str] = []
    real = Desk.leave
    monkeypatch.setattr(Desk, "leave", lambda desk, tab: (real(desk, tab), left.append(tab)))
    one, two = person.open(), person.open(person.site)
    assert (one.clip, two.clip) == (DOUBT, BOTH)
    one.page.close()
    until(lambda: len(left) == 1)
    assert person.open(person.site).clip == DOUBT


def test_a_reload_keeps_the_place_and_what_can_be_undone(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("b", "ArrowLeft")
    address = tab.page.url
    tab.page.reload()
    tab.page.wait_for_selector("html[data-ready]")
    tab.rest()
    assert (tab.page.url, tab.clip, tab.frame) == (address, DOUBT, 1)
    time.sleep(1.2)  # a tab that was duplicated would take a new name by now; this one was not
    tab.press("u")
    assert [action for action, *_ in told(out)] == ["blur", "undo"]


def test_a_kill_in_mid_review_loses_nothing(browser: Any, out: Path) -> None:
    with started(out) as (process, link):
        first = Reviewer(browser, link)
        tab = first.open()
        tab.press("a", "1", "r", "d", "Enter", "i")
        before = decisions(out)
        process.kill()
        process.wait()
        tab.page.keyboard.press("a")
        until(lambda: "The server has stopped" in tab.said)
        first.context.close()
    assert [(one.action, one.clip_id) for one in before] == [("accept", DOUBT), ("reject", BOTH), ("draw", BOTH)]
    with started(out, "--reviewer", "Guest") as (process, link):
        second = Reviewer(browser, link)
        tab = second.open()
        assert decisions(out) == before
        assert tab.clip == EMPTY and "3 of 4 finished" in tab.page.inner_text("header")
        tab.press("ArrowUp")
        assert tab.boxes() == ["face 1 of 2, score 0.70, rejected: no face", "face 2 of 2, drawn by hand"]
        second.context.close()
        process.terminate()
        said, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
    assert f"cgtoolreview{out}--apply" in "".join(said.split())  # folded at 80 columns
    assert second.faults == []
