"""`cgtool anonymise` on imported frames: blurred copies, untouched originals, and nothing half done when killed."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import MediaError
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.media.pictures import read_picture
from tests.support_build import CGTOOL, cgtool, result_of
from tests.support_imported import (
    FACE,
    FRAMES,
    again,
    face_columns,
    face_frame,
    face_source,
    state_of,
    table,
    write_colour_model,
    write_imported,
)
from tests.support_inline import cgtool_inline

pytest.importorskip("skimage", reason="needs scikit-image, which the extra `demo` brings")

MOBILENET = ("--detector", "mobilenet0.25")
VIDEOS = ("Tokyo_1", "Tokyo_2", "Tokyo_3")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    face_source(folder / "released", VIDEOS)
    return folder / "released"


@pytest.fixture
def tree(source: Path) -> dict[str, dict[str, list[Path]]]:
    return {
        video.name: {
            clip.name: [clip / f"{n + 1}.jpg" for n in range(FRAMES)] for clip in sorted(video.iterdir())
        }
        for video in sorted(source.iterdir())
    }  # fmt: skip


@pytest.fixture(scope="module")
def anonymised(source: Path, tmp_path_factory: pytest.TempPathFactory, detector_weights: Path) -> Path:
    """An undisturbed run with the paper's blur."""
    tree = {
        v.name: {c.name: [c / f"{n + 1}.jpg" for n in range(FRAMES)] for c in sorted(v.iterdir())}
        for v in sorted(source.iterdir())
    }
    out = write_imported(tmp_path_factory.mktemp("calm") / "out", tree)
    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 0, done.stderr
    return out


def pictures(out: Path) -> Iterator[tuple[Path, np.ndarray]]:
    """Every picture anywhere under OUT, hidden folders too, as RGB."""
    for path in out.rglob("*"):
        if path.is_file() and path.suffix not in (".parquet", ".json", ".html"):
            content = np.frombuffer(path.read_bytes(), np.uint8)
            picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
            if picture is not None:
                yield path, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def sharp_faces(out: Path) -> list[str]:
    """Pictures in which the face is as it is in the original."""
    found = []
    for path, rgb in pictures(out):
        for n in range(FRAMES) if rgb.shape == (240, 320, 3) else ():
            x0, x1 = face_columns(n)
            inner = (slice(FACE[0] + 20, FACE[1] - 30), slice(x0 + 30, x1 - 30))
            if np.abs(rgb[inner].astype(float) - face_frame(n)[inner]).mean() < 4:
                found.append(f"{path} shows face {n}")
    return found


def digests(out: Path) -> dict[str, str]:
    """Path -> SHA-256 of every frame saved under clips/."""
    files = sorted((out / "clips").rglob("*.jpg"))
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_copies_are_blurred_and_the_tables_speak_of_them(anonymised: Path, source: Path) -> None:
    frames, clips, faces = (table(anonymised, name) for name in ("frames", "clips", "faces"))
    on_disk = digests(anonymised)
    assert {f["path"]: f["sha256"] for f in frames} == on_disk
    assert len(on_disk) == len(VIDEOS) * 2 * FRAMES
    assert "clips/Tokyo_1/Tokyo_1_00007/001.jpg" in on_disk
    assert not sharp_faces(anonymised)
    for frame in frames:
        video, number = frame["clip_id"].rpartition("_")[0], frame["position"]
        saved = cv2.imread(str(anonymised / frame["path"]))[:, :, ::-1].astype(float)
        original = cv2.imread(str(source / video / frame["clip_id"] / f"{number + 1}.jpg"))[:, :, ::-1].astype(float)
        x0, x1 = face_columns(number)
        boxes = [f for f in faces if (f["clip_id"], f["position"]) == (frame["clip_id"], number) and f["blurred"]]
        assert frame["n_faces"] == len(boxes) >= 1
        centre = ((x0 + x1) / 2, (FACE[0] + FACE[1]) / 2)
        assert any(b["x0"] < centre[0] < b["x1"] and b["y0"] < centre[1] < b["y1"] for b in boxes)
        away = np.ones(saved.shape[:2], bool)
        for box in boxes:
            away[int(box["y0"]) - 8 : int(box["y1"]) + 9, int(box["x0"]) - 8 : int(box["x1"]) + 9] = False
        assert np.abs(saved - original)[away].mean() < 2, "what is no face is only encoded once more"
        assert all(b["frame_index"] == frame["frame_index"] for b in boxes)
        assert frame["phash"] is not None
    for clip in clips:
        assert (clip["width"], clip["height"], clip["blur"]) == (320, 240, "paper")
        assert clip["frames_uri"] == f"clips/{clip['video_id']}/{clip['clip_id']}"
        assert clip["n_faces"] == sum(f["n_faces"] for f in frames if f["clip_id"] == clip["clip_id"])
        assert clip["fingerprint"] != "imported"
        assert (clip["city_label"], clip["start_frame"], clip["clip_index"]) == (3, None, int(clip["clip_id"][-5:]))
    dataset = json.loads((anonymised / "dataset.json").read_text())
    assert dataset["imported"] == {"from": "cityguessr68k"}
    assert dataset["config"]["anonymise"]["conf"] == 0.5
    (weights,) = dataset["models"]["detector"]  # of the two published files the one that is here
    assert weights in ("retinaface_mobilenet0.25.pth", "retinaface_mobilenet0.25.onnx")
    assert dataset["counts"]["faces_blurred"] == sum(f["blurred"] for f in faces)


