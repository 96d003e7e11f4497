"""SECURITY.md names a test for each threat, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def named() -> list[tuple[str, str]]:
    """(file, test) of every `tests/...py::name` in the document."""
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)


def functions_of(file: Path) -> set[str]:
    """Names of the test functions of a file, those of classes too."""
    return {n.name for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)}


def test_every_test_that_it_names_is_there() -> None:
    missing = [f"{file}::{name}" for file, name in named() if name not in functions_of(ROOT / file)]
    assert not missing and len(named()) > 40


def test_every_threat_has_a_test() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and not re.match(r"\| (Threat|---)", line)]
    assert len(rows) > 20
    without = [row for row in rows if "::" not in row]
    assert not without, without


def test_every_test_of_this_folder_is_named() -> None:
    files = {file for file, _ in named()}
    mine = {p.relative_to(ROOT).as_posix() for p in (ROOT / "tests" / "security").glob("test_*.py")}
    assert mine - {"tests/security/test_document.py"} <= files
