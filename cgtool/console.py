"""How commands speak: messages on stderr, results on stdout, errors as one line with what to do."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
_MAX_FAULTS = 20


def stderr() -> Console:
    """The console for messages and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """The console for results."""
    from rich.console import Console

    return Console(highlight=False)


def plain(text: str) -> str:
    """`text` from outside without control characters, on one line: it cannot steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def print_json(value: Any) -> None:
    """One machine-readable object on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Make a function a command: its return value is the exit code, its errors become one line each.

    With --debug (or CGTOOL_DEBUG=1) the traceback is shown instead. A command that was asked for JSON, by an argument
    `as_json` or `json_`, prints one object on stdout here too: `exit_code`, `error`, `hint`, `faults`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from cityguessr_data.core.errors import CgtoolError, TableError

        given = signature.bind_partial(*args, **kwargs).arguments
        as_json = bool(given.get("as_json") or given.get("json_"))

        def object_of(exit_code: int, error: str, hint: str = "", faults: Sequence[tuple[int, str]] = ()) -> None:
            if as_json:
                print_json({"exit_code": exit_code, "error": error, "hint": hint, "faults": [list(f) for f in faults]})

        try:
            code = function(*args, **kwargs)
        except CgtoolError as exc:
            object_of(exc.exit_code, exc.message, exc.hint, exc.faults if isinstance(exc, TableError) else ())
            if os.environ.get("CGTOOL_DEBUG"):
                raise
            tell(exc)
            raise typer.Exit(exc.exit_code) from exc
        except KeyboardInterrupt:
            ignore_interrupts()
            object_of(130, "interrupted", "The same command goes on")
            say("interrupted")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has gone; there is nobody to tell
            raise typer.Exit(0) from None
        except Exception as exc:
            object_of(1, f"{type(exc).__name__}: {exc}", "A fault of cgtool: run with --debug and report it")
            if os.environ.get("CGTOOL_DEBUG"):
                raise
            say(f"error: {type(exc).__name__}: {plain(str(exc))}. A fault of cgtool: run with --debug and report it")
            raise typer.Exit(1) from exc
        raise typer.Exit(code or 0)

    return run


def ignore_interrupts() -> None:
    """From here on Ctrl-C and SIGTERM do nothing: what is left is to tell the end, and a second one must not cut it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(message + "\n")


def tell(error: Exception) -> None:
    """An error as a person should read it; a table's faults line by line."""
    from cityguessr_data.core.errors import TableError

    say(f"error: {plain(str(error))}")
    if isinstance(error, TableError):
        for line, fault in error.faults[:_MAX_FAULTS]:
            say(f"  line {line}: {plain(fault)}")
        if len(error.faults) > _MAX_FAULTS:
            say(f"  and {len(error.faults) - _MAX_FAULTS} more")
