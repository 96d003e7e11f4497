"""What must hold of an output directory at any moment, looked at with eyes of its own; and how to kill a build.

Nothing here asks the code under test: digests, tars and pictures are read again.
"""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.media.decode import decode, index_video

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Frames = dict[str, str]
"""Path as in the frames table -> SHA-256 of its bytes."""


def frames_on_disk(out: Path) -> Frames:
    """Every saved frame, in folders and in tars, from the disk and not from the tables."""
    found = {}
    for path in sorted((out / "clips").rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.suffix == ".jpg":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    stream = tar.extractfile(member)
                    assert stream is not None, f"{name} holds {member.name}, which is no file"
                    found[f"{name}#{member.name}"] = hashlib.sha256(stream.read()).hexdigest()
    return found


def committed(out: Path, samples: int = 5) -> dict[str, list[dict[str, Any]]]:
    """Clips of every video whose clips part is there, each checked to have all its frames with their digests."""
    found, on_disk = {}, frames_on_disk(out)
    for part in sorted((out / "parts" / "clips").glob("[!.]*.parquet")):
        rows = pq.read_table(part, columns=["clip_id", "start_frame", "n_faces", "fingerprint"]).to_pylist()
        frames = pq.read_table(out / "parts" / "frames" / part.name).to_pylist()
        assert len(frames) == samples * len(rows), f"{part.stem} has {len(frames)} frames of {len(rows)} clips"
        assert {f["clip_id"] for f in frames} == {r["clip_id"] for r in rows}
        for frame in frames:
            assert on_disk.get(frame["path"]) == frame["sha256"], f"{frame['path']} is not what its row says"
        found[part.stem] = rows
    return found


def orphans(out: Path) -> set[str]:
    """Saved frames that no committed part names."""
    named: set[str] = set()
    for part in (out / "parts" / "frames").glob("[!.]*.parquet"):
        if (out / "parts" / "clips" / part.name).exists():
            named |= set(pq.read_table(part, columns=["path"])["path"].to_pylist())
    return frames_on_disk(out).keys() - named


def leftovers(out: Path) -> list[str]:
    """Files of passing names anywhere under OUT."""
    work = out / ".cgtool"
    passing = [p for name in ("staging", "ready", "trash", "manifests") for p in (work / name).glob("*")]
    return sorted(str(p.relative_to(out)) for p in [*passing, *out.rglob(".*.partial")])


def manifest_table(out: Path, name: str) -> pa.Table:
    """A manifest without the columns that say when and how long; sorted."""
    table = pq.read_table(out / "manifests" / f"{name}.parquet")
    table = table.drop_columns([c for c in ("started_at", "seconds") if c in table.column_names])
    keys = [c for c in ("video_id", "clip_id", "position", "attempt", "stage", "x0") if c in table.column_names]
    return table.sort_by([(key, "ascending") for key in keys])


def assert_same_data(out: Path, calm: Path, tables: tuple[str, ...] = ("videos", "clips", "frames", "faces")) -> None:
    """The same frames and the same rows as an undisturbed run has made."""
    assert frames_on_disk(out) == frames_on_disk(calm)
    for name in tables:
        assert manifest_table(out, name).equals(manifest_table(calm, name)), f"the table {name} differs"


class Eye:
    """Sees faces of `face_film`, which is `source`, that are not blurred, in every form that tests/test_eye.py has.

    Not in what is compressed (but for JPEG and PNG); a video under the folder is told as such.
    """

    def __init__(self, source: Path, n_frames: int = 60) -> None:
        wanted = set(range(n_frames))
        frames = {f.index: f.rgb for f in decode(source, wanted, n_frames, index_video(source))}
        self.originals = {i: rgb.astype(float) for i, rgb in frames.items()}
        # The film's face is the same in every frame and only moves
        self._face = cv2.cvtColor(frames[0][80:150, 50:90], cv2.COLOR_RGB2GRAY)
        rows = [rgb[115, 50 + 3 * i : 90 + 3 * i] for i, rgb in frames.items()]
        self._rows = [row.tobytes() for one in rows for row in (one, one[:, ::-1])]

    def sharp(self, folder: Path) -> list[str]:
        """Files anywhere under a folder that show the film's face: hidden ones, tars, pages, half-written ones too."""
        found = []
        for path in folder.rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:  # it has moved meanwhile
                continue
            found += [f"{path} {how}" for how in self._seen(content)]
        return found

    def _seen(self, content: bytes) -> Iterator[str]:
        if content[4:8] == b"ftyp":
            yield "is a video"
        if any(self._shown(picture) for picture in _pictures(content)):
            yield "shows the face"
        if len(content) > 100_000 and any(row in content for row in self._rows):
            yield "holds the pixels of the face"

    def _shown(self, picture: bytes) -> bool:
        grey = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            return False
        height, width = grey.shape
        if abs(width / height - 4 / 3) < 0.03:  # a frame of the film, as it is or smaller
            return self._holds(cv2.resize(grey, (160, 120), interpolation=cv2.INTER_AREA), 0.5)
        return any(self._holds(grey, scale) for scale in (1.0, CELL_SCALE))

    def _holds(self, grey: Pixels, scale: float) -> bool:
        """A face as it was has a correlation of over 0.94 here, and a blurred one of under 0.72."""
        face = cv2.resize(self._face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        if grey.shape[0] < face.shape[0] or grey.shape[1] < face.shape[1]:
            return False
        return float(cv2.matchTemplate(grey, face, cv2.TM_CCOEFF_NORMED).max()) > 0.85


CELL_SCALE = 0.45
"""Of a frame of 320 x 240 in a cell of the contact sheet, which is 108 px high."""
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


def _pictures(content: bytes) -> Iterator[bytes]:
    """What begins like a picture in a file: the file itself, members of a tar, half-written ones, those in a page."""
    yield from _begun(content)
    for coded in re.findall(rb"base64,([A-Za-z0-9+/]+)", content):
        yield from _begun(base64.b64decode(coded[: len(coded) // 4 * 4]))


def _begun(content: bytes) -> Iterator[bytes]:
    for mark in (_JPEG, _PNG):
        for piece in content.split(mark)[1:]:
            # The end of a JPEG and room behind it: a decoder then takes one that is cut off as far as it goes
            yield mark + piece + (b"\xff\xd9" + bytes(1024) if mark == _JPEG else b"")


class ManifestReader:
    """Reads OUT/manifests over and over while a build runs, as a training run may: what it sees must always fit."""

    def __init__(self, out: Path, samples: int = 5) -> None:
        self.out, self.samples = out, samples
        self.n_reads = 0
        self.faults: list[str] = []
        self.seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)

    def __enter__(self) -> ManifestReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read_on(self) -> None:
        while not self._stop.wait(0.02) and len(self.faults) < 5:
            if (self.out / "manifests" / "clips.parquet").exists():
                try:
                    self._read()
                except Exception as exc:  # noqa: BLE001 - told by the test
                    self.faults.append(f"{type(exc).__name__}: {exc}")

    def _read(self) -> None:
        # The clips first: whoever reads them finds the frames of all their rows
        clips, frames = (_rows(self.out / "manifests" / f"{table}.parquet") for table in ("clips", "frames"))
        ids = [clip["clip_id"] for clip in clips]
        keys = [(frame["clip_id"], frame["position"]) for frame in frames]
        wanted = {(clip_id, position) for clip_id in ids for position in range(self.samples)}
        checks = {
            "a clip is there twice": len(ids) == len(set(ids)),
            "a frame is there twice": len(keys) == len(set(keys)),
            "a clip has not all its frames": wanted <= set(keys),
            "a clip has gone": self.seen <= set(ids),
        }
        self.faults += [fault for fault, holds in checks.items() if not holds]
        for frame in frames[:: max(1, len(frames) // 7)]:
            file = self.out / frame["path"].partition("#")[0]
            if not file.is_file():
                self.faults.append(f"{frame['path']} is not there")
        self.seen |= set(ids)
        self.n_reads += 1


def _rows(path: Path) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as file:  # opened once: pq.read_table opens a path twice, and may meet two manifests
        rows: list[dict[str, Any]] = file.read(use_threads=False).to_pylist()
    return rows


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`; none where the system does not tell."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def gone(pids: list[int], within_s: float = 30) -> bool:
    """Whether these processes end."""
    return wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), within_s)


def wait_for(holds: Callable[[], bool], within_s: float = 60, every_s: float = 0.004) -> bool:
    """Wait until something holds; False where it does not in time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(every_s)
    return True
