"""A frame full of faces, in a real browser: no key unblurs it all, no label hides a face, each is seen large."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_page import until
from tests.support_review import (
    BOTH,
    CROWD,
    CROWDED,
    FACES,
    SIZE,
    SURE,
    Client,
    decisions,
    served,
    told,
    write_reviewed,
)
from tests.support_reviewer import Reviewer, Tab

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")

LABELS = """[...document.querySelectorAll("g.box")].flatMap(
    (one, n) => one.checkVisibility() && one.querySelector("text").checkVisibility() ? [n + 1] : [])"""
FRAME_ON_SCREEN = """(() => { const seen = document.querySelector(".stage").getBoundingClientRect();
    const all = document.querySelector(".stage img").getBoundingClientRect();
    const box = (n) => document.querySelectorAll("g.box rect")[n].getBoundingClientRect();
    return { seen: [seen.left, seen.top, seen.right, seen.bottom], times: all.width / seen.width,
        boxes: [...document.querySelectorAll("g.box rect")].map((one) => one.getBoundingClientRect())
            .map((one) => [one.left, one.top, one.right, one.bottom]) }; })()"""


@pytest.fixture(params=[390, 1440])
def crowd(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Tab]]:
    """A frame with 20 faces, on a phone and on a desk."""
    out = write_reviewed(tmp_path / "out", CROWDED)
    with served(out) as link:
        person = Reviewer(browser, link, width=request.param)
        tab = person.open()
        assert tab.clip == CROWD and len(tab.boxes()) == 20
        yield out, tab
        person.context.close()
        assert (person.faults, person.refused) == ([], [])


def labels(tab: Tab) -> list[int]:
    tab.page.mouse.move(1, 1)
    return list(tab.page.evaluate(LABELS))


def selected(tab: Tab) -> str:
    found = tab.page.locator(".box-list button[aria-current=true]")
    return str(found.get_attribute("aria-label")).split(",")[0] if found.count() else ""


def inside(box: list[float], seen: list[float]) -> bool:
    return box[0] >= seen[0] and box[1] >= seen[1] and box[2] <= seen[2] and box[3] <= seen[3]


def test_rejecting_all_is_asked_back_and_done_by_a_second_key(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.page.goto(f"{person.site}/clip/{SURE}")
    tab.rest()
    tab.press("r")
    assert decisions(out) == [] and "Boxes 1 (0.90), 2 (0.80) would lose their blur" in tab.said
    assert "waits for a decision" in tab.page.inner_text(".flags")
    tab.press("Escape")
    assert tab.said == "Nothing was rejected."
    for between in ("ArrowRight", "1", "h", "?"):  # anything else calls it off
        tab.press("r", between, *(["Escape"] * 3), *(["ArrowLeft"] if between == "ArrowRight" else []), "r")
        assert decisions(out) == [] and "would lose their blur" in tab.said, between
        tab.press("Escape")
    tab.click("r Reject")
    tab.click("r Reject all 2?")
    assert [one.box for one in decisions(out)] == [FACES[SURE][0][2], FACES[SURE][1][2]]
    tab.press("u", "r", "r")
    assert tab.boxes() == ["face 1 of 2, score 0.90, rejected: no face", "face 2 of 2, score 0.80, rejected: no face"]


def test_the_only_box_is_not_rejected_by_one_key_either(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.page.goto(f"{person.site}/clip/{BOTH}")
    tab.rest()
    tab.page.evaluate("""for (const repeat of [false, true, true])
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "r", repeat, bubbles: true }))""")  # held down
    tab.rest()
    assert decisions(out) == [] and tab.said.startswith("Box 1 (0.70) would lose its blur. Press r")
    button = tab.page.locator("[data-do=reject]")
    button.press("Enter")  # as a button, by the keyboard
    tab.rest()
    assert told(out) == [("reject", BOTH, 3)]


def test_what_is_asked_for_all_is_not_asked_again_of_what_was_left(out: Path, person: Reviewer) -> None:
    """A second r after one box was rejected is a new question, about the other."""
    tab = person.open()
    tab.page.goto(f"{person.site}/clip/{SURE}")
    tab.rest()
    tab.press("2", "r", "r")
    assert [one.box for one in decisions(out)] == [FACES[SURE][1][2]]
    assert tab.said.startswith("Box 1 (0.90) would lose its blur")


def test_in_a_crowd_only_the_box_that_is_meant_has_a_label(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    assert labels(tab) == []
    tab.press("7")
    assert labels(tab) == [7]
    tab.page.locator("g.box").nth(3).hover()
    assert tab.page.evaluate(LABELS) == [4, 7]
    tab.page.locator(".box-list button").nth(10).hover()
    assert tab.page.evaluate(LABELS) == [7, 11]


def test_a_small_box_has_no_label_and_a_large_one_has(browser: Any, tmp_path: Path) -> None:
    two = {CROWD: [(2, 0.9, (100.0, 80.0, 180.0, 170.0)), (2, 0.9, (20.0, 20.0, 25.0, 26.0))]}
    with served(write_reviewed(tmp_path / "out", two)) as link:
        person = Reviewer(browser, link)
        tab = person.open()
        until(lambda: labels(tab) == [1])
        tab.press("2")
        assert labels(tab) == [1, 2]
        person.context.close()


def test_labels_lie_in_the_picture_and_outside_of_their_box(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    for number in (1, 5, 8, 16, 20):
        tab.page.locator(".box-list button").nth(number - 1).click()
        text, box, seen = tab.page.evaluate("""["g.selected text", "g.selected rect", ".stage"]
            .map((one) => document.querySelector(one).getBoundingClientRect())
            .map((one) => [one.left, one.top, one.right, one.bottom])""")
        assert inside(text, [seen[0] - 1, seen[1] - 1, seen[2] + 1, seen[3] + 1]), number
        assert text[3] <= box[1] + 3 or text[1] >= box[3] - 3, number


def test_zoom_shows_the_selected_box_large_and_goes_with_the_selection(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    before = tab.page.evaluate(FRAME_ON_SCREEN)
    assert before["times"] == pytest.approx(1)
    tab.press("2", "z")
    for number in (2, 5, 9):
        if number > 2:
            tab.press(str(number))
        now = tab.page.evaluate(FRAME_ON_SCREEN)
        assert now["seen"] == pytest.approx(before["seen"], abs=1)  # nothing else moves
        assert now["times"] >= 4 and inside(now["boxes"][number - 1], now["seen"])
        assert now["boxes"][number - 1][2] - now["boxes"][number - 1][0] >= 40
    assert tab.page.get_by_role("button", name="Zoom").get_attribute("aria-pressed") == "true"
    tab.press("Escape")
    assert tab.page.evaluate(FRAME_ON_SCREEN)["times"] == pytest.approx(1) and selected(tab) == "face 9 of 20"
    tab.press("Escape", "z")  # nothing selected: the middle
    middle = tab.page.evaluate(FRAME_ON_SCREEN)
    assert middle["times"] == pytest.approx(2) and selected(tab) == ""
    tab.press("z")
    tab.page.get_by_role("button", name="Zoom").click()
    assert tab.page.evaluate(FRAME_ON_SCREEN) == middle


def test_a_double_click_zooms_to_where_it_was(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    tab.page.locator("g.box").nth(12).dblclick()
    now = tab.page.evaluate(FRAME_ON_SCREEN)
    assert now["times"] >= 4 and inside(now["boxes"][12], now["seen"])
    tab.page.locator(".stage").dblclick(position={"x": 3, "y": 3})
    assert tab.page.evaluate(FRAME_ON_SCREEN)["times"] == pytest.approx(1)


def test_a_decision_keeps_the_zoom_and_another_frame_ends_it(crowd: tuple[Path, Tab]) -> None:
    out, tab = crowd
    tab.press("9", "z", "r")
    assert len(decisions(out)) == 1 and tab.page.evaluate(FRAME_ON_SCREEN)["times"] >= 4
    tab.press("e", "ArrowRight")
    assert tab.page.evaluate(FRAME_ON_SCREEN)["times"] == pytest.approx(1)


def test_a_face_is_drawn_where_somebody_zoomed_to(crowd: tuple[Path, Tab]) -> None:
    out, tab = crowd
    tab.press("2", "z", "d", "Enter")
    box = decisions(out)[-1].box
    assert box is not None
    x0, _, x1, y1 = box
    assert abs((x0 + x1) / 2 - 70) < 8 and y1 < 60  # about the second box, not the middle of the frame
    tab.press("z", "z")
    tab.press("d")
    place = tab.page.locator(".stage").bounding_box()
    mouse = tab.page.mouse
    mouse.move(place["x"] + place["width"] / 4, place["y"] + place["height"] / 4)
    mouse.down()
    mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2, steps=4)
    mouse.up()
    until(lambda: len(decisions(out)) == 2)
    middle = (SIZE[0] * 3 / 8, SIZE[1] * 3 / 8, SIZE[0] / 2, SIZE[1] / 2)  # twice as large, about the middle
    assert decisions(out)[-1].box == pytest.approx(middle, abs=1.5)
    tab.rest()


def test_boxes_are_hidden_and_shown_again(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    seen = """[...document.querySelectorAll("g.box")]
        .filter((one) => getComputedStyle(one).visibility === "visible").length"""
    button = tab.page.get_by_role("button", name="Hide boxes")
    tab.press("h")
    assert tab.page.evaluate(seen) == 0 and button.get_attribute("aria-pressed") == "true"
    tab.press("h")
    assert tab.page.evaluate(seen) == 20 and button.get_attribute("aria-pressed") == "false"
    button.click()
    assert tab.page.evaluate(seen) == 0
    tab.press("3")  # who selects a box wants to see it
    assert tab.page.evaluate(seen) == 20


def test_boxes_of_two_digits_are_selected_by_typing_them(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd

    def typed(*keys: tuple[str, float]) -> str:
        tab.page.evaluate(
            """(keys) => { for (const [key, at] of keys) {
            performance.now = () => at;
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })); } }""",
            [list(one) for one in keys],
        )
        return selected(tab)

    assert typed(("1", 10_000), ("2", 10_300)) == "face 12 of 20"
    assert typed(("1", 20_000), ("2", 23_000)) == "face 2 of 20"  # slowly: two boxes
    assert typed(("2", 30_000), ("0", 30_300)) == "face 20 of 20"
    assert typed(("2", 40_000), ("1", 40_300)) == "face 1 of 20"  # there is no 21
    assert typed(("1", 50_000), ("h", 50_100), ("2", 50_200)) == "face 2 of 20"
    assert typed(("0", 60_000)) == "face 2 of 20"
    assert tab.said.startswith("Selected face 2 of 20")


def test_a_crowd_fits_a_phone(crowd: tuple[Path, Tab]) -> None:
    _, tab = crowd
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.page.locator(".stage").bounding_box()["width"] >= 360


def test_the_page_names_the_command_that_applies_it_with_its_taxonomy(out: Path, tmp_path: Path) -> None:
    cities = tmp_path / "my cities.csv"
    levels = "city_id,city,state_id,state,country_id,country,continent_id,continent"
    cities.write_text(f"{levels}\n0,Atlantis,0,Deep,0,Ocean,0,Europe\n")
    with served(out, taxonomy=cities) as link:
        keeper = Client(link).enter()
        told_by = f"<code>cgtool review {out} --apply --taxonomy &#39;{cities}&#39;</code>"
        for path in ("/", "/done", f"/clip/{SURE}", f"/label/{SURE}"):
            assert told_by in keeper.get(path).text, path
        for clip_id, detections in FACES.items():
            answer = keeper.decide(clip_id, "drop", 0, detections[0][0] if detections else 3)
        assert "Every clip was looked at" in answer.json["html"] and told_by in answer.json["html"]
    with served(out) as link:
        assert f"<code>cgtool review {out} --apply</code>" in Client(link).enter().get("/done").text
