"""Text from outside - titles, channels, places, ids, cells, paths, messages - cannot steer the terminal it is shown on.

Every command that reads a data set is run over one whose every text is hostile, as a person would see it.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import ErrorClass
from cityguessr_data.core.types import VideoTask
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.ledger import record_attempt
from cityguessr_data.run.stage import Step
from cityguessr_data.run.store import Store
from cityguessr_data.run.writer import record_failed_video
from tests.support_build import cgtool, write_sources
from tests.support_export import reviewed

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\x08\u202e"
"""Sets the title, clears the screen, colours, goes back over what was written, turns the direction of writing."""


def steering(text: str) -> list[str]:
    """The characters of a text that a terminal obeys."""
    return [c for c in text if c not in "\n\t" and (unicodedata.category(c) == "Cc" or c in "\u202e\u2028\u2029")]


HOSTILE = {
    "videos": ("title", "channel", "url", "license", "reason", "note"),
    "clips": ("city", "state", "country", "continent"),
}
"""Columns by table."""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set from somebody else, whose tables say anything; one video failed."""
    out = reviewed(tmp_path_factory.mktemp("hostile") / "out", extra={"walk": {"note": "x"}})
    store = Store(out)
    at, message = datetime.now(UTC), f"{ESCAPES}owned"
    record_attempt(store, "bad", "f", (Step("download", "failed", at, 1.0, ErrorClass.NETWORK, message),))
    task = VideoTask("bad", "https://example.org/bad.mp4", ())
    record_failed_video(store.part, task, ErrorClass.NETWORK, message)
    links = [{"video_id": name, "url": f"https://example.org/{name}", "fingerprint": "f"} for name in ("bad", "walk")]
    cached: dict[str, list[str]] = {"folders": [], "fetched": [], "videos": []}
    store.write_plan({"out": str(out), "cache": f"{out}.cache", "links": {}, "videos": links, "cached": cached})
    for table, columns in HOSTILE.items():
        for part in (out / "parts" / table).glob("*.parquet"):
            found = pq.read_table(part)
            for name in set(columns) & set(found.column_names):
                place = found.column_names.index(name)
                told = pa.array([f"{value or ''}{message}" for value in found[name].to_pylist()])
                found = found.set_column(place, found.schema.field(place), told)
            pq.write_table(found, part)
    assemble(store)
    return out


COMMANDS = (
    ("status",), ("stats",), ("verify",), ("split", "--by", "clip"), ("remove", "--channel", f"Keeper{ESCAPES}"),
    ("remove", "--video", ESCAPES), ("remove", "--clip", ESCAPES), ("cache", "drop"), ("review", "--report"),
    ("export", "--to", "links"), ("export", "--to", "huggingface"), ("label-scenes",), ("anonymise",),
    ("bench", "pack"), ("bench", "table", "1"),
)  # fmt: skip


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: "-".join(w for w in c if w.isascii() and w.isprintable()))
def test_no_command_prints_what_steers_a_terminal(
    hostile: Path, tmp_path: Path, command: tuple[str, ...], debug: bool
) -> None:
    names = command[: 2 if command[0] in ("cache", "bench") else 1]
    args: list[object] = [*names, *command[len(names) :]]
    if "table" in names:
        args += ["--data", hostile]
    else:
        args.insert(len(names), hostile)
    if names[0] == "export":
        args += [tmp_path / "dest", "--allow-unreviewed"]
    if names == ("bench", "pack"):
        args += ["--to", tmp_path / "pack"]
    done = cgtool(*(["--debug"] if debug else []), *args)
    assert not steering(done.stdout + done.stderr), done.stdout + done.stderr
    if not debug and command[0] in ("status", "stats", "verify", "split"):
        assert "owned" in done.stdout + done.stderr, "the text itself is shown"


@pytest.mark.parametrize("debug", [False, True], ids=["plain", "debug"])
@pytest.mark.parametrize(
    "row",
    [
        {"url": f"https://example.org/{ESCAPES}.mp4", "city": "Tokyo"},
        {"url": f"{ESCAPES}.mp4", "city": "Tokyo"},
        {"url": "https://example.org/a.mp4", "city": f"Tok{ESCAPES}o"},
        {"url": "https://example.org/a.mp4", "city": "Tokyo", "start_s": ESCAPES},
        {"url": "https://example.org/a.mp4", "city": "Tokyo", ESCAPES: "x", f"{ESCAPES} ": "y"},
    ],
    ids=["url", "path", "city", "number", "columns"],
)
def test_a_table_cannot_either(tmp_path: Path, row: dict[str, str], debug: bool) -> None:
    table = write_sources(tmp_path / "sources.csv", [row])
    flags = ["--debug"] if debug else []
    done = cgtool(*flags, "build-dataset", table, "--out", tmp_path / "out", "--dry-run", "--scene-model", "off")
    assert not steering(done.stdout + done.stderr), done.stdout + done.stderr


def test_names_of_files_and_options_cannot_either(tmp_path: Path) -> None:
    for args in (
        ("status", tmp_path / f"out{ESCAPES}"),
        ("build-dataset", tmp_path / f"{ESCAPES}.csv", "--out", tmp_path / "out"),
        ("bench", "evaluate", tmp_path / f"run{ESCAPES}"),
        ("import", "msls", tmp_path / f"m{ESCAPES}", "--out", tmp_path / "o"),
        ("--debug", "status", tmp_path / f"out{ESCAPES}"),
    ):
        done = cgtool(*args)
        assert done.returncode != 0 and not steering(done.stdout + done.stderr), args


def test_the_search_finds_what_it_looks_for() -> None:
    assert steering(f"a{ESCAPES}b\n") == ["\x1b", "\x07", "\x1b", "\x9b", "\r", "\x08", "\u202e"]
