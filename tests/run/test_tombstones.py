"""Tombstones: by what a removed video or clip is known again, and what they leave in version and changelog."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.schemas import TOMBSTONES
from cityguessr_data.core.types import Clip, Place
from cityguessr_data.run.changelog import next_version, record_change
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import change_lines, settle, shared_links
from cityguessr_data.run.tombstones import Tombstone, assemble_tombstones, bury, read_tombstones, tombstones_of
from cityguessr_data.stages.clip import without

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stone(kind: str, name: str, **fields: Any) -> Tombstone:
    return Tombstone(kind, name, WHEN, "why", fields.pop("version", "0.2.0"), **fields)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(tmp_path)
    found.write_dataset({"name": "walks", "version": "0.1.0"})
    return found


def test_a_video_is_known_by_id_link_bytes_and_channel() -> None:
    found = tombstones_of(
        [
            stone("video", "v", url="http://example.org/a.mp4", sha256="aa"),
            stone("video", "tube", url="https://www.youtube.com/watch?v=jNQXAC9IVRw"),
            stone("channel", "Walker"),
        ]
    )
    assert found.of_video("v") is not None
    for url in ("https://example.org/a.mp4", "http://EXAMPLE.org/a.mp4#t=3"):
        assert (one := found.of_video("w", url)) is not None and one.id == "v"
    assert found.of_video("w", "https://youtu.be/jNQXAC9IVRw?list=PL1&t=3") is not None
    assert found.of_video("w", None, "aa") is not None
    assert found.of_video("w", None, None, "Walker") is not None
    for known in (
        ("w", "http://example.org/A.mp4"),
        ("w", "http://example.org/a.mp4?x"),
        ("w", None, "bb"),
        ("w", None, None, "walker"),
    ):
        assert found.of_video(*known) is None
    assert not tombstones_of([]) and found.channels == {"Walker"}


def test_a_clip_is_known_by_its_frames_and_where_nobody_knows_these_by_its_id() -> None:
    found = tombstones_of(
        [
            stone("clip", "v_00001", video_id="v", url="http://e.org/a", start_frame=10, end_frame=20),
            stone("clip", "i_1"),
        ]
    )
    spans = found.spans("v")
    assert spans == ((10, 20),) == found.spans("other", "http://e.org/a") and found.spans("other") == ()
    assert found.clips == {"v_00001", "i_1"}
    assert found.is_gone("v_00000", (19, 30), spans) and found.is_gone("v_00000", (0, 11), spans)
    assert not found.is_gone("v_00001", (20, 30), spans)  # a changed table gave the number to other frames
    assert found.is_gone("i_1", None, ()) and found.is_gone("i_1", (5, 6), ()) and not found.is_gone("i_2", None, ())


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=4),
)
def test_a_clip_stays_exactly_if_no_frame_of_it_was_removed(
    clips: list[tuple[int, int]], gone: list[tuple[int, int]]
) -> None:
    planned = [Clip("v", n, start, length, Place("c", "s", "c", "c")) for n, (start, length) in enumerate(clips)]
    removed = {frame for start, length in gone for frame in range(start, start + length)}
    kept = without(planned, [(start, start + length) for start, length in gone])
    assert kept == [c for c in planned if not removed & set(range(c.start_frame, c.end_frame))]


def test_rows_are_only_added_and_the_first_date_stays(store: Store) -> None:
    first = stone("video", "v", url="u", sha256="aa")
    assert bury(store, [first, stone("clip", "../v", start_frame=1, end_frame=2)]) != ()
    later = Tombstone("video", "v", datetime(2027, 1, 1, tzinfo=UTC), "again", "0.9.0")
    assert bury(store, [later]) == ()
    moved = stone("clip", "../v", start_frame=5, end_frame=9)
    assert bury(store, [moved]) == (moved,)
    assert [(one.kind, one.removed_at) for one in read_tombstones(store).rows if one.kind == "video"] == [
        ("video", WHEN)
    ]
    assert {path.parent for path in store.out.rglob("*.parquet")} == {store.out / "parts" / "tombstones"}
    assert assemble_tombstones(store) == 3
    table = pq.read_table(store.out / "manifests" / "tombstones.parquet")
    assert table.schema.equals(TOMBSTONES) and table["id"].to_pylist() == ["../v", "../v", "v"]


@pytest.mark.parametrize(
    ("now", "after"), [("0.1.0", "0.2.0"), ("1.9.7", "1.10.0"), ("2", "2.1.0"), ("0.3-mine", "0.4.0")]
)
def test_a_change_raises_the_minor_number(now: str, after: str) -> None:
    assert next_version(now) == after


def test_a_version_without_a_number_is_refused() -> None:
    with pytest.raises(InputError, match="no version"):
        next_version("spring")


def test_the_changelog_has_the_newest_first_and_each_version_once(store: Store) -> None:
    record_change(store, "0.2.0", ["one"], date(2026, 1, 2))
    record_change(store, "0.3.0", ["two", "three"], date(2026, 1, 3))
    record_change(store, "0.3.0", ["not this"], date(2026, 1, 4))
    assert (store.out / "CHANGELOG.md").read_text() == (
        "# Changes of walks\n\n## 0.3.0 - 2026-01-03\n\n- two\n- three\n\n## 0.2.0 - 2026-01-02\n\n- one\n"
    )
    assert (store.dataset() or {})["version"] == "0.3.0"


def test_what_is_not_recorded_yet_is_settled_in_order_and_once(store: Store) -> None:
    bury(store, [stone("clip", f"v_{n:05d}", start_frame=n, end_frame=n + 1, version="0.3.0") for n in range(12)])
    bury(store, [stone("video", "w")])
    assert settle(store) == "0.3.0" == settle(store)
    lines = [line for line in (store.out / "CHANGELOG.md").read_text().splitlines() if line.startswith(("##", "-"))]
    assert [line.split()[1] for line in lines if line.startswith("##")] == ["0.3.0", "0.2.0"]
    assert lines[1].startswith("- Removed 12 clips: `v_00000`, ") and " and 2 more " in lines[1]
    assert lines[3] == "- Removed the video `w`. Reason: why."
    assert change_lines([]) == []


def test_a_page_of_several_videos_tells_none_of_them() -> None:
    links = {"feed": [["a", "page"], ["b", "page"], ["c", "alone"]], "alone": [["c", "alone"]]}
    assert shared_links(links) == {"page"}
