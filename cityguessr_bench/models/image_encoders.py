"""Frozen image encoders that turn a frame into one vector: CLIP and DINOv2 of the transformers library.

Of CLIP it is the projected image vector, for that is what its training compares, by the cosine; of DINOv2 the class
token behind the last norm, which its authors' nearest-neighbour evaluation compares. Pixels are shifted and scaled, and
the side of a frame is, as the encoder's own preprocessor_config.json says. One thing is not as there: a frame is
squeezed to the square, as in every pack here, not cut to it; the edges of a street are worth more than its proportions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import InputError, MachineError, WeightsError
from cityguessr_data.core.fingerprint import file_sha256, fingerprint

from .hub_folder import find_folder, weights_file

if TYPE_CHECKING:
    from torch import Tensor

KNOWN = {"clip": "openai/clip-vit-large-patch14", "dinov2": "facebook/dinov2-large"}
"""Short names; VidTAG is built on these two."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_PREPARATION = "preprocessor_config.json"
_VERSION = 1
"""Raised when the same files would give other vectors."""
_NOT_OF_THE_PICTURE = ("text_model.", "text_projection.", "logit_scale", "vision_model.embeddings.position_ids")
"""What a whole CLIP model holds besides; the last is a table of 0, 1, 2, ... that early releases saved."""
_OLD_NAMES = {
    ".attention.attention.query.": ".attention.q_proj.",
    ".attention.attention.key.": ".attention.k_proj.",
    ".attention.attention.value.": ".attention.v_proj.",
    ".attention.output.dense.": ".attention.o_proj.",
}
"""Of DINOv2: published names, and those of the library's class in recent releases."""


class ImageEncoder:
    """One encoder in a folder. The network is loaded at the first `encode`; the other attributes need no torch.

    Attributes:
        name: hub id or folder.
        dim: numbers of a vector: 768 of CLIP ViT-L/14, 1,024 of DINOv2 ViT-L/14.
        size_px: side of the frames that it takes.
    """

    def __init__(self, folder: Path, name: str, device: str = "auto", precision: str = "auto") -> None:
        if precision not in PRECISIONS:
            raise InputError(f"there is no precision {precision!r}", f"Give one of: {', '.join(PRECISIONS)}")
        self.folder, self.name, self.asked = folder, name, (device, precision)
        self._config = _read_json(folder / "config.json")
        self.family = _family(self._config, folder)
        preparation = _read_json(folder / _PREPARATION)
        self.size_px = _side_px(preparation, folder)
        self.mean, self.std = (_triple(preparation, key, folder) for key in ("image_mean", "image_std"))
        self.scale = float(preparation.get("rescale_factor", 1 / 255))
        self.dim = self._stated_dim()

    @cached_property
    def digest(self) -> str:
        """16 hex digits of the three files that decide its vectors."""
        files = (self.folder / "config.json", self.folder / _PREPARATION, weights_file(self.folder))
        return fingerprint([_VERSION, [(path.name, file_sha256(path)) for path in files]])

    @cached_property
    def device(self) -> str:
        """Where it computes: `auto` is a GPU where there is one."""
        import torch

        device = self.asked[0]
        return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def precision(self) -> str:
        """`auto` is fp32 on a CPU and, as the vectors are kept in 16 bits, fp16 on a GPU."""
        precision = self.asked[1]
        return precision if precision != "auto" else "fp32" if self.device == "cpu" else "fp16"

    def encode(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """One vector a frame.

        Args:
            frames: uint8 (N, 3, size_px, size_px), red, green, blue.
        Returns:
            float32 (N, dim).
        Raises:
            WeightsError: a tensor that is missing, unexpected or of another shape.
            MachineError: out of memory.
            ValueError: frames of another shape or type.
        """
        import torch

        if frames.dtype != np.uint8 or frames.shape[1:] != (3, self.size_px, self.size_px):
            side = self.size_px
            raise ValueError(f"expected uint8 frames (N, 3, {side}, {side}), got {frames.dtype} {frames.shape}")
        network, mean, std = self._loaded
        half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.precision)
        kind = self.device.partition(":")[0]
        try:
            with torch.inference_mode(), torch.autocast(kind, half, enabled=half is not None):
                pixels = (torch.from_numpy(frames).to(self.device).float() * self.scale - mean) / std
                answer = network(pixels)
                vectors = answer.image_embeds if self.family == "clip" else answer.pooler_output
                found: npt.NDArray[np.float32] = vectors.float().cpu().numpy()
        except torch.OutOfMemoryError as exc:
            raise MachineError(
                f"{self.device} has not enough memory for {self.name}", "Give --device cpu, or free the GPU"
            ) from exc
        return found

    @cached_property
    def _loaded(self) -> tuple[Any, Tensor, Tensor]:
        """The network on its device, and mean and deviation of pixels."""
        import torch

        from .checkpoint_state import put_state, read_encoder

        with torch.random.fork_rng(devices=[]):  # what is drawn is replaced at once
            network = self._built()
        wanted = network.state_dict()
        state = read_encoder(
            self.folder,
            "dinov2." if self.family == "dinov2" else "",
            _NOT_OF_THE_PICTURE if self.family == "clip" else ("classifier.",),
            lambda name: name if name in wanted else _present(name),
        )
        put_state(network, state, self.folder, f"{_ARTICLE[self.family]} image encoder", KNOWN[self.family])
        shape = (3, 1, 1)
        mean, std = (torch.tensor(numbers, device=self.device).view(shape) for numbers in (self.mean, self.std))
        return network.eval().requires_grad_(False).to(self.device), mean, std

    def _built(self) -> Any:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

        if self.family == "dinov2":
            return Dinov2Model(Dinov2Config(**_plain(self._config)))
        vision = {**_plain(self._vision), "projection_dim": self.dim}
        return CLIPVisionModelWithProjection(CLIPVisionConfig(**vision))

    @property
    def _vision(self) -> Mapping[str, Any]:
        return self._config.get("vision_config") or self._config

    def _stated_dim(self) -> int:
        """D by config.json; CLIP's frames must be of the one size that its position code has.

        Raises:
            WeightsError: numbers that are missing or do not fit.
        """
        if self.family == "dinov2":
            side, patch, dim = self.size_px, self._config.get("patch_size", 16), self._config.get("hidden_size", 768)
            fits = side % patch == 0
        else:
            side = self._vision.get("image_size", 224)
            fits = side == self.size_px
            dim = self._config.get("projection_dim", self._vision.get("projection_dim", 512))
        if not fits or not isinstance(dim, int):
            raise WeightsError(
                f"{self.folder}: {_PREPARATION} gives frames of {self.size_px} px, which do not fit its config.json",
                "Fetch both files again",
            )
        return dim


