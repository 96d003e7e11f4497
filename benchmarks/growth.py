"""How the work grows with videos, worker processes and training processes: rows "scaling, ...".

Videos: an output directory grows to thousands of committed videos whose pixels are made up (grown.py), and each step of
a run is timed as it grows; what is linear costs the same per video at every size. Then `cgtool build-dataset` is run on
them with one video more than is committed, up to its first decoded frames. Worker and training processes: scaling.py.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from cityguessr_data.core.timing import ROUNDS, Timing, interleaved

from .document import Headline, Section, table
from .footage import street_video
from .grown import FLAGS, Grown
from .scaling import build_workers, training_processes
from .watched import Marks, watched

LINEAR = 1.5
"""Seconds per video at the largest size over those at the smallest, up to which growth is called linear. A quadratic
step from 10 to 1,000 videos would show as up to 100."""
RESUME_TARGET_S = 3.0
_RESUMED, _FRESH = "resumed", "fresh"
Steps = Mapping[int, Mapping[str, Timing]]
"""By committed videos, by step."""


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Grow, resume, and scale."""
    full = size == "full"
    counts, n_committed = ((10, 100, 1_000), 2_000) if full else ((3, 6), 6)
    video = scratch / "walk.mp4"
    street_video(video, 28.0, "640x360" if full else "160x90")
    grown = Grown(scratch / "many", video)
    steps: dict[int, Mapping[str, Timing]] = {}
    for n_videos in counts:
        commits = grown.to(n_videos)
        steps[n_videos] = {"commit": commits, **interleaved(grown.steps(), 3 if full else 1, warm_up=1)}
    grown.to(n_committed)
    marks = _marks(grown, n_committed + 1, ROUNDS if full else 1)
    workers, of_workers = build_workers(size, scratch / "workers")
    training, of_training = training_processes(size, scratch / "training")
    videos = [_linear(steps, full), _resume(marks, n_committed, full)]
    parts = [_of_videos(steps, video), _of_resuming(marks, n_committed), of_workers, of_training]
    return Section("Scaling", [*videos, workers, training], "\n\n".join(part.strip() for part in parts))


def _marks(grown: Grown, n_videos: int, rounds: int) -> dict[str, Marks]:
    """When a run that has one video to do sets to work: medians, in turns."""
    fresh = Grown(grown.folder.parent / "one", grown.video)
    found: dict[str, list[Marks]] = {_RESUMED: [], _FRESH: []}
    asked = ((_RESUMED, grown, n_videos), (_FRESH, fresh, 1))
    for number in range(rounds + (rounds > 1)):
        shutil.rmtree(fresh.folder, ignore_errors=True)
        for name, one, n in asked if rounds > 1 else asked[:1]:
            one.ask_for(n)
            # Killed at its first frames, so that it is the same again in the next round
            marks = watched(["build-dataset", str(one.sources), "--out", str(one.out), *FLAGS], "first")
            if number or rounds == 1:  # the first is a warm-up
                found[name].append(marks)
    return {name: _median(some) for name, some in found.items() if some}


def _median(found: Sequence[Marks]) -> Marks:
    return Marks(
        fetched_s=statistics.median(marks.fetched_s for marks in found),
        fetched_cpu_s=statistics.median(marks.fetched_cpu_s for marks in found),
        decoded_s=statistics.median(marks.decoded_s for marks in found),
    )


def _ratios(steps: Steps) -> dict[str, float]:
    """Seconds per video, the most videos over the fewest."""
    few, many = min(steps), max(steps)
    return {name: _per_video(steps, many, name) / _per_video(steps, few, name) for name in steps[few]}


def _per_video(steps: Steps, n_videos: int, name: str) -> float:
    """A commit is timed by itself, everything else over all videos."""
    return steps[n_videos][name].wall_s / (1 if name == "commit" else n_videos)


def _linear(steps: Steps, full: bool) -> Headline:
    ratios, counts = _ratios(steps), sorted(steps)
    worst = max(ratios, key=lambda name: ratios[name])
    told = f"seconds a video at {counts[-1]:,} are at most {ratios[worst]:.2f} of those at {counts[0]:,} ({worst})"
    return Headline("scaling, videos", told, "linear", ratios[worst] < LINEAR if full else None)


def _resume(marks: Mapping[str, Marks], n_committed: int, full: bool) -> Headline:
    one = marks[_RESUMED]
    return Headline(
        "scaling, resume",
        f"with {n_committed:,} committed videos the next one is at hand after {one.fetched_s:.2f} s, its first frames "
        f"are decoded after {one.decoded_s:.2f} s",
        f"starts work in under {RESUME_TARGET_S:.0f} s",
        one.decoded_s < RESUME_TARGET_S if full else None,
    )


def _of_videos(steps: Steps, video: Path) -> str:
    counts, ratios = sorted(steps), _ratios(steps)
    rows = []
    for name in steps[counts[0]]:
        timings = [f"{1e3 * _per_video(steps, n, name):.2f}" for n in counts]
        most, times = steps[counts[-1]][name], counts[-1] if name == "commit" else 1
        rows.append((name, *timings, f"{ratios[name]:.2f}", f"{times * most.wall_s:.2f}", f"{times * most.cpu_s:.2f}"))
    at_most = f"at {counts[-1]:,}"
    columns = ("step", *(f"ms a video at {n:,}" for n in counts), "last / first", f"s {at_most}", f"CPU s {at_most}")
    return f"""
**Videos.** What each step costs per video as the output directory grows (medians; four clips of 100 frames a video,
every source a local file of {video.stat().st_size / 1e6:.1f} MB, in the page cache):

{table(columns, rows)}

`commit` notes the attempt and puts one video in its place, with every fsync. `plan` takes the fingerprint of every
source, `todo` compares with what is committed, `assemble` writes all manifests anew, and `nothing to do` is a whole
build that finds everything done. What a step costs once makes a ratio smaller than 1; a preview has at most 600
pictures.
"""


def _of_resuming(marks: Mapping[str, Marks], n_committed: int) -> str:
    labels = {_RESUMED: f"{n_committed:,} committed, 1 new", _FRESH: "none committed, 1 new"}
    rows = [
        (labels[name], f"{one.fetched_s:.2f}", f"{one.fetched_cpu_s:.2f}", f"{one.decoded_s:.2f}")
        for name, one in marks.items()
    ]
    return f"""
**Resume.** `cgtool build-dataset` from the start of its process to its first frames, where it is killed; in turns with
the same video in an empty output directory (medians):

{table(("videos", "first video at hand, s", "CPU s until then", "first frames decoded, s"), rows)}

Between the two columns a worker process starts, imports torch and opens its models: that does not depend on how many
videos are committed.
"""
