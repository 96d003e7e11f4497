"""What the page says after a decision, in words."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .decisions import Decision
from .wishes import Meant, Wish

_NAMED = 20
"""Clip ids in one sentence."""


def said_of(wish: Wish, made: Sequence[Meant | Decision], n_clips: int) -> str:
    """A decision in words.

    Args:
        made: what was written; of `wish.take_back` the decisions that were taken back.
        n_clips: that they are about.
    """
    if not made and (wish.take_back or wish.action != "accept"):
        return "It is so already; nothing was written."
    frame, many = f"frame {wish.position + 1} of {wish.clip_id}", f" of {n_clips} clips" if n_clips > 1 else ""
    if wish.take_back:
        who = names(one.reviewer for one in made if isinstance(one, Decision))
        match wish.action:
            case "accept":
                return f"F{frame[1:]} is not accepted after all; it was by {who}."
            case "every-frame":
                return f"Not every frame of {wish.clip_id} after all; {who} had asked for it."
            case _:
                return f"{wish.clip_id} is kept after all; {who} had dropped it."
    match wish.action:
        case "accept":
            return f"Accepted {frame}."
        case "reject":
            return f"Rejected {len(made)} box{'es' if len(made) > 1 else ''} in {frame}."
        case "blur":
            return f"{len(made)} box{'es' if len(made) > 1 else ''} in {frame} will be blurred."
        case "draw":
            return f"Drew a face in {frame}."
        case "every-frame":
            return f"Every frame of {wish.clip_id} is to be looked at."
        case "drop":
            return f"Dropped {wish.clip_id}."
        case "label":
            return f"The city{many} is {made[0].value}."
        case _:
            return f"{'Marked' if wish.action == 'mark' else 'No longer marked'} as {wish.value}{many}."


def said_of_left(left: Mapping[str, Decision]) -> str:
    """Which clips were left as they are, for what another tab has decided.

    Args:
        left: clip id -> that decision.
    """
    told = [f"{clip_id} ({one.reviewer})" for clip_id, one in left.items()]
    more = f" and {len(told) - _NAMED:,} more" if len(told) > _NAMED else ""
    n = "1 clip was" if len(told) == 1 else f"{len(told):,} clips were"
    return f"{n} decided on in another tab and left so; look there first: {', '.join(told[:_NAMED])}{more}."


def apply_command(out: Path, taxonomy: Path | None) -> str:
    """The command that carries out what was decided, for a shell.

    Args:
        taxonomy: that the review was given; its labels are resolved by it once more.
    """
    given = "" if taxonomy is None else f" --taxonomy {shlex.quote(str(taxonomy))}"
    return f"cgtool review {shlex.quote(str(out))} --apply{given}"


def names(reviewers: Iterable[str]) -> str:
    """Names, each once, in the order in which they come."""
    return ", ".join(dict.fromkeys(reviewers))
