"""Candidates in processes of their own that take turns: none finds the memory, threads or caches of another.

Each process opens its candidate once (imports, models, the first pass that allocates), which is not counted; then it
waits for its turn. The time is taken inside of it, so that what a process costs to start or to ask is not counted
either.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Protocol

from cityguessr_data.core.timing import ROUNDS, Cost, Timing, cost_of, interleaved


class Candidate(Protocol):
    """What is measured."""

    def run(self) -> None:
        """One round; its time counts."""

    def told(self) -> Any:
        """After each round, its time not counted: what the round came to. Only that of the last is kept."""


@dataclass(frozen=True)
class Turn:
    """What one candidate did."""

    timing: Timing
    told: Any


def in_turns(
    makers: Mapping[str, Callable[[], Candidate]],
    threads: int,
    rounds: int = ROUNDS,
    warm_up: int = 0,
    one_core: bool = False,
    apart: bool = True,
) -> dict[str, Turn]:
    """Time every candidate `rounds` times, in turns.

    Args:
        makers: called in a fresh process each. They are pickled; their module must not import torch at its top, or it
            reads its number of threads too early.
        threads: of each process, $OMP_NUM_THREADS, which torch, ONNX Runtime and OpenVINO go by.
        warm_up: rounds before, which are not counted.
        one_core: keep each process on one and the same core.
        apart: False runs all in this process, which is quicker to start: for seeing that they work, not for figures.
    Raises:
        RuntimeError: a candidate failed; with its traceback.
    """
    if rounds < 1:
        raise ValueError(f"expected 1 round or more, got {rounds}")
    if not apart:
        return _here(makers, rounds)
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        pipes = {}
        for name, maker in makers.items():
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(theirs, maker, threads, one_core), daemon=True)
            process.start()
            theirs.close()  # so that the end of the process is the end of the pipe
            stack.callback(process.join)
            stack.callback(ours.close)
            pipes[name] = ours
            _received(name, ours)  # one after the other: opening keeps all cores busy
        costs: dict[str, list[Cost]] = {name: [] for name in makers}
        told: dict[str, Any] = {}
        for number in range(warm_up + rounds):
            for name, pipe in pipes.items():
                pipe.send("run")
                cost, told[name] = _received(name, pipe)
                if number >= warm_up:
                    costs[name].append(cost)
    return {name: Turn(Timing(tuple(costs[name])), told[name]) for name in makers}


def _here(makers: Mapping[str, Callable[[], Candidate]], rounds: int) -> dict[str, Turn]:
    candidates = {name: maker() for name, maker in makers.items()}
    timings = interleaved({name: candidate.run for name, candidate in candidates.items()}, rounds, warm_up=0)
    return {name: Turn(timings[name], candidate.told()) for name, candidate in candidates.items()}


def _received(name: str, pipe: connection.Connection[Any, Any]) -> Any:
    try:
        kind, content = pipe.recv()
    except EOFError as exc:
        raise RuntimeError(f"the process of {name} has ended") from exc
    if kind == "failed":
        raise RuntimeError(f"{name} failed:\n{content}")
    return content


def _serve(pipe: connection.Connection[Any, Any], maker: Callable[[], Candidate], threads: int, one_core: bool) -> None:
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with contextlib.suppress(EOFError, ConnectionResetError, BrokenPipeError):  # the parent has what it wants
        try:
            candidate = maker()
            pipe.send(("ready", None))
            while True:
                pipe.recv()
                cost = cost_of(candidate.run)
                pipe.send(("cost", (cost, candidate.told())))
        except (EOFError, ConnectionResetError, BrokenPipeError):
            raise
        except Exception:  # noqa: BLE001 - told to the parent, which raises it
            pipe.send(("failed", traceback.format_exc()))
