"""`cgtool review` as a person starts and ends it."""

from __future__ import annotations

import json
import signal
import socket
import sys
from pathlib import Path

import pytest

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.review.lock import review_lock
from cityguessr_data.review.serve import check_installed
from cityguessr_data.run.store import Store
from tests.support_build import cgtool
from tests.support_imported import state_of
from tests.support_inline import cgtool_inline
from tests.support_review import DOUBT, SURE, Client, made_anew, started, table_of, write_reviewed

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def test_ctrl_c_is_the_normal_end(out: Path) -> None:
    with started(out, "--reviewer", "Keeper", "--json") as (process, link):
        keeper = Client(link).enter()
        keeper.decide(DOUBT, "accept", 0, 5)
        keeper.decide(SURE, "reject", 0, 2)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    told = json.loads(said)  # stdout is for the object
    assert told == {
        "out": str(out), "exit_code": 0, "decided": {"accept": 1, "reject": 2}, "decisions": 3,
        "clips": 4, "finished": 3, "looked_at": 2, "look_again": 0, "stale_decisions": 0,
    }  # fmt: skip
    assert [row["reviewer"] for row in table_of(out, "decisions")] == ["Keeper"] * 3


def test_the_command_that_applies_it_has_the_taxonomy(out: Path, tmp_path: Path) -> None:
    """Without it `--apply` would not know the city."""
    cities = tmp_path / "my cities.csv"
    levels = "city_id,city,state_id,state,country_id,country,continent_id,continent"
    cities.write_text(f"{levels}\n0,Atlantis,0,Deep,0,Ocean,0,Europe\n")
    with started(out, "--taxonomy", str(cities)) as (process, link):
        assert Client(link).enter().decide(DOUBT, "label", 0, 5, value="Atlantis").status == 200
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    folded = said.partition("apply ")[2]
    assert "".join(folded.split()) == f"cgtoolreview{out}--apply--taxonomy'{cities}'".replace(" ", "")


def test_the_end_tells_what_was_made_anew_since(out: Path) -> None:
    with started(out) as (process, link):
        Client(link).enter().decide(DOUBT, "drop", 0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    made_anew(out, DOUBT)
    with started(out) as (process, _):
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    lines = [line.split(maxsplit=1) for line in said.splitlines()]
    assert ["stale", "1 decision about earlier builds of their clips"] in lines
    assert "look again" in said and "1 clip made anew since they were reviewed" in said and "0 of 1 made anew" in said


def test_one_review_at_a_time(out: Path) -> None:
    before = state_of(out)
    with review_lock(Store(out)):
        for options in ((), ("--apply",)):
            done = cgtool("review", out, "--no-browser", *options, fresh=bool(options))
            assert done.returncode == 2 and "is open already" in done.stderr, done.stderr
            assert done.stdout == "" and len(done.stderr.splitlines()) == 1
    assert {k: v for k, v in state_of(out).items() if not k.endswith("lock")} == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--apply", "--sample", "5"), "--apply and --sample are two things"),
        (("--workers", "2"), "--workers belongs to --apply"),
        (("--seed", "2"), "--seed belongs to --sample"),
        (("--apply", "--seed", "2"), "--seed belongs to --sample"),
        (("--reviewer", "  "), "--reviewer is empty"),
        (("--reviewer", "\udcff"), "--reviewer is no text"),
        (("--taxonomy", "nowhere.csv"), "nowhere.csv"),
        (("--report",), "no sample of"),
    ],
)
def test_options_that_make_no_sense_are_refused(out: Path, options: tuple[str, ...], words: str) -> None:
    done = cgtool_inline("review", out, "--no-browser", *options)
    assert done.returncode == 2 and words in done.stderr, done.stderr


def test_a_port_that_is_taken_is_said(out: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = cgtool_inline("review", out, "--no-browser", "--port", port)
    assert done.returncode == 2 and f"--port {port} cannot be used" in done.stderr


def test_what_is_no_data_set_is_left_alone(tmp_path: Path) -> None:
    done = cgtool_inline("review", tmp_path / "nowhere", "--json")
    assert done.returncode == 2 and json.loads(done.stdout)["exit_code"] == 2
    assert list(tmp_path.iterdir()) == []


def test_decisions_of_another_data_set_are_refused(out: Path, tmp_path: Path) -> None:
    with started(out) as (process, link):
        Client(link).enter().decide(SURE, "drop", 0)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    other = write_reviewed(tmp_path / "other")
    (other / "dataset.json").write_text((other / "dataset.json").read_text().replace("0" * 32, "1" * 32))
    stray = other / "parts" / "decisions" / "v_1.parquet"
    stray.parent.mkdir()
    stray.write_bytes((out / "parts" / "decisions" / "v_1.parquet").read_bytes())
    done = cgtool_inline("review", other, "--no-browser")
    assert done.returncode == 2 and "decisions about another data set" in done.stderr


def test_a_missing_library_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MachineError, match=r"uvicorn.* not installed\. Run `pip install 'cgtool\[review\]'`"):
        check_installed()


def test_the_lock_is_free_after_a_kill(out: Path) -> None:
    with started(out) as (process, link):
        assert link.startswith("http://127.0.0.1:")
        with pytest.raises(InputError), review_lock(Store(out)):
            pass
        process.kill()
        process.wait()
    with review_lock(Store(out)):
        pass
