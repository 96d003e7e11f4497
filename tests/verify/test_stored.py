"""A data set on an object store is looked at there, and mended there: a real server on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support_build import SHORT, cgtool, write_sources
from tests.support_s3 import BUCKET, S3, s3_server


@pytest.fixture
def s3() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="s3:// urls need `pip install s3fs`")
    pytest.importorskip("moto.server", reason="the S3 server needs `pip install 'moto[s3,server]'`")
    with s3_server() as running:
        yield running


def test_frames_are_mended_where_everybody_reads_them(
    s3: S3, tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    shutil.copy(face_film, tmp_path / "film.mp4")
    table = write_sources(tmp_path / "s.csv", [{"url": "film.mp4", "city": "Tokyo", "video_id": "film"}])

    def run(work: str, *args: object, code: int = 0) -> str:
        done = cgtool(*args, env=s3.env(tmp_path / work), fresh=True)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout

    run("a", "build-dataset", table, "--out", s3.url(), *SHORT, "--cache", tmp_path / "cache")
    as_built = s3.objects("sets/one/clips/")
    names = sorted(as_built)
    client = s3.client()
    client.delete_object(Bucket=BUCKET, Key=names[0])
    own, theirs = "sets/one/clips/film/film_00000/999.jpg", "sets/one/clips/ghost/ghost_00000/001.jpg"
    for key in (own, theirs):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"\xff\xd8\xff stray")
    local = next((tmp_path / "a").rglob("dataset.json")).parent / names[1].removeprefix("sets/one/")
    local.parent.mkdir(parents=True)
    local.write_bytes(as_built[names[1]])  # as an earlier repair left it: here alone
    client.delete_object(Bucket=BUCKET, Key=names[1])

    told = json.loads(run("a", "verify", s3.url(), "--json", "--sources", "none", code=1))["faults"]
    assert {(fault["where"], fault["mend"]) for fault in told} == {
        (names[0].removeprefix("sets/one/"), "frame"), (names[1].removeprefix("sets/one/"), "frame"),
        (own.removeprefix("sets/one/"), "delete"), (theirs.removeprefix("sets/one/"), "person"),
    }  # fmt: skip
    told = json.loads(run("a", "verify", s3.url(), "--repair", "--json", "--sources", "none", code=1))
    assert [fault["where"] for fault in told["faults"]] == [theirs.removeprefix("sets/one/")]
    assert told["repair"]["frames"] == 2
    assert s3.objects("sets/one/clips/").keys() == {*names, theirs}
    assert {key: held for key, held in s3.objects("sets/one/clips/").items() if key != theirs} == as_built
    assert not local.exists()
    client.delete_object(Bucket=BUCKET, Key=theirs)
    run("b", "verify", s3.url(), "--sources", "none")
