"""How commands speak: messages on stderr, results on stdout, errors as one line with what to do."""

from __future__ import annotations

import functools
import inspect
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec

import typer

from .places import Told, settled, told

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

P = ParamSpec("P")
_MAX_FAULTS = 20


def stderr() -> Console:
    """The console for messages and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def stdout() -> Console:
    """The console for results."""
    from rich.console import Console
    from rich.text import Text

    class ToldConsole(Console):
        """Tells places before lines are broken."""

        def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            if isinstance(renderable, str):
                renderable = told(renderable)
            elif isinstance(renderable, Text) and told(renderable.plain) != renderable.plain:
                renderable = Text(told(renderable.plain), renderable.style, overflow=renderable.overflow)
            return super().render(renderable, options)

    console = ToldConsole(highlight=False, file=Told(sys.stdout))  # type: ignore[arg-type]
    console.on_broken_pipe = _reader_gone  # type: ignore[method-assign]
    return console


def _reader_gone() -> None:
    raise BrokenPipeError  # rich would end the program with exit code 1


def plain(text: str) -> str:
    """`text` from outside without control characters, on one line: it cannot steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def print_json(value: Any) -> None:
    """One machine-readable object on stdout; of ASCII letters alone where stdout is not UTF-8."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = told(json.dumps(value, indent=2, ensure_ascii=not utf8, allow_nan=False))
    with printing():
        sys.stdout.write(text + "\n")


@contextmanager
def printing() -> Iterator[None]:
    """Print all that is written to stdout inside, or end with what is wrong with stdout.

    Raises:
        MachineError: stdout cannot be written, such as a file on a full disk.
    """
    from cityguessr_data.core.errors import MachineError

    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise  # whoever read it has gone, which is no error
    except OSError as exc:
        _abandon_stdout()
        why = exc.strerror or str(exc)
        raise MachineError(f"the output cannot be written: {why}", "Send it to a place that can be written") from exc


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Make a function a command: its return value is the exit code, its errors become one line each.

    With --debug (or CGTOOL_DEBUG=1) the traceback is shown instead. A command that was asked for JSON, by an argument
    `as_json` or `json_`, prints one object on stdout here too: `exit_code`, `error`, `hint`, `faults`.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        from cityguessr_data.core.errors import CgtoolError, MachineError, TableError

        given = signature.bind_partial(*args, **kwargs).arguments
        as_json = bool(given.get("as_json") or given.get("json_"))

        def object_of(exit_code: int, error: str, hint: str = "", faults: Sequence[tuple[int, str]] = ()) -> None:
            if not as_json:
                return
            try:
                print_json({"exit_code": exit_code, "error": error, "hint": hint, "faults": [list(f) for f in faults]})
            except (MachineError, BrokenPipeError):
                _abandon_stdout()  # the same is told on stderr

        try:
            with _system_told():
                code = function(**settled(function.__module__, given))  # type: ignore[call-arg]
            with printing():
                pass  # what is left in the buffer
        except CgtoolError as exc:
            object_of(exc.exit_code, exc.message, exc.hint, exc.faults if isinstance(exc, TableError) else ())
            tell_in_full(exc) if os.environ.get("CGTOOL_DEBUG") else tell(exc)
            raise typer.Exit(exc.exit_code) from exc
        except KeyboardInterrupt as exc:
            ignore_interrupts()
            hint = str(exc)  # a command that goes on in another way says how
            object_of(130, "interrupted", hint or "The same command goes on")
            say(f"interrupted. {hint}" if hint else "interrupted")
            raise typer.Exit(130) from None
        except BrokenPipeError:
            _abandon_stdout()  # whoever read our output has gone; there is nobody to tell
            raise typer.Exit(0) from None
        except Exception as exc:
            hint = f"A fault of cgtool: run `{_debug_line(function)}` and report it"
            object_of(1, f"{type(exc).__name__}: {exc}", hint)
            if os.environ.get("CGTOOL_DEBUG"):
                tell_in_full(exc)
            else:
                say(f"error: {type(exc).__name__}: {plain(str(exc))}. {hint}")
            raise typer.Exit(1) from exc
        raise typer.Exit(code or 0)

    return run


@contextmanager
def _system_told() -> Iterator[None]:
    """A file that the system refuses ends a command in one line, not as a fault of cgtool."""
    from cityguessr_data.core.errors import system_refusal

    try:
        yield
    except OSError as exc:
        refusal = system_refusal(exc)
        if refusal is None:
            raise
        raise refusal from exc


def _debug_line(function: Callable[..., Any]) -> str:
    """How to type a command with --debug, which stands before its name."""
    name = function.__name__.strip("_").replace("_", "-")
    group = function.__module__.rpartition(".")[2].partition("_")[0]
    if group not in ("bench", "cache", "import", "sources", "weights"):
        return f"cgtool --debug {name} ..."
    inner = " speed" if "bench_speed" in function.__module__ else ""
    return f"cgtool --debug {group}{inner} {name} ..."


def _abandon_stdout() -> None:
    """Send what is still to be written to stdout nowhere, or Python would complain about it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def ignore_interrupts() -> None:
    """From here on Ctrl-C and SIGTERM do nothing: what is left is to tell the end, and a second one must not cut it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(told(message) + "\n")


def tell_in_full(error: Exception) -> None:
    """An error with its traceback, which may repeat text from outside: without control characters."""
    for line in "".join(traceback.format_exception(error)).splitlines():
        say(line[: len(line) - len(line.lstrip(" "))] + plain(line))


def tell(error: Exception) -> None:
    """An error as a person should read it; a table's faults line by line."""
    from cityguessr_data.core.errors import TableError

    say(f"error: {plain(str(error))}")
    if isinstance(error, TableError):
        for line, fault in error.faults[:_MAX_FAULTS]:
            say(f"  line {line}: {plain(fault)}")
        if len(error.faults) > _MAX_FAULTS:
            say(f"  and {len(error.faults) - _MAX_FAULTS} more")
