"""manifests/SCHEMA.md says what the code writes: columns, order, types and what is never null."""

from __future__ import annotations

import re

import pytest

from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.schemas import AFTERWARDS, SCHEMA_VERSION, TABLES


def documented() -> dict[str, list[tuple[str, str, bool]]]:
    tables: dict[str, list[tuple[str, str, bool]]] = {}
    name = ""
    for line in manifest_path("SCHEMA.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            name = line[3:].partition(":")[0]
            tables[name] = []
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:4]]
        if name and len(cells) == 3 and cells[0] not in ("column", "---"):
            tables[name].append((cells[0].strip("*"), cells[1], not cells[0].startswith("**")))
    return tables


@pytest.mark.parametrize("table", [*TABLES, *AFTERWARDS])
def test_the_document_and_the_code_agree(table: str) -> None:
    written = [
        (
            f.name,
            str(f.type).replace("list<item: float>", "list<float>").replace("list<element: float>", "list<float>"),
            f.nullable,
        )
        for f in (TABLES | AFTERWARDS)[table]
    ]
    assert documented()[table] == written


def test_the_version_is_documented() -> None:
    assert f"Schema version {SCHEMA_VERSION}," in manifest_path("SCHEMA.md").read_text(encoding="utf-8")
