"""The mark of a video that its site does not show any more, in front of what `reason` of the videos table said before.

gone since 2026-05-04: private: <what the site said> | <what stood there before>
"""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pyarrow as pa

from ..core.atomic import write_table
from ..run.store import Store, read_part

_MARK = re.compile(r"gone since (\d{4}-\d\d-\d\d): ([a-z-]+): ([^|]*)(?: \| (.*))?", re.DOTALL)


def marked_class(reason: str | None) -> str | None:
    """The error class of a mark; None where there is none."""
    match = _MARK.fullmatch(reason or "")
    return match[2] if match else None


def with_mark(reason: str | None, error_class: str, message: str, today: date) -> str:
    """`reason` with the mark. One that is there stays; where its class is another now, it keeps its day alone."""
    match = _MARK.fullmatch(reason or "")
    if match and match[2] == error_class:
        return str(reason)
    day, rest = (match[1], match[4]) if match else (today.isoformat(), reason)
    told = " ".join(message.replace("|", "/").split())
    return f"gone since {day}: {error_class}: {told}" + (f" | {rest}" if rest else "")


def without_mark(reason: str | None) -> str | None:
    """`reason` as it was before."""
    match = _MARK.fullmatch(reason or "")
    return match[4] if match else reason


def mark_gone(store: Store, video_id: str, error_class: str, message: str, today: date) -> None:
    """Mark a video in its part of the videos table; a mark that says so already is left as it is."""
    _set_reason(store, video_id, lambda reason: with_mark(reason, error_class, message, today))


def mark_there(store: Store, video_id: str) -> None:
    """Take the mark back."""
    _set_reason(store, video_id, without_mark)


def _set_reason(store: Store, video_id: str, change: Any) -> None:
    path = store.part("videos", video_id)
    table = read_part(path)
    before = table["reason"].to_pylist()
    after = [change(reason) for reason in before]
    if after != before:
        place = table.schema.get_field_index("reason")
        write_table(path, table.set_column(place, table.schema.field(place), pa.array(after, pa.string())))
