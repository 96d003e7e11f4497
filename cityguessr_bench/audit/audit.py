"""Scores a run's test part as it is and under every change, and takes the differences clip by clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

from ..data import read_split, same_data
from ..estimates import Estimates
from ..hierarchy import Mode, predict
from ..inference import Change as PixelChange
from ..inference import Which, pack_of, predict_part
from ..models import find_model
from ..pack.read import Pack
from ..predictions import Predictions
from ..run_config import Part
from ..run_dir import RunDir
from .changes import Hiding, MaskOf, Reordered, middle_frame, mirrored
from .masks import border
from .results import MODES, Audit, Change, Figures, Hidden, NotDone, Row
from .static import MOST_HIDDEN, StaticMasks
from .text import FindText, TextMasks

NO_TEXT = "not measured: the text detector is not here; cgtool weights pull text-ppocr"
_ONE_FRAME = "does not apply: the model sees one frame of a clip"
_NO_PIXELS = "not possible: the model sees cached features, and what they were computed from is not changed here"
_NOTHING = "nothing to measure: none was found in any of the clips"
_STATIC: Change = "static overlays"
Planned = tuple[Change, PixelChange]
Right = dict[Mode, dict[Level, npt.NDArray[np.int8]]]
"""Which clips are right: (N,) of 0 and 1."""


@dataclass(frozen=True)
class AuditRequest:
    """What is to be audited."""

    run: RunDir
    data: Path | None = None
    """A pack or an output directory; None: the run's own."""
    part: Part = "test"
    which: Which | None = None
    device: str = "auto"
    find_text: FindText | None = None
    """None: there is no text detector here."""


