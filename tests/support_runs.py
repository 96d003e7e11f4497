"""A very small data set with pictures that tell the city, its pack, and a run trained on it: for the bench's tests.

4 cities in 3 countries, 3 source videos each, 2 clips a video: 24 clips of 8 frames of 32x24 px; split `v` by video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_bench.data import make_pack
from cityguessr_bench.presets import preset
from cityguessr_bench.run_config import RunConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.schemas import TABLES
from cityguessr_data.core.taxonomy import Taxonomy
from tests.support_out import Rows, write_out

CITIES = ("Tokyo", "Osaka", "London", "Brisbane")
N_VIDEOS, N_CLIPS, N_FRAMES = 3, 2, 8
SMALL: dict[str, dict[str, Any]] = {
    "data": {"frames": 4, "stored_frames": 4, "size_px": 16},
    "network": {"hidden": 12, "layers": 2, "heads": 3, "patch_px": 8, "tla": False},
    "train": {"epochs": 2, "batch": 7, "warmup": 0.0, "watch": "test", "report": "best"},
}
"""On top of the preset tiny: 8 tokens, width 12. 16 clips of train in batches of 7, 7 and 2."""


def small_config(**sections: dict[str, Any]) -> RunConfig:
    """The preset tiny at the size of SMALL, with changes by section: small_config(train={"epochs": 3})."""
    return preset("tiny").changed(SMALL, "SMALL").changed(sections, "the test")


def small_assignments(**sections: dict[str, Any]) -> list[str]:
    """The same for a command line: --preset tiny and --set for each setting."""
    words = ["--preset", "tiny"]
    for name, section in {k: {**SMALL.get(k, {}), **sections.get(k, {})} for k in SMALL | sections}.items():
        for key, value in section.items():
            words += ["--set", f"{name}.{key}={str(value).lower() if isinstance(value, bool) else value}"]
    return words


def write_small_out(out: Path, *, scenes: Sequence[bool] = (True,), part_of_video: Sequence[str] = ()) -> Path:
    """A data set with real JPEGs.

    Args:
        scenes: which clips have a scene label, over and over.
        part_of_video: of a city's videos in the split `v`; default: train, train, test.
    """
    rng, top1 = np.random.default_rng(0), np.random.default_rng(1)
    taxonomy = Taxonomy.named("cityguessr166")
    rows: Rows = {name: [] for name in TABLES}
    parts: dict[str, str] = {}
    for c, city in enumerate(CITIES):
        place = taxonomy.place(city)
        for v in range(N_VIDEOS):
            video = f"{city.lower()}{v}"
            rows["videos"].append(_row("videos", video_id=video, channel=f"channel {v}", n_clips=N_CLIPS))
            for index in range(N_CLIPS):
                clip = f"{video}_{index:05d}"
                n = len(rows["clips"])
                soft = rng.dirichlet(np.full(16, 0.3)).astype(np.float32).tolist()
                rows["clips"].append(
                    _row(
                        "clips",
                        clip_id=clip,
                        video_id=video,
                        clip_index=index,
                        n_sampled=N_FRAMES,
                        city=place.city,
                        state=place.state,
                        country=place.country,
                        continent=place.continent,
                        scene_soft=soft if scenes[n % len(scenes)] else None,
                        fingerprint=f"{clip} {scenes[n % len(scenes)]}",
                    )
                )
                parts[clip] = (part_of_video or ("train", "train", "test"))[v]
                for position in range(N_FRAMES):
                    path = f"clips/{video}/{clip}/{position}.jpg"
                    seen = int(top1.integers(0, 365)) if scenes[n % len(scenes)] else None
                    rows["frames"].append(_row("frames", clip_id=clip, position=position, path=path, scene_top1=seen))
                    (out / path).parent.mkdir(parents=True, exist_ok=True)
                    cv2.imwrite(str(out / path), _picture(c, rng))
    return write_out(out, rows, splits={"v": parts})


def write_split(folder: Path, name: str, parts: dict[str, str]) -> Path:
    """A split's file in OUT/splits or PACK/splits."""
    path = folder / "splits" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"clip_id": list(parts), "part": list(parts.values())}), path)
    return path


def make_small_pack(folder: Path, config: RunConfig | None = None, **out: Any) -> Path:
    """`folder`/out, and its pack in `folder`/pack, which is returned. `out`: as for write_small_out."""
    write_small_out(folder / "out", **out)
    make_pack(folder / "out", folder / "pack", (config or small_config()).data.pack, workers=1)
    return folder / "pack"


def make_small_run(folder: Path, config: RunConfig | None = None, **out: Any) -> RunDir:
    """A trained run in `folder`/run, its pack beside it: about two seconds."""
    config = config or small_config()
    pack = make_small_pack(folder, config, **out)
    train(TrainRequest(pack, folder / "run", "v", config, device="cpu"))
    return RunDir.open(folder / "run")


def _picture(city: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """24x32 px of noise around a colour of the city's own, brighter on one side: which, depends on the city."""
    colour = np.array([(200, 60, 60), (60, 200, 60), (60, 60, 200), (180, 180, 60)][city])
    slope = np.linspace(-40, 40, 32)[None, :, None] * (1 if city % 2 else -1)
    return np.clip(colour + slope + rng.normal(0, 25, (24, 32, 3)), 0, 255).astype(np.uint8)


def _row(table: str, **values: Any) -> dict[str, Any]:
    """A row of a table; what is not given is null, or nothing of its type where null cannot be."""
    row = {field.name: None if field.nullable else _nothing(field.type) for field in TABLES[table]}
    return row | values


def _nothing(kind: pa.DataType) -> Any:
    return "" if pa.types.is_string(kind) else False if pa.types.is_boolean(kind) else 0
