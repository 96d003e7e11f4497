"""The clock jumps by a year, back or forth, between two runs and in the middle of one: nothing depends on it."""

from __future__ import annotations

import ast
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

import cgtool as cgtool_package
import cityguessr_bench
import cityguessr_data
from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.media.failures import retry_after_s
from cityguessr_data.media.pace import Pace
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_clock import YEAR_S, age, clock, clock_env
from tests.support_inline import cgtool_inline
from tests.support_kill import assert_same_data, committed, manifest_table
from tests.support_video import write_frames

OPTIONS = (*SHORT, "--samples", "2")
JUMPS = pytest.mark.parametrize("by_s", [YEAR_S, -YEAR_S], ids=["was a year ahead", "was a year behind"])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, face_film: Path, detector_weights: Path) -> Path:
    """A folder with the films a, b and c, of one clip each, tables of one, two and three, and a data set of a in out.

    In calm is one of all three, built by a right clock.
    """
    folder = tmp_path_factory.mktemp("template")
    frames = [f.rgb for f in decode(face_film, set(range(22)), 22, index_video(face_film))]
    write_frames(folder / "a.mp4", frames)
    for name in "bc":
        shutil.copy(folder / "a.mp4", folder / f"{name}.mp4")
        with (folder / f"{name}.mp4").open("ab") as f:  # not the same file
            f.write(b"\0\0\0\x09free" + name.encode())
    rows = [{"url": str(folder / f"{n}.mp4"), "city": "Tokyo", "video_id": n} for n in "abc"]
    for n in (1, 2, 3):
        write_sources(folder / f"{n}.csv", rows[:n])
    build(folder, 3, "calm")
    build(folder, 1)
    return folder


