"""Markdown and YAML around text from outside, which stays text; and the templates of what an export says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def render(template: str, values: Mapping[str, Any]) -> str:
    """A template of this folder. What comes from outside goes through `md` or `yaml` there.

    Args:
        template: its file name.
        values: all that it names.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is Markdown
    )
    environment.filters |= {"md": markdown, "yaml": yaml_text}
    return environment.get_template(template).render(**values)


def markdown(text: str) -> str:
    """Text from outside that stays text: on one line, without markup. `**` of our own words stays."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`_|<>\[\]#])", r"\\\1", line)


def yaml_text(text: str) -> str:
    """A YAML string, whatever it holds: between double quotes, with what YAML does not take or print as its code."""
    return f'"{"".join(_yaml_character(one) for one in text)}"'


def _yaml_character(one: str) -> str:
    if one in '\\"':
        return f"\\{one}"
    code = ord(one)
    return one if one.isprintable() else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
