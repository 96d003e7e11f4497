"""The least that each stage of a build can cost on this machine: its one indispensable call, with nothing around it.

Decoding in sequence, the forward passes of the networks, and the encoding of JPEGs. Everything else that a build does
(colour conversion, choosing boxes, blurring, resizing, hashes, tables, waiting for the disk) is what it could save.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..build_config import BuildConfig, find_models
from ..core.errors import InputError
from ..core.spans import plan_clips, sample_offsets
from ..core.threads import worker_threads
from ..core.timing import Timing
from ..media.decode import VideoIndex, decode, index_video
from ..media.opening import open_video
from ..run.parts import encode_jpeg
from ..vision.agreement import Difference, Found, difference
from ..vision.retinaface.detector import DetectorConfig, FaceDetector
from ..vision.retinaface.preprocess import scaled
from ..vision.runtimes import TITLES
from ..vision.scenes import load_classifier

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..core.types import RGB

PICTURES = 20
"""Sampled frames that the networks and the encoder are timed on."""


@dataclass(frozen=True)
class Bare:
    """The bare cost of one stage."""

    stage: str
    by: str
    """What did it."""
    wall_s: float
    """For one clip, all of its decoded or sampled frames; median."""
    cpu_s: float
    on_gpu: bool = False


@dataclass(frozen=True)
class Candidate:
    """One library that can run the detector in the precision that is asked for."""

    runtime: str
    timing: Timing
    """Of the forward passes of `n_pictures` frames."""
    n_pictures: int
    difference: Difference
    """From PyTorch in fp32, over faces of the threshold and over."""
    on_gpu: bool

    @property
    def wall_s_per_frame(self) -> float:
        """Of one forward pass."""
        return self.timing.wall_s / self.n_pictures

    @property
    def cpu_s_per_frame(self) -> float:
        """Of one forward pass, of all cores."""
        return self.timing.cpu_s / self.n_pictures

    @property
    def finds_the_same(self) -> bool:
        """Whether no face is lost, and none is new."""
        return not self.difference.lost and not self.difference.new


@dataclass(frozen=True)
class Limits:
    """What a clip costs at least."""

    stages: tuple[Bare, ...]
    candidates: tuple[Candidate, ...]
    n_frames: int
    """Decoded frames of the clip."""
    n_sampled: int
    size: tuple[int, int]
    """Of the frames: width and height in px."""

    @property
    def cpu_s(self) -> float:
        """Of all stages that the processor does, for one clip."""
        return sum(stage.cpu_s for stage in self.stages if not stage.on_gpu)

    def wall_s(self, cores: int) -> float:
        """The least seconds for a clip: the cores share what is theirs evenly, and a GPU works beside them."""
        return max(self.cpu_s / cores, sum(stage.wall_s for stage in self.stages if stage.on_gpu))


class BareStages:
    """The bare stages on the first clip of a video, ready to be timed beside whatever else.

    Raises:
        InputError: the video is too short for a clip. WeightsError, MachineError, MediaError: as a build would.
    """

    def __init__(self, config: BuildConfig, video: Path) -> None:
        self._config, self._weights = config, find_models(config).detector
        index = index_video(video)
        self._size = (index.info.width, index.info.height)
        self._n_frames = clips_of(config, video, index)[0][1]
        wanted = sample_offsets(self._n_frames, config.clip.samples)
        some = set(wanted[:: max(1, len(wanted) // PICTURES)])
        decoded = decode(video, some, self._n_frames, index, worker_threads())
        self._pictures = [frame.rgb for frame in decoded][:PICTURES]
        self._share = len(wanted) / len(self._pictures)
        """Frames of the clip for each that is timed."""
        self._detectors = _detectors(config.anonymise.detector, self._weights)
        self._scenes = load_classifier(config.scenes, worker_threads())
        self.calls = self._calls(video)
        """What is to be timed, by name."""

    def _calls(self, video: Path) -> dict[str, Callable[[], object]]:
        seen, quality = self._config.anonymise.detector, self._config.jpeg_quality
        small = [scaled(rgb[np.newaxis], seen.size_px, seen.scale) for rgb in self._pictures]
        calls: dict[str, Callable[[], object]] = {
            "decode": lambda: decode_only(video, self._n_frames),
            "encode": lambda: [encode_jpeg(rgb, quality) for rgb in self._pictures],
        }
        for name, detector in self._detectors.items():
            calls[f"detect {name}"] = _passes(detector, small)
        if (scenes := self._scenes) is not None:
            shown = [scenes.shown(rgb[np.newaxis]) for rgb in self._pictures]
            calls["label"] = lambda: [scenes.logits(one) for one in shown]
        return calls

    def limits(self, timings: Mapping[str, Timing]) -> Limits:
        """What they come to, from the timings of `calls`."""
        candidates = self._candidates(timings)
        best = _best(candidates)
        rows = [
            Bare("decode", "PyAV", timings["decode"].wall_s, timings["decode"].cpu_s),
            self._bare("detect", TITLES[best.runtime], best.timing, best.on_gpu),
        ]
        if self._scenes is not None:
            model = Path(self._config.scenes.model).name
            rows.append(self._bare("label", model, timings["label"], self._scenes.batch > 1))
        rows.append(self._bare("encode", "OpenCV", timings["encode"]))
        n_sampled = self._config.clip.samples
        return Limits(tuple(rows), tuple(candidates), self._n_frames, n_sampled, self._size)

    def _candidates(self, timings: Mapping[str, Timing]) -> list[Candidate]:
        """Every library with its time, and with what it finds of what PyTorch finds in fp32."""
        config = self._config.anonymise
        plain = FaceDetector(replace(config.detector, backend="torch", precision="fp32"), self._weights)
        reference = [_found(plain, rgb) for rgb in self._pictures]
        told = []
        for name, detector in self._detectors.items():
            apart = Difference()
            for wanted, rgb in zip(reference, self._pictures, strict=True):
                apart += difference(wanted, _found(detector, rgb), config.threshold)
            timing = timings[f"detect {name}"]
            told.append(Candidate(name, timing, len(self._pictures), apart, detector.device == "cuda"))
        return told

    def _bare(self, stage: str, by: str, timing: Timing, on_gpu: bool = False) -> Bare:
        return Bare(stage, by, timing.wall_s * self._share, timing.cpu_s * self._share, on_gpu)


def clips_of(config: BuildConfig, video: Path, index: VideoIndex) -> list[tuple[int, int]]:
    """The clips that a build would cut of a video: first frame and number of frames of each.

    Raises:
        InputError: it is too short for one.
    """
    n_frames, clip = index.info.n_frames, config.clip
    clips = plan_clips(n_frames, clip.min_frames, clip.max_frames)
    if not clips:
        raise InputError(f"{video.name} has {n_frames} frames, a clip {clip.min_frames}", "Give a longer video")
    return clips


def decode_only(video: Path, n_frames: int) -> int:
    """Decode the first frames of a video and do nothing with them; how many came."""
    decoded = 0
    with open_video(video) as (container, stream):
        stream.codec_context.thread_count = worker_threads()
        for _ in container.decode(stream):
            decoded += 1
            if decoded == n_frames:
                break
    return decoded


def _detectors(config: DetectorConfig, weights: Path) -> dict[str, FaceDetector]:
    """The detector in every library that can run it as asked."""
    if config.precision in ("auto", "fp32"):
        names = ["torch", "onnx", *(["openvino"] if find_spec("openvino") else [])]
    else:
        names = ["torch", *(["openvino"] if find_spec("openvino") and config.precision == "bf16" else [])]
    chosen = FaceDetector(replace(config, backend="auto"), weights)
    if chosen.device == "cuda":
        return {"torch": chosen}
    return {name: FaceDetector(replace(config, backend=name), weights) for name in names}  # type: ignore[arg-type]


def _passes(detector: FaceDetector, small: Sequence[npt.NDArray[np.uint8]]) -> Callable[[], object]:
    import torch

    if detector.device == "cuda":
        batches = [np.concatenate(small[i : i + detector.batch]) for i in range(0, len(small), detector.batch)]
    else:
        batches = list(small)
    fed = [torch.from_numpy(np.require(batch, requirements=["C", "W"])) for batch in batches]

    def run() -> None:
        for frames in fed:
            detector.forward(frames)
        if detector.device == "cuda":
            torch.cuda.synchronize()

    return run


def _found(detector: FaceDetector, rgb: RGB) -> Found:
    one = detector.detect(rgb[np.newaxis])[0]
    return Found(one.boxes, one.scores)


def _best(candidates: Sequence[Candidate]) -> Candidate:
    """The one of the fewest processor seconds among those that find the same; among all where none does."""
    same = [one for one in candidates if one.finds_the_same] or list(candidates)
    return min(same, key=lambda one: one.timing.cpu_s)
