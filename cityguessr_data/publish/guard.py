"""The last look at what goes out: no text may hold a path of the machine it was made on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..core.errors import InputError

_START = re.compile(r"(?<![\w.~%@-])/")
"""Where an absolute path may begin: not in the middle of a link, whose slashes follow a host."""
_END = re.compile(r"[/\s\"'<>|,;:()\[\]{}]|$")
"""Before what a name of a folder may end; it may hold most of these too."""


class PathGuard:
    """Knows the folders that must not be named.

    Args:
        folders: OUT, the home folder, and wherever local source videos lie; the root folder is no secret.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        both = {form for folder in folders for form in (folder.absolute(), folder.resolve())}
        self._folders = {str(folder) for folder in both if folder != folder.parent}
        self._longest = max(map(len, self._folders), default=0)

    def finds(self, text: str) -> bool:
        """Whether a text names one of the folders, or something below it."""
        for start in _START.finditer(text):
            path = re.sub("/+", "/", text[start.start() : start.start() + 2 * self._longest + 1])
            if any(path[: end.start()] in self._folders for end in _END.finditer(path, 1)):
                return True
        return False

    def check_table(self, name: str, table: pa.Table) -> None:
        """Look through the texts of a table, and its column names and metadata.

        Raises:
            InputError: naming the column.
        """
        told = {f"metadata {key.decode()}": value.decode() for key, value in (table.schema.metadata or {}).items()}
        for where, text in told.items():
            self.check_text(f"{name}, {where}", text)
        for column in table.column_names:
            if pa.types.is_string(table[column].type):
                values = table[column].drop_null().unique().to_pylist()
                if self.finds(column) or any(self.finds(value) for value in values):
                    raise _named(f"column {column} of {name}")

    def check_text(self, name: str, text: str) -> None:
        """Look through a text.

        Raises:
            InputError: naming it.
        """
        if self.finds(text):
            raise _named(name)

    def check_value(self, name: str, value: Any) -> None:
        """Look through a value of JSON.

        Raises:
            InputError: naming it.
        """
        for where, text in _texts(value, name):
            self.check_text(where, text)


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(str(key), where)
            yield from _texts(inner, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner, where)


def _named(where: str) -> InputError:
    return InputError(
        f"{where} holds a path of this machine, which would be published",
        "Take it out of the sources table and build again, or move the data set out of that folder",
    )
