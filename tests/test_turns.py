"""Candidates take turns in processes of their own, and one that fails ends the benchmark with its reason."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from benchmarks.turns import in_turns
from tests.support_turns import Dying, Failing, Noting, unopened


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def test_candidates_take_turns_in_processes_of_their_own(notes: Path) -> None:
    makers = {name: partial(Noting, name, notes) for name in "ab"}
    turns = in_turns(makers, threads=3, rounds=2, warm_up=1, one_core=True)
    assert notes.read_text() == "ababab"
    assert [len(turn.timing.costs) for turn in turns.values()] == [2, 2]
    told = [turn.told for turn in turns.values()]
    assert [(one["rounds"], one["threads"], one["cores"]) for one in told] == [(3, "3", 1)] * 2
    assert len({os.getpid(), *(one["pid"] for one in told)}) == 3


def test_here_they_take_turns_in_this_process(notes: Path) -> None:
    turns = in_turns({name: partial(Noting, name, notes) for name in "ab"}, threads=1, rounds=2, apart=False)
    assert notes.read_text() == "abab"
    assert [(turn.told["pid"], len(turn.timing.costs)) for turn in turns.values()] == [(os.getpid(), 2)] * 2


def test_a_candidate_that_fails_is_told_with_its_traceback(notes: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)second failed:.*ValueError: a round went wrong"):
        in_turns({"first": partial(Noting, "a", notes), "second": partial(Failing, "b", notes)}, threads=1, rounds=3)
    assert notes.read_text() == "abab"
    with pytest.raises(RuntimeError, match=r"(?s)lost failed:.*OSError: no such weights"):
        in_turns({"lost": unopened}, threads=1)


def test_a_process_that_ends_is_told(notes: Path) -> None:
    with pytest.raises(RuntimeError, match="the process of gone has ended"):
        in_turns({"gone": partial(Dying, "a", notes)}, threads=1)


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="1 round or more"):
        in_turns({}, threads=1, rounds=0)
