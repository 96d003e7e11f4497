"""What a timed piece of training took, and a clock for what is waited for in it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Stretch:
    """Some steps in a row. The device has done all of them at the end, and nothing of others."""

    n_steps: int
    n_clips: int
    wall_s: float
    waiting_s: float
    """Of `wall_s`, in asking for the next batch."""

    @property
    def clips_per_s(self) -> float:
        """Of the whole stretch."""
        return self.n_clips / self.wall_s

    def __add__(self, other: Stretch) -> Stretch:
        return Stretch(
            self.n_steps + other.n_steps,
            self.n_clips + other.n_clips,
            self.wall_s + other.wall_s,
            self.waiting_s + other.waiting_s,
        )


class Waiting:
    """Counts the seconds that something is waited for."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, items: Iterable[T]) -> Iterator[T]:
        """The same items; the time of getting each is added up."""
        source = iter(items)
        while True:
            start = time.perf_counter()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - start
            yield item
