"""The page of a sample in a real browser: ours stay hidden until a frame is finished, then it is closed."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.review.recall_report import RecallReport
from cityguessr_data.review.sampling import SampleConfig, look_and_report
from tests.support_page import chromium, until
from tests.support_review import FRAMES, SIZE, colour_of, decisions, told, write_reviewed

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")

FACE, FALSE = (40.0, 40.0, 100.0, 120.0), (200.0, 40.0, 240.0, 90.0)
CLIPS = {f"v_{n}_00000": [(p, s, box) for p in range(FRAMES) for s, box in ((0.9, FACE), (0.7, FALSE))] for n in (1, 2)}
TAB = "0" * 32


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_reviewed(tmp_path / "out", CLIPS)


@contextmanager
def sampling(out: Path, n: int) -> Iterator[tuple[str, queue.Queue[Any]]]:
    """The page of a sample in this process: its link, and where the report arrives."""
    links: queue.Queue[Any] = queue.Queue()
    stop = threading.Event()

    def run() -> None:
        try:
            links.put(look_and_report(SampleConfig(out, "keeper", n), links.put, stop))
        except Exception as exc:
            links.put(exc)
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    link = links.get(timeout=60)
    assert isinstance(link, str), link
    try:
        yield link, links
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


class Tab:
    """A tab with the few things that a person does on the page; it notes every fault of the browser's."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def open(self, address: str) -> Tab:
        self.page.goto(address)
        self.rest()
        return self

    def rest(self) -> None:
        until(lambda: self.page.locator("html[data-ready]").count() == 1)
        until(lambda: self.page.locator("body[aria-busy]").count() == 0)
        until(lambda: self.page.evaluate("[...document.images].every((one) => one.complete)"))

    @property
    def n(self) -> int:
        return int(self.page.locator("#sample").get_attribute("data-n"))

    @property
    def names(self) -> list[str]:
        return [str(one) for one in self.page.locator("#boxes li").all_text_contents()]

    @property
    def kinds(self) -> list[str]:
        return [str(one.get_attribute("class")).split()[1] for one in self.page.locator(".stage .box").all()]

    @property
    def said(self) -> str:
        return str(self.page.locator("#said").text_content())

    def drag(self, box: tuple[float, float, float, float]) -> None:
        shown = self.page.locator(".stage svg").bounding_box()
        k = shown["width"] / SIZE[0]
        x0, y0, x1, y1 = (v * k for v in box)
        self.page.mouse.move(shown["x"] + x0, shown["y"] + y0)
        self.page.mouse.down()
        self.page.mouse.move(shown["x"] + x1 - 3, shown["y"] + y1 - 3)
        self.page.mouse.move(shown["x"] + x1, shown["y"] + y1)
        self.page.mouse.up()
        self.rest()

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)
        self.rest()

    def finish(self) -> None:
        self.page.keyboard.press("a")
        until(lambda: self.page.locator("#next").count() == 1)
        self.rest()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    yield opened
    opened.close()


def test_a_whole_sample(out: Path, context: Any) -> None:
    """Draw by mouse and by keys, finish, see ours, blur what was missed, go on until the figures come."""
    with sampling(out, 2) as (link, told_later):
        tab = Tab(context).open(link)
        content = tab.page.content()
        assert "blurred by cgtool" not in content and not re.search(r"<rect", content)  # ours are not even in the page
        tab.drag(FACE)
        assert tab.said.startswith("Drawn.") and tab.kinds == ["drawn"]
        tab.press("d")
        for _ in range(3):
            tab.page.keyboard.press("Shift+ArrowRight")
        tab.press("Enter")  # 30 by 30 in the middle, wider by three steps of 2
        assert len(tab.names) == 2 and "36 by 30 px" in tab.names[1]
        assert [action for action, _, _ in told(out)] == ["drawn", "drawn"]
        tab.finish()
        assert sorted(tab.kinds) == ["false", "found", "missed", "ours"]
        assert "1 missed" in tab.page.inner_text(".legend")
        first = tab.n
        tab.press("b")
        assert "1 missed face will be blurred" in tab.said and tab.page.locator("#blur").count() == 0
        tab.page.keyboard.press("n")
        tab.page.wait_for_url(lambda url: f"/sample/{first}" not in url)
        tab.rest()
        tab.finish()  # nothing drawn: both of ours are false
        assert tab.kinds == ["false", "false"]
        tab.page.keyboard.press("n")
        until(lambda: "The sample is finished" in tab.page.inner_text("body"))
        report = told_later.get(timeout=30)
        assert isinstance(report, RecallReport), report
        assert tab.faults == []
    assert report.n_left == 0 and report.measured is not None
    row = report.measured.all
    assert (row.recall.hits, row.recall.n, row.precision.hits, row.precision.n) == (1, 2, 1, 4)
    drawn = [one for one in decisions(out) if one.action in ("drawn", "draw")]
    assert [one.action for one in drawn] == ["drawn", "drawn", "draw"] and drawn[2].box == drawn[1].box
    assert {one.reviewer for one in decisions(out)} == {"keeper"}
    assert drawn[0].box == pytest.approx(FACE, abs=1.0)


