"""Whether a data set may go out: its review finished and carried out, every frame anonymised (contract 4)."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import InputError
from ..review.progress import ReviewProgress, read_progress
from ..run.store import Store

_NAMED = 3


def check_review(store: Store, *, allow_unreviewed: bool) -> ReviewProgress:
    """How far the review is, where that is far enough.

    Args:
        allow_unreviewed: let through what nobody has looked at. Refused even so: frames that were never anonymised, and
            decisions that are not carried out, for somebody may have seen a face that is not blurred.
    Raises:
        InputError: frames were never anonymised, clips wait for a person, or decisions wait to be carried out.
    """
    progress = read_progress(store)
    if progress.unblurred:
        raise InputError(
            f"{_clips(progress.unblurred)} of {store.out} never had {_their(progress.unblurred)} faces blurred",
            f"Run `cgtool anonymise {store.out}` first",
        )
    if progress.unfinished and not allow_unreviewed:
        first = f" once `cgtool review {store.out} --apply` has carried out what is decided"
        raise InputError(
            f"the review is not finished: {_clips(progress.unfinished)} of {progress.n_clips:,} wait for a person"
            f"{_stale(progress.n_stale)}",
            f"Look at them with `cgtool review {store.out}`, or export with --allow-unreviewed"
            f"{first if progress.unapplied else ''}",
        )
    if progress.unapplied:
        n = len(progress.unapplied)
        raise InputError(
            f"what reviewers decided about {n:,} source{'s' if n > 1 else ''} is not carried out yet",
            f"Run `cgtool review {store.out} --apply` first",
        )
    return progress


def is_reviewed(progress: ReviewProgress) -> bool:
    """Whether a person has looked at all that contract 4 asks for, and it was carried out."""
    return not (progress.unfinished or progress.unapplied)


def _clips(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else ""
    return f"{len(ids):,} clip{'s' if len(ids) > 1 else ''} ({', '.join(ids[:_NAMED])}{more})"


def _stale(n: int) -> str:
    """Why clips may wait that somebody has looked at."""
    if not n:
        return ""
    are = "1 decision is about an earlier result of its clip and counts"
    if n > 1:
        are = f"{n:,} decisions are about earlier results of their clips and count"
    return f" ({are} no more)"


def _their(ids: Sequence[str]) -> str:
    return "their" if len(ids) > 1 else "its"
