"""Runs the real command in its own process, as a user would, with short clips so that a build takes seconds."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support_fork import can_fork, run_forked

SHORT = ("--clip-frames", "20-25", "--samples", "5", "--detector", "mobilenet0.25", "--scene-model", "off")
CGTOOL = (sys.executable, "-m", "cgtool")


def cgtool(
    *args: object, env: dict[str, str] | None = None, timeout_s: float = 240, fresh: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own and wait for it.

    Args:
        fresh: start a new interpreter, with hashes seeded anew; else one is forked that has made the imports.
    """
    words, variables = [str(word) for word in args], os.environ | (env or {})
    if not fresh and can_fork(variables):
        return run_forked(words, variables, timeout_s)
    return subprocess.run(
        [*CGTOOL, *words], capture_output=True, text=True, timeout=timeout_s, check=False, env=variables
    )


def hear_ctrl_c() -> None:
    """For preexec_fn: a shell starts background jobs deaf to SIGINT, and a test run may be one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_sources(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A sources table with the columns that the rows have."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON object that --json printed."""
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def tree_digest(out: Path) -> dict[str, str]:
    """Path -> SHA-256 of every saved frame, from the disk and not from the tables."""
    import hashlib

    clips = out / "clips"
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(clips.rglob("*.jpg"))}
