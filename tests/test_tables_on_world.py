"""Every table of the paper on the procedural world, by its one command, with the preset tiny at its own size.

The frames come in as a released data set would (`cgtool import`), their scenes from the world's truth (`label-scenes
--from`), so no weights are needed.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

from cityguessr_bench.tables.rows import TABLES
from cityguessr_data.synthetic import SyntheticConfig, build_world
from tests.support_build import cgtool

CONFIG = SyntheticConfig(cities=4, videos=3, clips=1, frames_per_clip=32)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve source videos of four cities, one clip each, imported, labelled and split by video."""
    folder = tmp_path_factory.mktemp("world")
    world, labels = build_world(CONFIG), folder / "labels.csv"
    with labels.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["clip_id", "position", "scene_top1"])
        for city, name in enumerate(world.cities):
            for video in range(CONFIG.videos):
                clip_id = f"{name}_{video}_00000"
                frames = folder / "src" / "train" / name / clip_id
                frames.mkdir(parents=True)
                renderer = world.renderer(city, video)
                for span in world.truth(city, video):
                    for n in range(span["start_frame"], span["end_frame"]):
                        cv2.imwrite(str(frames / f"{n + 1}.jpg"), renderer.frame(n)[:, :, ::-1])
                        rows.writerow([clip_id, n, span["scene"]])
    for words in (  # one folder alone: it gives no split
        ("import", "cityguessr68k", folder / "src", "--out", folder / "out"),
        ("label-scenes", folder / "out", "--from", labels),
        ("split", folder / "out", "--by", "video", "--name", "video"),
    ):
        done = cgtool(*words)
        assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.parametrize("number", ["1", *TABLES])
def test_a_table_by_its_command(out: Path, number: str) -> None:
    small = () if number == "1" else ("--preset", "tiny", "--set", "train.epochs=1", "--device", "cpu")
    done = cgtool("bench", "table", number, "--data", out, *small, "--json", timeout_s=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["table"] == number
    if number == "1":
        return
    rows = {one["row"] for one in told["numbers"] if one["ours"] is not None}
    assert told["complete"] and rows == {row.key for row in TABLES[number].rows}
    assert {one["clips"] for one in told["numbers"]} == {4}
