"""Clip spans and sampled frames: values worked out by hand, properties, and a count by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.spans import plan_clips, sample_offsets


@pytest.mark.parametrize(
    ("n_frames", "expected"),
    [
        (0, []),
        (10, []),
        (799, []),
        (800, [(0, 800)]),
        (850, [(0, 850)]),
        (900, [(0, 900)]),
        (1599, [(0, 900)]),  # 699 frames of tail
        (1600, [(0, 800), (800, 800)]),
        (1800, [(0, 900), (900, 900)]),  # 60 s at 30 fps
        (2401, [(0, 800), (800, 800), (1600, 800)]),
        (2399, [(0, 900), (900, 900)]),
        (2500, [(0, 833), (833, 833), (1666, 833)]),  # 2500 // 3 = 833, one frame of tail
    ],
)
def test_clips_by_hand(n_frames: int, expected: list[tuple[int, int]]) -> None:
    assert plan_clips(n_frames) == expected


def test_other_limits() -> None:
    assert plan_clips(25, 8, 9) == [(0, 8), (8, 8), (16, 8)]
    assert plan_clips(5, 1, 1) == [(i, 1) for i in range(5)]


@given(n_frames=st.integers(0, 200_000), low=st.integers(1, 1000), extra=st.integers(0, 300))
def test_clips_keep_their_promises(n_frames: int, low: int, extra: int) -> None:
    clips = plan_clips(n_frames, low, low + extra)
    at = 0
    for start, length in clips:
        assert start == at, "one after the other from the start"
        assert low <= length <= low + extra
        at += length
    assert at <= n_frames
    assert len({length for _, length in clips}) <= 1
    assert len(clips) == n_frames // low, "as many clips as fit"


@given(n_frames=st.integers(0, 6000))
def test_no_longer_equal_clips_would_fit(n_frames: int) -> None:
    """Brute force over every allowed length: as many clips as can be, then as long as can be."""
    fits = [(n_frames // length, length) for length in range(800, 901) if n_frames >= length]
    most = max((count for count, _ in fits), default=0)
    longest = max((length for length in range(800, 901) if most * length <= n_frames), default=0) if most else 0
    assert plan_clips(n_frames) == [(i * longest, longest) for i in range(most)]


@pytest.mark.parametrize(("n_frames", "low", "high"), [(-1, 800, 900), (100, 0, 10), (100, 11, 10)])
def test_nonsense_is_refused(n_frames: int, low: int, high: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        plan_clips(n_frames, low, high)


def test_samples_by_hand() -> None:
    assert sample_offsets(900) == list(range(0, 900, 9))
    assert sample_offsets(850)[:5] == [0, 8, 17, 25, 34]  # 8.5, 17, 25.5, 34 rounded down
    assert sample_offsets(850)[-1] == 841
    assert sample_offsets(7, 3) == [0, 2, 4]
    assert sample_offsets(5, 5) == [0, 1, 2, 3, 4]


@given(data=st.data(), samples=st.integers(1, 300))
def test_samples_rise_and_are_spread_evenly(data: st.DataObject, samples: int) -> None:
    n_frames = data.draw(st.integers(samples, 3000))
    offsets = sample_offsets(n_frames, samples)
    steps = [b - a for a, b in zip(offsets, [*offsets[1:], n_frames], strict=True)]
    assert len(offsets) == samples
    assert offsets[0] == 0
    assert offsets[-1] < n_frames
    assert set(steps) <= {n_frames // samples, -(-n_frames // samples)}, "steps differ by one frame at most"


@pytest.mark.parametrize(("n_frames", "samples"), [(99, 100), (10, 0), (0, 1)])
def test_a_frame_is_never_taken_twice(n_frames: int, samples: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        sample_offsets(n_frames, samples)