def test_originals_are_opened_for_reading_only(
    source: Path, tree: dict[str, dict[str, list[Path]]], tmp_path: Path, detector_weights: Path
) -> None:
    before = state_of(source)
    out = write_imported(tmp_path / "out", tree)
    assert cgtool("anonymise", out, *MOBILENET).returncode == 0
    assert state_of(source) == before
    for path, _ in pictures(out):
        assert path.stat().st_nlink == 1 and not path.is_symlink()


def test_again_does_nothing_and_other_settings_start_from_the_originals(
    anonymised: Path, source: Path, tree: dict[str, dict[str, list[Path]]], tmp_path: Path
) -> None:
    out = write_imported(tmp_path / "out", tree)
    assert cgtool_inline("anonymise", out, *MOBILENET, "--blur", "strict").returncode == 0
    before = state_of(out)
    done = cgtool_inline("anonymise", out, *MOBILENET, "--blur", "strict", "--json")
    assert result_of(done)["already_done"] == len(VIDEOS) and result_of(done)["done"] == 0
    assert state_of(out) == before

    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(anonymised), "a second blur of the copies would give other bytes"
    for name in ("clips", "frames", "faces"):
        assert table(out, name) == table(anonymised, name)


def test_killed_in_the_middle_it_goes_on_to_the_same_end(
    anonymised: Path, tree: dict[str, dict[str, list[Path]]], tmp_path: Path
) -> None:
    out = write_imported(tmp_path / "out", tree)
    process = subprocess.Popen(
        [*CGTOOL, "anonymise", str(out), *MOBILENET], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    enough = 2 * FRAMES + 3  # the first video is committed, or about to be
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if sum(name.endswith(".jpg") for _, _, names in os.walk(out) for name in names) >= enough:
            break
        time.sleep(0.002)
    assert process.poll() is None, "it was to be killed before its end"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.5)  # a worker whose parent died ends itself
    assert not sharp_faces(out)
    blurs = {p.stem: set(pq.read_table(p)["blur"].to_pylist()) for p in (out / "parts" / "clips").glob("*.parquet")}
    assert all(len(blur) == 1 for blur in blurs.values())
    assert {None} in blurs.values(), "one at least is still as it was imported"

    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 0, done.stderr
    assert digests(out) == digests(anonymised)
    for name in ("clips", "frames", "faces"):
        assert table(out, name) == table(anonymised, name)
    assert not list((out / ".cgtool" / "staging").iterdir())


