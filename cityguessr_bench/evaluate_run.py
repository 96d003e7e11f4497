"""Scores a run on a part of its split: what the model predicts, the figures, and what its history says of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS

from .checkpoints import last, read_progress, weights_of
from .data import need_part, read_split, same_data
from .evaluate import Labels, evaluate
from .inference import Which, pack_of, predict_part
from .models import find_model
from .pack.read import Pack
from .predictions import Predictions
from .results import Origin, Results
from .run_config import Part
from .run_dir import RunDir

SEEN = "of a source video that train has clips of"
"""How the note begins to say that tested streets were trained on; tables and leaderboard look for it in results."""
_OTHER: dict[Which, Which] = {"last": "best", "best": "last"}


@dataclass(frozen=True, eq=False)
class RunScores:
    """A run scored on one part."""

    predictions: Predictions
    results: Results
    other: Results | None
    """With the other of its weights, last or best, where the part is the one that best was chosen on: the released code
    reports the best, so both are worth seeing. None elsewhere."""
    history: tuple[str, ...]
    """How the run was trained, and what it has seen of the evaluated clips; among the notes of `results`, too."""
    pack: Pack
    """The clips' pixels."""


def score_run(
    run: RunDir,
    part: Part = "test",
    data: Path | None = None,
    *,
    which: Which | None = None,
    device: str = "auto",
    on_batch: Callable[[int, int], None] | None = None,
) -> RunScores:
    """Run the model over a part of the split, and score what it says.

    Args:
        run, part, data, which, device, on_batch: as for `inference.predict_part`.
    Raises:
        InputError, MachineError: as `predict_part`; nothing was written.
    """
    train = run.config.train
    chosen = which or train.report
    watched = None if train.watch == "none" else train.watch
    origin = Origin(run.folder.name, run.config.model, part, str(run.record["split"]["name"]), chosen, watched)
    weights_of(run.checkpoints, chosen)  # they are missed before anything is packed
    pack = pack_of(run, data, device)
    predictions = predict_part(run, part, pack.folder, which=chosen, device=device, on_batch=on_batch)
    seen = _train_labels(run, pack)
    other = None
    if part == watched and _has(run, _OTHER[chosen]):
        rest = predict_part(run, part, pack.folder, which=_OTHER[chosen], device=device, on_batch=on_batch)
        other = evaluate(rest, run.classes, dataclasses.replace(origin, weights=_OTHER[chosen]), seen)
    results = evaluate(predictions, run.classes, origin, seen)
    history = tuple(_of_history(run, pack, part, predictions))
    results = dataclasses.replace(results, notes=(*history, *results.notes))
    return RunScores(predictions, results, other, history, pack)


def _has(run: RunDir, which: Which) -> bool:
    try:
        return weights_of(run.checkpoints, which).is_file()
    except InputError:
        return False


def _train_labels(run: RunDir, pack: Pack) -> Labels | None:
    """The labels of the clips that the run saw; None where this is other data than it was trained on."""
    if not same_data(run, pack):
        return None
    labels = run.classes.labels(pack.index.take(read_split(pack, run.split).parts["train"]))
    return {level: labels[:, at] for at, level in enumerate(LEVELS)}


def _of_history(run: RunDir, pack: Pack, part: Part, predictions: Predictions) -> Iterator[str]:
    """How the run was trained, and whether it has seen the streets that it is tested on."""
    train = run.config.train
    if train.shuffle_labels:
        yield "The run was trained with shuffled labels, a control: its figures must be the prior's"
    newest = last(run.checkpoints)
    if newest is not None and (done := read_progress(newest).epochs) < train.epochs:
        yield f"The run is not finished: {done} of its {train.epochs} epochs have ended"
    if find_model(run.config.model).needs_scenes:
        yield from _unlabelled(run, pack, part)
    if part == "train":
        yield "These are the clips that the run was trained on: the figures tell what it remembers"
        return
    if not same_data(run, pack):
        yield "These are other clips than those of the data set that the run was trained on"
        return
    videos = pack.index["video_id"].to_pylist()
    trained = {videos[place] for place in read_split(pack, run.split).parts["train"].tolist()} - {None}
    n_seen = sum(video_id in trained for video_id in predictions.video_ids)
    if n_seen:
        yield (
            f"{n_seen / len(predictions):.1%} of the evaluated clips are {SEEN}, so the figures are too "
            "high for streets never seen; cgtool split --by video makes a split without such"
        )


def _unlabelled(run: RunDir, pack: Pack, part: Part) -> Iterator[str]:
    """What a model that looks at scene labels had to do without."""
    known = pack.has_scenes[need_part(read_split(pack, run.split), part)]
    if n_without := int((~known).sum()):
        model = run.config.model
        yield f"{n_without} of {len(known)} evaluated clips have no scene label: {model} took each as of every scene"
    n_trained = run.record.get("scenes", {}).get("n_without")
    if n_trained:
        yield f"{n_trained} clips that the run was trained on have no scene label"
