"""Commands on an output directory on S3, as a user types them; a real server on loopback, real kills.

One point of death each of two commands here; `make torture` sets CGTOOL_S3_KILLS to `all`: one before every writing
request, and of a third. What the commands stand on is tried at every point in tests/run/test_remote_*.py.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.run.store import Store
from tests.support_build import CGTOOL, SHORT, cgtool, result_of, write_sources
from tests.support_remote import stage
from tests.support_s3 import BUCKET, S3, s3_server
from tests.support_server import Server

CACHE = "s3://bucket/cache"
PRIVATE = ("--allow-private-hosts",)
KILLS = os.environ.get("CGTOOL_S3_KILLS", "1")
SET = "sets/one"


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="s3:// urls need `pip install s3fs`")
    pytest.importorskip("moto.server", reason="the S3 server needs `pip install 'moto[s3,server]'`")
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3) -> S3:
    server.clear()
    return server


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, face_film: Path) -> Path:
    """A folder with a film for a site, and for the tables of `built`."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "web").mkdir()
    shutil.copy(face_film, folder / "web" / "film.mp4")
    return folder


@pytest.fixture(scope="module")
def built(server: S3, films: Path, detector_weights: Path) -> dict[str, bytes]:
    """Objects of a set of one film, built by the machine films/ours, and of the cache; the site is gone since.

    Its first build ended at a store that throttles.
    """
    server.clear()
    with Server(films / "web") as site:
        film = {"url": site.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}
        write_sources(films / "film.csv", [film])
        write_sources(films / "changed.csv", [film | {"start_s": "0.8"}])
        server.reset(lambda request: "slow-down" if "/clips/" in request.key and request.method == "PUT" else None)
        stopped = run(server, films / "ours", *build(films / "film.csv"), code=3, AWS_MAX_ATTEMPTS="1")
    assert "run the same command again" in stopped.stderr + stopped.stdout
    assert seen(server) == {}
    assert server.objects("cache/")["cache/sources/film.mp4"] == (films / "web" / "film.mp4").read_bytes()
    server.reset()
    done = run(server, films / "ours", *build(films / "film.csv"))
    assert f"{server.url()}/preview.html" in done.stdout
    assert str(films / "ours") not in done.stdout + done.stderr
    return server.objects()


def build(table: Path) -> tuple[object, ...]:
    return ("build-dataset", table, "--out", f"s3://{BUCKET}/{SET}", "--cache", CACHE, *SHORT, *PRIVATE)


def set_up(s3: S3, objects: dict[str, bytes]) -> None:
    """The server as it was then."""
    s3.clear()
    for key, content in objects.items():
        s3.client().put_object(Bucket=BUCKET, Key=key, Body=content)
    s3.reset()


