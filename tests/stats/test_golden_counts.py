"""The measures of a committed table of 166 class counts against the values that R gives (tests/golden/README.md)."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import LEVELS
from cityguessr_data.stats.inequality import MEASURES, lorenz

GOLDEN = Path(__file__).parents[1] / "golden"
R: dict[str, Any] = json.loads((GOLDEN / "city_counts_166.json").read_text())


def counts_of(level: str) -> list[int]:
    """Clips by class of a level, rolled up by the taxonomy."""
    parent = {place.city: getattr(place, level) for place in Taxonomy.named("cityguessr166").cities}
    counts: Counter[str] = Counter()
    with (GOLDEN / "city_counts_166.csv").open(encoding="utf-8") as f:
        for row in csv.DictReader(f):
            counts[parent[row["city"]]] += int(row["count"])
    return list(counts.values())


@pytest.mark.parametrize("level", LEVELS)
def test_as_r(level: str) -> None:
    golden = R["levels"][level]
    counts = counts_of(level)
    assert (len(counts), sum(counts)) == (golden["n_classes"], golden["n_clips"])
    for name, measure in MEASURES.items():
        assert float(measure(counts)) == pytest.approx(golden[name], rel=1e-12, abs=1e-12), name
    np.testing.assert_allclose(lorenz(counts)[:, 1], golden["lorenz"], rtol=0, atol=1e-12)


def test_levels_are_those_of_the_paper() -> None:
    assert [R["levels"][level]["n_classes"] for level in LEVELS] == [166, 157, 91, 6]
    assert all(R["levels"][level]["n_clips"] == 68_269 for level in LEVELS)


def test_counts_are_made_by_the_rule() -> None:
    script = GOLDEN / "city_counts_166.py"
    made = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert made.stdout == (GOLDEN / "city_counts_166.csv").read_text(encoding="utf-8")
