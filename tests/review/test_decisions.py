"""The decisions table: appended to, never changed, and of one data set."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.schemas import DECISIONS
from cityguessr_data.review.decisions import Action, Decision, DecisionLog, new_id
from cityguessr_data.run.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset.json").write_text(json.dumps({"name": "out"}))
    return Store(tmp_path / "out")


def decision(action: Action = "accept", second: int = 0, **more: object) -> Decision:
    told = {"position": 3, "box": (0.1, 0.2, 1e4 / 3, 7.0), "undoes": "x", "value": None} | more
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    return Decision(action, "c_00000", "f", "Keeper", "tab", when, new_id(), **told)  # type: ignore[arg-type]


def test_what_is_appended_is_read_again_in_order(store: Store) -> None:
    log = DecisionLog(store)
    made = [decision(second=i, box=(0.25, 1.5, 2.0, 3.125)) for i in range(5)]
    log.append("v", made[:2])
    log.append("v", made[2:])
    assert DecisionLog(store).read("v") == made
    assert DecisionLog(store).read("w") == []


def test_boxes_come_back_as_float32(store: Store) -> None:
    log = DecisionLog(store)
    log.append("v", [decision(box=(0.1, 0.2, 0.3, 0.4))])
    assert log.read("v")[0].box == pytest.approx((0.1, 0.2, 0.3, 0.4), abs=1e-7)


def test_threads_do_not_overwrite_each_other(store: Store) -> None:
    log = DecisionLog(store)
    threads = [threading.Thread(target=lambda: [log.append("v", [decision()]) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.decision_id for one in log.read("v")}) == 40


def test_the_manifest_has_all_by_time_and_the_documented_columns(store: Store) -> None:
    log = DecisionLog(store)
    assert log.assemble() == 0
    assert not (store.out / "manifests" / "decisions.parquet").exists()
    log.append("v", [decision(second=5)])
    log.append("a", [decision(second=9), decision(second=1)])
    assert log.assemble() == 3
    table = pq.read_table(store.out / "manifests" / "decisions.parquet")
    assert [when.second for when in table["decided_at"].to_pylist()] == [1, 5, 9]
    assert table.schema.equals(DECISIONS)


def test_those_of_another_data_set_are_refused(store: Store, tmp_path: Path) -> None:
    DecisionLog(store).append("v", [decision()])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset.json").write_text(json.dumps({"name": "other"}))
    other = Store(tmp_path / "other")
    target = other.part("decisions", "v")
    target.parent.mkdir(parents=True)
    target.write_bytes(store.part("decisions", "v").read_bytes())
    for use in (lambda log: log.read("v"), lambda log: log.append("v", [decision()]), lambda log: log.assemble()):
        with pytest.raises(InputError, match="another data set"):
            use(DecisionLog(other))
    assert target.read_bytes() == store.part("decisions", "v").read_bytes()
    target.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match="damaged"):
        DecisionLog(other).read("v")
    target.rename(other.out / "decisions.parquet")
    (other.out / "manifests").mkdir()
    (other.out / "decisions.parquet").rename(other.out / "manifests" / "decisions.parquet")
    with pytest.raises(InputError, match="damaged"):
        DecisionLog(other)


def test_the_id_of_a_data_set_stays(store: Store) -> None:
    first = store.dataset_id()
    assert Store(store.out).dataset_id() == first
    assert store.dataset() == {"id": first, "name": "out"}
