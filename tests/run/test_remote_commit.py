"""The commit protocol on an object store: a writer that dies before any of its requests leaves every video whole.

Points of death are tried by brute force: every one where CGTOOL_S3_STEP is 1, as `make torture` sets it, else every
ninth. What is there is always read on another machine, whose working copy is empty; and both machines can go on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out_unit import remove_clips, remove_unit
from tests.support_remote import (
    Killed,
    check_bare_objects,
    clear_memory,
    end_leases,
    held_in_memory,
    machine,
    memory_store,
    stage,
    whole_videos,
)  # fmt: skip

Job = Callable[[Store], None]
STEP = int(os.environ.get("CGTOOL_S3_STEP", "9"))


def commit(video_id: str, mark: str, n_clips: int) -> Job:
    def job(store: Store) -> None:
        if video_id not in store.committed() or store.committed()[video_id].fingerprint != mark:
            store.commit(video_id, stage(store, video_id, mark, n_clips))

    return job


def build(store: Store) -> None:
    commit("v", "old", 3)(store)
    commit("w", "old", 1)(store)
    store.write_dataset({"id": "x"})


def remove_one(store: Store) -> None:
    remove_clips(store, "v", "u", ["v_00001"])


def remove_all(store: Store) -> None:
    remove_unit(store, "v", "u", "on request")


@pytest.fixture(autouse=True)
def empty_store(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_memory()
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # nobody pulls the plug here


def run(store: Store, *jobs: Job) -> None:
    with store.locked():
        store.recover()
        for job in jobs:
            job(store)


SMALLER, SAME, LARGER = ("new", 1), ("new", 3), ("new", 4)
OLD = ("old", ("v_00000", "v_00001", "v_00002"))


def clips(n: int) -> tuple[str, ...]:
    return tuple(f"v_{i:05d}" for i in range(n))


CASES: dict[str, tuple[Job, list[tuple[str, tuple[str, ...]]]]] = {
    "smaller": (commit("v", *SMALLER), [OLD, ("new", clips(1))]),
    "same": (commit("v", *SAME), [OLD, ("new", clips(3))]),
    "larger": (commit("v", *LARGER), [OLD, ("new", clips(4))]),
    "remove a clip": (remove_one, [OLD, ("old", ("v_00000", "v_00002"))]),
    "remove all": (remove_all, [OLD, ("", ())]),
}


@pytest.mark.parametrize("goes_on", ["the same machine", "another machine"])
@pytest.mark.parametrize("case", CASES)
def test_a_writer_dies_before_any_request_of_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, goes_on: str
) -> None:
    job, allowed = CASES[case]
    with memory_store(monkeypatch):
        run(machine(tmp_path / "before", monkeypatch), build)
        before = dict(fsspec.filesystem("memory").store)
        run(machine(tmp_path / "calm", monkeypatch), job)
        calm = held_in_memory()
    die_at, states = 1 + list(CASES).index(case) % STEP, set()
    while True:
        fsspec.filesystem("memory").store.clear()
        fsspec.filesystem("memory").store.update(before)
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        shutil.copytree(tmp_path / "before", tmp_path / "a")
        with memory_store(monkeypatch, die_at) as log:
            try:
                run(machine(tmp_path / "a", monkeypatch), job)
            except Killed:
                pass
            else:
                break
        with memory_store(monkeypatch):
            reader = machine(tmp_path / f"r{die_at}", monkeypatch)
            assert reader.copy is not None
            reader.copy.refresh()
            seen = whole_videos(reader)
            check_bare_objects()
            assert seen["w"] == ("old", ("w_00000",))
            assert seen["v"] in allowed, f"before request {die_at}: {log[-1:]}"
            states.add(seen["v"])
            if goes_on == "another machine":
                end_leases()
            run(machine(tmp_path / ("a" if goes_on == "the same machine" else f"b{die_at}"), monkeypatch), job)
            assert held_in_memory() == calm
        die_at += STEP
    assert die_at > 20
    assert states == set(allowed), "both the old and the new state were met"


@pytest.mark.parametrize("goes_on", ["the same machine", "another machine"])
def test_a_writer_dies_before_any_request_of_a_first_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: str
) -> None:
    with memory_store(monkeypatch):
        run(machine(tmp_path / "calm", monkeypatch), build)
        calm = held_in_memory()
    die_at, n_seen = 1, []
    while True:
        clear_memory()
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        with memory_store(monkeypatch, die_at):
            try:
                run(machine(tmp_path / "a", monkeypatch), build)
            except Killed:
                pass
            else:
                break
        with memory_store(monkeypatch):
            reader = machine(tmp_path / f"r{die_at}", monkeypatch)
            assert reader.copy is not None
            reader.copy.refresh()
            n_seen.append(len(whole_videos(reader)))
            check_bare_objects()
            if goes_on == "another machine":
                end_leases()
            run(machine(tmp_path / ("a" if goes_on == "the same machine" else f"b{die_at}"), monkeypatch), build)
            assert held_in_memory() == calm
        die_at += STEP
    assert n_seen == sorted(n_seen), "a committed video is never lost again"
    assert n_seen[0] == 0
    assert set(n_seen) >= ({0, 1, 2} if STEP == 1 else {0, 1})


def test_what_a_dead_writer_half_uploaded_goes_even_if_nobody_asks_for_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_store(monkeypatch, die_at=12), pytest.raises(Killed):
        run(machine(tmp_path / "a", monkeypatch), commit("v", "old", 5))
    assert any(name.startswith("clips/v/") for name in held_in_memory())
    end_leases()
    with memory_store(monkeypatch):
        run(machine(tmp_path / "b", monkeypatch))
    assert held_in_memory() == {}


def test_local_frames_are_dropped_and_frames_that_stay_are_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_store(monkeypatch) as log:
        store = machine(tmp_path / "a", monkeypatch)
        run(store, build)
        assert not list(store.out.rglob("*.jpg"))
        log.clear()
        run(store, remove_one)
        assert not [line for line in log if ".jpg" in line and not line.startswith("rm_file")]
        assert [line for line in log if ".jpg" in line] == [
            f"rm_file bucket/set/clips/v/v_00001/{i:03d}.jpg" for i in (1, 2)
        ]
