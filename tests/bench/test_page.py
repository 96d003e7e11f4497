"""The page of an evaluation in a real browser: it draws, answers, says the right numbers, and asks no network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_bench.evaluate import evaluate
from cityguessr_bench.hierarchy import MODES
from cityguessr_bench.page.charts import confusion_map
from cityguessr_bench.page.report import report, write_report
from cityguessr_bench.results import FOUND, RANKS, FoldResults, LevelSpread, Origin, Spread
from cityguessr_data.core.types import LEVELS
from tests.support_page import Visitor, all_text, chromium, marks, undrawn, until
from tests.support_report import CASES, NAMES, frames, hostile, one, percent, shown, world


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def visitor(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """At the end nothing may have been said, thrown or asked for."""
    visitor = Visitor(browser, tmp_path_factory.mktemp("report"))
    yield visitor
    visitor.leave()


@pytest.fixture(scope="module")
def tab(visitor: Visitor) -> Any:
    """The page of all 166 cities, with pictures."""
    path = visitor.folder / "world.html"
    write_report(*world(), frames, path)
    return visitor.open(path)


def cells(tab: Any, caption: str) -> list[list[str]]:
    """The rows that a table shows."""
    rows = tab.locator("table", has=tab.locator(f"caption:text-is('{caption}')")).locator("tbody tr:not([hidden])")
    return [
        [shown(cell) for cell in row]
        for row in rows.evaluate_all("(rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent))")
    ]


class TestEveryInput:
    @pytest.mark.parametrize(
        ("name", "width", "scheme"),
        [("world", 390, "dark"), ("hostile", 390, "light"), ("hostile", 1440, "dark"), ("one", 1440, "light")],
    )
    def test_draws_fits_and_says_no_nonsense(self, visitor: Visitor, name: str, width: int, scheme: str) -> None:
        path = visitor.folder / f"{name}{width}.html"
        write_report(*CASES[name](), frames if width == 390 else None, path)
        tab = visitor.open(path, width, scheme)
        assert undrawn(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        text = all_text(tab)
        assert not re.search(r"\b(NaN|undefined|null|None|Infinity|nan|inf)\b", text)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "with the tables open"
        assert ("came without frames" in text) == (width == 1440)
        tab.close()

    def test_print_shows_whole_tables(self, visitor: Visitor) -> None:
        tab = visitor.open(_written(visitor, "one"), 720, "dark")
        tab.emulate_media(media="print", color_scheme="dark")
        cut = tab.locator(".scroll").evaluate_all(
            """(boxes) => boxes.filter((box) => box.offsetWidth && box.scrollWidth > box.clientWidth + 1)
            .map((box) => box.getAttribute("aria-label"))"""
        )
        assert cut == []


def _written(visitor: Visitor, name: str) -> Path:
    path = visitor.folder / f"{name}.html"
    write_report(*CASES[name](), None, path)
    return path


class TestNumbers:
    def test_every_mode_and_level(self, tab: Any) -> None:
        results = world()[0]
        rows = cells(tab, "Every mode and level")
        assert [(row[0], row[1]) for row in rows[:2]] == [("codependent", "Cities"), ("codependent", "States")]
        said = {(row[0], row[1]): row[2:] for row in rows}
        assert len(said) == 16
        for mode in MODES:
            for level, heading in zip(LEVELS, ("Cities", "States", "Countries", "Continents"), strict=True):
                scores = results.modes[mode].levels[level]
                row = said[mode, heading]
                assert row[0] == percent(scores.top1.value) and row[3] == percent(scores.top5.value)
                assert scores.top1.low_videos is not None and scores.top1.high_clips is not None
                assert row[1].startswith(f"{100 * scores.top1.low_videos:.1f} to ")
                assert row[2].endswith(f" to {100 * scores.top1.high_clips:.1f}")
                assert row[6:] == [percent(scores.macro), percent(results.priors[level].accuracy)]

    def test_headline_and_conflicts(self, tab: Any) -> None:
        results = world()[0]
        city = results.modes["codependent"].levels["city"].top1.value
        head = shown(tab.inner_text("header dl"))
        assert f"{percent(city)} prior {percent(results.priors['city'].accuracy)}" in head
        conflicts = {
            row[0]: row[1].split(" (")[0]
            for row in cells(tab, "Modes, and how often their levels contradict each other")
        }
        assert conflicts == {mode: percent(results.modes[mode].conflicts.value) for mode in MODES}

    def test_distances_and_calibration(self, tab: Any) -> None:
        results = world()[0]
        found = results.modes["codependent"].distances
        assert found is not None
        said = {row[0]: row[1].split(" (")[0] for row in cells(tab, "Errors")}
        for km, value in found.within.items():
            assert (
                said[next(name for name in said if name.startswith(f"Within {km:,} km"))]
                == f"{100 * value.value:.1f} %"
            )
        assert said["GeoScore"] == f"{found.geoscore.value:,.0f}"
        ece = {(row[0], row[1]): row[2] for row in cells(tab, "Expected calibration error")}
        assert ece["none", "States"] == f"{results.modes['none'].levels['state'].calibration.ece:.3f}"

    def test_maps_colour_every_city_by_its_share(self, tab: Any) -> None:
        results = world()[0]
        right = results.modes["codependent"].levels["continent"].right_by_city
        fills = tab.locator("[data-chart=map-continent] .mark-symbol.role-mark > path").evaluate_all(
            "(bubbles) => bubbles.map((bubble) => bubble.getAttribute('fill'))"
        )
        counts = [right[label] for label in range(165)]
        assert len(fills) == 165, "the city without clips has no bubble"
        assert sorted(fills.count(fill) for fill in set(fills)) == sorted(counts.count(n) for n in set(counts))
        tab.select_option("#map [data-param=mode]", "none")
        own = results.modes["none"].levels["continent"].right_by_city
        assert own != right

        def followed() -> bool:
            n = tab.locator("[data-chart=map-continent] .mark-symbol.role-mark > path").evaluate_all(
                "(all) => all.map((one) => one.getAttribute('fill'))"
            )
            return sorted(n.count(fill) for fill in set(n)) == sorted(own[:165].count(k) for k in set(own[:165]))

        until(followed)

    def test_confusion_map_has_a_cell_a_pair(self, tab: Any) -> None:
        results = world()[0]
        for level in ("city", "continent"):
            tab.select_option("#confusion .plot [data-param=level]", level)
            until(lambda level=level: tab.locator(f"[data-chart=confusion-{level}]").is_visible())  # type: ignore[misc]
            assert tab.locator("#confusion [data-chart]:visible").count() == 1
            counts = results.modes["codependent"].levels[level].confusion
            assert marks(tab, f"confusion-{level}") == np.count_nonzero(counts)
        side = tab.locator("[data-chart=confusion-continent] svg").bounding_box()
        assert side["width"] > 200, "it was hidden and has its width all the same"

    def test_neighbours_stand_together(self) -> None:
        classes = world()[2]
        order = confusion_map.order(classes, "city")
        assert sorted(order) == list(range(166))
        continents = [int(classes.paths[label, 3]) for label in order]
        assert sum(a != b for a, b in pairwise(continents)) == 5

    def test_galleries_count_and_mark(self, tab: Any) -> None:
        results = world()[0]
        headings = [shown(h) for h in tab.locator("#guesses h3, #examples h3").all_text_contents()]
        galleries = [*(results.by_rank[rank] for rank in RANKS), *(results.by_found[found] for found in FOUND)]
        assert [int(re.findall(r": ([\d,]+) clip", h)[0].replace(",", "")) for h in headings] == [
            g.n for g in galleries
        ]
        cards = tab.locator("#guesses .gallery > li")
        first = results.by_rank["first"].samples[0]
        names = [guess.label for guess in first.guesses]
        bars = [shown(bar) for bar in cards.first.locator(".bars li > span:first-child").all_text_contents()]
        cities = [results.names["city"][label].replace("_", " ") for label in names]
        assert bars == [f"{cities[0]} true", *cities[1:]]
        widths = cards.first.locator(".bars i").evaluate_all("(bars) => bars.map((bar) => parseFloat(bar.style.width))")
        assert widths == pytest.approx([100 * guess.probability for guess in first.guesses], abs=0.006)

    def test_other_weights_and_folds_stand_beside(self) -> None:
        results, predictions, classes = hostile()
        wrong = {level: labels[::-1].copy() for level, labels in predictions.truth.items()}
        other = evaluate(replace(predictions, truth=wrong), classes, Origin("x", weights="best"))
        one_level = LevelSpread(*(Spread(mean, 0.0123, (mean, mean)) for mean in (0.25, 0.5, 0.75)))
        spread = dict.fromkeys(MODES, dict.fromkeys(LEVELS, one_level))
        folds = FoldResults(results, ("a", "b"), (results, other), spread)
        markup = shown(report(results, predictions, classes, None, other=other, folds=folds))
        rows = re.findall("<tr.*?</tr>", markup.split('<caption class="hidden">With the other')[1], re.DOTALL)
        both = [percent(r.modes["codependent"].levels["city"].top1.value) for r in (results, other)]
        assert both[0] != both[1]
        assert re.findall(r">([\d.]+ %) \(", rows[1]) == both
        rows = re.findall("<tr.*?</tr>", markup.split('<caption class="hidden">Spread over 2 folds')[1], re.DOTALL)
        assert re.findall(r">([\d.]+ % ± [\d.]+)<", rows[1]) == ["25.0 % ± 1.2", "50.0 % ± 1.2", "75.0 % ± 1.2"]
        assert "Spread over" not in report(results, predictions, classes, None)


class TestControls:
    def test_search_and_level_of_the_classes(self, tab: Any) -> None:
        section = tab.locator("#classes")
        section.locator("[data-param=search]").fill("río de")
        until(lambda: len(cells(tab, "Every class")) == 1)
        row = cells(tab, "Every class")[0]
        results = world()[0]
        label = results.names["city"].index("Rio_de_Janeiro")
        score = results.modes["codependent"].levels["city"].per_class[label]
        assert score.recall is not None
        assert row[0] == "Rio de Janeiro" and row[1:3] == ["2", percent(score.recall)]
        assert section.locator("output").inner_text() == "1 of 166 match"
        section.locator("[data-param=search]").fill("<b>nothing")
        until(lambda: section.locator(".nothing").is_visible())
        assert not section.locator("table").is_visible()
        section.locator("[data-param=search]").fill("")
        section.locator("[data-param=level]").select_option("country")
        until(lambda: len(cells(tab, "Every class")) == 91)
        section.locator("[data-param=level]").select_option("city")

    def test_sort_by_recall(self, tab: Any) -> None:
        heading = tab.locator("#classes th", has_text="Recall")
        for order in ("descending", "ascending"):
            heading.locator("button").click()
            assert heading.get_attribute("aria-sort") == order
            recalls = [row[2] for row in cells(tab, "Every class")]
            assert recalls[-1] == "–", "the city without clips stays last"
            numbers = [float(recall.removesuffix(" %")) for recall in recalls[:-1]]
            assert numbers == sorted(numbers, reverse=order == "descending")

    def test_reliability_follows_level_and_mode(self, tab: Any) -> None:
        results = world()[0]
        for level, mode in (("continent", "none"), ("city", "codependent")):
            tab.select_option("#calibration [data-param=level]", level)
            tab.select_option("#calibration [data-param=mode]", mode)
            full_bins = sum(bin_.n > 0 for bin_ in results.modes[mode].levels[level].calibration.bins)
            bars = tab.locator("[data-chart=reliability-counts] .mark-rect.role-mark > path")
            until(lambda n=full_bins, bars=bars: bars.count() == n)  # type: ignore[misc]


class TestHostileText:
    def test_stays_text(self, visitor: Visitor) -> None:
        path = visitor.folder / "hostile_pictures.html"
        write_report(*hostile(), frames, path)
        tab = visitor.open(path)
        assert tab.locator("script").count() == 3 and tab.locator("iframe, [onerror], [onload]").count() == 0
        sources = tab.locator("img").evaluate_all("(all) => all.map((img) => img.getAttribute('src').slice(0, 23))")
        assert set(sources) == {"data:image/jpeg;base64,"}
        tab.locator("[data-chart=map-city] .mark-symbol.role-mark > path").first.hover()
        cell = tab.locator("#tooltip:not([hidden]) dd").first
        until(lambda: cell.count() == 1 and (cell.text_content() or "").startswith("<"))
        assert tab.locator("#tooltip :is(script, img, svg, b)").count() == 0
        assert tab.evaluate("window.hacked") is None

    def test_nothing_can_end_the_json(self) -> None:
        markup = report(*hostile(), None)
        inside = markup.split('<script type="application/json" id="charts">')[1].split("</script>")[0]
        assert not re.search("[<>&\u2028\u2029]", inside)
        assert any(row["city"] == NAMES[0] for row in json.loads(inside)["datasets"]["cities"])


class TestPictures:
    def test_every_picture_has_words(self, tab: Any) -> None:
        words = tab.locator("img").evaluate_all("(all) => all.map((img) => [img.alt, img.naturalWidth, img.width])")
        results = world()[0]
        samples = [*(results.by_rank[rank] for rank in RANKS), *(results.by_found[found] for found in FOUND)]
        assert len(words) == sum(len(gallery.samples) for gallery in samples)
        for alt, natural, width in words:
            assert alt.startswith("Frames of a clip from ") and natural == 3 * 48 + 2 * 3 and width > 100

    def test_page_is_small(self, tab: Any, visitor: Visitor) -> None:
        assert tab.locator("img").count() > 20
        assert (visitor.folder / "world.html").stat().st_size < 5_000_000


def test_the_same_values_make_the_same_page() -> None:
    assert report(*one(), frames) == report(*one(), frames)
