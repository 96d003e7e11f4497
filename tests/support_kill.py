"""What must hold of an output directory at any moment, looked at with eyes of its own; and how to kill a build.

Nothing here asks the code under test: digests, tars and pictures are read again.
"""

from __future__ import annotations

import hashlib
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
    """Sees faces of `face_film` that are not blurred. `source` is the film."""

    def __init__(self, source: Path, n_frames: int = 60) -> None:
        wanted = set(range(n_frames))
        frames = decode(source, wanted, n_frames, index_video(source))
        self.originals = {f.index: f.rgb.astype(float) for f in frames}

    def sharp(self, folder: Path) -> list[str]:
        """Pictures anywhere under a folder, in hidden folders, tars and web pages too, that show the film's face."""
        found = []
        for path in folder.rglob("*"):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except FileNotFoundError:  # it has moved meanwhile
                continue
            found += [f"{path} shows frame {i}" for picture in _pictures(content) for i in self._shown(picture)]
        return found

    def _shown(self, picture: bytes) -> Iterator[int]:
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        if image is None or image.shape[:2] != (240, 320):
            return
        rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(float)
        for i, original in self.originals.items():
            x = 20 + 3 * i + 30
            if np.abs(rgb[80:150, x : x + 40] - original[80:150, x : x + 40]).mean() < 4:
                yield i


def _pictures(content: bytes) -> Iterator[bytes]:
    """Whatever begins like a JPEG in a file: the file itself, the members of a tar, a half-written one."""
    start = content.find(b"\xff\xd8\xff")
    while start >= 0:
        following = content.find(b"\xff\xd8\xff", start + 3)
        yield content[start : following if following > 0 else len(content)]
        start = following


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
