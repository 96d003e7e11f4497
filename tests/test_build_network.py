"""Builds whose videos come over HTTP from a loopback server, by the real yt-dlp."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support_build import SHORT, cgtool, result_of, write_sources
from tests.support_inline import cgtool_inline
from tests.support_server import Server, Status, links_page, video_page
from tests.support_video import numbered_video

FAST = (*SHORT, "--allow-private-hosts", "--rate", "36000")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    web = tmp_path / "web"
    web.mkdir()
    first = numbered_video(web / "a.mp4", 45)
    for name in ("b", "c"):
        shutil.copy(first, web / f"{name}.mp4")
    with Server(web) as running:
        yield running


def test_a_feed_expands_to_its_videos_once_and_a_second_run_asks_nobody(
    server: Server, tmp_path: Path, detector_weights: Path
) -> None:
    feed = server.page("/feed.xml", links_page(server.url("/a.mp4"), server.url("/b.mp4")), "application/rss+xml")
    page = server.page("/walk", video_page("c.mp4"))
    rows = [{"url": feed, "city": "Tokyo"}, {"url": page, "city": "Osaka", "video_id": "walk"}]
    table = write_sources(tmp_path / "sources.csv", rows)
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST, "--json")
    assert done.returncode == 0, done.stderr
    assert result_of(done)["run"]["done"] == 3
    clips = pq.read_table(tmp_path / "out" / "manifests" / "clips.parquet").to_pylist()
    assert {c["video_id"]: c["city"] for c in clips} == {"generic_a": "Tokyo", "generic_b": "Tokyo", "walk": "Osaka"}
    assert (server.count("/feed.xml"), server.count("/walk")) == (1, 1)
    asked = server.count()
    again = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST, "--json")
    assert result_of(again)["run"]["already_done"] == 3
    assert server.count() == asked
    assert (tmp_path / "out.cache" / "sources" / "generic_a.mp4").is_file()
    assert result_of(cgtool_inline("cache", "drop", tmp_path / "out", "--json"))["files"] == 6
    assert not (tmp_path / "out.cache" / "sources").exists()


def test_a_bot_check_stops_that_site_and_the_rest_stays_pending(
    server: Server, tmp_path: Path, detector_weights: Path
) -> None:
    server.always("/a.mp4", Status(403, {"cf-mitigated": "challenge"}))
    with Server(tmp_path / "web", "127.0.0.2") as other:
        rows = [{"url": server.url(f"/{n}.mp4"), "city": "Tokyo", "video_id": n} for n in "ab"]
        rows.append({"url": other.url("/c.mp4"), "city": "Tokyo", "video_id": "c"})
        table = write_sources(tmp_path / "sources.csv", rows)
        done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST)
        assert done.returncode == 3, done.stderr
        assert "stopped early: 1 video not tried" in done.stderr
        assert server.count("/b.mp4") == 0
        status = result_of(cgtool_inline("status", tmp_path / "out", "--json"))
        assert (status["done"], status["pending"]) == (1, 1)
        assert [f["error_class"] for f in status["retryable"]] == ["bot-check"]
        # Later the site answers again: a plain run takes what is pending, --retry-failed the rest
        server.always("/a.mp4", None)
        assert cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST).returncode == 1
        done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST, "--retry-failed", "--json")
        assert done.returncode == 0, done.stderr
        assert result_of(done)["dataset"]["done"] == 3


def test_two_files_of_one_name_must_be_told_apart(server: Server, tmp_path: Path, detector_weights: Path) -> None:
    with Server(tmp_path / "web", "127.0.0.2") as other:
        rows = [{"url": s.url("/a.mp4"), "city": "Tokyo"} for s in (server, other)]
        table = write_sources(tmp_path / "sources.csv", rows)
        done = cgtool("build-dataset", table, "--out", tmp_path / "out", *FAST, fresh=True)
    assert done.returncode == 2
    assert "lines 2 and 3" in done.stderr
    assert "generic_a" in done.stderr
    assert "video_id" in done.stderr


def test_a_link_that_cannot_be_looked_up_is_kept_as_a_failure(
    server: Server, tmp_path: Path, detector_weights: Path
) -> None:
    server.always("/list", Status(503))
    table = write_sources(tmp_path / "sources.csv", [{"url": server.url("/list"), "city": "Tokyo"}])
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST)
    assert done.returncode == 1, done.stderr
    videos = pq.read_table(tmp_path / "out" / "manifests" / "videos.parquet").to_pylist()
    assert [(v["status"], v["reason"].partition(":")[0]) for v in videos] == [("failed", "network")]
    asked = server.count()
    again = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST)
    assert again.returncode == 1
    assert server.count() == asked
    server.page("/list", video_page("b.mp4"))
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *FAST, "--retry-failed", "--json")
    assert done.returncode == 0, done.stderr
    assert result_of(done)["dataset"]["done"] == 1
