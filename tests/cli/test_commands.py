"""The command line itself: fast to answer, honest about what is missing, the same in an installed wheel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_build import SHORT, cgtool, result_of, write_sources
from tests.support_video import numbered_video

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "cv2", "av", "pyarrow", "numpy", "yt_dlp", "onnxruntime", "PIL")


def imported(*args: str) -> set[str]:
    """Heavy modules that a command has imported when it ends."""
    code = (
        "import sys\nfrom cgtool.app import main\nsys.argv = ['cgtool', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().splitlines()[-1].split()[1:])


@pytest.mark.parametrize("args", [("--help",), ("build-dataset", "--help"), ("--version",), ("weights", "--help")])
def test_help_imports_nothing_heavy(args: tuple[str, ...]) -> None:
    assert imported(*args) == set()


def test_a_build_with_nothing_to_do_does_not_import_torch(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 5)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", "city": "Tokyo"}])
    args = ("build-dataset", str(table), "--out", str(tmp_path / "out"), *SHORT)
    assert cgtool(*args).returncode == 0
    assert "torch" not in imported(*args)
    assert "torch" not in imported("status", str(tmp_path / "out"))


def test_every_command_of_the_help_has_help() -> None:
    for args in (["doctor"], ["demo"], ["build-dataset"], ["status"], ["cache", "drop"], ["weights", "list"]):
        done = cgtool(*args, "--help")
        assert done.returncode == 0
        assert max(map(len, done.stdout.splitlines())) <= 80


def test_status_of_what_is_no_data_set(tmp_path: Path) -> None:
    done = cgtool("status", tmp_path)
    assert done.returncode == 2
    assert "is not an output directory" in done.stderr


def test_doctor_is_machine_readable_and_names_commands() -> None:
    done = cgtool("doctor", "--json")
    found = {f["name"]: f for f in result_of(done)["findings"]}
    assert done.returncode == (0 if result_of(done)["fit"] else 2)
    assert found["torch"]["state"] == "ok"
    assert found["ffmpeg"]["found"].startswith("ffmpeg version")
    for finding in found.values():
        assert finding["state"] == "ok" or finding["mend"] or finding["name"] == "GPU"


def test_weights_list_and_verify(tmp_path: Path, detector_weights: Path) -> None:
    shutil.copy(detector_weights, tmp_path)
    env = {"CGTOOL_WEIGHTS": str(tmp_path), "CGTOOL_CACHE": str(tmp_path / "none")}
    listed = {w["name"]: w["state"] for w in json.loads(cgtool("weights", "list", "--json", env=env).stdout)}
    assert listed["retinaface-mobilenet0.25"] == "ok"
    assert listed["retinaface-resnet50"] == "missing"
    (tmp_path / detector_weights.name).write_bytes(b"not weights")
    done = cgtool("weights", "verify", "retinaface-mobilenet0.25", env=env)
    assert done.returncode == 2
    assert "wrong digest" in done.stdout + done.stderr
    assert cgtool("weights", "pull", "no-such").returncode == 2


def test_cache_drop_takes_its_own_files_and_nothing_else(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 50)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", "city": "Tokyo"}])
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "mine.txt").write_text("keep")
    (cache / "clips").mkdir()
    (cache / "clips" / "other_00000.mp4").write_text("another data set's")
    args = ("build-dataset", table, "--out", tmp_path / "out", "--cache", cache, "--keep-clips", *SHORT)
    done = cgtool(*args)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (cache / "clips").iterdir()) == [
        "local_a_00000.mp4",
        "local_a_00001.mp4",
        "other_00000.mp4",
    ]
    dropped = result_of(cgtool("cache", "drop", tmp_path / "out", "--json"))
    assert dropped["files"] == 2
    assert {p.name for p in cache.rglob("*") if p.is_file()} == {"mine.txt", "other_00000.mp4"}
    assert (tmp_path / "a.mp4").exists()
    assert cgtool(*args).returncode == 0


def test_help_shows_what_stands_in_brackets() -> None:
    """Defaults are told as `[one a core]`, which the terminal's markup would swallow."""
    import typer

    from cgtool.app import app

    def commands(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, one in getattr(group, "commands", {}).items():
            yield (*words, name), one
            yield from commands(one, (*words, name))

    for words, one in commands(typer.main.get_command(app), ()):
        told = [t for p in one.params for t in re.findall(r"\\?(\[[a-z][^\]]*\])", getattr(p, "help", None) or "")]
        if told:
            shown = " ".join(cgtool(*words, "--help", env={"COLUMNS": "400"}).stdout.split())
            assert [text for text in told if text not in shown] == []


def test_a_wheel_brings_what_manifests_holds(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(tmp_path.glob("cgtool-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        names = archive.namelist()
    assert not [n for n in names if n.startswith("tests/")]
    parts_of_the_page = ("page.css", "page.js", "page.html.j2")
    assert {f"cityguessr_data/stats/page/{part}" for part in parts_of_the_page} <= set(names)
    assert "cityguessr_data/manifests/maps/land-110m.json" in names
    review = ROOT / "cityguessr_data" / "review" / "page"
    assert {f"cityguessr_data/review/page/{path.name}" for path in review.iterdir()} <= set(names)
    assert "cityguessr_data/publish/card.md.j2" in names
    code = (
        "import cityguessr_data.core.manifests as m; from cityguessr_data.core.taxonomy import Taxonomy;"
        "from cityguessr_data.core.places365 import categories;"
        "print(m.__file__, Taxonomy.named('cityguessr166').counts()['city'], Taxonomy.named('msls30').counts()['city'],"
        "len(categories()), m.manifest_path('SCHEMA.md').is_file(), m.manifest_path('sources_template.csv').is_file())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    path, *values = done.stdout.split()
    assert path.startswith(str(tmp_path / "site"))
    assert values == ["166", "30", "365", "True", "True"]
