"""predictions.parquet: round trips, other people's types, and a one-line message for every way to be broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_bench.classes import Classes
from cityguessr_bench.predictions import PREDICTIONS_SCHEMA, Predictions
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS

CLASSES = Classes(
    names={
        "city": ("Austin", "Dallas", "Tokyo", "Osaka"),
        "state": ("Texas", "Tokyo", "Osaka"),
        "country": ("United_States", "Japan"),
        "continent": ("North_America", "Asia"),
    },
    parents={
        "city": np.array([0, 0, 1, 2], np.int32),
        "state": np.array([0, 1, 1], np.int32),
        "country": np.array([0, 1], np.int32),
    },
    coordinates=np.full((4, 2), np.nan),
)


def example(n: int = 5, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    paths = CLASSES.paths[rng.integers(0, 4, n)]
    return Predictions(
        clip_ids=tuple(f"clip{i}" for i in range(n)),
        video_ids=tuple(f"video{i // 2}" if i else None for i in range(n)),
        channels=(None,) * n,
        truth={level: paths[:, i] for i, level in enumerate(LEVELS)},
        log_probs={
            level: np.log(rng.dirichlet(np.ones(CLASSES.sizes[level]), n)).astype(np.float32) for level in LEVELS
        },
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "predictions.parquet"
    example().write(path, CLASSES)
    return path


def same(a: Predictions, b: Predictions) -> bool:
    return (
        (a.clip_ids, a.video_ids, a.channels) == (b.clip_ids, b.video_ids, b.channels)
        and all((a.truth[level] == b.truth[level]).all() for level in LEVELS)
        and all((a.log_probs[level] == b.log_probs[level]).all() for level in LEVELS)
    )


def test_round_trip_to_the_bit(written: Path) -> None:
    found = Predictions.read(written, CLASSES)
    assert same(found, example())
    assert {found.log_probs[level].dtype for level in LEVELS} == {np.dtype(np.float32)}
    assert {found.truth[level].dtype for level in LEVELS} == {np.dtype(np.int32)}
    assert len(found) == 5


def test_others_can_read_it(written: Path) -> None:
    import duckdb
    import pandas as pd

    assert pq.read_schema(written).equals(PREDICTIONS_SCHEMA)
    frame = pd.read_parquet(written)
    assert np.stack(frame["log_probs_city"]) == pytest.approx(example().log_probs["city"])
    longest = f"select sum(len(log_probs_city)) from '{written}' where true_city >= 0"
    assert duckdb.sql(longest).fetchall() == [(20,)]


def replaced(table: pa.Table, **columns: Any) -> pa.Table:
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    return table


@pytest.mark.parametrize(
    "change",
    [
        lambda t: replaced(t, log_probs_city=t["log_probs_city"].cast(pa.list_(pa.float64()))),
        lambda t: replaced(t, log_probs_city=t["log_probs_city"].cast(pa.large_list(pa.float32()))),
        lambda t: replaced(t, log_probs_city=t["log_probs_city"].cast(pa.list_(pa.float32(), 4))),
        lambda t: replaced(t, true_city=t["true_city"].cast(pa.int64())),
        lambda t: replaced(t, clip_id=t["clip_id"].cast(pa.large_string()), channel=pa.nulls(5)),
        lambda t: replaced(t, clip_id=t["clip_id"].dictionary_encode()),
        lambda t: t.append_column("model", pa.array(["ours"] * 5)),
        lambda t: t.select(list(reversed(t.column_names))),
        lambda t: pa.concat_tables([t.slice(0, 2), t.slice(2)]),
    ],
)
def test_anybodys_types_are_taken(written: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(written)), written, row_group_size=2)
    assert same(Predictions.read(written, CLASSES), example())


def test_sources_may_be_unknown(written: Path) -> None:
    pq.write_table(pq.read_table(written).drop_columns(["video_id", "channel"]), written)
    found = Predictions.read(written, CLASSES)
    assert found.video_ids == found.channels == (None,) * 5


def lists(rows: Any) -> pa.Array:
    return pa.array(rows, pa.list_(pa.float32()))


def with_row(level: str, row: list[float | None] | None) -> Callable[[pa.Table], pa.Table]:
    """The list of clip3 at a level replaced."""

    def change(table: pa.Table) -> pa.Table:
        rows = table[f"log_probs_{level}"].to_pylist()
        return replaced(table, **{f"log_probs_{level}": lists([*rows[:3], row, rows[4]])})

    return change


def labels(level: str, value: int | None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        rows = table[f"true_{level}"].to_pylist()
        return replaced(table, **{f"true_{level}": pa.array([*rows[:3], value, rows[4]], pa.int32())})

    return change


QUARTER = float(np.log(0.25))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.select([c for c in t.column_names if "city" in c or c == "clip_id"]),
         "has no column true_state, true_country, true_continent, log_probs_state, log_probs_country, log_probs_cont"),
        (lambda t: t.slice(0, 0), "there are no clips"),
        (lambda t: replaced(t, clip_id=pa.array(["a", "b", "c", "b", "e"])), "clip b stands there twice"),
        (lambda t: replaced(t, clip_id=pa.array(["a", "b", "c", None, "e"])), "column clip_id is null in 1 of 5 rows"),
        (lambda t: replaced(t, true_city=pa.array(["x"] * 5)), "column true_city should be int32, but is string"),
        (lambda t: replaced(t, log_probs_city=pa.array([0.5] * 5)),
         r"column log_probs_city should be list<\w+: float>, but is double"),
        (labels("city", 4), "clip clip3: true city is 4, but labels are 0 to 3"),
        (labels("continent", -1), "clip clip3: true continent is -1, but labels are 0 to 1"),
        (labels("city", None), "column true_city is null in 1 of 5 rows"),
        (with_row("city", [QUARTER] * 3), "clip clip3: 3 log-probabilities of level city, but it has 4 classes"),
        (with_row("city", []), "clip clip3: 0 log-probabilities of level city"),
        (with_row("city", None), "column log_probs_city is null in 1 of 5 rows"),
        (with_row("city", [QUARTER, QUARTER, None, QUARTER]), "column log_probs_city holds 1 nulls"),
        (with_row("city", [0.25] * 4), "clip clip3: the probabilities of level city sum to 5.136, not to 1 .1 clips"),
        (with_row("state", [900, 0, 0]), "clip clip3: the probabilities of level state sum to 1.014e.304, not to 1"),
        (with_row("country", [0, -np.inf]), "clip clip3: a log-probability of level country is NaN or infinity"),
        (with_row("country", [0, np.nan]), "clip clip3: a log-probability of level country is NaN or infinity"),
    ],
)  # fmt: skip
def test_what_is_broken_is_told_in_one_line(written: Path, change: Callable[[pa.Table], pa.Table], says: str) -> None:
    pq.write_table(change(pq.read_table(written)), written)
    with pytest.raises(InputError, match=says) as caught:
        Predictions.read(written, CLASSES)
    assert "\n" not in str(caught.value)
    assert str(written) in caught.value.message
    assert caught.value.hint


def test_true_labels_must_be_one_path(written: Path) -> None:
    table = pq.read_table(written)
    city = pa.array([0, 0, 0, 2, 0], pa.int32())
    state = pa.array([0, 0, 0, 2, 0], pa.int32())
    zero = pa.array([0, 0, 0, 1, 0], pa.int32())
    pq.write_table(replaced(table, true_city=city, true_state=state, true_country=zero, true_continent=zero), written)
    with pytest.raises(InputError, match=r"clip clip3: true state is 2, but its city 2 \(Tokyo\) lies in 1"):
        Predictions.read(written, CLASSES)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        Predictions.read(tmp_path / "no.parquet", CLASSES)
    with pytest.raises(InputError, match="there is no file"):
        Predictions.read(tmp_path, CLASSES)
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(InputError, match=r"cannot read .*x\.parquet"):
        Predictions.read(tmp_path / "x.parquet", CLASSES)


def test_a_broken_set_is_never_written(written: Path) -> None:
    before = written.read_bytes()
    broken = example()
    broken.log_probs["city"][1, 2] = np.nan
    with pytest.raises(InputError, match="clip1: a log-probability of level city is NaN"):
        broken.write(written, CLASSES)
    short = Predictions(("a",), (), (None,), broken.truth, broken.log_probs)
    with pytest.raises(InputError, match="expected a video id and a channel"):
        short.write(written, CLASSES)
    long = Predictions(("a",), (None,), (None,), broken.truth, broken.log_probs)
    with pytest.raises(InputError, match=r"expected 1 true labels of level city .*got \(5,\) and \(5, 4\)"):
        long.write(written, CLASSES)
    assert written.read_bytes() == before
    assert [p.name for p in written.parent.iterdir()] == [written.name]


def test_an_interrupted_write_leaves_the_old_file(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = written.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cityguessr_data.core.atomic.os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        example(3).write(written, CLASSES)
    assert written.read_bytes() == before
    assert [p.name for p in written.parent.iterdir()] == [written.name]
