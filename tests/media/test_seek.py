"""A frame found by seeking is the frame of that number: numbers are painted into the pictures of the film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cityguessr_data.core.errors import MediaError
from cityguessr_data.media import seek
from cityguessr_data.media.decode import decode, index_video
from tests.support_video import ffmpeg, numbered_video, read_number


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films of 240 frames: key frames far apart with B-frames, a transport stream, uneven times, turned, cut."""
    folder = tmp_path_factory.mktemp("films")
    plain = numbered_video(folder / "plain.mp4", 240, args=("-g", 100, "-bf", 3))
    made = {"plain": plain}
    for name, args in {
        "stream.ts": ("-c", "copy"),
        "matroska.mkv": ("-c", "copy"),
        "uneven.mp4": ("-vf", "setpts='(N+0.4*mod(N,3))/30/TB'", "-g", "60", "-fps_mode", "passthrough"),
        "late.mp4": ("-c", "copy", "-output_ts_offset", "7"),
    }.items():
        ffmpeg("-i", plain, *args, folder / name)
        made[name] = folder / name
    ffmpeg("-display_rotation", "90", "-i", plain, "-c", "copy", folder / "turned.mp4")
    return made | {"turned": folder / "turned.mp4"}


@pytest.mark.parametrize("name", ["plain", "stream.ts", "matroska.mkv", "uneven.mp4", "late.mp4"])
def test_every_frame_is_the_one_of_its_number(films: dict[str, Path], name: str) -> None:
    index = index_video(films[name])
    assert index.info.n_frames == 240
    for number in (0, 1, 59, 60, 99, 100, 101, 150, 238, 239):
        assert read_number(seek.frame_at(films[name], number, index)) == number


def test_it_is_the_picture_that_a_pass_over_the_film_gives(films: dict[str, Path]) -> None:
    index = index_video(films["turned"])
    (passed,) = [frame.rgb for frame in decode(films["turned"], {137}, 138, index)]
    assert passed.shape[0] > passed.shape[1], "turned upright"
    assert np.array_equal(seek.frame_at(films["turned"], 137, index), passed)


@pytest.mark.parametrize("name", ["plain", "stream.ts", "matroska.mkv", "late.mp4"])
def test_the_film_is_sought_and_not_decoded_from_its_start(
    films: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seek, "decode", lambda *_args: pytest.fail("decoded in one pass"))
    for number in (99, 200, 239):
        assert read_number(seek.frame_at(films[name], number, index_video(films[name]))) == number


def test_where_packets_have_no_time_of_showing_the_frame_is_the_right_one(
    films: dict[str, Path], tmp_path: Path
) -> None:
    avi = tmp_path / "bframes.avi"  # an AVI has one time a packet, that of decoding
    ffmpeg("-i", films["plain"], "-c:v", "libx264", "-bf", 3, "-g", 50, avi)
    index = index_video(avi)
    for number in (0, 3, 6, 49, 50, 51, 120):
        (passed,) = [frame.rgb for frame in decode(avi, {number}, number + 1, index)]
        assert np.array_equal(seek.frame_at(avi, number, index), passed)


def test_without_times_it_is_found_in_one_pass(films: dict[str, Path], tmp_path: Path) -> None:
    bare = tmp_path / "bare.h264"
    ffmpeg("-i", films["plain"], "-c", "copy", "-bsf:v", "h264_mp4toannexb", bare)
    assert read_number(seek.frame_at(bare, 77, index_video(bare))) == 77


def test_a_frame_that_is_not_there(films: dict[str, Path]) -> None:
    index = index_video(films["plain"])
    for number in (-1, 240):
        with pytest.raises(MediaError, match="has no frame"):
            seek.frame_at(films["plain"], number, index)