def test_a_frame_that_does_not_decode_stops_its_video_alone(
    source: Path, tree: dict[str, dict[str, list[Path]]], tmp_path: Path, detector_weights: Path
) -> None:
    mine = again(tree, source, tmp_path / "released")
    bad = mine["Tokyo_2"]["Tokyo_2_00008"][3]
    whole = bad.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    out = write_imported(tmp_path / "out", mine)
    gone = mine["Tokyo_3"]["Tokyo_3_00007"][0]
    kept = gone.read_bytes()
    gone.unlink()
    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 1
    assert f"Tokyo_2: bad-media: {bad} ends before its picture does" in done.stderr
    assert f"Tokyo_3: bad-media: {gone} cannot be read" in done.stderr
    assert "1 of 3 anonymised" in done.stdout
    blurs = {clip["video_id"]: clip["blur"] for clip in table(out, "clips")}
    assert blurs == {"Tokyo_1": "paper", "Tokyo_2": None, "Tokyo_3": None}
    assert {f["path"] for f in table(out, "frames") if f["clip_id"].startswith("Tokyo_2")} == {
        str(path) for paths in mine["Tokyo_2"].values() for path in paths
    }
    assert sorted(p.name for p in (out / "clips").iterdir()) == ["Tokyo_1"]

    gone.write_bytes(kept)
    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 1 and "2 of 3 anonymised" in done.stdout, done.stderr
    status = cgtool_inline("status", out)
    assert status.returncode == 0 and "3 done of 3" in status.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c[: len(c) // 2], "ends before its picture does"),
        (lambda c: b"", "is no picture"),
        (lambda c: b"\x00" * 500, "is no picture"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, change, says: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "1.jpg"
    path.write_bytes(change(bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1])))
    with pytest.raises(MediaError, match=says) as caught:
        read_picture(FrameFiles(path.parent), path.name, None)
    assert str(path) in str(caught.value)


def test_a_frame_with_other_bytes_than_were_imported_is_named(tmp_path: Path) -> None:
    path = tmp_path / "1.jpg"
    path.write_bytes(bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1]))
    with pytest.raises(MediaError, match="SHA-256 differs"):
        read_picture(FrameFiles(path.parent), path.name, "0" * 64)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_picture(FrameFiles(path.parent), path.name, digest).shape == (48, 64, 3)


def test_originals_under_out_are_refused(tmp_path: Path, detector_weights: Path) -> None:
    out = tmp_path / "out"
    tree = face_source(out / "mine", ["Tokyo_1"], clips=1)
    write_imported(out, tree)
    done = cgtool_inline("anonymise", out, *MOBILENET)
    assert done.returncode == 1
    assert "where no original may be" in done.stderr
    assert table(out, "clips")[0]["blur"] is None


def test_a_built_data_set_and_other_folders_are_refused(tmp_path: Path, anonymised: Path) -> None:
    built = tmp_path / "built"
    built.mkdir()
    (built / "dataset.json").write_text('{"name": "built", "config": {}}')
    before = state_of(built)
    done = cgtool_inline("anonymise", built, *MOBILENET)
    assert done.returncode == 2
    assert "was built from links" in done.stderr and "build-dataset" in done.stderr
    assert state_of(built) == before
    done = cgtool_inline("anonymise", tmp_path / "nowhere", *MOBILENET)
    assert done.returncode == 2 and "is not an output directory" in done.stderr
    for wrong in (("--blur", "thick"), ("--conf", "nan"), ("--jpeg-quality", "0"), ("--workers", "0")):
        done = cgtool_inline("anonymise", anonymised, *MOBILENET, *wrong)
        assert done.returncode == 2, wrong
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_lost_notes_of_the_originals_stop_what_needs_them(
    tree: dict[str, dict[str, list[Path]]], tmp_path: Path, detector_weights: Path
) -> None:
    out = write_imported(tmp_path / "out", {"Tokyo_1": tree["Tokyo_1"]})
    assert cgtool_inline("anonymise", out, *MOBILENET).returncode == 0
    before = digests(out)
    (out / ".cgtool" / "originals" / "Tokyo_1.parquet").unlink()  # where the frames were is known nowhere else
    done = cgtool_inline("anonymise", out, *MOBILENET, "--blur", "strict")
    assert done.returncode == 1 and "says where its original frames are" in done.stderr
    assert digests(out) == before
    (out / "parts" / "frames" / "Tokyo_1.parquet").unlink()
    done = cgtool_inline("label-scenes", out, "--scene-model", write_colour_model(tmp_path))
    assert done.returncode == 1 and "is gone, which names its frames" in done.stderr


def test_missing_weights_start_nothing(tree: dict[str, dict[str, list[Path]]], tmp_path: Path) -> None:
    out = write_imported(tmp_path / "out", tree)
    before = state_of(out)
    empty = {"CGTOOL_WEIGHTS": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = cgtool("anonymise", out, env=empty)
    assert done.returncode == 2 and "--detector" in done.stderr
    assert state_of(out) == before
