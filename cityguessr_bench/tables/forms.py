"""Sheets as Markdown, CSV, LaTeX and HTML.

A cell may hold several lines; forms without lines in a cell put them side by side. Texts may come from outside (names
of data sets and runs), so every form escapes what means something in it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Literal, get_args

from cityguessr_data.core.errors import InputError

from .page import render
from .sheet import Sheet

Form = Literal["md", "csv", "latex", "html"]
FORMS: tuple[Form, ...] = get_args(Form)


def write(sheets: Sequence[Sheet], form: str) -> str:
    """Some sheets as one text.

    Args:
        form: md, csv, latex or html.
    Raises:
        InputError: no such form.
    """
    makers = {"md": _markdown, "csv": _csv, "latex": _latex}
    if form == "html":
        return render(sheets)
    if form not in makers:
        raise InputError(f"there is no format {form!r}", f"Give one of: {', '.join(FORMS)}")
    return "\n".join(makers[form](sheet) for sheet in sheets)


def _csv(sheet: Sheet) -> str:
    """The head and the rows; title and notes are left out, so that any program reads it."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(sheet.columns)
    writer.writerows([_flat(cell) for cell in row] for row in sheet.rows)
    return made.getvalue()


def _markdown(sheet: Sheet) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_md(cell) for cell in cells)} |"

    rule = ["---" if at < sheet.n_left else "---:" for at in range(len(sheet.columns))]
    lines = [f"**{_md(sheet.title)}**", "", line(sheet.columns), f"| {' | '.join(rule)} |", *map(line, sheet.rows)]
    lines += ["", *(f"* {_md(note)}." for note in sheet.notes)] if sheet.notes else []
    return "\n".join(lines) + "\n"


def _latex(sheet: Sheet) -> str:
    """With booktabs; figures to the right."""
    wanted = "l" * sheet.n_left + "r" * (len(sheet.columns) - sheet.n_left)
    body = []
    for at, row in enumerate(sheet.rows):
        body += [r"\midrule"] if at in sheet.groups and at else []
        body.append(" & ".join(_tex(cell) for cell in row) + r" \\")
    notes = [rf"\par\footnotesize {' '.join(f'{_tex(note)}.' for note in sheet.notes)}"] if sheet.notes else []
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_tex(sheet.title)}}}",
        rf"\begin{{tabular}}{{{wanted}}}",
        r"\toprule",
        " & ".join(_tex(column) for column in sheet.columns) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _flat(cell: str) -> str:
    return " ".join(cell.split("\n"))


def _md(text: str) -> str:
    """No markup from outside, and no cell that ends early."""
    escaped = re.sub(r"([\\`*_\[\]<>|&~])", r"\\\1", text)
    return escaped.replace("\n", "<br>")


_TEX = {
    **{c: rf"\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    "−": "$-$",
    "√": r"$\surd$",
    "×": r"$\times$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _tex(text: str) -> str:
    lines = ["".join(_TEX.get(c, c) for c in line) for line in text.split("\n")]
    joined = r" \\ ".join(lines)
    return joined if len(lines) == 1 else rf"\shortstack[r]{{{joined}}}"