def canonical(source: str) -> str:
    """The one name of an encoder: a short name's hub id, a folder's whole path, else as given."""
    folder = Path(source).expanduser()
    return str(folder.resolve()) if folder.is_dir() else KNOWN.get(source, source)


def load_image_encoder(source: str, device: str = "auto", precision: str = "auto") -> ImageEncoder:
    """An encoder by a short name of `KNOWN`, a hub id or a folder.

    Args:
        device: auto, cpu or cuda.
        precision: auto, fp32, bf16 or fp16.
    Raises:
        InputError: no such precision.
        WeightsError: no such folder, a file of it is missing or not fit, another architecture, or the hub cannot be
            reached; with what to do.
    """
    name = canonical(source)
    return ImageEncoder(find_folder(name, (_PREPARATION,)), name, device, precision)


_ARTICLE = {"clip": "a CLIP", "dinov2": "a DINOv2"}
_FAMILIES = {"clip": "clip", "clip_vision_model": "clip", "dinov2": "dinov2"}


def _family(config: Mapping[str, Any], folder: Path) -> str:
    kind = config.get("model_type")
    if kind not in _FAMILIES:
        raise WeightsError(
            f"{folder} is of a {kind!r} model, which is no image encoder known here",
            f"Give one of CLIP or DINOv2, e.g. {' or '.join(KNOWN.values())}",
        )
    return _FAMILIES[kind]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{path} cannot be read ({exc})", "Fetch the folder again, whole") from exc
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds no settings", "Fetch the folder again, whole")
    return found


def _side_px(preparation: Mapping[str, Any], folder: Path) -> int:
    """Of the square that the encoder is given: what is cut out, or what is resized to where nothing is."""
    cut = preparation.get("do_center_crop", True) and preparation.get("crop_size")
    stated = cut or preparation.get("size")
    sides = set(stated.values()) if isinstance(stated, dict) else {stated}
    side = next(iter(sides))
    if len(sides) != 1 or not isinstance(side, int) or side < 1:
        raise WeightsError(f"{folder / _PREPARATION} states no square of pixels: {stated}", "Fetch the file again")
    return side


def _triple(preparation: Mapping[str, Any], key: str, folder: Path) -> tuple[float, float, float]:
    numbers = preparation.get(key)
    if not isinstance(numbers, list) or len(numbers) != 3 or (key == "image_std" and not min(numbers) > 0):
        raise WeightsError(f"{folder / _PREPARATION}: {key} is {numbers}, not three numbers", "Fetch the file again")
    red, green, blue = map(float, numbers)
    return red, green, blue


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """What builds the network; the rest of the file is about how it was saved."""
    about = ("architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "_name_or_path")
    return {name: value for name, value in config.items() if name not in about}


def _present(name: str) -> str:
    for old, new in _OLD_NAMES.items():
        name = name.replace(old, new)
    return name
