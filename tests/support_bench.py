"""`cgtool bench` in the process of the test, and what it left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str
