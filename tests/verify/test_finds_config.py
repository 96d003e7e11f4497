"""dataset.json must say how a data set was made: what follows from it is else not checked, and is no longer clean."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support_verify import (
    FACES,
    Whole,
    edit,
    edit_json,
    everything,
    look,
    mended,
    only,
    part,
    put_together,
    rows_of,
)

KEYS = [
    (("config",), "config.anonymise.conf"),
    (("config", "anonymise"), "config.anonymise.conf"),
    (("config", "anonymise", "conf"), "config.anonymise.conf"),
    (("config", "anonymise", "blur"), "config.anonymise.blur"),
    (("config", "anonymise", "blur", "mode"), "config.anonymise.blur"),
    (("config", "anonymise", "blur", "kernel_px"), "config.anonymise.blur"),
    (("config", "anonymise", "blur", "sigma_px"), "config.anonymise.blur"),
    (("config", "clip"), "config.clip"),
    (("config", "clip", "min_frames"), "config.clip"),
    (("config", "clip", "max_frames"), "config.clip"),
    (("config", "clip", "samples"), "config.clip"),
    (("config", "scenes"), "config.scenes.parents"),
    (("config", "scenes", "parents"), "config.scenes.parents"),
]


def _set(keys: tuple[str, ...], value: Any = None) -> Callable[[dict[str, Any]], None]:
    """Without a value, the key goes."""

    def change(dataset: dict[str, Any]) -> None:
        for key in keys[:-1]:
            dataset = dataset[key]
        if value is None:
            del dataset[keys[-1]]
        else:
            dataset[keys[-1]] = value

    return change


def _files(out: Path) -> dict[str, str]:
    return {name: held for name, held in everything(out).items() if not name.endswith("lock")}


@pytest.fixture(scope="module")
def told_of(whole: Whole, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], list[Any]]:
    """What is told of a data set whose dataset.json was changed."""
    out = whole.copy(tmp_path_factory.mktemp("config") / "out")

    def tell(change: Any) -> list[Any]:
        held = (out / "dataset.json").read_bytes()
        edit_json(out / "dataset.json", change)
        try:
            return look(out, "none").findings.faults
        finally:
            (out / "dataset.json").write_bytes(held)

    return tell


@pytest.mark.parametrize(("keys", "named"), KEYS)
@pytest.mark.parametrize("value", [None, "0.5"])
def test_a_key_that_is_gone_or_of_another_type(told_of: Any, keys: tuple[str, ...], named: str, value: Any) -> None:
    faults = told_of(_set(keys, value))
    (fault,) = [one for one in faults if one.check == "dataset"]
    assert fault.where == "dataset.json" and fault.mend == "person" and named in fault.what


@pytest.mark.parametrize("value", ["95", 0, [1]])
def test_a_quality_that_is_none(told_of: Any, value: Any) -> None:
    assert "config.jpeg_quality" in told_of(_set(("config", "jpeg_quality"), value))[0].what


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), float("inf")])
def test_a_threshold_that_is_none(told_of: Any, value: float) -> None:
    assert "config.anonymise.conf" in told_of(_set(("config", "anonymise", "conf"), value))[0].what


def test_an_unblurred_face_is_not_clean_without_the_threshold(out: Path, whole: Whole) -> None:
    """As it was found: the face that would be told is not, and nothing else was."""
    edit(out, "faces", FACES, lambda rows: [*rows, {**rows[-1], "score": 0.99, "blurred": False}])
    put_together(out)
    edit_json(out / "dataset.json", _set(("config", "anonymise")))
    (fault,) = only(look(out, "none"), "dataset")
    before = _files(out)
    repaired = mended(out, whole)
    assert repaired.failed and repaired.why_not == f"dataset.json {fault.what}" and not repaired.after.clean
    assert _files(out) == before
    (out / "dataset.json").write_text("{}")
    assert not mended(out, whole).after.clean


@pytest.mark.parametrize(("layout", "what"), [("weird", "names the layout"), ("tar", "says the layout tar, and 40")])
def test_a_layout_that_is_not_that_of_the_frames(out: Path, whole: Whole, layout: str, what: str) -> None:
    edit_json(out / "dataset.json", _set(("layout",), layout))
    faults = only(look(out, "none"), "dataset")
    assert [fault.mend for fault in faults] == ["person"] and what in faults[0].what
    part(out, "faces", FACES).unlink()
    before = _files(out)
    assert mended(out, whole).failed and _files(out) == before


def test_a_tar_that_is_told_as_a_folder(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    edit_json(out / "dataset.json", _set(("layout",)))
    assert "says the layout folder, and 40 frames" in only(look(out, "none"), "dataset")[0].what


def test_an_import_says_what_it_is_of(told_of: Any) -> None:
    assert "imported from" in told_of(_set(("imported",), {}))[0].what


@pytest.mark.parametrize("name", ["preview.jpg", "preview.html"])
def test_a_preview_is_the_one_that_was_drawn(out: Path, whole: Whole, name: str) -> None:
    drawn = (out / name).read_bytes()
    if name == "preview.jpg":
        shutil.copy(out / rows_of(out, "frames", FACES)[0]["path"], out / name)
    else:
        (out / name).write_bytes(drawn + b'<img src="data:image/jpeg;base64,AAAA">')
    (fault,) = only(look(out, "none"), "dataset")
    assert (fault.where, fault.what, fault.mend) == (name, "is not as cgtool drew it", "assemble")
    assert mended(out, whole).after.clean and (out / name).read_bytes() == drawn


def test_a_preview_of_an_earlier_version_is_a_note(out: Path) -> None:
    note = out / ".cgtool" / "preview.json"
    note.write_text(json.dumps(json.loads(note.read_text())["of"]))
    result = look(out, "none")
    assert result.clean and any("the preview" in told for told in result.findings.notes)
