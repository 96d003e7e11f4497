"""What a real S3 server's bad moments come to: a bounded number of requests, then a typed end; and nothing is torn."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cgtool.places import told
from cityguessr_data.core.errors import InputError, MachineError, StopError
from cityguessr_data.core.remote import s3 as s3_requests
from cityguessr_data.core.remote import tries
from cityguessr_data.core.remote.objects import Remote
from cityguessr_data.core.remote.place import folder_of, place_of, told_place, url_of
from cityguessr_data.core.remote.tries import ROUNDS
from tests.support_s3 import BUCKET, S3, Request, s3_server

FAULTS = ("slow-down", "error", "reset")
TRIES = 2
"""$AWS_MAX_ATTEMPTS, within each of our rounds."""


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    pytest.importorskip("s3fs", reason="s3:// urls need `pip install s3fs`")
    pytest.importorskip("moto.server", reason="the S3 server needs `pip install 'moto[s3,server]'`")
    with s3_server() as running:
        yield running


@pytest.fixture
def s3(server: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    server.clear()
    for name, value in server.env(tmp_path / "work", AWS_MAX_ATTEMPTS=str(TRIES)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tries, "_WAIT_S", 0.01)
    return server


def first(n: int, fault: str, asked: Callable[[Request], bool]) -> Callable[[Request], str | None]:
    """That fault on the first `n` requests of a kind."""
    seen = []

    def of(request: Request) -> str | None:
        if not asked(request) or len(seen) >= n:
            return None
        seen.append(request)
        return fault

    return of


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_moment_passes(s3: S3, fault: str) -> None:
    remote = Remote(s3.url())
    asks: dict[str, Callable[[], object]] = {
        "PUT": lambda: remote.put_bytes("a", b"x" * 100_000),
        "GET": lambda: remote.read("a"),
        "LIST": lambda: remote.list(),
        "DELETE many": lambda: remote.delete(["b", "c"]),
    }
    for kind, ask in asks.items():
        s3.reset(first(2, fault, lambda request, kind=kind: request.kind == kind))  # type: ignore[misc]
        ask()
        assert s3.counts()[kind] == 3
    assert s3.objects() == {"sets/one/a": b"x" * 100_000}


@pytest.mark.parametrize("fault", FAULTS[:2])
def test_a_store_that_stays_bad_is_asked_so_often_and_no_more(s3: S3, fault: str) -> None:
    remote = Remote(s3.url())
    s3.reset(lambda _request: fault)
    with pytest.raises(StopError) as stopped:
        remote.put_bytes("a", b"x")
    assert s3.counts() == {"PUT": ROUNDS * TRIES}
    assert stopped.value.exit_code == 3
    assert "run the same command again" in stopped.value.hint
    assert "127.0.0.1" not in str(stopped.value)
    s3.reset()
    assert s3.objects() == {}


def test_nobody_listens(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StopError, match="does not list"):
        Remote(s3.url()).list()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_upload_in_parts_goes_on_after_a_bad_moment(
    s3: S3, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CGTOOL_PART_MB", "5")
    (tmp_path / "big").write_bytes(content := os.urandom(11 << 20))
    s3.reset(first(3, fault, lambda request: "partNumber" in request.query))
    Remote(s3.url()).put("big", tmp_path / "big")
    assert s3.objects() == {"sets/one/big": content}
    n_parts = sum("partNumber" in request.query for request in s3.log)
    assert 3 + 3 <= n_parts <= ROUNDS * TRIES * 3
    assert not s3.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads")


def test_an_upload_in_parts_that_never_ends_is_ended_by_the_next_run(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is ended at once fails too, as where the process is killed: the parts stay, seen by nobody."""
    monkeypatch.setenv("CGTOOL_PART_MB", "5")
    (tmp_path / "big").write_bytes(os.urandom(11 << 20))
    s3.reset(lambda r: "error" if "partNumber" in r.query or r.method == "DELETE" else None)
    remote = Remote(s3.url())
    with pytest.raises(StopError):
        remote.put("big", tmp_path / "big")
    s3.reset()
    s3.client().create_multipart_upload(Bucket=BUCKET, Key="sets/another")
    left = [one["Key"] for one in s3.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]]
    assert left.count("sets/one/big") >= 1
    assert remote.list() == {}
    assert remote.end_uploads() == left.count("sets/one/big")
    left = [one["Key"] for one in s3.client().list_multipart_uploads(Bucket=BUCKET)["Uploads"]]
    assert left == ["sets/another"], "uploads of others are left alone"


def test_of_two_writers_that_create_a_name_one_does(s3: S3) -> None:
    assert Remote(s3.url()).create("lock", b"1") is True
    assert Remote(s3.url()).create("lock", b"2") is False
    assert s3.objects() == {"sets/one/lock": b"1"}


def test_a_store_that_does_not_tell_of_unfinished_uploads_is_written_to_all_the_same(s3: S3) -> None:
    s3.reset(lambda request: "denied" if request.kind == "LIST uploads" else None)
    remote = Remote(s3.url())
    assert remote.end_uploads() == 0
    assert remote.uploads() is None, "which is told, and not that there are none"


