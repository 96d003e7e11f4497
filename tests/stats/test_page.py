"""The page in a real browser: it draws, answers, asks no network, and text from outside stays text."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.stats.distribution import describe
from cityguessr_data.stats.page.charts.histogram import bins
from cityguessr_data.stats.page.page import page, write_page
from cityguessr_data.stats.page.theme import DARK
from cityguessr_data.stats.page.words import interval, number, percent, place, plain, search_key, short
from cityguessr_data.stats.results import Interval, Stats
from tests.support_stats import HOSTILE, compared, counts_only, full, hostile, nothing

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
_READY = "html[data-drawn]"


FULL = full()
CITY = FULL.levels["city"]
assert CITY is not None
ANOTHER = full(3, "another")
ONE = counts_only([("Only_City", 12)], "one")
MANY = counts_only([(f"Town_{i}", (i * 3779) % 2111 + 1) for i in range(2_000)], "many")
PART = counts_only([(f"Town_{i}", i + 1) for i in range(30)], "part", above=False)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; the tests that need it are skipped where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="the page is opened by playwright: pip install playwright")
    if _CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (a failure where CGTOOL_NO_SKIP is set)")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visitor:
    """Opens pages from disk and keeps what they say, throw and ask for."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder
        self.faults: list[str] = []
        self.tabs: list[Any] = []

    def __call__(self, stats: Stats, others: tuple[Stats, ...] = (), width: int = 1280, scheme: str = "light") -> Any:
        path = self.folder / f"{len(self.tabs)}.html"
        write_page(stats, compared(stats, others) if others else None, others, path)
        tab = self.browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.tabs.append(tab)
        tab.on("console", lambda message: self.faults.append(f"console {message.type}: {message.text}"))
        tab.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))
        tab.on("request", lambda request: self._asked(request.url))
        tab.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        tab.goto(path.as_uri())
        tab.wait_for_selector(_READY)
        return tab

    def _asked(self, url: str) -> None:
        if not url.startswith("file:"):
            self.faults.append(f"asked: {url}")

    def leave(self) -> None:
        for tab in self.tabs:
            tab.close()
        assert self.faults == []


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Visitor]:
    """At the end nothing may have been said, thrown or asked for."""
    visitor = Visitor(browser, tmp_path)
    yield visitor
    visitor.leave()


@pytest.fixture(scope="module")
def tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One page with every section and a comparison, for tests that set all that they look at."""
    visitor = Visitor(browser, tmp_path_factory.mktemp("page"))
    yield visitor(FULL, (ANOTHER, PART))
    visitor.leave()


def until(condition: Callable[[], bool]) -> None:
    """Wait for a plot to follow; the page's policy forbids playwright's own way, which evaluates text."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the plot did not follow"
        time.sleep(0.02)


def marks(tab: Any, chart: str, kind: str = "rect") -> int:
    """How many marks of a kind a chart has, without axes and the window over the skyline."""
    return int(tab.locator(f"[data-chart={chart}] svg .mark-{kind}[class*=marks] > path").count())


def first(tab: Any, chart: str) -> Any:
    return tab.locator(f"[data-chart={chart}] svg .mark-rect[class*=marks] > path").first


def names(tab: Any) -> list[str]:
    """What the list of classes shows."""
    return list(tab.locator("[data-chart=names] .role-axis-label text").all_text_contents())


def undrawn(tab: Any) -> list[str]:
    """Charts without a mark; a chart that is hidden on purpose is not asked for."""
    return list(
        tab.evaluate(
            """() => [...document.querySelectorAll("[data-chart]")]
            .filter((box) => !box.parentElement.hidden)
            .filter((box) => !box.querySelector(`svg :is(.mark-rect, .mark-line, .mark-symbol)[class*=marks] path`))
            .map((box) => box.dataset.chart)"""
        )
    )


