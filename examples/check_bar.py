"""What demo_to_predict.sh must reach: `python examples/check_bar.py DIR` prints the figures, and fails below the bar.

The bar: city top-1 of 60 % or more on videos that were never trained on; colour alone (colour_baseline.py) at less than
half of it; and a run with shuffled labels whose interval holds the prior.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from colour_baseline import colour_accuracy

from cityguessr_bench.pack.read import Pack
from cityguessr_data.splits.write import read_split_file, split_path

BAR = 0.60


def test_video(folder: Path) -> Path:
    """The first source video, by name, that the split keeps for testing."""
    split = read_split_file(split_path(folder / "out", "by-video"))
    assert split is not None
    videos = pq.read_table(folder / "out" / "manifests" / "clips.parquet", columns=["clip_id", "video_id"]).to_pylist()
    names = sorted(row["video_id"] for row in videos if split.part_of[row["clip_id"]] == "test")
    return folder / "world" / f"{names[0]}.mp4"


def city(run: Path) -> dict[str, Any]:
    """`value`, `low_videos` and `high_videos` of a run's city top-1: of its own head, without the hierarchy."""
    found: dict[str, Any] = json.loads((run / "results.json").read_text())["modes"]["none"]["city"]["top1"]
    return found


def verdicts(trained: dict[str, Any], shuffled: dict[str, Any], colour: float, prior: float) -> dict[str, bool]:
    """Each figure in words, and whether it is what it should be; shares of 0 to 1."""
    return {
        f"city top-1 {trained['value']:.1%} (95 % over videos {_bounds(trained)}), wanted {BAR:.0%}": (
            trained["value"] >= BAR
        ),
        f"colour alone {colour:.1%}, wanted less than half": colour < trained["value"] / 2,
        f"shuffled labels {shuffled['value']:.1%} ({_bounds(shuffled)}), wanted to hold the prior {prior:.1%}": (
            shuffled["low_videos"] <= prior <= shuffled["high_videos"]
        ),
    }


def main(folder: Path) -> int:
    """Print the figures on one line; 0 where all hold, else 1."""
    pack = Pack.open(folder / "pack")
    split = read_split_file(split_path(folder / "pack", "by-video"))
    assert split is not None
    prior = json.loads((folder / "run" / "results.json").read_text())["priors"]["city"]["accuracy"]
    colour = colour_accuracy(pack, dict(split.part_of))
    holds = verdicts(city(folder / "run"), city(folder / "run-shuffled"), colour, prior)
    sys.stdout.write("; ".join(f"{'ok' if held else 'MISSED'}: {figure}" for figure, held in holds.items()) + "\n")
    return 0 if all(holds.values()) else 1


def _bounds(estimate: dict[str, Any]) -> str:
    return f"{estimate['low_videos']:.1%} to {estimate['high_videos']:.1%}"


if __name__ == "__main__":
    at = Path(sys.argv[1])
    if "--name-a-test-video" in sys.argv:
        sys.stdout.write(f"{test_video(at)}\n")
        sys.exit(0)
    sys.exit(main(at))