@pytest.fixture
def films(tmp_path: Path, template: Path) -> Path:
    """A copy of it, with the same time stamps; the tables name the films of the template."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def build(films: Path, n: int, out: str = "out") -> None:
    done = cgtool_inline("build-dataset", films / f"{n}.csv", "--out", films / out, *OPTIONS)
    assert done.returncode == 0, done.stderr


def videos(out: Path) -> list[str]:
    return sorted(manifest_table(out, "clips")["video_id"].to_pylist())


@JUMPS
def test_a_build_sees_what_is_new_whatever_the_files_say_of_their_time(films: Path, by_s: float) -> None:
    out = films / "out"
    age(out, by_s)
    build(films, 2)
    assert videos(out) == ["a", "b"]
    assert "2 clips" in (out / "preview.html").read_text() or (out / "preview.html").read_text().count("<img") >= 2
    assert json.loads((out / "dataset.json").read_text())["counts"]["clips"] == 2
    age(out, -by_s)  # and it is set right again
    build(films, 3)
    assert videos(out) == ["a", "b", "c"]
    assert_same_data(out, films / "calm")


@JUMPS
def test_a_build_that_died_before_its_manifests_is_finished(films: Path, by_s: float) -> None:
    out = films / "out"
    build(films, 2)
    parts = {t: out / "parts" / t / "b.parquet" for t in ("frames", "faces", "videos", "clips")}
    kept = {name: path.read_bytes() for name, path in parts.items()}
    for path in parts.values():
        path.unlink()
    (out / "clips" / "b").rename(films / "b.frames")
    build(films, 1)
    assert videos(out) == ["a"]
    age(out, by_s)
    for name, path in parts.items():  # as a process leaves it that died between its commit and the manifests
        path.write_bytes(kept[name])
    (films / "b.frames").rename(out / "clips" / "b")
    build(films, 2)
    assert videos(out) == ["a", "b"]


@JUMPS
def test_a_build_that_died_before_its_preview_draws_it(films: Path, by_s: float) -> None:
    out = films / "out"
    names = ("preview.html", "preview.jpg", ".cgtool/preview.json")
    old = {name: (out / name).read_bytes() for name in names}
    build(films, 2)
    drawn = (out / "preview.html").read_bytes()
    assert drawn != old["preview.html"]
    for name in names:  # as it was when the manifests were new and the preview was not
        (out / name).write_bytes(old[name])
    age(out / "preview.html", by_s)
    build(films, 2)
    assert (out / "preview.html").read_bytes() == drawn


@JUMPS
def test_export_review_and_removal_see_what_came_last(films: Path, by_s: float) -> None:
    from cityguessr_data.review.queue import read_queue
    from cityguessr_data.run.store import Store

    out = films / "out"
    age(out, by_s)
    build(films, 2)
    age(out, by_s)
    done = cgtool_inline("export", out, "--to", "webdataset", films / "dest", "--allow-unreviewed", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads((films / "dest" / "export.json").read_text())["counts"]["clips"] == 2
    assert len({entry.clip_id for entry in read_queue(Store(out))}) == 2
    age(out, by_s)
    done = cgtool_inline("remove", out, "--video", "a")
    assert done.returncode == 0, done.stderr
    assert videos(out) == ["b"]
    assert committed(out, 2).keys() == {"a", "b"}, "its part says that it has no clips"
    build(films, 2)
    assert videos(out) == ["b"], "a removed video does not come back"


def test_a_clock_that_jumps_in_the_middle_of_a_build(films: Path) -> None:
    shutil.rmtree(films / "out")
    done = cgtool(
        "build-dataset", films / "3.csv", "--out", films / "out", *OPTIONS, "--workers", "1",
        env=clock_env(YEAR_S, -YEAR_S, 0.0),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert_same_data(films / "out", films / "calm")
    rows = pq.read_table(films / "out" / "manifests" / "attempts.parquet").to_pylist()
    assert {abs(row["started_at"] - datetime.now(UTC)) > timedelta(days=300) for row in rows} == {True, False}
    assert all(0 <= row["seconds"] < 600 for row in rows), "seconds are not those of the clock"


def test_the_order_of_attempts_is_their_number_not_their_time(films: Path) -> None:
    source, out = films / "a.mp4", films / "out"
    whole = source.read_bytes()
    shutil.rmtree(out)
    write_sources(films / "1.csv", [{"url": "a.mp4", "city": "Tokyo", "video_id": "a"}])
    source.write_bytes(b"not a film")
    with clock(YEAR_S):
        assert cgtool_inline("build-dataset", films / "1.csv", "--out", out, *OPTIONS).returncode == 0  # gone for good
    source.write_bytes(whole)  # another file: it is asked anew
    with clock(-YEAR_S):
        build(films, 1)
    rows = pq.read_table(out / "manifests" / "attempts.parquet").to_pylist()
    assert [row["attempt"] for row in rows] == [1] * 2 + [2] * 5
    assert rows[0]["started_at"] - rows[-1]["started_at"] > timedelta(days=700)
    status = cgtool_inline("status", out)
    assert status.returncode == 0, status.stderr
    assert videos(out) == ["a"]


def test_the_pace_and_the_pause_that_a_server_asks_for_do_not_depend_on_the_clock() -> None:
    with clock(YEAR_S, -YEAR_S):
        pace = Pace(3600)
        assert pace.reserve("x.org") == 0
        assert 0.5 < pace.reserve("x.org") <= 1

        def answer(headers: dict[str, str]) -> OSError:
            error = OSError("HTTP Error 503")
            error.response = SimpleNamespace(headers=headers)  # type: ignore[attr-defined]
            return error

        dates = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2026 07:30:00 GMT"}
        assert retry_after_s(answer(dates)) == 120
        assert retry_after_s(answer({"Retry-After": "17"})) == 17


def test_no_module_measures_with_a_clock_that_can_be_set() -> None:
    found = []
    for package in (cgtool_package, cityguessr_data, cityguessr_bench):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.time_ns"):
                    found.append(f"{path.relative_to(root)}:{node.lineno}")
    assert found == [], "use time.monotonic or perf_counter"
