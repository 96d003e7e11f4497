"""The frames of a sample: drawn once, kept in OUT/.cgtool/review/, so that a person can go on after a stop.

Every saved frame whose unblurred picture is at hand is as likely as any other, and they are shown in the order in which
they were drawn: whatever part of a sample has been looked at is a random sample too. Of one seed, a larger sample
begins with the smaller one.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
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
    """Frames it was drawn from."""
    left_out: Mapping[str, int]
    """Why a clip's frames could not be drawn -> how many frames."""
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


def _draw(store: Store, sources: Sources, n: int, seed: int) -> Sample:
    import numpy as np

    eligible: list[tuple[str, str, str, int]] = []
    left_out: Counter[str] = Counter()
    for unit, clip_id, fingerprint, n_frames, why in _clips(store, sources):
        if why is None:
            eligible.append((unit, clip_id, fingerprint, n_frames))
        else:
            left_out[why] += n_frames
    ends = list(accumulate(clip[3] for clip in eligible))
    total = ends[-1] if ends else 0
    frames = []
    for number in np.random.default_rng(seed).permutation(total)[:n].tolist():
        place = bisect_right(ends, number)
        unit, clip_id, fingerprint, n_frames = eligible[place]
        frames.append(SampledFrame(unit, clip_id, number - (ends[place] - n_frames), fingerprint))
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    return Sample(n, seed, store.dataset_id(), now, total, dict(left_out), tuple(frames))


def _clips(store: Store, sources: Sources) -> Iterator[tuple[str, str, str, int, str | None]]:
    """(unit, clip id, fingerprint, saved frames, why they cannot be shown), by unit and clip."""
    for path in store.parts("clips"):
        rows = read_part(path, ["clip_id", "fingerprint", "n_sampled", "blur"]).to_pylist()
        for row in sorted(rows, key=lambda row: str(row["clip_id"])):
            if row["blur"] is None:
                why: str | None = "its frames were never anonymised"
            else:
                why = sources.why_none(path.stem, row["clip_id"])
            yield path.stem, row["clip_id"], row["fingerprint"], row["n_sampled"], why


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
