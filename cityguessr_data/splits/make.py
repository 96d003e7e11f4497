"""Makes a split of a data set: read the clips, give every source its part, compare, write, report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..core.errors import InputError
from ..run.store import Store
from ..stats.leakage import PARTS, leakage
from ..stats.provenance import video_index
from . import assign
from .assign import NEW, TEST, TRAIN, VAL, Codes
from .clips import Clips, Units, read_clips, units_of
from .config import SplitConfig
from .folds import fold_of_units
from .gaps import find_fold_gaps, find_gaps
from .results import Action, Gap, MadeSplit, PartSize, SplitResult
from .write import SplitFile, read_split_file, remove_split_file, settings_of, split_path, write_split_file


def split(out: Path, config: SplitConfig) -> SplitResult:
    """Write OUT/splits/<name>.parquet, or one file a fold, by the rules of assign.py and folds.py.

    Where files of the same name and the same settings are there, their sources keep their parts and new ones are
    added: nothing that was in one part moves to another. Other settings make a new split.

    Raises:
        InputError: there are no clips, a source is unknown, a part would be empty, or there is another split of the
            name and `config.replace` is not set. Nothing was written.
        MachineError, DiskFullError: a file could not be written.
    """
    with Store(out).uploading():
        return _split(out, config)


def _split(out: Path, config: SplitConfig) -> SplitResult:
    clips = read_clips(out)
    units = units_of(clips, config.by)
    paths = [split_path(out, name) for name in config.names]
    earlier = [read_split_file(path) for path in paths]
    settings = [settings_of(config, fold) for fold in range(len(paths))]
    extends = any(earlier) and all(e is None or e.settings == s for e, s in zip(earlier, settings, strict=True))
    kept, merged = zip(*(_kept(clips, units, e if extends else None) for e in earlier), strict=True)

    u, u_val = assign.hashes(config.seed, units.ids), assign.hashes(config.seed, units.ids, "val:")
    wanted = [TRAIN, VAL, TEST] if config.val > 0 else [TRAIN, TEST]
    gaps: list[list[Gap]] = [[] for _ in paths]
    if config.folds is None:
        parts = [_one_split(units, config, u, u_val, kept[0])]
    else:
        had = np.stack([k == TEST for k in kept])
        fold = fold_of_units(u, units.clips_by_city, config.folds, np.where(had.any(0), had.argmax(0), NEW))
        parts = [_one_fold(units, config, u_val, fold == at, kept[at]) for at in range(config.folds)]
        gaps = find_fold_gaps(units, clips.cities, fold, config.folds)
        wanted.remove(TEST)
    for i, of_unit in enumerate(parts):
        fold_gaps = {(gap.city, gap.part) for gap in gaps[i]}
        found = find_gaps(units, clips.cities, of_unit, wanted, kept[i])
        gaps[i] += [gap for gap in found if (gap.city, gap.part) not in fold_gaps]
        for part in (TRAIN, TEST, *wanted):
            if not (of_unit == part).any():
                raise InputError(
                    f"{config.names[i]}: no clip would be in {PARTS[part]}: {len(units.ids)} {units.noun}s are too few",
                    "Add sources, or choose other parts",
                )
    of_clips = [of_unit[units.of_clip] for of_unit in parts]
    actions = _write(out, config, clips, of_clips, earlier, settings, extends)
    made = [_made(*row, clips, units) for row in zip(config.names, paths, actions, of_clips, gaps, strict=True)]
    lone = {v for v, c in zip(clips.videos, clips.channels, strict=True) if c is None}
    return SplitResult(
        by=config.by,
        noun=units.noun,
        seed=config.seed,
        n_clips=len(clips.ids),
        n_sources=len(units.ids),
        n_cities=len(clips.cities),
        n_kept=int((np.stack(kept) != NEW).any(0).sum()),
        n_merged=int(np.stack(merged).any(0).sum()),
        n_videos_without_channel=len(lone) if config.by == "channel" else None,
        splits=tuple(made),
    )


def _kept(clips: Clips, units: Units, earlier: SplitFile | None) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """(n_units,) part that each had, NEW where none of its clips had one; and where its clips had several.

    Of several the highest code wins: what was once in test is never trained on.
    """
    kept = np.full(len(units.ids), NEW, np.int8)
    lowest = np.full(len(units.ids), len(PARTS), np.int8)
    if earlier is not None:
        code = {name: i for i, name in enumerate(PARTS)}
        had = np.array([code.get(earlier.part_of.get(clip_id, ""), NEW) for clip_id in clips.ids], np.int8)
        np.maximum.at(kept, units.of_clip, had)
        np.minimum.at(lowest, units.of_clip[had != NEW], had[had != NEW])
    return kept, (kept != NEW) & (lowest < kept)


def _one_split(
    units: Units, config: SplitConfig, u: assign.Floats, u_val: assign.Floats, kept: Codes
) -> npt.NDArray[np.int8]:
    if config.by == "clip":
        return assign.by_class(u, _only_city(units), config.test_share, config.val, kept)
    return assign.by_source(u, u_val, units.clips_by_city, config.test_share, config.val, kept)


def _one_fold(
    units: Units, config: SplitConfig, u_val: assign.Floats, in_test: npt.NDArray[np.bool_], kept: Codes
) -> Codes:
    """Parts of one fold: its test sources are given, val is taken from the others."""
    parts = np.where(in_test, TEST, TRAIN).astype(np.int8)
    if config.val == 0:
        return parts
    share = config.val / (1 - config.test_share)
    kept = np.where(kept == TEST, NEW, kept).astype(np.int8)
    if config.by != "clip":
        parts[assign.validation(u_val, units.clips_by_city, share, in_test, kept)] = VAL
        return parts
    left = np.flatnonzero(~in_test)
    state = np.where(kept[left] == VAL, TEST, kept[left]).astype(np.int8)
    chosen = assign.by_class(u_val[left], _only_city(units)[left], share, 0.0, state) == TEST
    parts[left[chosen]] = VAL
    return parts


def _only_city(units: Units) -> npt.NDArray[np.int64]:
    return np.array([next(iter(clips)) for clips in units.clips_by_city], np.int64)


def _write(
    out: Path,
    config: SplitConfig,
    clips: Clips,
    of_clips: Sequence[Codes],
    earlier: Sequence[SplitFile | None],
    settings: Sequence[dict[str, str]],
    extends: bool,
) -> list[Action]:
    """Write what is not there yet. All files are compared before the first is touched."""
    files = [dict(zip(clips.ids, (PARTS[code] for code in codes.tolist()), strict=True)) for codes in of_clips]
    same = [
        e is not None and (e.part_of, e.settings) == (f, s) for e, f, s in zip(earlier, files, settings, strict=True)
    ]
    over = _folds_left_over(out, config)
    changed = [name for name, e, ok in zip(config.names, earlier, same, strict=True) if e is not None and not ok]
    if (changed or over) and not config.replace:
        raise InputError(*_refusal(out, changed or [path.stem for path in over], bool(extends and changed)))
    actions: list[Action] = []
    for name, file, s, e, ok in zip(config.names, files, settings, earlier, same, strict=True):
        if not ok:
            write_split_file(split_path(out, name), file, s, e.digest if e is not None and extends else "")
        actions.append("unchanged" if ok else "written" if e is None else "replaced")
    for path in over:
        remove_split_file(path)
    return actions


def _folds_left_over(out: Path, config: SplitConfig) -> list[Path]:
    """Files of folds of the same name with a number that the new folds do not have: together they are no set."""
    if config.folds is None:
        return []
    name = re.compile(re.escape(config.base_name) + r"-fold(\d+)\.parquet")
    found = [(path, name.fullmatch(path.name)) for path in (out / "splits").glob("*.parquet")]
    return sorted(path for path, match in found if match and int(match[1]) >= config.folds)


def _refusal(out: Path, names: Sequence[str], grown: bool) -> tuple[str, str]:
    what = f"{out}/splits has another split named {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
    if grown:
        return (
            f"{what}: the same rule and seed, other clips",
            "--replace adds the new clips and moves no source to another part; or choose another --name",
        )
    return what, "--replace makes it anew, and results with the old one cannot be repeated; or choose another --name"


def _made(
    name: str, path: Path, action: Action, of_clip: Codes, gaps: list[Gap], clips: Clips, units: Units
) -> MadeSplit:
    video_of = video_index(pa.table({"video_id": pa.array(clips.videos, pa.string())}))
    sizes = {}
    for part in (TRAIN, VAL, TEST):
        at = of_clip == part
        if at.any():
            sizes[PARTS[part]] = PartSize(
                n_clips=int(at.sum()),
                n_sources=len(np.unique(units.of_clip[at])),
                n_videos=None if video_of is None else len(np.unique(video_of[at])),
                n_cities=len(np.unique(clips.city[at])),
            )
    leaks = leakage(name, of_clip, video_of, clips.index, clips.channels)
    return MadeSplit(name, path, action, sizes, tuple(sorted(gaps, key=_by_part)), leaks)


def _by_part(gap: Gap) -> tuple[int, str]:
    return PARTS.index(gap.part), gap.city
