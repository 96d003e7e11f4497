"""The counts that the paper gives of what is imported, to print beside ours."""

from __future__ import annotations

from collections.abc import Mapping

LONG = "clips of 15 frames or more"

PUBLISHED: Mapping[str, Mapping[str, int]] = {
    # Table 1; the parts are those of the published test list
    "cityguessr68k": {
        "clips": 68_269, "cities": 166, "states": 157, "countries": 91, "continents": 6,
        "train": 54_614, "test": 13_655,
    },
    # Table 1, which marks its count with "samples with 15 frames or more"
    "msls full": {LONG: 14_965, "cities": 30, "states": 29, "countries": 24, "continents": 6},
    # Supplementary, section 4
    "msls paper21": {
        "clips": 11_320, "cities": 21, "states": 21, "countries": 19, "continents": 6,
        "train": 9_049, "test": 2_271,
    },
}  # fmt: skip


def published_counts(kind: str, settings: Mapping[str, str]) -> Mapping[str, int]:
    """Of one data set, by what is counted."""
    return PUBLISHED[" ".join((kind, *filter(None, [settings.get("subset")])))]
