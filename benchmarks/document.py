"""Writes what a benchmark found into docs/benchmarks.md: its own section, and the table of all at the top.

A section stands between two comments, so that a benchmark that is run again replaces its own words and no others.
What stands outside of sections is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cityguessr_data.core.timing import machine

PACKAGES = ("torch", "onnxruntime", "openvino", "av", "opencv-python-headless", "numpy")


@dataclass(frozen=True)
class Headline:
    """One figure that stands in the table at the top."""

    name: str
    """The row's name, e.g. `build / limit`."""
    value: str
    """As measured, with its unit or `x`."""
    target: str = ""
    met: bool | None = None
    """None: there is no target, or what was measured here cannot tell."""


@dataclass(frozen=True)
class Section:
    """What one benchmark found."""

    title: str
    headlines: Sequence[Headline]
    body: str
    """Markdown below the headlines: tables, how it was measured, what bounds it."""


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the columns after the first are aligned to the right."""
    rule = ["---"] + ["---:"] * (len(columns) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))


def put(doc: Path, name: str, section: Section, packages: Sequence[str] = PACKAGES) -> None:
    """Replace the section of benchmark `name` in `doc`, or add it, and make the table at the top again."""
    told = "\n".join(_headline(one) for one in section.headlines)
    where = f"`python -m benchmarks {name}`, {datetime.now(UTC):%Y-%m-%d}: {machine(packages)}."
    text = _fenced(name, f"## {section.title}\n\n{told}\n\n{section.body.strip()}\n\n{where}")
    old = doc.read_text(encoding="utf-8") if doc.is_file() else "# What was measured\n"
    new = _replaced(old, name, text) or old.rstrip("\n") + "\n\n" + text + "\n"
    rows = [match.groups() for head in _HEADS.finditer(new) for match in _HEADLINE.finditer(head[0])]
    summary = _fenced("summary", table(["", "measured", "target", ""], [[cell or "" for cell in row] for row in rows]))
    with_summary = _replaced(new, "summary", summary)
    if with_summary is None:
        head, _, rest = new.partition("\n\n")
        with_summary = f"{head}\n\n{summary}\n\n{rest}"
    doc.write_text(with_summary, encoding="utf-8")


_HEADS = re.compile(r"^<!-- measured: (?!summary)\S+ -->\n## .*\n\n(?:- \*\*.*\n)+", re.M)
"""The beginning of a section, down to the first line that is no headline."""
_HEADLINE = re.compile(
    r"^- \*\*(?P<name>.+?):\*\* (?P<value>.+?)(?:; target (?P<target>.+?))?(?:: (?P<met>(?:not )?met))?$", re.M
)


def _headline(one: Headline) -> str:
    target = f"; target {one.target}" if one.target else ""
    met = "" if one.met is None else f": {'met' if one.met else 'not met'}"
    return f"- **{one.name}:** {one.value}{target}{met}"


def _fenced(name: str, text: str) -> str:
    return f"<!-- measured: {name} -->\n{text}\n<!-- end: {name} -->"


def _replaced(doc: str, name: str, text: str) -> str | None:
    pattern = re.compile(rf"<!-- measured: {re.escape(name)} -->.*?<!-- end: {re.escape(name)} -->", re.S)
    return pattern.sub(lambda _: text, doc, count=1) if pattern.search(doc) else None
