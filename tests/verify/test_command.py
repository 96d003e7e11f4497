"""`cgtool verify` as a person types it: exit codes, what is printed at 80 columns, JSON, beside a run."""

from __future__ import annotations

from pathlib import Path

from cityguessr_data.run.store import Store
from cityguessr_data.verify.findings import CHECKS
from tests.support_build import cgtool, result_of
from tests.support_verify import FACES, PLAIN, everything, look, rows_of


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
    done = cgtool("verify", out)
    assert done.returncode == 1
    assert [line.split()[:4] for line in done.stdout.splitlines() if line.startswith("frames")] == [
        ["frames", "40", "frames", "25"]
    ]
    assert done.stderr.count("is missing") == 20 and "and 5 more; --json has them all" in done.stderr
    assert f"`cgtool verify {out} --repair`" in done.stderr


def test_json(out: Path) -> None:
    (out / rows_of(out, "frames", FACES)[0]["path"]).unlink()
    (out / "note.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    done = cgtool("verify", out, "--json", "--sources", "none")
    told = result_of(done)
    assert done.returncode == told["exit_code"] == 1 and not told["clean"]
    assert told["checks"]["frames"] == {"looked_at": 40, "faults": 1}
    assert {(fault["check"], fault["mend"]) for fault in told["faults"]} == {
        ("frames", "frame"),
        ("pictures", "person"),
    }
    assert told["repair"] is None and told["detected_again"] is None


def test_no_data_set(tmp_path: Path) -> None:
    done = cgtool("verify", tmp_path)
    assert done.returncode == 2 and "is not an output directory" in done.stderr
    assert cgtool("verify", tmp_path, "--sources", "some").returncode == 2


def test_repair_from_the_command_line(out: Path) -> None:
    lost = out / rows_of(out, "frames", FACES)[0]["path"]
    held = lost.read_bytes()
    lost.unlink()
    done = cgtool("verify", out, "--repair", fresh=True)
    assert done.returncode == 0, done.stderr
    assert lost.read_bytes() == held
    assert "repair: 1 frame made anew from the source" in done.stderr and f"{out}: clean" in done.stderr


def test_a_second_detection_is_information_only(out: Path) -> None:
    done = cgtool("verify", out, "--detect", "2", "--sources", "none")
    assert done.returncode == 0, done.stderr
    assert "for information: " in done.stderr and "this proves nothing" in done.stderr


def test_beside_a_run_it_takes_no_lock_and_says_so(out: Path) -> None:
    with Store(out).locked():
        result = look(out, "none")
        done = cgtool("verify", out, "--repair")
    assert result.clean and result.was_written
    assert done.returncode == 0  # nothing to mend: nothing is locked
    assert not look(out, "none").was_written
