"""What a working copy and its remote had in common when they last met: a line a file, added as things happen.

A file that is not as noted here has changed on this side; an object that is not, on the other. A file without a note is
new on this side, and is sent: so a file that is to go is deleted before its note, and while one is being replaced its
note is only put in doubt.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...core.atomic import write_bytes


@dataclass(frozen=True)
class Known:
    """A file that both sides have."""

    token: str
    """Of the object (core/remote/objects.py); empty where it is another one now."""
    size: int
    mtime_ns: int
    """Of the local file."""

    def fits(self, path: Path) -> bool:
        """Whether the local file is as it was."""
        try:
            stat = path.stat()
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


class Journal:
    """Name -> Known. One process at a time writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Known] = {}
        self.load()

    def load(self) -> None:
        """Read it anew: another process may have written it."""
        self._known, self._n_lines, self._is_cut = {}, 0, False
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        lines = text.splitlines()
        self._is_cut = bool(text) and not text.endswith("\n")
        for line in lines:
            try:
                said = json.loads(line)
                name = said.pop("name")
                self._known.pop(name, None)
                if said:
                    self._known[name] = Known(**said)
            except (ValueError, KeyError, TypeError):  # cut off by a kill: its file is compared by its bytes
                continue
        self._n_lines = len(lines)

    def get(self, name: str) -> Known | None:
        """What is noted of a file."""
        return self._known.get(name)

    def names(self) -> list[str]:
        """Of all files noted."""
        return list(self._known)

    def note(self, name: str, token: str, stat: os.stat_result) -> None:
        """A local file, as `stat` tells of it, and the object `name` hold the same bytes."""
        self._known[name] = Known(token, stat.st_size, stat.st_mtime_ns)
        self._append({"name": name, **asdict(self._known[name])})

    def doubt(self, name: str) -> None:
        """The object is another one than was noted; the local file is still as it was, or is the new one."""
        if (known := self._known.get(name)) is not None:
            self._known[name] = replace(known, token="")
            self._append({"name": name, **asdict(self._known[name])})

    def forget(self, *names: str) -> None:
        """Nothing is known of these files any more."""
        for name in names:
            if self._known.pop(name, None) is not None:
                self._append({"name": name})

    def compact(self) -> None:
        """Write it anew where most of its lines say what no longer holds."""
        if self._n_lines > 2 * len(self._known) + 1000:
            lines = [json.dumps({"name": name, **asdict(known)}) for name, known in self._known.items()]
            write_bytes(self._path, "".join(f"{line}\n" for line in lines).encode())
            self._n_lines = len(lines)

    def _append(self, said: dict[str, object]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(("\n" if self._is_cut else "") + json.dumps(said) + "\n")
        self._is_cut = False
        self._n_lines += 1
