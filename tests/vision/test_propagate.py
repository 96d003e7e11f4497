"""Filling in missed faces: golden cases worked out by hand, and the promises as properties."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.types import Face
from cityguessr_data.vision.propagate import REACH, fill_faces, propagated


def face(x: float, y: float = 100.0, size: float = 60.0, score: float = 0.9, **fields: object) -> Face:
    """A square face by its top left corner."""
    return Face(x, y, x + size, y + size, score, **fields)  # type: ignore[arg-type]


def box(f: Face) -> tuple[float, float, float, float]:
    return f.x0, f.y0, f.x1, f.y1


def test_between_a_face_before_and_after_the_box_lies_half_way_and_is_grown_by_a_tenth() -> None:
    (filled,) = propagated([[face(100, score=0.7)]], [], [[face(120, score=0.9)]])
    assert box(filled) == pytest.approx((104, 94, 176, 166))  # 110..170 grown by 6 px
    assert (filled.origin, filled.blurred, filled.score, filled.kind) == ("propagated", True, 0.9, "face")


def test_frames_at_unequal_distance_weigh_by_time() -> None:
    # two frames back and one ahead: two thirds of the way from 100 to 130
    (filled,) = propagated([[face(100)], []], [], [[face(130)]])
    assert box(filled) == pytest.approx((114, 94, 186, 166))


def test_the_nearest_frame_that_shows_a_face_counts() -> None:
    # 90 and 100 are the same face; only 100 -> 120 is interpolated
    (filled,) = propagated([[face(90)], [face(100)]], [], [[face(120)], [face(130)]])
    assert box(filled) == pytest.approx((104, 94, 176, 166))


@pytest.mark.parametrize(
    ("prev", "later", "margin_px"),
    [([[face(100)]], [], 15), ([], [[face(100)]], 15), ([[face(100)], []], [], 30), ([], [[], [face(100)]], 30)],
)
def test_from_one_side_the_box_is_copied_and_grown_by_a_quarter_a_frame(
    prev: list[list[Face]], later: list[list[Face]], margin_px: float
) -> None:
    (filled,) = propagated(prev, [], later)
    assert box(filled) == pytest.approx((100 - margin_px, 100 - margin_px, 160 + margin_px, 160 + margin_px))
    assert filled.score == 0.9


def test_a_face_that_moved_or_is_hidden_under_a_larger_one_is_not_filled_in() -> None:
    assert propagated([[face(100)]], [face(130)], []) == []  # half its size along
    assert propagated([[face(100)]], [face(80, 80, size=120)], []) == []  # a box that holds it


def test_a_small_face_half_behind_a_large_one_is_another_face() -> None:
    (filled,) = propagated([[face(135, 140, size=40)]], [face(40, 100, size=120)], [])
    assert box(filled) == pytest.approx((125, 130, 185, 190))


def test_of_two_neighbours_only_the_missing_one_is_filled_in() -> None:
    left, right = face(100), face(170)
    (filled,) = propagated([[left, right]], [face(172)], [[face(104), face(174)]])
    assert box(filled) == pytest.approx((96, 94, 168, 166))  # 102..162 grown by 6


def test_two_people_that_cross_are_not_mixed_up() -> None:
    small, large = face(100, size=40), face(100, 80, size=120)
    filled = propagated([[small, large]], [], [[face(100, 84, size=120), face(104, size=40)]])
    assert sorted(box(f) for f in filled) == [
        pytest.approx((88, 70, 232, 214)),  # 100,82 size 120 grown by 12
        pytest.approx((98, 96, 146, 144)),  # 102,100 size 40 grown by 4
    ]


def test_far_apart_faces_are_two_people_and_both_are_copied() -> None:
    filled = propagated([[face(100)]], [], [[face(400)]])
    assert [box(f)[0] for f in filled] == pytest.approx([85, 385])


def test_kinds_do_not_mix() -> None:
    plate = face(100, kind="plate")
    (filled,) = propagated([[plate]], [face(100)], [])
    assert filled.kind == "plate"


def test_propagated_faces_are_never_propagated() -> None:
    ghost = replace(face(100), origin="propagated", blurred=True)
    assert propagated([[ghost]], [], [[ghost]]) == []
    assert fill_faces([[ghost], [], [ghost]], 1, 0.2) == ()


def test_nothing_is_carried_further_than_the_reach() -> None:
    window: list[list[Face]] = [[] for _ in range(9)]
    window[4] = [face(100)]
    filled = [len(fill_faces(window, i, 0.2)) for i in range(9)]
    assert filled == [0, 0, 1, 1, 1, 1, 1, 0, 0]
    with pytest.raises(ValueError, match="at most 2"):
        propagated([[], [], []], [], [])


def test_sure_detections_are_blurred_and_weak_ones_kept_unblurred() -> None:
    sure, weak = face(100, score=0.2), face(400, score=0.19)
    assert fill_faces([[sure, weak]], 0, 0.2) == (replace(sure, blurred=True), weak)


def test_a_weak_detection_at_a_neighbours_face_counts_as_that_face() -> None:
    weak = face(112, score=0.06)
    faces = fill_faces([[face(100)], [weak], [face(120)]], 1, 0.2)
    assert faces == (replace(weak, blurred=True),)  # it holds 58 of the 60 px of the interpolated 110..170


def test_a_weak_detection_that_misses_the_face_does_not_stand_in_for_it() -> None:
    weak = face(100 + 40, score=0.06)
    faces = fill_faces([[face(100)], [weak], [face(100)]], 1, 0.2)
    assert faces[0] == replace(weak, blurred=True)
    assert box(faces[1]) == pytest.approx((94, 94, 166, 166))


def test_the_window_may_hold_more_than_is_looked_at() -> None:
    window = [[face(100 + 10 * i)] if i != 5 else [] for i in range(11)]
    assert fill_faces(window, 5, 0.2) == fill_faces(window[3:8], 2, 0.2)
    with pytest.raises(ValueError, match="expected the index"):
        fill_faces(window, 11, 0.2)


faces_of_a_frame = st.lists(
    st.builds(
        face,
        st.integers(0, 600).map(float),
        st.integers(0, 300).map(float),
        st.integers(1, 150).map(float),
        st.sampled_from([0.06, 0.19, 0.2, 0.95]),
    ),
    max_size=5,
)


@given(st.lists(faces_of_a_frame, min_size=1, max_size=7), st.data())
def test_detections_stay_as_they_are_but_for_being_blurred(window: list[list[Face]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(window) - 1))
    faces = fill_faces(window, index, 0.2)
    detections, filled = faces[: len(window[index])], faces[len(window[index]) :]
    assert [replace(f, blurred=False) for f in detections] == window[index]
    assert all(f.blurred for f in detections if f.score >= 0.2)
    assert all(f.origin == "propagated" and f.blurred and f.score >= 0.2 for f in filled)


@given(faces_of_a_frame, st.integers(-REACH, REACH).filter(bool))
def test_all_that_the_one_neighbour_shows_is_hidden_where_the_frame_shows_nothing(
    faces: list[Face], offset: int
) -> None:
    window: list[list[Face]] = [[] for _ in range(2 * REACH + 1)]
    window[REACH + offset] = faces
    filled = fill_faces(window, REACH, 0.2)
    for f in faces:
        hidden = any(b.x0 <= f.x0 and b.y0 <= f.y0 and b.x1 >= f.x1 and b.y1 >= f.y1 for b in filled)
        assert hidden or f.score < 0.2
    assert len(filled) == sum(f.score >= 0.2 for f in faces)
