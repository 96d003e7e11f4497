"""Frames are counted and numbered right in every kind of file that sites and phones give."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media.decode import DecodeBreak, decode, index_video
from tests.support_video import FFMPEG, ffmpeg, numbered_frame, numbered_video, read_number

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")


def decoded(path: Path, wanted: list[int]) -> list[tuple[int, float, np.ndarray]]:
    index = index_video(path)
    return [(f.index, f.time_s, f.rgb) for f in decode(path, set(wanted), max(wanted) + 1, index)]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("b_frames.mp4", (*X264, "-bf", "3", "-g", "25", "-tune", "film")),
        ("open_gop.mkv", (*X264, "-bf", "2", "-g", "20", "-x264-params", "open-gop=1")),
        ("stream.ts", (*X264, "-f", "mpegts")),
        ("offset.ts", (*X264, "-output_ts_offset", "7.5", "-f", "mpegts")),
        ("offset.mkv", (*X264, "-output_ts_offset", "3")),
        ("vp9.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-crf", "15", "-b:v", "0")),
        ("old.avi", ("-c:v", "mpeg4", "-q:v", "2", "-bf", "2")),
        ("fragments.mp4", (*X264, "-movflags", "frag_keyframe+empty_moov")),
    ],
)  # fmt: skip
def test_every_container_gives_the_frames_by_their_numbers(tmp_path: Path, name: str, args: tuple[str, ...]) -> None:
    path = numbered_video(tmp_path / name, 90, args=args)
    index = index_video(path)
    assert index.info.n_frames == 90
    assert (index.info.width, index.info.height) == (192, 96)
    assert index.info.fps == pytest.approx(30, rel=0.01)
    assert index.info.duration_s == pytest.approx(3, abs=0.02)
    assert index.times_s[0] == 0.0
    wanted = [0, 1, 31, 58, 89]
    got = decoded(path, wanted)
    assert [i for i, _, _ in got] == wanted
    assert [read_number(rgb) for _, _, rgb in got] == wanted
    assert [t for _, t, _ in got] == pytest.approx([i / 30 for i in wanted], abs=0.002)


def test_variable_frame_rate_keeps_every_frame_and_its_own_time(tmp_path: Path) -> None:
    path = tmp_path / "vfr.mp4"
    # Frames 0-29 last 1/30 s, frames 30-59 last 1/10 s.
    numbered_video(
        path, 60, args=("-vf", "setpts='if(lt(N,30),N/30,1+(N-30)/10)/TB'", "-fps_mode", "passthrough", *X264)
    )
    index = index_video(path)
    assert index.info.n_frames == 60
    assert [read_number(rgb) for _, _, rgb in decoded(path, [29, 30, 45, 59])] == [29, 30, 45, 59]
    assert index.times_s[[29, 30, 45]] == pytest.approx([29 / 30, 1.0, 2.5], abs=0.002)
    assert index.frame_at(2.5) == 45
    assert index.frame_at(2.45) == 45
    assert index.frame_at(99) == 60


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_flags_are_applied(tmp_path: Path, turn: int) -> None:
    plain = numbered_video(tmp_path / "plain.mp4", 5)
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", turn, "-i", plain, "-c", "copy", path)
    rgb = decoded(path, [2])[0][2]
    # ffmpeg's own player filters apply the flag: an independent answer to what is upright
    shown = subprocess.run(
        [FFMPEG, "-v", "error", "-i", path, "-frames:v", "3", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    expected = np.frombuffer(shown, np.uint8).reshape(3, *rgb.shape)[2]
    assert index_video(path).info.width == rgb.shape[1]
    assert np.abs(rgb.astype(int) - expected.astype(int)).mean() < 2


def test_mirrored_video_is_shown_mirrored(tmp_path: Path) -> None:
    plain = numbered_video(tmp_path / "plain.mp4", 3)
    path = tmp_path / "mirrored.mp4"
    ffmpeg("-display_hflip", "-i", plain, "-c", "copy", path)
    rgb = decoded(path, [1])[0][2]
    assert np.abs(rgb[:, ::-1].astype(int) - numbered_frame(1).astype(int)).mean() < 6


def test_odd_sizes(tmp_path: Path) -> None:
    args = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "5", "-pix_fmt", "yuv444p")
    path = numbered_video(tmp_path / "odd.mkv", 12, size=(191, 97), args=args)
    rgb = decoded(path, [7])[0][2]
    assert rgb.shape == (97, 191, 3)
    assert np.abs(rgb.astype(int) - numbered_frame(7, 191, 97).astype(int)).mean() < 4


@pytest.mark.parametrize(
    "encoding",
    [
        ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "25", "-bf", "3"),
        (
            "-c:v",
            "mpeg2video",
            "-q:v",
            "2",
            "-g",
            "25",
            "-bf",
            "2",
        ),  # open GOP: two pictures after the key frame go too
    ],
)
def test_a_stream_cut_before_its_first_key_frame_counts_from_the_first_picture(
    tmp_path: Path, encoding: tuple[str, ...]
) -> None:
    whole = numbered_video(tmp_path / "whole.ts", 90, args=(*encoding, "-f", "mpegts"))
    path = tmp_path / "cut.ts"
    content = whole.read_bytes()
    path.write_bytes(content[len(content) // 10 // 188 * 188 :])
    # the real ffmpeg tells how many pictures there are
    shown = subprocess.run(
        [FFMPEG, "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"],
        capture_output=True, check=False,
    ).stdout  # fmt: skip
    n = len(shown) // (192 * 96)
    index = index_video(path)
    assert index.fault is None
    assert index.info.n_frames == n < 70
    got = decoded(path, list(range(n)))
    numbers = [read_number(rgb) for _, _, rgb in got]
    assert numbers == list(range(90 - n, 90))
    assert [t for _, t, _ in got] == pytest.approx([(number - numbers[0]) / 30 for number in numbers], abs=0.002)
    assert index.info.duration_s == pytest.approx(n / 30, abs=0.002)


def test_a_raw_stream_without_times_is_cut_at_its_first_key_frame(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.h264", 60, args=(*X264, "-g", "25")).read_bytes()
    path = tmp_path / "cut.h264"
    path.write_bytes(whole[whole.index(b"\0\0\1\x41", len(whole) // 5) :])  # at a picture that refers to others
    index = index_video(path)
    assert index.info.n_frames == 35
    assert [read_number(rgb) for _, _, rgb in decoded(path, [0, 34])] == [25, 59]


@pytest.mark.parametrize("encoding", [("-c:v", "mpeg4", "-q:v", "2"), X264])
def test_an_avi_with_dropped_frames_is_sound(tmp_path: Path, encoding: tuple[str, ...]) -> None:
    drop = ("-vf", "select='mod(n,5)'", "-fps_mode", "vfr")
    index = index_video(path := numbered_video(tmp_path / "drop.avi", 50, args=(*drop, *encoding)))
    assert index.fault is None
    kept = [n for n in range(50) if n % 5]
    assert index.info.n_frames == len(kept)
    assert index.times_s[-1] == pytest.approx(48.5 / 30, abs=0.02)  # a first dropped frame shifts it by one
    got = decoded(path, list(range(40)))
    assert [read_number(rgb) for _, _, rgb in got] == kept


def test_a_truncated_avi_is_told(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.avi", 200, args=("-c:v", "mpeg4", "-q:v", "2"))
    path = tmp_path / "cut.avi"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    index = index_video(path)
    assert index.fault is not None and "of 200" in index.fault


def test_a_truncated_file_says_where_it_ends_and_gives_the_frames_before(tmp_path: Path) -> None:
    whole = numbered_video(tmp_path / "whole.mp4", 200, args=(*X264, "-g", "25", "-movflags", "+faststart"))
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    index = index_video(path)
    assert index.fault is not None
    assert 80 < index.info.n_frames < 150
    with pytest.raises(DecodeBreak) as broken:
        list(decode(path, set(range(200)), 200, index))
    assert broken.value.n_decoded <= index.info.n_frames
    assert [read_number(rgb) for _, _, rgb in decoded(path, [0, 60])] == [0, 60]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("page.mp4", b"<!doctype html><html><body>Sorry</body></html>", "not a video file"),
        ("empty.mp4", b"", "not a video file"),
        ("list.mp4", b"ffconcat version 1.0\nfile '/etc/hostname'\n", "not a video file"),
        ("hls.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n", "not a video file"),
    ],
)
def test_what_is_no_video_is_refused_without_following_it(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MediaError, match=said):
        index_video(path)


def test_a_concat_list_is_not_followed_even_to_a_real_video(tmp_path: Path) -> None:
    """It is as large as such a video, or it would be refused for having fewer bytes than pictures."""
    numbered_video(tmp_path / "real.mp4", 5)
    path = tmp_path / "list.mp4"
    path.write_text("ffconcat version 1.0\nfile 'real.mp4'\n" + "# more\n" * 20_000)
    shown = subprocess.run([FFMPEG, "-v", "error", "-i", path, "-f", "null", "-"], capture_output=True, check=False)
    assert shown.returncode == 0, "a safe name: ffmpeg itself follows it"
    with pytest.raises(MediaError, match="not a video file that can be opened"):
        index_video(path)


def test_audio_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", path)
    with pytest.raises(MediaError, match="no video stream"):
        index_video(path)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    cover = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", cover)
    path = tmp_path / "song.mp3"
    ffmpeg(
        *("-f", "lavfi", "-i", "sine=duration=1", "-i", cover, "-map", "0", "-map", "1", "-c:v", "copy"),
        *("-disposition:v", "attached_pic", "-id3v2_version", "3", path),
    )
    with pytest.raises(MediaError):
        index_video(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4"):
        index_video(tmp_path / "gone.mp4")
