"""The shell of a page: one HTML file with its plots, numbers, styles and scripts inside, that asks no network.

The statistics and the evaluation of a model are both shown in it; each only says what its sections hold.

Text from outside meets three languages here. HTML: the template escapes all of it. JSON inside a script element:
`_json` leaves no `<`, `>` or `&` in it. Tooltips: page.js sets them as text. Behind that stands the
Content-Security-Policy: only the two scripts named there by their digest run, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from .blocks import Section
from .drawing import vega_lite_version
from .theme import DARK, LIGHT, css, vega_config


@dataclass(frozen=True)
class Page:
    """What a page says. Text of it from outside is `plain` already (words.py)."""

    title: str
    """Of the window."""
    heading: str
    kind: str
    """One line under the heading: what this was made from."""
    figures: Sequence[tuple[str, str, str]]
    """(what, how many, remark) of the head."""
    notes: Sequence[str]
    """Before you trust the numbers."""
    sections: Sequence[Section]
    datasets: Mapping[str, Any] = field(default_factory=dict)
    """Data that charts only name."""
    left_out: str = ""
    """Why sections that one might look for are not there."""


def render(page: Page) -> str:
    """The whole page as text; the same for the same content."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    library, own = _library(), _file("page.js")
    plots = [part for section in page.sections for part in section.parts if part.kind == "plot"]
    charts = {
        "configs": {"light": vega_config(LIGHT), "dark": vega_config(DARK)},
        "datasets": dict(page.datasets),
        "charts": {chart.name: chart.spec for plot in plots for chart in plot.charts},
    }
    return environment.get_template("page.html.j2").render(
        page=page,
        light=css(LIGHT),
        dark=css(DARK),
        style=_file("page.css"),
        policy=_policy(library, own),
        library=library,
        script=own,
        charts=_json(charts),
    )


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
