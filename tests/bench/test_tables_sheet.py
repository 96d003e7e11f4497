"""The forms of a sheet: read back by parsers that are not ours, and nothing from outside gets through."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import pytest

from cityguessr_bench.tables.forms import write
from cityguessr_bench.tables.sheet import Sheet
from cityguessr_data.core.errors import InputError

NASTY = r"a|b_c*d <b>&amp; \x $y$ 50% #1 {z} ~ ^"
SHEET = Sheet(
    "Table 9: a & b, in %",
    ("row", "mode", "city"),
    (("first", "none", "69.6 ±0.3\n58.1..70.2"), (NASTY, "–", "-1.0 ~")),
    ("One <script>alert(1)</script> note",),
    2,
    (0, 1),
)


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.items: list[str] = []
        self._into: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._into = self.rows[-1]
        elif tag == "li":
            self.items.append("")
            self._into = self.items
        elif tag == "br" and self._into is not None:
            self._into[-1] += "\n"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "li"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += data


def test_csv_is_read_back() -> None:
    rows = list(csv.reader(io.StringIO(write([SHEET], "csv"))))
    assert rows == [["row", "mode", "city"], ["first", "none", "69.6 ±0.3 58.1..70.2"], [NASTY, "–", "-1.0 ~"]]


def test_html_is_read_back_and_holds_no_script() -> None:
    page = write([SHEET, SHEET], "html")
    read = _Cells()
    read.feed(page)
    assert read.rows == [list(row) for row in (SHEET.columns, *SHEET.rows)] * 2
    assert read.items == [f"{SHEET.notes[0]}."] * 2
    assert "script" not in read.tags and "http" not in page.replace("http-equiv", "")
    assert page.startswith("<!doctype html>") and "default-src 'none'" in page


def test_markdown_is_read_back() -> None:
    """By the rules of GitHub's tables: split at bars that no backslash stands before."""
    import re

    text = write([SHEET], "md")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows]
    assert {len(row) for row in cells} == {3} and cells[1] == ["---", "---", "---:"]
    assert re.sub(r"\\(.)", r"\1", cells[3][0]) == NASTY
    assert cells[2][2] == "69.6 ±0.3<br>58.1..70.2"
    assert "<b>" not in text.replace(r"\<b\>", "") and "<script>" not in text


def test_latex_escapes_what_means_something() -> None:
    text = write([SHEET], "latex")
    assert r"\caption{Table 9: a \& b, in \%}" in text and r"\begin{tabular}{llr}" in text
    assert text.count(r"\midrule") == 2 and text.count(r" \\" + "\n") == 3
    assert r"\shortstack[r]{69.6 $\pm$0.3 \\ 58.1..70.2}" in text
    line = next(line for line in text.splitlines() if line.startswith("a|b"))
    expected = (
        r"a|b\_c*d \textless{}b\textgreater{}\&amp; \textbackslash{}x \$y\$ 50\% \#1 \{z\} "
        r"\textasciitilde{} \textasciicircum{} & -- & -1.0 \textasciitilde{} \\"
    )
    assert line == expected
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_several_sheets_follow_each_other() -> None:
    for form in ("md", "latex"):
        text = write([SHEET, SHEET], form)
        assert text.count("Table 9") == 2


def test_no_such_form_and_rows_of_another_length() -> None:
    with pytest.raises(InputError, match="no format 'pdf'"):
        write([SHEET], "pdf")
    with pytest.raises(ValueError, match="expected 3 cells, got 2"):
        Sheet("t", ("a", "b", "c"), (("1", "2"),))
