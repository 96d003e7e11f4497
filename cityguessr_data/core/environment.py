"""Numbers that are told by environment variables, each checked before anything starts."""

from __future__ import annotations

import math
import os

from .errors import InputError


def number_told(variable: str, usual: float, least: float) -> float:
    """The number that a variable tells; `usual` where it is not set, or empty.

    Raises:
        InputError: it is no finite number, or below `least`.
    """
    text = os.environ.get(variable, "").strip()
    if not text:
        return usual
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number < least:
        raise InputError(f"${variable} is {text!r}, and must be a number of {least:g} or more", "Mend it, or unset it")
    return number
