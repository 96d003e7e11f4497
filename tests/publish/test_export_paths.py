"""No text of an export names a path of the machine; and the notes of where clips went stay in OUT/.cgtool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.publish.cleaning import public_url
from cityguessr_data.publish.guard import PathGuard
from cityguessr_data.publish.ledger import exports_with, forget_clips
from cityguessr_data.run.store import Store
from tests.support_export import FILMS, reviewed, run_export, texts_of

FORMATS = ("webdataset", "huggingface", "croissant", "links")


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_of_the_machine_is_in_an_export(tmp_path: Path, to: str) -> None:
    extra = {"walk": {"source_title": "a walk", "note": "see https://x.example.com/home/films"}}
    run_export(reviewed(tmp_path / "out", extra=extra), to, tmp_path / "x")
    text = texts_of(tmp_path / "x")
    assert "a.example.com/walk.mp4" in text, "the texts were read"
    for secret in (FILMS, "some films", str(tmp_path), str(Path.home()) + "/", "reason", "breaks"):
        assert secret not in text, secret
    if to != "links":
        assert "local:home.mp4" in text


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("kind", ["out", "home", "source"])
def test_a_passed_through_path_is_refused_by_its_column(
    tmp_path: Path, to: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "people" / "someone"
    monkeypatch.setenv("HOME", str(home))
    secret = {"out": f"{tmp_path}/out/clips/a.jpg", "home": f"file://{home}/notes.txt", "source": f"{FILMS}/home.mp4"}
    out = reviewed(tmp_path / "out", extra={"walk": {"origin": f"copied from {secret[kind]} by hand"}})
    with pytest.raises(InputError, match="path of this machine") as refused:
        run_export(out, to, tmp_path / "x")
    if to != "links":  # there it is one text
        assert "origin" in str(refused.value)
    assert not (tmp_path / "x" / "export.json").exists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/home/someone", True),
        ("/home/someone/films/a.mp4", True),
        ("in '/home/someone/films'", True),
        ("file:///home/someone/x", True),
        ("path=/home/someone/x,", True),
        ("//home//someone//x", True),
        ("from /x/y or /home/someone/a b", True),
        ("/data/some films/a.mp4", True),
        ("see /data/some films", True),
        ("/data/alices", False),
        ("/home/someonemi", False),
        ("/home", False),
        ("https://a.example.com/home/someone/x", False),
        ("https://a.example.com:80/home/someone", False),
        ("a/home/someone", False),
        ("nothing", False),
        ("", False),
    ],
)
def test_paths_are_known_in_a_text(text: str, found: bool) -> None:
    assert PathGuard([Path("/home/someone"), Path("/data/some films"), Path("/")]).finds(text) is found


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example.com/x.mp4", "https://a.example.com/x.mp4"),
        ("/films/x y.mp4", "local:x y.mp4"),
        ("C:\\films\\x.mp4", "local:x.mp4"),
        ("file:///films/x.mp4", "local:x.mp4"),
        ("released:walk", "released:walk"),
        ("x.mp4", "local:x.mp4"),
    ],
)
def test_urls_as_they_are_published(url: str, shown: str) -> None:
    assert public_url(url) == shown


# --- where clips went ---


def test_exports_are_noted_and_a_removed_clip_makes_them_outdated(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    store = Store(out)
    assert exports_with(store, ["walk_00000"]) == []
    run_export(out, "webdataset", tmp_path / "x")
    run_export(out, "links", tmp_path / "l.csv")
    found = exports_with(store, ["home_00000", "absent"])
    assert [(noted.format, noted.dest, noted.version) for noted in found] == [
        ("webdataset", str(tmp_path / "x"), "1.2.0")
    ], "a clip without a link is in no table of links"
    assert {noted.format for noted in exports_with(store, ["walk_00001"])} == {"webdataset", "links"}
    assert not any(noted.outdated for noted in exports_with(store, ["walk_00001"]))
    gone = forget_clips(store, ["walk_00001", "home_00000"])
    assert {noted.format for noted in gone} == {"webdataset", "links"} and all(noted.outdated for noted in gone)
    assert exports_with(store, ["walk_00001"]) == []
    assert all(noted.outdated for noted in exports_with(store, ["walk_00000"]))
    assert forget_clips(store, ["walk_00001"]) == []
    run_export(out, "webdataset", tmp_path / "x")
    (again,) = exports_with(store, ["home_00000"])
    assert not again.outdated, "it was looked at again, and holds what the data set has"


def test_a_damaged_note_is_refused(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    run_export(out, "links", tmp_path / "x")
    (note,) = (out / ".cgtool" / "exports").glob("*.json")
    for bad in ("{", json.dumps({"format": "links"}), "[]"):
        note.write_text(bad)
        with pytest.raises(InputError, match="damaged"):
            exports_with(Store(out), ["walk_00000"])
