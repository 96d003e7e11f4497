"""Files on their way between nodes: what is recognised as the same, and that what comes is what was sent."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.run.on_ray.files import FileMark, Piece, blocks, pieces, write_pieces


def tree(folder: Path) -> dict[str, str]:
    """Every file with its digest and every folder, by the system's own walk."""
    found = {}
    for root, folders, names in os.walk(folder):
        for name in folders:
            found[os.path.relpath(os.path.join(root, name), folder)] = "folder"  # noqa: PTH118
        for name in names:
            path = Path(root) / name
            found[os.path.relpath(path, folder)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


@given(sizes=st.lists(st.integers(0, 70), max_size=12), block=st.integers(1, 40))
def test_a_folder_arrives_as_it_was_and_no_list_is_much_larger_than_a_block(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], block: int
) -> None:
    folder = tmp_path_factory.mktemp("sent")
    (folder / "clips" / "none").mkdir(parents=True)
    for i, size in enumerate(sizes):
        path = folder / "clips" / f"c{i % 3}" / f"{i:03d}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(size))
    arrived = tmp_path_factory.mktemp("arrived") / "new"
    lists = list(pieces(folder, block))
    for received in lists:
        write_pieces(arrived, received)
        assert sum(len(piece.content) for piece in received) <= block
    assert tree(arrived) == tree(folder)
    assert sum(len(p.content) for received in lists for p in received) == sum(sizes)


def test_a_file_comes_in_blocks_also_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    (tmp_path / "none").write_bytes(b"")
    assert list(blocks(tmp_path / "ten", 4)) == [b"0123", b"4567", b"89"]
    assert list(blocks(tmp_path / "none", 4)) == [b""]


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "a/../../x", "", "."])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is no name in its folder"):
        write_pieces(tmp_path / "in", [Piece(name, 0, b"x")])
    assert tree(tmp_path) in ({}, {"in": "folder"})


@pytest.mark.parametrize("offsets", [(0, 2), (0, 0), (1,)])
def test_a_piece_that_does_not_follow_on_is_refused(tmp_path: Path, offsets: tuple[int, ...]) -> None:
    with pytest.raises((ValueError, FileExistsError)):
        write_pieces(tmp_path, [Piece("f", offset, b"x") for offset in offsets])


def test_a_file_is_on_the_disk_when_its_last_piece_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("a", 25), ("b", 0), ("c", 20)):
        (tmp_path / "sent" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "sent" / name).write_bytes(b"x" * size)
    synced: list[tuple[str, int]] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append((Path(f"/proc/self/fd/{fd}").readlink().name, os.fstat(fd).st_size))
    )
    for received in pieces(tmp_path / "sent", 10):
        write_pieces(tmp_path / "in", received)
    assert synced == [("a", 25), ("b", 0), ("c", 20)]


def test_the_same_file_is_known_by_its_mark_and_a_copy_is_not(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"x" * 300_000)
    shutil.copy2(path, other)  # size, time and content
    mark = FileMark.of(path)
    assert mark.holds()
    path.rename(tmp_path / "c")
    assert not mark.holds()
    other.rename(path)
    assert not mark.holds(), "another inode"


@pytest.mark.parametrize("at", [0, 299_999])
def test_a_file_that_was_written_over_in_place_has_another_mark(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 300_000)
    mark, times = FileMark.of(path), path.stat()
    with path.open("r+b") as f:
        f.seek(at)
        f.write(b"y")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not mark.holds()
