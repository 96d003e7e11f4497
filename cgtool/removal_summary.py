"""What `remove` and `refresh` print when they are done, and their JSON objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.units import size
from cityguessr_data.core.words import n_of

from .console import plain, print_json, say, stdout
from .listing import LISTED, list_lines, some
from .tables import cut, fact

if TYPE_CHECKING:
    from cityguessr_data.removal.refresh import Answer, Refreshed
    from cityguessr_data.removal.remove import Removal
    from cityguessr_data.run.take_out import TakenOut

_FACT = 10  # columns of the name of a fact


def show_removal(out: Path, wanted_id: str, removal: Removal, *, dry_run: bool, as_json: bool) -> None:
    """The end of `cgtool remove`."""
    if as_json:
        print_json(
            {
                "out": str(out),
                "exit_code": int(bool(removal.outside) and not dry_run),
                "dry_run": dry_run,
                **removal_json(removal),
            }
        )
        return
    if removal.already is not None:
        when = f"{removal.already.removed_at:%Y-%m-%d}"
        left, finished = bool(removal.taken.doomed), removal.finished is not None
        then = "which is finished now" if finished else "and something is still left" if left else "nothing to do"
        _print(list(finished_facts(removal.finished)))
        stdout().print(f"{cut(wanted_id)}: already removed on {when}, {then}", markup=False, soft_wrap=True)
        if left and not finished:
            _print(list(removal_facts(removal, dry_run=dry_run)))
        show_outside(removal.outside)
        show_exports(removal)
        return
    _print(list(finished_facts(removal.finished)))
    _print(list(removal_facts(removal, dry_run=dry_run)))
    show_outside(removal.outside)
    show_exports(removal)
    if dry_run:
        say("dry run: nothing was removed or written")


def finished_facts(finished: TakenOut | None) -> Iterator[tuple[str, str]]:
    """What was left of a removal that was interrupted."""
    if finished is not None:
        frames = n_of(sum(one.n_frames for one in finished.doomed), "frame")
        clips = n_of(len(finished.clip_ids), "clip")
        left = f"{frames} of {clips} were left" if finished.doomed else "all frames were gone already"
        yield "finished", f"the interrupted removal: {left}"


def removal_facts(removal: Removal, *, dry_run: bool = False) -> Iterator[tuple[str, str]]:
    """What went, what did not, and what is there now."""
    taken = removal.taken
    whole = [one.unit for one in taken.doomed if one.whole is not None]
    n_frames = sum(one.n_frames for one in taken.doomed)
    n_outside = sum(one.n_outside for one in taken.doomed)
    videos = f"{n_of(len(whole), 'video')} ({some(whole)}), " if whole else ""
    yield (
        "would go" if dry_run else "removed",
        (f"{videos}{n_of(len(taken.clip_ids), 'clip')}, {n_of(n_frames, 'frame')}"),
    )
    if taken.cache.files:
        yield "cache", f"{n_of(taken.cache.files, 'file')}, {size(taken.cache.bytes)}"
    if taken.cache.elsewhere:
        folders = ", ".join(map(str, taken.cache.elsewhere))
        yield "cache", f"not cleared: this data set was copied or moved; look for sources in {folders}"
    for path in taken.own_files[:LISTED]:
        yield "not yours" if not path else "your file", f"{path} was not touched"
    if n_outside:
        yield "originals", f"{n_of(n_outside, 'frame')} lie where they were imported from, and were not touched"
    if taken.splits:
        yield "splits", f"{', '.join(taken.splits)}: without these clips now"
    yield "version", f"{removal.version}{' (would be)' if dry_run else ', see CHANGELOG.md'}"


def show_outside(outside: Sequence[Path]) -> None:
    """Name the tars and the folders of frames that lie behind links, outside OUT."""
    if outside:
        frames = n_of(len(outside), "tar" if outside[0].suffix == ".tar" else "frame")
        say(f"{frames} of these clips lie behind links, outside the data set, and stay; delete them yourself:")
        list_lines(sorted({str(path if path.suffix == ".tar" else path.parent) for path in outside}))


def show_exports(removal: Removal) -> None:
    """Name the exports that still hold what was removed."""
    if removal.exports:
        say("these exports hold clips that were removed; make them again, and tell whoever has a copy:")
        list_lines(
            [f"{one.format} in {one.dest} (version {one.version}, {one.made_at[:10]})" for one in removal.exports]
        )


def removal_json(removal: Removal) -> dict[str, Any]:
    """A removal as JSON types."""
    taken = removal.taken
    return {
        "version": removal.version,
        "already_removed_at": removal.already.removed_at.isoformat() if removal.already else None,
        "tombstones": [asdict(one) | {"removed_at": one.removed_at.isoformat()} for one in removal.tombstones],
        "videos": [one.unit for one in taken.doomed if one.whole is not None],
        "clips": sorted(taken.clip_ids),
        "frames": sum(one.n_frames for one in taken.doomed),
        "outside": len(removal.outside),
        "outside_folders": sorted({str(path.parent) for path in removal.outside}),
        "finished": None
        if removal.finished is None
        else {
            "clips": sorted(removal.finished.clip_ids),
            "frames": sum(one.n_frames for one in removal.finished.doomed),
        },
        "frames_outside": sum(one.n_outside for one in taken.doomed),
        "cache_files": taken.cache.files,
        "cache_bytes": taken.cache.bytes,
        "cache_left": [str(folder) for folder in taken.cache.elsewhere],
        "own_files": list(taken.own_files),
        "splits": list(taken.splits),
        "exports": [asdict(one) | {"clips": len(one.clips)} for one in removal.exports],
    }


def show_refresh(out: Path, result: Refreshed, *, as_json: bool) -> None:
    """The end of `cgtool refresh`."""
    if as_json:
        print_json(
            {
                "out": str(out),
                "exit_code": result.exit_code,
                "stopped": str(result.stopped) if result.stopped else None,
                "interrupted": result.interrupted,
                "videos": result.n_videos,
                "counts": dict(result.counts),
                "newly_gone": result.newly_gone,
                "back": result.back,
                "answers": [asdict(answer) for answer in result.answers if answer.state != "there"],
                "removal": removal_json(result.removal) if result.removal else None,
                "outside_folders": sorted({str(path.parent) for path in result.outside}),
                "held_back": {site: asdict(one) for site, one in result.held_back.items()},
            }
        )
    else:
        _print([*finished_facts(result.finished), *_refresh_facts(result)])
        show_outside(result.outside)
        if result.removal:
            show_exports(result.removal)
        for title, states in _TITLES:
            if listed := result.of(*states):
                say(title)
                list_lines([_told(answer) for answer in listed])
        for site, one in result.held_back.items():
            say(f"nothing of {plain(site)} was removed: {one.gone:,} of {one.answered:,} videos gone at once are many,")
            say("  and the site may be at fault, or the way to it. Look at some in a browser; if they are gone,")
            say("  `cgtool refresh --remove --even-if-many` takes them out")
    if result.stopped:
        say(f"stopped: {plain(str(result.stopped))}")
    if result.interrupted:
        say("interrupted: what was learned is kept; the same command goes on from here")
    elif result.counts["not-asked"]:
        say("a site stopped answering: the same command goes on with the others, some hours later")
    elif result.counts["failed"]:
        say("some could not be asked: run the same command again")


_TITLES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("gone:", ("gone",)),
    ("not shown to us, and not marked as gone:", ("refused",)),
    ("could not be asked:", ("failed",)),
    ("not asked:", ("not-asked",)),
    ("without a link:", ("no-link",)),
)


def _refresh_facts(result: Refreshed) -> Iterator[tuple[str, str]]:
    counts = result.counts
    words = {
        "there": "there",
        "gone": "gone",
        "refused": "not shown to us",
        "failed": "could not be asked",
        "not-asked": "not asked",
        "no-link": "without a link",
    }
    told = ", ".join(f"{counts[state]:,} {word}" for state, word in words.items() if counts[state])
    yield "videos", f"{result.n_videos:,} with clips" + (f": {told}" if told else "")
    if result.newly_gone:
        kept = "" if result.removal else "; their clips stay: `--remove` takes them out"
        yield "new", f"{n_of(len(result.newly_gone), 'video')} gone since the last time{kept}"
    if result.back:
        yield "back", f"{n_of(len(result.back), 'video')} there again: {some(result.back)}"
    if result.removal:
        yield from removal_facts(result.removal)


def _told(answer: Answer) -> str:
    return ": ".join(filter(None, (answer.video_id, answer.error_class, answer.message)))


def _print(facts: Sequence[tuple[str, str]]) -> None:
    console = stdout()
    for name, value in facts:
        console.print(fact(name, value, _FACT))
