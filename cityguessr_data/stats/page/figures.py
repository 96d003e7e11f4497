"""The figures for a paper: every plot of the page as SVG and PNG, light, one or two columns wide, without a title."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.atomic import write_bytes
from ..results import Distribution, LevelStats, Stats
from .blocks import Spec
from .charts import ranked
from .charts.bars import bars, n_bars
from .charts.histogram import histogram
from .charts.lorenz import Curve, lorenz
from .charts.mix import by_continent, overall
from .charts.whiskers import whiskers
from .charts.world import LAND, has_bubble, land, world
from .drawing import COLUMN_PT, PAGE_PT, figure_spec, vega_lite_version
from .sections.classes import known_levels
from .sections.comparison import compared_curves, compared_dots
from .sections.evenness import level_dots
from .sections.scenes import continent_rows
from .words import LEVEL_NAMES, ONE_OF, plain

_PPI = 300
_NAMED = 60  # classes: up to so many fit with their names


@dataclass(frozen=True)
class Figure:
    """One figure before it is drawn."""

    name: str
    spec: Spec


def write_figures(stats: Stats, others: Sequence[Stats], folder: Path) -> list[Path]:
    """Write every figure as `<name>.svg` and `<name>.png` (300 dpi); what the data does not have is left out.

    Args:
        others: data sets to draw beside the first, in order.
        folder: made where it is missing; files of the same names are replaced.
    Returns:
        The files, SVG and PNG of each figure after each other.
    Raises:
        DiskFullError: no space left.
    """
    import vl_convert

    version = vega_lite_version()
    written = []
    for figure in figures(stats, others):
        svg: str = vl_convert.vegalite_to_svg(figure.spec, vl_version=version, allowed_base_urls=[])
        png: bytes = vl_convert.vegalite_to_png(figure.spec, vl_version=version, ppi=_PPI, allowed_base_urls=[])
        for ending, content in (("svg", svg.encode()), ("png", png)):
            path = folder / f"{figure.name}.{ending}"
            write_bytes(path, content)
            written.append(path)
    return written


def figures(stats: Stats, others: Sequence[Stats] = ()) -> Iterator[Figure]:
    """Every figure of a data set."""
    levels = known_levels(stats)
    if levels:
        curves = [Curve(f"{LEVEL_NAMES[s.level]} ({s.n_classes:,})", s.lorenz) for s in levels]
        yield _column("lorenz", lorenz(curves, legend=True), 190)
        yield _column("measures", whiskers(level_dots(levels), legend=True), 32 * len(levels))
    for level in levels:
        yield _classes(level)
        one = ONE_OF[level.level]
        chart = histogram(level.per_class, f"Clips per {one}", LEVEL_NAMES[level.level])
        yield _column(f"histogram_{level.level}", chart, 120)
    yield from _compared(stats, others)
    city = stats.levels.get("city")
    shown = [c for c in city.classes if has_bubble(c)] if city else []
    if shown:
        yield Figure("map", figure_spec(world(shown), PAGE_PT, 214, {LAND: land()}))
    yield from _sections(stats)


def _sections(stats: Stats) -> Iterator[Figure]:
    spreads: list[tuple[str, Distribution | None, str, str]] = []
    if stats.footage is not None:
        found = stats.footage
        spreads += [
            ("clip_lengths", found.clip_s, "Length of a clip (s)", "Clips"),
            ("clip_frames", found.clip_frames, "Frames of a clip", "Clips"),
            ("saved_frames", found.saved_frames, "Saved frames of a clip", "Clips"),
            ("video_lengths", found.video_s, "Length of a video (s)", "Videos"),
        ]
    if stats.faces is not None:
        spreads += [
            ("faces_per_clip", stats.faces.per_clip, "Blurred boxes in a clip", "Clips"),
            ("faces_per_frame", stats.faces.per_frame, "Blurred boxes in a frame", "Frames"),
            ("face_heights", stats.faces.heights_px, "Height of a blurred box (px)", "Boxes"),
        ]
    if stats.provenance is not None:
        spreads += [
            ("clips_per_video", stats.provenance.clips_per_video, "Clips of a source video", "Videos"),
            ("videos_per_city", stats.provenance.videos_per_city, "Source videos of a city", "Cities"),
        ]
    for name, values, axis, counted in spreads:
        if values is not None:
            yield _column(name, histogram(values, axis, counted), 120)
    if stats.faces is not None and stats.faces.scores is not None:
        scores = histogram(stats.faces.scores, "Score", "Detections", threshold=stats.faces.conf, legend=True)
        yield _column("scores", scores, 120)
    if stats.footage is not None:
        for name, counts, kind in (
            ("frame_rates", stats.footage.fps, "Frames per second"),
            ("resolutions", stats.footage.resolution, "Resolution"),
        ):
            if counts:
                named = {plain(key, 40): n for key, n in counts.items()}
                yield _column(name, bars(named, kind, "Clips"), 13 * n_bars(named))
    if stats.scenes is not None:
        yield _column("scenes", overall(stats.scenes.overall, legend=True), 13 * len(stats.scenes.overall))
        rows = continent_rows(stats.scenes)
        yield _page("scenes_by_continent", by_continent(rows, legend=True), 18 * len(rows))


def _classes(level: LevelStats) -> Figure:
    """With names where they fit, else by rank."""
    rows = {ranked.DATA: ranked.rows([level])}
    name = f"classes_{level.level}"
    if level.n_classes <= _NAMED:
        return Figure(
            name,
            figure_spec(ranked.names(level.level, level.classes[0].n_clips), COLUMN_PT, 11 * level.n_classes, rows),
        )
    return Figure(name, figure_spec(ranked.skyline(level.level), PAGE_PT, 130, rows))


def _compared(stats: Stats, others: Sequence[Stats]) -> Iterator[Figure]:
    """One figure a level with the curves of all data sets, and one with their measures."""
    if not others:
        return
    curves = compared_curves([stats, *others], None)
    dots = compared_dots([stats, *others], None)
    for level in dict.fromkeys(curve.group for curve in curves):
        here = [curve for curve in curves if curve.group == level]
        yield _column(f"lorenz_compared_{level}", lorenz(here, legend=True), 190)
        these = [dot for dot in dots if dot.group == level]
        yield _column(f"measures_compared_{level}", whiskers(these, legend=True), 32 * len(here))


def _column(name: str, chart: Any, height_pt: int) -> Figure:
    return Figure(name, figure_spec(chart, COLUMN_PT, height_pt))


def _page(name: str, chart: Any, height_pt: int) -> Figure:
    return Figure(name, figure_spec(chart, PAGE_PT, height_pt))
