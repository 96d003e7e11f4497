"""The Hugging Face form: Parquet files with the frames inside, a row a clip, and a data card as README.md.

data/<part>-00000-of-00002.parquet    the clips; part is `train` where no split gives it
tables/videos.parquet, tables/faces.parquet (where they have rows), splits/, figures/, README.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.schemas import CLIPS, FACES
from .card import write_card
from .clip import ExportClip
from .frames import FrameReader, Row
from .job import ExportJob
from .shards import Shard, plan_shards
from .tables import parquet_writer, write_splits
from .webdataset import member_name

GROUP_BYTES = 64_000_000
"""Of frames in a row group: a reader holds one in memory, and viewers take none of over 300 MB."""

_IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
_OF_FRAMES = {"frame_index": pa.int64(), "timestamp_s": pa.float64(), "frame_sha256": pa.string()}
_COLUMNS = [name for name in CLIPS.names if name != "frames_uri"]


def write_huggingface(job: ExportJob) -> None:
    """Everything that `datasets.load_dataset(DEST)` needs, and the card.

    Raises:
        FramesError: a frame is missing or is not the one that the tables name.
        InputError: a text holds a path of this machine.
        DiskFullError: no space left.
    """
    reader = FrameReader(job.contents.store)
    parts: dict[str, int] = {}
    for shard in plan_shards(job.contents.clips, job.shard_bytes):
        parts[shard.part or "train"] = parts.get(shard.part or "train", 0) + len(shard.clips)
        name = data_name(shard)
        if job.dest.has(name):
            job.packed(len(shard.clips), sum(clip.n_bytes for clip in shard.clips))
        else:
            job.dest.write(name, _filler(job, shard, reader))
    tables = _write_tables(job)
    write_splits(job)
    write_card(job, parts, tables)


def _write_tables(job: ExportJob) -> list[str]:
    """tables/<name>.parquet, of those that have a row: `datasets` does not open an empty one. Returns their names."""
    contents = job.contents
    found: dict[str, tuple[pa.Schema, Callable[[], Iterable[pa.Table]]]] = {
        "videos": (contents.videos.schema, lambda: iter([contents.videos])),
        "faces": (FACES, lambda: contents.tables("faces")),
    }
    names = []
    for name, (own, tables) in found.items():
        if not any(table.num_rows for table in tables()):
            continue
        names.append(name)
        path, schema = f"tables/{name}.parquet", with_features(own)
        if not job.dest.has(path):
            rows = (table.cast(schema) for table in tables())
            job.dest.write(path, parquet_writer(f"the {name} table", rows, schema, job.guard))
    return names


def data_name(shard: Shard) -> str:
    """`data/train-00000-of-00002.parquet`."""
    return f"data/{shard.part or 'train'}-{shard.number:05d}-of-{shard.of:05d}.parquet"


def with_features(schema: pa.Schema) -> pa.Schema:
    """With the metadata that tells `datasets` its types; every column may be null, for `datasets` knows no other."""
    fields = [pa.field(column.name, column.type) for column in schema]
    features = {column.name: _feature(column.type) for column in fields}
    told = {**(schema.metadata or {}), b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    return pa.schema(fields, metadata=told)


def clips_schema() -> pa.Schema:
    """Of the rows in data/: the clips table, lists with a value a frame, and the frames."""
    lists = [pa.field(name, pa.list_(kind)) for name, kind in _OF_FRAMES.items()]
    fields = [CLIPS.field(name) for name in _COLUMNS] + [*lists, pa.field("frames", pa.list_(_IMAGE))]
    return with_features(pa.schema(fields, metadata=CLIPS.metadata))


def _feature(kind: pa.DataType) -> dict[str, Any]:
    if kind == _IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    named = {"double": "float64", "float": "float32"}
    return {"dtype": named.get(str(kind), str(kind)), "_type": "Value"}


def _filler(job: ExportJob, shard: Shard, reader: FrameReader) -> Callable[[Path], None]:
    schema = clips_schema()
    texts = [name for name in schema.names if name != "frames"]

    def fill(path: Path) -> None:
        # JPEGs do not get smaller, and their least and greatest bytes say nothing
        packing = dict.fromkeys(_leaves(schema), "zstd") | {"frames.list.element.bytes": "none"}
        with pq.ParquetWriter(path, schema, compression=packing, use_dictionary=texts, write_statistics=texts) as out:
            pending: list[dict[str, Any]] = []
            held_bytes = 0
            unit, rows = "", {}
            for clip, jpegs in reader.read_all(shard.clips):
                if clip.unit != unit:
                    table = job.contents.table("clips", clip.unit)
                    job.guard.check_table("the clips table", table.drop_columns(["frames_uri"]))
                    unit, rows = clip.unit, {row["clip_id"]: row for row in table.to_pylist()}
                if pending and held_bytes + clip.n_bytes > GROUP_BYTES:
                    out.write_table(pa.Table.from_pylist(pending, schema))
                    pending, held_bytes = [], 0
                pending.append(_row(rows[clip.clip_id], clip, jpegs, reader.rows(clip.unit, clip.clip_id)))
                held_bytes += clip.n_bytes
                job.packed(1, clip.n_bytes)
            out.write_table(pa.Table.from_pylist(pending, schema))

    return fill


def _row(row: Row, clip: ExportClip, jpegs: list[bytes], frames: list[Row]) -> Row:
    names = [member_name(clip.key, frame["position"]) for frame in frames]
    return {name: row[name] for name in _COLUMNS} | {
        "frame_index": [frame["frame_index"] for frame in frames],
        "timestamp_s": [frame["timestamp_s"] for frame in frames],
        "frame_sha256": [frame["sha256"] for frame in frames],
        "frames": [{"bytes": jpeg, "path": name} for jpeg, name in zip(jpegs, names, strict=True)],
    }


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of the columns as Parquet has them."""
    names = []
    for column in schema:
        if column.type == pa.list_(_IMAGE):
            names += [f"{column.name}.list.element.{inner.name}" for inner in _IMAGE]
        else:
            names.append(f"{column.name}.list.element" if pa.types.is_list(column.type) else column.name)
    return names
