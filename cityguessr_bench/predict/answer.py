"""Asks a run's model about videos, one after the other; one that fails is an entry of the answer, not its end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cityguessr_data.core.errors import CgtoolError, ErrorClass, VideoError

from ..hierarchy import Mode
from ..inference import load_encoder, log_probs, precision_on
from ..models import find_model
from ..models.image_encoders import ImageEncoder
from ..run_dir import RunDir
from .clips import ClipReader, ClipRule, Frames
from .guesses import TOP, guesses, remarks
from .results import Failure, VideoPrediction
from .sources import Film, failure, films

if TYPE_CHECKING:
    from cityguessr_data.media.download import Downloader

Tell = Callable[[str], None]
"""What is being done, in a few words."""


def answer(
    sources: Sequence[str],
    run: RunDir,
    model: nn.Module,
    downloader: Downloader,
    *,
    mode: Mode = "codependent",
    rule: ClipRule | None = None,
    k: int = TOP,
    device: torch.device | str = "cpu",
    keep: bool = True,
    tell: Tell | None = None,
) -> Iterator[VideoPrediction | Failure]:
    """Where the videos were filmed, in the order of `sources`; each comes when it is done.

    Args:
        model: the run's, in evaluation mode.
        rule: how videos are cut; None: the paper's rule.
        k: places a level.
        keep: downloads stay in the downloader's cache; else each is removed when it has been looked at.
        tell: called with what is going on, also from other threads.
    Raises:
        CgtoolError: what concerns all videos, such as the device. What concerns one is a Failure.
    """
    say = tell or (lambda _: None)
    encoder = load_encoder(run, device)

    def on_bytes(video_id: str, done: int, total: int | None) -> None:
        whole = f" of {total / 1e6:.0f}" if total else ""
        say(f"{video_id}: {done / 1e6:.0f}{whole} MB downloaded")

    for source in sources:
        say(f"{source}: being looked up")
        for found in films(source, downloader, on_bytes):
            if isinstance(found, Failure):
                yield found
                continue
            try:
                told: VideoPrediction | Failure = _answer(found, run, model, encoder, mode, rule, k, device, say)
            except VideoError as exc:
                told = failure(found.source, found.video_id, exc)
            except (CgtoolError, MemoryError, torch.OutOfMemoryError):
                raise
            except Exception as exc:  # noqa: BLE001 - decoders raise anything, and the other videos are still to come
                hint = "A fault of cgtool: ask for this video alone, and report what it prints"
                fault = f"{type(exc).__name__}: {exc}"
                told = Failure(found.source, found.video_id, str(ErrorClass.INTERNAL), fault, hint)
            finally:
                if found.downloaded and not keep:
                    found.path.unlink(missing_ok=True)
            yield told


def _answer(
    film: Film,
    run: RunDir,
    model: nn.Module,
    encoder: ImageEncoder | None,
    mode: Mode,
    rule: ClipRule | None,
    k: int,
    device: torch.device | str,
    say: Tell,
) -> VideoPrediction:
    say(f"{film.video_id}: its frames are counted")
    data = run.config.data
    reader = ClipReader(film.path, data if encoder is None else replace(data, size_px=encoder.size_px), rule)

    def told() -> Iterator[Frames]:
        for number, clip in enumerate(reader, 1):
            say(f"{film.video_id}: {number} of {len(reader.planned)} clips decoded")
            yield clip

    where = torch.device(device)
    clips = ((_seen(some, encoder), None) for some in stacked(told(), run.config.train.batch))
    scores = log_probs(model, clips, where, precision_on(run, where))
    info = reader.index.info
    return VideoPrediction(
        source=film.source,
        video_id=film.video_id,
        title=film.title,
        n_frames=info.n_frames,
        fps=info.fps,
        duration_s=info.duration_s,
        clips=tuple(reader.taken),
        levels=guesses(scores, run.classes, mode, k),
        notes=(*reader.notes, *_unlabelled(run), *remarks(scores, run.classes, mode)),
    )


def _unlabelled(run: RunDir) -> Iterator[str]:
    """What a model lacks that looks at a data set's scene labels."""
    if find_model(run.config.model).needs_scenes:
        yield f"{run.config.model} goes by a clip's scene label, and a video has none: taken as of every scene"


def _seen(clips: Tensor, encoder: ImageEncoder | None) -> Tensor:
    """What the model takes of uint8 clips (B, T, 3, H, W): themselves, or features (B, T, D), rounded as in a pack."""
    if encoder is None:
        return clips
    features = encoder.encode(clips.flatten(0, 1).numpy()).astype(np.float16)
    return torch.from_numpy(features.reshape(*clips.shape[:2], -1))


def stacked(clips: Iterable[Frames], n: int) -> Iterator[Tensor]:
    """Clips put together, `n` at a time: uint8 (B, T, 3, H, W)."""
    left = iter(clips)
    while some := list(islice(left, n)):
        yield torch.from_numpy(np.stack(some))
