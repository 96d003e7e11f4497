"""Frames a second of each stage of a build alone, on one video: python benchmarks/stages.py VIDEO [SCENE_MODEL.onnx]

Prints a Markdown table. One process; torch takes all cores. Decoding counts every decoded frame, the other stages count
sampled ones. Medians over the frames of one clip.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cityguessr_data.core.spans import sample_offsets
from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.run.parts import encode_jpeg
from cityguessr_data.vision.blur import BlurConfig, blur_boxes
from cityguessr_data.vision.phash import phash
from cityguessr_data.vision.retinaface.detector import DetectorConfig, FaceDetector
from cityguessr_data.vision.scenes import SceneConfig, load_classifier
from cityguessr_data.vision.weights import find


def main(video: Path, scene_model: str) -> None:
    """Measure and print."""
    index = index_video(video)
    wanted = set(sample_offsets(900, 100))
    start = time.perf_counter()
    frames = [f.rgb for f in decode(video, wanted, 900, index)]
    decoding_s = time.perf_counter() - start
    rows = [("decode (every frame)", 900 / decoding_s)]

    def per_frame(call: Callable[[np.ndarray], object]) -> float:
        call(frames[0])
        times = []
        for frame in frames[:50]:
            begin = time.perf_counter()
            call(frame)
            times.append(time.perf_counter() - begin)
        return 1 / statistics.median(times)

    detector = FaceDetector(DetectorConfig(name="mobilenet0.25"), find("retinaface-mobilenet0.25"))
    found = [detector.detect(f[np.newaxis])[0].boxes for f in frames[:50]]
    rows.append(("detect, mobilenet0.25", per_frame(lambda f: detector.detect(f[np.newaxis]))))
    boxes = max(found, key=len)
    rows.append((f"blur, paper, {len(boxes)} boxes", per_frame(lambda f: blur_boxes(f.copy(), boxes, BlurConfig()))))
    scenes = load_classifier(SceneConfig(model=scene_model), threads=2)
    if scenes is not None:
        rows.append(("scenes", per_frame(lambda f: scenes.classify(f[np.newaxis]))))
    rows.append(("JPEG, quality 95", per_frame(lambda f: encode_jpeg(f, 95))))
    rows.append(("phash", per_frame(phash)))
    sys.stdout.write(f"{index.info.width}x{index.info.height}\n\n| stage | frames/s |\n|---|---|\n")
    for name, rate in rows:
        sys.stdout.write(f"| {name} | {rate:.1f} |\n")
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    sys.stdout.write(f"\npeak memory of this process, with 100 frames held: {peak_gb:.2f} GB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "off")
