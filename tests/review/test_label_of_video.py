"""A label or a mark for all clips of a video passes over what another tab decided and this one was not shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.review.state import review_of
from tests.support_review import BOTH, SURE, Client, decisions, served

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def cities(out: Path) -> dict[str, str | None]:
    """Of both clips of one video."""
    made = decisions(out)
    return {clip: review_of([one for one in made if one.clip_id == clip], f"of {clip}").city for clip in (SURE, BOTH)}


def test_another_tabs_label_stays_and_is_named(out: Path, keeper: Client) -> None:
    guest = Client(keeper.post("/invite", reviewer="Guest").json["link"], tab="b" * 32).enter()
    keeper.post("/show", clip=BOTH), keeper.post("/show", clip=SURE)  # before Guest decides
    guest.decide(BOTH, "label", 0, value="Madrid")
    answer = keeper.decide(SURE, "label", 0, value="Lyon", all_of_video=True)
    assert answer.status == 200 and cities(out) == {SURE: "Lyon", BOTH: "Madrid"}
    assert answer.json["said"] == (
        f"The city is Lyon. 1 clip was decided on in another tab and left so; look there first: {BOTH} (Guest)."
    )
    assert "Madrid" in keeper.post("/show", clip=BOTH, view="label").json["html"]
    assert keeper.decide(SURE, "label", 1, value="Athens", all_of_video=True).status == 200
    assert cities(out) == {SURE: "Athens", BOTH: "Athens"}  # now it was seen


def test_a_label_of_this_tab_or_the_same_city_is_nothing_to_pass_over(out: Path, keeper: Client) -> None:
    keeper.decide(BOTH, "label", 0, value="Madrid")
    assert "another tab" not in keeper.decide(SURE, "label", 0, value="Lyon", all_of_video=True).json["said"]
    assert cities(out) == {SURE: "Lyon", BOTH: "Lyon"}
    guest = keeper.other_tab("b")
    answer = guest.decide(SURE, "label", 1, value="Lyon", all_of_video=True)
    assert answer.json["said"] == "It is so already; nothing was written."


def test_a_label_from_before_a_restart_stays_too(out: Path) -> None:
    with served(out) as link:
        Client(link).enter().decide(BOTH, "label", 0, value="Madrid")
    with served(out) as link:
        later = Client(link, tab="c" * 32).enter()
        assert f"{BOTH} (keeper)" in later.decide(SURE, "label", 0, value="Lyon", all_of_video=True).json["said"]
    assert cities(out) == {SURE: "Lyon", BOTH: "Madrid"}


def test_where_all_is_left_nothing_is_written(out: Path, keeper: Client) -> None:
    keeper.decide(SURE, "label", 0, value="Lyon")
    keeper.other_tab("b").decide(BOTH, "label", 0, value="Madrid")
    said = keeper.decide(SURE, "label", 1, value="Lyon", all_of_video=True).json["said"]
    assert said.startswith("It is so already; nothing was written. 1 clip was decided on") and BOTH in said
    assert len(decisions(out)) == 2


def test_marks_are_passed_over_mark_by_mark(out: Path, keeper: Client) -> None:
    guest = keeper.other_tab("b")
    guest.decide(BOTH, "mark", 0, value="montage")
    guest.decide(BOTH, "unmark", 1, value="montage")
    guest.decide(BOTH, "label", 2, value="Madrid")
    said = keeper.decide(SURE, "mark", 0, value="montage", all_of_video=True).json["said"]
    assert said.startswith("Marked as montage. 1 clip was decided on") and f"{BOTH} (keeper)" in said
    assert keeper.decide(SURE, "mark", 1, value="indoor", all_of_video=True).json["said"] == (
        "Marked as indoor of 2 clips."
    )
    made = [(one.clip_id, one.value) for one in decisions(out) if one.session == keeper.tab]
    assert made == [(SURE, "montage"), (SURE, "indoor"), (BOTH, "indoor")]
