"""What a scene model wants to be shown, and the pixels made so: resize, centre crop, channel order, mean and scale.

An ONNX file does not say this itself, so a JSON file beside it does (FILE.onnx, FILE.json). It is read strictly: a
wrong guess here gives labels that look right and are not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError

if TYPE_CHECKING:
    from cityguessr_data.core.types import RGB

CLASSES = "categories_places365.txt order, 365 logits"
ORDER = "(pixel - mean) * scale"

EXAMPLE = {
    "file": "NAME.onnx",
    "classes": CLASSES,
    "input": {
        "name": "image",
        "layout": "NCHW",
        "size": 224,
        "resize_short_side": 256,
        "crop": "center",
        "channels": "BGR",
        "mean": [104.0, 112.0, 116.0],
        "scale": 0.00392156862745098,
        "order": ORDER,
    },
    "output": "logits",
}
"""The form of the JSON file, with the values of one model."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class SceneInput:
    """How a frame becomes a model's input: resize, crop the centre, `(pixel - mean) * scale` with pixels of 0-255."""

    size_px: int
    """Side of the square shown to the model."""
    resize_px: int
    """What the frame is resized to before the crop: its shorter side, or both sides."""
    keep_aspect: bool
    """True: `resize_px` is the shorter side. False: the frame is squashed to a square."""
    channels: Literal["RGB", "BGR"]
    mean: Triple
    """In the order of `channels`."""
    scale: Triple
    layout: Literal["NCHW", "NHWC"] = "NCHW"

    def __post_init__(self) -> None:
        if not 1 <= self.size_px <= self.resize_px:
            raise ValueError(f"expected 1 <= size <= resize, got {self.size_px} and {self.resize_px}")


RESNET_INPUT = SceneInput(
    size_px=224,
    resize_px=256,
    keep_aspect=False,
    channels="RGB",
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    scale=(1 / (0.229 * 255), 1 / (0.224 * 255), 1 / (0.225 * 255)),
)
"""Of the released ResNets, after `run_placesCNN_basic.py` of github.com/CSAILVision/places365 (December 2017): resized
to 256 x 256 without keeping the aspect, centre 224, ImageNet mean and standard deviation."""


@dataclass(frozen=True)
class OnnxScene:
    """The JSON file beside an ONNX scene model."""

    file: str
    input_name: str
    input: SceneInput
    output_name: str


def prepared(rgb: RGB, spec: SceneInput) -> npt.NDArray[np.float32]:
    """The model's input for a batch of frames.

    The bilinear filter that averages when it reduces: Pillow's, which the released models were run with. torch has the
    same for uint8, five times as fast; under 1 % of the pixel values differ, by 1.

    Args:
        rgb: uint8 (B, H, W, 3), red, green, blue.
    Returns:
        float32 (B, 3, S, S), or (B, S, S, 3) where `spec.layout` is NHWC.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[3] != 3:
        raise ValueError(f"expected uint8 frames (B, H, W, 3), got {rgb.dtype} {rgb.shape}")
    cropped = np.stack([_resized_and_cropped(frame, spec) for frame in rgb])
    if spec.channels == "BGR":
        cropped = cropped[..., ::-1]
    scaled = (cropped - np.array(spec.mean, np.float32)) * np.array(spec.scale, np.float32)
    return np.ascontiguousarray(scaled if spec.layout == "NHWC" else scaled.transpose(0, 3, 1, 2))


def read_onnx_scene(onnx_path: Path) -> OnnxScene:
    """Read the JSON file beside `onnx_path`.

    Raises:
        InputError: it is missing, is not JSON, lacks a key, has one too many, or has a value that is not understood.
    """
    path = onnx_path.with_suffix(".json")
    if not path.is_file():
        raise InputError(
            f"{onnx_path.name} has no {path.name} beside it to tell its input",
            f"Write it with the model's own values, in this form: {json.dumps(EXAMPLE | {'file': onnx_path.name})}",
        )
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return _parsed(raw, onnx_path.name)
    except (ValueError, UnicodeDecodeError) as exc:
        raise InputError(f"{path}: {exc}", f"The form is: {json.dumps(EXAMPLE)}") from exc


def _resized_and_cropped(frame: RGB, spec: SceneInput) -> RGB:
    import torch
    from torch.nn.functional import interpolate

    height, width = frame.shape[:2]
    size = (spec.resize_px, spec.resize_px)
    if spec.keep_aspect:
        short = min(height, width)
        size = (spec.resize_px * width // short, spec.resize_px * height // short)
    channels_first = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None]
    smaller = interpolate(channels_first, (size[1], size[0]), mode="bilinear", antialias=True, align_corners=False)
    resized: RGB = smaller[0].permute(1, 2, 0).numpy()
    left, top = round((size[0] - spec.size_px) / 2), round((size[1] - spec.size_px) / 2)
    return resized[top : top + spec.size_px, left : left + spec.size_px]


def _parsed(raw: Any, onnx_name: str) -> OnnxScene:
    _exactly(raw, EXAMPLE, "the file")
    _exactly(raw["input"], EXAMPLE["input"], "input")  # type: ignore[arg-type]
    given = raw["input"]
    _one_of(raw["file"], (onnx_name,), "file")
    _one_of(raw["classes"], (CLASSES,), "classes")
    _one_of(given["layout"], ("NCHW", "NHWC"), "input.layout")
    _one_of(given["crop"], ("center",), "input.crop")
    _one_of(given["channels"], ("RGB", "BGR"), "input.channels")
    _one_of(given["order"], (ORDER,), "input.order")
    for key, name in (("output", raw["output"]), ("input.name", given["name"])):
        if not isinstance(name, str) or not name:
            raise ValueError(f"{key}: expected the name of a tensor, got {name!r}")
    scale = given["scale"]
    return OnnxScene(
        file=onnx_name,
        input_name=given["name"],
        output_name=raw["output"],
        input=SceneInput(
            size_px=_whole(given["size"], "input.size"),
            resize_px=_whole(given["resize_short_side"], "input.resize_short_side"),
            keep_aspect=True,
            channels=given["channels"],
            mean=_triple(given["mean"], "input.mean"),
            scale=_triple(scale if isinstance(scale, list) else [scale] * 3, "input.scale"),
            layout=given["layout"],
        ),
    )


def _exactly(raw: Any, form: Mapping[str, Any], where: str) -> None:
    if not isinstance(raw, dict):
        raise ValueError(f"{where}: expected an object, got {raw!r}")
    missing, unknown = sorted(form.keys() - raw.keys()), sorted(raw.keys() - form.keys())
    if missing or unknown:
        faults = [f"{w} {', '.join(keys)}" for w, keys in (("missing", missing), ("unknown", unknown)) if keys]
        raise ValueError(f"{where}: {'; '.join(faults)}")


def _one_of(value: Any, allowed: tuple[str, ...], key: str) -> None:
    if value not in allowed:
        raise ValueError(f"{key}: expected {' or '.join(map(repr, allowed))}, got {value!r}")


def _whole(value: Any, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
        raise ValueError(f"{key}: expected a whole number of px, got {value!r}")
    return value


def _triple(value: Any, key: str) -> Triple:
    numbers = isinstance(value, list) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
    if not numbers or len(value) != 3 or not all(math.isfinite(v) for v in value):
        raise ValueError(f"{key}: expected a number for each of the three channels, got {value!r}")
    return (float(value[0]), float(value[1]), float(value[2]))
