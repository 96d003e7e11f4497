"""Every command on an output directory on S3, as a user types them; a real server on loopback, real kills.

One point of death each here; `make torture` sets CGTOOL_S3_KILLS to `all`: one before every writing request.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support_build import CGTOOL, SHORT, cgtool, result_of, write_sources
from tests.support_s3 import BUCKET, S3, Request, s3_server
from tests.support_server import Server

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


@pytest.fixture
def table(tmp_path: Path, face_film: Path) -> Path:
    shutil.copy(face_film, tmp_path / "film.mp4")
    return write_sources(tmp_path / "sources.csv", [{"url": "film.mp4", "city": "Tokyo", "video_id": "film"}])


def run(s3: S3, work: Path, *args: object, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = cgtool(*args, env=s3.env(work, COLUMNS="80", **more), fresh=True)
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


def test_a_data_set_on_s3_from_build_to_removal(s3: S3, tmp_path: Path, table: Path, detector_weights: Path) -> None:
    ours, theirs, url = tmp_path / "a", tmp_path / "b", s3.url()
    done = run(s3, ours, "build-dataset", table, "--out", url, *SHORT)
    assert f"{url}/preview.html" in done.stdout
    assert str(ours) not in done.stdout + done.stderr
    assert sum(len(rows) for rows in seen(s3).values()) == 3
    assert [path.name for path in ours.rglob("*.jpg")] == ["preview.jpg"], "local frames are dropped"

    n_frames = len(frames_there(s3))
    s3.reset()
    run(s3, ours, "build-dataset", table, "--out", url, *SHORT)
    assert not any("/clips/" in f"/{request.key}" and request.n_write for request in s3.log), "nothing is done again"

    status = result_of(run(s3, theirs, "status", url, "--json"))
    assert (status["clips"], status["frames"], status["done"]) == (3, n_frames, 1)
    s3.reset()
    run(s3, theirs, "status", url)
    assert s3.counts()["GET"] == 0, "what did not change is not fetched again"

    run(s3, theirs, "split", url, "--by", "clip")
    assert f"{SET}/splits/by-clip.parquet" in s3.objects(f"{SET}/splits/")
    run(s3, ours, "stats", url)
    run(s3, theirs, "export", url, tmp_path / "export", "--to", "webdataset", "--allow-unreviewed")
    run(s3, theirs, "verify", url)

    run(s3, theirs, "remove", url, "--clip", "film_00000")
    assert [row["clip_id"] for row in seen(s3)["film"]] == ["film_00001", "film_00002"]
    assert not [key for key in frames_there(s3) if "film_00000" in key]
    assert result_of(run(s3, ours, "status", url, "--json"))["clips"] == 2
    run(s3, ours, "build-dataset", table, "--out", url, *SHORT)
    assert len(seen(s3)["film"]) == 2, "what was removed does not come back"
    run(s3, ours, "verify", url)
    assert "0 files" in run(s3, ours, "cache", "drop", url).stdout
    for root in (ours, theirs, tmp_path / "export"):
        files = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
        assert not any(b"very-secret-key" in one or b"AKIAEXAMPLE" in one for one in (*files, *s3.objects().values()))


def test_sources_on_s3_are_shared_by_machines_and_go_with_what_they_show(
    s3: S3, tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    cache, ours, theirs = "s3://bucket/cache", tmp_path / "a", tmp_path / "b"
    (tmp_path / "web").mkdir()
    shutil.copy(face_film, tmp_path / "web" / "film.mp4")
    with Server(tmp_path / "web") as site:
        row = {"url": site.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}
        table = write_sources(tmp_path / "sources.csv", [row])
        job = ("build-dataset", table, "--cache", cache, *SHORT, "--allow-private-hosts")
        run(s3, ours, *job, "--out", s3.url())
        n_asked = site.count("/film.mp4")
        assert s3.objects("cache/")["cache/sources/film.mp4"] == face_film.read_bytes()
        assert not list(ours.rglob("*.mp4")), "the local copy is done with"
        write_sources(table, [row | {"start_s": "0.8"}])
        run(s3, theirs, *job, "--out", s3.url())
        assert len(seen(s3)["film"]) == 1
        run(s3, theirs, *job, "--out", tmp_path / "local")
        assert site.count("/film.mp4") == n_asked, "the other machine takes it from the cache"
    status = result_of(run(s3, theirs, "status", s3.url(), "--json"))
    assert status["cache_bytes"] >= face_film.stat().st_size
    refused = run(s3, theirs, *job[:-1], "--out", "s3://bucket/cache/set", code=2)
    assert "unblurred" in refused.stderr
    dropped = run(s3, ours, "cache", "drop", s3.url())
    assert "2 files" in dropped.stdout
    assert "s3://bucket/cache" in dropped.stdout
    assert s3.objects("cache/") == {}


def test_removing_a_video_takes_its_source_from_the_cache_on_s3(
    s3: S3, tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    (tmp_path / "web").mkdir()
    shutil.copy(face_film, tmp_path / "web" / "film.mp4")
    with Server(tmp_path / "web") as site:
        table = write_sources(
            tmp_path / "sources.csv", [{"url": site.url("/film.mp4"), "city": "Tokyo", "video_id": "film"}]
        )
        job = ("build-dataset", table, "--cache", "s3://bucket/cache", *SHORT, "--allow-private-hosts")
        run(s3, tmp_path / "a", *job, "--out", s3.url(), "--layout", "tar")
    assert set(s3.objects("cache/")) == {"cache/sources/film.mp4", "cache/sources/film.json"}
    assert set(frames_there(s3)) == {f"{SET}/clips/film.tar"}
    run(s3, tmp_path / "b", "verify", s3.url())
    run(s3, tmp_path / "b", "remove", s3.url(), "--video", "film")
    assert s3.objects("cache/") == {}
    assert frames_there(s3) == {}
    assert not list((tmp_path / "b").rglob("*.tar")), "nor on the disk of the machine that removed it"
    assert not list((tmp_path / "b").rglob("*.mp4"))


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


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", ["build", "change", "remove"])
def test_kill_9_before_a_request_loses_nothing_and_any_machine_goes_on(
    s3: S3, tmp_path: Path, table: Path, face_film: Path, detector_weights: Path, what: str
) -> None:
    url, other = s3.url(), tmp_path / "other.csv"
    (tmp_path / "second.mp4").write_bytes(face_film.read_bytes() + b"\0\0\0\x08free")  # other bytes, the same pictures
    both = [{"url": f"{name}.mp4", "city": "Tokyo", "video_id": name} for name in ("film", "second")]
    write_sources(other, both)
    run(s3, tmp_path / "base", "build-dataset", other if what != "build" else table, "--out", url, *SHORT)
    if what == "change":
        write_sources(other, [both[0], {**both[1], "start_s": "0.8"}])
    job = ("remove", url, "--clip", "second_00000") if what == "remove" else (
        "build-dataset", other, "--out", url, *SHORT
    )  # fmt: skip
    before, base = seen(s3), s3.objects()
    s3.reset()
    run(s3, tmp_path / "calm", *job)
    n_writes, after, calm = s3.n_writes, seen(s3), frames_there(s3)
    assert n_writes > 20
    landed = 0
    for n in chosen(n_writes):
        s3.clear()
        for key, content in base.items():
            s3.client().put_object(Bucket=BUCKET, Key=key, Body=content)
        ours = tmp_path / f"a{n}"
        landed += killed_at(s3, n, ours, job)
        status = result_of(run(s3, tmp_path / f"r{n}", "status", url, "--json"))
        assert status["clips"] in {sum(map(len, state.values())) for state in (before, after)}, n
        there = seen(s3)
        assert there["film"] == before["film"]
        assert set(there) <= {"film", "second"}
        if "second" in there and there["second"] != before.get("second"):
            assert [r["fingerprint"] for r in there["second"]] == [r["fingerprint"] for r in after["second"]]
        if n % 2:
            run(s3, ours, *job)
        else:
            for key in s3.objects(f"{SET}/.cgtool/lock/"):  # as if its lease had run out
                s3.client().delete_object(Bucket=BUCKET, Key=key)
            run(s3, tmp_path / f"b{n}", *job)
        assert frames_there(s3) == calm
        assert seen(s3).keys() == after.keys()
    assert landed >= 1


def test_a_second_writer_is_refused_until_the_first_has_been_silent(
    s3: S3, tmp_path: Path, table: Path, detector_weights: Path
) -> None:
    """The first is killed when it has the lock: to the store it looks alive for the time of its lease."""
    job = ("build-dataset", table, "--out", s3.url(), *SHORT)
    process = subprocess.Popen(
        [*CGTOOL, *map(str, job)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=os.environ | s3.env(tmp_path / "a", CGTOOL_LEASE_S="12"), start_new_session=True,
    )  # fmt: skip
    s3.reset(lambda request: "kill" if "/clips/" in request.key else None, process.pid)
    process.wait(timeout=120)
    s3.reset()
    refused = run(s3, tmp_path / "b", *job, code=2)
    assert "another run is writing to s3://bucket/sets/one" in refused.stderr
    assert ", since 20" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    time.sleep(12)
    run(s3, tmp_path / "b", *job)
    assert len(seen(s3)["film"]) == 3


def test_a_store_that_throttles_for_good_stops_the_build_and_the_next_one_goes_on(
    s3: S3, tmp_path: Path, table: Path, detector_weights: Path
) -> None:
    def throttled(request: Request) -> str | None:
        return "slow-down" if "/clips/" in request.key and request.method == "PUT" else None

    s3.reset(throttled)
    job = ("build-dataset", table, "--out", s3.url(), *SHORT)
    stopped = run(s3, tmp_path / "a", *job, code=3, AWS_MAX_ATTEMPTS="1")
    assert "run the same command again" in stopped.stderr + stopped.stdout
    assert seen(s3) == {}
    s3.reset()
    run(s3, tmp_path / "a", *job)
    assert len(seen(s3)["film"]) == 3


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://me:sesame@bucket/set", "credentials come from the environment"),
        ("s3://bucket", "names no folder"),
        ("nosuch://bucket/set", "no protocol that is known"),
        ("s3://there-is-none/set", "no such bucket"),
        ("s3://bucket/nothing", "is not an output directory"),
    ],
)
def test_urls_that_will_not_do_are_refused_in_one_line(s3: S3, tmp_path: Path, url: str, says: str) -> None:
    done = run(s3, tmp_path, "status", url, code=2)
    assert says in done.stderr
    assert "sesame" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_file_url_is_a_local_path_and_a_local_path_needs_no_fsspec(
    tmp_path: Path, table: Path, detector_weights: Path
) -> None:
    done = cgtool("build-dataset", table, "--out", f"file://{tmp_path}/out", *SHORT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "dataset.json").exists()
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
