"""What `cgtool bench speed build` prints: the bare stages, the build, and what it comes to; 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.words import n_of

from .console import stdout
from .tables import fact, figures, safe

if TYPE_CHECKING:
    from cityguessr_data.speed.build import BuildSpeed
    from cityguessr_data.speed.stages import Candidate

_FACT = 9


def show(found: BuildSpeed, footage: str) -> None:
    """Print a measurement."""
    console = stdout()
    limits = found.limits
    n = limits.n_sampled
    console.print(fact("footage", f"{footage}, {limits.size[0]}x{limits.size[1]}", _FACT))
    console.print(fact("clip", f"{limits.n_frames} frames decoded, {n} kept; times are a clip", _FACT))
    console.print()
    table = figures()
    table.add_column("at least")
    table.add_column("by")
    table.add_column("wall s", justify="right")
    table.add_column("CPU s", justify="right")
    for stage in limits.stages:
        table.add_row(stage.stage, safe(stage.by), f"{stage.wall_s:.2f}", f"{stage.cpu_s:.2f}")
    table.add_row("build", n_of(found.workers, "worker"), f"{found.clip_wall_s:.2f}", f"{found.clip_cpu_s:.2f}")
    console.print(table)
    console.print()
    for name, value in _facts(found):
        console.print(fact(name, value, _FACT))


def as_object(found: BuildSpeed, footage: str) -> dict[str, Any]:
    """All of it, in plain numbers."""
    limits = found.limits
    return {
        "footage": footage,
        "size": list(limits.size),
        "clip": {"frames": limits.n_frames, "sampled": limits.n_sampled},
        "workers": found.workers,
        "cores": found.cores,
        "rounds": len(found.small.costs),
        "stages": [
            {"stage": s.stage, "by": s.by, "wall_s": s.wall_s, "cpu_s": s.cpu_s, "on_gpu": s.on_gpu}
            for s in limits.stages
        ],
        "detectors": [
            {
                "library": one.runtime,
                "wall_s_per_frame": one.wall_s_per_frame,
                "cpu_s_per_frame": one.cpu_s_per_frame,
                "faces": one.difference.n_faces,
                "lost": one.difference.lost,
                "new": one.difference.new,
            }
            for one in limits.candidates
        ],
        "limit_wall_s": limits.wall_s(found.cores),
        "clip_wall_s": found.clip_wall_s,
        "clip_cpu_s": found.clip_cpu_s,
        "start_s": found.start_s,
        "limit_over_actual": found.limit_over_actual,
        "cpu_share": found.cpu_share,
        "busy_share": found.busy_share,
        "frames_per_s": found.limits.n_sampled / found.clip_wall_s,
        "stage_seconds": found.stage_seconds,
    }


def _facts(found: BuildSpeed) -> Iterator[tuple[str, str]]:
    limit = found.limits.wall_s(found.cores)
    yield (
        "limit",
        f"{limit:.2f} s a clip if {n_of(found.cores, 'core')} did the bare stages and nothing else; "
        f"the build took {found.clip_wall_s:.2f} s: {found.limit_over_actual:.2f} of what can be",
    )
    yield (
        "because",
        f"of the build's CPU seconds {found.cpu_share:.0%} are the bare stages'; "
        f"the cores were {min(1.0, found.busy_share):.0%} busy",
    )
    saved = found.limits.n_sampled / found.clip_wall_s
    yield "speed", f"{saved:.1f} frames saved a second; starting takes {found.start_s:.1f} s more, once"
    yield "faces", "; ".join(_detector(one) for one in found.limits.candidates)


def _detector(one: Candidate) -> str:
    told = f"{one.runtime} {1000 * one.cpu_s_per_frame:.1f} CPU ms a frame"
    apart = one.difference
    if one.finds_the_same:
        return f"{told}, the same {apart.n_faces}"
    return f"{told}, {apart.lost} of {apart.n_faces} lost, {apart.new} new"
