"""croissant.json that `mlcroissant` takes without a word, and whose records are the tables."""

from __future__ import annotations

import gc
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support_export import FRAMES, frames_of, reviewed, rows, run_export, write_set, write_split

mlcroissant = pytest.importorskip("mlcroissant")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of rdflib, below mlcroissant
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # of pandas, likewise
]

ODD = ("my note", "note/1", "v1.2", "заметка", 'a "word"', "it's", "my_note", "100 %", "a#b?c:d", "<i>{x}</i>\\", "-")
"""Names that a column of a sources table may have, and that passes through."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    extra = {"walk": {name: f"of {name}" for name in ODD}}
    made = reviewed(tmp_path_factory.mktemp("set") / "out", extra=extra)
    write_split(made, "by.clip", {"walk_00000": "train", "walk_00001": "test"})
    return made


@pytest.fixture(scope="module")
def exported(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("x") / "dest"
    run_export(out, "croissant", dest, contact="removal@example.org")
    return dest


@pytest.fixture
def loaded(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    # It unpacks shards into the user's cache otherwise
    monkeypatch.setattr(
        "mlcroissant._src.operation_graph.operations.extract.EXTRACT_PATH", _epath(tmp_path / "extract")
    )
    monkeypatch.setattr("mlcroissant._src.core.constants.DOWNLOAD_PATH", _epath(tmp_path / "download"))
    return mlcroissant.Dataset(exported / "croissant.json")


def _epath(path: Path) -> Any:
    from etils import epath

    return epath.Path(path)


def plain(value: Any) -> Any:
    """A value of mlcroissant's as the table has it: bytes are text, lists are lists, NaN is null."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def records(dataset: Any, name: str) -> list[dict[str, Any]]:
    """By names of columns: a record has the @ids of its fields."""
    (record_set,) = [found for found in dataset.metadata.record_sets if found.id == name]
    named = {field.id: field.name for field in record_set.fields}
    return [{named[key]: plain(v) for key, v in record.items()} for record in dataset.records(name)]


def test_it_is_valid_without_errors_or_warnings(loaded: Any) -> None:
    issues = loaded.metadata.ctx.issues
    assert not issues.errors and not issues.warnings
    assert (loaded.metadata.name, loaded.metadata.version) == ("small streets", "1.2.0")


@pytest.mark.parametrize("name", ["clips", "frames", "faces", "videos"])
def test_records_are_the_tables(out: Path, exported: Path, loaded: Any, name: str) -> None:
    assert records(loaded, name) == rows(exported / "manifests" / f"{name}.parquet")
    moved = {"clips": "frames_uri", "frames": "path", "videos": "url", "faces": ""}[name]
    hidden = {moved, "reason", "n_clips"}
    of_out = [row for row in rows(out / "manifests" / f"{name}.parquet") if row.get("blurred", True)]
    assert [{k: v for k, v in row.items() if k not in hidden} for row in records(loaded, name)] == [
        {k: v for k, v in row.items() if k not in hidden} for row in of_out
    ]


def test_any_column_that_passes_through_is_a_field_of_its_name(exported: Path, loaded: Any) -> None:
    told = json.loads((exported / "croissant.json").read_text())
    (videos,) = [one for one in told["recordSet"] if one["name"] == "videos"]
    assert {field["name"] for field in videos["field"]} >= set(ODD)
    ids = [field["@id"] for field in videos["field"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"videos/[A-Za-z0-9_-]+", one) for one in ids)
    assert "videos/my_note" in ids and "videos/video_id" in ids, "a plain name is its own id"
    (walk,) = [row for row in records(loaded, "videos") if row["video_id"] == "walk"]
    assert {name: walk[name] for name in ODD} == {name: f"of {name}" for name in ODD}


def test_splits_are_records_too(loaded: Any) -> None:
    (name,) = [found.id for found in loaded.metadata.record_sets if found.id.startswith("splits/")]
    assert {row["clip_id"]: row["part"] for row in records(loaded, name)} == {
        "walk_00000": "train",
        "walk_00001": "test",
    }


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # mlcroissant leaves pictures to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_pictures_are_those_of_the_data_set(out: Path, exported: Path, loaded: Any) -> None:
    from io import BytesIO

    from PIL import Image

    frames = frames_of(out)
    found = {row["jpegs/name"].decode(): row["jpegs/picture"] for row in loaded.records("jpegs")}
    assert len(found) == 5 * FRAMES
    for row in rows(exported / "manifests" / "frames.parquet"):
        shard, _, member = row["path"].partition("#")
        assert (exported / shard).is_file()
        wanted = Image.open(BytesIO(frames[row["clip_id"]][row["position"]]))
        assert found[member].tobytes() == wanted.tobytes()
    gc.collect()


def test_shards_of_two_exports_have_two_names(exported: Path, tmp_path: Path) -> None:
    """mlcroissant keeps what it unpacked under the name of the shard: it would show the pictures of the other one."""
    run_export(reviewed(tmp_path / "out", extra={"walk": {"note": "another set"}}), "croissant", tmp_path / "x")
    here, there = (
        {path.relative_to(folder) for path in folder.rglob("*.tar")} for folder in (exported, tmp_path / "x")
    )
    assert here and there and not here & there


def test_the_responsible_ai_fields_say_what_is_true(exported: Path, tmp_path: Path) -> None:
    told = json.loads((exported / "croissant.json").read_text())
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    text = json.dumps({name: value for name, value in told.items() if name.startswith("rai:")})
    for said in ("CC-BY-4.0 (1)", "a.example.com (1)", "removal@example.org", "No detector finds every face", "ab" * 32,
                 "The review is finished", "0.86 at 120 px"):  # fmt: skip
        assert said in text, said
    for name in ("dataCollection", "dataLimitations", "personalSensitiveInformation", "dataReleaseMaintenancePlan"):
        assert told[f"rai:{name}"]
    run_export(write_set(tmp_path / "raw"), "croissant", tmp_path / "x", allow_unreviewed=True)
    raw = json.loads((tmp_path / "x" / "croissant.json").read_text())
    assert any("without a finished review" in line for line in raw["rai:personalSensitiveInformation"])
    assert "No contact was given" in raw["rai:dataReleaseMaintenancePlan"]
