"""Reads a CSV that a program wrote: known columns by name, whatever else it has; an index without a name is common."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.errors import InputError


class CsvFault(Exception):
    """A table that cannot be used: `line` and `what`."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


def csv_rows(path: Path, columns: Sequence[Sequence[str]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line, the cells of `columns` without outer space) of every row that is not blank.

    Args:
        columns: of each wanted column its possible names, the usual one first.
    Raises:
        CsvFault: no head, a column is missing, a row of another length, no UTF-8 CSV.
        InputError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            head = [name.strip() for name in next(reader, [])]
            at = [_place(head, names) for names in columns]
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(head):
                    raise CsvFault(reader.line_num, f"expected {len(head)} cells, got {len(cells)}")
                yield reader.line_num, tuple(cells[i].strip() for i in at)
    except UnicodeDecodeError:
        raise CsvFault(1, "the text is not UTF-8") from None
    except csv.Error as exc:
        raise CsvFault(reader.line_num, f"malformed CSV: {exc}") from None
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror}", "Check who may read it") from exc


def _place(head: Sequence[str], names: Sequence[str]) -> int:
    for name in names:
        if name in head:
            return head.index(name)
    raise CsvFault(1, f"column {names[0]!r} is missing; columns found: {', '.join(filter(None, head)) or 'none'}")
