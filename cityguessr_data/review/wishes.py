"""What a page asks for, checked: from the JSON that it sends to the decisions that are meant. Pure.

A page names a box by its number in the list that it was shown, and says how many decisions about the clip it had seen:
where there are more by now, somebody else has decided, and desk.py takes none of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from ..core.errors import InputError
from .boxes import FrameBox
from .decisions import MARKS, Action, Box, Decision
from .state import ClipReview

_TAB = re.compile(r"[0-9a-f]{32}")
_LEAST_PX = 2.0
"""Sides of a box that a person draws."""

_TAKEN_BACK = ("accept", "every-frame", "drop")
"""What holds or not: the same key takes it back."""

_WISHES = tuple(action for action in get_args(Action) if action not in ("undo", "drawn", "looked"))


@dataclass(frozen=True)
class Wish:
    """One action on one clip."""

    tab: str
    """Who asks: 32 hex digits that a tab made up for itself."""
    clip_id: str
    seen: int
    """Decisions about the clip that the page knew."""
    action: Action
    position: int
    boxes: tuple[int, ...] = ()
    """Indices into the frame's boxes; none: those that the action means by itself."""
    rect: tuple[float, float, float, float] | None = None
    value: str = ""
    all_of_video: bool = False
    take_back: bool = False
    """The action holds, and is to hold no more, whoever decided it."""


@dataclass(frozen=True)
class Meant:
    """One decision to be made, of a clip that is known."""

    action: Action
    position: int | None = None
    box: Box | None = None
    value: str | None = None


def wish_of(sent: Any) -> Wish:
    """Check what a page sent.

    Raises:
        InputError: it is not what this page sends.
    """
    action = text_of(sent, "action")
    if action not in _WISHES:
        raise InputError(f"there is no action {action!r}", "Reload the page")
    boxes, rect = sent.get("boxes", []), sent.get("rect")
    if not isinstance(boxes, list) or not all(type(one) is int for one in boxes):
        raise InputError("the boxes are no list of numbers", "Reload the page")
    if rect is not None and not (isinstance(rect, list) and len(rect) == 4 and all(map(_is_number, rect))):
        raise InputError("the drawn box is not four numbers", "Draw it again")
    take_back = sent.get("take_back") is True
    if take_back and action not in _TAKEN_BACK:
        raise InputError(f"{action!r} is not taken back like this", "Reload the page")
    return Wish(
        tab_of(sent),
        text_of(sent, "clip"),
        int_of(sent, "seen"),
        action,  # type: ignore[arg-type]
        int_of(sent, "frame"),
        tuple(boxes),
        None if rect is None else (rect[0], rect[1], rect[2], rect[3]),
        str(sent.get("value", "")).strip()[:200],
        sent.get("all_of_video") is True,
        take_back,
    )


def tab_of(sent: Any) -> str:
    """The tab that sent something."""
    tab = text_of(sent, "tab")
    if not _TAB.fullmatch(tab):
        raise InputError("the page does not say which tab it is", "Reload the page")
    return tab


def text_of(sent: Any, name: str) -> str:
    """A text of what a page sent."""
    value = sent.get(name) if isinstance(sent, Mapping) else None
    if not isinstance(value, str):
        raise InputError(f"the page does not say its {name}", "Reload the page")
    return value


def int_of(sent: Any, name: str) -> int:
    """A whole number of what a page sent."""
    value = sent.get(name) if isinstance(sent, Mapping) else None
    if type(value) is not int:
        raise InputError(f"the page does not say its {name}", "Reload the page")
    return value


def meant_by(
    wish: Wish,
    boxes: Sequence[FrameBox],
    review: ClipReview,
    size_px: tuple[int, int],
    city: str,
    known_city: Callable[[str], str],
) -> list[Meant]:
    """The decisions that a wish means; none where they hold already.

    Args:
        boxes: of the frame, as the page showed them.
        size_px: (width, height) of the saved frame.
        city: the clip's as it is in the table.
        known_city: the right spelling of a city; raises InputError where it is not known.

    Raises:
        InputError: it makes no sense here; in words for the reviewer.
    """
    match wish.action:
        case "accept":
            return [] if wish.position in review.accepted else [Meant("accept", wish.position)]
        case "every-frame":
            return [] if review.every_frame else [Meant("every-frame")]
        case "drop":
            return [] if review.dropped else [Meant("drop")]
        case "mark" | "unmark":
            if wish.value not in MARKS:
                raise InputError(f"{wish.value!r} is no mark", f"Give one of {', '.join(MARKS)}")
            holds = (wish.value in review.marks) == (wish.action == "mark")
            return [] if holds else [Meant(wish.action, value=wish.value)]
        case "label":
            named = known_city(wish.value)
            return [] if named == (review.city or city) else [Meant("label", value=named)]
        case "draw":
            return [Meant("draw", wish.position, _drawn(wish, size_px))]
        case _:
            chosen = _chosen(wish, boxes)
            return [Meant(wish.action, wish.position, one.box) for one in chosen]


def taken_back_by(wish: Wish, review: ClipReview) -> list[Decision]:
    """The decisions, of whatever reviewer and tab, that make hold what a wish takes back; none where nothing does."""
    same = (one for one in review.counting if one.action == wish.action)
    return [one for one in same if wish.action != "accept" or one.position == wish.position]


def same_matter(decision: Decision, wish: Wish) -> bool:
    """Whether a label or a mark that somebody decided is what a wish would decide too."""
    if wish.action == "label":
        return decision.action == "label"
    return decision.action in ("mark", "unmark") and decision.value == wish.value


def _chosen(wish: Wish, boxes: Sequence[FrameBox]) -> list[FrameBox]:
    """The boxes to reject or to blur."""
    if any(not 0 <= index < len(boxes) for index in wish.boxes):
        raise InputError("there is no such box in this frame", "Reload the page")
    chosen = [boxes[index] for index in wish.boxes]
    if wish.action == "reject":
        chosen = chosen or [one for one in boxes if one.kind in ("blurred", "added", "drawn")]
        if not chosen:
            raise InputError("no box of this frame is blurred", "Select the one to reject")
        return [one for one in chosen if one.kind != "rejected"]
    doubtful = [one for one in boxes if one.kind == "doubtful"]
    if not chosen and len(doubtful) != 1:
        raise InputError("which box is a face?" if doubtful else "no box here waits to be blurred", "Select it first")
    return [one for one in chosen or doubtful if one.kind in ("doubtful", "rejected")]


def _drawn(wish: Wish, size_px: tuple[int, int]) -> Box:
    """A drawn box inside the frame, of float32 values as the table holds them."""
    if wish.rect is None:
        raise InputError("no box was drawn", "Draw it again")
    x0, x1 = (min(max(x, 0.0), float(size_px[0])) for x in (wish.rect[0], wish.rect[2]))
    y0, y1 = (min(max(y, 0.0), float(size_px[1])) for y in (wish.rect[1], wish.rect[3]))
    if x1 - x0 < _LEAST_PX or y1 - y0 < _LEAST_PX:
        raise InputError("the box is too small, or outside of the frame", "Draw it again")
    corners = [float(np.float32(value)) for value in (x0, y0, x1, y1)]
    return (corners[0], corners[1], corners[2], corners[3])


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False
