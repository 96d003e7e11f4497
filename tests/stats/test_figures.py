"""The figures for a paper: all there, readable by others, as large as a column, and what they show is right."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from cityguessr_data.stats.page.figures import figures, write_figures
from tests.support_stats import counts_only, full, hostile, nothing

FULL = full()
ANOTHER = full(3, "another")
ONE = counts_only([("Only_City", 12)])
_INCH_PX, _COLUMN_INCHES, _PAGE_INCHES = 300, 3.5, 7.0
_WIDE = {"map", "scenes_by_continent", "classes_city", "classes_state", "classes_country"}
_SVG = "{http://www.w3.org/2000/svg}"

LEVELS = ("city", "state", "country", "continent")
EVERY = {
    *("lorenz", "measures", "map", "scenes", "scenes_by_continent", "clip_lengths", "clip_frames", "saved_frames"),
    *("video_lengths", "frame_rates", "resolutions", "scores", "faces_per_clip", "faces_per_frame", "face_heights"),
    *("clips_per_video", "videos_per_city"),
    *(f"{kind}_{level}" for kind in ("classes", "histogram") for level in LEVELS),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "new"
    written = write_figures(FULL, (), folder)
    assert sorted(written) == sorted(folder.iterdir()), "nothing else is left there"
    return folder


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter(f"{_SVG}text")]


class TestFiles:
    def test_every_figure_twice(self, folder: Path) -> None:
        assert {path.name for path in folder.iterdir()} == {f"{name}.{end}" for name in EVERY for end in ("svg", "png")}

    def test_png_is_as_wide_as_columns_at_300_dpi(self, folder: Path) -> None:
        for name in EVERY:
            with Image.open(folder / f"{name}.png") as picture:
                inches = _PAGE_INCHES if name in _WIDE else _COLUMN_INCHES
                assert picture.width == pytest.approx(inches * _INCH_PX, abs=2), name
                assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
                assert 100 < picture.height < 1_300

    def test_svg_parses_names_no_address_and_runs_nothing(self, folder: Path) -> None:
        for name in EVERY:
            root = ElementTree.parse(folder / f"{name}.svg").getroot()
            assert root.tag == f"{_SVG}svg"
            assert float(root.attrib["width"]) == pytest.approx(504 if name in _WIDE else 252, abs=1)
            kinds = {element.tag.removeprefix(_SVG) for element in root.iter()}
            assert kinds <= {"svg", "g", "path", "rect", "line", "text", "title", "defs", "clipPath"}, name
            assert not re.search(r"href|url\((?!#)|https?://(?!www\.w3\.org)", (folder / f"{name}.svg").read_text())

    def test_letters_are_readable(self, folder: Path) -> None:
        for name in EVERY:
            sizes = re.findall(r'font-size="([\d.]+)px"', (folder / f"{name}.svg").read_text())
            assert sizes and min(map(float, sizes)) >= 7, name

    def test_has_ink(self, folder: Path) -> None:
        for name in EVERY:
            with Image.open(folder / f"{name}.png") as picture:
                grey = picture.convert("L")
                assert grey.getextrema() == (pytest.approx(60, abs=60), 255), name

    def test_no_figure_says_nonsense(self, folder: Path) -> None:
        for name in EVERY:
            assert not re.search(r"\b(NaN|undefined|null|None|Infinity)\b", " ".join(texts(folder / f"{name}.svg"))), (
                name
            )


class TestWhatTheyShow:
    def test_lorenz_has_a_curve_a_level_and_the_diagonal(self, folder: Path) -> None:
        said = texts(folder / "lorenz.svg")
        assert {"Cities (166)", "States (157)", "Countries (91)", "Continents (6)"} <= set(said)
        lines = re.findall(r'class="mark-line.*?</g>', (folder / "lorenz.svg").read_text(), re.DOTALL)
        assert sum(group.count("<path") for group in lines) == 5

    def test_map_has_a_bubble_a_city(self, folder: Path) -> None:
        svg = (folder / "map.svg").read_text()
        group = re.search(r'class="mark-symbol.*?</g>', svg, re.DOTALL)
        assert group is not None and group[0].count("<path") == 166

    def test_names_where_they_fit(self, folder: Path) -> None:
        assert "South America" in texts(folder / "classes_continent.svg")
        assert "Tokyo" not in texts(folder / "classes_city.svg")

    def test_other_data_sets_side_by_side(self) -> None:
        made = {figure.name for figure in figures(FULL, (ANOTHER, ONE))}
        assert made == EVERY | {f"{kind}_compared_{level}" for kind in ("lorenz", "measures") for level in LEVELS}


class TestLittleData:
    def test_counts_only(self, tmp_path: Path) -> None:
        write_figures(ONE, (), tmp_path)
        names = {path.stem for path in tmp_path.iterdir()}
        assert names == {"lorenz", "measures"} | {f"{k}_{lvl}" for k in ("classes", "histogram") for lvl in LEVELS}

    def test_nothing(self, tmp_path: Path) -> None:
        assert write_figures(nothing(), (), tmp_path) == []

    def test_hostile_names(self, tmp_path: Path) -> None:
        written = write_figures(hostile(), (), tmp_path)
        assert all(path.parent == tmp_path for path in written)
        for path in tmp_path.glob("*.svg"):
            kinds = {element.tag.removeprefix(_SVG) for element in ElementTree.parse(path).iter()}
            assert not kinds & {"script", "img", "image", "foreignObject"}, path.name
