"""Where commands write pages and figures: refused before any work where that would fail, or replace something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_KEPT = ("manifests", "parts", "splits", "clips", ".cgtool")
"""Folders of an output directory that hold the data set."""


def check_page(html: Path, inputs: Sequence[Path]) -> None:
    """Refuse, before anything is measured, a page that cannot be written or would replace something else."""
    from cityguessr_data.core.errors import InputError

    hint = "Name another file for the page"
    with writing("--html", html):
        if html.is_dir():
            raise InputError(f"--html {html} is a folder", "Name a file, such as page.html")
        for path in inputs:
            if html.resolve() == path.resolve() or (html.exists() and path.exists() and html.samefile(path)):
                raise InputError(f"--html {html} is {path}, which is to be read", hint)
        _check_place("--html", html, inputs)
        if html.exists():
            if not html.is_file():
                raise InputError(f"--html {html} is no regular file", hint)
            with html.open("rb") as f:
                begins = f.read(15)
            if begins.lower() != b"<!doctype html>"[: len(begins)] or not begins:
                raise InputError(f"--html {html} is there and is no page", f"It is left as it is. {hint}")


def check_folder(figures: Path, inputs: Sequence[Path]) -> None:
    """Likewise for the folder of figures."""
    from cityguessr_data.core.errors import InputError

    with writing("--figures", figures):
        if figures.exists() and not figures.is_dir():
            raise InputError(f"--figures {figures} is a file", "Name a folder")
        _check_place("--figures", figures, inputs, apart=True)


def check_pack(to: Path, out: Path) -> None:
    """Likewise for the folder of a pack, whose arrays are pictures."""
    with writing("--to", to):
        _check_place("--to", to, [out], apart=True)


def _check_place(option: str, target: Path, inputs: Sequence[Path], *, apart: bool = False) -> None:
    """Refuse a place inside a data set, below a file, or in a folder that may not be written.

    Args:
        apart: refuse every place in it: pictures there are taken for frames that nobody has blurred.
    """
    import os

    from cityguessr_data.core.errors import InputError, MachineError

    for path in inputs:
        whole = path.resolve()
        out = whole if whole.is_dir() else whole.parent.parent
        if not whole.is_dir() and whole.parent.name not in _KEPT:
            continue
        if apart and (out / "dataset.json").is_file() and out in (target.resolve(), *target.resolve().parents):
            raise InputError(f"{option} {target} lies in the data set {out}", "Name a place outside of it")
        if target.resolve() == out / "dataset.json" or any(
            (out / name) in (target.resolve(), *target.resolve().parents) for name in _KEPT
        ):
            raise InputError(f"{option} {target} lies where {out} keeps its data", "Name a place outside of it")
    above = target if target.is_dir() else next(folder for folder in target.absolute().parents if folder.exists())
    if not above.is_dir():
        raise InputError(f"{option} {target}: {above} is a file, not a folder", "Name a place in a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise MachineError(f"{option} {target}: {above} may not be written", "Name a place that you may write to")


@contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """What the operating system refuses is no fault of cgtool."""
    from cityguessr_data.core.errors import MachineError

    try:
        yield
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise MachineError(f"{option} {path}: {why}", "Name a place that you may write to") from exc
