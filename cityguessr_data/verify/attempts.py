"""The attempts table is well-formed: numbered from 1, in order, each step with an outcome that exists."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa

from ..core.errors import ErrorClass
from .findings import Fault

_CHECK = "attempts"
_STATUS = ("done", "dropped", "failed")
_HINT = "Delete this part: only the record of earlier attempts is lost"


def check_attempts(unit: str, table: pa.Table) -> list[Fault]:
    """What is wrong with one part."""
    wrong = _wrong(unit, table.to_pylist())
    where = f"parts/attempts/{unit}.parquet"
    return [Fault(_CHECK, where, what, "person", hint=_HINT) for what in wrong]


def _wrong(unit: str, rows: list[dict[str, Any]]) -> list[str]:
    wrong = []
    if other := {row["video_id"] for row in rows} - {unit}:
        wrong.append(f"is of the video {min(other)}")
    numbers = [row["attempt"] for row in rows]
    if numbers and (numbers[0] != 1 or any(not 0 <= b - a <= 1 for a, b in pairwise(numbers))):
        wrong.append("its attempts are not numbered from 1 in order")
    if any(row["status"] not in _STATUS for row in rows):
        wrong.append("has a status that is none")
    if any(not row["seconds"] >= 0 for row in rows):
        wrong.append("has an attempt of less than no time")
    classes = {str(one) for one in ErrorClass}
    if any(row["status"] == "failed" and row["error_class"] not in classes for row in rows):
        wrong.append("has a failure of no known class")
    return wrong
