"""A disk that fills up, fails or is taken away at any step of writing: one line, nothing lost, and the rest later.

Two ways: real small disks (tmpfs) that are full after so many pages, and every step of writing made to fail in turn.
Some steps and sizes here; `make torture` sets CGTOOL_FULL_DISK=all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from cityguessr_data.media.decode import decode, index_video
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_faults import Fault, failing
from tests.support_inline import cgtool_inline
from tests.support_kill import Eye, assert_same_data, committed, frames_on_disk, leftovers, manifest_table, orphans
from tests.support_mounts import PAGE_BYTES, disk, own_mounts, pages_used, resize
from tests.support_server import Server
from tests.support_video import write_frames

ALL = os.environ.get("CGTOOL_FULL_DISK") == "all"
TINY = (*SHORT, "--samples", "2", "--workers", "1")
SAMPLES = 2


def some(steps: int, few: int) -> Iterator[int]:
    """Every number from 1 to `steps`, or `few` of them, spread evenly: the middle of each part."""
    yield from range(1, steps + 1) if ALL else (1 + (2 * i + 1) * steps // (2 * few) for i in range(few))


@dataclass(frozen=True)
class Place:
    """A folder with a table of one short film."""

    root: Path
    table: Path
    eye: Eye

    @property
    def out(self) -> Path:
        return self.root / "out"

    def build(self, *more: object, run: Callable[..., subprocess.CompletedProcess[str]] = cgtool_inline) -> list[str]:
        """Build into `out`; the lines on stderr."""
        done = run("build-dataset", self.table, "--out", self.out, *TINY, *more)
        return [str(done.returncode), *done.stderr.splitlines()]

    def check(self) -> None:
        """What holds however the last command ended."""
        if self.out.exists():
            committed(self.out, SAMPLES)
            assert not self.eye.sharp(self.out)


@pytest.fixture
def place(tmp_path: Path, face_film: Path, detector_weights: Path) -> Place:
    frames = [f.rgb for f in decode(face_film, set(range(22)), 22, index_video(face_film))]
    write_frames(tmp_path / "film.mp4", frames)
    rows = [{"url": "film.mp4", "city": "Tokyo", "video_id": "film"}]
    return Place(tmp_path, write_sources(tmp_path / "s.csv", rows), Eye(face_film, 22))


def one_line(told: Sequence[str]) -> str:
    """The one line that says why a command stopped; there is no traceback, and no fault of ours."""
    why = [line for line in told[1:] if line.startswith(("error:", "stopped:"))]
    assert len(why) == 1, told
    assert "fault of cgtool" not in why[0], why
    assert not any("Traceback" in line or "Exception ignored" in line for line in told), told
    return why[0]


FAULTS = [("ENOSPC", True), ("ENOSPC", False), ("EDQUOT", True), ("EIO", True), ("EIO", False), ("EROFS", True)]
SAYS = {
    "ENOSPC": "no space left",
    "EDQUOT": "no space left",
    "EIO": "(Input/output error)",
    "EROFS": "(Read-only file system)",
}


def faults(n_steps: int, layout: str) -> Iterator[tuple[int, str, bool]]:
    """(step, error, whether it lasts): each error at a few steps, early and late.

    At full count: a disk that is full from every step on, and the other faults each at every tenth, not the same ones.
    """
    if ALL:
        yield from ((at, *FAULTS[0]) for at in range(1, n_steps + 1))
        for number, fault in enumerate(FAULTS[1:]):
            yield from ((at, *fault) for at in range(1 + 2 * number, n_steps + 1, 10))
        return
    n_rounds = 2 if layout == "folder" else 1
    n = n_rounds * len(FAULTS)
    for number in range(n):
        yield 1 + (n_steps - 1) * number // (n - 1), *FAULTS[number % len(FAULTS)]


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("layout", ["folder", "tar"])
def test_each_step_of_a_build_that_fails_stops_it_and_loses_nothing(place: Place, layout: str) -> None:
    options = ("--layout", layout)
    with failing(Fault(str(place.out), 0)) as steps:
        assert place.build(*options)[0] == "0"
    n_steps, calm = steps(), place.root / "calm"
    place.out.rename(calm)
    assert n_steps > 60
    for at, error, lasting in faults(n_steps, layout):
        shutil.rmtree(place.out, ignore_errors=True)
        with failing(Fault(str(place.out), at, error, lasting)):
            told = place.build(*options)
        place.check()
        if told[0] == "0":  # a step that may fail once, such as clearing up
            assert not lasting
            assert_same_data(place.out, calm)
        else:
            full = error in ("ENOSPC", "EDQUOT")
            assert told[0] == "3" or (told[0] == "2" and at < 10 and not full), told
            assert SAYS[error] in one_line(told), told
            assert str(place.out) in one_line(told)
        again = place.build(*options)
        assert again[0] == "0", (at, again)
        assert_same_data(place.out, calm)
        assert not leftovers(place.out)
        assert not orphans(place.out)


@pytest.mark.timeout(1800)
@own_mounts
def test_a_disk_that_is_full_after_any_number_of_pages(place: Place) -> None:
    with disk(place.out, 4000):
        assert place.build()[0] == "0"
        needed = pages_used(place.out)
        shutil.copytree(place.out, place.root / "calm")
    landed = 0
    for pages in some(needed, 3):
        with disk(place.out, pages):
            told = place.build()
            place.check()
            if told[0] != "0":
                landed += 1
                assert told[0] == "3", (pages, told)
                assert "no space left while writing " + str(place.out) in one_line(told), told
            resize(place.out, needed + 200)
            assert place.build()[0] == "0", pages
            assert_same_data(place.out, place.root / "calm")
            assert not leftovers(place.out)
    assert landed >= 2
    for inodes in some(50, 1):
        with disk(place.out, 4000, inodes + 1):
            told = place.build()
            place.check()
            assert told[0] in ("0", "3"), (inodes, told)
            resize(place.out, 4000)
            assert place.build()[0] == "0", inodes
            assert_same_data(place.out, place.root / "calm")


@own_mounts
def test_the_worker_processes_of_a_real_build_meet_a_full_disk(place: Place) -> None:
    with disk(place.out, 4000):
        assert place.build(run=cgtool)[0] == "0"
        shutil.copytree(place.out, place.root / "calm")
    for pages in (18, 26, 34) if ALL else (24,):  # its tables and half a picture; a picture; some of the parts
        with disk(place.out, pages):
            told = place.build(run=partial(cgtool, fresh=ALL))
            place.check()
            assert told[0] == "3", told
            assert "no space left" in one_line(told)
            resize(place.out, 4000)
            assert place.build(run=cgtool)[0] == "0"
            assert_same_data(place.out, place.root / "calm")


@own_mounts
def test_a_full_cache_stops_the_download_and_it_goes_on(place: Place) -> None:
    size = (place.root / "film.mp4").stat().st_size
    with Server(place.root) as server:
        write_sources(place.table, [{"url": server.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}])
        cache = place.root / "cache"
        options = ("--cache", cache, "--allow-private-hosts", "--rate", "1e9")
        assert place.build(*options)[0] == "0"
        place.out.rename(place.root / "calm")
        shutil.rmtree(cache)
        needed = size // PAGE_BYTES + 8
        for pages in some(needed, 3):
            shutil.rmtree(place.out, ignore_errors=True)
            with disk(cache, pages):
                told = place.build(*options)
                place.check()
                if told[0] != "0":
                    assert told[0] == "3", (pages, told)
                    assert "no space left" in one_line(told)
                    assert "cache" in one_line(told), "it is not OUT that is full"
                resize(cache, needed + 100)
                assert place.build(*options)[0] == "0", pages
                assert_same_data(place.out, place.root / "calm")
                assert (cache / "sources" / "film.mp4").read_bytes() == (place.root / "film.mp4").read_bytes()
                assert not list((cache / "partial").glob("*"))


@own_mounts
def test_a_full_folder_for_temporary_files_harms_nobody(place: Place) -> None:
    assert place.build()[0] == "0"
    place.out.rename(place.root / "calm")
    with disk(place.root / "tmp", 1) as folder:
        (folder / "ballast").write_bytes(b"x" * PAGE_BYTES)
        run = partial(cgtool, env={"TMPDIR": str(folder)}, fresh=ALL)
        assert place.build(run=run)[0] == "0"
        assert_same_data(place.out, place.root / "calm")


@dataclass(frozen=True)
class Job:
    """A command over a data set that is there."""

    words: Callable[[Path, Path], Sequence[object]]
    """Of OUT and of a folder beside it."""
    same: Callable[[Path, Path], None]
    """See that two folders, each with `out` and `dest`, hold the same."""


def _same_out(one: Path, other: Path) -> None:
    assert_same_data(one / "out", other / "out")
    # Where nothing can be deleted either, a note of the review's stays behind under its passing name
    assert not [path for path in leftovers(one / "out") if not path.startswith(".cgtool/review/")]


def _same_export(one: Path, other: Path) -> None:
    left, right = ({p.name: p.read_bytes() for p in (f / "dest").glob("*.tar")} for f in (one, other))
    assert left == right
    assert left
    assert (one / "dest" / "export.json").exists()


def _same_split(one: Path, other: Path) -> None:
    left, right = ((f / "out" / "splits" / "s.parquet").read_bytes() for f in (one, other))
    assert left == right


def _same_removal(one: Path, other: Path) -> None:
    _same_out(one, other)
    assert not frames_on_disk(one / "out")
    assert manifest_table(one / "out", "tombstones").num_rows == 1
    assert (one / "out" / "CHANGELOG.md").exists()


JOBS = {
    "apply": Job(lambda out, _: ("review", out, "--apply", "--workers", "1"), _same_out),
    "export": Job(
        lambda out, beside: ("export", out, "--to", "webdataset", beside / "dest", "--allow-unreviewed"), _same_export
    ),
    "remove": Job(lambda out, _: ("remove", out, "--video", "film"), _same_removal),
    "split": Job(lambda out, _: ("split", out, "--by", "clip", "--name", "s", "--test", "0.5"), _same_split),
    "anonymise": Job(lambda out, _: ("anonymise", out, "--detector", "mobilenet0.25", "--workers", "1"), _same_out),
}


def prepared(place: Place, name: str, film: Path) -> Path:
    """A folder with the data set that a job works on."""
    from tests.support_imported import face_source, write_imported
    from tests.test_kill_review import draw_faces

    folder = place.root / "prepared"
    if name == "anonymise":
        tree = face_source(place.root / "imported", ["film"], clips=1)
        write_imported(folder / "out", tree)
        return folder
    shutil.copy(film, place.root / "film.mp4")  # three clips
    assert place.build()[0] == "0"
    if name == "apply":
        draw_faces(place.out, "film")
    folder.mkdir()
    place.out.rename(folder / "out")
    return folder


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", JOBS)
def test_each_step_of_other_commands_that_fails_can_be_made_up_for(place: Place, face_film: Path, name: str) -> None:
    job, work = JOBS[name], place.root / "work"
    start = prepared(place, name, face_film)
    before = None if name == "anonymise" else committed(start / "out", SAMPLES)
    for part in ("out", "dest") if name == "export" else ("out",):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)
        with failing(Fault(str(work / part), 0)) as steps:
            done = cgtool_inline(*job.words(work / "out", work))
        assert done.returncode == 0, done.stderr
        calm = place.root / f"calm-{part}"
        shutil.copytree(work, calm)
        for at in some(steps(), 4):
            for error in ("ENOSPC", "EIO") if ALL and at % 5 == 0 else ("ENOSPC",):
                shutil.rmtree(work)
                shutil.copytree(start, work)
                with failing(Fault(str(work / part), at, error)):
                    done = cgtool_inline(*job.words(work / "out", work))
                told = [str(done.returncode), *done.stderr.splitlines()]
                assert told[0] == "3" or (error == "EIO" and told[0] == "2"), (at, told)
                assert SAYS[error] in one_line(told), told
                if before is not None and name != "remove":
                    ready = {path.name for path in (work / "out" / ".cgtool" / "ready").glob("*")}
                    assert committed(work / "out", SAMPLES).keys() | ready == before.keys()
                assert not place.eye.sharp(work)
                done = cgtool_inline(*job.words(work / "out", work))
                assert done.returncode == 0, (at, done.stderr)
                job.same(work, calm)
