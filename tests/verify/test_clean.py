"""Data sets as every command leaves them are clean: imports, anonymised ones, labelled, reviewed, removed from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support_build import SHORT
from tests.support_imports import small_cityguessr, small_msls
from tests.support_inline import cgtool_inline
from tests.support_verify import FACES, PLAIN, Whole, edit, look, mended, only, put_together, rows_of, run, told


@pytest.mark.parametrize("kind", ["cityguessr68k", "msls"])
def test_an_import(tmp_path: Path, kind: str) -> None:
    source = (small_cityguessr if kind == "cityguessr68k" else small_msls)(tmp_path / "src")
    out = tmp_path / "out"
    run("import", kind, source or tmp_path / "src", "--out", out)
    result = look(out)
    assert result.clean, told(result)
    assert result.findings.looked_at["frames"] > 0 and result.findings.looked_at["sources"] == 0
    unit = next(path.stem for path in (out / "parts" / "frames").iterdir() if rows_of(out, "frames", path.stem))
    Path(rows_of(out, "frames", unit)[0]["path"]).write_bytes(b"other")
    (fault,) = only(look(out), "frames")
    assert fault.unit == unit


def test_an_import_that_was_anonymised(tmp_path: Path, whole: Whole) -> None:
    out = tmp_path / "out"
    run("import", "cityguessr68k", small_cityguessr(tmp_path / "src"), "--out", out)
    run("anonymise", out, "--detector", "mobilenet0.25", "--workers", 1)
    result = look(out)
    assert result.clean, told(result)
    looked = result.findings.looked_at
    assert looked["sources"] == looked["frames"] == looked["orphans"] > 0
    unit = next(path.name for path in (out / "clips").iterdir())
    copy = out / rows_of(out, "frames", unit)[0]["path"]
    original = copy.read_bytes()
    copy.unlink()
    repaired = mended(out, whole)
    assert repaired.after.clean, told(repaired.after)
    assert copy.read_bytes() == original  # made anew from the original, to the byte

    def unblurred(rows: list[dict[str, object]]) -> None:
        for row in rows:
            row["blur"] = None

    edit(out, "clips", unit, unblurred)
    put_together(out)
    assert "was never blurred" in look(out, "none").findings.of("rows")[0].what


def test_after_a_removal_and_after_a_changed_label(out: Path) -> None:
    run("remove", out, "--clip", f"{FACES}_00001")
    result = look(out)
    assert result.clean, told(result)
    assert result.findings.looked_at["removed"] == 1
    run("remove", out, "--video", PLAIN)
    result = look(out)
    assert result.clean, told(result)


def test_after_labels_of_another_model(out: Path, whole: Whole) -> None:
    run("label-scenes", out, "--scene-model", whole.model, "--scene-parents", "first", "--workers", 1)
    result = look(out)
    assert result.clean, told(result)


def test_a_build_without_a_clip(tmp_path: Path, whole: Whole) -> None:
    """A video that is too short, and one that is none."""
    shutil.copy(whole.root / "src" / f"{PLAIN}.mp4", tmp_path / "n.mp4")
    (tmp_path / "bad.mp4").write_bytes(bytes(1000))
    (tmp_path / "s.csv").write_text("url,city,video_id\nn.mp4,Tokyo,n\nbad.mp4,Tokyo,bad\n")
    out = tmp_path / "out"
    options = [*SHORT]
    options[options.index("--clip-frames") + 1] = "60-70"
    done = cgtool_inline("build-dataset", tmp_path / "s.csv", "--out", out, *options)
    assert done.returncode in (0, 1), done.stderr
    result = look(out)
    assert result.clean, told(result)
    assert json.loads((out / "dataset.json").read_text())["counts"]["clips"] == 0
