"""What holds is taken back by the same key, by whoever looks at it: no mistake outlives the tab that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.review.progress import read_progress
from cityguessr_data.review.state import ClipReview, review_of
from cityguessr_data.run.store import Store
from tests.support_review import DOUBT, QUEUE, SURE, Client, decisions, served, shown, told

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def holding(out: Path, clip_id: str = SURE) -> ClipReview:
    return review_of([one for one in decisions(out) if one.clip_id == clip_id], f"of {clip_id}")


@pytest.mark.parametrize(
    ("action", "frame", "told_before", "said"),
    [
        ("drop", 2, "dropped by keeper", f"{SURE} is kept after all; keeper had dropped it."),
        ("every-frame", 2, "asked for by keeper", f"Not every frame of {SURE} after all; keeper had asked for it."),
        ("accept", 2, "accepted by keeper", f"Frame 3 of {SURE} is not accepted after all; it was by keeper."),
    ],
)
def test_another_reviewer_takes_it_back_after_a_restart(
    out: Path, action: str, frame: int, told_before: str, said: str
) -> None:
    with served(out) as link:
        keeper = Client(link).enter()
        before = read_progress(Store(out)).n_finished
        assert keeper.decide(SURE, action, 0, frame).status == 200
    with served(out, reviewer="Guest") as link:
        guest = Client(link, tab="b" * 32).enter()
        page = guest.get(f"/clip/{SURE}?frame={frame}").text
        assert told_before in page and page.count('aria-pressed="true"') == 1
        assert guest.post("/undo").status == 400  # this is not the tab that did it
        answer = guest.decide(SURE, action, 1, frame, take_back=True)
        assert answer.status == 200 and answer.json["said"] == said
        assert shown(answer) == SURE and 'aria-pressed="true"' not in answer.json["html"]
        assert "keeper" not in answer.json["html"].split('<section class="where"')[1].split("</section>")[0]
        assert f"<b>{before}</b> of {len(QUEUE)} finished" in answer.json["html"]
    assert holding(out).counting == () and read_progress(Store(out)).n_finished == before
    first, undo = decisions(out)
    assert (undo.action, undo.undoes, undo.reviewer) == ("undo", first.decision_id, "Guest")


def test_every_decision_that_makes_it_so_is_taken_back(out: Path) -> None:
    """Two of them are in the table where two servers' worth of decisions were put together."""
    from dataclasses import replace

    from cityguessr_data.review.decisions import DecisionLog, new_id

    with served(out) as link:
        Client(link).enter().decide(SURE, "drop", 0)
    log = DecisionLog(Store(out))
    (row,) = decisions(out)
    log.append("v_1", [replace(row, decision_id=new_id(), reviewer="Third")])
    with served(out) as link:
        said = Client(link).enter().decide(SURE, "drop", 2, take_back=True).json["said"]
    assert said == f"{SURE} is kept after all; keeper, Third had dropped it."
    assert not holding(out).dropped and len(decisions(out)) == 4


def test_only_what_is_named_is_taken_back(out: Path, keeper: Client) -> None:
    for n, (action, frame) in enumerate([("accept", 2), ("accept", 4), ("every-frame", 2), ("drop", 2)]):
        keeper.decide(SURE, action, n, frame)
    keeper.decide(SURE, "accept", 4, 4, take_back=True)
    assert (holding(out).accepted, holding(out).every_frame, holding(out).dropped) == ({2}, True, True)
    keeper.decide(SURE, "drop", 5, 4, take_back=True)
    assert (holding(out).accepted, holding(out).every_frame, holding(out).dropped) == ({2}, True, False)
    assert shown(keeper.post("/undo")) == SURE  # what this tab did last and still holds
    assert (holding(out).accepted, holding(out).every_frame) == ({2}, False)


def test_nobody_takes_back_what_they_have_not_seen(out: Path, keeper: Client) -> None:
    guest = keeper.other_tab("b")
    guest.decide(SURE, "drop", 0)
    late = keeper.decide(SURE, "drop", 0, take_back=True)
    assert late.status == 409 and "dropped by keeper" in late.json["html"]
    assert told(out) == [("drop", SURE, None)]


@pytest.mark.parametrize("action", ["drop", "every-frame", "accept"])
def test_what_does_not_hold_is_not_taken_back(out: Path, keeper: Client, action: str) -> None:
    keeper.decide(SURE, "accept", 0, 4)
    answer = keeper.decide(SURE, action, 1, 2, take_back=True)
    assert answer.status == 200 and "so already" in answer.json["said"]
    assert told(out) == [("accept", SURE, 4)]


@pytest.mark.parametrize("wish", [{"action": "reject"}, {"action": "label", "value": "Rome"}, {"action": "draw"}])
def test_the_rest_is_changed_by_deciding_anew(untouched: tuple[Path, Client], wish: dict[str, Any]) -> None:
    answer = untouched[1].post("/decide", **{"clip": DOUBT, "seen": 0, "frame": 5, "take_back": True, **wish})
    assert answer.status == 400 and "not taken back like this" in answer.json["said"]
