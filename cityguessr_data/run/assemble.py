"""Puts the parts of each table together into OUT/manifests/<table>.parquet, and tells whether that must be done again.

Only what changed is written: a table none of whose parts changed is left as it is, and of a large data set the two big
tables are folders of partitions (core/partitions.py), of which only those with a changed part are written anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..core.partitions import is_manifest, manifest_rows
from .manifests import ManifestWriter
from .part_index import folder_ns, read_commits, read_folders, read_index, scan, scan_manifests, write_index
from .store import Store

ORDER = ("frames", "faces", "attempts", "videos", "clips")
"""The clips manifest last: who reads it finds the frames of all its rows that are new. Of clips that went, such as by a
removal, the frames are gone a moment before."""
PARTITIONED = ("frames", "faces")
PARTITION_FROM = 200_000
"""Clips from which frames and faces are partitioned; below half as many they become one file again."""


def assemble(store: Store, partition_from: int | None = None) -> dict[str, int]:
    """Make every manifest one of the parts as they are; frames, faces and clips of committed videos only.

    Killed at any moment, the next call goes on: what was made from what is noted last of all, and a file that is not
    as it was noted is written again.

    Args:
        partition_from: clips from which frames and faces are folders; None: PARTITION_FROM.
    Returns:
        Rows by table.
    Raises:
        DiskFullError: no space left; manifests that were not replaced by then stay.
    """
    before, now = read_index(store.out), scan(store.out)  # scanned before anything is read: what comes later is not in
    now = replace(now, commits=read_commits(store.out, now, before))
    n_clips = sum(commit.n_clips for commit in now.commits.values())
    left = {name for name, stamp in scan_manifests(store.out).items() if before.manifests.get(name) == stamp}
    limit = PARTITION_FROM if partition_from is None else partition_from
    rows: dict[str, Mapping[str, int]] = {}
    with ManifestWriter(store) as writer:
        for table in ORDER:
            name, held = f"{table}.parquet", before.rows.get(table, {})
            is_folder = (writer.folder / name).is_dir()
            if table in PARTITIONED and n_clips >= (limit // 2 if is_folder else limit):
                whole = {path.removeprefix(f"{name}/") for path in left}
                writer.partitions(table, now.of(table), before.of(table), whole)
            elif table in PARTITIONED and (name not in left or now.of(table) != before.of(table)):
                writer.whole(table, list(now.of(table)))
            elif table not in PARTITIONED:
                made_from = before.of(table) if name in left else {}
                same = name in left and now.of(table) == made_from and set(held) == set(made_from)
                rows[table] = held if same else writer.small(table, now.of(table), made_from, held)
    write_index(store.out, replace(now, rows=rows, manifests=scan_manifests(store.out)))
    return {table: manifest_rows(writer.folder / f"{table}.parquet") for table in ORDER}


def is_stale(store: Store) -> bool:
    """Whether a manifest is missing or not as it was left, or a part has changed, come or gone since."""
    made = read_index(store.out)
    return not made.manifests or made.manifests != scan_manifests(store.out) or made.parts != scan(store.out).parts


def is_surely_fresh(store: Store, tables: Sequence[str]) -> bool:
    """Whether no part of these tables has come or gone since, by a look at their folders alone.

    It costs the same for a million parts as for one; False may also mean that the data set was copied.
    """
    noted = read_folders(store.out)
    return all(
        table in noted
        and is_manifest(store.out / "manifests" / f"{table}.parquet")
        and noted[table] == folder_ns(store.out / "parts" / table)
        for table in tables
    )
