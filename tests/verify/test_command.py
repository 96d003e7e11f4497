"""`cgtool verify` as a person types it: exit codes, what is printed at 80 columns, JSON, beside a run."""

from __future__ import annotations

import re
from pathlib import Path

from cityguessr_data.run.store import Store
from cityguessr_data.verify.findings import CHECKS
from tests.support_build import cgtool, result_of
from tests.support_inline import cgtool_inline
from tests.support_verify import FACES, OTHER, PLAIN, Whole, contents, edit, everything, look, part, rows_of


def test_a_clean_data_set(out: Path) -> None:
    before = everything(out)
    done = cgtool("verify", out)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["check", *CHECKS]
    assert max(map(len, lines)) <= 80
    assert f"{out}: clean" in done.stderr and "4 frames of each of 3 videos" in done.stderr
    assert everything(out) == before


def test_faults_are_listed_with_the_command_that_mends_them(out: Path) -> None:
    for row in rows_of(out, "frames", FACES):
        (out / row["path"]).unlink()
    for row in rows_of(out, "frames", PLAIN):
        (out / row["path"]).unlink()
    done = cgtool_inline("verify", out)
    assert done.returncode == 1
    assert [line.split()[:4] for line in done.stdout.splitlines() if line.startswith("frames")] == [
        ["frames", "40", "frames", "25"]
    ]
    assert done.stderr.count("is missing") == 20 and "and 5 more; --json has them all" in done.stderr
    assert f"`cgtool verify {out} --repair`" in done.stderr


def test_json(out: Path) -> None:
    (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
    (out / "note.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = cgtool_inline("verify", out, "--json", "--sources", "none")
    told = result_of(done)
    assert done.returncode == told["exit_code"] == 1 and not told["clean"]
    assert told["checks"]["frames"] == {"looked_at": 40, "faults": 1}
    assert {(fault["check"], fault["mend"]) for fault in told["faults"]} == {
        ("frames", "frame"),
        ("pictures", "person"),
    }
    assert told["repair"] is None and told["detected_again"] is None


def test_no_data_set(tmp_path: Path) -> None:
    done = cgtool_inline("verify", tmp_path)
    assert done.returncode == 2 and "is not an output directory" in done.stderr
    assert cgtool_inline("verify", tmp_path, "--sources", "some").returncode == 2


def test_repair_from_the_command_line(out: Path, whole: Whole) -> None:
    """A frame, a part that the manifests have, and one that nobody has: a worker process does its video again."""
    as_built = contents(out)
    (out / rows_of(out, "frames", PLAIN)[0]["path"]).unlink()
    part(out, "faces", OTHER).unlink()
    edit(out, "clips", FACES, lambda rows: [row | {"n_faces": 7} for row in rows])
    done = cgtool("verify", out, "--repair", "--scene-model", whole.model, "--workers", 1, fresh=True)
    assert done.returncode == 0, done.stderr
    assert contents(out) == as_built
    for told in (
        f"repair: making the parts of {OTHER} again from the manifests",
        "repair: making frames of 1 video anew",
        "repair: doing 1 video again",
        "repair: 1 frame made anew from the source",
        f"repair: the tables of 1 video made again from the manifests: {OTHER}",
        f"repair: 1 video done again: {FACES}",
        f"{out}: clean",
    ):
        assert told in done.stderr


def test_a_repair_that_keeps_what_is_in_doubt_says_so(out: Path, whole: Whole, tmp_path: Path) -> None:
    """The source is gone, and a frame: the manifests alone name what the parts no longer do."""
    rows = rows_of(out, "frames", FACES)
    (out / rows[3]["path"]).unlink()
    edit(out, "frames", FACES, lambda rows: rows[1:])
    film = whole.root / "src" / f"{FACES}.mp4"
    film.rename(tmp_path / "away.mp4")
    try:
        done = cgtool_inline("verify", out, "--repair", "--scene-model", whole.model)
    finally:
        (tmp_path / "away.mp4").rename(film)
    assert done.returncode == 1, done.stderr
    assert f"repair: 1 file stays, since what names it is in doubt: {rows[0]['path']}" in done.stderr
    (told,) = (line for line in done.stderr.splitlines() if line.startswith(f"repair: {FACES} stays as it was: "))
    assert re.fullmatch(".*: its source .* is not there", told)  # a long path is shortened
    assert "the manifests name 1 frame that no part names" in done.stderr


def test_a_second_detection_is_information_only(out: Path) -> None:
    done = cgtool_inline("verify", out, "--detect", "2", "--sources", "none")
    assert done.returncode == 0, done.stderr
    assert "for information: " in done.stderr and "this proves nothing" in done.stderr


def test_beside_a_run_it_takes_no_lock_and_says_so(out: Path) -> None:
    with Store(out).locked():
        result = look(out, "none")
        done = cgtool_inline("verify", out, "--repair")
    assert result.clean and result.was_written
    assert done.returncode == 0  # nothing to mend: nothing is locked
    assert not look(out, "none").was_written
