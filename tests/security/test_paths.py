"""Names from outside stay names: no id, title, table entry, archive member or file name leads out of our folders."""

from __future__ import annotations

import io
import re
import tarfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import CgtoolError, WeightsError
from cityguessr_data.core.frame_files import FrameFiles, is_under
from cityguessr_data.core.sources import safe_id
from cityguessr_data.media.ids import offline_id
from cityguessr_data.vision.weights import load_state_dict
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_export import reviewed, run_export
from tests.support_video import numbered_video

ODD = (
    "../../evil",
    "..",
    ".",
    "/etc/passwd",
    "C:\\evil",
    "a/b",
    "-rf",
    "a\0b",
    "NUL",
    "\u202egnp",
    "a" * 5000,
    "",
    "~",
    "$HOME",
)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,119}")


@given(st.text() | st.sampled_from(ODD))
def test_any_text_becomes_an_id_that_is_one_name(text: str) -> None:
    assert NAME.fullmatch(safe_id(text)) and PurePosixPath(safe_id(text)).name == safe_id(text)


@given(st.text() | st.sampled_from(ODD), st.text() | st.sampled_from(ODD))
def test_two_texts_are_two_ids(a: str, b: str) -> None:
    assert a == b or safe_id(a) != safe_id(b)


@pytest.mark.parametrize("name", ODD)
def test_the_end_of_a_link_becomes_one_name_too(name: str) -> None:
    found = offline_id(f"https://example.org/x/{name}.mp4")
    assert found is None or NAME.fullmatch(found), found


def test_ids_of_a_table_stay_in_the_folders_of_the_build(tmp_path: Path, detector_weights: Path) -> None:
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    film = numbered_video(tmp_path / "walk.mp4", 22)
    rows = []
    for n, name in enumerate(odd for odd in ODD if odd and "\0" not in odd and len(odd) < 99):
        copy = tmp_path / f"walk{n}.mp4"
        copy.write_bytes(film.read_bytes())
        rows.append({"url": str(copy), "video_id": name, "city": "Tokyo"})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    table = write_sources(tmp_path / "sources.csv", rows)
    done = cgtool("build-dataset", table, "--out", inside / "out", *SHORT)
    assert done.returncode == 0, done.stderr
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before - {table}
    assert len(list((inside / "out" / "clips").iterdir())) == len(rows)
    assert all(path.is_relative_to(inside / "out") for path in made), made


@pytest.mark.parametrize(
    "path",
    [
        "clips/x.tar#../../secret", "clips/x.tar#/secret", "../secret", "clips/../../secret", "/secret",
        "clips/x.tar#..", "clips/x/../../../secret", "..", "",
    ],
)  # fmt: skip
def test_an_entry_of_the_frames_table_leads_nowhere_else(tmp_path: Path, path: str) -> None:
    """What `is_under` lets through is read under OUT, or is not there."""
    out = tmp_path / "out"
    (out / "clips").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    with tarfile.open(out / "clips" / "x.tar", "w") as tar:
        for name in ("../../secret", "/secret", "..", "ok.001.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"inner"))
        link = tarfile.TarInfo("link.001.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "../../../secret"
        tar.addfile(link)
    if is_under(path):
        with suppress(OSError):
            assert FrameFiles(out).read(path) == b"inner"
    with pytest.raises(OSError):
        FrameFiles(out).read("clips/x.tar#link.001.jpg")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["secret", "x.tar"], "nothing is unpacked"


@pytest.mark.parametrize("to", ["webdataset", "huggingface"])
@pytest.mark.parametrize("place", ["../secret.jpg", "{secret}", "clips/link.jpg"])
def test_an_export_takes_no_file_from_elsewhere(tmp_path: Path, to: str, place: str) -> None:
    """A table from somewhere else may name any file; its digest may even be right."""
    out = reviewed(tmp_path / "out")
    part = out / "parts" / "frames" / "drive.parquet"
    table = pq.read_table(part)
    first = out / table["path"][0].as_py()
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(first.read_bytes())
    (out / "clips" / "link.jpg").symlink_to(secret)
    paths = [place.format(secret=secret), *table["path"].to_pylist()[1:]]
    at = table.schema.get_field_index("path")
    pq.write_table(table.set_column(at, table.schema.field("path"), [paths]), part)
    with pytest.raises(CgtoolError):
        run_export(out, to, tmp_path / "dest")
    assert not (tmp_path / "dest" / "export.json").exists()


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "-x", "", "a b", "\x1b[2J"])
def test_a_name_of_a_split_is_no_path(tmp_path: Path, name: str) -> None:
    out = reviewed(tmp_path / "out")
    done = cgtool("split", out, "--by", "clip", "--name", name)
    assert done.returncode == 2 and not list(tmp_path.rglob("*evil*"))


def test_a_zip_around_weights_is_not_unpacked(tmp_path: Path) -> None:
    """Some published files come zipped: the one member is read in memory, whatever it is called."""
    import zipfile

    inside = tmp_path / "in"
    inside.mkdir()
    with zipfile.ZipFile(inside / "w.pth", "w") as archive:
        archive.writestr("../../evil.pth", b"no weights")
    with pytest.raises(WeightsError):
        load_state_dict(inside / "w.pth")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["w.pth"]