def run_audit(
    request: AuditRequest,
    say: Callable[[str], None] = lambda _: None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Audit:
    """Score the run under every change that can be made.

    Args:
        say: told which change is about to be scored.
        on_batch: as for `inference.predict_part`, anew for every change.
    Raises:
        InputError, MachineError: as `inference.predict_part`.
    """
    run = request.run
    pack = pack_of(run, request.data, request.device)
    plan, not_done = _plan(request, pack)
    found: list[tuple[Change, Hiding | None, Right]] = []
    predictions = _scored(request, pack, None, say, on_batch)
    for change, how in plan:
        hiding = how if isinstance(how, Hiding) else None
        if hiding is not None and hiding.control and any(missing.what == change for missing in not_done):
            continue
        changed = _scored(request, pack, (change, how), say, on_batch)
        if hiding is not None and not hiding.n_touched:
            not_done.append(NotDone(change, _NOTHING))
            continue
        found.append((change, hiding, right_of(changed, run)))
    estimates = Estimates(predictions.video_ids)
    known = [video_id for video_id in predictions.video_ids if video_id is not None]
    n_videos = len(set(known)) if len(known) == len(predictions) else None
    return Audit(
        run=run.folder.resolve().name,
        part=request.part,
        split=str(run.record["split"]["name"]),
        n_clips=len(predictions),
        n_videos=n_videos,
        seen_video=_seen_video(run, pack, predictions),
        rows=tuple(_rows(right_of(predictions, run), found, estimates)),
        not_done=tuple(not_done),
        notes=(*_of_weights(request), *_notes(plan, n_videos)),
    )


def _plan(request: AuditRequest, pack: Pack) -> tuple[list[Planned], list[NotDone]]:
    """What is scored beside the clips as they are, in the order of the table, and what cannot be."""
    plan: list[Planned] = []
    not_done = []
    if find_model(request.run.config.model).takes == "features":
        everything: tuple[Change, ...] = (
            "a single frame", "frames in another order", "mirrored", "borders", _STATIC, "readable text",
        )  # fmt: skip
        return plan, [NotDone(name, _NO_PIXELS) for name in everything]
    in_time: tuple[Planned, ...] = (
        ("a single frame", middle_frame),
        ("frames in another order", Reordered(pack.clip_ids)),
    )
    if request.run.config.data.frames > 1:
        plan += in_time
    else:
        not_done += [NotDone(name, _ONE_FRAME) for name, _ in in_time]
    plan.append(("mirrored", mirrored))
    edge = border(pack.config.size_px, pack.config.size_px)
    masks: dict[Change, MaskOf] = {"borders": lambda _clip, _place: edge}
    if any(video_id is not None for video_id in pack.index["video_id"].to_pylist()):
        masks[_STATIC] = StaticMasks(pack)
    else:
        not_done.append(NotDone(_STATIC, "not possible: no clip's source video is known"))
    if request.find_text is not None:
        masks["readable text"] = TextMasks(request.find_text)
    else:
        not_done.append(NotDone("readable text", NO_TEXT))
    for name, mask_of in masks.items():
        plan += [(name, Hiding(mask_of, pack.clip_ids, control)) for control in (False, True)]
    return plan, not_done


def _scored(
    request: AuditRequest,
    pack: Pack,
    planned: Planned | None,
    say: Callable[[str], None],
    on_batch: Callable[[int, int], None] | None,
) -> Predictions:
    change, how = planned or ("as it is", None)
    say(f"scored: {change}{', the control' if isinstance(how, Hiding) and how.control else ''}")
    return predict_part(
        request.run,
        request.part,
        pack.folder,
        which=request.which,
        device=request.device,
        change=how,
        on_batch=on_batch,
    ).checked(request.run.classes)


def right_of(predictions: Predictions, run: RunDir) -> Right:
    """Which clips a run got right, by mode and level."""
    right: Right = {}
    for mode in MODES:
        guessed = predict(predictions.log_probs, run.classes.parents, mode)
        right[mode] = {level: (guessed[level] == predictions.truth[level]).astype(np.int8) for level in LEVELS}
    return right


def _seen_video(run: RunDir, pack: Pack, predictions: Predictions) -> float | None:
    """None too for other data than the run was trained on."""
    if not same_data(run, pack) or None in predictions.video_ids:
        return None
    ids = pack.index["video_id"].to_pylist()
    trained = {ids[place] for place in read_split(pack, run.split).parts["train"].tolist()}
    return sum(video_id in trained for video_id in predictions.video_ids) / len(predictions)


def _rows(as_it_is: Right, found: list[tuple[Change, Hiding | None, Right]], estimates: Estimates) -> Iterator[Row]:
    yield Row("as it is", False, figures(as_it_is, estimates), None, None, None)
    controls = {change: right for change, how, right in found if how is not None and how.control}
    for change, how, right in found:
        control = how is not None and how.control
        yield Row(
            change=change,
            control=control,
            top1=figures(right, estimates),
            less=right_less(right, as_it_is, estimates),
            beyond=None if control or how is None else right_less(right, controls[change], estimates),
            hidden=None if how is None else Hidden(how.share, how.n_touched),
        )


def figures(right: Right, estimates: Estimates) -> Figures:
    """Accuracies with their intervals."""
    return {
        mode: {level: estimates.of(values.astype(bool)) for level, values in by_level.items()}
        for mode, by_level in right.items()
    }


def right_less(right: Right, other: Right, estimates: Estimates) -> Figures:
    """Differences of accuracies, clip by clip: the intervals are the paired ones."""
    return {
        mode: {
            level: estimates.of(values.astype(np.float64) - other[mode][level]) for level, values in by_level.items()
        }
        for mode, by_level in right.items()
    }


def _of_weights(request: AuditRequest) -> Iterator[str]:
    train = request.run.config.train
    if (request.which or train.report) == "best" and train.watch == request.part:
        yield (
            "The weights were chosen by their city top-1 on these very clips as they are, so that row is too high, and "
            "so is what every change seems to cost. Those of the last epoch: --weights last"
        )


def _notes(plan: Sequence[Planned], n_videos: int | None) -> Iterator[str]:
    if n_videos is None:
        yield "The source video of some clips is not known: intervals are over clips, and too narrow"
    elif n_videos < 2:
        yield "All clips are of one source video: intervals are over clips, and too narrow"
    masks = {id(how.mask_of): how.mask_of for _, how in plan if isinstance(how, Hiding)}
    for mask_of in masks.values():
        if isinstance(mask_of, StaticMasks):
            yield from _of_static(mask_of)


def _of_static(masks: StaticMasks) -> Iterator[str]:
    why = {
        "have one clip only": masks.of_one_clip,
        f"stand still in more than {MOST_HIDDEN:.0%} of the frame": masks.still,
    }
    for what, videos in why.items():
        if videos:
            yield f"Static overlays: of the source videos {len(videos):,} {what}, and nothing was hidden there"
