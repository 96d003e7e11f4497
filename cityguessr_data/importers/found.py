"""What an importer finds in a source folder, before a frame of it is read; the types between its steps.

survey (the whole tree, light) -> Unit by Unit (every file of it) -> checked -> committed
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import InputError
from ..core.types import Place
from ..core.words import n_of


@dataclass(frozen=True)
class Fault:
    """Something wrong with the source, and where."""

    path: str
    """Relative to the source folder; of a table with the line, as in `cph/query/seq_info.csv:7`."""
    what: str


class SourceError(InputError):
    """A source folder that is not fit to be imported. `faults` holds every one, in the order found."""

    def __init__(self, source: Path, faults: list[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        more = f", and {n_of(len(faults) - 1, 'more fault')}" if len(faults) > 1 else ""
        super().__init__(
            f"{source} is not fit to be imported: {first.path}: {first.what}{more}",
            "Nothing was written: mend the folder, or download it again",
        )


@dataclass(frozen=True)
class FoundFrame:
    """One file of a clip."""

    path: Path
    """Absolute."""
    size_bytes: int
    frame_index: int | None = None
    """Its number in the source, where the data set tells it."""


@dataclass(frozen=True)
class FoundClip:
    """One clip with its files in order."""

    clip_id: str
    index: int
    """Number within the source video; within the city where the source is lost."""
    place: Place
    folder: Path
    """Absolute; where its frames lie."""
    frames: tuple[FoundFrame, ...]
    faults: tuple[Fault, ...] = ()
    """Why it must be left out; empty for a whole clip."""
    others: tuple[str, ...] = ()
    """Names of files in its folder that are no frame; they are passed over."""


@dataclass(frozen=True)
class Unit:
    """What is committed at once: a source video with its clips, or the clips of a city whose sources are lost."""

    unit_id: str
    """Names its parts; a safe file name."""
    video_id: str | None
    """None: the source of its clips is lost."""
    url: str
    """Where the frames were found, for the videos table."""
    clips: tuple[FoundClip, ...]
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns of the videos table."""


@dataclass(frozen=True)
class Survey:
    """A source folder that is fit: what there is, by name."""

    kind: str
    """`cityguessr68k` or `msls`."""
    source: Path
    """Absolute."""
    settings: Mapping[str, str]
    """What was asked for beside the source; another choice is another data set."""
    part_of: Mapping[str, str]
    """clip_id -> train, val or test, for every clip that the tree names; empty where its folders are no split."""
    unit_ids: frozenset[str]
    n_clips: int
    units: Callable[[], Iterator[Unit]]
    """Lists the files of one unit after the other; nothing of a unit is kept when the next is asked for."""
    left: tuple[Fault, ...] = ()
    """What the source should have and lacks, and may have later."""
    notes: tuple[str, ...] = ()
    """What a reader must know: what was passed over, and how much of it."""
