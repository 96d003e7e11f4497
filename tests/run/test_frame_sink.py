"""What stages frames: files in folders, or a tar whose bytes are those that Python's tarfile would write."""

from __future__ import annotations

import gc
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.run.frame_sink import LAYOUTS, Layout, chosen_layout, frame_sink, layout_of
from cityguessr_data.run.parts import frame_name
from tests.support_tar import members


def by_tarfile(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@given(st.lists(st.lists(st.binary(max_size=1300), min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_tar_is_the_one_of_tarfile(tmp_path_factory: pytest.TempPathFactory, clips: list[list[bytes]]) -> None:
    staging = tmp_path_factory.mktemp("s")
    sink = frame_sink("tar", staging, "v")
    wanted = {}
    for number, frames in enumerate(clips):
        clip = sink.open(f"v_{number:05d}")
        for position, jpeg in enumerate(frames):
            member = f"v_{number:05d}.{frame_name(position)}"
            assert clip.add(frame_name(position), jpeg) == f"clips/v.tar#{member}"
            wanted[member] = jpeg
        clip.end()
    sink.close()
    assert (staging / "clips.tar").read_bytes() == by_tarfile(wanted)
    assert [path.name for path in staging.iterdir()] == ["clips.tar"]


def test_frames_come_by_position_however_many_and_in_whatever_order(tmp_path: Path) -> None:
    sink = frame_sink("tar", tmp_path, "v")
    clip = sink.open("c")
    for position in (1001, 0, 99, 100, 999):
        clip.add(frame_name(position), b"x")
    clip.end()
    sink.close()
    assert list(members(tmp_path / "clips.tar")) == [
        "c.001.jpg", "c.100.jpg", "c.101.jpg", "c.1000.jpg", "c.1002.jpg"
    ]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_dropped_clip_leaves_nothing_and_may_begin_again(tmp_path: Path, layout: Layout) -> None:
    sink = frame_sink(layout, tmp_path, "v")
    first = sink.open("v_00000")
    first.add("001.jpg", b"whole")
    first.end()
    broken = sink.open("v_00001")
    broken.add("001.jpg", b"broken")
    broken.add("002.jpg", b"broken")
    broken.drop()
    again = sink.open("v_00001")
    again.add("001.jpg", b"again")
    again.end()
    sink.close()
    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"whole" in found and b"again" in found and b"broken" not in found


def test_without_a_whole_clip_there_is_an_empty_folder_that_replaces_what_was(tmp_path: Path) -> None:
    sink = frame_sink("tar", tmp_path, "v")
    sink.open("v_00000").drop()
    sink.close()
    assert [path.name for path in tmp_path.iterdir()] == ["clips"] and not list((tmp_path / "clips").iterdir())


def test_a_clip_that_is_still_under_way_is_never_left_behind(tmp_path: Path) -> None:
    sink = frame_sink("tar", tmp_path, "v")
    first, second = sink.open("a"), sink.open("b")
    first.end()
    second.add("001.jpg", b"x")
    first = sink.open("c")
    first.add("001.jpg", b"x")
    first.end()
    with pytest.raises(OSError, match="not empty"):
        sink.close()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_frame_comes_once(tmp_path: Path, layout: Layout) -> None:
    clip = frame_sink(layout, tmp_path, "v").open("c")
    clip.add("001.jpg", b"x")
    with pytest.raises(FileExistsError):
        clip.add("001.jpg", b"y")


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning",  # webdataset leaves its shards to the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_ids_with_other_characters_are_safe_keys_of_their_own(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    sink = frame_sink("tar", tmp_path, "v")
    ids = ["a.b 1", "a.b_1", "a_b_1", "ü", "x.tar#y", "-lead"]
    for clip_id in ids:
        clip = sink.open(clip_id)
        for position in range(2):
            path = clip.add(frame_name(position), f"{clip_id} {position}".encode())
            assert path.startswith("clips/v.tar#") and "/" not in path.partition("#")[2]
        clip.end()
    sink.close()
    samples = list(webdataset.WebDataset([str(tmp_path / "clips.tar")], shardshuffle=False))
    gc.collect()
    assert [sample["001.jpg"].decode() for sample in samples] == [f"{clip_id} 0" for clip_id in ids]
    assert len({sample["__key__"] for sample in samples}) == len(ids)
    assert all({"001.jpg", "002.jpg"} <= set(sample) for sample in samples)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("told", ["clips/v/c/001.jpg", "clips/v.tar#c.001.jpg"])
def test_a_carried_frame_keeps_its_bytes(tmp_path: Path, layout: Layout, told: str) -> None:
    out = tmp_path / "out"
    (out / "clips/v/c").mkdir(parents=True)
    (out / "clips/v/c/001.jpg").write_bytes(b"as it was")
    (out / "clips/v.tar").write_bytes(by_tarfile({"c.001.jpg": b"as it was"}))
    sink = frame_sink(layout, tmp_path / "s", "v")
    clip = sink.open("c")
    path = clip.carry("001.jpg", FrameFiles(out), told)
    clip.end()
    sink.close()
    (tmp_path / "s" / ("clips.tar" if layout == "tar" else "clips")).rename(
        tmp_path / "s" / ("v.tar" if layout == "tar" else "v")
    )
    staged = FrameFiles(tmp_path / "s").read(path.removeprefix("clips/"))
    assert staged == b"as it was"
    with pytest.raises(MediaError, match="is gone"):
        frame_sink(layout, tmp_path / "t", "v").open("c").carry("001.jpg", FrameFiles(out), told.replace("001", "007"))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("told", ["../1.jpg", "{}/1.jpg", "../out2.tar#1.jpg", ""])
def test_no_frame_from_outside_is_carried_in(tmp_path: Path, layout: Layout, told: str) -> None:
    (tmp_path / "1.jpg").write_bytes(b"unblurred")
    clip = frame_sink(layout, tmp_path / "s", "v").open("c")
    with pytest.raises(ValueError, match="outside of the data set"):
        clip.carry("001.jpg", FrameFiles(tmp_path / "out"), told.format(tmp_path))
    assert not [path for path in (tmp_path / "s").rglob("*") if path.is_file()]


def test_the_layout_of_a_run(tmp_path: Path) -> None:
    assert layout_of(None) == layout_of({}) == "folder"  # data sets from before there were tars
    assert chosen_layout(tmp_path, {}, None, any_frames=False) == "folder"
    assert chosen_layout(tmp_path, {"layout": "tar"}, None, any_frames=True) == "tar"
    assert chosen_layout(tmp_path, {"layout": "tar"}, "folder", any_frames=False) == "folder"
    assert chosen_layout(tmp_path, {"layout": "tar"}, "tar", any_frames=True) == "tar"
    with pytest.raises(InputError, match="in the layout folder, and --layout tar was asked for"):
        chosen_layout(tmp_path, {}, "tar", any_frames=True)
    with pytest.raises(InputError, match="not known here"):
        layout_of({"layout": "zip"})
