"""A table of texts. Its forms for documents are written in forms.py, the terminal's in cgtool/sheet.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """One table.

    Raises:
        ValueError: a row of another length than the head.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    """What a reader must know, one sentence each, without a full stop."""
    n_left: int = 1
    """Columns from the left that hold words; the others hold figures and are set to the right."""
    groups: tuple[int, ...] = ()
    """Rows before which a line is drawn."""

    def __post_init__(self) -> None:
        """Compare the lengths."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"expected {len(self.columns)} cells, got {len(row)}: {row}")
