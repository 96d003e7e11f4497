"""Files that break in the middle of being opened or read: a typed answer, and nothing that PyAV alone would do."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media import limits, opening
from cityguessr_data.media.decode import DecodeBreak, decode, index_video
from tests.support_crafted import full, with_box
from tests.support_video import ffmpeg, numbered_video, read_number


def test_a_title_that_is_not_utf_8_does_not_matter(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "a.flv", 10)
    titled = tmp_path / "titled.flv"
    ffmpeg("-i", video, "-c", "copy", "-metadata", "title=CAFE-CAFE-CAFE", titled)
    titled.write_bytes(titled.read_bytes().replace(b"CAFE-CAFE-CAFE", "CAF\xc9-CAF\xc9-CAF\xc9".encode("latin-1")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(titled))
    assert index_video(titled).info.n_frames == 10


def test_a_stream_that_begins_in_mid_file_changes_nothing(tmp_path: Path) -> None:
    """PyAV looks for it among the streams it knows, and sometimes ends in an IndexError."""
    video = numbered_video(tmp_path / "a.ts", 30, args=("-c:v", "libx264", "-bf", "2", "-f", "mpegts"))
    sound = tmp_path / "b.ts"
    ffmpeg(
        *("-i", video, "-f", "lavfi", "-i", "sine=duration=1", "-c:v", "copy", "-shortest"),
        *("-mpegts_flags", "+resend_headers", "-f", "mpegts", sound),
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(video.read_bytes() * 200 + sound.read_bytes())  # past what is probed when it is opened
    index = index_video(joined)
    assert index.info.n_frames == 201 * 30
    last = list(decode(joined, {40}, 60, index, 1))
    assert [read_number(frame.rgb) for frame in last] == [10]


class _Broken:
    """A container whose demuxer ends as PyAV's does where a stream began in mid-file."""

    def demux(self, stream: str) -> list[str]:
        raise IndexError("list index out of range")


def test_the_index_error_of_pyav_is_the_end_of_the_stream() -> None:
    assert list(opening.packets_of(_Broken(), "stream")) == []


def test_a_clock_that_jumps_for_years_is_refused(tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "a.ivf", 10, args=("-c:v", "libvpx", "-f", "ivf"))
    content = bytearray(video.read_bytes())
    first = int.from_bytes(content[32:36], "little")
    content[44 + first + 4 : 44 + first + 12] = (1 << 40).to_bytes(8, "little")
    video.write_bytes(content)
    with pytest.raises(MediaError, match="days apart"):
        index_video(video)


def test_an_edit_list_that_shows_all_50_times_is_refused_and_twice_is_not(tmp_path: Path) -> None:
    content = numbered_video(tmp_path / "a.mp4", 30, args=("-c:v", "libx264", "-bf", "0", "-crf", "12")).read_bytes()
    edit = np.array([[1000, 0]], ">i4").tobytes() + b"\0\1\0\0"
    for times, refused in ((2, False), (50, True)):
        path = tmp_path / f"{times}.mp4"
        path.write_bytes(with_box(content, b"elst", full(times.to_bytes(4, "big") + edit * times)))
        if refused:
            with pytest.raises(MediaError, match="declares more frames than it can hold"):
                index_video(path)
        else:
            assert index_video(path).info.n_frames == 60


def test_more_frames_than_are_read_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = numbered_video(tmp_path / "a.mp4", 30)
    monkeypatch.setattr("cityguessr_data.media.decode.MAX_FRAMES", 30)
    assert index_video(video).info.n_frames == 30
    monkeypatch.setattr("cityguessr_data.media.decode.MAX_FRAMES", 29)
    with pytest.raises(MediaError, match="declares more frames"):
        index_video(video)


def test_ffmpeg_may_not_ask_for_more_than_the_limit_at_once(tmp_path: Path) -> None:
    index_video(numbered_video(tmp_path / "a.mp4", 5))
    library = ctypes.CDLL(av._core.__file__)
    library.av_malloc.restype, library.av_malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    library.av_free.argtypes = (ctypes.c_void_p,)
    assert library.av_malloc(limits.MAX_ALLOCATION_BYTES + 1) is None
    fits = library.av_malloc(limits.MAX_ALLOCATION_BYTES - 4096)
    assert fits
    library.av_free(fits)


def test_pyav_is_told_to_read_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No format of those that are read leads to another protocol today: the second lock must be there all the same."""
    told: list[dict[str, Any]] = []
    path = numbered_video(tmp_path / "a.mp4", 5)
    opens = av.open

    def opened(file: str, **options: Any) -> Any:
        told.append(options)
        return opens(file, **options)

    monkeypatch.setattr(av, "open", opened)
    with opening.open_video(path):
        pass
    assert [one["container_options"]["protocol_whitelist"] for one in told] == ["file"]
    assert [int(one["options"]["max_pixels"]) for one in told] == [limits.MAX_PADDED_PIXELS]


def test_reading_and_decoding_say_that_they_are_alive(tmp_path: Path) -> None:
    video, beats = numbered_video(tmp_path / "a.mp4", 30), []
    index = index_video(video, lambda: beats.append("index"))
    assert len(beats) >= 30
    beats.clear()
    assert [frame.index for frame in decode(video, {29}, 30, index, 1, lambda: beats.append("decode"))] == [29]
    assert len(beats) >= 30, "also before the first frame that is wanted"


def test_a_picture_whose_colours_are_of_no_known_kind_breaks_the_decoding(tmp_path: Path) -> None:
    """Found by the mutants: it decodes, and only the conversion to RGB fails."""
    video = numbered_video(tmp_path / "a.mov", 10, args=("-c:v", "prores_ks", "-profile:v", "0"))
    content, at = bytearray(video.read_bytes()), 0
    while (at := content.find(b"icpf", at)) >= 0:
        content[at + 20] = 200  # of ITU-T H.273, which knows some twenty
        at += 4
    video.write_bytes(content)
    index = index_video(video)
    with pytest.raises(DecodeBreak, match="a picture cannot be shown"):
        list(decode(video, {0}, 10, index))
