"""What makes a city of the synthetic world that city: its structure, never its colours.

Every attribute has a few options. They are dealt over the cities like cards, so that each option is used about equally
often and two cities share few of them. Paint, light and weather belong to the video (look.py) and tell nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .config import SyntheticConfig, rng

LEFT_HAND = frozenset(
    [
        "Australia",
        "Bangladesh",
        "Botswana",
        "England",
        "Hong_Kong",
        "India",
        "Indonesia",
        "Ireland",
        "Jamaica",
        "Japan",
        "Kenya",
        "Macau",
        "Malaysia",
        "Malta",
        "Mauritius",
        "Mozambique",
        "Namibia",
        "Nepal",
        "New_Zealand",
        "Pakistan",
        "Scotland",
        "Singapore",
        "South_Africa",
        "Sri_Lanka",
        "Tanzania",
        "Thailand",
        "Uganda",
        "Zambia",
        "Zimbabwe",
    ]
)
"""Countries of the taxonomy that drive on the left."""


@dataclass(frozen=True)
class CityStyle:
    """The structure of one city. Lengths in metres."""

    left_hand: bool
    storeys: int
    storey_m: float
    bay_m: float
    """Width of one window with the wall beside it."""
    window: str
    window_share: float
    """Part of a bay's width that is window."""
    roof: str
    pattern: str
    ground_floor: str
    balcony: str
    plot_m: float
    """Width of a building."""
    gaps: float
    """Chance that a side street follows a building."""
    sign: str
    glyph: str
    sign_every_m: float
    centre_line: str
    edge_line: bool
    crossing: str
    kerb: str
    paving: str
    lamp: str
    lamp_every_m: float
    tree: str
    tree_every_m: float
    overhead: str
    vehicle: str
    half_width_m: float
    """From the middle of the road to the house fronts."""
    skyline: str


OPTIONS: dict[str, tuple[object, ...]] = {
    "storeys": (2, 3, 4, 5, 7, 9),
    "storey_m": (2.8, 3.3, 4.0),
    "bay_m": (1.8, 2.4, 3.2, 4.4),
    "window": ("tall", "arch", "ribbon", "square", "pointed", "pair", "round", "grille", "shutter", "bay"),
    "window_share": (0.42, 0.55, 0.68),
    "roof": ("flat", "gable", "mansard", "dome", "crenel", "pagoda", "sawtooth", "stepped", "tank", "hip"),
    "pattern": ("plain", "brick", "pilaster", "timber", "band", "panel", "board", "diamond"),
    "ground_floor": ("arcade", "awning", "shutter", "stoop", "column", "glass", "garage"),
    "balcony": ("none", "box", "gallery", "staggered", "none", "aircon", "oriel"),
    "plot_m": (6.0, 9.0, 13.0, 19.0),
    "gaps": (0.05, 0.15, 0.3),
    "sign": ("blade", "round", "board", "cluster", "flag", "triangle", "none"),
    "glyph": ("block", "stem", "dots", "topbar", "curve", "ring"),
    "sign_every_m": (8.0, 12.0, 18.0),
    "centre_line": ("dash", "double", "solid", "short", "none", "arrow"),
    "edge_line": (True, False),
    "crossing": ("zebra", "ladder", "lines", "dots"),
    "kerb": ("striped", "plain", "bollard", "high"),
    "paving": ("tile", "wave", "stripe", "chevron", "plain"),
    "lamp": ("arm", "double", "globe", "lantern", "utility", "tall", "bow"),
    "lamp_every_m": (14.0, 20.0, 28.0),
    "tree": ("palm", "round", "conifer", "poplar", "none", "umbrella", "bare"),
    "tree_every_m": (8.0, 12.0, 17.0),
    "overhead": ("none", "tram", "tangle", "bunting", "lantern", "none", "banner"),
    "vehicle": ("car", "van", "tuktuk", "bike", "bus", "tram"),
    "half_width_m": (7.0, 9.0, 11.5),
    "skyline": ("hills", "towers", "dome", "peaks", "flat", "spires", "chimneys"),
}


def city_styles(config: SyntheticConfig, countries: tuple[str, ...]) -> tuple[CityStyle, ...]:
    """One style a city, in the order of `countries` (the country of each city, which gives the side of the road)."""
    n = len(countries)
    dealt: dict[str, list[object]] = {"left_hand": [country in LEFT_HAND for country in countries]}
    for name, options in OPTIONS.items():
        draw = rng(config.seed, f"style-{name}")
        first = int(draw.integers(len(options)))
        cards = [options[(first + i) % len(options)] for i in range(n)]
        dealt[name] = [cards[i] for i in draw.permutation(n)]
    names = [f.name for f in fields(CityStyle)]
    return tuple(CityStyle(**{name: dealt[name][slot] for name in names}) for slot in range(n))  # type: ignore[arg-type]
