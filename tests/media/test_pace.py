"""The rate limiter, on a clock of the test's own."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError
from cityguessr_data.media.pace import Pace, site_of


@given(st.floats(1, 5000), st.lists(st.floats(0, 100), min_size=2, max_size=60))
def test_starts_on_one_site_are_never_closer_than_the_interval(rate: float, gaps_s: list[float]) -> None:
    """However the calls come, and an hour never holds more starts than the rate (plus the one at its edge)."""
    now = 0.0
    pace = Pace(rate, clock=lambda: now)
    starts = []
    for gap in gaps_s:
        now += gap
        starts.append(now + pace.reserve("a"))
    assert all(b - a >= 3600 / rate - 1e-6 for a, b in pairwise(starts))
    assert all(sum(s <= t < s + 3600 for t in starts) <= rate + 1 for s in starts)


def test_sites_do_not_wait_for_each_other_and_pauses_are_not_saved_up() -> None:
    now = 0.0
    pace = Pace(300, clock=lambda: now)
    assert [pace.reserve("a"), pace.reserve("b"), pace.reserve("a"), pace.reserve("a")] == [0, 0, 12, 24]
    now = 1000.0
    assert [pace.reserve("a"), pace.reserve("a")] == [0, 12]


def test_waiting_is_real_and_can_be_interrupted() -> None:
    pace = Pace(3600 / 0.2)
    began = time.monotonic()
    assert pace.wait("a") and pace.wait("a")
    assert 0.19 <= time.monotonic() - began < 1
    slow, stop = Pace(1), threading.Event()
    assert slow.wait("a", stop)
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert slow.wait("a", stop) is False
    assert time.monotonic() - began < 1
    assert slow.wait("another", stop) is False, "set already: nothing is started any more"


@pytest.mark.parametrize("rate", [0, -3, float("nan")])
def test_a_rate_that_downloads_nothing_is_refused(rate: float) -> None:
    with pytest.raises(InputError, match="--rate"):
        Pace(rate)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.youtube.com/watch?v=a", "youtube.com"),
        ("https://youtu.be/a", "youtube.com"),
        ("https://m.youtube.com/a", "youtube.com"),
        ("https://rr4---sn-x.googlevideo.com/v", "youtube.com"),
        ("https://notyoutube.com/a", "notyoutube.com"),
        ("http://WWW.Example.org:8080/a", "example.org"),
        ("http://127.0.0.1:99/a", "127.0.0.1"),
    ],
)
def test_what_counts_as_one_site(url: str, site: str) -> None:
    assert site_of(url) == site
