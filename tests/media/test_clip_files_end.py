"""The ffmpeg of `--keep-clips` ends with its worker, works in a folder of its own, and is heard while it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cityguessr_data.core.types import Clip, Place
from cityguessr_data.media import clip_files
from tests.support_video import numbered_video

OSLO = Place("Oslo", "Oslo", "Norway", "Europe")
CODE = """
import sys
from pathlib import Path
from cityguessr_data.media import clip_files
from tests.media.test_clip_files_end import stands_for_ffmpeg
clip_files._run([*stands_for_ffmpeg(Path(sys.argv[1]))], Path(sys.argv[1]), lambda: print("alive", flush=True))
"""


def stands_for_ffmpeg(folder: Path) -> list[str]:
    """It notes its number, writes some bytes and then hangs."""
    return ["sh", "-c", 'echo $$ > "$0/pid" && exec sleep 3600', str(folder)]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_it_ends_with_its_worker_and_one_that_hangs_is_not_heard(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    worker = subprocess.Popen(
        [sys.executable, "-c", CODE, tmp_path],
        cwd=root,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    time.sleep(5 * clip_files._LOOK_S)
    assert lives(pid)
    worker.send_signal(signal.SIGKILL)
    heard, _ = worker.communicate()
    assert 1 <= len(heard.split()) <= 3, "heard when it has written, and no more when it hangs"
    while lives(pid):
        assert time.monotonic() < deadline, "ffmpeg goes on without its worker"
        time.sleep(0.05)


def test_what_another_ffmpeg_writes_is_no_part_of_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "clips" / ".x_00000.cutting"
    other.mkdir(parents=True)
    (other / "000000.mp4").write_bytes(b"of a worker that was given up")
    source, heard, seen = numbered_video(tmp_path / "x.mp4", 90), [], set()
    clips = [Clip("x", number, start, 20, OSLO) for number, start in enumerate((10, 30))]

    def alive() -> None:
        heard.append(1)
        seen.update(path.name for path in (tmp_path / "clips").glob(".*.cutting"))

    files = clip_files.write_clip_files(source, clips, tmp_path / "clips", alive)
    assert heard
    assert len(seen) == 2
    assert all(name.startswith(".x_00000.") for name in seen), "by this name `cache drop` knows whose it is"
    assert (other / "000000.mp4").read_bytes() == b"of a worker that was given up"
    assert sorted(path for path in (tmp_path / "clips").iterdir() if path != other) == files
