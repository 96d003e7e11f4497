"""The page in a real browser: it draws every input, answers the reader, and asks no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from cityguessr_data.stats.page.page import page
from cityguessr_data.stats.page.theme import DARK, LIGHT
from cityguessr_data.stats.page.words import place, short
from cityguessr_data.stats.results import Stats
from tests.support_page import Visitor, all_text, first, marks, names, undrawn, until
from tests.support_stats import counts_only, full, hostile, nothing

FULL = full()
CITY = FULL.levels["city"]
assert CITY is not None
ANOTHER = full(3, "another")
ONE = counts_only([("Only_City", 12)], "one")
MANY = counts_only([(f"Town_{i}", (i * 3779) % 2111 + 1) for i in range(2_000)], "many")
PART = counts_only([(f"Town_{i}", i + 1) for i in range(30)], "part", above=False)


@pytest.fixture(scope="module")
def tab(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One page with every section and a comparison, for tests that set all that they look at."""
    visitor = Visitor(browser, tmp_path_factory.mktemp("page"))
    yield visitor(FULL, (ANOTHER, PART))
    visitor.leave()


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

    def test_a_table_of_counts_has_one_sentence_for_what_it_cannot_know(self, visit: Visitor) -> None:
        tab = visit(PART)
        linked = tab.locator("nav a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
        assert linked == ["#evenness", "#classes", "#map"]
        assert tab.locator("main section").count() == 3
        assert "footage, faces, scenes, sources, near-duplicates and leakage are blank" in tab.inner_text("main")
        told = tab.locator("header dl").inner_text()
        assert "source videos" not in told and "footage" not in told
        assert "not known" in told, "a state could have been known"

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

    def test_lines_of_median_and_fullest_bin(self, tab: Any) -> None:
        for level, found in FULL.levels.items():
            assert found is not None
            said = tab.locator(f"[data-chart=histogram-{level}] svg text").all_text_contents()
            assert f"median {short(found.per_class.median)}" in said
            fullest = found.per_class.counts.index(max(found.per_class.counts))
            low, high = found.per_class.edges[fullest : fullest + 2]
            assert f"fullest bin {low:,g}" + (f" to {high - 1:,g}" if high - low > 1 else "") in said

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


class TestRoom:
    def test_dots_at_0_leave_the_names_free(self, visit: Visitor) -> None:
        tab = visit(ONE)
        dots = tab.locator("[data-chart=whiskers] .mark-symbol.role-mark > path")
        texts = tab.locator("[data-chart=whiskers] .role-axis-label text").filter(has_text=re.compile("^[A-Z]"))
        assert dots.count() == 8 and texts.count() == 4
        ends = [box["x"] + box["width"] for label in texts.all() if (box := label.bounding_box())]
        starts = [box["x"] for dot in dots.all() if (box := dot.bounding_box())]
        assert max(ends) < min(starts)

    def test_no_word_of_a_table_breaks_on_a_phone(self, visit: Visitor) -> None:
        tab = visit(FULL, (ANOTHER,), 390)
        broken = tab.evaluate(
            """() => {
            document.querySelectorAll("details").forEach((closed) => { closed.open = true });
            const range = document.createRange();
            return [...document.querySelectorAll("td")].flatMap((cell) => {
              if (!cell.firstChild || !cell.offsetWidth) return [];
              return [...cell.textContent.matchAll(/[A-Za-z]+/g)].filter((word) => {
                range.setStart(cell.firstChild, word.index);
                range.setEnd(cell.firstChild, word.index + word[0].length);
                return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
              }).map((word) => word[0]) }) }"""
        )
        assert broken == []
        assert not tab.locator("#evenness th", has_text="What it says").is_visible()

    def test_paper_shows_whole_tables_on_white(self, visit: Visitor) -> None:
        tab = visit(FULL, (ANOTHER,), 720, "dark")
        tab.emulate_media(media="print", color_scheme="dark")
        assert (
            tab.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card')").strip() == LIGHT.card
        )
        for scheme, turned in (("dark", True), ("light", False)):
            tab.emulate_media(media="print", color_scheme=scheme)
            until(lambda scheme=scheme: tab.locator(f"html[data-theme={scheme}]").count() == 1)  # type: ignore[misc]
            shown = tab.locator("[data-chart=lorenz] svg").evaluate("(svg) => getComputedStyle(svg).filter")
            assert ("invert" in shown) == turned
        cut = tab.evaluate(
            """() => [...document.querySelectorAll(".scroll")]
            .filter((box) => box.offsetWidth && box.scrollWidth > box.clientWidth + 1)
            .map((box) => box.getAttribute("aria-label"))"""
        )
        assert cut == []


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
        said = tab.locator("#classes .nothing")
        assert said.inner_text() == "No class of this level has “zzz' + alert(1) + '” in its name."
        assert not tab.locator("[data-chart=names]").is_visible()
        tab.fill("[data-param=search]", "tokyo")
        until(lambda: names(tab) == ["Tokyo"])
        assert not said.is_visible()
        assert tab.locator("[data-chart=names] svg").is_visible()

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
