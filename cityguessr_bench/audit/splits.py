"""The same settings trained and tested by several splits: by clip, by source video, by channel.

By clip, the test clips are of the very streets that were trained on, often of the next seconds of the same film. What
the accuracy falls by when whole videos, then whole channels, are kept apart is what was recognised of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError
from cityguessr_data.stats.leakage import leakage

from ..data import PARTS, open_pack, read_split
from ..estimates import Estimates
from ..pack.read import Pack
from ..predictions import Predictions
from ..run_config import RunConfig
from ..run_dir import RunDir
from ..tables.runs import RunSpec, ensure
from ..train.log import Listener
from .audit import figures, right_of
from .results import NotDone, SplitAudit, SplitRow

RULES = ("clip", "video", "channel")


@dataclass(frozen=True)
class SplitsRequest:
    """What is to be trained, or read where it is there already."""

    config: RunConfig
    data: Path
    runs: Path
    """The folder of runs, shared with the tables."""
    splits: Sequence[str]
    """Names of splits in the pack; `clip`, `video` and `channel` stand for by-clip, by-video and by-channel."""
    device: str = "auto"
    workers: int | None = None


def run_splits(
    request: SplitsRequest, say: Callable[[str], None] = lambda _: None, listener: Listener | None = None
) -> SplitAudit:
    """Train, go on with or score what is missing, and read all of it.

    Raises:
        InputError, MachineError, StopError, KeyboardInterrupt: as `tables.runs.ensure`; the same call goes on.
    """
    pack = open_pack(request.data, request.config.data, say, device=request.device)
    rows, not_done = [], []
    for given in request.splits:
        name = f"by-{given}" if given in RULES else given
        if why := _impossible(pack, name):
            not_done.append(NotDone(name, why))
            continue
        spec = RunSpec(request.config, name)
        run = ensure(
            spec, pack.folder, request.runs, device=request.device, workers=request.workers, listener=listener, say=say
        )
        rows.append(_row(pack, name, run))
    return SplitAudit(tuple(rows), tuple(not_done))


def _impossible(pack: Pack, name: str) -> str:
    """Why there can be no such row; empty where there can."""
    missing = not (pack.folder / "splits" / f"{name}.parquet").is_file()
    column = {"by-video": "video_id", "by-channel": "channel"}.get(name)
    if column is not None and (unknown := pack.index[column].null_count):
        what = "source video" if column == "video_id" else "channel"
        return f"not possible: the {what} of {unknown:,} of {len(pack):,} clips is not known"
    if missing:
        rule = name.removeprefix("by-")
        how = f"--by {rule}" if rule in RULES else f"--by video --name {name}"
        return f"not possible: the pack has no such split; cgtool split OUT {how}, then cgtool bench pack again"
    try:
        parts = read_split(pack, name).parts
    except InputError as exc:
        return f"not possible: {exc}"
    lacking = [part for part in ("train", "test") if part not in parts]
    return f"not possible: no clip is in {lacking[0]}" if lacking else ""


def _row(pack: Pack, name: str, run: RunDir) -> SplitRow:
    predictions = Predictions.read(run.predictions_path, run.classes)
    parts = read_split(pack, name).parts
    part_of = np.full(len(pack), -1, np.int8)
    for code, part in enumerate(PARTS):
        if part in parts:
            part_of[parts[part]] = code
    videos = pack.index["video_id"].to_pylist()
    leak = leakage(name, part_of, _numbers(videos), None, pack.index["channel"].to_pylist())
    known = any(video_id is not None for video_id in videos)
    return SplitRow(
        split=name,
        run=run.folder.name,
        n_train=len(parts["train"]),
        n_test=len(predictions),
        seen_video=leak.n_same_video / leak.n_test if known and leak.n_same_video is not None else None,
        seen_channel=None if leak.n_same_channel is None else leak.n_same_channel / leak.n_test,
        top1=figures(right_of(predictions, run), Estimates(predictions.video_ids)),
        n_videos=None if None in predictions.video_ids else len(set(predictions.video_ids)),
    )


def _numbers(names: Sequence[str | None]) -> npt.NDArray[np.int64]:
    """A number for each name, -1 for None."""
    number_of: dict[str, int] = {}
    found: Iterator[int] = (-1 if name is None else number_of.setdefault(name, len(number_of)) for name in names)
    return np.fromiter(found, np.int64, len(names))
