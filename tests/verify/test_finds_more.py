"""What could hide, and what must not alarm or end a look: odd tars, damaged notes, manifests of earlier versions."""

from __future__ import annotations

import errno
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cgtool.outputs import check_folder, check_pack, check_page
from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.run import asked_rows
from cityguessr_data.run.store import Store
from tests.support_inline import cgtool_inline
from tests.support_verify import FACES, PLAIN, Whole, edit, look, mended, only, part, put_together, rows_of


def _with_members(path: Path, change: Any) -> None:
    """The tar written anew, with its members after `change`."""
    with tarfile.open(path) as tar:
        members = [(info, (tar.extractfile(info) or io.BytesIO()).read()) for info in tar.getmembers()]
    with tarfile.open(path, "w") as tar:
        for info, content in change(members):
            tar.addfile(info, io.BytesIO(content))


def _first_twice(members: Any) -> Any:
    other = tarfile.TarInfo(members[0][0].name)
    other.size, other.mode = 5, 0o644
    return [(other, b"other"), *members]


def _a_folder(members: Any) -> Any:
    folder = tarfile.TarInfo("holiday")
    folder.type = tarfile.DIRTYPE
    return [*members, (folder, b"")]


def _a_comment(members: Any) -> Any:
    members[0][0].pax_headers = {"comment": "an unblurred face"}
    return members


ODD = [(_first_twice, "has two members"), (_a_folder, "that is no file"), (_a_comment, "not as it was written")]


@pytest.mark.parametrize(("change", "what"), ODD)
def test_a_tar_with_what_readers_pass_over(tarred: Whole, tmp_path: Path, change: Any, what: str) -> None:
    out = tarred.copy(tmp_path / "out")
    _with_members(out / "clips" / f"{FACES}.tar", change)
    (fault,) = only(look(out, "none"), "orphans")
    assert what in fault.what and (fault.mend, fault.unit) == ("redo", FACES)


@pytest.mark.parametrize("where", ["after its end", "in its end", "after a member"])
def test_bytes_of_a_tar_that_belong_to_no_member(tarred: Whole, tmp_path: Path, where: str) -> None:
    out = tarred.copy(tmp_path / "out")
    tar = out / "clips" / f"{FACES}.tar"
    content = bytearray(tar.read_bytes())
    with tarfile.open(tar) as opened:
        first = opened.getmembers()[0]
    if where == "after its end":
        content += b"\xff\xd8\xff" + bytes(10237)
    else:
        content[-1 if where == "in its end" else first.offset_data + first.size] = 7
    tar.write_bytes(content)
    assert "bytes after" in only(look(out, "none"), "orphans")[0].what