def test_unfinished_uploads_are_looked_for_on_all_pages() -> None:
    asked = []

    class Pages:
        def call_s3(self, method: str, **told: object) -> dict[str, object]:
            asked.append((method, told))
            n = len(asked)
            more = {"NextKeyMarker": f"a{n}", "NextUploadIdMarker": f"u{n}"} if n < 3 else {}
            return {"Uploads": [{"Key": f"a{n}", "UploadId": f"u{n}"}], "IsTruncated": n < 3, **more}

    found = s3_requests.uploads(Pages(), lambda _what, ask: ask(), "bucket/a")
    assert found == [(f"bucket/a{n}", f"u{n}") for n in (1, 2, 3)]
    assert [told.get("UploadIdMarker") for _, told in asked] == [None, "u1", "u2"]


def test_an_upload_that_somebody_else_ended_is_begun_again(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CGTOOL_PART_MB", "5")
    (tmp_path / "big").write_bytes(content := os.urandom(11 << 20))
    ended = []

    def end_all(request: Request) -> str | None:
        if "partNumber" in request.query and not ended:
            (upload,) = request.query["uploadId"]
            ended.append(upload)
            s3.client().abort_multipart_upload(Bucket=BUCKET, Key="sets/one/big", UploadId=upload)
        return "no-upload" if request.query.get("uploadId") == ended else None

    s3.reset(end_all)
    token = Remote(s3.url()).put("big", tmp_path / "big")
    assert s3.objects() == {"sets/one/big": content}
    assert token == s3.client().head_object(Bucket=BUCKET, Key="sets/one/big")["ETag"].strip('"')


@pytest.mark.parametrize(
    ("variable", "text"),
    [("AWS_MAX_ATTEMPTS", "x"), ("AWS_MAX_ATTEMPTS", "0"), ("CGTOOL_PART_MB", "x"), ("CGTOOL_PART_MB", "nan")],
)
def test_numbers_in_variables_are_checked(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str
) -> None:
    monkeypatch.setenv(variable, text)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{variable} is '{text}'"):
        Remote(s3.url()).put("file", tmp_path / "file")


def test_a_listing_has_all_pages_and_nothing_beside(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "10")  # of a page; S3's are of 1,000
    client = s3.client()
    for i in range(23):
        client.put_object(Bucket=BUCKET, Key=f"sets/one/parts/{i:04d}", Body=b"x" * (i % 3))
    client.put_object(Bucket=BUCKET, Key="sets/one/partsX", Body=b"")
    client.put_object(Bucket=BUCKET, Key="sets/one2/a", Body=b"")
    s3.reset()
    listed = Remote(s3.url()).list("parts")
    assert {name: entry.size for name, entry in listed.items()} == {f"parts/{i:04d}": i % 3 for i in range(23)}
    assert s3.counts() == {"LIST": 3}
    assert set(Remote(s3.url()).list("parts", start="002")) == {"parts/0020", "parts/0021", "parts/0022"}
    assert set(Remote(s3.url()).list(deep=False)) == {"partsX"}


def test_refusals_name_what_to_mend_and_no_secret(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match="no such bucket"):
        Remote("s3://there-is-none/x").list()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(MachineError, match="refuses") as refused:
        Remote(s3.url()).put_bytes("a", b"")
    assert "AWS_PROFILE" in refused.value.hint


@pytest.mark.parametrize(
    "url",
    ["s3://AKIA:sesame@bucket/set", "s3://bucket/set?secret=sesame", "s3://bucket/set#sesame", "s3:/AKIA:sesame@b/set"],
)
def test_a_url_with_credentials_is_refused_and_shown_without_them(url: str) -> None:
    with pytest.raises(InputError) as refused:
        place_of(url)
    assert "sesame" not in str(refused.value)
    assert "AKIA" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/", "s3:///", "s3://bucket/../x", "https://a/b", "nosuch://a/b"]
)
def test_a_url_that_names_no_place_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        place_of(url)


def test_what_urls_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CGTOOL_WORK", str(tmp_path))
    assert place_of("file:///data/my%20set") == Path("/data/my set")
    assert place_of("data/set") == Path("data/set")
    assert place_of(str(Path("s3://bucket/a/set/"))) == "s3://bucket/a/set" == place_of("S3://bucket//a/set")
    assert place_of("s3a://bucket/a/set") == "s3://bucket/a/set", "one place has one name"
    folder = folder_of("s3://bucket/a/set")
    assert folder.name == "set"
    assert folder != folder_of("s3://bucket/b/set")
    assert url_of(folder) == told_place(folder) == "s3://bucket/a/set"
    assert url_of(tmp_path) is None
    assert told_place(tmp_path) == str(tmp_path)


@pytest.mark.parametrize("name", ["set", "a set", "it's, (one): [1]; `2`", 'a "set"', "größe"])
def test_people_read_the_url_and_not_where_it_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("CGTOOL_WORK", str(tmp_path))
    url = f"s3://bucket/{name}"
    folder = folder_of(url)
    assert told(f"see {folder}/preview.html.") == f"see {url}/preview.html."
    assert json.loads(told(json.dumps({"out": str(folder)}))) == {"out": url}
    assert told(f"{folder}.fetched/x.tar") == f"{folder}.fetched/x.tar", "which is no part of it"
