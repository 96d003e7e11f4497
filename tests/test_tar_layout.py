"""`--layout tar` from end to end: the same film in both layouts gives the same data set, and every command reads it."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cityguessr_bench.pack.layout import PackConfig
from cityguessr_bench.pack.write import pack, plan_pack
from cityguessr_data.core.errors import MediaError
from cityguessr_data.over_frames.apply_review import ApplyResult, apply_review
from cityguessr_data.publish.frames import FramesError
from cityguessr_data.removal.remove import remove
from cityguessr_data.review.decisions import Decision, DecisionLog, new_id
from cityguessr_data.review.details import Details
from cityguessr_data.review.frames import Frames
from cityguessr_data.run.store import Store
from tests.support_build import SHORT, cgtool, result_of, write_sources
from tests.support_export import run_export
from tests.support_imported import face_source, state_of, table, write_colour_model, write_imported
from tests.support_inline import cgtool_inline
from tests.support_tar import frame_bytes, member_of, members
from tests.support_video import numbered_video
from tests.test_apply_review import Listening

LAYOUTS = ("folder", "tar")
FACE = "face_00000"
DRAWN = (200.0, 30.0, 248.0, 90.0)
"""On the wall, where the film shows no face."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Path:
    """<layout>/out of the same sources: face (3 clips with a face), two (2 clips), short (none)."""
    folder = tmp_path_factory.mktemp("layouts")
    shutil.copy(face_film, folder / "face.mp4")
    numbered_video(folder / "two.mp4", 45)
    numbered_video(folder / "short.mp4", 10)
    rows = [{"url": f"{name}.mp4", "city": "Tokyo", "video_id": name} for name in ("face", "two", "short")]
    sources = write_sources(folder / "sources.csv", rows)
    (folder / "tar.toml").write_text('layout = "tar"\n')
    for layout, flags in (("folder", ()), ("tar", ("--config", folder / "tar.toml"))):
        done = cgtool_inline("build-dataset", sources, "--out", folder / layout / "out", *SHORT, *flags)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def outs(built: Path, tmp_path: Path) -> dict[str, Path]:
    """Copies that a test may change; their sources stay where they were."""
    for layout in LAYOUTS:
        shutil.copytree(built / layout, tmp_path / layout)
        plan = tmp_path / layout / "out" / ".cgtool" / "plan.json"
        plan.write_text(plan.read_text().replace(f'"{built / layout}/', f'"{tmp_path / layout}/'))
    return {layout: tmp_path / layout / "out" for layout in LAYOUTS}


def rows_of(out: Path, name: str) -> list[dict[str, Any]]:
    """A manifest without what says where frames are."""
    return [{k: v for k, v in row.items() if k not in ("path", "frames_uri")} for row in table(out, name)]


def check_same(outs: dict[str, Path]) -> None:
    """Same rows, same bytes of every frame, and the tars hold the frames of the tables and nothing else, in order."""
    folder, tar = (outs[layout] for layout in LAYOUTS)
    for name in ("videos", "clips", "frames", "faces"):
        assert rows_of(tar, name) == rows_of(folder, name), name
        assert pq.read_schema(tar / f"manifests/{name}.parquet") == pq.read_schema(folder / f"manifests/{name}.parquet")
    frames = table(tar, "frames")
    assert [row["path"] for row in frames] == [member_of(row["path"]) for row in table(folder, "frames")]
    for path in (tar / "clips").iterdir():
        wanted = [row["path"] for row in frames if row["path"].startswith(f"clips/{path.name}#")]
        assert [f"clips/{path.name}#{name}" for name in members(path)] == wanted != []
    for here, there in zip(frames, table(folder, "frames"), strict=True):
        assert frame_bytes(tar, here["path"]) == frame_bytes(folder, there["path"])
    assert {row["frames_uri"] for row in table(tar, "clips")} == {f"clips/{p.name}" for p in (tar / "clips").iterdir()}


def decide(outs: dict[str, Path], *actions: tuple[str, str, dict[str, Any]]) -> None:
    """The same decisions (action, clip, more) in both."""
    ids = [new_id() for _ in actions]
    for out in outs.values():
        clips = {row["clip_id"]: row for row in table(out, "clips")}
        for decision_id, (action, clip_id, more) in zip(ids, actions, strict=True):
            one = Decision(
                action=action,  # type: ignore[arg-type]
                clip_id=clip_id,
                fingerprint=clips[clip_id]["fingerprint"],
                reviewer="someone",
                session="tab",
                decided_at=datetime(2026, 1, 2, tzinfo=UTC),
                decision_id=decision_id,
                **more,
            )
            DecisionLog(Store(out)).append(clips[clip_id]["video_id"], [one])


