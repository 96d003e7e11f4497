"""Which objects a working copy lacks, and their bytes: a state of the remote that was there at one moment.

A writer may be at work meanwhile. So what changed is listed, fetched, and listed again, until a listing says nothing
new; only then does the working copy take it over. A listing is of many requests, and what is being replaced may be
missed by all of them: a name that was there is gone only where two listings in a row lack it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import StopError
from ...core.remote.objects import Remote
from .commit import decided_units, read_marker

_ROUNDS = 20


@dataclass
class Changes:
    """What a working copy is to take over."""

    there: frozenset[str] = frozenset()
    """Every name that the remote has."""
    fetched: dict[str, str] = field(default_factory=dict)
    """Name -> token of what lies in the folder now, to be taken over."""
    decided: dict[str, str] = field(default_factory=dict)
    """Frame -> where it lies until a replacement is finished (run/remote/commit.py)."""


@dataclass(frozen=True)
class _Object:
    source: str
    token: str


def fetch_changes(
    remote: Remote,
    noted: Iterable[str],
    is_current: Callable[[str, str], bool],
    folder: Path,
    is_synced: Callable[[str], bool],
) -> Changes:
    """Bring what is not current into `folder`, under its names.

    Args:
        noted: names that were there when the working copy last looked.
        is_current: (name, token) -> whether the local file need not be fetched.
        is_synced: whether a name is one of those that a working copy holds.
    Raises:
        StopError: it changes all the time.
    """
    fetched: dict[str, str] = {}
    seen, lost = set(noted), set[str]()
    for _ in range(_ROUNDS):
        found = _listing(remote, is_synced)
        if found is None:
            continue
        listed, decided = found
        lost_before, lost = lost, seen - listed.keys()
        lacking = {}
        for name, one in listed.items():
            if fetched.get(name) == one.token:
                continue
            if is_current(name, one.token):
                fetched.pop(name, None)
            else:
                lacking[name] = one
        if not lacking and lost <= lost_before:
            fetched = {name: token for name, token in fetched.items() if name in listed}
            return Changes(frozenset(listed), fetched, decided)
        seen |= listed.keys()
        remote.get_many({one.source: folder / name for name, one in lacking.items()})
        fetched |= {name: one.token for name, one in lacking.items() if (folder / name).exists()}
    raise StopError(f"{remote.url} changes faster than it can be read", "Try again when less is written to it")


def _listing(remote: Remote, is_synced: Callable[[str], bool]) -> tuple[dict[str, _Object], dict[str, str]] | None:
    """Name -> object of all that a working copy holds, and where frames of decided replacements are.

    None where a replacement was finished meanwhile: the names were listed before or after, who knows.
    """
    work = remote.list(".cgtool")
    found = {**work, **remote.list(deep=False)}
    for folder in ("parts", "manifests", "splits"):
        found |= remote.list(folder)
    listed = {name: _Object(name, entry.token) for name, entry in found.items() if is_synced(name)}
    frames = {}
    for unit in decided_units(work):
        marker = read_marker(remote, unit)
        if marker is None:
            return None
        for name, source in marker.files.items():
            if source not in work:
                continue
            if name.startswith("clips/"):
                frames[name] = source
            else:
                listed[name] = _Object(source, work[source].token)
    return listed, frames
