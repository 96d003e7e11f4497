"""What makes a run's figures too high or no figures at all, from its own files: said wherever they are shown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cityguessr_data.core.errors import InputError

from ..checkpoints import last, read_progress
from ..evaluate_run import SEEN
from ..run_dir import RunDir


def caveats_of(run: RunDir) -> Iterator[str]:
    """One sentence each, without a full stop; the same for runs that differ in their seed.

    Raises:
        InputError: damaged results.
    """
    try:
        results = json.loads(run.results_path.read_text(encoding="utf-8"))
        origin, notes = results["origin"], results["notes"]
        chosen_on_itself = origin["weights"] == "best" and origin["watched"] == origin["part"]
        seen = [str(note) for note in notes if SEEN in note]
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{run.results_path} is damaged ({type(exc).__name__}: {exc})", "Score the run again") from exc
    model, train = run.config.model, run.config.train
    if train.shuffle_labels:
        yield f"{model} was trained with shuffled labels, a control: its figures must be the prior's"
    if chosen_on_itself:
        yield (
            f"The weights of {model} were chosen by their city top-1 on these very clips, as the released code does: "
            "its figures are too high"
        )
    newest = last(run.checkpoints)
    if newest is not None and (done := read_progress(newest).epochs) < train.epochs:
        yield f"{run.folder.name} is not finished: {done} of its {train.epochs} epochs have ended"
    if newest is not None and run.predictions_path.stat().st_mtime_ns < (newest / "about.json").stat().st_mtime_ns:
        yield f"{run.folder.name} was trained on after it was scored: cgtool bench evaluate {run.folder}"
    yield from seen
