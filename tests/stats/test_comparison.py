"""Table 1 of the paper for data sets at hand, and differences; JSON keeps the shape that scripts rely on."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.stats.as_json import to_json
from cityguessr_data.stats.comparison import compare
from cityguessr_data.stats.report import measure
from tests.support_out import random_rows, write_out


def _counts(folder: Path, name: str, rows: dict[str, int]) -> Path:
    path = folder / f"{name}.csv"
    path.write_text("city,count\n" + "".join(f"{city},{n}\n" for city, n in rows.items()), encoding="utf-8")
    return path


def test_table_1(tmp_path: Path) -> None:
    rows = random_rows(seed=4)
    rows["clips"][0] |= {"n_sampled": 15, "fps": None}
    first = measure(write_out(tmp_path / "set", rows))
    other = measure(_counts(tmp_path, "counts", {"Paris": 1000, "Lyon": 10, "Atlantis": 5}))
    table = dict(compare(first, (other,)).rows)
    n = len(rows["clips"])
    assert table["Number of samples"] == (str(n), "1,015")
    assert table["Number of cities"] == (str(len({r["city"] for r in rows["clips"]})), "3")
    assert table["Number of countries"] == (str(len({r["country"] for r in rows["clips"]})), "not known")
    assert table["Consistent sequence length"] == ("No", "not known")
    assert table["Video sequence"] == ("No", "not known")
    assert table["Uniformly organised"] == ("Yes", "not known")
    assert table["Samples with 15 frames or more"] == ("1", "not known")
    wide = sum(r["width"] == 1280 for r in rows["clips"])
    assert table["Frame resolution"][0] in {f"1280x720 ({wide / n:.0%})", f"854x480 ({1 - wide / n:.0%})"}


def test_differences_are_other_minus_first(tmp_path: Path) -> None:
    even = measure(_counts(tmp_path, "even", {f"city {i}": 10 for i in range(30)}))
    steep = measure(_counts(tmp_path, "steep", {f"city {i}": 2**i for i in range(30)}))
    found = {(d.level, d.measure): d for d in compare(even, (steep,)).differences}
    assert set(found) == {("city", m) for m in ("gini", "hoover", "theil", "effective_classes", "top10_share")}
    gini = found["city", "gini"].change
    assert steep.levels["city"] is not None and gini.value == pytest.approx(steep.levels["city"].gini.value)
    assert gini.low is not None and gini.low > 0
    assert found["city", "effective_classes"].change.value < 0


def test_names_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    a = measure(_counts(tmp_path, "same", {"Paris": 1}))
    b = measure(_counts(tmp_path / "more", "same", {"Paris": 2}))
    assert compare(a, (b, b)).names == ("same", "same (2)", "same (3)")


def test_json_contract(tmp_path: Path) -> None:
    stats = measure(write_out(tmp_path / "set", random_rows(seed=5)))
    value = json.loads(json.dumps(to_json(stats), allow_nan=False))
    for level, found in stats.levels.items():
        assert found is not None
        entry = value["levels"][level]
        assert entry["gini"] == {"value": found.gini.value, "low": found.gini.low, "high": found.gini.high}
        assert set(entry["hoover"]) == {"value", "low", "high"}
        assert entry["n_classes"] == len(entry["classes"]) == found.n_classes
        assert entry["n_clips"] == value["n_clips"] == stats.size.n_clips
    assert value["n_classes"] == value["levels"]["city"]["n_classes"]
    assert sum(value["scenes"]["overall"]) == pytest.approx(1)


def test_json_of_a_blank_level_keeps_its_shape(tmp_path: Path) -> None:
    stats = measure(_counts(tmp_path, "c", {"Atlantis": 3, "Paris": 4}))
    value = to_json(stats, compare(stats, (stats,)), (stats,))
    assert value["levels"]["state"]["gini"] == {"value": None, "low": None, "high": None}
    assert value["levels"]["state"]["n_classes"] is None and "Atlantis" in value["blank"]["state"]
    assert value["compared"][0]["levels"]["city"]["gini"] == value["levels"]["city"]["gini"]
    assert value["comparison"]["names"] == ["c", "c (2)"]
    assert all(math.isfinite(x) for x in _floats(value))


def _floats(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [x for v in value.values() for x in _floats(v)]
    if isinstance(value, list):
        return [x for v in value for x in _floats(v)]
    return [value] if isinstance(value, float) else []
