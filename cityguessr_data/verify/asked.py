"""What dataset.json says the data set was asked to be, as far as checks must know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

    @classmethod
    def of(cls, dataset: Mapping[str, Any]) -> Asked:
        """From dataset.json; what it does not say, or not well, is None."""
        config = _dict(dataset.get("config"))
        anonymised, clip, imported = _dict(config.get("anonymise")), _dict(config.get("clip")), "imported" in dataset
        told = [_dict(config.get("scenes")).get("parents")]
        told += [_dict(one).get("parents") for one in dataset.get("scene_labels") or ()]
        limits = (clip.get("min_frames"), clip.get("max_frames"), clip.get("samples"))
        known = not imported and all(isinstance(one, int) for one in limits)
        conf = anonymised.get("conf")
        return cls(
            imported=imported,
            threshold=float(conf) if isinstance(conf, (int, float)) else None,
            blur=_blur(anonymised.get("blur")),
            jpeg_quality=int(config.get("jpeg_quality") or 95),
            clip_frames=(clip["min_frames"], clip["max_frames"]) if known else None,
            samples=clip["samples"] if known else None,
            parents=tuple(one for one in get_args(Parents) if one in told) or get_args(Parents),
        )


def _blur(told: Any) -> BlurConfig | None:
    try:
        return BlurConfig(**told) if told else None
    except (TypeError, ValueError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
