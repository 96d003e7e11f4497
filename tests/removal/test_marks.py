"""The mark of a video that is gone: it goes in front of what stood there, and comes off again without a trace."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.removal.marks import marked_class, with_mark, without_mark

DAY, LATER = date(2026, 5, 4), date(2027, 1, 1)


def test_what_a_mark_says() -> None:
    marked = with_mark("bad-media: broke at frame 80", "private", "Private | video\nof somebody", DAY)
    assert marked == "gone since 2026-05-04: private: Private / video of somebody | bad-media: broke at frame 80"
    assert with_mark(marked, "private", "other words", LATER) == marked
    assert with_mark(marked, "removed", "404", LATER) == (
        "gone since 2026-05-04: removed: 404 | bad-media: broke at frame 80"
    )
    assert marked_class(None) is None and marked_class("too-short: 3 frames") is None


@given(st.one_of(st.none(), st.text(min_size=1)), st.sampled_from(["removed", "private", "copyright"]), st.text())
def test_it_comes_off_without_a_trace(reason: str | None, error_class: str, message: str) -> None:
    if marked_class(reason) is None:
        marked = with_mark(reason, error_class, message, DAY)
        assert marked_class(marked) == error_class
        assert without_mark(marked) == reason
