"""`cgtool export` in one place: the gate, what goes out, the folder it goes to, and one writer a format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ..core.errors import CgtoolError, InputError
from ..core.fingerprint import fingerprint
from ..review.decisions import MARKS
from ..review.progress import ReviewProgress
from ..run.assemble import assemble, is_stale
from ..run.store import Store
from ..run.take_out import is_unsettled
from .about import face_words, named, review_words
from .contents import Contents, read_contents
from .croissant import write_croissant
from .destination import NOTE, SUMS, check_apart, open_destination, read_sums
from .faces import FaceCounts
from .facts import Facts, facts_of
from .gate import check_review, is_reviewed
from .guard import PathGuard
from .huggingface import write_huggingface
from .job import ExportJob
from .ledger import note_export
from .links import has_private, with_links, write_link_files, write_links
from .shards import part_order
from .webdataset import write_webdataset

FORM_VERSION = 2
"""Raised when the same data set gives other files: an export begun before is not gone on with."""
SHARD_BYTES = 500_000_000
"""Of a shard's frames, unless the user says otherwise: large enough to read in a stream, small enough to shuffle."""

WRITERS: dict[str, Callable[[ExportJob], None]] = {
    "webdataset": write_webdataset,
    "huggingface": write_huggingface,
    "croissant": write_croissant,
    "links": write_links,
}
FORMATS = tuple(WRITERS)
_DIVIDED = ("webdataset", "huggingface")
"""Formats whose files may follow a split."""


class Listener(Protocol):
    """Hears how an export gets on."""

    def planned(self, n_clips: int, n_bytes: int) -> None:
        """What will be packed, counted with what an earlier run has packed."""

    def packed(self, n_clips: int, n_bytes: int) -> None:
        """So much more is packed."""


@dataclass(frozen=True)
class ExportConfig:
    """Everything that an export can be told."""

    out: Path
    dest: Path
    to: str
    """One of FORMATS."""
    allow_unreviewed: bool = False
    """Let through clips that nobody has looked at; never decisions that are not carried out."""
    shard_bytes: int | None = None
    """Of a file's frames, at most; None: SHARD_BYTES."""
    split: str | None = None
    """Name of a split: files by its parts."""
    without: tuple[str, ...] = ()
    """Marks of a review: clips that have one are left out."""
    contact: str | None = None
    """Who to ask for a removal."""

    def __post_init__(self) -> None:
        if self.to not in FORMATS:
            raise InputError(f"there is no format {self.to!r}", f"Give --to {', '.join(FORMATS)}")
        if self.split is not None and self.to not in _DIVIDED:
            raise InputError(f"files of {self.to} do not follow a split", "Leave out --split: the splits go along")
        if self.shard_bytes is not None and self.to == "links":
            raise InputError("links have no shards", "Leave out --shard-size")
        if self.shard_bytes is not None and self.shard_bytes < 1_000_000:
            raise InputError(f"a shard of {self.shard_bytes} bytes is too small", "Give --shard-size 1MB or more")
        if unknown := [mark for mark in self.without if mark not in MARKS]:
            raise InputError(f"{unknown[0]!r} is no mark", f"Give --without {', '.join(MARKS)}")
        if self.contact is not None and not (self.contact.strip() and self.contact.isprintable()):
            raise InputError("the contact is empty or holds control characters", "Give --contact as one line of text")


@dataclass(frozen=True)
class ExportResult:
    """What an export came to."""

    config: ExportConfig
    name: str
    version: str
    """Of the data set."""
    counts: Mapping[str, int]
    """clips, frames, videos, and classes by level."""
    parts: Mapping[str, int]
    """Clips by part; empty without a split."""
    left_out: Mapping[str, Sequence[str]]
    """Why -> clip ids that the data set has and the export has not."""
    gone: Sequence[str]
    """Ids of videos in it that are gone from their sites."""
    faces: FaceCounts
    private_links: bool
    """Whether a table of links has some that lead to this machine or a private network."""
    review: ReviewProgress
    files: Sequence[str]
    """In DEST."""
    n_bytes: int
    """Of all files."""
    was_done: bool
    """Whether the export was there already, and its files are as they were."""
    notes: Sequence[str] = ()
    """What a person should know."""


