"""How far colour alone gets: a logistic regression on colour histograms of a pack, trained and tested by a split.

`python examples/colour_baseline.py PACK SPLIT` prints the city accuracy on the test part. It is the bar that a model of
places should leave far behind: who is not above it has learned the light of the day.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cityguessr_bench.pack.read import Pack
from cityguessr_data.splits.write import read_split_file, split_path

BINS = 8
"""Of each of the three colours: 512 numbers a clip."""


def histogram(clip: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Share of a clip's pixels in each of 8 x 8 x 8 colours; `clip` is (T, 3, H, W), the result (512,) sums to 1."""
    r, g, b = (clip[:, channel].astype(np.int64) * BINS // 256 for channel in range(3))
    counts = np.bincount(((r * BINS + g) * BINS + b).ravel(), minlength=BINS**3)
    return counts / counts.sum()


def colour_accuracy(pack: Pack, part_of: dict[str, str]) -> float:
    """City accuracy on the clips of part `test`, after fitting on `train`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features = np.sqrt([histogram(pack.clip(place)) for place in range(len(pack))])  # Hellinger: rare colours count too
    cities = pack.labels[:, 0]
    part = np.array([part_of[clip_id] for clip_id in pack.clip_ids])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(features[part == "train"], cities[part == "train"])
    return float(model.score(features[part == "test"], cities[part == "test"]))


def main(pack: Path, split: str) -> None:
    """Print the accuracy as a number of 0 to 1."""
    opened = Pack.open(pack)
    found = read_split_file(split_path(pack, split))
    if found is None:
        sys.exit(f"{pack} has no split {split}")
    sys.stdout.write(f"{colour_accuracy(opened, dict(found.part_of)):.4f}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
