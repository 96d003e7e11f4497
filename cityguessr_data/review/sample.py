"""The frames of a sample: drawn once, kept in OUT/.cgtool/review/, so that a person can go on after a stop.

Every saved frame whose unblurred picture is at hand is as likely as any other, and they are shown in the order in which
they were drawn: whatever part of a sample has been looked at is a random sample too. Of one seed, a larger sample
begins with the smaller one.

Whether a source is at hand is asked for drawn clips alone, for it may take reading a whole video. All anonymised frames
are put in a random order, and those that cannot be shown are passed over: what is left is in a random order too.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from ..core.atomic import write_json
from ..core.errors import InputError
from ..run.store import Store, read_part

_NAME = re.compile(r"sample-(\d+)-(\d+)\.json")


class Sources(Protocol):
    """What a sample asks of `Unblurred`."""

    def why_none(self, unit: str, clip_id: str) -> str | None:
        """None where the clip's unblurred frames are at hand, else why not."""


@dataclass(frozen=True)
class SampledFrame:
    """A frame of a sample."""

    unit: str
    clip_id: str
    position: int
    fingerprint: str
    """The clip's when the sample was drawn: with another one, it may be another frame."""


@dataclass(frozen=True)
class Sample:
    """Frames to be looked at, in the order to look at them."""

    n_asked: int
    seed: int
    dataset_id: str
    drawn_at: str
    """ISO 8601, UTC."""
    n_eligible: int
    """Anonymised frames, less those of the clips that were drawn and cannot be shown: it was drawn from so many at
    most."""
    left_out: Mapping[str, int]
    """Why frames could not be drawn -> how many frames such clips have; at least so many."""
    all_known: bool
    """The source of every clip was looked at, so that both counts are exact."""
    frames: tuple[SampledFrame, ...]
    """All eligible ones where fewer are there than asked for."""

    @property
    def name(self) -> str:
        """Of its file, without the ending."""
        return f"sample-{self.n_asked}-{self.seed}"


def open_sample(store: Store, sources: Sources, n: int, seed: int = 0) -> Sample:
    """The sample of `n` frames and this seed: the one that was begun, else one drawn now and kept.

    Raises:
        InputError: a size below 1, a negative seed, or no frame whose unblurred picture is at hand.
        DiskFullError: no space left; nothing was kept.
    """
    if n < 1:
        raise InputError(f"a sample of {n} frames shows nothing", "Give --sample a number of 1 or more")
    if seed < 0:
        raise InputError(f"the seed {seed} is negative", "Give a number of 0 or more")
    path = _folder(store) / f"sample-{n}-{seed}.json"
    if path.exists():
        return _read(store, path)
    sample = _draw(store, sources, n, seed)
    if not sample.frames:
        why = "; ".join(f"{reason} ({count:,} frames)" for reason, count in sample.left_out.items())
        raise InputError(
            f"no frame of {store.out} can be shown unblurred{': ' + why if why else ', for it has none'}",
            "Build it again with its sources kept: recall is measured on the frames as they were",
        )
    write_json(path, asdict(sample))
    return sample


def newest_sample(store: Store) -> Sample | None:
    """The sample that was drawn last; None where there is none.

    Raises:
        InputError: its file is damaged, or is about another data set.
    """
    found = [_read(store, path) for path in sorted(_folder(store).glob("sample-*.json")) if _NAME.fullmatch(path.name)]
    return max(found, key=lambda sample: (sample.drawn_at, sample.n_asked), default=None)


@dataclass(frozen=True)
class _Clip:
    unit: str
    clip_id: str
    fingerprint: str
    n_frames: int
    """Saved ones."""


def _draw(store: Store, sources: Sources, n: int, seed: int) -> Sample:
    import numpy as np

    left_out: Counter[str] = Counter()
    clips: list[_Clip] = []
    for clip, blurred in _clips(store):
        if blurred:
            clips.append(clip)
        else:
            left_out["its frames were never anonymised"] += clip.n_frames
    ends = list(accumulate(clip.n_frames for clip in clips))
    total = ends[-1] if ends else 0
    order = np.random.default_rng(seed).permutation(total)
    why: dict[int, str | None] = {}
    frames: list[SampledFrame] = []
    at, rounds = 0, 0
    while at < total and len(frames) < n:
        # As many as are missing: none is looked at in vain. Where sources are rare twice as many each time, so that the
        # tables of a unit are not read again for every clip.
        numbers = order[at : at + ((n - len(frames)) << rounds)].tolist()
        at, rounds = at + len(numbers), rounds + 1
        places = [bisect_right(ends, number) for number in numbers]
        why |= _look(sources, clips, sorted({place for place in places if place not in why}))
        for number, place in zip(numbers, places, strict=True):
            if why[place] is None and len(frames) < n:
                clip = clips[place]
                position = number - (ends[place] - clip.n_frames)
                frames.append(SampledFrame(clip.unit, clip.clip_id, position, clip.fingerprint))
    n_gone = 0
    for place, reason in sorted(why.items()):
        if reason is not None:
            left_out[reason] += clips[place].n_frames
            n_gone += clips[place].n_frames
    all_known = sum(clip.n_frames > 0 for clip in clips) == len(why)
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return Sample(n, seed, store.dataset_id(), now, total - n_gone, dict(left_out), all_known, tuple(frames))


def _look(sources: Sources, clips: Sequence[_Clip], places: Sequence[int]) -> dict[int, str | None]:
    """Why the frames of some clips cannot be shown, by their place in `clips`; None where they can."""
    return {place: sources.why_none(clips[place].unit, clips[place].clip_id) for place in places}


def _clips(store: Store) -> Iterator[tuple[_Clip, bool]]:
    """Every clip, and whether it was anonymised, by unit and clip."""
    for path in store.parts("clips"):
        rows = read_part(path, ["clip_id", "fingerprint", "n_sampled", "blur"]).to_pylist()
        for row in sorted(rows, key=lambda row: str(row["clip_id"])):
            yield _Clip(path.stem, row["clip_id"], row["fingerprint"], row["n_sampled"]), row["blur"] is not None


def _folder(store: Store) -> Path:
    return store.work / "review"


def _read(store: Store, path: Path) -> Sample:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        frames = tuple(SampledFrame(**frame) for frame in value.pop("frames"))
        sample = Sample(**value, frames=frames)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        raise InputError(f"{path} is damaged ({exc})", "Delete it: another is drawn; what was drawn stays") from exc
    if sample.dataset_id != store.dataset_id():
        raise InputError(f"{path} is a sample of another data set", "Take it away")
    return sample
