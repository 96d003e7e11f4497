"""A clip is in the tables when it is whole, and only then, wherever decoding breaks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.types import (
    AnonymisedFrame,
    LabelledFrame,
    LocalVideo,
    Place,
    SampledFrame,
    SourceRow,
    VideoTask,
)
from cityguessr_data.run.compute import Compute, Staged
from cityguessr_data.run.frame_sink import LAYOUTS, Layout
from cityguessr_data.run.stage import VideoJob
from cityguessr_data.run.writer import WriterConfig
from cityguessr_data.stages.clip import ClipConfig, ClipStage
from tests.support_tar import members
from tests.support_video import numbered_video

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-pix_fmt", "yuv420p")


class Faceless:
    """Stands in for the anonymiser and the labeller: these videos show no people."""

    name, version, lane = "anonymise", 1, "inference"

    def open(self) -> None: ...

    def remarks(self) -> tuple[str, ...]:
        return ()

    def run(self, job: VideoJob, items: Iterator[SampledFrame]) -> Iterator[LabelledFrame]:
        for f in items:
            yield LabelledFrame(AnonymisedFrame(f.clip, f.position, f.frame_index, f.timestamp_s, f.rgb, ()), None)


def compute(
    path: Path, config: ClipConfig, tmp_path: Path, layout: Layout = "folder"
) -> tuple[Staged, list[dict[str, Any]], int]:
    row = SourceRow(2, "x", Place("Tokyo", "Tokyo", "Japan", "Asia"))
    writer = WriterConfig(config.samples, "paper", lambda _t: ([], 0), lambda _rgb: 0, layout=layout)
    stages = Compute((ClipStage(config), Faceless()), writer)
    staged = stages.run(
        VideoTask("v", "x", (row,)), LocalVideo(path, "x", ""), tmp_path / "s", "f", lambda _s, _n: None
    )
    assert isinstance(staged, Staged), staged
    clips = pq.read_table(tmp_path / "s" / "parts" / "clips.parquet").to_pylist()
    frames = pq.read_table(tmp_path / "s" / "parts" / "frames.parquet").to_pylist()
    if layout == "tar":
        assert not (tmp_path / "s" / "clips").exists()
        assert [f"clips/v.tar#{name}" for name in members(tmp_path / "s" / "clips.tar")] == [f["path"] for f in frames]
    else:
        on_disk = sorted(str(p.relative_to(tmp_path / "s")) for p in (tmp_path / "s" / "clips").rglob("*.jpg"))
        assert on_disk == sorted(f["path"].replace("clips/v/", "clips/") for f in frames)
    assert len(frames) == len(clips) * config.samples == staged.counts.frames
    return staged, clips, len(frames)


@pytest.fixture
def broken_at_165(tmp_path: Path) -> Path:
    """225 packets; the picture size changes at frame 165, which ends decoding for us."""
    first = numbered_video(tmp_path / "a.ts", 165, args=(*X264, "-f", "mpegts"))
    second = numbered_video(
        tmp_path / "b.ts", 60, size=(256, 128), args=(*X264, "-f", "mpegts", "-output_ts_offset", "5.5")
    )
    path = tmp_path / "x.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_break_after_the_last_sample_shortens_a_clip_that_is_long_enough(
    broken_at_165: Path, tmp_path: Path, layout: Layout
) -> None:
    # 225 // 50 = 4 clips of 56; the third is 112-168, its tenth sample frame 162, and 53 of its frames decode
    staged, clips, _ = compute(broken_at_165, ClipConfig(50, 112, 10), tmp_path, layout)
    assert [(c["start_frame"], c["end_frame"], c["n_frames"]) for c in clips] == [
        (0, 56, 56),
        (56, 112, 56),
        (112, 165, 53),
    ]
    assert staged.lost_clips == 1
    assert next((s.stage, s.status, s.error_class) for s in staged.steps) == ("clip", "failed", "bad-media")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_break_after_the_last_sample_loses_a_clip_that_is_too_short(
    broken_at_165: Path, tmp_path: Path, layout: Layout
) -> None:
    staged, clips, _ = compute(broken_at_165, ClipConfig(54, 112, 10), tmp_path, layout)
    assert [(c["start_frame"], c["end_frame"]) for c in clips] == [(0, 56), (56, 112)]
    assert staged.lost_clips == 2


def test_a_break_between_two_clips_loses_none_before_it(broken_at_165: Path, tmp_path: Path) -> None:
    # 225 // 55 = 4 clips of 55 (max): frames 0-55-110-165: the break falls exactly on a border
    staged, clips, _ = compute(broken_at_165, ClipConfig(55, 55, 10), tmp_path)
    assert [c["end_frame"] for c in clips] == [55, 110, 165]
    assert staged.lost_clips == 1


def test_a_sound_video_keeps_its_last_clip(tmp_path: Path) -> None:
    staged, clips, n_frames = compute(numbered_video(tmp_path / "x.mp4", 130), ClipConfig(40, 50, 10), tmp_path)
    assert [(c["start_frame"], c["end_frame"]) for c in clips] == [(0, 43), (43, 86), (86, 129)]
    assert (n_frames, staged.tail_frames, staged.lost_clips) == (30, 1, 0)
