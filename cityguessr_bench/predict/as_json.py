"""The answer as one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..hierarchy import Mode
from .guesses import AVERAGED, meaning
from .results import Failure, VideoPrediction


def to_json(
    run: Path,
    model: str,
    weights: str,
    mode: Mode,
    videos: Sequence[VideoPrediction],
    failures: Sequence[Failure],
    exit_code: int,
) -> dict[str, Any]:
    """What `--json` prints.

    `averaged` says what is averaged over a video's clips, `probability` what a level's probabilities are of.
    """
    return {
        "run": str(run),
        "model": model,
        "weights": weights,
        "mode": mode,
        "averaged": AVERAGED,
        "probability": meaning(mode),
        "videos": [asdict(video) for video in videos],
        "failures": [asdict(failed) for failed in failures],
        "exit_code": exit_code,
    }
