"""Manifests of a large data set are folders of partitions: the same rows, and only what changed is written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.partitions import partition_of, read_manifest
from cityguessr_data.run import manifests
from cityguessr_data.run.assemble import ORDER, assemble, is_stale, is_surely_fresh
from cityguessr_data.run.part_index import read_commits, read_index, scan, write_index
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import video_table
from tests.support_operations import parts_opened
from tests.support_parts import BIG, by_text, data_set, from_parts, in_manifest, put, take

N_VIDEOS = 12
SEQUENCES = int(os.environ.get("CGTOOL_MANIFEST_SEQUENCES", "4"))


def files(store: Store) -> dict[str, tuple[int, int]]:
    """Of every manifest's file what tells whether it was written anew."""
    folder = store.out / "manifests"
    stats = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def written(store: Store, before: dict[str, tuple[int, int]]) -> set[str]:
    now = files(store)
    return {name for name in now.keys() | before.keys() if now.get(name) != before.get(name)}


def expected_partition(unit: str) -> str:
    return f"{hashlib.sha256(unit.encode()).digest()[0]:02x}.parquet"


@pytest.mark.parametrize("limit", [0, 10**6])
def test_the_rows_are_those_of_the_parts(tmp_path: Path, limit: int) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    counts = assemble(store, limit)
    for table in ORDER:
        path = tmp_path / "manifests" / f"{table}.parquet"
        assert path.is_dir() == (limit == 0 and table in BIG)
        rows = from_parts(store, table)
        assert counts[table] == len(rows) > 0
        assert by_text(in_manifest(store, table)) == by_text(rows)
        if not path.is_dir():
            assert in_manifest(store, table) == rows  # in the order of the videos
    assert not is_stale(store)
    assert is_surely_fresh(store, ("clips", "faces"))
    assert not list((store.work / "manifests").glob("*"))


def test_a_video_is_in_one_partition_and_stays_there(tmp_path: Path) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, 0)
    for table in BIG:
        folder = tmp_path / "manifests" / f"{table}.parquet"
        assert {path.name for path in folder.iterdir()} == {expected_partition(f"v{n:03d}") for n in range(N_VIDEOS)}
        for path in folder.iterdir():
            units = {row["clip_id"].split("_")[0] for row in read_manifest(path).to_pylist()}
            assert {expected_partition(unit) for unit in units} <= {path.name}
    # printf youtube_dQw4w9WgXcQ | sha256sum
    assert partition_of("youtube_dQw4w9WgXcQ") == "ae"


def test_one_more_video_writes_its_partitions_and_the_small_tables(tmp_path: Path) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, 0)
    before = files(store)
    put(store, 100)
    assert is_stale(store)
    assert not is_surely_fresh(store, ("clips",))
    assemble(store, 0)
    name = expected_partition("v100")
    big = {f"{table}.parquet/{name}" for table in BIG}
    assert written(store, before) == big | {f"{table}.parquet" for table in ("attempts", "videos", "clips")}
    before = files(store)
    take(store, 100)
    assemble(store, 0)
    assert written(store, before) == big | {f"{table}.parquet" for table in ("attempts", "videos", "clips")}
    assert by_text(in_manifest(store, "frames")) == by_text(from_parts(store, "frames"))


@pytest.mark.parametrize("limit", [0, 10**6])
def test_a_table_without_a_changed_part_is_left_alone(tmp_path: Path, limit: int) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, limit)
    before = files(store)
    assemble(store, limit)
    assert not written(store, before)
    part = store.part("faces", "v003")
    shutil.copyfile(store.part("faces", "v004"), part)
    assemble(store, limit)
    name = f"faces.parquet/{expected_partition('v003')}" if limit == 0 else "faces.parquet"
    assert written(store, before) == {name}
    assert by_text(in_manifest(store, "faces")) == by_text(from_parts(store, "faces"))


@pytest.mark.parametrize("limit", [0, 10**6])
def test_of_a_small_table_the_changed_parts_alone_are_read(tmp_path: Path, limit: int) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, limit)
    put(store, 5, "b")
    put(store, 100)
    take(store, 0)
    with parts_opened(tmp_path) as opened:
        assemble(store, limit)
    for table in set(ORDER) - set(BIG):
        of_table = {path for path in opened if path.startswith(f"parts/{table}/")}
        assert of_table == {f"parts/{table}/v005.parquet", f"parts/{table}/v100.parquet"}
        assert in_manifest(store, table) == from_parts(store, table)


