"""What decisions come to, against rules written out by hand and a slow second implementation of undoing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError
from cityguessr_data.review.decisions import Box, Decision
from cityguessr_data.review.state import faces_after, first_frame, is_finished, review_of

START = datetime(2026, 1, 1, tzinfo=UTC)
BOXES: list[Box] = [(float(i), 0.0, float(i) + 8, 8.0) for i in range(3)]


def decided(*actions: tuple[str, dict[str, Any]], fingerprint: str = "f") -> list[Decision]:
    """Decisions with ids d0, d1, ... one second apart."""
    return [
        Decision(
            action=action,  # type: ignore[arg-type]
            clip_id="v_00000",
            fingerprint=told.pop("fingerprint", fingerprint),
            reviewer="r",
            session="s",
            decided_at=START + timedelta(seconds=i),
            decision_id=f"d{i}",
            **told,
        )
        for i, (action, told) in enumerate((action, dict(told)) for action, told in actions)
    ]


def face(position: int, box: Box, *, blurred: bool, score: float = 0.7) -> dict[str, Any]:
    return {
        "clip_id": "v_00000", "position": position, "frame_index": 10 * position, "kind": "face", "score": score,
        "x0": box[0], "y0": box[1], "x1": box[2], "y1": box[3], "origin": "detected", "blurred": blurred,
        "review": "pending",
    }  # fmt: skip


FACES = [
    face(2, BOXES[0], blurred=True),
    face(2, BOXES[1], blurred=True),
    face(2, BOXES[2], blurred=False, score=0.1),
    face(4, BOXES[0], blurred=True),
]
NUMBERS = {position: 10 * position for position in range(5)}


class TestFinished:
    def test_the_first_frame_with_a_blurred_face_decides(self) -> None:
        assert first_frame(FACES) == 2
        assert not is_finished(FACES, review_of([], "f"), 5)
        assert is_finished(FACES, review_of(decided(("accept", {"position": 2})), "f"), 5)
        assert not is_finished(FACES, review_of(decided(("accept", {"position": 4})), "f"), 5)

    def test_rejecting_every_blurred_face_of_it_is_a_decision_and_rejecting_some_is_not(self) -> None:
        one = ("reject", {"position": 2, "box": BOXES[0]})
        other = ("reject", {"position": 2, "box": BOXES[1]})
        assert not is_finished(FACES, review_of(decided(one), "f"), 5)
        assert is_finished(FACES, review_of(decided(one, other), "f"), 5)

    def test_drawing_and_doubting_decide_nothing_of_the_others(self) -> None:
        drawn = decided(("draw", {"position": 2, "box": (1.0, 2.0, 3.0, 4.0)}), ("mark", {"value": "indoor"}))
        assert not is_finished(FACES, review_of(drawn, "f"), 5)

    def test_without_a_blurred_face_nobody_is_needed_unless_every_frame_is_asked_for(self) -> None:
        doubtful = [face(1, BOXES[0], blurred=False, score=0.2)]
        assert is_finished(doubtful, review_of([], "f"), 5)
        asked = decided(("every-frame", {}))
        assert not is_finished(doubtful, review_of(asked, "f"), 5)
        looked = decided(("every-frame", {}), *(("accept", {"position": p}) for p in range(5)))
        assert is_finished(doubtful, review_of(looked, "f"), 5)
        assert not is_finished(doubtful, review_of(looked[:-1], "f"), 5)

    def test_dropped_clips_and_what_was_decided_of_an_earlier_result(self) -> None:
        assert is_finished(FACES, review_of(decided(("drop", {})), "f"), 5)
        old = review_of(decided(("accept", {"position": 2}), fingerprint="old"), "f")
        assert not is_finished(FACES, old, 5)
        assert old.stale == 1

    def test_what_was_drawn_for_a_sample_changes_nothing(self) -> None:
        sample = decided(("drawn", {"position": 2, "box": BOXES[0]}), ("looked", {"position": 2}))
        assert review_of(sample, "f") == review_of([], "f")


class TestFacesAfter:
    def test_nothing_decided_nothing_changed(self) -> None:
        assert faces_after(FACES, review_of([], "f"), NUMBERS) == FACES

    def test_each_action(self) -> None:
        review = review_of(
            decided(
                ("reject", {"position": 2, "box": BOXES[0]}),
                ("blur", {"position": 2, "box": BOXES[2]}),
                ("draw", {"position": 3, "box": (5.0, 6.0, 7.0, 8.0)}),
                ("accept", {"position": 2}),
            ),
            "f",
        )
        rows = [(f["position"], f["blurred"], f["review"], f["origin"]) for f in faces_after(FACES, review, NUMBERS)]
        assert rows == [
            (2, False, "rejected", "detected"),
            (2, True, "accepted", "detected"),
            (2, True, "accepted", "detected"),
            (3, True, "accepted", "manual"),
            (4, True, "pending", "detected"),
        ]
        manual = faces_after(FACES, review, NUMBERS)[3]
        assert (manual["frame_index"], manual["score"], manual["clip_id"]) == (30, 1.0, "v_00000")

    def test_a_drawn_box_that_is_rejected_again_is_gone(self) -> None:
        box = (5.0, 6.0, 7.0, 8.0)
        drawn = decided(("draw", {"position": 3, "box": box}), ("reject", {"position": 3, "box": box}))
        assert faces_after(FACES, review_of(drawn, "f"), NUMBERS) == FACES

    def test_drawn_once_more_after_that_it_is_there(self) -> None:
        here = {"position": 3, "box": (5.0, 6.0, 7.0, 8.0)}
        drawn = decided(("draw", here), ("reject", here), ("draw", here))
        assert [f["position"] for f in faces_after(FACES, review_of(drawn, "f"), NUMBERS)] == [2, 2, 2, 3, 4]

    def test_the_last_word_on_a_box_counts(self) -> None:
        reject, blur = ("reject", {"position": 2, "box": BOXES[0]}), ("blur", {"position": 2, "box": BOXES[0]})
        assert faces_after(FACES, review_of(decided(reject, blur), "f"), NUMBERS)[0]["blurred"]
        assert not faces_after(FACES, review_of(decided(blur, reject), "f"), NUMBERS)[0]["blurred"]


ACTIONS = st.sampled_from(
    [
        ("accept", {"position": 2}),
        ("accept", {"position": 4}),
        ("reject", {"position": 2, "box": BOXES[0]}),
        ("blur", {"position": 2, "box": BOXES[2]}),
        ("draw", {"position": 1, "box": (1.0, 1.0, 9.0, 9.0)}),
        ("mark", {"value": "indoor"}),
        ("unmark", {"value": "indoor"}),
        ("label", {"value": "Lyon"}),
        ("drop", {}),
        ("every-frame", {}),
    ]
)


@given(st.lists(ACTIONS, max_size=12), st.data())
def test_undoing_is_as_if_it_had_never_been_decided(actions: list[Any], data: st.DataObject) -> None:
    undone = data.draw(st.sets(st.integers(0, max(0, len(actions) - 1)))) if actions else set()
    full = decided(*actions, *(("undo", {"undoes": f"d{i}"}) for i in sorted(undone)))
    kept = [decision for i, decision in enumerate(decided(*actions)) if i not in undone]
    assert review_of(full, "f") == review_of(kept, "f")


@pytest.mark.parametrize(
    ("action", "told"),
    [
        ("reject", {"position": 1}),
        ("accept", {}),
        ("undo", {}),
        ("mark", {"value": "blurry"}),
        ("explode", {}),
    ],
)
def test_a_decision_that_lacks_something_is_refused(action: str, told: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        decided((action, told))
