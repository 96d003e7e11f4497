"""A manifest that is a folder of partitions is read by everybody: the libraries of contract 4, and our own commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from cityguessr_bench.pack.layout import PackConfig
from cityguessr_bench.pack.write import _scene_top1, plan_pack
from cityguessr_bench.tables.source import Source
from cityguessr_data.core.partitions import manifest_batches, manifest_rows, manifest_schema, read_manifest
from cityguessr_data.core.schemas import FRAMES
from cityguessr_data.publish.preview_pick import Limits, pick
from cityguessr_data.review.queue import read_queue
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.store import Store
from cityguessr_data.stats.as_json import to_json
from cityguessr_data.stats.report import measure
from tests.support_parts import data_set, from_parts

N_VIDEOS = 9
Pairs = Counter[tuple[str, int]]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same data set with one file a table, and with partitions."""
    outs = []
    for name, limit in (("files", 10**6), ("folders", 0)):
        out = tmp_path_factory.mktemp(name) / "set"
        assemble(data_set(out, N_VIDEOS), limit)
        outs.append(out)
    assert (outs[1] / "manifests" / "frames.parquet").is_dir()
    return outs[0], outs[1]


def expected(out: Path) -> Pairs:
    return Counter((row["clip_id"], row["position"]) for row in from_parts(Store(out), "frames"))


def by_pyarrow_dataset(path: Path) -> list[dict[str, Any]]:
    return ds.dataset(path).to_table().to_pylist()


def by_pyarrow(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def by_pandas(path: Path) -> list[dict[str, Any]]:
    return pytest.importorskip("pandas").read_parquet(path).to_dict("records")


def by_polars(path: Path) -> list[dict[str, Any]]:
    return pytest.importorskip("polars").read_parquet(path).to_dicts()


def by_polars_lazily(path: Path) -> list[dict[str, Any]]:
    return pytest.importorskip("polars").scan_parquet(path).collect().to_dicts()


def by_duckdb(path: Path) -> list[dict[str, Any]]:
    """It needs the pattern: a bare folder is no name of a file to it."""
    duckdb = pytest.importorskip("duckdb")
    pattern = f"{path}/*.parquet" if path.is_dir() else path
    return duckdb.sql(f"select clip_id, position from '{pattern}'").to_arrow_table().to_pylist()


def by_datasets(path: Path) -> list[dict[str, Any]]:
    """Likewise."""
    datasets = pytest.importorskip("datasets")
    pattern = f"{path}/*.parquet" if path.is_dir() else str(path)
    cache = str(path.parents[1] / "cache")
    return datasets.load_dataset("parquet", data_files=pattern, split="train", cache_dir=cache).to_list()


def by_us(path: Path) -> list[dict[str, Any]]:
    return read_manifest(path, ["clip_id", "position"]).to_pylist()


def by_us_in_batches(path: Path) -> list[dict[str, Any]]:
    return [row for batch in manifest_batches(path, ["clip_id", "position"]) for row in batch.to_pylist()]


@pytest.mark.parametrize(
    "read",
    [
        by_pyarrow_dataset,
        by_pyarrow,
        by_pandas,
        by_polars,
        by_polars_lazily,
        by_duckdb,
        by_datasets,
        by_us,
        by_us_in_batches,
    ],
)
def test_every_reader_finds_every_row_once(
    both: tuple[Path, Path], read: Callable[[Path], list[dict[str, Any]]]
) -> None:
    for out in both:
        rows = read(out / "manifests" / "frames.parquet")
        assert Counter((row["clip_id"], row["position"]) for row in rows) == expected(out)


def test_rows_and_columns_are_told_without_reading_them(both: tuple[Path, Path], tmp_path: Path) -> None:
    for out in both:
        assert manifest_rows(out / "manifests" / "frames.parquet") == expected(out).total()
        assert manifest_schema(out / "manifests" / "frames.parquet").equals(FRAMES, check_metadata=True)
    assert manifest_rows(tmp_path / "none.parquet") == 0
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path / "none.parquet")


def test_statistics_are_the_same(both: tuple[Path, Path]) -> None:
    one, other = (json.loads(json.dumps(to_json(measure(out)))) for out in both)
    assert one["faces"]["n_detections"] > 0
    assert one["duplicates"] is not None
    assert one == other


def test_a_review_has_the_same_queue(both: tuple[Path, Path]) -> None:
    one, other = (read_queue(Store(out)) for out in both)
    assert len(one) == len(from_parts(Store(both[0]), "clips"))
    assert one == other


def test_a_preview_shows_the_same(both: tuple[Path, Path]) -> None:
    one, other = (pick(out, Limits()) for out in both)
    assert one.n_frames == expected(both[0]).total()
    assert one.n_blurred == sum(row["blurred"] for row in from_parts(Store(both[0]), "faces")) > 0
    assert (one.n_frames, one.n_blurred, one.n_clips) == (other.n_frames, other.n_blurred, other.n_clips)
    assert one.cities == other.cities


def test_a_pack_takes_the_same_frames(both: tuple[Path, Path]) -> None:
    one, other = (plan_pack(out, PackConfig(n_frames=2)) for out in both)
    assert one.clips.num_rows > N_VIDEOS
    assert (one.paths, one.fingerprint) == (other.paths, other.fingerprint)
    scenes = [_scene_top1(out, one.clips) for out in both]
    assert scenes[0] == scenes[1]


def test_whether_frames_have_scenes_is_seen_in_both(both: tuple[Path, Path]) -> None:
    for out in both:
        (out / "splits").mkdir(exist_ok=True)
        clip_ids = [row["clip_id"] for row in from_parts(Store(out), "clips")]
        pq.write_table(pa.table({"clip_id": clip_ids, "part": ["train"] * len(clip_ids)}), out / "splits" / "s.parquet")
        assert not Source(out, "s").lacks_scenes(365)
