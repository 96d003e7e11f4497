"""`cgtool bench predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from ..console import command, plain, print_json, say, stderr
from ..outputs import check_page, writing
from ..tables import safe

if TYPE_CHECKING:
    from cityguessr_bench.hierarchy import Mode
    from cityguessr_bench.inference import Which
    from cityguessr_bench.predict.clips import ClipRule
    from cityguessr_bench.predict.results import Failure, VideoPrediction
    from cityguessr_bench.run_dir import RunDir
    from cityguessr_data.media.download_config import DownloadConfig


class Weights(StrEnum):
    """Which checkpoint."""

    last = "last"
    best = "best"


class ModeName(StrEnum):
    """The evaluation modes, see cityguessr_bench/hierarchy.py."""

    none = "none"
    independent = "independent"
    codependent = "codependent"
    trace = "trace"


@command
def predict(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Video files and links; playlists too.")],
    run: Annotated[Path, typer.Option(help="Folder of a trained run.")],
    weights: Annotated[Weights | None, typer.Option(help="Checkpoint; default: what the run reports.")] = None,
    mode: Annotated[ModeName, typer.Option(help="How the four heads are put together.")] = ModeName.codependent,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with maps; it needs no network.")] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Where the model runs.")] = "auto",
    clip_frames: Annotated[
        str | None, typer.Option(metavar="LOW-HIGH", help="Frames of a clip; default: as the run's data were built.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Frames sampled of a clip; default likewise.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep downloads in this folder; default: nowhere.")] = None,
    cookies: Annotated[Path | None, typer.Option(help="Cookie file (Netscape format).")] = None,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="Proxy for all requests.")] = None,
    allow_private_hosts: Annotated[
        bool, typer.Option("--allow-private-hosts", help="Allow links to this machine and private networks.")
    ] = False,
) -> int:
    """Tell where videos were filmed: the five most probable places of each level.

    A video is cut into clips as a data set's videos are, and its clips are averaged. No frame of it is written.
    """
    from cityguessr_bench.predict.results import Failure
    from cityguessr_bench.run_dir import RunDir
    from cityguessr_data.media.download_config import DownloadConfig

    from ..predict_summary import show_meaning, show_video, tell_failures

    opened = RunDir.open(run)
    if html is not None:
        _check_html(html, opened, videos)
    rule = _rule(opened, clip_frames, samples)
    done: list[VideoPrediction] = []
    failures: list[Failure] = []
    which = weights.value if weights else opened.config.train.report
    with _folder(cache) as folder:
        downloads = DownloadConfig(cache=folder, cookies=cookies, proxy=proxy, allow_private_hosts=allow_private_hosts)
        for told in _answers(videos, opened, which, mode.value, rule, device, downloads, keep=cache is not None):
            if isinstance(told, Failure):
                failures.append(told)
                continue
            done.append(told)
            if not json_:
                show_video(told)
    exit_code = (1 if done else 2) if failures else 0
    if done and not json_:
        show_meaning(mode.value)
    if html is not None and done:
        from cityguessr_bench.predict.page import write_page

        with writing("--html", html):
            write_page(run, opened.config.model, which, mode.value, done, failures, html)
        say(f"page: {plain(str(html))}")
    tell_failures(failures, len(videos))
    if json_:
        from cityguessr_bench.predict.as_json import to_json

        print_json(to_json(run, opened.config.model, which, mode.value, done, failures, exit_code))
    return exit_code


def _answers(
    videos: Sequence[str],
    run: RunDir,
    weights: Which,
    mode: Mode,
    rule: ClipRule,
    device: str,
    downloads: DownloadConfig,
    *,
    keep: bool,
) -> Iterator[VideoPrediction | Failure]:
    """What the model says of each video, with what is going on as one passing line on a terminal."""
    from cityguessr_bench.inference import find_device, load_model
    from cityguessr_bench.predict.answer import answer
    from cityguessr_data.media.download import Downloader

    where = find_device(device)
    model = load_model(run, weights)
    with stderr().status("...") as status:

        def tell(what: str) -> None:
            status.update(safe(what))

        for told in answer(
            videos, run, model, Downloader(downloads), mode=mode, rule=rule, device=where, keep=keep, tell=tell
        ):
            status.stop()
            yield told
            status.start()


@contextmanager
def _folder(cache: Path | None) -> Iterator[Path]:
    """Where downloads lie: the folder that was named, or one that is gone at the end."""
    if cache is not None:
        yield cache
        return
    with TemporaryDirectory(prefix="cgtool-predict-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _rule(run: RunDir, clip_frames: str | None, samples: int | None) -> ClipRule:
    """How a video is cut: as asked, else as the run's data were, else as the paper does."""
    from cityguessr_bench.predict.clips import ClipRule
    from cityguessr_data.core.errors import InputError

    from ..options import clip_frames as parsed

    rule = dict(run.record.get("data", {}).get("clip_rule") or {})
    if clip_frames is not None:
        rule["min_frames"], rule["max_frames"] = parsed(clip_frames)
    if samples is not None:
        rule["samples"] = samples
    try:
        return ClipRule(**rule)
    except ValueError as exc:
        raise InputError(str(exc), "Give --clip-frames as LOW-HIGH, such as 800-900") from exc


def _check_html(html: Path, run: RunDir, videos: Sequence[str]) -> None:
    """Refuse, before anything is looked at, a page that cannot be written or would replace something else."""
    from cityguessr_data.core.errors import InputError
    from cityguessr_data.media.ids import is_local

    check_page(html, [Path(video) for video in videos if is_local(video)])
    if html.resolve() == run.report_path.resolve():
        raise InputError(f"--html {html} is the run's report of its evaluation", "Name another file for the page")
