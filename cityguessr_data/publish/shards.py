"""Which clips go into which file of an export: planned before anything is written, so that a killed export goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .clip import ExportClip

_ORDER = ("", "train", "val", "test")


def part_order(part: str) -> tuple[int, str]:
    """To sort parts by."""
    return (_ORDER.index(part) if part in _ORDER else len(_ORDER), part)


@dataclass(frozen=True)
class Shard:
    """One file of clips."""

    part: str
    """Of the split; empty where clips are not divided."""
    number: int
    """From 0 within the part."""
    of: int
    """Files of the part."""
    clips: tuple[ExportClip, ...]


def plan_shards(clips: Sequence[ExportClip], limit_bytes: int) -> list[Shard]:
    """Divide clips into files of at most `limit_bytes` of frames, in their order and by part; a clip stays whole.

    A clip that is larger than the limit has a file of its own.
    """
    by_part: dict[str, list[list[ExportClip]]] = {}
    held_bytes: dict[str, int] = {}
    for clip in clips:
        files = by_part.setdefault(clip.part, [[]])
        if files[-1] and held_bytes[clip.part] + clip.n_bytes > limit_bytes:
            files.append([])
            held_bytes[clip.part] = 0
        files[-1].append(clip)
        held_bytes[clip.part] = held_bytes.get(clip.part, 0) + clip.n_bytes
    return [
        Shard(part, number, len(by_part[part]), tuple(held))
        for part in sorted(by_part, key=part_order)
        for number, held in enumerate(by_part[part])
    ]
