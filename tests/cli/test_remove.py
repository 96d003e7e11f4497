"""`cgtool remove` on a real build: what went is nowhere, what stayed is as it was, and nothing comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.publish.ledger import note_export
from cityguessr_data.run.store import Store
from tests.support_build import cgtool, result_of
from tests.support_imported import state_of
from tests.support_inline import cgtool_inline
from tests.support_removal import (
    CHANNEL,
    TITLE,
    Built,
    author_page,
    built,
    clip_ids,
    digests,
    files_that_say,
    rows,
    video_row,
)
from tests.support_server import links_page
from tests.support_video import numbered_video

ALL = {"tour_00000", "tour_00001", "tour_00002", "walk_00000", "walk_00001", "mine_00000", "mine_00001"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, detector_weights: Path) -> Iterator[Built]:
    with built(tmp_path_factory.mktemp("removal")) as data:
        assert clip_ids(data.out) == ALL
        assert video_row(data.out, "walk")["channel"] == CHANNEL
        yield data


@pytest.fixture
def data(whole: Built, tmp_path: Path) -> Built:
    return whole.copy(tmp_path)


def adds_up(status: dict[str, object]) -> bool:
    counted = sum(int(str(status[name])) for name in ("done", "removed", "pending"))
    return status["asked"] == counted + sum(status["dropped"].values()) + len(status["gone"]) + len(status["retryable"])  # type: ignore[attr-defined, arg-type]


def test_a_clip_goes_and_the_others_stay_as_they_were(data: Built) -> None:
    gone = {row["sha256"] for row in rows(data.out, "frames") if row["clip_id"] == "tour_00001"}
    kept = {row["path"]: row["sha256"] for row in rows(data.out, "frames") if row["clip_id"] != "tour_00001"}
    before = {row["clip_id"]: row for row in rows(data.out, "clips")}
    source = (data.cache / "sources" / "tour.mp4").read_bytes()
    kept_clip = data.cache / "clips" / "tour_00001.mp4"
    assert kept_clip.is_file()
    split = pq.read_table(data.out / "splits" / "by-clip.parquet")

    done = cgtool("remove", data.out, "--clip", "tour_00001", "--reason", "a passer-by asked", "--json")
    assert done.returncode == 0, done.stderr
    told = result_of(done)
    assert (told["version"], told["clips"], told["videos"], told["splits"]) == (
        "0.2.0",
        ["tour_00001"],
        [],
        ["by-clip"],
    )
    assert (told["frames"], told["own_files"]) == (5, [])

    assert {row["clip_id"]: row for row in rows(data.out, "clips")} == {
        clip_id: row for clip_id, row in before.items() if clip_id != "tour_00001"
    }
    found = digests(data.out, data.cache)
    assert not gone & set(found)
    for path, sha256 in kept.items():
        assert str(data.out / path) in found[sha256]
    assert not kept_clip.exists() and (data.cache / "clips" / "tour_00000.mp4").is_file()
    assert not any(path.read_bytes() == source for path in data.cache.rglob("*.mp4"))  # it shows the clip too
    after = pq.read_table(data.out / "splits" / "by-clip.parquet")
    assert after.schema.metadata == split.schema.metadata
    assert after.to_pylist() == [row for row in split.to_pylist() if row["clip_id"] != "tour_00001"]
    assert (video_row(data.out, "tour")["n_clips"], video_row(data.out, "tour")["status"]) == (2, "done")
    dataset = Store(data.out).dataset() or {}
    assert (dataset["version"], dataset["counts"]["clips"]) == ("0.2.0", 6)
    changelog = (data.out / "CHANGELOG.md").read_text()
    assert "## 0.2.0 - " in changelog and "`tour_00001`. Reason: a passer-by asked." in changelog
    [stone] = rows(data.out, "tombstones")
    assert (stone["kind"], stone["id"], stone["video_id"], stone["version"]) == ("clip", "tour_00001", "tour", "0.2.0")
    assert (stone["start_frame"], stone["end_frame"]) == (before["tour_00001"]["start_frame"], 46)

    as_it_is = state_of(data.root)
    again = cgtool("remove", data.out, "--clip", "tour_00001")
    assert again.returncode == 0 and "already removed on" in again.stdout
    assert state_of(data.root) == as_it_is

    asked = data.server.count()
    assert data.build()["run"]["already_done"] == 3
    assert data.server.count() == asked

    # 10 frames in, the same video has other clips under the same numbers: none may hold a frame of the removed one
    changed = [dict(data.rows[0], start_s=10 / 30), *data.rows[1:]]
    result = data.build(changed)
    assert result["run"]["done"] == 1
    spans = {row["clip_id"]: (row["start_frame"], row["end_frame"]) for row in rows(data.out, "clips")}
    tour = {clip_id: span for clip_id, span in spans.items() if clip_id.startswith("tour")}
    assert tour == {"tour_00002": (50, 70)}  # 60 frames from 10 on are 3 clips of 20; the removed one had 23 to 45
    assert not gone & set(digests(data.out))


def test_a_removed_clip_stays_away_when_its_video_comes_at_another_frame_rate(data: Built) -> None:
    web = data.server.folder
    before = (web / "tour.mp4").read_bytes()
    gone = next(row for row in rows(data.out, "clips") if row["clip_id"] == "tour_00001")
    assert cgtool_inline("remove", data.out, "--clip", "tour_00001").returncode == 0
    try:
        numbered_video(web / "tour.mp4", 140, fps=60)  # the same seconds; its frames 23 to 46 are others
        data.build([dict(data.rows[0], start_s=0.0)])
    finally:
        (web / "tour.mp4").write_bytes(before)
    times = {r["clip_id"]: (r["start_s"], r["end_s"]) for r in rows(data.out, "clips") if r["video_id"] == "tour"}
    assert times and all(end <= gone["start_s"] or gone["end_s"] <= start for start, end in times.values())
    whole = {number: (number / 3, (number + 1) / 3) for number in range(7)}  # 140 frames are 7 clips of 20
    apart = {n for n, (start, end) in whole.items() if end <= gone["start_s"] or gone["end_s"] <= start}
    assert set(times) == {f"tour_{n:05d}" for n in apart} and len(apart) == 4


def test_a_video_goes_and_no_later_build_brings_it_back_by_id_link_or_bytes(data: Built) -> None:
    gone = {row["sha256"] for row in rows(data.out, "frames") if row["clip_id"].startswith("walk")}
    source = video_row(data.out, "walk")["sha256"]
    assert files_that_say(TITLE, data.out, data.cache) and source in digests(data.cache)
    done = cgtool_inline("remove", data.out, "--video", "walk", "--json")
    assert done.returncode == 0, done.stderr
    told = result_of(done)
    assert (told["videos"], told["clips"], told["cache_files"]) == (["walk"], ["walk_00000", "walk_00001"], 4)
    for secret in (TITLE, CHANNEL, "told by a friend"):
        assert files_that_say(secret, data.out, data.cache) == []
    assert not (gone | {source}) & set(digests(data.out, data.cache))
    row = video_row(data.out, "walk")
    assert (row["status"], row["n_clips"], row["url"]) == ("removed", 0, data.rows[1]["url"])
    assert row["reason"].endswith(": on request")
    assert [name for name, value in row.items() if value is not None] == [
        "video_id",
        "url",
        "n_clips",
        "status",
        "reason",
    ]
    assert clip_ids(data.out) == ALL - {"walk_00000", "walk_00001"}
    assert not (data.out / "clips" / "walk").exists()

    # The same table; its link under another id; in a list; its bytes elsewhere: one of them is fetched to be known
    shutil.copy(data.server.folder / "walk.mp4", data.server.folder / "copy.mp4")
    page, copy = data.rows[1]["url"], data.server.url("/copy.mp4")
    feed = data.server.page("/feed.xml", links_page(page, data.rows[0]["url"]), "application/rss+xml")
    asked = {path: data.server.count(path) for path in ("/walk", "/walk.mp4")}
    for row_now, removed in (
        (data.rows[1], "walk"),
        ({"url": page, "city": "Osaka", "video_id": "another"}, "another"),
        ({"url": copy, "city": "Osaka", "video_id": "copied"}, "copied"),
    ):
        result = data.build([data.rows[0], row_now])
        assert (result["dataset"]["removed"], result["dataset"]["done"]) == (1, 1) and adds_up(result["dataset"])
        assert video_row(data.out, removed)["status"] == "removed"
    assert {path: data.server.count(path) for path in asked} == asked
    assert data.server.count("/copy.mp4") > 0
    assert source not in digests(data.out, data.cache) and files_that_say(TITLE, data.out, data.cache) == []
    status = cgtool_inline("status", data.out).stdout
    assert "1 done of 2, 1 removed" in " ".join(status.split())
    again = cgtool_inline("remove", data.out, "--video", "another")
    assert again.returncode == 0 and "already removed on" in again.stdout

    result = data.build([{"url": feed, "city": "Osaka"}])
    counts = result["dataset"]
    assert (counts["removed"], counts["asked"]) == (1, 2) and adds_up(counts)
    assert {path: data.server.count(path) for path in asked} == asked


def test_a_channel_goes_and_its_other_videos_are_not_downloaded(data: Built) -> None:
    done = cgtool_inline("remove", data.out, "--channel", CHANNEL, "--reason", "asked by its owner")
    assert done.returncode == 0, done.stderr
    assert "1 video (walk), 2 clips, 10 frames" in " ".join(done.stdout.split())
    assert {(row["kind"], row["id"]) for row in rows(data.out, "tombstones")} == {
        ("channel", CHANNEL),
        ("video", "walk"),
    }
    numbered_video(data.server.folder / "second.mp4", 45, size=(144, 96))
    page = data.server.page("/second", author_page(data.server.url("/second.mp4")))
    result = data.build([data.rows[0], {"url": page, "city": "Osaka", "video_id": "second"}])
    assert (result["dataset"]["removed"], result["dataset"]["done"]) == (1, 1)
    row = video_row(data.out, "second")
    assert (row["status"], row["channel"]) == ("removed", None) and "its channel was removed" in row["reason"]
    # The look-up follows the page to its file, and ends there
    assert data.server.count("/second.mp4") == 1 and not list(data.cache.rglob("second*"))
    again = cgtool_inline("remove", data.out, "--channel", CHANNEL)
    assert again.returncode == 0 and "already removed on" in again.stdout


def test_a_file_of_the_users_own_stays_and_is_told(data: Built) -> None:
    mine = Path(data.rows[2]["url"])
    done = cgtool_inline("remove", data.out, "--video", "mine")
    assert done.returncode == 0 and mine.is_file()
    assert "".join(f"{mine} was not touched".split()) in "".join(done.stdout.split())  # however it is folded
    assert data.build()["dataset"]["removed"] == 1


def test_a_dry_run_shows_and_changes_nothing(data: Built) -> None:
    before = state_of(data.root)
    done = cgtool_inline("remove", data.out, "--video", "walk", "--dry-run", "--json")
    told = result_of(done)
    assert (told["dry_run"], told["version"], told["clips"]) == (True, "0.2.0", ["walk_00000", "walk_00001"])
    assert (told["frames"], told["cache_files"]) == (10, 4)
    assert state_of(data.root) == before


def test_exports_that_hold_it_are_named(data: Built, tmp_path: Path) -> None:
    store = Store(data.out)
    for name, held in (("with", ["walk_00000", "tour_00000"]), ("without", ["tour_00000"])):
        note_export(
            store, to="webdataset", dest=tmp_path / name, version="0.1.0", clips=held, made_at="2026-01-02T00:00:00Z"
        )
    done = cgtool_inline("remove", data.out, "--clip", "walk_00000")
    assert "make them again" in done.stderr
    assert f"webdataset in {tmp_path / 'with'} (version 0.1.0, 2026-01-02)" in done.stderr
    assert str(tmp_path / "without") not in done.stderr
    assert files_that_say("walk_00000", data.out / ".cgtool" / "exports") == []
    again = cgtool_inline("remove", data.out, "--clip", "walk_00000")
    assert "already removed on" in again.stdout and str(tmp_path / "with") in again.stderr
    told = "".join(cgtool_inline("status", data.out).stdout.split())
    assert f"webdatasetin{tmp_path / 'with'}holdsclipsthatwereremovedsince" in told
    assert str(tmp_path / "without") not in told


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--video", "walkk"), "Did you mean walk?"),
        (("--clip", "tour_00003"), "Did you mean tour_0000"),
        (("--clip", "../../mine"), "has no clip '../../mine'"),
        (("--clip", "/etc/passwd"), "has no clip '/etc/passwd'"),
        (("--channel", "walker of tokyo"), f"Did you mean {CHANNEL}?"),
        ((), "Give one of --video, --channel, --clip"),
        (("--clip", "walk_00000", "--video", "walk"), "Give one of --video, --channel, --clip"),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_changes(whole: Built, args: tuple[str, ...], told: str) -> None:
    before = state_of(whole.out)
    done = cgtool_inline("remove", whole.out, *args)
    assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1
    assert state_of(whole.out) == before