def test_undo_a_click_and_a_face_drawn_twice(out: Path, context: Any) -> None:
    with sampling(out, 1) as (link, _):
        tab = Tab(context).open(link)
        tab.drag(FACE)
        tab.drag((42, 42, 102, 122))
        assert "has a box already" in tab.said and len(tab.names) == 1
        tab.press("u")
        assert tab.names == [] and tab.kinds == []
        tab.press("u")
        assert "nothing is drawn" in tab.said
        tab.drag((150.0, 150.0, 150.5, 150.5))
        assert "That was no box" in tab.said and tab.page.locator("rect.pen").count() == 0
        tab.press("d")
        tab.press("Escape")
        assert tab.page.locator("rect.pen").count() == 0
    assert [action for action, _, _ in told(out)] == ["drawn", "undo"]


def test_a_stop_and_a_second_tab(out: Path, context: Any) -> None:
    """What was drawn is there after a stop; two tabs get different frames; a closed frame takes no box."""
    with sampling(out, 3) as (link, _):
        tab = Tab(context).open(link)
        tab.drag(FACE)
        site, n = "/".join(link.split("/")[:3]), tab.n
        other = Tab(context).open(f"{site}/")
        assert other.n != n
        late = Tab(context).open(f"{site}/sample/{n}")
        assert late.kinds == ["drawn"]
        tab.finish()
        late.drag((150, 100, 200, 160))
        assert "takes no box any more" in late.said and late.kinds == ["drawn"]
    with sampling(out, 3) as (link, _):
        tab = Tab(context).open(link)
        assert tab.page.inner_text(".sample-head").count("1 of 3")
        assert tab.n != n


def test_ours_are_in_no_answer_before_the_frame_is_finished(out: Path, context: Any) -> None:
    with sampling(out, 1) as (link, _):
        tab = Tab(context)
        answers: list[bytes] = []
        tab.page.on("response", lambda answer: answers.append(answer.body()) if answer.ok else None)
        tab.open(link)
        tab.drag((150, 150, 200, 200))
        pictures = [one for one in answers if one.startswith(b"\xff\xd8")]
        assert [colour_of(one) for one in pictures] == ["red"]  # the original, not the blurred one
        assert not any(b"blurred by cgtool" in one or b"&#34;ours" in one or b'"ours"' in one for one in answers)


def test_a_frame_whose_picture_is_not_there_takes_no_key(out: Path, context: Any) -> None:
    """The picture is held back: neither keys nor the mouse do anything, and the server would not close it either."""
    held: list[Any] = []
    free = threading.Event()
    context.route("**/sample/*.jpg", lambda route: route.continue_() if free.is_set() else held.append(route))
    with sampling(out, 1) as (link, _):
        tab = Tab(context)
        tab.page.goto(link, wait_until="domcontentloaded")
        until(lambda: tab.page.locator("html[data-ready]").count() == 1 and bool(held))
        for act in (lambda: tab.page.keyboard.press("a"), lambda: tab.page.click("#finish")):
            tab.page.evaluate("document.getElementById('said').textContent = ''")
            act()
            until(lambda: "not there yet" in tab.said)
        tab.page.keyboard.press("d")
        shown = tab.page.locator(".stage svg").bounding_box()
        tab.page.mouse.move(shown["x"] + 20, shown["y"] + 20)
        tab.page.mouse.down()
        tab.page.mouse.move(shown["x"] + 90, shown["y"] + 90)
        tab.page.mouse.up()
        assert tab.page.locator("rect.pen").count() == 0
        status = tab.page.evaluate(
            """async (tab) => (await fetch(`${location.pathname}/finish`, {
                method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ tab }),
            })).status""",
            TAB,
        )
        assert status >= 400 and decisions(out) == []
        free.set()
        for route in held:
            route.continue_()
        tab.rest()
        tab.finish()
        assert [action for action, _, _ in told(out)] == ["looked"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow(out: Path, browser: Any, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    with sampling(out, 1) as (link, _):
        tab = Tab(context).open(link)
        assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
        tab.finish()
        assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
        assert tab.page.get_by_role("img").get_attribute("alt")
        assert tab.faults == []
    context.close()
