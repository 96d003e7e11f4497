"""`cgtool sources suggest` as a person runs it, with a search of the tests' on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support_search import BASE, KEY, SEARCHING, SearchServer

TOKYO = {"city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia"}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SearchServer]:
    monkeypatch.setenv(BASE, "")  # put back afterwards
    with SearchServer(tmp_path) as running:
        assert isinstance(running, SearchServer)
        running.finds("Tokyo Japan walking tour", [running.entry(f"w{n}") for n in range(3)])
        running.finds("Tokyo Japan driving tour", [running.entry("reel", 0.5, short=True)])
        yield running


def run(server: SearchServer, *args: object) -> subprocess.CompletedProcess[str]:
    words = ["sources", "suggest", "--search", KEY, "--allow-private-hosts", "--rate", "1000000", *map(str, args)]
    return subprocess.run(
        [sys.executable, "-c", SEARCHING, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, BASE: server.url("")},
    )


def test_what_is_printed(server: SearchServer, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    done = run(server, "--city", "Tokyo", "--out", table, "--count", 5)
    assert done.returncode == 0, done.stderr
    assert "Tokyo: 3 of 5" in done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    said = " ".join(" ".join(lines).split())
    assert "3 of 5 candidates for 1 city" in said and "too few Tokyo 3 of 5" in said and "1 shorts" in said
    assert "told for 3 of 3 rows" in said
    assert len(table.read_text().splitlines()) == 4
    again = run(server, "--city", "Tokyo", "--out", table)
    assert again.returncode == 2 and "--replace" in again.stderr and not again.stdout


def test_json_and_a_robot_check(server: SearchServer, tmp_path: Path) -> None:
    server.tells("w1", error="Sign in to confirm you're not a bot")
    done = run(server, "--city", "Tokyo", "--out", tmp_path / "t.csv", "--json")
    value = json.loads(done.stdout)
    assert done.returncode == value["exit_code"] == 3
    assert value["rows"] == 1 and "not a bot" in value["stopped"]
    assert value["cities"] == [{**TOKYO, "clips": 0, "wanted": 20, "new": 1}]
    assert len((tmp_path / "t.csv").read_text().splitlines()) == 2


def test_a_search_without_a_result_leaves_the_table_and_says_so(server: SearchServer, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    server.finds("Tokyo Japan walking tour", [])
    done = run(server, "--city", "Tokyo", "--out", table)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0 and f"nothing was found: {table} was not written".replace(" ", "") in said.replace(
        " ", ""
    )
    assert not table.exists() and "build-dataset" not in said
    table.write_text("url,city\nhttps://a.example.com/mine.mp4,Tokyo\n")
    done = run(server, "--city", "Tokyo", "--out", table, "--replace")
    assert "is as it was" in " ".join(done.stdout.split()) and "mine.mp4" in table.read_text()
    value = json.loads(run(server, "--city", "Tokyo", "--out", table, "--replace", "--json").stdout)
    assert (value["rows"], value["written"]) == (0, False)


def test_a_build_takes_the_table(server: SearchServer, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    assert run(server, "--city", "Tokyo", "--out", table, "--no-lookup").returncode == 0
    words = ["build-dataset", table, "--out", tmp_path / "o", "--dry-run", "--scene-model", "off"]
    done = subprocess.run(
        [sys.executable, "-m", "cgtool", *map(str, words), "--detector", "mobilenet0.25", "--allow-private-hosts"],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip
    assert "fault" not in done.stderr and "3 videos" in " ".join((done.stdout + done.stderr).split()), done
