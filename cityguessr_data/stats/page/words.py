"""Numbers, names and intervals as people read them; text from outside made harmless to look at.

Nothing here escapes markup: the template does that for HTML, and `shell` for what scripts read.
"""

from __future__ import annotations

import math
import unicodedata

from ..results import Interval

DASH = "–"
UNKNOWN = "not known"
LEVEL_NAMES = {"city": "Cities", "state": "States", "country": "Countries", "continent": "Continents"}
ONE_OF = {"city": "city", "state": "state", "country": "country", "continent": "continent"}

_MAX_NAME = 60
_NBSP = "\u00a0"


def plain(raw: str, limit: int = _MAX_NAME) -> str:
    """One line of visible text: no control or direction marks, at most `limit` characters."""
    spaced = "".join(" " if unicodedata.category(c) in ("Zl", "Zp") or c in "\t\n\r" else c for c in raw)
    visible = " ".join("".join(c for c in spaced if not unicodedata.category(c).startswith("C")).split())
    if not visible:
        return "(no name)"
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def place(raw: str, limit: int = _MAX_NAME) -> str:
    """A name of a place as people write it."""
    return plain(raw.replace("_", " "), limit)


def search_key(raw: str) -> str:
    """What a search is compared with: without case, accents and underscores. page.js does the same to what is typed."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", raw) if not unicodedata.category(c).startswith("M"))
    return " ".join(bare.lower().replace("_", " ").split())


def whole(n: int | None) -> str:
    """`1,234`; an en dash for None."""
    return DASH if n is None else f"{n:,}"


def many(n: int, one: str, more: str) -> str:
    """`1 clip`, `1,234 clips`."""
    return f"{n:,} {one if n == 1 else more}"


def number(x: float | None, decimals: int = 2) -> str:
    """`1,234.50` with `decimals` 2, and a true minus sign; whole numbers with `decimals` 0."""
    if x is None:
        return DASH
    text = f"{abs(x):,.{decimals}f}"
    return f"−{text}" if x < 0 and _not_zero(text) else text


def short(x: float) -> str:
    """No more decimals than the number needs: `411`, `26.7`, `0.05`, `0.0012`."""
    return _bare(number(x, 1 if abs(x) >= 100 else 2 if abs(x) >= 0.1 else 4))


def edge(x: float, step: float) -> str:
    """An edge of bins of width `step`, with the decimals that tell it from the next."""
    return _bare(number(x, max(0, 1 - math.floor(math.log10(step)))))


def _bare(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(part: float, total: float = 1.0, decimals: int = 1) -> str:
    """`12.5 %`, on one line; `0 %` is none at all, and an en dash stands where the total is 0."""
    if not total:
        return DASH
    if part in (0, total):
        return f"{100 if part else 0}{_NBSP}%"
    shown = number(100 * part / total, decimals)
    return f"{shown if _not_zero(shown) else f'< {10**-decimals:.{decimals}f}'}{_NBSP}%"


def interval(i: Interval, decimals: int = 2, in_percent: bool = False, signed: bool = False) -> str:
    """`0.36 (0.33 to 0.40)`; an en dash for an interval that is not known.

    Args:
        in_percent: `31.2 % (28.0 to 35.1)` for 0.312.
        signed: with + before what is above 0.
    """

    def show(x: float) -> str:
        text = number(100 * x if in_percent else x, decimals)
        return f"+{text}" if signed and x > 0 and _not_zero(text) else text

    value = show(i.value) + (f"{_NBSP}%" if in_percent else "")
    if i.low is None or i.high is None:
        return f"{value} ({DASH})"
    return f"{value} ({show(i.low)} to {show(i.high)})"


def listing(names: list[str], limit: int = 60) -> str:
    """Names with commas; past `limit` the rest is counted."""
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def _not_zero(text: str) -> bool:
    return any(c in "123456789" for c in text)
