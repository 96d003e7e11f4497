"""Counts in words: 1 video, 2 videos."""

from __future__ import annotations


def n_of(n: int, noun: str, more: str = "") -> str:
    """A number and its noun, which has an `s` where it is not one; or `more`, where that is another word."""
    return f"{n:,} {noun if n == 1 else more or noun + 's'}"


def is_or_are(n: int) -> str:
    """The verb after a count."""
    return "is" if n == 1 else "are"
