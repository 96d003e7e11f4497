"""One open shard: rows of raw numbers, read straight to where a batch wants them, or of encoded frames.

A raw shard is read by position and not through a memory map: one call for a whole clip, whose bytes are checked where
they then lie, and a disk that fails is an error and no signal that ends the process. Both kinds may be read by any
number of threads at once.
"""

from __future__ import annotations

import os
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.media.limits import picture_fault


class RawShard:
    """An .npy file of pixels or features; closed when nobody holds it any more.

    Raises:
        OSError, ValueError: it cannot be read, or holds other rows than these.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # the header, held against the file's length
        if not isinstance(mapped, np.memmap):  # of a zip, NumPy gives another object
            raise ValueError("it is no .npy file")
        if mapped.shape[1:] != shape or mapped.dtype != dtype or not mapped.flags.c_contiguous:
            raise ValueError(f"its rows are {mapped.dtype} {mapped.shape[1:]}, not {dtype} {shape}")
        self._n_rows, self._start, self._shape, self._dtype = len(mapped), mapped.offset, shape, dtype
        self._row_bytes = mapped[0].nbytes if len(mapped) else 0
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, row: int, chosen: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> int:
        """Write some frames of a row into `into`; the CRC-32 of the whole row.

        Args:
            chosen: (n,) places among the frames of the row.
            into: (n, ...), contiguous, of the shard's type.
        Raises:
            OSError, ValueError, IndexError: it cannot be read, is cut off, or has no such row.
        """
        if not 0 <= row < self._n_rows:
            raise IndexError(f"it has {self._n_rows} rows, and no row {row}")
        if len(chosen) == self._shape[0] and np.array_equal(chosen, np.arange(len(chosen))):
            return self._read(row, into)
        whole = np.empty(self._shape, self._dtype)
        crc32 = self._read(row, whole)
        for at, frame in enumerate(chosen.tolist()):
            into[at] = whole[frame]
        return crc32

    def _read(self, row: int, into: npt.NDArray[Any]) -> int:
        room = into.data.cast("B")
        at, done = self._start + row * self._row_bytes, 0
        while done < len(room):
            n = _read_at(self._file, room[done:], at + done)
            if not n:
                raise ValueError("it is cut off")
            done += n
        return zlib.crc32(room)


def _read_at(file: int, into: memoryview, at: int) -> int:
    """Bytes read; where the system cannot read to a place in memory (macOS), by one copy more."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [into], at)
    found = os.pread(file, len(into), at)
    into[: len(found)] = found
    return len(found)


class EncodedShard:
    """A Parquet file of JPEGs, held in memory.

    Raises:
        OSError, ValueError, pyarrow.ArrowException: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._rows: pa.ChunkedArray = pq.read_table(path)["frames"]

    def read(self, row: int, chosen: npt.NDArray[np.int64], into: npt.NDArray[Any]) -> int:
        """As RawShard.read; the sum is of the encoded frames, one after the other, and only chosen ones are decoded."""
        encoded: Sequence[bytes] = self._rows[row].as_py()
        for at, frame in enumerate(chosen.tolist()):
            into[at] = _decoded(encoded[frame])
        return zlib.crc32(b"".join(encoded))


def _decoded(jpeg: bytes) -> npt.NDArray[np.uint8]:
    """(3, H, W) red, green, blue; a view of what the decoder made."""
    import cv2

    fault = picture_fault(jpeg)
    picture = None if fault else cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"a frame {fault or 'is no picture'}")
    frame: npt.NDArray[np.uint8] = np.asarray(picture, np.uint8)[:, :, ::-1].transpose(2, 0, 1)
    return frame