def all_text(tab: Any) -> str:
    """All text of the page, that of closed tables and of plots with it."""
    return str(
        tab.evaluate(
            """() => {
            document.querySelectorAll("details").forEach((closed) => { closed.open = true });
            const texts = [...document.querySelectorAll("svg text")].map((text) => text.textContent);
            return [document.body.innerText, ...texts].join("\\n") }"""
        )
    )


class TestEveryInput:
    @pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
    @pytest.mark.parametrize("stats", [FULL, ONE, PART, nothing(), hostile()], ids=lambda s: s.name[:12])
    def test_draws_fits_and_says_no_nonsense(self, visit: Visitor, stats: Stats, width: int, scheme: str) -> None:
        tab = visit(stats, (ANOTHER, ONE) if stats is FULL else (), width, scheme)
        assert undrawn(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert not re.search(r"\b(NaN|undefined|null|None|Infinity|nan|inf)\b", all_text(tab))
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "with the tables open"

    def test_two_thousand_classes(self, visit: Visitor) -> None:
        tab = visit(MANY)
        assert undrawn(tab) == []
        assert marks(tab, "skyline") == 2_000
        tab.fill("[data-param=search]", "town 1999")
        until(lambda: marks(tab, "names") == 1)
        assert tab.locator("#classes output").first.inner_text() == "1 of 2,000 match"

    def test_blank_sections_say_why(self, visit: Visitor) -> None:
        tab = visit(nothing())
        assert tab.locator("main section").count() == 9
        for section in tab.locator("main section").all():
            assert "Blank: " in section.inner_text()
        assert tab.locator("nav small", has_text="blank").count() == 9

    def test_size(self) -> None:
        assert len(page(FULL, None, ()).encode()) < 2_000_000


class TestPlots:
    def test_every_plot_has_words_a_description_and_its_numbers(self, tab: Any) -> None:
        plots = tab.locator(".plot").all()
        assert len(plots) == 24
        for plot in plots:
            assert plot.locator("h3").inner_text()
            assert len(plot.locator("> p").first.inner_text()) > 15
            assert plot.locator("details tbody tr").count() > 0
            for chart in plot.locator("[data-chart]").all():
                assert len(chart.get_attribute("aria-label") or "") > 15

    def test_lines_of_median_and_mode(self, tab: Any) -> None:
        for level, found in FULL.levels.items():
            assert found is not None
            said = tab.locator(f"[data-chart=histogram-{level}] svg text").all_text_contents()
            assert f"median {short(found.per_class.median)}" in said
            assert f"mode {short(found.per_class.mode)}" in said

    def test_a_bar_is_as_high_as_its_count(self, tab: Any) -> None:
        heights = tab.locator("[data-chart=histogram-city] .mark-rect.layer_0_marks > path").evaluate_all(
            "(bars) => bars.map((bar) => bar.getBBox().height)"
        )
        counts = CITY.per_class.counts
        assert heights == pytest.approx([n * max(heights) / max(counts) for n in counts], abs=0.02)

    def test_area_of_a_bubble_goes_by_its_clips(self, tab: Any) -> None:
        widths = tab.locator("[data-chart=map] .mark-symbol.role-mark > path").evaluate_all(
            "(bubbles) => bubbles.map((bubble) => bubble.getBBox().width)"
        )
        areas = [width * width for width in widths]
        most = CITY.classes[0].n_clips
        assert areas == pytest.approx([c.n_clips / most * areas[0] for c in CITY.classes], rel=0.02)

    def test_map_zooms(self, tab: Any) -> None:
        bubble = tab.locator("[data-chart=map] .mark-symbol.role-mark > path").first
        before = bubble.get_attribute("transform")
        tab.select_option("[data-param=view]", label="Europe")
        until(lambda: bubble.get_attribute("transform") != before)
        tab.select_option("[data-param=view]", label="World")
        until(lambda: bubble.get_attribute("transform") == before)

    def test_cities_off_the_map_are_named(self, visit: Visitor) -> None:
        said = visit(PART).locator("#map").inner_text()
        assert "30 cities are not on the map" in said
        assert "Town 29 (30)" in said

    def test_follows_the_system_from_light_to_dark(self, visit: Visitor) -> None:
        tab = visit(FULL)

        def look() -> tuple[str, str, str]:
            label = tab.locator("[data-chart=skyline] .role-axis-label text").first
            paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
            return paper, first(tab, "skyline").get_attribute("fill"), label.get_attribute("fill")

        light = look()
        tab.select_option("#classes [data-param=level]", "country")
        tab.emulate_media(color_scheme="dark")
        tab.wait_for_selector("html[data-drawn='2']")
        dark = look()
        assert all(a != b for a, b in zip(light, dark, strict=True))
        assert dark[1] == DARK.accent
        assert marks(tab, "skyline") == 91, "what the reader chose is kept"


class TestControls:
    @pytest.fixture(autouse=True)
    def _as_at_first(self, tab: Any) -> None:
        tab.fill("[data-param=search]", "")
        tab.select_option("#classes [data-param=level]", "city")
        until(lambda: marks(tab, "names") == 166)

    def test_level(self, tab: Any) -> None:
        tab.select_option("#classes [data-param=level]", "country")
        until(lambda: marks(tab, "names") == 91)
        assert marks(tab, "skyline") == 91
        assert tab.locator("#classes .plot").first.locator("tbody tr:not([hidden])").count() == 91
        assert tab.locator("[data-chart=names] svg").bounding_box()["height"] == pytest.approx(91 * 20, abs=30)
        tab.select_option("#classes [data-param=level]", "continent")
        until(lambda: marks(tab, "names") == 6)
        assert not tab.locator("[data-chart=skyline]").is_visible(), "six bars need no overview"

    def test_search(self, tab: Any) -> None:
        for typed in ("rio de janeiro", "Rio_de_J", "RIO  DE", "río dé"):
            tab.fill("[data-param=search]", typed)
            until(lambda: names(tab) == ["Rio de Janeiro"])
            assert tab.locator("[data-chart=skyline] .mark-rect > path[opacity='0.18']").count() == 165
            rows = tab.locator("#classes .plot").first.locator("tbody tr:not([hidden])")
            assert rows.locator("td:nth-child(2)").all_text_contents() == ["Rio de Janeiro"]
            tab.fill("[data-param=search]", "")
            until(lambda: marks(tab, "names") == 166)

    def test_search_for_what_is_not_there(self, tab: Any) -> None:
        tab.fill("[data-param=search]", "zzz' + alert(1) + '")
        until(lambda: marks(tab, "names") == 0)
        assert tab.locator("#classes output").first.inner_text() == "0 of 166 match"

    def test_ranks(self, tab: Any) -> None:
        tab.click("[data-ranks=last]")
        until(lambda: names(tab) == [place(c.name) for c in CITY.classes[-30:]])
        tab.click("[data-ranks=first]")
        until(lambda: names(tab) == [place(c.name) for c in CITY.classes[:30]])
        tab.click("[data-ranks=all]")
        until(lambda: marks(tab, "names") == 166)

    def test_window_dragged_over_the_skyline(self, tab: Any) -> None:
        tab.locator("[data-chart=skyline]").scroll_into_view_if_needed()
        box = tab.locator("[data-chart=skyline] svg .background").first.bounding_box()
        y = box["y"] + box["height"] / 2
        tab.mouse.move(box["x"] + box["width"] * 0.25, y)
        tab.mouse.down()
        tab.mouse.move(box["x"] + box["width"] * 0.5, y, steps=4)
        tab.mouse.up()
        until(lambda: abs(marks(tab, "names") - 166 / 4) <= 2)
        assert names(tab)[0] in [place(c.name) for c in CITY.classes[39:44]]

    def test_legend_brings_out_a_curve(self, tab: Any) -> None:
        faded = tab.locator("[data-chart=lorenz] .mark-line path[opacity='0.2']")
        button = tab.locator("#evenness [data-pick]").nth(2)
        for pressed, n_faded in (("true", 3), ("false", 0)):
            button.focus()
            tab.keyboard.press("Enter")
            until(lambda n=n_faded: faded.count() == n)  # type: ignore[misc]
            assert button.get_attribute("aria-pressed") == pressed

    def test_compared_curves_follow_the_level(self, tab: Any) -> None:
        curves = tab.locator("[data-chart=lorenz-compared] .mark-line path")
        for level, n in (("state", 2), ("city", 3)):
            tab.select_option("#comparison [data-param=level]", level)
            until(lambda n=n: curves.count() == n + 1)  # type: ignore[misc]  # and the diagonal

    def test_sort_by_mouse_and_keyboard(self, tab: Any) -> None:
        table = tab.locator("#sources table", has=tab.locator("th", has_text="Title"))
        clips, titles = table.locator("th", has_text="Clips"), table.locator("th", has_text="Title")

        def column(i: int) -> list[str]:
            return list(table.locator(f"tbody tr td:nth-child({i})").all_text_contents())

        shuffled = column(2)
        clips.locator("button").click()
        assert clips.get_attribute("aria-sort") == "descending"
        assert [int(n) for n in column(5)] == sorted((int(n) for n in column(5)), reverse=True)
        clips.locator("button").focus()
        tab.keyboard.press("Enter")
        assert clips.get_attribute("aria-sort") == "ascending"
        assert [int(n) for n in column(5)] == sorted(int(n) for n in column(5))
        titles.locator("button").focus()
        tab.keyboard.press("Space")
        assert titles.get_attribute("aria-sort") == "ascending"
        assert clips.get_attribute("aria-sort") is None
        assert column(2) == [f"Walking tour {i} in 4K" for i in range(250)]
        assert sorted(shuffled) == sorted(column(2)), "no row is lost"

    def test_unknown_numbers_sort_last_both_ways(self, tab: Any) -> None:
        table = tab.locator("#leakage table")
        for _ in range(2):
            table.locator("th", has_text="Near-duplicate").locator("button").click()
            assert table.locator("tbody tr td:nth-child(6)").all_text_contents()[-1] == "–"


class TestHostileText:
    def test_tooltips_show_it_as_text(self, visit: Visitor) -> None:
        tab = visit(hostile())
        cell = tab.locator("#tooltip:not([hidden]) dd").first
        for i, name in enumerate(HOSTILE):
            tab.locator("[data-chart=names] .mark-rect[class*=marks] > path").nth(i).hover()
            shown = place(name)
            until(lambda shown=shown: cell.count() == 1 and cell.text_content() == shown)  # type: ignore[misc]
            assert tab.locator("#tooltip :is(script, img, svg, b, iframe)").count() == 0
        assert tab.evaluate("window.hacked") is None

    def test_no_markup_of_it_anywhere(self, visit: Visitor) -> None:
        tab = visit(hostile(), (hostile(),))
        assert tab.evaluate("window.hacked") is None
        assert tab.locator("img, iframe, [onerror], [onload]").count() == 0
        assert tab.locator("script").count() == 3
        assert tab.locator("h1").inner_text() == HOSTILE[0]
        assert tab.locator(".notes li").nth(1).inner_text() == HOSTILE[1]

    def test_script_that_slipped_in_would_not_run(self, visit: Visitor, browser: Any, tmp_path: Path) -> None:
        """The policy is the second wall: markup put into the page by hand runs nothing and fetches nothing."""
        markup = page(ONE, None, ()).replace(
            "<header>",
            "<script>window.hacked = 1</script>"
            "<img src='https://example.org/x.png' onerror='window.hacked = 2'><header>",
            1,
        )
        path = tmp_path / "slipped.html"
        path.write_text(markup, encoding="utf-8")
        tab = browser.new_page()
        answered: list[str] = []
        tab.on("response", lambda response: answered.append(response.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector(_READY)
        assert tab.evaluate("window.hacked") is None
        assert [url for url in answered if not url.startswith("file:")] == []
        tab.close()

    def test_nothing_can_end_the_json(self) -> None:
        markup = page(hostile(), None, ())
        inside = markup.split('<script type="application/json" id="charts">')[1].split("</script>")[0]
        assert not re.search("[<>&\u2028\u2029]", inside)
        names = [row["label"] for row in json.loads(inside)["datasets"]["classes"]]
        assert plain(HOSTILE[3]) in names

    def test_policy_allows_no_network(self) -> None:
        found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page(ONE, None, ()))
        assert found is not None
        policy = dict(part.strip().split(" ", 1) for part in found[1].replace("&#39;", "'").split(";"))
        assert policy["default-src"] == "'none'"
        assert not re.search("unsafe|http|\\*", policy["script-src"])


class TestBins:
    @pytest.mark.parametrize(
        ("values", "ranges"),
        [
            ([3, 3, 4], ["3", "4"]),
            ([30.0, 30.0], ["30"]),
            (range(90), ["0 to 4", "5 to 9"]),
            ([0.5, 0.6, 3.5], ["0.5 to below 0.6", "0.6 to below 0.7"]),
            ([100, 100, 101.5], ["100 to below 100.05", "100.05 to below 100.1"]),
        ],
    )
    def test_ranges_in_words(self, values: Sequence[float], ranges: list[str]) -> None:
        found = describe(values)
        assert found is not None
        rows = bins(found)
        assert [row["range"] for row in rows[:2]] == ranges
        assert sum(row["n"] for row in rows) == len(values)


class TestWords:
    def test_numbers(self) -> None:
        assert number(1234567.891, 1) == "1,234,567.9"
        assert number(-0.12) == "−0.12"
        assert number(-0.001) == "0.00"
        assert number(None) == "–"
        assert [short(x) for x in (411, 26.7333, 0.05, 0.0012, 1_499.5, 12_727.02, 0)] == [
            "411", "26.73", "0.05", "0.0012", "1,499.5", "12,727", "0",
        ]  # fmt: skip
        assert [percent(*x).replace("\u00a0", " ") for x in ((1, 8), (0, 8), (8, 8), (1, 1e6), (1, 0))] == [
            "12.5 %", "0 %", "100 %", "< 0.1 %", "–",
        ]  # fmt: skip

    def test_intervals(self) -> None:
        assert interval(Interval(0.36, 0.33, 0.4)) == "0.36 (0.33 to 0.40)"
        assert interval(Interval(0.36, None, None)) == "0.36 (–)"
        assert interval(Interval(-0.12, -0.16, 0.08), signed=True) == "−0.12 (−0.16 to +0.08)"
        assert (
            interval(Interval(0.312, 0.28, 0.351), 1, in_percent=True).replace("\u00a0", " ") == "31.2 % (28.0 to 35.1)"
        )

    def test_names(self) -> None:
        assert place("New_York") == "New York"
        assert plain("a\u202eb\x00\tc\u2028d") == "ab c d"
        assert plain(" \n ") == "(no name)"
        assert len(plain("x" * 500)) == 60
        assert search_key("São_Paulo ") == "sao paulo"


class TestWriting:
    def test_replaces_whole_and_leaves_nothing_beside(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "page.html"
        write_page(ONE, None, (), path)
        first = path.read_bytes()
        write_page(ONE, None, (), path)
        assert path.read_bytes() == first, "the same statistics make the same page"
        assert [p.name for p in path.parent.iterdir()] == ["page.html"]

    def test_a_failure_keeps_the_old_page(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "page.html"
        path.write_text("old")

        def full_disk(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full_disk)
        with pytest.raises(Exception, match="no space left"):
            write_page(ONE, None, (), path)
        assert path.read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
