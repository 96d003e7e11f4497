"""The review page in a real browser: every action by key and by click, on a phone too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.review.progress import read_progress
from cityguessr_data.run.store import Store
from tests.support_page import until
from tests.support_review import (
    BOTH,
    DOUBT,
    EMPTY,
    FACES,
    QUEUE,
    SIZE,
    SURE,
    decisions,
    served,
    told,
    write_reviewed,
)
from tests.support_reviewer import Reviewer

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def test_a_whole_review_by_keys_alone(out: Path, person: Reviewer) -> None:
    tab = person.open()
    met = []
    for _ in QUEUE:
        met.append(tab.clip)
        tab.press("a")
    assert tuple(met) == QUEUE and tab.clip == ""
    assert told(out) == [("accept", DOUBT, 5), ("accept", BOTH, 3), ("accept", EMPTY, 3), ("accept", SURE, 2)]
    assert "Every clip was looked at" in tab.page.inner_text("main")
    assert read_progress(Store(out)).unfinished == ()


def test_boxes_have_names_states_and_keys(out: Path, person: Reviewer) -> None:
    tab = person.open()
    assert tab.boxes() == ["face 1 of 1, score 0.45, not blurred"]
    tab.press("b")
    assert tab.boxes() == ["face 1 of 1, score 0.45, to be blurred"]
    tab.press("ArrowLeft")
    assert (tab.frame, tab.boxes()) == (1, ["face 1 of 1, score 0.20, not blurred"])
    tab.press("1", "r")
    assert tab.boxes() == ["face 1 of 1, score 0.20, rejected: no face"]
    tab.press("u")
    assert tab.boxes() == ["face 1 of 1, score 0.20, not blurred"]
    made = decisions(out)
    assert [(one.action, one.position, one.box) for one in made[:2]] == [
        ("blur", 5, FACES[DOUBT][1][2]),
        ("reject", 1, FACES[DOUBT][0][2]),
    ]
    assert made[2].undoes == made[1].decision_id
    strokes = tab.page.evaluate("""[...document.querySelectorAll(".box rect")].map(
        (one) => getComputedStyle(one).strokeDasharray)""")
    assert strokes != ["none"]  # doubtful: dashed


def test_a_box_is_selected_by_number_tab_and_click(out: Path, person: Reviewer) -> None:
    tab = person.open(person.link)
    tab.page.goto(f"{person.site}/clip/{SURE}")
    tab.rest()
    current = tab.page.locator(".box-list button[aria-current=true]")
    for select in (lambda: tab.press("2"), lambda: tab.page.locator("g.box").nth(1).click()):
        select()
        assert current.get_attribute("aria-label") == "face 2 of 2, score 0.80, blurred"
        assert tab.page.locator("g.box.selected").get_attribute("data-box") == "1"
        tab.press("Escape")
        assert current.count() == 0
    while current.count() == 0 or "2 of 2" not in str(current.get_attribute("aria-label")):
        tab.press("Tab")
    tab.press("r")
    assert tab.boxes() == ["face 1 of 2, score 0.90, blurred", "face 2 of 2, score 0.80, rejected: no face"]
    assert [one.box for one in decisions(out)] == [FACES[SURE][1][2]]
    tab.press("Escape", "r", "r")  # without a box: all that are left
    assert [one.box for one in decisions(out)] == [FACES[SURE][1][2], FACES[SURE][0][2]]
    assert "finished" in tab.page.inner_text(".flags")


def test_a_face_is_drawn_by_mouse(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("d")
    place = tab.page.locator("svg.boxes").bounding_box()
    scale = place["width"] / SIZE[0]
    mouse = tab.page.mouse
    mouse.move(place["x"] + 200 * scale, place["y"] + 150 * scale)
    mouse.down()
    mouse.move(place["x"] + 120 * scale, place["y"] + 60 * scale, steps=4)
    mouse.up()
    until(lambda: len(decisions(out)) == 1)
    tab.rest()
    assert decisions(out)[0].box == pytest.approx((120, 60, 200, 150), abs=1.5)
    assert tab.boxes()[-1] == "face 2 of 2, drawn by hand"
    drawn = tab.page.locator("g.drawn rect").bounding_box()
    assert drawn["x"] == pytest.approx(place["x"] + 120 * scale, abs=3)
    assert drawn["width"] == pytest.approx(80 * scale, abs=5)


def test_a_face_is_drawn_by_keys(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("d")
    assert "Enter keeps it" in tab.said
    tab.press(*["ArrowLeft"] * 10, *["ArrowDown"] * 3, *["Shift+ArrowRight"] * 5, *["Shift+ArrowUp"] * 2)
    assert (tab.clip, tab.frame) == (DOUBT, 5)  # the arrows moved the box and nothing else
    tab.press("Enter")
    step, side = round(SIZE[0] / 200), SIZE[1] // 8
    x0, y0 = (SIZE[0] - side) / 2 - 10 * step, (SIZE[1] - side) / 2 + 3 * step
    expected = (x0, y0, x0 + side + 5 * step, y0 + side - 2 * step)
    assert decisions(out)[0].box == pytest.approx(expected, abs=1)
    tab.press("d", "ArrowLeft", "a", "Escape")  # other keys wait while a box is drawn
    assert tab.said == "Nothing was drawn." and len(decisions(out)) == 1


def test_every_button_does_what_its_key_does(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.click("b Blur")
    tab.page.locator(".box-list button").click()
    tab.click("r Reject")
    tab.click("u Undo")
    tab.click("e Every frame")
    assert tab.frame == 5
    tab.click("Earlier frame")
    assert tab.frame == 4  # without a box: all frames now
    tab.click("Later frame")
    tab.click("d Draw")
    tab.click("Enter Keep the box")
    tab.click("d Draw")
    tab.click("Esc Leave")
    tab.click("a Accept")
    assert (tab.clip, tab.frame) == (DOUBT, 0)  # the first frame that was not accepted
    tab.click("↓ Clip after")
    assert tab.clip == BOTH
    tab.click("↑ Clip before")
    assert tab.clip == DOUBT
    tab.click("x Drop clip")
    tab.click("Esc Keep it")
    tab.click("x Drop clip")
    tab.click("x Drop it")
    assert tab.clip == BOTH
    tab.click("l Labels")
    for words in ("i Indoor", "m Montage", "t Title card", "m Montage"):
        tab.click(words)
    tab.page.get_by_label("City", exact=True).fill("Athens")
    tab.click("Set the city")
    tab.click("l Back to the frame")
    actions = [(one.action, one.value) for one in decisions(out)]
    assert actions == [
        ("blur", None), ("reject", None), ("undo", None), ("every-frame", None), ("draw", None), ("accept", None),
        ("drop", None), ("mark", "indoor"), ("mark", "montage"), ("mark", "title-card"), ("unmark", "montage"),
        ("label", "Athens"),
    ]  # fmt: skip
    assert "Athens (was Tokyo)" in tab.page.inner_text(".where")


def test_dropping_asks_once_more(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("x")
    assert tab.page.locator("dialog#drop").is_visible() and decisions(out) == []
    tab.press("Escape")
    assert not tab.page.locator("dialog#drop").is_visible() and decisions(out) == []
    tab.press("x", "x")
    assert told(out) == [("drop", DOUBT, None)] and tab.clip == BOTH


def test_the_same_key_takes_back_what_holds_whichever_tab_decided_it(out: Path, person: Reviewer) -> None:
    first = person.open()
    first.press("e", "x", "x")
    first.page.close()
    tab = person.open(f"{person.site}/clip/{DOUBT}?frame=5")
    buttons = tab.page.locator(".actions button[aria-pressed=true]")
    assert buttons.all_inner_texts() == ["e\nNot every frame after all", "x\nKeep the clip after all"]
    assert "dropped by keeper" in tab.page.inner_text(".flags")
    tab.press("x")
    assert not tab.page.locator("dialog#drop").is_visible()
    assert tab.said == f"{DOUBT} is kept after all; keeper had dropped it."
    tab.click("e Not every frame after all")
    assert (tab.clip, buttons.count()) == (DOUBT, 0)
    assert [action for action, *_ in told(out)] == ["every-frame", "drop", "undo", "undo"]
    tab.press("a")
    assert tab.clip == BOTH
    tab.press("ArrowUp")
    assert "accepted by keeper" in tab.page.inner_text(".frame-line")
    tab.press("a")
    assert (tab.clip, buttons.count()) == (DOUBT, 0) and told(out)[-1] == ("undo", DOUBT, None)


def test_the_label_view_by_keys(out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("l")
    assert tab.page.locator(".three img").count() == 3
    tab.press("i", "m", "m", "t")
    field = tab.page.get_by_label("City", exact=True)
    field.fill("")
    field.focus()
    tab.page.keyboard.type("rome atlantis")  # keys of actions are letters here
    tab.press("Enter")
    assert "unknown city 'rome atlantis'" in tab.said and field.input_value() == "rome atlantis"
    assert [person.refused.pop()] == [400]
    field.fill("madrid")
    tab.page.get_by_label("for all 2 clips of this video").check()
    field.press("Enter")
    tab.rest()
    marks = [(one.action, one.value) for one in decisions(out)[:4]]
    assert marks == [("mark", "indoor"), ("mark", "montage"), ("unmark", "montage"), ("mark", "title-card")]
    assert {(one.clip_id, one.value) for one in decisions(out)[4:]} == {(DOUBT, "Madrid"), (EMPTY, "Madrid")}
    offered = tab.page.evaluate("[...document.querySelectorAll('#cities option')].map((one) => one.value)")
    assert offered[0] == "Tokyo" and len(offered) == len(set(offered)) > 100
    tab.page.locator("h1").click()
    tab.press("l")
    assert tab.page.locator("main[data-view=clip]").count() == 1


def test_frames_and_clips_by_arrows(person: Reviewer) -> None:
    tab = person.open()
    assert (tab.clip, tab.frame) == (DOUBT, 5)
    tab.press("ArrowRight")
    assert tab.frame == 5 and "no other frame" in tab.said
    tab.press("ArrowLeft")
    assert tab.frame == 1  # those with a box
    tab.press("ArrowUp")
    assert tab.clip == DOUBT and "first clip" in tab.said
    seen = [tab.clip]
    for _ in range(3):
        tab.press("ArrowDown")
        seen.append(tab.clip)
    assert tuple(seen) == QUEUE
    tab.press("ArrowDown")
    assert "last clip" in tab.said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_a_finger(browser: Any, out: Path, scheme: str) -> None:
    with served(out) as link:
        person = Reviewer(browser, link, width=390, scheme=scheme)
        tab = person.open()
        for key in ("", "e", "l"):
            if key:
                tab.press(key)
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390, key
            small = tab.page.evaluate("""[...document.querySelectorAll("main button, header button, summary")]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
                .map((one) => one.textContent)""")
            assert small == [], key
        paper = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) > 384) == (scheme == "light")
        person.context.close()
        assert person.faults == []


def test_every_button_and_picture_has_a_name_and_focus_is_seen(person: Reviewer) -> None:
    tab = person.open()
    for key in ("", "l"):
        if key:
            tab.press(key)
        nameless = tab.page.evaluate("""[...document.querySelectorAll("button, img, input")]
            .filter((one) => !(one.getAttribute("aria-label") || one.alt || one.textContent.trim()
                || one.labels?.length))
            .map((one) => one.outerHTML)""")
        assert nameless == []
    tab.press("Tab")
    assert tab.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def test_the_help_names_every_key_and_makes_a_link_for_somebody_else(browser: Any, out: Path, person: Reviewer) -> None:
    tab = person.open()
    tab.press("?")
    keys = set(tab.page.locator(".keys kbd").all_text_contents())
    assert {"a", "r", "b", "d", "e", "x", "u", "l", "z", "h", "?", "←", "→", "↑", "↓"} <= keys
    tab.page.get_by_label("Another browser or reviewer").fill("Guest")
    tab.click("Make a link")
    link = str(tab.page.locator("#invite output").text_content())
    guest = Reviewer(browser, link)
    other = guest.open()
    assert other.clip == BOTH  # the first one is taken
    other.press("r", "r")
    assert [(one.reviewer, one.clip_id) for one in decisions(out)] == [("Guest", BOTH)]
    guest.context.close()
    tab.press("Escape")
    assert not tab.page.locator("dialog#help").is_visible()


def test_hostile_text_runs_nothing(browser: Any, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'"
    out = write_reviewed(tmp_path / "out", title=hostile)
    with served(out, reviewer=hostile) as link:
        person = Reviewer(browser, link)
        tab = person.open()
        assert hostile in tab.page.inner_text(".where")
        tab.press("a", "l", "l")
        person.context.close()
        assert person.faults == []
