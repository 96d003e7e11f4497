"""The page: one HTML file with its plots, numbers, styles and scripts inside; it opens from disk and asks no network.

Text from outside meets three languages here. HTML: the template escapes all of it. JSON inside a script element:
`_json` leaves no `<`, `>` or `&` in it. Tooltips: page.js sets them as text. Behind that stands the
Content-Security-Policy: only the two scripts named there by their digest run, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from ...core.atomic import write_bytes
from ..comparison import Comparison
from ..results import Stats
from .blocks import Section
from .charts import ranked, world
from .drawing import vega_lite_version
from .sections.classes import classes, known_levels
from .sections.comparison import comparison as compared_section
from .sections.evenness import evenness
from .sections.faces import faces
from .sections.footage import footage
from .sections.places import places
from .sections.scenes import scenes
from .sections.sources import sources
from .sections.trust import duplicates, leakage
from .theme import DARK, LIGHT, css, vega_config
from .words import LEVEL_NAMES, UNKNOWN, number, plain, whole

_KINDS = {
    "dataset": "Measured from an output directory.",
    "clips": "Measured from a clips table alone.",
    "counts": "Measured from a table of counts.",
}


_LEFT_OUT = (
    "A table of counts says nothing of single clips: footage, faces, scenes, sources, near-duplicates and leakage are "
    "blank."
)


def write_page(stats: Stats, comparison: Comparison | None, others: Sequence[Stats], path: Path) -> None:
    """Write the page to `path`, whole or not at all; its folder is made where it is missing.

    Args:
        others: the compared data sets, in the order of `comparison`.
    Raises:
        DiskFullError: no space left.
    """
    write_bytes(path, page(stats, comparison, others).encode())


def page(stats: Stats, comparison: Comparison | None, others: Sequence[Stats]) -> str:
    """The whole page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    sections = _sections(stats, comparison, others)
    environment = Environment(
        loader=PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    library, own = _library(), _file("page.js")
    return environment.get_template("page.html.j2").render(
        name=plain(stats.name, 100),
        kind=_KINDS[stats.kind],
        figures=_key_figures(stats),
        notes=[plain(note, 500) for note in stats.notes],
        statuses=", ".join(f"{n:,} {status}" for status, n in stats.size.videos_by_status.items()),
        sections=sections,
        left_out=_LEFT_OUT if _only_counts(stats) else "",
        light=css(LIGHT),
        dark=css(DARK),
        style=_file("page.css"),
        policy=_policy(library, own),
        library=library,
        script=own,
        charts=_json(
            {
                "configs": {"light": vega_config(LIGHT), "dark": vega_config(DARK)},
                "datasets": {ranked.DATA: ranked.rows(known_levels(stats)), world.LAND: world.land()},
                "charts": {
                    chart.name: chart.spec for s in sections for p in s.parts if p.kind == "plot" for chart in p.charts
                },
            }
        ),
    )


def _sections(stats: Stats, comparison: Comparison | None, others: Sequence[Stats]) -> list[Section]:
    every = [
        evenness(stats),
        compared_section(stats, comparison, others),
        classes(stats),
        places(stats),
    ]
    if not _only_counts(stats):
        every += [
            footage(stats),
            faces(stats),
            scenes(stats),
            sources(stats),
            duplicates(stats),
            leakage(stats),
        ]
    return [section for section in every if section is not None]


def _only_counts(stats: Stats) -> bool:
    """Whether one sentence says all of the sections on single clips."""
    found = (stats.footage, stats.faces, stats.scenes, stats.provenance, stats.duplicates, *stats.leakage)
    return stats.kind == "counts" and all(section is None for section in found)


def _key_figures(stats: Stats) -> list[tuple[str, str, str]]:
    """(what, how many, remark) of the head."""
    size = stats.size
    figures = [
        ("clips", whole(size.n_clips), ""),
        ("source videos", UNKNOWN if size.n_videos is None else whole(size.n_videos), ""),
        ("saved frames", UNKNOWN if size.n_frames is None else whole(size.n_frames), ""),
        _footage(size.hours),
    ]
    if stats.kind == "counts":  # it cannot know them
        figures = [figure for figure in figures if figure[1] != UNKNOWN]
    for level, found in stats.levels.items():
        figures.append((LEVEL_NAMES[level].lower(), UNKNOWN if found is None else whole(found.n_classes), ""))
    if size.cities_of_taxonomy is not None:
        figures.append(("cities of the taxonomy", whole(size.cities_of_taxonomy), f"of {size.taxonomy_cities:,}"))
    return figures


def _footage(hours: float | None) -> tuple[str, str, str]:
    if hours is None:
        return "footage", UNKNOWN, ""
    if hours < 1:
        return "minutes", number(60 * hours, 1), ""
    return "hours", number(hours, 0 if hours >= 100 else 1), ""


def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that cannot end its element."""
    import vl_convert

    version = vega_lite_version()
    bundle: str = vl_convert.javascript_bundle(**({"vl_version": version} if version else {}))
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str) -> str:
    """No network, no frames, no forms; of scripts only these."""
    digests = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    """JSON that is safe inside a script element, whatever its strings hold."""
    made = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        made = made.replace(char, f"\\u{ord(char):04x}")
    return made


def _file(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
