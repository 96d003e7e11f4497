"""Open shards: any frames of any row, by several threads at once; what is cut off, or of another shape, is told."""

from __future__ import annotations

import gc
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_bench.pack.shard import EncodedShard, RawShard

SHAPE, KIND = (5, 3, 8, 8), np.dtype(np.uint8)


@pytest.fixture(scope="module")
def block() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (12, *SHAPE), dtype=np.uint8)


@pytest.fixture
def raw(tmp_path: Path, block: np.ndarray[Any, Any]) -> Path:
    np.save(tmp_path / "a.npy", block)
    return tmp_path / "a.npy"


@pytest.mark.parametrize("chosen", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2], [0, 0, 4], [1, 2, 3, 4]])
def test_chosen_frames_and_the_sum_of_the_whole_row(raw: Path, block: np.ndarray[Any, Any], chosen: list[int]) -> None:
    shard = RawShard(raw, SHAPE, KIND)
    for row in (0, 7, 11):
        into = np.zeros((len(chosen), *SHAPE[1:]), np.uint8)
        assert shard.read(row, np.array(chosen), into) == zlib.crc32(block[row].tobytes())
        assert np.array_equal(into, block[row][chosen])


def test_threads_read_at_once(raw: Path, block: np.ndarray[Any, Any]) -> None:
    shard = RawShard(raw, SHAPE, KIND)

    def right(row: int) -> bool:
        into = np.empty(SHAPE, np.uint8)
        return shard.read(row, np.arange(5), into) == zlib.crc32(block[row].tobytes()) and bool(
            (into == block[row]).all()
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, [row % 12 for row in range(2000)]))


def test_it_is_closed_with_its_last_reader(raw: Path) -> None:
    shard = RawShard(raw, SHAPE, KIND)
    opened = shard._file
    assert os.fstat(opened).st_size == raw.stat().st_size
    del shard
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_what_is_damaged_is_told(raw: Path, block: np.ndarray[Any, Any]) -> None:
    into, every = np.empty(SHAPE, np.uint8), np.arange(5)
    with pytest.raises(ValueError, match=r"rows are uint8 \(5, 3, 8, 8\), not uint8 \(4, 3, 8, 8\)"):
        RawShard(raw, (4, 3, 8, 8), KIND)
    with pytest.raises(ValueError, match="not float16"):
        RawShard(raw, SHAPE, np.dtype(np.float16))
    shard = RawShard(raw, SHAPE, KIND)
    for row in (12, -1):
        with pytest.raises(IndexError, match=f"12 rows, and no row {row}"):
            shard.read(row, every, into)
    with pytest.raises(IndexError):
        shard.read(0, np.array([5]), into[:1])
    raw.write_bytes(raw.read_bytes()[:-1])  # while it is open
    with pytest.raises(ValueError, match="cut off"):
        shard.read(11, every, into)
    with pytest.raises(ValueError, match="mmap length"):
        RawShard(raw, SHAPE, KIND)


def test_only_chosen_jpegs_are_decoded_and_all_are_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [np.full((8, 8, 3), (10 * t, 100, 200), np.uint8) for t in range(6)]  # blue, green, red
    jpegs = [cv2.imencode(".png", picture)[1].tobytes() for picture in pictures]  # png: the same pixels again
    pq.write_table(pa.table({"frames": pa.array([jpegs], pa.list_(pa.binary()))}), tmp_path / "a.parquet")
    decoded: list[bytes] = []
    imdecode = cv2.imdecode

    def counted(content: np.ndarray[Any, Any], flags: int) -> Any:
        decoded.append(content.tobytes())
        return imdecode(content, flags)

    monkeypatch.setattr(cv2, "imdecode", counted)
    into = np.zeros((2, 3, 8, 8), np.uint8)
    assert EncodedShard(tmp_path / "a.parquet").read(0, np.array([1, 4]), into) == zlib.crc32(b"".join(jpegs))
    assert decoded == [jpegs[1], jpegs[4]]
    for frame, t in zip(into, (1, 4), strict=True):
        assert frame[:, 3, 3].tolist() == [200, 100, 10 * t]  # red, green, blue
