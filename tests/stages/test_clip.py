"""Which frames become which clip: spans, samples, breaks, limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.core.types import LocalVideo, Place, SampledFrame, SourceRow, VideoTask
from cityguessr_data.media.decode import index_video
from cityguessr_data.run.stage import DropVideo, VideoJob
from cityguessr_data.stages.clip import ClipConfig, ClipStage
from tests.support_video import numbered_video, read_number

TOKYO = Place("Tokyo", "Tokyo", "Japan", "Asia")
OSAKA = Place("Osaka", "Osaka", "Japan", "Asia")
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")


def row(start_s: float | None = None, end_s: float | None = None, place: Place = TOKYO) -> SourceRow:
    return SourceRow(2, "x.mp4", place, "x", start_s, end_s)


def run(
    path: Path, config: ClipConfig, *rows: SourceRow, keep: Path | None = None
) -> tuple[VideoJob, list[SampledFrame]]:
    task = VideoTask("x", str(path), rows or (row(),))
    source = LocalVideo(path, str(path), "")
    job = VideoJob(task, source, path.parent / "staging", lambda _stage, _n: None)
    return job, list(ClipStage(config, keep).run(job, iter([source])))


def clips_of(frames: list[SampledFrame]) -> list[tuple[str, int, int]]:
    return list(dict.fromkeys((f.clip.clip_id, f.clip.start_frame, f.clip.end_frame) for f in frames))


def test_clips_and_samples_follow_the_rule_of_the_contract(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x.mp4", 205)
    job, frames = run(path, ClipConfig(80, 90, 10))
    # By hand: k = 205 // 80 = 2 clips of min(90, 205 // 2) = 90 frames; 25 frames are left over.
    assert clips_of(frames) == [("x_00000", 0, 90), ("x_00001", 90, 180)]
    assert job.tail_frames == 25
    assert [f.position for f in frames] == [*range(10)] * 2
    expected = [0, 9, 18, 27, 36, 45, 54, 63, 72, 81]
    assert [f.frame_index for f in frames] == expected + [90 + i for i in expected]
    assert [read_number(f.rgb) for f in frames] == [f.frame_index for f in frames]
    assert frames[13].timestamp_s == pytest.approx(117 / 30, abs=0.002)
    first, second = frames[0].clip, frames[-1].clip
    assert (first.start_s, first.end_s) == pytest.approx((0, 3), abs=0.002)
    assert (second.start_s, second.end_s) == pytest.approx((3, 6), abs=0.002)


def test_spans_are_numbered_over_the_video_and_keep_their_own_city(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x.mp4", 300)
    job, frames = run(path, ClipConfig(40, 50, 5), row(1, 3, TOKYO), row(4, None, OSAKA))
    # 1 s - 3 s: frames 30-89, 60 // 40 = 1 clip of 50. From 4 s: frames 120-299, 180 // 40 = 4 clips of 45.
    assert clips_of(frames) == [
        ("x_00000", 30, 80), ("x_00001", 120, 165), ("x_00002", 165, 210), ("x_00003", 210, 255), ("x_00004", 255, 300),
    ]  # fmt: skip
    assert [f.clip.place.city for f in frames[::5]] == ["Tokyo"] + ["Osaka"] * 4
    assert job.tail_frames == 10
    assert [read_number(f.rgb) for f in frames] == [f.frame_index for f in frames]


def numbered_row(number: int, start_s: float, end_s: float) -> SourceRow:
    return SourceRow(2, "x.mp4", TOKYO, "x", start_s, end_s, clip_index=number)


def test_numbered_rows_give_the_clips_that_they_were_made_of(tmp_path: Path) -> None:
    """Their spans are the times of clips, which come back whatever is missing between them, in any order of numbers."""
    path = numbered_video(tmp_path / "x.mp4", 300, fps=29.97)
    config = ClipConfig(40, 50, 5)
    _, frames = run(path, config)
    clips = list(dict.fromkeys(frame.clip for frame in frames))
    assert len(clips) == 7
    kept = [clip for clip in clips if clip.index not in (0, 3)]
    rows = [numbered_row(clip.index, clip.start_s, clip.end_s) for clip in kept]
    job, again = run(path, config, *rows)
    assert list(dict.fromkeys(frame.clip for frame in again)) == kept
    assert [(f.clip.index, f.frame_index) for f in again] == [
        (f.clip.index, f.frame_index) for f in frames if f.clip in kept
    ]
    assert job.tail_frames == 0
    _, odd = run(path, config, numbered_row(99_999, clips[1].start_s, clips[1].end_s))
    assert clips_of(odd) == [("x_99999", clips[1].start_frame, clips[1].end_frame)]


def test_a_numbered_span_that_is_no_longer_one_clip_gives_none(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x.mp4", 300)
    # 30 frames are too few for a clip, 150 are three of 50, 50 are one
    rows = [numbered_row(4, 0, 1), numbered_row(5, 1, 6), numbered_row(6, 6, 6 + 50 / 30)]
    job, frames = run(path, ClipConfig(40, 50, 5), *rows)
    assert clips_of(frames) == [("x_00006", 180, 230)]
    assert job.tail_frames == 180
    with pytest.raises(DropVideo):
        run(path, ClipConfig(40, 50, 5), *rows[:2])


def broken_video(tmp_path: Path, n: int, keep_frames: float) -> tuple[Path, int]:
    """A fragmentless MP4 of `n` numbered frames cut off after a share of its bytes; and how many packets are left."""
    whole = numbered_video(tmp_path / "whole.mp4", n, args=(*X264, "-g", "20", "-movflags", "+faststart"))
    path = tmp_path / "x.mp4"
    path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * keep_frames)])
    return path, index_video(path).info.n_frames


def test_a_file_cut_in_the_middle_yields_the_clips_before_and_a_fault(tmp_path: Path) -> None:
    path, left = broken_video(tmp_path, 300, 0.55)
    assert 100 < left < 250
    job, frames = run(path, ClipConfig(40, 40, 4))
    assert job.faults["clip"][0] == "bad-media"
    assert str(left) in job.faults["clip"][1]
    assert len(clips_of(frames)) in (left // 40, left // 40 - 1)
    assert [read_number(f.rgb) for f in frames] == [f.frame_index for f in frames]


def damaged_video(tmp_path: Path) -> tuple[Path, int]:
    """All packets are there, but the picture size changes at frame 165: decoding ends there for us."""
    first = numbered_video(tmp_path / "a.ts", 165, args=(*X264, "-f", "mpegts"))
    second = numbered_video(
        tmp_path / "b.ts", 60, size=(256, 128), args=(*X264, "-f", "mpegts", "-output_ts_offset", "5.5")
    )
    path = tmp_path / "x.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path, 165


def test_a_clip_that_is_too_short_at_the_break_is_lost_and_counted(tmp_path: Path) -> None:
    path, end = damaged_video(tmp_path)
    # 225 packets: k = 225 // 70 = 3 clips of 75; decoding ends at 165, 15 frames into the third: too short.
    job, frames = run(path, ClipConfig(70, 90, 7))
    whole = [f for f in frames if f.clip.end_frame <= end]
    assert clips_of(whole) == [("x_00000", 0, 75), ("x_00001", 75, 150)]
    assert job.lost_clips == 1
    assert "165" in job.faults["clip"][1]


def test_the_break_inside_a_long_enough_clip_shortens_it(tmp_path: Path) -> None:
    path, _ = damaged_video(tmp_path)
    job, frames = run(path, ClipConfig(50, 112, 10))
    # k = 4 clips of 56; the third (112-168) is cut at 165 with 53 frames: kept, sampled over 53.
    last = [f for f in frames if f.clip.clip_id == "x_00002"][-10:]
    assert clips_of(last) == [("x_00002", 112, 165)]
    assert [f.frame_index for f in last] == [112 + p * 53 // 10 for p in range(10)]
    assert [read_number(f.rgb) for f in last] == [f.frame_index for f in last]
    assert job.lost_clips == 1  # the fourth


def test_a_break_before_the_first_clip_is_a_media_error(tmp_path: Path) -> None:
    path, left = broken_video(tmp_path, 120, 0.4)
    with pytest.raises(MediaError, match="before one clip"):
        run(path, ClipConfig(left + 5, left + 10, 4))


def test_ten_frames_are_dropped_as_too_short(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x.mp4", 10)
    with pytest.raises(DropVideo) as dropped:
        run(path, ClipConfig())
    assert dropped.value.reason == "too-short"
    assert "10 frames" in str(dropped.value)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_duration_s": 3.0}, "too-short"),
        ({"max_duration_s": 1.0}, "too-long"),
        ({"min_height_px": 97}, "too-small"),
    ],
)
def test_limits_drop_and_say_why(tmp_path: Path, limits: dict[str, float], reason: str) -> None:
    path = numbered_video(tmp_path / "x.mp4", 60)
    with pytest.raises(DropVideo) as dropped:
        run(path, ClipConfig(20, 30, 5, **limits))
    assert dropped.value.reason == reason


def test_kept_clips_are_the_same_frames(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x.mp4", 300, args=(*X264, "-g", "250"))
    run(path, ClipConfig(40, 50, 5), row(1, 3), row(4, None), keep=tmp_path / "clips")
    for name, start, n in [("x_00000", 30, 50), ("x_00001", 120, 45), ("x_00002", 165, 45), ("x_00004", 255, 45)]:
        clip = tmp_path / "clips" / f"{name}.mp4"
        assert index_video(clip).info.n_frames == n
        _, frames = run(clip, ClipConfig(n, n, n))
        assert [read_number(f.rgb) for f in frames] == list(range(start, start + n))


@pytest.mark.parametrize("bad", [(0, 10, 5), (20, 10, 5), (10, 20, 11), (10, 20, 0)])
def test_impossible_configurations_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(InputError):
        ClipConfig(*bad)
