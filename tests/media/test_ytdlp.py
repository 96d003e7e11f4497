"""yt-dlp runs nobody else's code and starts no other program, whatever lies in its way and whatever a site offers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.errors import ErrorClass, VideoError
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from tests.support_hostile_site import register, told
from tests.support_server import Server

PROGRAMS = ("rtmpdump", "mplayer", "mpv", "ffmpeg", "ffprobe", "curl", "wget", "aria2c", "axel", "httpie", "vlc")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Server]:
    register()
    with Server(tmp_path) as running:
        yield running


def config(tmp_path: Path) -> DownloadConfig:
    return DownloadConfig(
        cache=tmp_path / "cache", rate_per_hour=1e9, allow_private_hosts=True, retries=0, timeout_s=5.0
    )


OFFERS: dict[str, dict[str, Any]] = {
    "rtmp": {"url": "rtmp://127.0.0.1:1/a/b", "ext": "flv", "play_path": "b", "app": "a"},
    "rtmpe": {"url": "rtmpe://127.0.0.1:1/a/b", "ext": "flv"},
    "rtsp": {"url": "rtsp://127.0.0.1:1/a", "ext": "mp4"},
    "RTMP by ffmpeg": {"url": "rtmp://127.0.0.1:1/a", "protocol": "rtmp_ffmpeg", "ext": "mp4"},
}


@pytest.mark.parametrize("offer", OFFERS)
def test_a_stream_that_needs_another_program_is_refused(
    site: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offer: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in PROGRAMS:
        (programs / name).write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/started\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    subprocess.run(["rtmpdump", "-h"], check=True)
    (tmp_path / "started").unlink()
    site.page("/site/x", told(formats=[{"format_id": "1", **OFFERS[offer]}]), "application/json")
    with pytest.raises(VideoError) as failure:
        Downloader(config(tmp_path)).fetch("x", site.url("/site/x"))
    assert failure.value.error_class is ErrorClass.BAD_MEDIA
    assert not (tmp_path / "started").exists()


def test_a_plugin_that_lies_on_the_path_is_not_run(tmp_path: Path) -> None:
    """yt-dlp itself runs it as soon as it begins."""
    plugin = tmp_path / "path" / "yt_dlp_plugins" / "extractor" / "evil.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'path'}{os.pathsep}{Path(__file__).parents[2]}"}
    ours = (
        "from pathlib import Path; import sys\n"
        "from cityguessr_data.core.errors import VideoError\n"
        "from cityguessr_data.media.download import Downloader\n"
        "from cityguessr_data.media.download_config import DownloadConfig\n"
        "config = DownloadConfig(cache=Path(sys.argv[1]), rate_per_hour=1e9, allow_private_hosts=True, retries=0)\n"
        "if __name__ == '__main__':\n"
        "    try:\n"
        "        Downloader(config).resolve('http://127.0.0.1:1/page')\n"
        "    except VideoError as exc:\n"
        "        print(exc.error_class.value)\n"
    )
    (tmp_path / "ours.py").write_text(ours)
    (tmp_path / "theirs.py").write_text("import yt_dlp\nyt_dlp.YoutubeDL({'quiet': True}).close()\n")

    def run(script: str) -> str:
        command = [sys.executable, str(tmp_path / script), str(tmp_path / "cache")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert run("ours.py").split() == ["network"]
    assert not (tmp_path / "ran").exists()
    run("theirs.py")
    assert (tmp_path / "ran").exists(), "the trap itself must work"
