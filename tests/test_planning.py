"""Which video a link stands for, and when two rows may name the same one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cityguessr_data.build_record import task_fingerprint
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import canonical, fingerprint
from cityguessr_data.core.sources import group_tasks
from cityguessr_data.core.types import Place, SourceRow, VideoTask
from cityguessr_data.planning import check_ids, known_videos, link_id

PLACE = Place("Tokyo", "Tokyo", "Japan", "Asia")
WATCH, SHORT = "https://www.youtube.com/watch?v=aqz-KE-bpKQ", "https://youtu.be/aqz-KE-bpKQ"


def row(
    line: int, url: str, start_s: float | None = None, end_s: float | None = None, video_id: str | None = None
) -> SourceRow:
    return SourceRow(line, url, PLACE, video_id, start_s, end_s)


def test_every_spelling_of_a_youtube_link_is_one_video_known_without_asking() -> None:
    first, second = row(2, WATCH, 0, 60), row(3, SHORT, 60, None)
    found = [(v, u, r) for r in (first, second) for v, u in known_videos(r, {}) or ()]
    assert [v for v, _, _ in found] == ["youtube_aqz-KE-bpKQ"] * 2
    check_ids(found)
    (task,) = group_tasks(found)
    assert task.url == WATCH
    (other_order,) = group_tasks(found[::-1])
    assert (other_order.url, other_order.rows) == (task.url, task.rows)


def test_a_playlist_must_be_asked_for_and_is_remembered() -> None:
    url = "https://www.youtube.com/playlist?list=PL123"
    assert known_videos(row(2, url), {}) is None
    assert known_videos(row(2, url), {url: [["a", "ua"], ["b", "ub"]]}) == [("a", "ua"), ("b", "ub")]


def test_a_local_file_cannot_pass_for_a_video_of_a_site() -> None:
    rows = [row(2, WATCH, 0, 60), row(3, "/films/x.mp4", 60, 90, "youtube_aqz-KE-bpKQ")]
    found = [(v, u, r) for r in rows for v, u in known_videos(r, {}) or ()]
    with pytest.raises(InputError, match="lines 2 and 3"):
        check_ids(found)


@pytest.mark.parametrize("url", [WATCH, "/films/x.mp4", "https://a.example.com/x.mp4"])
def test_one_video_has_one_id(url: str) -> None:
    """Its seconds would come twice; a page may hold several, so its rows may."""
    rows = [row(2, url, 0, 60, "v"), row(3, url, 60, 90, "v"), row(4, url, 0, 60, "w")]
    check_ids([("v", url, rows[0]), ("v", url, rows[1])])
    with pytest.raises(InputError, match="lines 2 and 4 give one video two ids, v and w"):
        check_ids([(str(one.video_id), url, one) for one in rows])
    page = "https://a.example.com/many"
    check_ids([(str(one.video_id), page, replace(one, url=page)) for one in rows])


def test_stand_ins_for_links_are_safe_and_differ() -> None:
    assert link_id("https://a/?x=1") != link_id("https://a/?x=2")
    assert link_id("https://a/?x=1").startswith("link_")


@pytest.mark.parametrize("size", [0, 1, 262_144, 300_000, 600_000])
def test_a_local_file_counts_by_its_name_its_size_and_its_ends(tmp_path: Path, size: int) -> None:
    content = bytearray(np.random.default_rng(size).bytes(size))
    film = tmp_path / "film.mp4"
    film.write_bytes(content)
    task = VideoTask("v", str(film), (row(2, str(film)),))
    ends = hashlib.sha256(content[:262_144] + content[max(0, size - 262_144) :]).hexdigest()
    row_asked = canonical(replace(task.rows[0], line=0, url=""))
    assert row_asked.pop("clip_index") is None, "without a clip number it counts as it did before there were any"
    asked = [{"a": 1}, "v", ["film.mp4", size, ends], [row_asked]]
    assert task_fingerprint({"a": 1}, task) == fingerprint(asked)
    for place in {0, size - 1} if size else ():
        film.write_bytes(bytes([*content[:place], content[place] ^ 1, *content[place + 1 :]]))
        assert task_fingerprint({"a": 1}, task) != fingerprint(asked)
