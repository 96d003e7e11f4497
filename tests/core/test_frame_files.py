"""The one reader of saved frames: files, members of tars that tarfile wrote, and what is damaged or leads elsewhere."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.frame_files import FrameFiles, is_under, split_member

NAMES = st.text(st.sampled_from("abz019_-."), min_size=1, max_size=140).filter(lambda name: name.strip("."))
CONTENTS = st.dictionaries(NAMES, st.binary(max_size=1500), max_size=6)


def write_tar(path: Path, contents: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("clips/v/v_00000/001.jpg", ("clips/v/v_00000/001.jpg", None)),
        ("clips/v.tar#v_00000.001.jpg", ("clips/v.tar", "v_00000.001.jpg")),
        ("clips/a.tar#b.tar#c.001.jpg", ("clips/a.tar#b.tar", "c.001.jpg")),  # no name of a member has a #
        ("clips/v/a.tar#b/001.jpg", ("clips/v/a.tar#b/001.jpg", None)),  # a folder of that name
        ("/data/set.tar#1/001.jpg", ("/data/set.tar#1/001.jpg", None)),
        ("/data/set.tar#001.jpg", ("/data/set.tar#001.jpg", None)),
        ("", ("", None)),
    ],
)
def test_what_a_path_names(path: str, parts: tuple[str, str | None]) -> None:
    assert split_member(path) == parts


@pytest.mark.parametrize(
    ("path", "under"),
    [
        ("clips/v.tar#m", True),
        ("clips/v/1.jpg", True),
        ("", False),
        ("/clips/v.tar#m", False),
        ("../v.tar#m", False),
        ("clips/../../v/1.jpg", False),
        ("clips/..x/1.jpg", True),
    ],
)
def test_what_stays_under_out(path: str, under: bool) -> None:
    assert is_under(path) is under


@given(CONTENTS, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]))
def test_members_are_those_that_tarfile_wrote(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, bytes], form: int
) -> None:
    out = tmp_path_factory.mktemp("out")
    write_tar(out / "clips/v.tar", contents, form)
    files = FrameFiles(out)
    assert files.members("clips/v.tar") == list(contents)
    for name, content in contents.items():
        assert files.read(f"clips/v.tar#{name}") == content
        assert files.size(f"clips/v.tar#{name}") == len(content)


def test_files_and_imported_frames_are_read_where_they_are(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for path in (out / "clips/v/c/001.jpg", tmp_path / "set.tar#1" / "2.jpg"):
        path.parent.mkdir(parents=True)
        path.write_bytes(path.name.encode())
    files = FrameFiles(out)
    assert files.read("clips/v/c/001.jpg") == b"001.jpg" and files.size("clips/v/c/001.jpg") == 7
    assert files.read(str(tmp_path / "set.tar#1" / "2.jpg")) == b"2.jpg"


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "v.tar", {"a.001.jpg": b"x"})
    files = FrameFiles(tmp_path)
    for path in ("no.jpg", "no.tar#a.001.jpg", "v.tar#b.001.jpg"):
        for ask in (files.read, files.size):
            with pytest.raises(FileNotFoundError):
                ask(path)
    with pytest.raises(FileNotFoundError):
        files.members("no.tar")


def test_only_regular_files_have_a_size(tmp_path: Path) -> None:
    (tmp_path / "real.jpg").write_bytes(b"x")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "real.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("link.jpg", "folder.jpg"):
        with pytest.raises(OSError, match="no regular file"):
            FrameFiles(tmp_path).size(name)


def test_links_devices_and_folders_in_a_tar_are_no_frames(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of somebody")
    with tarfile.open(tmp_path / "v.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"kind{kind.decode()}")
            info.type, info.linkname = kind, str(tmp_path / "secret")
            tar.addfile(info)
    files = FrameFiles(tmp_path)
    assert files.members("v.tar") == []
    with pytest.raises(FileNotFoundError):
        files.read("v.tar#kind2")


@pytest.mark.parametrize("left", [0, 100, 512, 700, 1024, 1536, 1700])
def test_of_a_cut_tar_the_whole_members_are_read_and_no_other(tmp_path: Path, left: int) -> None:
    tar = write_tar(tmp_path / "v.tar", {"a": b"1" * 512, "b": b"2" * 512})
    os.truncate(tar, left)
    files = FrameFiles(tmp_path)
    for name, end, content in (("a", 1024, b"1" * 512), ("b", 2048, b"2" * 512)):
        if left >= end:
            assert files.read(f"v.tar#{name}") == content
        else:
            with pytest.raises(FileNotFoundError):
                files.read(f"v.tar#{name}")
    if left % 1024:  # cut between two members, a tar lacks its end alone, as one without trailing blocks does
        with pytest.raises(OSError, match="no whole tar"):
            files.members("v.tar")


def test_what_is_no_tar_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.tar").write_bytes(b"not a tar" * 1000)
    with pytest.raises(OSError, match="no whole tar"):
        FrameFiles(tmp_path).members("v.tar")
    with pytest.raises(FileNotFoundError, match="no whole tar"):
        FrameFiles(tmp_path).read("v.tar#a")


def test_a_tar_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    files = FrameFiles(tmp_path)
    write_tar(tmp_path / "v.tar", {"a": b"old", "gone": b"x" * 5000})
    assert files.read("v.tar#a") == b"old"
    write_tar(tmp_path / "w.tar", {"more": b"y" * 600, "a": b"new"}).replace(tmp_path / "v.tar")
    assert files.read("v.tar#a") == b"new" and files.members("v.tar") == ["more", "a"]


def test_threads_share_a_reader_of_more_tars_than_it_keeps(tmp_path: Path) -> None:
    for n in range(40):
        write_tar(tmp_path / f"{n}.tar", {f"{n}.{k}": f"{n} {k}".encode() for k in range(5)})
    files, wrong = FrameFiles(tmp_path), list[str]()

    def read(start: int) -> None:
        for n in range(start, start + 40):
            for k in range(5):
                if files.read(f"{n % 40}.tar#{n % 40}.{k}") != f"{n % 40} {k}".encode():
                    wrong.append(f"{n} {k}")

    threads = [threading.Thread(target=read, args=(start,)) for start in (0, 7, 23)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
