"""What dataset.json says the data set was asked to be, as far as checks must know it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from ..core.places365 import Parents
from ..vision.blur import BlurConfig


@dataclass(frozen=True)
class Asked:
    """Of a data set."""

    imported: bool
    """Spans, digests and labels may then be unknown."""
    threshold: float | None
    """Score from which a face is blurred; None where nothing was ever anonymised."""
    blur: BlurConfig | None
    jpeg_quality: int
    clip_frames: tuple[int, int] | None
    """Least and most frames of a clip; None where clips follow no rule of ours."""
    samples: int | None
    parents: tuple[Parents, ...]
    """How categories of several classes may count in soft labels."""
    unsaid: tuple[str, ...]
    """What a build, or `anonymise`, writes of itself and is not there, or not as it is written: keys of dataset.json.
    What follows from it cannot be checked."""

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> Asked:
        """From dataset.json; what it does not say, or not well, is None."""
        config = _dict(dataset.get("config"))
        anonymised, clip, imported = _dict(config.get("anonymise")), _dict(config.get("clip")), "imported" in dataset
        told = [_dict(config.get("scenes")).get("parents")]
        later = dataset.get("scene_labels")
        told += [_dict(one).get("parents") for one in (later if isinstance(later, list) else ())]
        limits = (clip.get("min_frames"), clip.get("max_frames"), clip.get("samples"))
        known = not imported and all(map(_is_count, limits))
        blur, quality = _blur(anonymised.get("blur")), config.get("jpeg_quality", 95)
        conf: Any = anonymised.get("conf")
        unfit = {
            "config.anonymise.conf": not (_is_number(conf) and 0 <= conf <= 1),
            "config.anonymise.blur": blur is None,
            "config.jpeg_quality": not _is_count(quality),
            "config.clip": not (imported or known),
            "config.scenes.parents": not imported and told[0] not in get_args(Parents),
        }
        return cls(
            imported=imported,
            threshold=None if unfit["config.anonymise.conf"] else float(conf),
            blur=blur,
            jpeg_quality=95 if unfit["config.jpeg_quality"] else quality,
            clip_frames=(clip["min_frames"], clip["max_frames"]) if known else None,
            samples=clip["samples"] if known else None,
            parents=tuple(one for one in get_args(Parents) if one in told) or get_args(Parents),
            unsaid=tuple(key for key, is_unfit in unfit.items() if is_unfit),
        )


def _blur(told: Any) -> BlurConfig | None:
    """As it is recorded; None where a value of it is not there or of another type: its default may be another."""
    if not isinstance(told, dict) or set(told) != {field.name for field in fields(BlurConfig)}:
        return None
    if not _is_count(told["kernel_px"]) or not _is_number(told["sigma_px"]):
        return None
    try:
        return BlurConfig(**told)
    except (TypeError, ValueError):
        return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
