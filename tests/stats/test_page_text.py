"""Text on the page: from outside it stays text, numbers and names read well, and the file is whole or not there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.stats.comparison import Comparison, Difference
from cityguessr_data.stats.distribution import describe
from cityguessr_data.stats.page.charts.histogram import bins, fullest_bin
from cityguessr_data.stats.page.page import page, write_page
from cityguessr_data.stats.page.sections.comparison import comparison
from cityguessr_data.stats.page.sections.evenness import evenness
from cityguessr_data.stats.page.words import interval, number, percent, place, plain, search_key, short
from cityguessr_data.stats.results import Interval
from tests.support_page import READY, Visitor, until
from tests.support_stats import HOSTILE, counts_only, hostile

ONE = counts_only([("Only_City", 12)], "one")


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
        tab.wait_for_selector(READY)
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

    @pytest.mark.parametrize(
        ("values", "shown"), [([3, 3, 4], "3"), ([*range(90), 7], "5 to 9"), ([0.5, 0.63, 0.65, 3.5], "0.6 to 0.7")]
    )
    def test_fullest_in_words(self, values: Sequence[float], shown: str) -> None:
        found = describe(values)
        assert found is not None
        assert fullest_bin(found) == shown


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


class TestFewClasses:
    @pytest.mark.parametrize(
        ("change", "rough", "shown", "verdict"),
        [
            (Interval(-0.12, -0.16, -0.08), False, "−0.12 (−0.16 to −0.08)", "● yes"),
            (Interval(-0.12, -0.16, -0.08), True, "−0.12 (−0.16 to −0.08) ≈", "too few classes"),
            (Interval(-0.12, -0.16, 0.08), False, "−0.12 (−0.16 to +0.08)", "not clearly"),
            (Interval(-0.12, None, None), True, "−0.12 (–)", "no interval"),
        ],
    )
    def test_differ_by_no_verdict(self, change: Interval, rough: bool, shown: str, verdict: str) -> None:
        compared = Comparison(("one", "two"), (), (Difference("city", "gini", "two", change, rough),))
        section = comparison(ONE, compared, ())
        assert section is not None
        table = section.parts[-1]
        assert table.kind == "table"
        assert [cell.text.replace("\u00a0", " ") for cell in table.rows[0].cells[3:]] == [shown, verdict]
        assert ("≈ rough" in table.note) == ("≈" in shown)
        assert (table.rows[0].cells[3].style == "strong") == ("yes" in verdict)

    @pytest.mark.parametrize(
        ("n", "mark", "top"),
        [(1, False, ": 10 % with 1 city."), (6, True, ": 60 % with 6 cities."), (12, True, ""), (50, False, "")],
    )
    def test_are_marked_where_there_is_an_interval(self, n: int, mark: bool, top: str) -> None:
        stats = counts_only([(f"Town_{i}", i + 3) for i in range(n)], above=False)
        table = evenness(stats).parts[0]
        assert table.kind == "table"
        assert any("≈" in cell.text for row in table.rows for cell in row.cells) == mark
        assert ("≈ rough (cities)" in table.note) == mark
        assert ("is a part of the largest one" in table.note) == bool(top)
        assert top in table.note.replace("\u00a0", " ")


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
