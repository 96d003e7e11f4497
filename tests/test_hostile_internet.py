"""One real build over a hostile internet: how each video ends, in how many requests, and what the next runs do.

What a server can do to one download is in tests/media/test_hostile.py. Here the same kinds of faults go through the
command, its tables and its exit codes, and the runs after it. Only the patience is shortened (`hurry`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support_build import SHORT, result_of, write_sources
from tests.support_hostile import answer, drip, flood, gzip_of_zeros, silence, silent_body, vast_headers
from tests.support_hostile_site import BUILDING, RETRIES, told
from tests.support_server import (
    Act,
    Behaviour,
    Content,
    Redirect,
    Reset,
    Server,
    Status,
    Truncate,
)
from tests.support_video import numbered_video

TRIES = 1 + RETRIES
FEED, HLS = "application/rss+xml", "application/x-mpegurl"


@dataclass(frozen=True)
class Fault:
    """`requests` is written down from the rule: one to look up, one to download, each TRIES times at most."""

    path: str
    behaviour: Behaviour
    error_class: str
    requests: int
    serves: bool = False
    """The file is there, and the very first request, the look-up, is answered."""


def faults(video: bytes, private: str) -> dict[str, Fault]:
    """By video id."""
    return {
        "gone": Fault("/gone.mp4", Status(404), "removed", 1),
        "forbidden": Fault("/forbidden.mp4", Status(403), "private", 1),
        "legal": Fault("/legal.mp4", Status(451), "geo", 1),
        "busy": Fault("/busy.mp4", Status(503), "network", TRIES),
        "busy_in_mid_file": Fault("/mid.mp4", Status(503), "network", 1 + TRIES, serves=True),
        "later": Fault("/later.mp4", Status(503, {"Retry-After": "86400"}), "network", 1),
        "reset": Fault("/reset.mp4", Reset(), "network", TRIES),
        # three times 700 bytes of 3,000; the next run goes on from there
        "cut_short": Fault("/cut.mp4", Truncate(700), "network", 1 + TRIES, serves=True),
        "silent": Fault("/silent.mp4", Act(silence), "network", TRIES),
        "stalled": Fault("/stalled.mp4", Act(silent_body(video[:2000], len(video))), "network", 1 + TRIES),
        "trickle": Fault("/trickle.mp4", Act(drip(b"a", 0.05)), "network", 1 + TRIES),
        "headers": Fault("/headers.mp4", Act(vast_headers), "network", TRIES),
        "wrong_length": Fault("/length.mp4", Act(answer(200, video, length=len(video) + 1)), "network", 1 + TRIES),
        "loop": Fault("/loop.mp4", Redirect("/loop.mp4"), "network", 5),
        "to_private": Fault("/private.mp4", Redirect(private), "network", 1),
        "to_file": Fault("/file.mp4", Redirect("file:///etc/passwd"), "bad-media", 1),
        "to_ftp": Fault("/ftp.mp4", Redirect("ftp://127.0.0.1/a.mp4"), "bad-media", 1),
        "page": Fault("/page.mp4", Content(b"<html><body>hello</body></html>", "video/mp4"), "bad-media", 2),
        "login": Fault("/login.mp4", Content(b"<html><title>Log in</title></html>"), "bad-media", 1),
        "bomb": Fault("/bomb.mp4", Act(answer(200, gzip_of_zeros(64 << 20), Content_Encoding="gzip")), "bad-media", 1),
        "endless": Fault("/endless.mp4", Act(flood(video * 40, "video/mp4", True, 64 << 20)), "bad-media", 2),
        "no_video": Fault("/noise.mp4", Content(b"\0\0\0\x18ftypmp42" + b"noise" * 999, "video/mp4"), "bad-media", 2),
        "says_private": Fault("/site/p", Content(told(says="This video is private").encode()), "private", 1),
        "says_removed": Fault("/site/r", Content(told(says="This video has been removed").encode()), "removed", 1),
        "says_nonsense": Fault("/site/n", Content(told(raises="RecursionError").encode()), "internal", 1),
        "local_file": Fault(
            "/site/f", Content(told(formats=[{"url": "file:///etc/passwd", "format_id": "1"}]).encode()), "bad-media", 1
        ),
        # links whose videos are not known without asking: rows without a video_id
        "": Fault("/list", Act(answer(200, b"<rss>" * 400_000, FEED)), "bad-media", 1),
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    web = tmp_path / "web"
    web.mkdir()
    numbered_video(web / "good.mp4", 45)
    with Server(web) as running:
        yield running


def build(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BUILDING, "build-dataset", *map(str, args)]
    root = Path(__file__).parents[1]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=400, cwd=root, env=os.environ | {"COLUMNS": "80"}, check=False
    )


def rows(out: Path, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "manifests" / f"{table}.parquet").to_pylist()
    return found


def asked(server: Server) -> Counter[str]:
    return Counter(seen.path for seen in server.requests)


def test_a_build_over_a_hostile_internet(server: Server, tmp_path: Path, detector_weights: Path) -> None:
    out, video = tmp_path / "out", (server.folder / "good.mp4").read_bytes()
    with Server(server.folder, "127.0.0.2") as busy, Server(server.folder, "127.0.0.3") as inside:
        table = faults(video, inside.url("/good.mp4"))
        for fault in table.values():
            if fault.serves:
                server.plan(fault.path, None)
                shutil.copy(server.folder / "good.mp4", server.folder / fault.path.lstrip("/"))
            server.always(fault.path, fault.behaviour)
        busy.always("/good.mp4", Status(429, {"Retry-After": "7200"}))
        sources = [
            {"url": server.url("/good.mp4"), "video_id": "good", "city": "Tokyo"},
            *({"url": server.url(f.path), "video_id": name, "city": "Tokyo"} for name, f in table.items()),
            {"url": busy.url("/good.mp4"), "video_id": "asks_a_pause", "city": "Tokyo"},
            {"url": busy.url("/next.mp4"), "video_id": "same_site", "city": "Tokyo"},
        ]
        csv = write_sources(tmp_path / "sources.csv", sources)
        # 127.0.0.3 stands for a private host: the guard lets the other two through (see `begin`)
        args = (csv, "--out", out, *SHORT, "--rate", "360000", "--allow-private-hosts", "--workers", "1")
        done = build(*args)
        assert done.returncode == 3, done.stderr[-3000:]
        assert "Traceback" not in done.stderr and "stopped early: 1 video not tried" in done.stderr

        first = asked(server)
        expected = {fault.path: fault.requests for fault in table.values()} | {"/good.mp4": 2}
        assert dict(first) == expected
        assert (busy.count("/good.mp4"), busy.count("/next.mp4"), inside.count()) == (1, 0, 0)

        videos = {v["video_id"]: v for v in rows(out, "videos")}
        assert videos["good"]["status"] == "done" and "same_site" not in videos
        attempts = {a["video_id"]: a for a in rows(out, "attempts")}
        for name, fault in table.items():
            row = videos[name] if name else next(v for k, v in videos.items() if k.startswith("link_"))
            tried = attempts[row["video_id"]]
            assert (row["status"], str(row["reason"]).partition(":")[0]) == ("failed", fault.error_class), name
            assert (tried["stage"], tried["error_class"]) == ("download", fault.error_class) or name == "no_video", name
            assert "\n" not in tried["message"] and "\x1b" not in tried["message"], name
        assert {c["video_id"] for c in rows(out, "clips")} == {"good"}
        assert not list(out.rglob("*.part*")) and not list((tmp_path / "out.cache").rglob("*.mp4.part-Frag*"))

        # The next run asks only for what was not tried; that it still may not
        server.requests.clear()
        busy.requests.clear()
        again = build(*args)
        assert again.returncode == 1, again.stderr[-3000:]
        assert server.count() == 0 and dict(asked(busy)) == {"/next.mp4": 1}

        # --retry-failed asks for what may come back and for nothing that is gone: twice where all is well again, or as
        # often as before. What failed in mid-file now fails at once. Of what was cut short 2,100 bytes are there: it is
        # looked up, 700 more come, and the rest
        retryable = {f.path: f.requests for f in table.values() if f.error_class in ("network", "internal")}
        well = {"/busy.mp4", "/reset.mp4", "/later.mp4", "/silent.mp4"}
        for path in well:
            server.always(path, Content(video, "video/mp4"))
        busy.always("/good.mp4", None)
        done = build(*args, "--retry-failed", "--json")
        assert dict(asked(server)) == {**retryable, **dict.fromkeys(well, 2), "/mid.mp4": TRIES, "/cut.mp4": 3}
        ranges = [seen.headers.get("Range") for seen in server.requests if seen.path == "/cut.mp4"]
        assert ranges == [None, "bytes=2100-", "bytes=2800-"]
        assert result_of(done)["dataset"]["done"] == len(well) + len({"good", "cut_short", "asks_a_pause"})
        assert done.returncode == 1
