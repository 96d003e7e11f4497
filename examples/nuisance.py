"""What a split leaks, without any model: how far the nuisances of a synthetic world tell the city of a test clip.

`python examples/nuisance.py WORLD OUT SPLIT...`: light, weather, haze, camera and traffic are drawn anew for every
video and from the same distributions for every city (cityguessr_data/synthetic/look.py), so they say nothing of a
place. Each test clip takes the city of the training clip with the nearest nuisances. Under a split by clip that is
another clip of its own video, so the nuisances "know" the city; under a split by video they are at chance. A model's
accuracy by clip holds as much of this as it has learnt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from cityguessr_data.splits.write import read_split_file, split_path

NUMBERS = ("ambient", "fog_per_m", "gamma", "noise", "camera_m", "fov_deg", "horizon", "lateral_m", "sway")
MORE = ("speed_mps", "traffic", "people")
Vectors = npt.NDArray[np.float64]


def nuisances(truth: list[dict[str, Any]]) -> dict[str, Vectors]:
    """By video, its 16 nuisance numbers: those above, the tint of three channels and whether it rains."""
    return {
        row["video_id"]: np.array([row[name] for name in NUMBERS + MORE] + [*row["tint"], float(row["rain"])])
        for row in truth
    }


def nearest_accuracy(vectors: Vectors, cities: npt.NDArray[np.str_], part: npt.NDArray[np.str_]) -> float:
    """Share of test clips whose nearest training clip is of their city, by Euclid on standardised numbers.

    Args:
        vectors: (N, D) a clip.
        cities, part: (N,) names; part is `train` or `test`.
    """
    spread = vectors.std(axis=0)
    z = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    train, test = z[part == "train"], z[part == "test"]
    nearest = ((test[:, None] - train[None]) ** 2).sum(axis=2).argmin(axis=1)
    return float((cities[part == "train"][nearest] == cities[part == "test"]).mean())


def share_by_city(values: Vectors, cities: npt.NDArray[np.str_]) -> float:
    """Share of the variance of (V,) values of videos that lies between cities (eta squared)."""
    whole = ((values - values.mean()) ** 2).sum()
    between = sum(
        (cities == city).sum() * (values[cities == city].mean() - values.mean()) ** 2 for city in set(cities.tolist())
    )
    return float(between / whole) if whole else 0.0


def main(world: Path, out: Path, splits: list[str]) -> None:
    """Print one line a nuisance, and one a split."""
    truth = pq.read_table(world / "truth.parquet").to_pylist()
    by_video = nuisances(truth)
    city_of = {row["video_id"]: row["city"] for row in truth}
    videos = sorted(by_video)
    cities = np.array([city_of[video] for video in videos])
    table = np.stack([by_video[video] for video in videos])
    chance = (len(set(cities.tolist())) - 1) / (len(videos) - 1)
    write = sys.stdout.write
    write(f"{len(videos)} videos; share of the variance between cities, by chance {chance:.2f}\n")
    for name, values in zip((*NUMBERS, *MORE, "tint_r", "tint_g", "tint_b", "rain"), table.T, strict=True):
        low, high = float(values.min()), float(values.max())
        write(f"  {name:<10} {low:8.3f} to {high:7.3f}   {share_by_city(values, cities):.2f}\n")
    clips = pq.read_table(out / "manifests" / "clips.parquet", columns=["clip_id", "video_id", "city"]).to_pylist()
    vectors = np.stack([by_video[clip["video_id"]] for clip in clips])
    of_clip = np.array([clip["city"] for clip in clips])
    for name in splits:
        found = read_split_file(split_path(out, name))
        if found is None:
            sys.exit(f"{out} has no split {name}")
        part = np.array([found.part_of[clip["clip_id"]] for clip in clips])
        accuracy = nearest_accuracy(vectors, of_clip, part)
        write(
            f"split {name}: the nearest nuisances tell the city of {accuracy:.1%} of {(part == 'test').sum()} clips\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