def test_an_index_that_does_not_know_the_rows_is_made_up_for(tmp_path: Path) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    for change in (None, 4):
        assemble(store)
        write_index(tmp_path, replace(read_index(tmp_path), rows={}))
        if change is not None:
            put(store, change, "b")
        assemble(store)
        assert in_manifest(store, "clips") == from_parts(store, "clips")
        assert set(read_index(tmp_path).rows["clips"]) == {f"v{n:03d}" for n in range(N_VIDEOS)}


def test_a_passed_through_column_comes_and_goes_with_its_videos(tmp_path: Path) -> None:
    store = data_set(tmp_path, 4)
    assemble(store)

    def give(number: int, **extra: str) -> None:
        row = {"video_id": f"v{number:03d}", "url": "u", "n_clips": 0, "status": "done", **extra}
        write_table(store.part("videos", f"v{number:03d}"), video_table(row))

    def held(name: str) -> list[str | None] | None:
        assemble(store)
        videos = read_manifest(tmp_path / "manifests" / "videos.parquet")
        return videos[name].to_pylist() if name in videos.column_names else None

    give(1, camera="hand")
    assert held("camera") == [None, "hand", None, None]
    give(2, camera="car")
    assert held("camera") == [None, "hand", "car", None]
    give(1)
    assert held("camera") == [None, None, "car", None]
    give(2)
    assert held("camera") is None


@pytest.mark.parametrize("limit", [0, 10**6])
def test_a_manifest_that_was_lost_or_changed_is_made_again(tmp_path: Path, limit: int) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, limit)
    for name in sorted(files(store)):
        path = tmp_path / "manifests" / name
        for spoil in (path.unlink, lambda path=path: path.write_bytes(b"PAR1")):
            spoil()
            assert is_stale(store), name
            assemble(store, limit)
            assert not is_stale(store)
    for table in ORDER:
        assert by_text(in_manifest(store, table)) == by_text(from_parts(store, table))


@pytest.mark.parametrize("name", ["zz.parquet", expected_partition("v000")])
def test_what_is_no_partition_is_taken_away(tmp_path: Path, name: str) -> None:
    """A folder, as a wrong unpacking or a file manager leaves it: no reader of the manifest could open it."""
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, 0)
    before = in_manifest(store, "frames")
    folder = tmp_path / "manifests" / "frames.parquet"
    (folder / name).unlink(missing_ok=True)
    (folder / name / "inside").mkdir(parents=True)
    (folder / "xx.parquet").symlink_to(tmp_path)
    assert is_stale(store)
    assemble(store, 0)
    assert all(path.is_file() for path in folder.iterdir()) and not is_stale(store)
    assert by_text(in_manifest(store, "frames")) == by_text(before)
    assert (tmp_path / "parts").is_dir() and not list((store.work / "manifests").glob("*"))


def test_of_what_is_noted_no_part_is_opened(tmp_path: Path) -> None:
    store = data_set(tmp_path, N_VIDEOS)
    assemble(store, 0)
    put(store, 3, "b")
    with parts_opened(tmp_path) as opened:
        committed = store.committed()
    assert {path for path in opened if path.startswith("parts/")} == {"parts/clips/v003.parquet"}
    assert [(c.video_id, c.fingerprint) for c in committed.values()] == [
        (f"v{n:03d}", "b" if n == 3 else "a") for n in range(N_VIDEOS)
    ]
    commits = read_commits(tmp_path, scan(tmp_path), read_index(tmp_path))
    assert sum(commit.n_clips for commit in commits.values()) == len(from_parts(store, "clips"))


