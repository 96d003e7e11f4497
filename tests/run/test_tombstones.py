"""Tombstones: by what a removed video or clip is known again, and what they leave in version and changelog."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.schemas import TOMBSTONES
from cityguessr_data.core.spans import Span
from cityguessr_data.core.types import Clip, Place
from cityguessr_data.run.changelog import next_version, record_change
from cityguessr_data.run.parts import video_table
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import change_lines, settle
from cityguessr_data.run.take_out_cache import Unwanted, cached_files
from cityguessr_data.run.take_out_unit import removed_row
from cityguessr_data.run.telling_links import links_to_ask, links_to_bury, shared_links
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
    assert spans == (Span(10, 20),) == found.spans("other", "http://e.org/a") and found.spans("other") == ()
    assert found.clips == {"v_00001", "i_1"}
    assert found.is_gone("v_00000", Span(19, 30), spans) and found.is_gone("v_00000", Span(0, 11), spans)
    assert not found.is_gone("v_00001", Span(20, 30), spans)  # a changed table gave the number to other frames
    assert found.is_gone("i_1", None, ()) and found.is_gone("i_1", Span(5, 6), ())
    assert not found.is_gone("i_2", None, ())


def test_in_another_file_of_the_video_a_clip_is_known_by_its_time() -> None:
    place = {"start_frame": 900, "end_frame": 1800, "start_s": 30.0, "end_s": 60.0}  # at 30 frames a second
    found = tombstones_of([stone("clip", "v_00001", video_id="v", sha256="aa", **place)])

    def gone(sha256: str | None, fps: float, start: int, end: int, shift_s: float = 0.0) -> bool:
        span = Span(start, end, start / fps + shift_s, end / fps + shift_s)
        return found.is_gone("v_00009", span, found.spans("v", None, sha256))

    for unknown in ("bb", None):  # at 60 frames a second
        assert gone(unknown, 60, 1800, 2700) and gone(unknown, 60, 2700, 3600) and gone(unknown, 60, 1799, 1801)
        assert not gone(unknown, 60, 900, 1800) and not gone(unknown, 60, 3600, 4500)
        assert not gone(unknown, 60, 3600, 4500, -0.0005) and not gone(unknown, 60, 900, 1800, 0.0005)  # as rounded
        assert gone(unknown, 30, 900, 1800) and gone(unknown, 60, 3540, 3601)
    assert gone("aa", 30, 1799, 2000, 5.0) and not gone("aa", 30, 1800, 2700, -5.0)  # the same file: its frames tell
    untimed = tombstones_of([stone("clip", "v_00001", video_id="v", sha256="aa", start_frame=900, end_frame=1800)])
    assert untimed.is_gone("v_00009", Span(1799, 2700, 29.9, 45.0), untimed.spans("v", None, "bb"))


def test_a_clip_removed_from_two_files_of_one_video_has_two_tombstones(store: Store) -> None:
    first = stone("clip", "v_00001", video_id="v", sha256="aa", start_frame=9, end_frame=18, start_s=30.0, end_s=60.0)
    other = stone("clip", "v_00001", video_id="v", sha256="bb", start_frame=9, end_frame=18, start_s=15.0, end_s=30.0)
    assert bury(store, [first]) == (first,) and bury(store, [other, first]) == (other,)
    assert set(read_tombstones(store).rows) == {first, other}


def test_what_is_asked_for_every_clip_is_made_once() -> None:
    found = tombstones_of([stone("clip", "i_1"), stone("channel", "c")])
    assert found.clips is found.clips and found.by_id_alone is found.by_id_alone and found.channels is found.channels


def test_without_removed_videos_no_link_is_read() -> None:
    """To read a link of YouTube is to load yt-dlp: the start of every build would be slower by it."""
    code = """
import sys
from cityguessr_data.core.types import VideoTask
from cityguessr_data.planning import _refused
from cityguessr_data.run.tombstones import NO_TOMBSTONES, Tombstone, tombstones_of
tasks = [VideoTask("v", "https://www.youtube.com/watch?v=jNQXAC9IVRw", ())]
assert _refused(NO_TOMBSTONES, tasks, {}) == {}
assert NO_TOMBSTONES.id_of_link(tasks[0].url) is None and NO_TOMBSTONES.spans("v", tasks[0].url) == ()
channel = tombstones_of([Tombstone("clip", "i_1", None, "why", "0.2.0")])
assert _refused(channel, tasks, {}) == {} and channel.spans("v", tasks[0].url) == ()
assert "yt_dlp" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=6),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=4),
)
def test_a_clip_stays_exactly_if_no_frame_of_it_was_removed(
    clips: list[tuple[int, int]], gone: list[tuple[int, int]]
) -> None:
    planned = [Clip("v", n, start, length, Place("c", "s", "c", "c")) for n, (start, length) in enumerate(clips)]
    removed = {frame for start, length in gone for frame in range(start, start + length)}
    kept = without(planned, [Span(start, start + length) for start, length in gone])
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


def has_row(store: Store, video_id: str, url: str) -> None:
    write_table(store.part("videos", video_id), video_table(removed_row(video_id, url, "why")))


def test_a_link_of_two_videos_is_no_identity_of_either(store: Store) -> None:
    for video_id, url in (("p-1", "page"), ("p-2", "page"), ("a", "alone"), ("b", "asked")):
        has_row(store, video_id, url)
    store.write_plan({"links": {}, "videos": [{"video_id": "c", "url": "asked"}, {"video_id": "a", "url": "alone"}]})
    links = links_to_bury(store)
    assert [links.of(url) for url in ("page", "asked", "alone", None)] == [None, None, "alone", None]
    asked = links_to_ask(store)  # a video removed by its link stays out, also under a second id
    assert [asked.of(url) for url in ("page", "alone")] == ["page", "alone"]
    store.write_dataset({"imported": {"from": "msls"}})
    assert links_to_bury(store).of("alone") is None and links_to_ask(store).of("alone") is None


def test_in_a_shared_cache_another_video_of_the_same_id_stays(store: Store, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    ids = ("own", "same", "anothers", "unnoted", "broken")
    store.write_plan({"cached": {"folders": [str(cache)], "fetched": list(ids), "videos": list(ids)}})
    noted = {
        "own": "http://e.org/own.mp4",
        "same": "https://youtu.be/jNQXAC9IVRw",
        "anothers": "http://other.example/v.mp4",
    }
    for video_id in ids:
        (cache / "sources").mkdir(parents=True, exist_ok=True)
        (cache / "sources" / f"{video_id}.mp4").write_bytes(b"x")
        if video_id in noted:
            (cache / "sources" / f"{video_id}.json").write_text(json.dumps({"url": noted[video_id]}))
    (cache / "sources" / "broken.json").write_text("{")
    links = {video_id: {f"https://e.org/{video_id}.mp4"} for video_id in ids}
    links["same"] = {"https://www.youtube.com/watch?v=jNQXAC9IVRw"}
    found = cached_files(store, Unwanted(links, frozenset(), frozenset()))
    assert {path.name for path in found} == {
        *("own.mp4", "own.json", "same.mp4", "same.json", "unnoted.mp4", "broken.mp4", "broken.json")
    }
