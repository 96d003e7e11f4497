"""Ids that may name files, and table rows grouped into units of work."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.sources import group_tasks, safe_id
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import SourceRow

WORLD = Taxonomy.named("cityguessr166")
A, B = "https://a.example.com/1.mp4", "https://a.example.com/2.mp4"


# --- ids ---


def test_ids_by_hand() -> None:
    assert safe_id("youtube_dQw4w9-gXcQ") == "youtube_dQw4w9-gXcQ"
    # The digest of "a b", from `printf 'a b' | sha256sum`.
    assert safe_id("a b") == "a_b_" + "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"[:10]
    assert re.fullmatch("_leading_[0-9a-f]{10}", safe_id("-leading"))
    assert re.fullmatch("video_[0-9a-f]{10}", safe_id(""))
    assert safe_id("x" * 120) == "x" * 120
    assert len(safe_id("x" * 121)) == 120


@given(st.text(max_size=200))
def test_ids_may_name_files(text: str) -> None:
    safe = safe_id(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,119}", safe, re.ASCII)
    assert safe_id(safe) == safe
    assert safe_id(text) == safe


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,119}", fullmatch=True))
def test_safe_ids_are_kept(text: str) -> None:
    assert safe_id(text) == text


@given(st.lists(st.text(alphabet="ab-_ é/", max_size=130), unique=True, max_size=30))
def test_distinct_ids_stay_distinct(texts: list[str]) -> None:
    assert len({safe_id(text) for text in texts}) == len(texts)


# --- units of work ---


def row(line: int, start_s: float | None = None, end_s: float | None = None, city: str = "Tokyo") -> SourceRow:
    return SourceRow(line, A, WORLD.place(city), start_s=start_s, end_s=end_s)


def test_rows_of_one_video_are_one_task_by_start() -> None:
    late, early, other, playlist = row(2, 50.0), row(3, None, 50.0, "Lima"), row(4), row(5)
    tasks = group_tasks([("a", A, late), ("b", B, other), ("a", A, early), ("p1", A, playlist), ("p2", B, playlist)])
    assert [(t.video_id, t.url, t.rows) for t in tasks] == [
        ("a", A, (early, late)),
        ("b", B, (other,)),
        ("p1", A, (playlist,)),
        ("p2", B, (playlist,)),
    ]


def test_a_playlist_may_name_a_video_twice() -> None:
    assert len(group_tasks([("a", A, row(2)), ("a", A, row(2))])[0].rows) == 1


def test_two_links_may_be_one_video() -> None:
    (task,) = group_tasks([("a", A, row(2, 0, 5)), ("a", B, row(3, 5, 9))])
    assert (task.url, len(task.rows)) == (A, 2)


def test_overlaps_that_only_expansion_shows() -> None:
    with pytest.raises(InputError, match="lines 2 and 3 both name the same seconds of a"):
        group_tasks([("a", A, row(3)), ("a", B, row(2, 5))])


def test_a_playlist_with_one_video_id() -> None:
    with pytest.raises(InputError, match="line 2 names several videos"):
        group_tasks([("a", A, row(2)), ("a", B, row(2))])


def test_nothing_to_group() -> None:
    assert group_tasks([]) == ()
