"""Commands and files that the README names are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.support_build import cgtool

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {
        line.split("#")[0].strip()
        for line in README.splitlines()
        if line.startswith("    cgtool ") and "   the command" not in line
    }
)


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_exist_with_their_options(line: str) -> None:
    words = shlex.split(line)[1:]
    names = [w for w in words if re.fullmatch(r"[a-z][a-z0-9-]*", w)]
    depth = (
        3
        if names[:2] == ["bench", "speed"]
        else 2
        if names[0] in ("weights", "cache", "bench", "import", "sources")
        else 1
    )
    command = names[:depth]
    done = cgtool(*command, "--help")
    assert done.returncode == 0, done.stderr
    for option in (w for w in words if w.startswith("--")):
        assert option in done.stdout


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_linked_files_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_statistics_shown_are_what_is_printed() -> None:
    """The table in the README, line by line, from the counts it names."""
    done = cgtool("stats", ROOT / "tests" / "golden" / "city_counts_166.csv", env={"COLUMNS": "80"})
    printed = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    shown = [line.strip() for line in README.splitlines()]
    assert printed and [line for line in printed if line.strip() not in shown] == []
