"""Recall and precision of drawn faces: against hand figures, brute force, tables of Clopper and Pearson, SciPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from cityguessr_data.review.clustered import clustered_share, exact_interval
from cityguessr_data.review.recall import HEIGHTS, Boxes, LookedFrame, hidden_share, judge, measure
from cityguessr_data.vision.blur import BlurConfig, blur_boxes


def boxes(*rows: tuple[float, float, float, float]) -> Boxes:
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def looked(
    drawn: Boxes,
    blurred: Boxes,
    detected: Boxes | None = None,
    video: str = "v",
    frame: object = 0,
    blur: str = "paper",
) -> LookedFrame:
    return LookedFrame(video, (video, frame), drawn, blurred, blurred if detected is None else detected, "paper")


@pytest.mark.parametrize("hits, n", [(0, 5), (1, 7), (9, 10), (33, 40), (40, 40), (199, 200)])
def test_exact_interval_is_scipys(hits: int, n: int) -> None:
    peer = binomtest(hits, n).proportion_ci(0.95, "exact")
    assert exact_interval(hits, n) == pytest.approx((peer.low, peer.high), abs=1e-9)


def test_exact_interval_of_none_and_all_by_hand() -> None:
    """Of n misses the upper end is 1 - 0.025^(1/n)."""
    assert exact_interval(0, 12) == pytest.approx((0.0, 1 - 0.025 ** (1 / 12)))
    assert exact_interval(12, 12) == pytest.approx((0.025 ** (1 / 12), 1.0))


def test_design_effect_by_hand() -> None:
    """Two videos, 10 of 10 and 0 of 10: as if there were no more than one face in each, and t widens that.

    Variance of the ratio 2/1 * (5^2 + 5^2) / 20^2 = 0.25; of 20 independent faces 0.25 / 20: effect 20.
    """
    share = clustered_share({"a": (10, 10), "b": (0, 10)})
    t_19, t_1 = 2.093024, 12.706205  # two-sided 95 %, printed tables
    assert share.value == 0.5
    assert share.n_effective == pytest.approx(20 / 20 * (t_19 / t_1) ** 2, rel=1e-5)
    assert share.low is not None and share.low < 0.01 and share.high is not None and share.high > 0.99


def test_even_clusters_never_tell_more_than_independent_faces() -> None:
    """Every video 9 of 10: less spread than chance gives. The effect would be 0; 40 faces stay at most 40."""
    share = clustered_share(dict.fromkeys(range(30), (9, 10)))
    t_299, t_29 = 1.967930, 2.045230
    assert share.n_effective == pytest.approx(300 * (t_299 / t_29) ** 2, rel=1e-4)
    low, high = exact_interval(270, 300)
    assert share.low is not None and share.high is not None
    assert share.low < low and high < share.high


def test_one_video_has_a_figure_and_no_interval() -> None:
    share = clustered_share({"a": (3, 4), "b": (0, 0)})
    assert (share.value, share.low, share.high, share.n_clusters) == (0.75, None, None, 1)


def test_no_trials_no_figure() -> None:
    share = clustered_share({"a": (0, 0)})
    assert (share.value, share.low, share.high) == (None, None, None)
    assert clustered_share({}).value is None


def test_more_hits_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="hits"):
        clustered_share({"a": (2, 1)})


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=2, max_size=12))
@settings(max_examples=60)
def test_an_interval_holds_its_share_and_is_mirrored_by_the_misses(pairs: list[tuple[int, int]]) -> None:
    counts = {n: (hits, hits + misses) for n, (hits, misses) in enumerate(pairs)}
    share = clustered_share(counts)
    mirrored = clustered_share({n: (k - hits, k) for n, (hits, k) in counts.items()})
    if share.low is None or share.high is None or share.value is None:
        assert share.n_clusters < 2
        return
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.n_effective is not None and 0 < share.n_effective <= share.n
    assert mirrored.low is not None and mirrored.high is not None
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((share.low, share.high), abs=1e-6)


def test_interval_covers_where_videos_differ() -> None:
    """Faces of a video share their fate (beta-binomial, correlation 0.3). The exact interval alone holds 2 in 3."""
    rng = np.random.default_rng(5)
    p, rho, held, plain, times = 0.8, 0.3, 0, 0, 300
    for _ in range(times):
        n = 1 + rng.poisson(8, 30)
        hits = rng.binomial(n, rng.beta(p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho, 30))
        share = clustered_share({v: (int(h), int(k)) for v, (h, k) in enumerate(zip(hits, n, strict=True))})
        assert share.low is not None and share.high is not None
        held += share.low <= p <= share.high
        low, high = exact_interval(float(hits.sum()), float(n.sum()))
        plain += low <= p <= high
    assert held / times > 0.9
    assert plain / times < 0.75


def test_found_and_missed_and_false_by_hand() -> None:
    drawn = boxes((0, 0, 20, 20), (100, 0, 120, 20))
    ours = boxes((0, 2, 20, 22), (200, 0, 240, 40))  # IoU 18/22 with the first; the second is no face
    weak = np.vstack([ours, boxes((101, 0, 121, 20))])
    one = judge(looked(drawn, ours, weak))
    assert one.found.tolist() == [True, False]
    assert one.within_reach.tolist() == [True, True]
    assert one.true.tolist() == [True, False]


def test_half_is_enough_and_less_is_not() -> None:
    face = boxes((0, 0, 10, 30))
    assert judge(looked(face, boxes((0, 10, 10, 40)))).found.tolist() == [True]  # 200 / 400
    assert judge(looked(face, boxes((0, 10.5, 10, 40.5)))).found.tolist() == [False]  # 195 / 405


def test_one_box_finds_one_face() -> None:
    twins = boxes((0, 0, 20, 20), (1, 0, 21, 20))
    one = judge(looked(twins, boxes((0, 0, 20, 20))))
    assert one.found.tolist() == [True, False]
    assert one.hidden.tolist() == [True, True]  # 19 of 20 columns of the second


@given(st.data())
@settings(max_examples=40)
def test_matching_is_greedy_by_overlap(data: st.DataObject) -> None:
    """Against the definition: sort all pairs by IoU, take each whose two boxes are free."""
    corner = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(4, 14), st.integers(4, 14))
    sets = [boxes(*((x, y, x + w, y + h) for x, y, w, h in data.draw(st.lists(corner, max_size=4)))) for _ in range(2)]
    overlap = {}
    for i, j in itertools.product(range(len(sets[0])), range(len(sets[1]))):
        a, b = sets[0][i], sets[1][j]
        grid_a = {(x, y) for x in range(int(a[0]), int(a[2])) for y in range(int(a[1]), int(a[3]))}
        grid_b = {(x, y) for x in range(int(b[0]), int(b[2])) for y in range(int(b[1]), int(b[3]))}
        overlap[i, j] = len(grid_a & grid_b) / len(grid_a | grid_b)
    if len(set(overlap.values())) < len(overlap):
        return  # ties may go either way
    free_a, free_b = set(range(len(sets[0]))), set(range(len(sets[1])))
    for (i, j), value in sorted(overlap.items(), key=lambda one: -one[1]):
        if value >= 0.5 and i in free_a and j in free_b:
            free_a.remove(i)
            free_b.remove(j)
    one = judge(looked(*sets))
    assert {i for i, hit in enumerate(one.found) if not hit} == free_a
    assert {j for j, hit in enumerate(one.true) if not hit} == free_b


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_hidden_share_is_the_pixels_that_the_blur_changes(mode: str) -> None:
    """Blur noise with the real function and count the pixels of the face that changed."""
    rng = np.random.default_rng(3)
    before = rng.integers(0, 256, (160, 200, 3), dtype=np.uint8)
    after = before.copy()
    ours = boxes((20, 20, 70.5, 80), (60, 50, 120, 110.2))
    blur_boxes(after, ours, BlurConfig(mode=mode))  # type: ignore[arg-type]
    changed = (before != after).any(axis=2)
    for face in boxes((30, 30, 60, 70), (60, 60, 150, 120), (150, 120, 190, 150), (65, 40, 130, 100)):
        x0, y0, x1, y1 = face.astype(int)
        expected = changed[y0:y1, x0:x1].mean()
        assert hidden_share(face, ours, mode) == pytest.approx(expected, abs=0.02)  # type: ignore[arg-type]


def test_three_quarters_hide() -> None:
    face = boxes((0, 0, 40, 40))
    assert judge(looked(face, boxes((0, 0, 30, 40)))).hidden.tolist() == [True]
    assert judge(looked(face, boxes((0, 0, 29, 40)))).hidden.tolist() == [False]
    two_halves = boxes((0, 0, 20, 40), (20, 0, 40, 40))
    one = judge(looked(face, two_halves))
    assert (one.hidden.tolist(), one.found.sum()) == ([True], 1)


def test_classes_of_height() -> None:
    """A face of each height, three times as wide, the even ones found; ours are in the class of their own height."""
    heights = [15.9, 16, 31.9, 32, 63.9, 64, 127.9, 128]
    faces = boxes(*((500.0 * n, 0, 500.0 * n + 3 * h, h) for n, h in enumerate(heights)))
    measured = measure([looked(faces, faces[::2], video=v) for v in ("a", "b")])
    assert [row.name for row in measured.by_height] == list(HEIGHTS)
    assert [row.recall.n for row in measured.by_height] == [2, 4, 4, 4, 2]
    assert [row.recall.hits for row in measured.by_height] == [2, 2, 2, 2, 0]
    assert [row.precision.n for row in measured.by_height] == [2, 2, 2, 2, 0]
    assert measured.all.recall.value == 0.5 and measured.all.precision.value == 1.0
    assert measured.by_height[4].precision.value is None
    assert (measured.n_frames, measured.n_videos, measured.n_drawn, measured.n_blurred) == (2, 2, 16, 8)


def test_frames_stand_in_for_videos_where_there_is_one() -> None:
    face, none = boxes((0, 0, 20, 20)), boxes()
    frames = [looked(face, face if n % 3 else none, frame=n) for n in range(9)]
    one = measure(frames)
    assert one.clusters == "frame" and one.all.recall.low is not None
    two = measure([*frames, looked(face, face, video="w")])
    assert two.clusters == "video" and two.all.recall.n_clusters == 2


def test_frames_without_faces() -> None:
    measured = measure([looked(boxes(), boxes(), video=v) for v in "ab"])
    assert measured.all.recall.value is None and measured.all.precision.value is None
    assert measured.n_frames == 2