def test_a_tar_that_is_longer_than_its_members(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    with (out / "clips" / f"{FACES}.tar").open("ab") as file:
        file.write(bytes(10240))
    assert "its members and its end are" in only(look(out, "none"), "orphans")[0].what


def test_a_tar_of_a_video_that_is_asked_for_and_not_committed(tarred: Whole, tmp_path: Path) -> None:
    out = tarred.copy(tmp_path / "out")
    for table in ("frames", "faces", "videos", "clips", "attempts"):
        part(out, table, FACES).unlink()
    shutil.copy(out / "clips" / f"{FACES}.tar", out / "clips" / f"{PLAIN}_2.tar")
    found = {fault.where: fault.mend for fault in look(out, "none").findings.of("orphans")}
    assert found == {f"clips/{FACES}.tar": "redo", f"clips/{PLAIN}_2.tar": "person"}


def test_a_table_of_originals_that_is_damaged(out: Path, whole: Whole) -> None:
    (out / ".cgtool" / "originals").mkdir()
    (out / ".cgtool" / "originals" / f"{FACES}.parquet").write_bytes(b"PAR1")
    (fault,) = only(look(out), "tables")
    assert fault.where == f".cgtool/originals/{FACES}.parquet" and fault.mend == "person"
    (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
    assert not mended(out, whole, "all").after.clean


def test_rows_of_another_version_and_rows_that_are_damaged(out: Path) -> None:
    path = out / ".cgtool" / "rows.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        if row["video_id"] == FACES:
            row["asked"] = json.dumps({**json.loads(row["asked"]), "new": 1})
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    (fault,) = only(look(out, "none"), "dataset")
    assert fault.where == ".cgtool/rows.parquet" and f"1 videos cannot be used, such as {FACES}" in fault.what
    assert set(asked_rows.asked_tasks(Store(out))) == {row["video_id"] for row in rows} - {FACES}
    path.write_bytes(b"PAR1")
    assert "cannot be read" in only(look(out, "none"), "dataset")[0].what


def test_rows_that_cannot_be_read_for_now_are_not_replaced(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, before = asked_rows.asked_tasks(Store(out)), (out / ".cgtool" / "rows.parquet").read_bytes()

    def fails(error: Exception) -> None:
        def read(_store: Store) -> Any:
            raise error

        monkeypatch.setattr(asked_rows, "_read", read)

    fails(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(MachineError, match="cannot be read"):
        asked_rows.keep_rows(Store(out), [tasks[FACES]])
    assert (out / ".cgtool" / "rows.parquet").read_bytes() == before
    fails(OSError("no Parquet"))  # as pyarrow tells it of damage: it is written anew
    asked_rows.keep_rows(Store(out), [tasks[FACES]])
    assert (out / ".cgtool" / "rows.parquet").read_bytes() != before


def test_pictures_whose_names_end_in_partial(out: Path) -> None:
    frame = (out / rows_of(out, "frames", FACES)[0]["path"]).read_bytes()
    for name in ("holiday.partial", ".x.1.2.partial", "notes/.x.1.0123abcd.partial"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(frame)
    found = {fault.where for fault in only(look(out, "none"), "pictures")}
    assert found == {"holiday.partial", ".x.1.2.partial", "notes/.x.1.0123abcd.partial"}


def test_manifests_in_the_order_of_earlier_versions(out: Path) -> None:
    """They had `a-b` before `a`, by the names of the parts' files."""
    for table in ("frames", "faces", "videos", "clips", "attempts"):
        shutil.copy(part(out, table, PLAIN), part(out, table, f"{FACES}-2"))

    def renamed(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            for name in {"video_id", "clip_id"} & row.keys():
                row[name] = row[name].replace(PLAIN, f"{FACES}-2")

    for table in ("frames", "faces", "videos", "clips", "attempts"):
        edit(out, table, f"{FACES}-2", renamed)
    put_together(out)
    assert not look(out, "none").findings.of("manifests")
    path = out / "manifests" / "videos.parquet"
    now = pq.read_table(path)
    assert now["video_id"].to_pylist()[:2] == [FACES, f"{FACES}-2"]
    pq.write_table(now.take([1, 0, *range(2, now.num_rows)]), path)
    assert not look(out, "none").findings.of("manifests")
    pq.write_table(now.take([1, 0, 2, 2]), path)
    assert look(out, "none").findings.of("manifests")


def test_figures_and_packs_do_not_go_into_the_data_set(out: Path, tmp_path: Path) -> None:
    for place in (out, out / "figures", out / "clips" / "x"):
        with pytest.raises(InputError, match="lies"):
            check_folder(place, [out])
        with pytest.raises(InputError, match="lies"):
            check_pack(place, out)
    check_folder(tmp_path / "figures", [out])
    check_pack(tmp_path / "pack", out)
    check_page(out / "page.html", [out])  # it is no picture
    done = cgtool_inline("bench", "pack", out, "--to", out / "pack", "--preset", "tiny")
    assert done.returncode == 2 and "lies in the data set" in done.stderr and not (out / "pack").exists()


def test_a_second_detection_that_fails_does_not_hide_the_report(out: Path) -> None:
    assert cgtool_inline("verify", out, "--detect", "-1").returncode == 2
    dataset = json.loads((out / "dataset.json").read_text())
    del dataset["config"]["anonymise"]["conf"]
    (out / "dataset.json").write_text(json.dumps(dataset))
    done = cgtool_inline("verify", out, "--detect", "1", "--sources", "none")
    assert done.returncode == 2 and "never anonymised" in done.stderr and done.stdout.startswith("check")
    done = cgtool_inline("verify", out, "--detect", "1", "--sources", "none", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 2 and "never anonymised" in told["detection_failed"]
    assert [fault["where"] for fault in told["faults"]] == ["dataset.json"]


def test_a_repair_that_could_not_mend_all_says_so_by_its_exit_code(out: Path, whole: Whole, tmp_path: Path) -> None:
    film = whole.root / "src" / f"{FACES}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
        done = cgtool_inline("verify", out, "--repair", "--scene-model", whole.model, "--json")
    finally:
        (tmp_path / "away.mp4").rename(film)
    assert done.returncode == 1 and FACES in json.loads(done.stdout)["repair"]["failed"]
