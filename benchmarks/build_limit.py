"""The build beside the least that its stages can cost: row "build / limit", as `cgtool bench speed build` measures it.

Once as one worker with all cores and once with a worker a core; the better one counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cityguessr_data.build_config import BuildConfig
from cityguessr_data.core.threads import n_cores
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.speed.build import BuildSpeed, SpeedConfig, measure_build
from cityguessr_data.stages.anonymise import AnonymiseConfig
from cityguessr_data.stages.clip import ClipConfig
from cityguessr_data.vision.retinaface.detector import DetectorConfig
from cityguessr_data.vision.scenes import SceneConfig

from .document import Headline, Section, table
from .footage import street_video

TARGET = 0.85


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Measure with MobileNet-0.25, on a street video of 720p."""
    tiny = size == "tiny"
    video = scratch / "street.mp4"
    footage = street_video(video, 2 if tiny else 95, "640x360" if tiny else "1280x720")
    base = BuildConfig(
        sources=video,
        out=scratch / "out",
        download=DownloadConfig(cache=scratch / "cache"),
        clip=ClipConfig(20, 25, 5) if tiny else ClipConfig(),
        anonymise=AnonymiseConfig(DetectorConfig("mobilenet0.25")),
        scenes=SceneConfig(scene_model()),
    )
    config = SpeedConfig(base, video, 1 if tiny else 2, 1 if tiny else 5)
    found = measure_build(config, workers=sorted({1, n_cores()}))
    best = max(found.values(), key=lambda one: one.limit_over_actual)
    ratio = best.limit_over_actual
    value = f"{ratio:.2f} on {best.cores} cores, {best.workers} workers"
    return Section(
        "build / limit",
        [Headline("build / limit", value, f"{TARGET} or better", None if tiny else ratio >= TARGET)],
        _body(found, footage),
    )


def scene_model() -> str:
    """A scene model whose file is at hand, or off."""
    folder = os.environ.get("CGTOOL_WEIGHTS")
    found = sorted(Path(folder).glob("*places365*.onnx")) if folder else []
    return str(found[0]) if found else "off"


def _body(found: dict[int, BuildSpeed], footage: str) -> str:
    one = next(iter(found.values()))
    limits = one.limits
    stages = [[s.stage, s.by, f"{s.wall_s:.2f}", f"{s.cpu_s:.2f}"] for s in limits.stages]
    builds = [
        [
            f"{workers}",
            f"{s.clip_wall_s:.2f}",
            f"{s.clip_cpu_s:.2f}",
            f"{s.limits.n_sampled / s.clip_wall_s:.1f}",
            f"{s.limits.wall_s(s.cores):.2f}",
            f"{s.limit_over_actual:.2f}",
            f"{s.cpu_share:.0%}",
            f"{min(1.0, s.busy_share):.0%}",
            f"{s.start_s:.1f}",
        ]
        for workers, s in found.items()
    ]
    libraries = [
        [
            c.runtime,
            f"{1000 * c.wall_s_per_frame:.1f}",
            f"{1000 * c.cpu_s_per_frame:.1f}",
            f"{c.difference.n_faces}",
            f"{c.difference.lost}",
            f"{c.difference.new}",
        ]
        for c in limits.candidates
    ]
    columns = ["workers", "wall s a clip", "CPU s a clip", "frames saved a second", "limit, wall s", "limit / actual"]
    columns += ["bare share of CPU s", "cores busy", "start, s"]
    return f"""
RetinaFace MobileNet-0.25 in fp32, scenes by `{Path(scene_name(one)).name}`, blur `paper`; a clip of {limits.n_frames}
frames of {limits.size[0]}x{limits.size[1]} made of `{footage}`, {limits.n_sampled} of them kept. The limit is the CPU
seconds of the bare stages in one thread, where they cost the least, shared evenly by the cores. The build is the real
command's, into new folders; a clip's cost is the difference between a larger and a smaller build, so that the start
(processes, imports, models) stands apart. Medians of {len(one.small.costs)} rounds, bare stages and builds in turns.

{table(["bare stage of a clip", "by", "wall s", "CPU s"], stages)}

{table(columns, builds)}

The detector's forward pass in each library, and the faces that it finds of those that PyTorch finds in fp32:

{table(["library", "wall ms a frame", "CPU ms a frame", "faces", "lost", "new"], libraries)}
"""


def scene_name(found: BuildSpeed) -> str:
    """What labelled scenes in a measurement."""
    return next((stage.by for stage in found.limits.stages if stage.stage == "label"), "nothing")
