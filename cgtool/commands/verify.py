"""`cgtool verify`."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Self

import typer

from ..console import command, ignore_interrupts, say

REPAIR = "Repair"
_EVERY_S = 0.2


@command
def verify(
    out: Annotated[Path, typer.Argument(help="Output directory.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is found, by doing it again; nothing is lost that cannot be.")
    ] = False,
    sources: Annotated[
        str,
        typer.Option(
            metavar="all|sample|none", help="Frames to compare with the kept sources: all, some of each video, or none."
        ),
    ] = "sample",
    detect: Annotated[
        int, typer.Option(metavar="N", min=0, help="Look for faces in N blurred frames once more: as information only.")
    ] = 0,
    taxonomy: Annotated[
        Path | None, typer.Option(help="Taxonomy that the data set was built with. \\[cityguessr166]")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of downloads. \\[that of the last build]", rich_help_panel=REPAIR)
    ] = None,
    cookies: Annotated[Path | None, typer.Option(help="Cookie file (Netscape format).", rich_help_panel=REPAIR)] = None,
    proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="Proxy for all requests.", rich_help_panel=REPAIR)
    ] = None,
    allow_private_hosts: Annotated[
        bool,
        typer.Option(
            "--allow-private-hosts", help="Allow links to this machine and private networks.", rich_help_panel=REPAIR
        ),
    ] = False,
    scene_model: Annotated[
        Path | None,
        typer.Option(metavar="FILE.onnx", help="The scene model, where it is a file.", rich_help_panel=REPAIR),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that do videos again. \\[one a core]", rich_help_panel=REPAIR)
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object, with all faults.")] = False,
) -> int:
    """Check that a data set is whole: frames, tables, blur, labels, splits, and that nothing else is there.

    Without --repair it changes nothing and may run beside a build. Exit code 0: clean; 1: faults are there; 2: no data
    set.
    """
    from cityguessr_data.core.errors import CgtoolError
    from cityguessr_data.verify.redo import Means
    from cityguessr_data.verify.repair import repair as mend
    from cityguessr_data.verify.verify import VerifyConfig
    from cityguessr_data.verify.verify import verify as look

    from ..progress import BuildProgress
    from ..verify_summary import show_detected, show_repaired, show_verify

    config = VerifyConfig(out, sources, taxonomy=taxonomy)  # type: ignore[arg-type]
    with _Progress() as progress:
        if repair:
            means = Means(cache, cookies, proxy, allow_private_hosts, scene_model, workers)
            repaired = mend(config, means, BuildProgress(), progress, lambda step: say(f"repair: {step}"))
            result = repaired.after
        else:
            repaired, result = None, look(config, progress)
    if not json_:  # first: looking for faces may fail, and this is known by then
        show_verify(result, repaired, None, as_json=False)
        if repaired is not None:
            show_repaired(repaired)
    found, why_none, code = None, "", 0 if result.clean and not (repaired is not None and repaired.failed) else 1
    try:
        if detect:
            from cityguessr_data.verify.detect import detect_again

            found = detect_again(out, detect)
    except CgtoolError as exc:
        if not json_:
            raise
        why_none, code = str(exc), exc.exit_code  # in the one object that is printed
    if json_:
        show_verify(result, repaired, found, as_json=True, why_none=why_none)
    ignore_interrupts()
    if not json_ and found is not None:
        show_detected(found)
    return code


class _Progress:
    """One line that counts, on a terminal; elsewhere nothing, since the end tells all."""

    def __init__(self) -> None:
        self._units = self._done = self._frames = 0
        self._told_s = 0.0
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._clear()

    def planned(self, units: int) -> None:
        """See Watcher."""
        self._clear()
        self._units, self._done, self._frames = units, 0, 0

    def looked(self, frames: int) -> None:
        """See Watcher."""
        self._done += 1
        self._frames += frames
        if self._done == self._units:
            self._clear()
        elif self._live and time.monotonic() - self._told_s > _EVERY_S:
            self._told_s = time.monotonic()
            sys.stderr.write(f"\rlooked at {self._done:,} of {self._units:,} videos, {self._frames:,} frames")
            sys.stderr.flush()

    def _clear(self) -> None:
        if self._live and self._done:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
