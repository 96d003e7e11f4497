"""Keeps removed clips out of an import: they must not be committed for a moment, or a kill would leave them there."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from ..run.refusing import refusal
from ..run.store import Store
from ..run.take_out_unit import remove_unit
from ..run.tombstones import Tombstones
from .checking import CheckedUnit
from .commit import listing_mark
from .found import Unit


def without_removed(checked: CheckedUnit, tombstones: Tombstones) -> CheckedUnit:
    """A unit without the clips that were taken out for good, each by its id or with its video."""
    unit = checked.unit
    if not tombstones:
        return checked
    if unit.video_id != unit.unit_id and tombstones.of_video(unit.video_id) is not None:
        return replace(checked, clips=())
    clips = tuple(one for one in checked.clips if not tombstones.is_gone(one.clip.clip_id, None, ()))
    return replace(checked, clips=clips)


def leave_out_whole(store: Store, unit: Unit, tombstones: Tombstones, one_at_a_time: Lock) -> bool:
    """Give a unit that was taken out for good its row that says so; False where it was not taken out."""
    why = tombstones.of_video(unit.unit_id)
    if why is None:
        return False
    with one_at_a_time:
        remove_unit(store, unit.unit_id, unit.url, refusal(why), listing_mark(unit))
    return True