def test_the_layout_changes_nothing_but_where_frames_are(built: Path) -> None:
    check_same({layout: built / layout / "out" for layout in LAYOUTS})
    tar = built / "tar" / "out"
    assert sorted(path.name for path in (tar / "clips").iterdir()) == ["face.tar", "two.tar"]
    assert [path.name for path in tar.rglob("*.jpg")] == ["preview.jpg"]
    for name in ("preview.html", "preview.jpg"):
        assert (tar / name).read_bytes() == (built / "folder" / "out" / name).read_bytes()
    notes = [json.loads((built / layout / "out" / "dataset.json").read_text()) for layout in LAYOUTS]
    assert [note.pop("layout") for note in notes] == list(LAYOUTS)
    assert [note.pop("id", None) for note in notes] and notes[0] == notes[1]


@pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning",  # webdataset leaves its shards to the collector
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_webdataset_reads_a_sample_a_clip(built: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    out = built / "tar" / "out"
    tars = [str(path) for path in sorted((out / "clips").iterdir())]
    samples = list(webdataset.WebDataset(tars, shardshuffle=False).decode("rgb8"))
    gc.collect()
    assert [sample["__key__"] for sample in samples] == [row["clip_id"] for row in table(out, "clips")]
    for sample in samples:
        pictures = [sample[name] for name in ("001.jpg", "002.jpg", "003.jpg", "004.jpg", "005.jpg")]
        assert {picture.shape[2] for picture in pictures} == {3}
        assert len([name for name in sample if name.endswith(".jpg")]) == 5


def test_a_second_run_does_nothing_and_another_layout_is_refused(built: Path) -> None:
    out = built / "tar" / "out"
    before = state_of(out)
    again = cgtool("build-dataset", built / "sources.csv", "--out", out, *SHORT, "--json")
    assert again.returncode == 0 and result_of(again)["run"]["done"] == 0, again.stderr
    for layout, code, says in (("folder", 2, "in the layout tar"), ("zip", 2, "folder or tar"), ("tar", 0, "")):
        done = cgtool("build-dataset", built / "sources.csv", "--out", out, *SHORT, "--layout", layout)
        assert done.returncode == code and says in done.stderr, done.stderr
    assert state_of(out) == before
    status = cgtool("status", out, "--json")
    assert status.returncode == 0 and result_of(status)["clips"] == 5


def test_a_review_is_carried_out_alike(outs: dict[str, Path]) -> None:
    box = next(row for row in table(outs["tar"], "faces") if row["blurred"] and row["position"] == 2)
    decide(
        outs,
        ("reject", FACE, {"position": 2, "box": tuple(box[name] for name in ("x0", "y0", "x1", "y1"))}),
        ("draw", FACE, {"position": 1, "box": DRAWN}),
        ("drop", "face_00001", {}),
    )
    before = members(outs["tar"] / "clips" / "face.tar")
    result = _apply(outs)
    assert (result.exit_code, result.n_frames, result.dropped) == (0, 2, ["face_00001"])
    after = members(outs["tar"] / "clips" / "face.tar")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{FACE}.002.jpg", f"{FACE}.003.jpg"}
    assert set(before) - set(after) == {f"face_00001.{n:03d}.jpg" for n in range(1, 6)}
    check_same(outs)


def test_without_the_source_a_box_is_added_to_the_saved_frame(outs: dict[str, Path]) -> None:
    for out in outs.values():
        part = out / "parts" / "videos" / "face.parquet"
        videos = pq.read_table(part)
        at = videos.schema.get_field_index("url")
        pq.write_table(videos.set_column(at, videos.schema.field(at), [["gone.mp4"]]), part)
    decide(outs, ("draw", FACE, {"position": 1, "box": DRAWN}))
    before = members(outs["tar"] / "clips" / "face.tar")
    assert _apply(outs).n_frames == 1
    after = members(outs["tar"] / "clips" / "face.tar")
    assert {name for name in after if after[name] != before[name]} == {f"{FACE}.002.jpg"}
    check_same(outs)
    first, second = (
        np.asarray(Image.open(io.BytesIO(held[f"{FACE}.002.jpg"]))).astype(float) for held in (before, after)
    )
    assert np.abs(first - second)[30:90, 200:248].mean() > 5


def test_a_new_label_leaves_the_tar_as_it_is(outs: dict[str, Path]) -> None:
    tar = outs["tar"] / "clips" / "face.tar"
    before = (tar.stat().st_mtime_ns, tar.read_bytes())
    decide(outs, ("label", FACE, {"value": "Lyon"}))
    assert _apply(outs).n_relabelled == 1
    assert (tar.stat().st_mtime_ns, tar.read_bytes()) == before
    check_same(outs)


def _apply(outs: dict[str, Path]) -> ApplyResult:
    results = [apply_review(out, Listening(), workers=1) for out in outs.values()]
    one, other = ((r.exit_code, r.n_frames, r.n_relabelled, r.dropped, r.lacking) for r in results)
    assert one == other
    return results[0]


def test_clips_and_videos_are_removed_alike(outs: dict[str, Path]) -> None:
    tar = outs["tar"] / "clips" / "face.tar"
    before = members(tar)
    for out in outs.values():
        remove(out, "clip", "face_00001", "asked")
    assert members(tar) == {name: jpeg for name, jpeg in before.items() if not name.startswith("face_00001.")}
    check_same(outs)
    for out in outs.values():
        remove(out, "video", "face", "asked")
        assert [path.stem for path in (out / "clips").iterdir()] == ["two"]
    check_same(outs)


@pytest.mark.parametrize("to", ["webdataset", "huggingface", "croissant"])
def test_exports_are_the_same(outs: dict[str, Path], tmp_path: Path, to: str) -> None:
    for layout, out in outs.items():
        run_export(out, to, tmp_path / "x" / layout, allow_unreviewed=True)
    shards = {
        layout: [
            p.read_bytes() for p in sorted((tmp_path / "x" / layout).rglob("*")) if p.suffix in (".tar", ".parquet")
        ]
        for layout in LAYOUTS
    }
    assert shards["tar"] == shards["folder"] != []


def test_an_export_names_what_a_tar_lacks(outs: dict[str, Path], tmp_path: Path) -> None:
    tar = outs["tar"] / "clips" / "two.tar"
    with tarfile.open(tar) as opened:
        last = opened.getmembers()[-1]
    os.truncate(tar, last.offset_data + last.size // 2)
    with pytest.raises(FramesError, match=r"clips/two.tar#two_00001.005.jpg: its tar has no member"):
        run_export(outs["tar"], "webdataset", tmp_path / "x", allow_unreviewed=True)


def test_a_pack_is_the_same(outs: dict[str, Path], tmp_path: Path) -> None:
    config = PackConfig(n_frames=4, size_px=32)
    prints = []
    for layout, out in outs.items():
        pack(out, tmp_path / "pack" / layout, config)
        prints.append(plan_pack(out, config).fingerprint)
    files = [
        {p.name: p.read_bytes() for p in (tmp_path / "pack" / layout).rglob("*") if p.is_file()} for layout in LAYOUTS
    ]
    assert prints[0] == prints[1] and files[0] == files[1] and len(files[0]) > 3


def test_the_review_page_shows_a_member(outs: dict[str, Path]) -> None:
    shown = []
    for out in outs.values():
        store = Store(out)
        frames, detail = Frames(store), Details(store).of("two", "two_00001")
        frames.unblurred.sources.find = lambda *_: "its source is not at hand"  # type: ignore[method-assign]
        shown.append([(frames.jpeg(detail, p, 320), frames.size_px(detail, p)) for p in detail.positions])
    assert shown[0] == shown[1] and len(shown[0]) == 5
    (outs["tar"] / "clips" / "two.tar").unlink()
    with pytest.raises(MediaError, match=r"two.tar#two_00001.001.jpg cannot be read"):
        frames.jpeg(detail, 0)


def test_scenes_are_labelled_alike(outs: dict[str, Path], tmp_path: Path) -> None:
    model = write_colour_model(tmp_path)
    for out in outs.values():
        done = cgtool_inline("label-scenes", out, "--scene-model", model, "--workers", 1)
        assert done.returncode == 0, done.stderr
        assert all(row["scene_top1"] is not None for row in table(out, "frames"))
    check_same(outs)


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[dict[str, Path]]:
    tree = face_source(tmp_path / "src", ["Tokyo_1", "Lyon_2"])
    yield {layout: write_imported(tmp_path / layout / "out", tree) for layout in LAYOUTS}


def test_copies_of_imported_frames_are_the_same(imported: dict[str, Path], detector_weights: Path) -> None:
    flags = ("--detector", "mobilenet0.25", "--workers", 1)
    for layout, out in imported.items():
        done = cgtool_inline("anonymise", out, *flags, "--layout", layout)
        assert done.returncode == 0, done.stderr
    check_same(imported)
    first = members(imported["tar"] / "clips" / "Tokyo_1.tar")
    refused = cgtool_inline("anonymise", imported["tar"], *flags, "--layout", "folder")
    assert refused.returncode == 2 and "in the layout tar" in refused.stderr
    for out in imported.values():  # from the originals anew, as the data set keeps its frames
        done = cgtool_inline("anonymise", out, *flags, "--blur", "strict")
        assert done.returncode == 0, done.stderr
    check_same(imported)
    assert members(imported["tar"] / "clips" / "Tokyo_1.tar") != first
