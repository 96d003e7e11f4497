"""The version of a data set, and OUT/CHANGELOG.md, which says what each version took out or changed.

A build makes 0.1.0. What changes a data set that others may hold already raises the minor number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

from ..core.atomic import write_bytes
from ..core.errors import InputError
from ..media.outcomes import plain
from .store import Store

FIRST = "0.1.0"
"""Of a data set that was never changed, or whose dataset.json does not say."""
CHANGELOG = "CHANGELOG.md"


def version_of(store: Store) -> str:
    """The data set's version now."""
    return str((store.dataset() or {}).get("version", FIRST))


def next_version(current: str) -> str:
    """The version after a change: 0.1.0 -> 0.2.0, 1.4.2 -> 1.5.0.

    Raises:
        InputError: `current` does not begin with numbers.
    """
    major, minor = numbers(current)[:2]
    return f"{major}.{minor + 1}.0"


def numbers(version: str) -> tuple[int, int, int]:
    """A version as numbers, to compare: 1.4.2 -> (1, 4, 2); what is missing counts as 0.

    Raises:
        InputError: it does not begin with numbers.
    """
    match = re.match(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", version)
    if match is None:
        raise InputError(f"the version {version!r} of dataset.json is no version", f"Write one there, such as {FIRST}")
    return int(match[1]), int(match[2] or 0), int(match[3] or 0)


def record_change(store: Store, version: str, lines: Sequence[str], on: date | None = None) -> None:
    """Set the data set's version and put an entry at the top of OUT/CHANGELOG.md; a version there is left as it is.

    Args:
        lines: what changed, one sentence each, as Markdown.
        on: the day; today in UTC where it is not given.
    Raises:
        InputError: there is no dataset.json.
        DiskFullError: no space left; calling it again goes on.
    """
    dataset = store.dataset()
    if dataset is None:
        raise InputError(f"{store.out} is not an output directory (it has no dataset.json)", "Name one")
    path = store.out / CHANGELOG
    heading = f"## {version} - "
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not any(line.startswith(heading) for line in text.splitlines()):
        day = (on or datetime.now(UTC).date()).isoformat()
        entry = "\n".join([f"{heading}{day}", "", *(f"- {line}" for line in lines), ""])
        title, _, earlier = text.partition("\n## ")
        title = title.rstrip() or f"# Changes of {dataset.get('name', store.out.name)}"
        blocks = [title, entry.rstrip(), *([f"## {earlier.rstrip()}"] if earlier else [])]
        write_bytes(path, ("\n\n".join(blocks) + "\n").encode())
    store.write_dataset({**dataset, "version": version})


def literal(text: str) -> str:
    """Words from outside for a Markdown file that others show: they stay words, and make no link, picture or tag."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\\[\]`*])", r"\\\1", text)


def in_code(name: str) -> str:
    """A name from outside as Markdown code, on one line; the table of tombstones has it as it is."""
    return f"`{plain(name).replace('`', chr(39))}`"