def test_they_do_not_go_to_and_fro(tmp_path: Path) -> None:
    """Partitioned from a number of clips on, and one file again only below half of it."""
    store = data_set(tmp_path, N_VIDEOS)
    n_clips = len(from_parts(store, "clips"))
    frames = tmp_path / "manifests" / "frames.parquet"
    for limit, is_folder in [
        (n_clips + 1, False), (n_clips, True), (n_clips + 1, True), (2 * n_clips, True), (2 * n_clips + 2, False),
        (2 * n_clips, False),
    ]:  # fmt: skip
        assemble(store, limit)
        assert frames.is_dir() == is_folder, limit
        assert by_text(in_manifest(store, "frames")) == by_text(from_parts(store, "frames"))


@pytest.mark.parametrize("seed", range(SEQUENCES))
def test_after_any_changes_they_are_what_a_first_assembling_gives(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the clock goes back between two changes, and where the index is lost or damaged."""
    monkeypatch.setattr(manifests, "GROUP_ROWS", 5)  # several groups of a few rows
    rng = random.Random(seed)
    store = data_set(tmp_path / "out", 6)
    there = set(range(6))
    for _ in range(12):
        for _ in range(rng.choice((0, 1, 1, 3))):
            number = rng.randrange(10)
            if number in there and rng.random() < 0.5:
                take(store, number)
                there.remove(number)
            else:
                put(store, number, rng.choice("ab"))
                there.add(number)
                if rng.random() < 0.5:
                    for table in ORDER:
                        os.utime(store.part(table, f"v{number:03d}"), ns=(seed, rng.randrange(10**15)))
        if there and rng.random() < 0.2:
            store.part("clips", f"v{min(there):03d}").unlink(missing_ok=True)  # as in the midst of a commit
        if store.work.is_dir() and rng.random() < 0.2:
            (store.work / "assembled.parquet").write_bytes(rng.choice((b"", b"PAR1 no", b"x" * 100)))
        assemble(store, rng.choice((0, 10, 10**6)))
        assert not is_stale(store)
        for table in BIG:
            assert by_text(in_manifest(store, table)) == by_text(from_parts(store, table))
        for table in set(ORDER) - set(BIG):
            assert in_manifest(store, table) == from_parts(store, table)  # in their order
        there = {int(path.stem[1:]) for path in store.parts("videos")}
    anew = Store(tmp_path / "anew")
    shutil.copytree(store.out / "parts", anew.out / "parts")
    assemble(anew)
    for table in set(ORDER) - set(BIG):
        name = f"manifests/{table}.parquet"
        assert (store.out / name).read_bytes() == (anew.out / name).read_bytes(), table


class Killed(BaseException):
    """Stands in for kill -9."""


@contextlib.contextmanager
def dying_after(n_operations: int) -> Iterator[None]:
    """The n-th change of the file system does not happen, nor any later one: nothing is cleared up."""
    done = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            if done >= n_operations:
                raise Killed
            done += 1
            return function(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace", "unlink", "mkdir"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        yield


@pytest.mark.parametrize("limits", [(10**6, 0), (0, 0), (0, 10**6)], ids=["begun", "updated", "ended"])
def test_killed_at_any_change_of_the_file_system_the_next_run_completes(
    tmp_path: Path, limits: tuple[int, int]
) -> None:
    survived = 0
    made = data_set(tmp_path / "made", 3)
    assemble(made, limits[0])
    for n in range(200):
        out = tmp_path / f"out{n}"
        shutil.copytree(tmp_path / "made", out, copy_function=shutil.copy2)
        store = Store(out)
        put(store, 20)
        try:
            with dying_after(n):
                assemble(store, limits[1])
            survived += 1
        except Killed:
            noted = not is_stale(store)
            path = out / "manifests" / "frames.parquet"
            if path.exists():  # but for the moment in which a file becomes a folder
                of_frames = {row["clip_id"] for row in in_manifest(store, "frames")}
                assert {row["clip_id"] for row in in_manifest(store, "clips")} <= of_frames
            if not noted:  # else all was done but for clearing up
                assemble(store, limits[1])
        assert not is_stale(store)
        for table in ORDER:
            assert by_text(in_manifest(store, table)) == by_text(from_parts(store, table))
        assert not list((store.work / "manifests").glob("*"))
        assert (out / "manifests" / "frames.parquet").is_dir() == (limits[1] == 0)
        shutil.rmtree(out)
        if survived:
            break
    assert n > 8
    assert survived
