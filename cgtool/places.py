"""Urls where a command takes an output directory or a cache: each becomes the local folder that works for it.

Commands take paths, and `Path` spells `s3://bucket/set` as `s3:/bucket/set`: that is what is looked for here, once for
all commands (console.command). What a command prints of such a folder is told as the url.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

_DATA_SETS = frozenset({"out", "data", "compare"})
"""Names of arguments that are output directories."""
_FILES = frozenset({("bench_evaluate", "out"), ("bench_table", "out"), ("bench_train", "run"), ("sources", "out")})
"""(module, argument) of those that are not, for all that."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_WORKING_COPY = re.compile(r"/[0-9a-f]{16}(?=/)")
"""What the folder of a url has in its path: looked for first, since nearly no text has it."""


def settled(module: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a command with every url replaced; output directories are brought up to date.

    Raises:
        InputError: a url where only a local path can be; or one that is not fit.
        MachineError, StopError: a package is missing; the object store refuses, or does not answer.
    """
    return {name: _settled(module.rpartition(".")[2], name, value) for name, value in given.items()}


def cache_folder(cache: Path) -> Path:
    """The folder of a --cache."""
    if not _is_url(cache):
        return cache
    from cityguessr_data.core.remote.place import folder_of, place_of

    place = place_of(str(cache))
    return place if isinstance(place, Path) else folder_of(place)


def told(text: str) -> str:
    """`text` with urls in place of the folders that work for them."""
    if _WORKING_COPY.search(text) is None:
        return text
    from cityguessr_data.core.remote.place import url_of, work_root

    root = str(work_root())
    if root not in text:
        return text

    for above in dict.fromkeys(re.findall(re.escape(root) + _WORKING_COPY.pattern, text)):
        with suppress(OSError):  # somebody deleted it, or never made it
            for folder in Path(above).iterdir():  # one, and perhaps what lies beside it for a while
                if url := url_of(folder):
                    for spelt in (str, _in_json, _in_ascii):
                        # Not what lies beside it and begins so (core/remote/frames.py)
                        text = spelt(url).join(re.split(re.escape(spelt(str(folder))) + r"(?!\.fetched)", text))
    return text


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _in_ascii(text: str) -> str:
    return json.dumps(text)[1:-1]


class Told:
    """A stream that is written to in this way."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(told(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _settled(module: str, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_settled(module, name, one) for one in value]
    if not isinstance(value, Path) or not _is_url(value):
        return value
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.core.remote.place import folder_of, place_of, without_secrets

    if name == "cache":
        return cache_folder(value)
    place = place_of(str(value))
    if isinstance(place, Path):
        return place
    if name not in _DATA_SETS or (module, name) in _FILES:
        raise InputError(
            f"{without_secrets(place)} is a url, and this must be a local path",
            "Urls name output directories (OUT) and caches (--cache)",
        )
    folder = folder_of(place)
    from cityguessr_data.run.store import Store

    copy = Store(folder).copy
    if copy is not None:
        copy.refresh()
    return folder


def _is_url(path: Path) -> bool:
    return os.sep in str(path) and _URL.match(str(path)) is not None
