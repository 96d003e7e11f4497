"""The `cgtool` program: mounts one file per command group. Heavy imports happen inside the commands."""

from __future__ import annotations

import dataclasses
import io
import os
import signal
import sys
from typing import Annotated, Any

import typer

from .commands import (
    anonymise,
    bench,
    build,
    cache,
    demo,
    doctor,
    export,
    import_,
    label_scenes,
    refresh,
    remove,
    review,
    sources,
    split,
    stats,
    status,
    verify,
    weights,
)
from .console import ignore_interrupts

app = typer.Typer(
    name="cgtool",
    help="Build, measure and benchmark city-level video data sets, with every face blurred.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"cgtool {version('cgtool')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if debug:
        os.environ["CGTOOL_DEBUG"] = "1"


app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.command("build-dataset")(build.build_dataset)
app.command("anonymise")(anonymise.anonymise)
app.command("label-scenes")(label_scenes.label_scenes)
app.command("status")(status.status)
app.command("verify")(verify.verify)
app.command("review")(review.review)
app.command("remove")(remove.remove)
app.command("refresh")(refresh.refresh)
app.command("stats")(stats.stats)
app.command("split")(split.split)
app.command("export")(export.export)
app.add_typer(bench.app, name="bench")
app.add_typer(cache.app, name="cache")
app.add_typer(import_.app, name="import")
app.add_typer(sources.app, name="sources")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Entry point. SIGTERM ends a run as Ctrl-C does: cleanly, and resumable.

    A letter that the terminal's encoding lacks is shown as `?`.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

    def interrupt(_signal: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see __main__.py
            signal.signal(signal.SIGINT, signal.default_int_handler)
        app()
    except KeyboardInterrupt:  # outside of Typer's own care: no command has begun, or it has ended
        ignore_interrupts()
        sys.exit(130)
    finally:
        ignore_interrupts()  # the end is told: what Python still does to end is not to be interrupted
        # Python's `-m` keeps in mind that Ctrl-C came while a text was executed, as it is to make a dataclass in an
        # import, and would kill itself with SIGINT in place of our exit code. Executing the next text makes it forget.
        dataclasses.make_dataclass("Forget", ())
