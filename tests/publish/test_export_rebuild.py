"""From links back to the same clips: built, shared, and built again elsewhere over a loopback server."""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_build import SHORT, result_of, tree_digest, write_sources
from tests.support_export import rows
from tests.support_inline import cgtool_inline
from tests.support_server import Server, video_page
from tests.support_video import numbered_video

NET = ("--allow-private-hosts", "--rate", "36000")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    web = tmp_path_factory.mktemp("web")
    numbered_video(web / "a.mp4", 115, fps=29.97)
    numbered_video(web / "b.mp4", 50, fps=25)
    with Server(web) as running:
        yield running


@pytest.fixture(scope="module")
def built(server: Server, tmp_path_factory: pytest.TempPathFactory, detector_weights: Path) -> Path:
    """Two spans of one video, and another video whole."""
    folder = tmp_path_factory.mktemp("built")
    table = [
        {"url": server.url("/a.mp4"), "city": "Tokyo", "start_s": 0.4, "end_s": 2.1, "license": "CC0", "rank": "1"},
        {"url": server.url("/a.mp4"), "city": "Osaka", "start_s": 2.3, "end_s": "", "license": "CC0", "rank": "2"},
        {"url": server.url("/b.mp4"), "city": "Lima", "start_s": "", "end_s": "", "license": "", "rank": ""},
    ]
    done = cgtool_inline(
        "build-dataset", write_sources(folder / "sources.csv", table), "--out", folder / "out", *SHORT, *NET,
        "--nms", "0.25", "--conf", "0.4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def links(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("links") / "shared"
    done = cgtool_inline("export", built, folder, "--to", "links")
    assert done.returncode == 0, done.stderr
    return folder


def rebuild(links: Path, out: Path) -> dict[str, Any]:
    done = cgtool_inline(
        "build-dataset", links / "links.csv", "--config", links / "build.toml", "--out", out, *NET, "--json"
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return result_of(done)


SAME = ("clip_id", "video_id", "clip_index", "start_frame", "end_frame", "n_frames", "fps", "start_s", "end_s", "city",
        "city_label", "state", "country", "continent", "n_sampled", "width", "height", "n_faces", "blur")  # fmt: skip


def told(out: Path) -> list[dict[str, Any]]:
    return sorted(
        ({name: row[name] for name in SAME} for row in rows(out / "manifests" / "clips.parquet")),
        key=lambda row: row["clip_id"],
    )


def test_the_same_clips_come_back(built: Path, links: Path, tmp_path: Path) -> None:
    clips = told(built)
    assert len(clips) == 6, "a: 2 of 25 frames and 1 of 25 from its spans; b: 2"
    found = rebuild(links, tmp_path / "out")
    assert told(tmp_path / "out") == clips
    assert tree_digest(tmp_path / "out") == tree_digest(built), "every frame, byte for byte"
    assert found["rebuilt"] == {"n_named": len(clips), "changed": [], "missing": [], "sources": []}
    for row in rows(tmp_path / "out" / "manifests" / "videos.parquet"):
        (before,) = [one for one in rows(built / "manifests" / "videos.parquet") if one["video_id"] == row["video_id"]]
        assert (row["license"], row["rank"], row["sha256"]) == (before["license"], before["rank"], before["sha256"])
    again = cgtool_inline("export", tmp_path / "out", tmp_path / "again", "--to", "links")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "links.csv").read_bytes() == (links / "links.csv").read_bytes()


def test_ids_survive_where_clips_are_missing_from_the_table(built: Path, links: Path, tmp_path: Path) -> None:
    shared = tmp_path / "some"
    shutil.copytree(links, shared)
    with (links / "links.csv").open(newline="", encoding="utf-8") as f:
        table = [row for row in csv.DictReader(f) if (row["video_id"], row["clip_index"]) != ("generic_a", "1")]
    write_sources(shared / "links.csv", list(reversed(table)))
    rebuild(shared, tmp_path / "out")
    kept = [row for row in told(built) if row["clip_id"] != "generic_a_00001"]
    assert len(kept) == 5 and told(tmp_path / "out") == kept
    frames = {path: digest for path, digest in tree_digest(built).items() if "generic_a_00001" not in path}
    assert tree_digest(tmp_path / "out") == frames


def test_both_videos_of_a_page_come_back(server: Server, tmp_path: Path, detector_weights: Path) -> None:
    """The table has one link for two videos: each row's video_id says which is meant."""
    page = server.page("/many", video_page("a.mp4", "b.mp4"))
    sources = write_sources(tmp_path / "sources.csv", [{"url": page, "city": "Tokyo"}])
    done = cgtool_inline("build-dataset", sources, "--out", tmp_path / "one", *SHORT, *NET)
    assert done.returncode == 0, done.stderr
    clips = told(tmp_path / "one")
    n_of = Counter(row["video_id"] for row in clips)
    assert sorted(n_of.values()) == [2, 5], "50 = 2 x 25 and 115 = 5 x 23 frames"
    assert cgtool_inline("export", tmp_path / "one", tmp_path / "links", "--to", "links").returncode == 0
    with (tmp_path / "links" / "links.csv").open(newline="", encoding="utf-8") as f:
        assert {(row["url"], row["video_id"]) for row in csv.DictReader(f)} == {(page, one) for one in n_of}
    found = rebuild(tmp_path / "links", tmp_path / "two")
    assert told(tmp_path / "two") == clips and tree_digest(tmp_path / "two") == tree_digest(tmp_path / "one")
    assert found["rebuilt"] == {"n_named": 7, "changed": [], "missing": [], "sources": []}


def test_what_changed_at_the_source_is_told(built: Path, links: Path, server: Server, tmp_path: Path) -> None:
    """a is encoded anew: other bytes, the same times. b has become shorter: its second clip is not there any more."""
    kept = tmp_path / "kept"
    shutil.copytree(server.folder, kept)
    try:
        x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "30", "-pix_fmt", "yuv420p")
        numbered_video(server.folder / "a.mp4", 115, fps=29.97, args=x264)
        numbered_video(server.folder / "b.mp4", 40, fps=25)
        done = cgtool_inline(
            "build-dataset", links / "links.csv", "--config", links / "build.toml", "--out", tmp_path / "out", *NET
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        status = result_of(
            cgtool_inline("build-dataset", links / "links.csv", "--config", links / "build.toml",
                          "--out", tmp_path / "out", *NET, "--json")
        )["rebuilt"]  # fmt: skip
    finally:
        for name in ("a.mp4", "b.mp4"):
            shutil.copy(kept / name, server.folder / name)
    before = {(row["clip_id"], row["position"]): row["sha256"] for row in rows(built / "manifests" / "frames.parquet")}
    after = {
        (r["clip_id"], r["position"]): r["sha256"] for r in rows(tmp_path / "out" / "manifests" / "frames.parquet")
    }
    differing = sorted({clip for clip, position in after if after[clip, position] != before[clip, position]})
    gone = sorted({clip for clip, _ in before} - {clip for clip, _ in after})
    assert {"generic_a_00000", "generic_a_00001"} <= set(differing) and gone == ["generic_b_00001"]
    assert status["n_named"] == 6 and sorted(status["changed"]) == differing and status["missing"] == gone
    assert sorted(status["sources"]) == ["generic_a", "generic_b"]
    text = " ".join(done.stderr.split())
    assert "source file is another one now: generic_a, generic_b" in text
    assert f"not those of the table: {', '.join(status['changed'])}" in text
    assert "could not be built: generic_b_00001" in text
    assert f"{6 - len(differing) - 1} of 6 clips that the table names" in " ".join(done.stdout.split())
    spans = {row["clip_id"]: (row["start_frame"], row["end_frame"]) for row in told(built)}
    for row in told(tmp_path / "out"):
        assert spans[row["clip_id"]] == (row["start_frame"], row["end_frame"])


def test_a_fingerprint_of_a_row_without_a_number_is_what_it_was() -> None:
    """By hand from the rule: data sets that were built before clip numbers could be given are not built again."""
    import json

    from cityguessr_data.build_record import task_fingerprint
    from cityguessr_data.core.types import Place, SourceRow, VideoTask

    url, place = "https://a.example.com/1.mp4", Place("Tokyo", "Tokyo", "Japan", "Asia", 1.5, 2.5, 3, 4, 5, 6)
    row = SourceRow(2, url, place, "v", 1.0, 2.5, "CC", {"note": "x"})
    asked = {
        "line": 0, "url": "", "video_id": "v", "start_s": 1.0, "end_s": 2.5, "license": "CC", "extra": {"note": "x"},
        "place": {
            "city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia", "lat": 1.5, "lon": 2.5,
            "city_label": 3, "state_label": 4, "country_label": 5, "continent_label": 6,
        },
    }  # fmt: skip
    text = json.dumps([{"a": 1}, "v", url, [asked]], sort_keys=True, separators=(",", ":"))
    wanted = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert task_fingerprint({"a": 1}, VideoTask("v", url, (row,))) == wanted
    numbered = SourceRow(2, url, place, "v", 1.0, 2.5, "CC", {"note": "x"}, clip_index=0)
    assert task_fingerprint({"a": 1}, VideoTask("v", url, (numbered,))) != wanted