def export(config: ExportConfig, listener: Listener) -> ExportResult:
    """Export a data set. What was finished before an interruption is not done again.

    Raises:
        InputError: the review is not finished, the destination is not fit, frames differ from the tables; see hint.
        DiskFullError: no space left; the same command goes on.
        MachineError: OUT or DEST cannot be written.
    """
    check_apart(config.dest, config.out)
    store = Store(config.out)
    if store.dataset() is None:  # before anything is made there
        raise InputError(f"{config.out} is not an output directory (it has no dataset.json)", "Name one")
    with store.locked():
        store.recover()
        if is_unsettled(store):
            raise InputError(
                f"a removal from {config.out} was interrupted", "Run the same `cgtool remove` again: it finishes it"
            )
        if is_stale(store):
            assemble(store)
        review = check_review(store, allow_unreviewed=config.allow_unreviewed)
        contents = read_contents(store, split=config.split, without=config.without)
        if config.to == "links":
            contents = with_links(contents)
        guard = PathGuard([config.out, Path.home(), *contents.local_folders])
        facts = facts_of(config.to, contents, review, config.contact)
        note = describe(config, facts)
        guard.check_value(NOTE, note)
        if is_table(config):
            files, n_bytes, was_done = write_link_files(facts, config.dest, guard)
        else:
            files, n_bytes, was_done = _fill(config, facts, guard, note, listener)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        clip_ids = [clip.clip_id for clip in contents.clips]
        note_export(store, to=config.to, dest=config.dest, version=contents.version, clips=clip_ids, made_at=now)
    n_of = Counter(clip.part for clip in contents.clips if clip.part)
    counts = note["counts"]
    notes = tuple(_notes(config, contents))
    return ExportResult(
        config=config,
        name=contents.name,
        version=contents.version,
        counts=counts,
        parts={part: n_of[part] for part in sorted(n_of, key=part_order)},
        left_out=contents.left_out,
        gone=contents.gone,
        faces=facts.faces,
        private_links=config.to == "links" and has_private(contents),
        review=review,
        files=files,
        n_bytes=n_bytes,
        was_done=was_done,
        notes=notes,
    )


def is_table(config: ExportConfig) -> bool:
    """Whether DEST is the table of links itself, not a folder."""
    return config.to == "links" and config.dest.suffix.lower() == ".csv" and not config.dest.is_dir()


def describe(config: ExportConfig, facts: Facts) -> dict[str, Any]:
    """What export.json says; nothing of the machine."""
    contents, review = facts.contents, facts.review
    counts = {"clips": len(contents.clips), "frames": contents.n_frames, "videos": contents.videos.num_rows}
    return {
        "format": config.to,
        "name": contents.name,
        "version": contents.version,
        "counts": counts | {f"{level}_classes": n for level, n in facts.classes.items()},
        "split": config.split,
        "left_out": {why: len(ids) for why, ids in contents.left_out.items()},
        "gone": list(contents.gone),
        "faces": asdict(facts.faces),
        "review": {
            "finished": is_reviewed(review),
            "clips": review.n_clips,
            "clips_finished": review.n_finished,
            "clips_waiting": len(review.unfinished),
        },
        "contact": config.contact,
        "names_made_safe": {clip.clip_id: clip.key for clip in contents.clips if clip.key != clip.clip_id},
    }


def _fill(
    config: ExportConfig, facts: Facts, guard: PathGuard, note: Mapping[str, Any], listener: Listener
) -> tuple[list[str], int, bool]:
    """Fill the folder. Returns its files, their bytes, and whether all was there already."""
    contents, shard_bytes = facts.contents, config.shard_bytes or SHARD_BYTES
    asked = [FORM_VERSION, config.to, shard_bytes, config.split, sorted(config.without), config.contact]
    told = [contents.name, contents.version, contents.digest, facts.review.unfinished, contents.gone]
    told += [*review_words(facts), *face_words(facts)]
    dest = open_destination(config.dest, config.out, fingerprint([*asked, *told]), f"{datetime.now(UTC):%Y-%m-%d}")
    if dest is not None:
        listener.planned(len(contents.clips), contents.n_bytes)
        try:
            WRITERS[config.to](ExportJob(facts, dest, guard, shard_bytes, listener.packed))
        except CgtoolError:
            dest.leave()
            raise
        dest.finish(note)
    files = [*read_sums(config.dest), SUMS, NOTE]
    return files, sum((config.dest / name).stat().st_size for name in files), dest is None


def _notes(config: ExportConfig, contents: Contents) -> Iterator[str]:
    if contents.gone:
        one = len(contents.gone) == 1
        videos = "source video is gone from its site" if one else "source videos are gone from their sites"
        yield (
            f"{len(contents.gone):,} {videos} ({named(contents.gone)}), and {'its' if one else 'their'} clips are in "
            f"this export; `cgtool refresh {config.out} --remove` takes them out of the data set"
        )
    if config.contact is None:
        yield "no --contact was given: whoever publishes this must say who to ask for a removal"
    if config.to == "links" and has_private(contents):
        yield "some links lead to this machine or a private network: nobody else can follow them"
