"""Makes parts again from the manifests, where their rows of a video fit the frames that are there, by every digest.

Manifests say once more what the parts say. Where a part is lost or damaged, rows there that agree with each other, and
with the bytes of every frame, are what it said: nothing need be decoded, downloaded or looked through for faces.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..core.frame_files import MEMBER, FrameFiles, is_under, split_member
from ..core.partitions import manifest_batches, manifest_files
from ..core.schemas import FINGERPRINT_KEY, TABLES, UNIT_TABLES
from ..core.threads import n_cores
from ..over_frames.units import SCENES_KEY
from ..run.store import Store
from ..run.tombstones import Tombstones
from .asked import Asked
from .faces import check_faces
from .frame_bytes import check_frames
from .rows import check_rows
from .same_source import UNREADABLE
from .scenes import check_scenes
from .spans import check_spans
from .unit import TO_REDO, UnitTables, read_checked

_SIBLING = {"clips": "frames", "frames": "clips"}
"""Both say who labelled their scenes."""
Tables = Mapping[str, pa.Table]


def noted_rows(store: Store, units: Collection[str]) -> dict[str, Tables]:
    """By unit, what the manifests say of it in each table; nothing where one of them cannot be read.

    Of units that are their video's, as those of a build are.
    """
    try:
        found = {table: dict(_by_video(store, table, units)) for table in ("videos", "clips")}
        unit_of = {c: unit for unit, table in found["clips"].items() for c in table["clip_id"].to_pylist()}
        found |= {table: dict(_by_clip(store, table, unit_of)) for table in ("frames", "faces")}
    except UNREADABLE:
        return {}
    return {
        unit: {name: found[name].get(unit, TABLES[name].empty_table()) for name in UNIT_TABLES}
        for unit in found["videos"]
    }


def is_removed(unit: str, noted: Tables, tombstones: Tombstones) -> bool:
    """Whether a unit, or a clip of it, was removed for good: the parts no longer say it, and that is right."""
    if not tombstones:
        return False
    ids = set(noted["clips"]["clip_id"].to_pylist())
    videos = noted["videos"].select(["url", "sha256", "channel"]).to_pylist()
    return bool(ids & tombstones.clips) or any(
        tombstones.of_video(unit, row["url"], row["sha256"], row["channel"]) is not None
        or bool(tombstones.spans(unit, row["url"], row["sha256"]))
        for row in videos
    )


def made_again(store: Store, unit: str, noted: Tables, asked: Asked, files: FrameFiles) -> dict[str, pa.Table] | None:
    """The four parts of a unit as the manifests say them, marks and all.

    Returns:
        None where the parts say the same, or where it is not sure that they ever said this: rows do not agree with each
        other or with the frames that are there, its clips part says something else, or a review is noted of it.
    """
    if store.part("decisions", unit).exists() or any(_is_no_file(store, table, unit) for table in UNIT_TABLES):
        return None
    held = {table: read_checked(store.part(table, unit), table)[0] for table in UNIT_TABLES}
    fingerprints = set(noted["clips"]["fingerprint"].to_pylist())
    if len(fingerprints) != 1 or not _are_among(held["clips"], noted["clips"], unit):
        return None
    mark = fingerprints.pop().encode()
    tables = {}
    for table in UNIT_TABLES:
        rows = _as_part(noted[table], table)
        metadata = {**(rows.schema.metadata or {}), **_marks(held, table, mark), FINGERPRINT_KEY: mark}
        tables[table] = rows.replace_schema_metadata(metadata)
    if all(_is_same(held[table], tables[table], table) for table in UNIT_TABLES):
        return None
    whole = UnitTables(unit, tables)
    checks = (check_rows(whole, asked), check_spans(whole, asked), check_scenes(whole, asked))
    if any(True for faults in (*checks, check_faces(whole, asked, ())) for _ in faults):
        return None
    with ThreadPoolExecutor(2 * n_cores()) as pool:
        return None if any(True for _ in check_frames(whole, asked, files, pool)) else tables


def put_back(store: Store, unit: str, tables: Tables) -> None:
    """Commit parts in the place of those that are there; frames stay. `store` is locked.

    Raises:
        DiskFullError: no space left; the next run finishes it.
    """
    staging = store.new_staging(unit)
    (staging / "parts").mkdir(parents=True)
    for name, table in tables.items():
        pq.write_table(table, staging / "parts" / f"{name}.parquet", compression="zstd")
    store.commit(unit, staging)


def differs(store: Store, unit: str, noted: Tables) -> bool:
    """Whether the manifests say anything else of a unit than its parts."""
    for table in UNIT_TABLES:
        held = read_checked(store.part(table, unit), table)[0]
        if not _is_same(held, _as_part(noted[table], table), table, with_marks=False):
            return True
    return False


def named_by_manifest(store: Store, paths: Collection[str]) -> set[str]:
    """Of these paths under OUT those that the frames manifest names, or a member of which it does.

    Without a manifest that can be read, none.
    """
    if not paths:
        return set()
    wanted, named = set(paths), set[str]()
    try:
        for batch in manifest_batches(store.out / "manifests" / "frames.parquet", ["path"]):
            for path in batch["path"].to_pylist():
                file = split_member(path)[0] if MEMBER in path else path
                if file in wanted and is_under(path):
                    named.add(file)
    except UNREADABLE:
        return set()
    return named


def _is_same(held: pa.Table | None, made: pa.Table, table: str, *, with_marks: bool = True) -> bool:
    if held is None or not _as_part(held, table).equals(made):
        return False
    return not with_marks or dict(held.schema.metadata or {}) == dict(made.schema.metadata or {})


def _is_no_file(store: Store, table: str, unit: str) -> bool:
    path = store.part(table, unit)
    return path.is_symlink() or (path.exists() and not path.is_file())


def _are_among(held: pa.Table | None, noted: pa.Table, unit: str) -> bool:
    """Whether a clips part says nothing of its video's clips that the manifest does not say as well.

    Rows that were lost, or are another video's, are damage; one that says something else may be a later result.
    """
    if held is None:
        return True
    known = {row["clip_id"]: row for row in noted.to_pylist()}
    return all(known.get(row["clip_id"]) == row for row in held.to_pylist() if row["video_id"] == unit)


def _as_part(rows: pa.Table, table: str) -> pa.Table:
    """Rows as a part has them: columns of the schema first, and of others those that say anything, by name."""
    schema = TABLES[table]
    extra = sorted(name for name in set(rows.column_names) - set(schema.names) if rows[name].null_count < rows.num_rows)
    fields = [*schema, *(rows.schema.field(name) for name in extra)]
    return (
        rows.select([field.name for field in fields]).cast(pa.schema(fields, metadata=schema.metadata)).combine_chunks()
    )


def _marks(held: Mapping[str, pa.Table | None], table: str, mark: bytes) -> dict[bytes, bytes]:
    """What the metadata of a part said, as far as that can be known: its own, or who labelled scenes by its sibling."""
    own, sibling = (_metadata(held.get(name), mark) for name in (table, _SIBLING.get(table, "")))
    if own or table not in _SIBLING:
        return own
    return {key: value for key, value in sibling.items() if key == SCENES_KEY}


def _metadata(table: pa.Table | None, mark: bytes) -> dict[bytes, bytes]:
    """Of a part that is of this result, or was marked to be done again."""
    metadata = {} if table is None else dict(table.schema.metadata or {})
    return metadata if metadata.get(FINGERPRINT_KEY) in (mark, TO_REDO) else {}


def _by_video(store: Store, table: str, units: Collection[str]) -> Iterator[tuple[str, pa.Table]]:
    kept = _rows(store, table, "video_id", units)
    for unit in dict.fromkeys(kept["video_id"].to_pylist()):
        yield unit, kept.filter(pc.equal(kept["video_id"], unit))


def _by_clip(store: Store, table: str, unit_of: Mapping[str, str]) -> Iterator[tuple[str, pa.Table]]:
    kept = _rows(store, table, "clip_id", unit_of)
    places: dict[str, list[int]] = defaultdict(list)
    for place, clip_id in enumerate(kept["clip_id"].to_pylist()):
        places[unit_of[clip_id]].append(place)
    for unit, rows in places.items():
        yield unit, kept.take(rows)


def _rows(store: Store, table: str, column: str, values: Collection[str]) -> pa.Table:
    """The rows of a manifest with one of these values, in its order."""
    wanted, kept = pa.array(sorted(values), pa.string()), list[pa.Table]()
    files = manifest_files(store.out / "manifests" / f"{table}.parquet")
    if not files:
        raise FileNotFoundError(table)
    for path in files:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            kept.append(file.schema_arrow.empty_table())
            for batch in file.iter_batches(use_threads=False):
                rows = pa.Table.from_batches([batch])
                kept.append(rows.filter(pc.is_in(rows[column], value_set=wanted)))
    return pa.concat_tables(kept)
