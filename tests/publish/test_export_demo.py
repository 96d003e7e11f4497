"""The demo's output, exported by the real command, loads where people will load it."""

from __future__ import annotations

import gc
import hashlib
import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.pipeline import STAGE_VERSIONS
from tests.support_build import cgtool
from tests.support_export import frames_of, rows

pytestmark = [
    # Of peers: rdflib's and pandas's own, and files that webdataset and mlcroissant leave to the collector
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


MADE = Path(__file__).resolve().parents[2] / "demo"
"""Where `make demo` puts it."""


def is_current(out: Path) -> bool:
    """Whether the stages that made it are those of today."""
    try:
        made = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(made["config"]["stage_versions"] == STAGE_VERSIONS and made.get("counts", {}).get("clips"))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, detector_weights: Path) -> Path:
    """That of `make demo` where it is there, else one made now."""
    if is_current(MADE):
        return Path(shutil.copytree(MADE, tmp_path_factory.mktemp("demo") / "demo"))
    for needed in ("skimage", "skvideo"):
        if find_spec(needed) is None:
            pytest.skip(f"needs {needed}, which the extra `demo` brings")
    out = tmp_path_factory.mktemp("demo") / "demo"
    done = cgtool("demo", "--out", out, fresh=True)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def exported(demo: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    to = request.node.name.removeprefix("test_")
    done = cgtool("export", demo, tmp_path / to, "--to", to, "--allow-unreviewed", "--contact", "removal@example.org")
    assert done.returncode == 0, done.stderr
    return tmp_path / to


def digests(jpegs: list[bytes]) -> list[str]:
    return [hashlib.sha256(jpeg).hexdigest() for jpeg in jpegs]


def test_webdataset(demo: Path, exported: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, exported.glob("*.tar")))
    found = {s["__key__"]: s for s in webdataset.WebDataset(shards, shardshuffle=False).decode()}
    frames = frames_of(demo)
    assert set(found) == set(frames)
    for clip_id, jpegs in frames.items():
        assert digests([found[clip_id][f"{p + 1:03d}.jpg"] for p in range(len(jpegs))]) == digests(jpegs)
    gc.collect()


def test_huggingface(demo: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    found = datasets.load_dataset(str(exported), cache_dir=str(tmp_path / "cache"))["train"]
    raw = found.cast_column("frames", datasets.List(datasets.Image(decode=False)))
    frames = frames_of(demo)
    assert {row["clip_id"]: digests([f["bytes"] for f in row["frames"]]) for row in raw} == {
        clip_id: digests(jpegs) for clip_id, jpegs in frames.items()
    }
    assert found[0]["frames"][0].size == (found[0]["width"], found[0]["height"])


def test_croissant(demo: Path, exported: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    loaded = mlcroissant.Dataset(exported / "croissant.json")
    assert not loaded.metadata.ctx.issues.errors and not loaded.metadata.ctx.issues.warnings
    ids = [record["clips/clip_id"].decode() for record in loaded.records("clips")]
    assert ids == [row["clip_id"] for row in rows(demo / "manifests" / "clips.parquet")]
    assert sum(1 for _ in loaded.records("frames")) == sum(map(len, frames_of(demo).values()))


def test_links(demo: Path, exported: Path) -> None:
    from cityguessr_data.core.sources import read_sources
    from cityguessr_data.core.taxonomy import Taxonomy

    table: Any = read_sources(exported / "links.csv", Taxonomy.named("cityguessr166"), allow_private_hosts=True)
    named = {f"{row.video_id}_{row.clip_index:05d}" for row in table}
    assert named == {row["clip_id"] for row in rows(demo / "manifests" / "clips.parquet")}