def run(s3: S3, work: Path, *args: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = cgtool(*args, env=s3.env(work, COLUMNS="80", **more))
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return done


def seen(s3: S3) -> dict[str, list[dict[str, Any]]]:
    """Clips of every video whose clips part is on the server; each with all its frames, by boto3's account."""
    objects = s3.objects(f"{SET}/")
    found = {}
    for key, content in objects.items():
        if key.startswith(f"{SET}/parts/clips/"):
            frames = pq.read_table(io.BytesIO(objects[key.replace("/clips/", "/frames/")])).to_pylist()
            for frame in frames:
                assert hashlib.sha256(objects[f"{SET}/{frame['path']}"]).hexdigest() == frame["sha256"]
            rows = pq.read_table(io.BytesIO(content)).to_pylist()
            assert len(frames) == sum(row["n_sampled"] for row in rows)
            found[Path(key).stem] = rows
    return found


def frames_there(s3: S3) -> dict[str, str]:
    found = s3.objects(f"{SET}/clips/")
    return {key: hashlib.sha256(content).hexdigest() for key, content in found.items()}


def test_a_data_set_on_s3_from_build_to_removal(s3: S3, built: dict[str, bytes], films: Path, tmp_path: Path) -> None:
    ours, theirs, url = tmp_path / "a", tmp_path / "b", s3.url()
    shutil.copytree(films / "ours", ours)
    set_up(s3, built)
    assert sum(len(rows) for rows in seen(s3).values()) == 3
    assert [path.name for path in ours.rglob("*.jpg")] == ["preview.jpg"], "local frames are dropped"
    assert not list(ours.rglob("*.mp4")), "the local copy is done with, though a later run finished the commit"

    status = result_of(run(s3, theirs, "status", url, "--json"))
    assert (status["clips"], status["frames"], status["done"]) == (3, len(frames_there(s3)), 1)
    assert status["cache_bytes"] == sum(map(len, s3.objects("cache/").values()))
    s3.reset()
    run(s3, theirs, "status", url)
    assert s3.counts()["GET"] == 0, "what did not change is not fetched again"

    run(s3, theirs, "split", url, "--by", "clip")
    assert f"{SET}/splits/by-clip.parquet" in s3.objects(f"{SET}/splits/")
    run(s3, theirs, "export", url, tmp_path / "export", "--to", "webdataset", "--allow-unreviewed")
    s3.client().put_object(Bucket=BUCKET, Key=f"{SET}/raw.mp4", Body=b"not blurred")
    told = run(s3, theirs, "verify", url, code=1).stderr
    assert "raw.mp4: lies on the object store" in told
    assert "1 fault" in told, "all else is clean"
    assert not list(theirs.rglob("*.mp4")), "the source that frames were compared with is let go"

    run(s3, theirs, "remove", url, "--clip", "film_00000")
    assert [row["clip_id"] for row in seen(s3)["film"]] == ["film_00001", "film_00002"]
    assert not [key for key in frames_there(s3) if "film_00000" in key]
    s3.reset()
    run(s3, ours, *build(films / "film.csv"))
    assert not any("/clips/" in f"/{request.key}" and request.n_write for request in s3.log), "nothing is done again"
    assert len(seen(s3)["film"]) == 2, "nor does what was removed come back"
    run(s3, theirs, "remove", url, "--video", "film")
    assert s3.objects("cache/") == {}, "a source goes with what it shows"
    assert frames_there(s3) == {}
    for root in (ours, theirs, tmp_path / "export"):
        files = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
        assert not any(b"very-secret-key" in one or b"AKIAEXAMPLE" in one for one in (*files, *s3.objects().values()))


def chosen(n_writes: int) -> list[int]:
    """Before which writing requests to kill."""
    if KILLS == "all":
        return list(range(1, n_writes + 1))
    count = int(KILLS)
    return sorted({1 + (i * n_writes + n_writes // 2) // count for i in range(count)})


def killed_at(s3: S3, n: int, work: Path, args: tuple[object, ...]) -> bool:
    """Run a command that is killed before its n-th writing request; False where it ended before."""
    process = subprocess.Popen(
        [*CGTOOL, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | s3.env(work), start_new_session=True,
    )  # fmt: skip
    s3.reset(lambda request: "kill" if request.n_write == n else None, process.pid)
    process.wait(timeout=300)
    s3.reset()
    return process.returncode == -signal.SIGKILL


JOBS: dict[str, tuple[object, ...]] = {
    "build": ("film.csv",),
    "change": ("changed.csv",),
    "remove": ("remove", "s3://bucket/sets/one", "--clip", "film_00000"),
}


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", [what for what in JOBS if what != "change" or KILLS != "1"])
def test_kill_9_before_a_request_loses_nothing_and_any_machine_goes_on(
    s3: S3, built: dict[str, bytes], films: Path, tmp_path: Path, what: str
) -> None:
    job = JOBS[what] if what == "remove" else build(films / str(JOBS[what][0]))  # a removal takes the change's way
    base = built
    if what == "build":  # the site has gone: every machine takes the source from the cache
        base = {key: held for key, held in built.items() if key.startswith("cache/")}
    set_up(s3, base)
    before = seen(s3)
    if what == "build":
        set_up(s3, built)
    else:
        run(s3, tmp_path / "calm", *job)
    # A build writes about as often as there are objects in the end, and some to take and leave the right to write
    n_writes, after, calm = s3.n_writes or len(built) + 10, seen(s3), frames_there(s3)
    assert n_writes > 20
    landed = 0
    for n in chosen(n_writes):
        set_up(s3, base)
        ours, theirs = tmp_path / f"a{n}", tmp_path / f"b{n}"
        landed += (was_killed := killed_at(s3, n, ours, job))
        if s3.objects(f"{SET}/dataset.json"):
            status = result_of(run(s3, theirs, "status", s3.url(), "--json"))
            assert status["clips"] in {sum(map(len, state.values())) for state in (before, after)}, n
        else:  # its description is sent before the first frame, so nothing is lost
            assert was_killed and what == "build", n
            assert not [key for key in s3.objects(f"{SET}/") if "/clips/" in key or "/frames/" in key], n
            assert "is not an output directory" in run(s3, theirs, "status", s3.url(), code=2).stderr
        for video_id, rows in seen(s3).items():
            assert rows in (before.get(video_id), after[video_id])
        if n % 2 if KILLS != "1" else what == "remove":
            run(s3, ours, *job)
        else:
            if was_killed:
                is_refused(s3, theirs, job)
            for key in s3.objects(f"{SET}/.cgtool/lock/"):  # as if its lease had run out
                s3.client().delete_object(Bucket=BUCKET, Key=key)
            run(s3, theirs, *job)
        assert frames_there(s3) == calm
        assert seen(s3).keys() == after.keys()
        assert s3.objects(f"{SET}/dataset.json")
    assert landed >= 1


def is_refused(s3: S3, work: Path, job: tuple[object, ...]) -> None:
    """To the store a writer that was killed looks alive for the time of its lease."""
    refused = run(s3, work, *job, code=2)
    assert "another run is writing to s3://bucket/sets/one" in refused.stderr
    assert ", since 20" in refused.stderr
    assert "go on in" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_urls_that_will_not_do_are_refused_in_one_line(s3: S3, tmp_path: Path) -> None:
    for url, says in {
        "s3://me:sesame@bucket/set": "credentials come from the environment",
        "s3://there-is-none/set": "no such bucket",
        "s3://bucket/nothing": "is not an output directory",
    }.items():
        done = run(s3, tmp_path, "status", url, code=2)
        assert says in done.stderr
        assert "sesame" not in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_file_url_is_a_local_path_and_a_local_path_needs_no_fsspec(tmp_path: Path) -> None:
    store = Store(tmp_path / "out")
    store.commit("v", stage(store, "v", "m", 1))
    store.write_dataset({"id": "x"})
    done = cgtool("status", f"file://{tmp_path}/out", "--json")
    assert result_of(done)["clips"] == 1, done.stderr
    code = (
        "import sys; from cgtool.app import app\n"
        f"sys.argv = ['cgtool', 'status', {str(tmp_path / 'out')!r}]\n"
        "try: app()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not loaded & {'fsspec', 's3fs', 'botocore', 'torch'}, loaded & {'fsspec', 's3fs', 'botocore', 'torch'}"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
