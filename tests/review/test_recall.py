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
    video: str | None = "v",
    frame: object = 0,
    city: str = "Tokyo",
) -> LookedFrame:
    return LookedFrame(video, city, (video, frame), drawn, blurred, blurred if detected is None else detected)


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
    """Every video 5 of 10: less spread than chance gives. With one more, missed whole, the share of 31 is 150 / 310.

    Variance of the ratio 31/30 * (30 * (5 - 4.8387)^2 + 4.8387^2) / 310^2 = 0.00026015; of independent faces
    0.4839 * 0.5161 / 310 = 0.00080561. The effect would be 0.32; 300 faces stay at most 300.
    """
    share = clustered_share(dict.fromkeys(range(30), (5, 10)))
    t_299, t_29 = 1.967930, 2.045230
    assert share.n_effective == pytest.approx(300 * (t_299 / t_29) ** 2, rel=1e-4)
    low, high = exact_interval(150, 300)
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


def test_all_found_tells_no_more_than_the_videos_do() -> None:
    """30 videos, 9 of 9 each. With one more of 9, all missed, the share is 30/31; the variance of the ratio

    31/30 * (30 * (9/31)^2 + (270/31)^2) / 279^2 = 1/31^2; of independent faces (30/31 * 1/31) / 279: effect 9 * 31/30.
    """
    share = clustered_share(dict.fromkeys(range(30), (9, 9)))
    t_269, t_29 = 1.968822, 2.045230
    assert share.n_effective == pytest.approx(270 / (9 * 31 / 30) * (t_269 / t_29) ** 2, rel=1e-4)
    assert share.n_effective <= 30 and share.high == 1.0
    assert share.low is not None and share.low < exact_interval(30, 30)[0]
    one_each = clustered_share(dict.fromkeys(range(30), (1, 1)))
    assert one_each.n_effective is not None and 28 < one_each.n_effective <= 30


@given(st.lists(st.integers(1, 40), min_size=2, max_size=20))
@settings(max_examples=60)
def test_all_found_is_never_worth_more_than_one_face_a_video(sizes: list[int]) -> None:
    share = clustered_share({n: (k, k) for n, k in enumerate(sizes)})
    assert share.n_effective is not None and share.n_effective <= len(sizes)


@pytest.mark.parametrize("p, n_videos, rho", [(0.8, 30, 0.3), (0.98, 30, 0.5), (0.98, 100, 0.5), (0.9, 10, 0.5)])
def test_interval_covers_where_videos_differ(p: float, n_videos: int, rho: float) -> None:
    """Faces of a video share their fate (beta-binomial). The exact interval alone holds 2 in 3, or fewer."""
    rng = np.random.default_rng(5)
    held, plain, times = 0, 0, 300
    for _ in range(times):
        n = 1 + rng.poisson(8, n_videos)
        hits = rng.binomial(n, rng.beta(p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho, n_videos))
        share = clustered_share({v: (int(h), int(k)) for v, (h, k) in enumerate(zip(hits, n, strict=True))})
        assert share.low is not None and share.high is not None
        held += share.low <= p <= share.high
        low, high = exact_interval(float(hits.sum()), float(n.sum()))
        plain += low <= p <= high
    assert held / times > 0.95
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
def test_hidden_share_is_the_pixels_of_which_nothing_is_left(mode: str) -> None:
    """Blur noise and its negative with the real function: at full strength both come out the same."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (160, 200, 3), dtype=np.uint8)
    negative = 255 - noise
    ours = boxes((20, 20, 70.5, 80), (60, 50, 120, 110.2))
    for picture in (noise, negative):
        blur_boxes(picture, ours, BlurConfig(mode=mode))  # type: ignore[arg-type]
    gone = (np.abs(noise.astype(int) - negative) < 24).all(axis=2)
    for face in boxes((30, 30, 60, 70), (60, 60, 150, 120), (150, 120, 190, 150), (65, 40, 130, 100)):
        x0, y0, x1, y1 = face.astype(int)
        assert hidden_share(face, ours) == pytest.approx(gone[y0:y1, x0:x1].mean(), abs=0.02)


@pytest.mark.parametrize("mode", ["paper", "strict"])
def test_little_contrast_is_left_of_what_counts_as_hidden(mode: str) -> None:
    """Small faces in and beside a box of 300 px, whose margin in `strict` is 30 px: at most a quarter is outside."""
    rng = np.random.default_rng(4)
    before = rng.integers(0, 256, (400, 500, 3), dtype=np.uint8)
    after = before.copy()
    box = boxes((40, 40, 340, 340))
    blur_boxes(after, box, BlurConfig(mode=mode))  # type: ignore[arg-type]
    hidden = []
    for x0 in range(300, 380, 2):
        face = (x0, 200, x0 + 12, 212)
        if judge(looked(boxes(face), box)).hidden[0]:
            hidden.append(x0)
            patches = (picture[200:212, x0 : x0 + 12].astype(float) - 127.5 for picture in (before, after))
            full, left = (float((patch**2).mean()) for patch in patches)
            assert left / full < 0.32, x0
    assert hidden == list(range(300, 332, 2))  # up to 9 of 12 columns inside; at 358, 18 px beside the box, none


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


def test_cities_stand_in_for_videos_that_are_not_known() -> None:
    face, none = boxes((0, 0, 20, 20)), boxes()
    lost = [looked(face, face if n % 3 else none, video=None, frame=n, city=c) for n in range(9) for c in "ab"]
    known = [looked(face, face, video=v, city="a") for v in "vw"]
    for frames, n_unknown in ((lost, 18), ([*lost, *known], 18)):
        measured = measure(frames)
        assert (measured.clusters, measured.n_videos, measured.n_unknown) == ("city", None, n_unknown)
        assert measured.n_cities == measured.all.recall.n_clusters == 2 and measured.all.recall.low is not None
    assert measure(known).clusters == "video"


def test_no_interval_where_nothing_tells_which_faces_go_together() -> None:
    face, none = boxes((0, 0, 20, 20)), boxes()
    measured = measure([looked(face, face if n % 3 else none, video=None, frame=n) for n in range(9)])
    assert measured.clusters == "none" and measured.all.recall.value == pytest.approx(6 / 9)
    assert (measured.all.recall.low, measured.all.recall.high, measured.n_videos) == (None, None, None)


def test_frames_without_faces() -> None:
    measured = measure([looked(boxes(), boxes(), video=v) for v in "ab"])
    assert measured.all.recall.value is None and measured.all.precision.value is None
    assert measured.n_frames == 2
