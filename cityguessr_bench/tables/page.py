"""Sheets as one small HTML page: no script, no network, readable in light and dark and at the width of a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from cityguessr_data.stats.page.theme import DARK, LIGHT, css

from .sheet import Sheet

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
body { margin: 0 auto; padding: 2rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .8rem; font-size: 1.35rem; line-height: 1.25; }
section + section { margin-top: 3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; background: var(--card); }
th, td { padding: .35rem .8rem; text-align: right; vertical-align: top; white-space: nowrap; }
th { border-bottom: 2px solid var(--line); color: var(--soft); font-weight: 600; }
.words { text-align: left; white-space: normal; overflow-wrap: normal; min-width: 7rem; }
tr.first td { border-top: 1px solid var(--line); }
td small { color: var(--soft); font-size: .85rem; }
ul { padding-left: 1.1rem; color: var(--soft); font-size: .9rem; max-width: 60rem; }
"""


def render(sheets: Sequence[Sheet]) -> str:
    """The page; all text is escaped."""
    title = escape(sheets[0].title if sheets else "Nothing to show")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{title}</title>",
            f"<style>:root {{ color-scheme: light dark; {css(LIGHT)} }}",
            f"@media (prefers-color-scheme: dark) {{ :root {{ {css(DARK)} }} }}{_STYLE}</style>",
            *map(_section, sheets),
            "</html>\n",
        ]
    )


def _section(sheet: Sheet) -> str:
    def cell(at: int, text: str) -> str:
        first, *more = (escape(line) for line in text.split("\n"))
        words = ' class="words"' if at < sheet.n_left else ""
        return f"<td{words}>{first}{''.join(f'<br><small>{line}</small>' for line in more)}</td>"

    head = "".join(
        f'<th scope="col"{" class=words" if at < sheet.n_left else ""}>{escape(column)}</th>'
        for at, column in enumerate(sheet.columns)
    )
    lines = ["<section>", f"<h1>{escape(sheet.title)}</h1>", '<div class="wide"><table>', f"<tr>{head}</tr>"]
    for number, row in enumerate(sheet.rows):
        first = ' class="first"' if number in sheet.groups else ""
        lines.append(f"<tr{first}>{''.join(cell(at, text) for at, text in enumerate(row))}</tr>")
    lines.append("</table></div>")
    if sheet.notes:
        lines += ["<ul>", *(f"<li>{escape(note)}.</li>" for note in sheet.notes), "</ul>"]
    return "\n".join([*lines, "</section>"])
