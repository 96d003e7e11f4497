"""Kept clips are the frames of their spans, wherever the cache lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.core.errors import MediaError
from cityguessr_data.core.types import Clip, Place
from cityguessr_data.media.clip_files import write_clip_files
from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.media.limits import MAX_ALLOCATION_BYTES, MAX_PADDED_PIXELS
from tests.support_video import numbered_video, read_number

OSLO = Place("Oslo", "Oslo", "Norway", "Europe")


def clips(*starts: int, n_frames: int = 20) -> list[Clip]:
    return [Clip("x", number, start, n_frames, OSLO) for number, start in enumerate(starts)]


@pytest.mark.parametrize("name", ["50% of it", "a%d", "%06d%%x"])
def test_a_percent_in_the_folder_is_only_a_letter(tmp_path: Path, name: str) -> None:
    source = numbered_video(tmp_path / "x.mp4", 90)
    folder = tmp_path / name
    files = write_clip_files(source, clips(10, 30, 65), folder)
    assert sorted(folder.iterdir()) == files
    for file, start in zip(files, (10, 30, 65), strict=True):
        frames = decode(file, range(20), 20, index_video(file))
        assert [read_number(frame.rgb) for frame in frames] == list(range(start, start + 20))


def test_clips_of_a_stream_cut_before_its_first_key_frame(tmp_path: Path) -> None:
    encoding = ("-c:v", "mpeg2video", "-q:v", "2", "-g", "25", "-bf", "2", "-f", "mpegts")
    content = numbered_video(tmp_path / "whole.ts", 90, args=encoding).read_bytes()
    source = tmp_path / "cut.ts"
    source.write_bytes(content[len(content) // 10 // 188 * 188 :])
    first = 90 - index_video(source).info.n_frames
    for file, start in zip(write_clip_files(source, clips(0, 20), tmp_path / "clips"), (0, 20), strict=True):
        frames = decode(file, range(20), 20, index_video(file))
        assert [read_number(frame.rgb) for frame in frames] == list(range(first + start, first + start + 20))


def test_a_list_is_not_followed_to_another_video(tmp_path: Path) -> None:
    numbered_video(tmp_path / "real.mp4", 30)
    source = tmp_path / "list.mp4"
    source.write_text("ffconcat version 1.0\nfile 'real.mp4'\n" + "# more\n" * 20_000)
    with pytest.raises(MediaError, match="could not cut"):
        write_clip_files(source, clips(0), tmp_path / "clips")
    assert list((tmp_path / "clips").iterdir()) == []


def test_ffmpeg_is_told_what_it_may_read_and_how_much_it_may_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No format of those that are read leads to another protocol today: the second lock must be there all the same."""
    started: list[list[str]] = []

    def run(command: list[str], *_: object) -> tuple[bool, str]:
        started.append(command)
        return True, "no"

    monkeypatch.setattr("cityguessr_data.media.clip_files._run", run)
    with pytest.raises(MediaError):
        write_clip_files(tmp_path / "x.mp4", clips(0), tmp_path / "clips")
    (command,) = started
    of_input = command[: command.index("-i")]
    assert of_input[of_input.index("-protocol_whitelist") + 1] == "file"
    assert int(of_input[of_input.index("-max_pixels") + 1]) == MAX_PADDED_PIXELS
    assert int(command[command.index("-max_alloc") + 1]) == MAX_ALLOCATION_BYTES


@pytest.mark.parametrize("starts", [(10, 30), (80, 200)])
def test_a_fault_leaves_no_work_folder(tmp_path: Path, starts: tuple[int, ...]) -> None:
    source = tmp_path / "x.mp4"
    source.write_bytes(b"no video")
    folder = tmp_path / "clips"
    with pytest.raises(MediaError):
        write_clip_files(source, clips(*starts), folder)
    assert list(folder.iterdir()) == []
