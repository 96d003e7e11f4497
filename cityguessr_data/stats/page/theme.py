"""Colours and the Vega configuration, light and dark. Charts name colours (`colour("accent")`), never values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt


@dataclass(frozen=True)
class Palette:
    """One theme; `css` and `vega_config` hand it on by these names."""

    paper: str
    card: str
    ink: str
    soft: str
    line: str
    accent: str
    """Marks, links; the project's teal."""
    few: str
    """What asks for attention: classes with few clips, the review band."""
    land: str
    curves: tuple[str, ...]
    """Six, with contrast 3 or more; neighbours that look alike to some eyes differ in their dashes."""
    families: tuple[str, ...]
    """Indoor, natural, man-made scenes."""
    scenes: tuple[str, ...]
    """(16,) a ramp for each family: 6 indoor, 4 natural, 6 man-made."""
    ramp: tuple[str, ...]
    """Five, for shares of 0 to 1: orange to teal, ever further from the paper, so that lightness alone tells them."""


LIGHT = Palette(
    paper="#fbfaf7",
    card="#ffffff",
    ink="#1d1c1a",
    soft="#66625a",
    line="#dcd8cf",
    accent="#0b5d57",
    few="#b4540a",
    land="#e4e0d6",
    curves=("#0b5d57", "#b8400a", "#3566b0", "#7d1866", "#a88f00", "#8d8a84"),
    families=("#b3571a", "#1b7d68", "#4a62b3"),
    scenes=(
        *("#6e2a06", "#984310", "#be6120", "#d9813d", "#eaa368", "#f4c599"),
        *("#0a4338", "#1d7562", "#53a58f", "#9dd0bf"),
        *("#1c2b66", "#324a97", "#5269bb", "#7789d3", "#9ca9e3", "#c4ccf0"),
    ),
    ramp=("#e08b00", "#a98d3f", "#6d8a70", "#2f7d78", "#06504a"),
)
DARK = Palette(
    paper="#151618",
    card="#1e2023",
    ink="#ecebe7",
    soft="#a3a099",
    line="#33353a",
    accent="#7fd0c6",
    few="#f0a04b",
    land="#3a3d42",
    curves=("#7fd0c6", "#f2935a", "#6f9cf0", "#c65fae", "#f0e08a", "#8f8c86"),
    families=("#e39a5c", "#62bfa6", "#94a6ea"),
    scenes=(
        *("#a9531c", "#c46a2c", "#d98444", "#e8a068", "#f1bd90", "#f8dabd"),
        *("#2f7f6c", "#4fa18c", "#7dc2af", "#b5e0d3"),
        *("#5062ab", "#677ac4", "#8293d8", "#9dabe5", "#b9c4ef", "#d8def8"),
    ),
    ramp=("#c8641a", "#b98a52", "#9aa688", "#84c8b4", "#8ff0e2"),
)

PAGE_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
FIGURE_FONT = "Helvetica, Arial, 'Liberation Sans', sans-serif"


def colour(name: str) -> alt.ExprRef:
    """A colour of the theme by its name, or one of a list: `accent`, `curve0`, `family2`, `scene15`."""
    import altair as alt

    return alt.ExprRef(name)


def room_for_counts() -> list[int | alt.ExprRef]:
    """The range of bars that have their count written behind them."""
    import altair as alt

    return [0, alt.ExprRef("width - 52")]


def share_ticks() -> alt.ExprRef:
    """How many marks an axis from 0 to 100 % has: on a phone 0, 50 and 100."""
    import altair as alt

    return alt.ExprRef("width < 300 ? 2 : 5")


def vega_config(palette: Palette, font: str = PAGE_FONT, font_px: float = 12) -> dict[str, Any]:
    """The configuration that every chart is drawn with."""
    text = {"labelFont": font, "titleFont": font, "labelFontSize": font_px, "titleFontSize": font_px}
    ink = {"labelColor": palette.soft, "titleColor": palette.soft, "titleFontWeight": "normal"}
    return {
        "params": [{"name": name, "value": value} for name, value in _named(palette).items()],
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "mark": {"color": palette.accent, "aria": False},
        "axis": {
            **text,
            **ink,
            "gridColor": palette.line,
            "gridWidth": 0.75,
            "domainColor": palette.line,
            "tickColor": palette.line,
            "tickSize": 4,
            "labelPadding": 4,
            "titlePadding": 8,
            "labelSeparation": 6,
        },
        "legend": {
            **text,
            **ink,
            "orient": "top",
            "direction": "horizontal",
            "title": None,
            "labelColor": palette.ink,
            "labelLimit": 240,
            "symbolStrokeWidth": 2.5,
            "symbolSize": 90,
            "columnPadding": 14,
            "rowPadding": 4,
            "offset": 8,
        },
        "selection": {
            "interval": {
                "mark": {"fill": palette.accent, "fillOpacity": 0.12, "stroke": palette.accent, "strokeOpacity": 0.7}
            }
        },
        "text": {"font": font, "fontSize": font_px, "fill": palette.ink},
    }


def css(palette: Palette) -> str:
    """The colours as CSS custom properties."""
    return " ".join(f"--{name}: {value};" for name, value in _named(palette).items())


def _named(palette: Palette) -> dict[str, str]:
    """Every colour by its name."""
    named = {name: value for name, value in asdict(palette).items() if isinstance(value, str)}
    for one, values in (
        ("curve", palette.curves),
        ("family", palette.families),
        ("scene", palette.scenes),
        ("ramp", palette.ramp),
    ):
        named |= {f"{one}{i}": value for i, value in enumerate(values)}
    return named
