"""Turns an output directory of folders into one of tars, by Python's tarfile and not by the code under test."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def to_tar(out: Path) -> Path:
    """`out`, as a build with --layout tar would have made it; tables that are newer than others stay so."""
    for unit in sorted(path for path in (out / "clips").iterdir() if path.is_dir()):
        rows = pq.read_table(out / "parts" / "frames" / f"{unit.name}.parquet").to_pylist()
        with tarfile.open(unit.with_suffix(".tar"), "w", format=tarfile.PAX_FORMAT) as tar:
            for row in rows:
                content = (out / row["path"]).read_bytes()
                info = tarfile.TarInfo(member_of(row["path"]).partition("#")[2])
                info.size, info.mode = len(content), 0o644
                tar.addfile(info, io.BytesIO(content))
        shutil.rmtree(unit)
    for folder in ("parts/frames", "parts/clips", "manifests"):
        for path in (out / folder).glob("*.parquet"):
            if path.parent.name != "manifests" or path.stem in ("frames", "clips"):
                _rewrite(path)
    note = out / "dataset.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | {"layout": "tar"}, indent=2))
    return out


def member_of(path: str) -> str:
    """clips/v/v_00000/001.jpg -> clips/v.tar#v_00000.001.jpg"""
    clips, unit, clip_id, name = path.split("/")
    return f"{clips}/{unit}.tar#{clip_id}.{name}"


def members(tar: Path) -> dict[str, bytes]:
    """Name -> bytes, in the order of the tar; by tarfile."""
    with tarfile.open(tar) as opened:
        files = {info.name: opened.extractfile(info) for info in opened}
        return {name: file.read() for name, file in files.items() if file is not None}


def frame_bytes(out: Path, path: str) -> bytes:
    """A frame of either layout; by tarfile."""
    file, _, member = path.partition("#")
    return members(out / file)[member] if member else (out / file).read_bytes()


def _rewrite(path: Path) -> None:
    table, stat = pq.read_table(path), path.stat()
    for column in ("path", "frames_uri"):
        if column in table.column_names:
            at, values = table.schema.get_field_index(column), table[column].to_pylist()
            told = [f"{v.rpartition('/')[0]}.tar" if column == "frames_uri" else member_of(v) for v in values]
            table = table.set_column(at, table.schema.field(at), pa.array(told, pa.string()))
    pq.write_table(table, path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
