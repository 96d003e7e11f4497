"""Batches are a function of seed and step alone: not of workers, processes, or where a run was taken up."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cityguessr_bench.data import read_split
from cityguessr_bench.loader import (
    Batch,
    Order,
    ScoringBatches,
    TrainingSteps,
    batches,
    frame_choice,
    scene_targets,
    share,
    shuffled_labels,
)
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.pack.sampling import Pick
from cityguessr_data.core.errors import InputError
from tests.support_runs import make_small_pack, small_config

EIGHT = small_config(data={"stored_frames": 8})


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """Eight stored frames, of which a model takes four; a third of the clips has no scene label."""
    return Pack.open(make_small_pack(tmp_path_factory.mktemp("data"), EIGHT, scenes=(True, True, False)))


def _steps(pack: Pack, rank: int = 0, n_processes: int = 1, seed: int = 3, batch: int = 7) -> TrainingSteps:
    order = Order(read_split(pack, "v").parts["train"], batch, seed)
    return TrainingSteps(
        pack,
        order,
        EIGHT.data,
        targets=scene_targets(pack, 16, "soft"),
        kind="light",
        rank=rank,
        n_processes=n_processes,
    )


def _equal(a: Batch, b: Batch) -> bool:
    return all(torch.equal(torch.nan_to_num(x, 9.0), torch.nan_to_num(y, 9.0)) for x, y in zip(a, b, strict=True))


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_every_epoch_has_every_clip_once(n: int, batch: int, seed: int) -> None:
    order = Order(np.arange(n, dtype=np.int64) * 3, batch, seed)
    epochs = []
    for epoch in range(2):
        steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
        found = [order.of_step(step) for step in steps]
        assert [len(places) for places in found[:-1]] == [batch] * (len(found) - 1) and 1 <= len(found[-1]) <= batch
        epochs.append(np.concatenate(found).tolist())
        assert sorted(epochs[-1]) == list(range(0, 3 * n, 3))
    if n > 20:
        assert epochs[0] != epochs[1] != sorted(epochs[1])


@given(st.integers(1, 40), st.integers(1, 9))
def test_processes_share_a_batch_evenly(n: int, n_processes: int) -> None:
    places = np.arange(n, dtype=np.int64)
    slices = [share(places, rank, n_processes) for rank in range(n_processes)]
    assert np.concatenate(slices).tolist() == places.tolist()
    sizes = [len(one) for one in slices]
    assert max(sizes) - min(sizes) <= 1


def test_workers_and_the_first_step_change_nothing(pack: Pack) -> None:
    steps = _steps(pack)
    here = list(batches(steps, range(6)))
    for other in (list(batches(steps, range(6), workers=2)), [*here[:4], *batches(steps, range(4, 6), workers=1)]):
        assert len(other) == 6
        assert all(_equal(a, b) for a, b in zip(here, other, strict=True))
    assert not _equal(here[0], next(iter(batches(_steps(pack, seed=4), range(1)))))


class Numbered:
    """Batches that say which they are; the ninth cannot be read."""

    def __init__(self) -> None:
        self.read_by: dict[int, str] = {}
        self.most = 0

    def read(self, key: int, *, pin: bool = False) -> Batch:
        self.read_by[key] = threading.current_thread().name
        self.most = max(self.most, threading.active_count())
        if key == 8:
            raise InputError("the shard 8 is damaged", "Delete it")
        return Batch(torch.tensor([key]), *(torch.zeros(0) for _ in range(5)))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_read_ahead_in_order_and_end(workers: int) -> None:
    before, source = threading.active_count(), Numbered()
    found = batches(source, count(), workers)
    seen = []
    with pytest.raises(InputError, match=r"^the shard 8 is damaged\. Delete it$"):
        for batch in found:
            seen.append(int(batch.places))
            assert len(source.read_by) <= len(seen) + 2 * workers  # no more wait in memory
    assert seen == list(range(8))
    assert threading.active_count() == before and source.most <= before + workers
    names = {name.partition("_")[0] for name in source.read_by.values()}
    assert names == ({"cgtool-loader"} if workers else {threading.current_thread().name})


def test_threads_end_when_nobody_asks_for_more() -> None:
    before, source = threading.active_count(), Numbered()
    found = batches(source, range(5), 2)
    assert int(next(found).places) == 0
    found.close()
    assert threading.active_count() == before and max(source.read_by) < 5


def test_page_locked_memory_is_asked_for_at_the_callers_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    used: dict[str, int] = {}
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", lambda at: used.setdefault(threading.current_thread().name, at))
    assert len(list(batches(Numbered(), range(6), 2, pin=True))) == 6
    assert 1 <= len(used) <= 2 and set(used.values()) == {3}


def test_two_processes_have_what_one_has(pack: Pack) -> None:
    whole = _steps(pack)
    halves = [_steps(pack, rank, 2) for rank in range(2)]
    for step in range(6):
        joined = Batch(*(torch.cat(parts) for parts in zip(*(half.read(step) for half in halves), strict=True)))
        assert _equal(joined, whole.read(step))


def test_a_process_without_a_clip_still_takes_part(pack: Pack) -> None:
    steps = _steps(pack, rank=4, n_processes=5, batch=3)
    assert len(share(steps.order.of_step(0), 4, 5)) == 0
    assert steps.read(0).places.tolist() == steps.order.of_step(0)[:1].tolist()


def test_training_draws_a_frame_of_every_stretch_anew(pack: Pack) -> None:
    steps = _steps(pack)
    seen: Counter[tuple[int, ...]] = Counter()
    for batch in batches(steps, range(30)):
        for place, clip, labels in zip(batch.places.tolist(), batch.clips.numpy(), batch.labels, strict=True):
            stored = pack.clip(place)
            at = [int(np.flatnonzero((stored == frame).all(axis=(1, 2, 3)))[0]) for frame in clip]
            assert [position // 2 for position in at] == [0, 1, 2, 3]
            seen[tuple(position % 2 for position in at)] += 1
            assert labels.tolist() == pack.labels[place].tolist()
    assert len(seen) == 16  # every combination, in 160 clips


def test_a_clip_looks_otherwise_in_every_epoch(pack: Pack) -> None:
    steps = _steps(pack)
    seen: dict[int, list[tuple[float, ...]]] = {}
    for batch in batches(steps, range(9)):
        for place, look in zip(batch.places.tolist(), batch.looks.tolist(), strict=True):
            seen.setdefault(place, []).append(tuple(look))
    assert len(seen) == 16 and all(len(set(looks)) == 3 for looks in seen.values())
    assert len({look for looks in seen.values() for look in looks}) == 48  # and no two clips look alike


def test_scoring_takes_places_in_order_and_first_frames(pack: Pack) -> None:
    places = read_split(pack, "v").parts["test"]
    scoring = ScoringBatches(pack, places, EIGHT.data, 3)
    found = list(batches(scoring, range(len(scoring))))
    assert [len(batch.places) for batch in found] == [3, 3, 2]
    assert torch.cat([batch.places for batch in found]).tolist() == places.tolist()
    for batch in found:
        assert batch.looks.shape[1] == 0
        for place, clip, scenes in zip(batch.places.tolist(), batch.clips.numpy(), batch.scenes, strict=True):
            assert np.array_equal(clip, pack.clip(place)[::2])
            assert bool(scenes.isnan().all()) == (place % 3 == 2)


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 99))
def test_a_frame_of_each_equal_stretch(n_frames: int, stretch: int, seed: int) -> None:
    chosen = frame_choice(n_frames * stretch, n_frames, np.random.default_rng(seed))
    assert (chosen // stretch).tolist() == list(range(n_frames))
    assert frame_choice(n_frames * stretch, n_frames).tolist() == list(range(0, n_frames * stretch, stretch))


@pytest.mark.parametrize(("pick", "place"), [("first", 0), ("middle", 4), ("last", 7)])
def test_one_frame_is_the_first_the_middle_or_the_last(pack: Pack, pick: Pick, place: int) -> None:
    data = replace(EIGHT.data, frames=1, pick=pick)
    order = Order(read_split(pack, "v").parts["train"], 7, 3)
    for dataset in (TrainingSteps(pack, order, data), ScoringBatches(pack, order.places, data, 7)):
        batch = next(batches(dataset, range(1)))
        for at, clip in zip(batch.places.tolist(), batch.clips.numpy(), strict=True):
            assert np.array_equal(clip, pack.clip(at)[[place]])


def test_a_random_frame_is_new_in_every_epoch_and_the_same_at_every_scoring(pack: Pack) -> None:
    data = replace(EIGHT.data, frames=1, pick="random")
    order = Order(read_split(pack, "v").parts["train"], 7, 3)
    seen: dict[int, list[int]] = {}
    for batch in batches(TrainingSteps(pack, order, data), range(60)):  # 20 epochs
        for at, clip in zip(batch.places.tolist(), batch.clips.numpy(), strict=True):
            frames = [place for place in range(8) if np.array_equal(pack.clip(at)[[place]], clip)]
            assert len(frames) == 1
            seen.setdefault(at, []).append(frames[0])
    assert all(len(set(frames)) > 4 for frames in seen.values())
    assert set(np.concatenate(list(seen.values())).tolist()) == set(range(8))

    def scored(seed: int, n: int) -> Tensor:
        scoring = ScoringBatches(pack, order.places, data, n, seed)
        return torch.cat([batch.clips for batch in batches(scoring, range(len(scoring)))])

    assert torch.equal(scored(0, 3), scored(0, 7)) and not torch.equal(scored(0, 3), scored(1, 3))


def test_scene_targets_are_soft_or_all_on_the_largest_share(pack: Pack) -> None:
    soft, hard = scene_targets(pack, 16, "soft"), scene_targets(pack, 16, "majority")
    assert np.array_equal(np.isnan(soft), np.isnan(hard)) and np.isnan(soft[2]).all()
    for one, other in zip(soft, hard, strict=True):
        if not np.isnan(one).any():
            largest = max(range(16), key=lambda k: one[k])
            assert other.tolist() == [float(k == largest) for k in range(16)]


def test_shuffled_labels_are_those_of_other_training_clips(pack: Pack) -> None:
    parts = read_split(pack, "v").parts
    before = pack.labels.copy()
    shuffled = shuffled_labels(pack.labels, parts["train"], seed=0)
    assert np.array_equal(pack.labels, before) and np.array_equal(shuffled[parts["test"]], before[parts["test"]])
    rows, others = (sorted(map(tuple, table[parts["train"]].tolist())) for table in (shuffled, before))
    assert rows == others
    assert (shuffled[parts["train"], 0] != before[parts["train"], 0]).mean() > 0.3
