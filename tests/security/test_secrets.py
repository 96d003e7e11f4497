"""Cookies, a proxy's password and keys of the environment, looked for in every byte that a build leaves or says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, VideoError
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_hostile import refusing_port
from tests.support_server import Redirect, Reset, Server, Status
from tests.support_video import numbered_video

COOKIE, PASSWORD, KEY, TOKEN = "canary-cookie-41f7", "canary-proxy-9c02", "canary-aws-77ab", "canary-signed-5e1d"
USER = "canary-user-30b8"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Server]:
    """A web server that is asked for whole urls is a proxy: it looks at their paths alone."""
    web = tmp_path / "web"
    web.mkdir()
    numbered_video(web / "walk.mp4", 45)
    with Server(web) as running:
        yield running


def said_in(*folders: Path) -> Iterator[tuple[str, str]]:
    """(file, its content as text) of everything under the folders; of tables also what their pages pack."""
    for folder in folders:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            text = path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                text += repr(table.to_pylist()) + repr(table.schema.metadata)
            yield str(path), text


def test_no_secret_is_in_what_a_build_leaves_or_says(proxy: Server, tmp_path: Path, detector_weights: Path) -> None:
    cookies = tmp_path / "cookies.txt"
    line = f"public.invalid\tFALSE\t/\tFALSE\t4000000000\tsession\t{COOKIE}\n"
    cookies.write_text(f"# Netscape HTTP Cookie File\n{line}")
    proxy.always("/gone.mp4", Status(404))
    proxy.always("/reset.mp4", Reset())
    proxy.always("/away.mp4", Redirect(f"http://{USER}:{PASSWORD}@public.invalid:1/nowhere.mp4"))
    proxy.always("/nowhere.mp4", Status(503))
    names = ("walk", "gone", "reset", "away")
    rows = [{"url": f"http://public.invalid/{n}.mp4?signature={TOKEN}", "video_id": n, "city": "Tokyo"} for n in names]
    table = write_sources(tmp_path / "sources.csv", rows)
    out, cache = tmp_path / "out", tmp_path / "cache"
    through = f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
    env = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_SESSION_TOKEN": KEY}
    network = ("--proxy", through, "--cookies", cookies, "--rate", "360000", "--cache", cache)
    done = cgtool("--debug", "build-dataset", table, "--out", out, *SHORT, *network, env=env)
    assert done.returncode == 1, done.stderr

    sent = proxy.requests[0].headers
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert COOKIE in sent["Cookie"] and login in sent["Proxy-Authorization"], "the secrets were in use"

    exports = [tmp_path / kind for kind in ("webdataset", "huggingface", "links")]
    said = [done.stdout, done.stderr]
    for folder in exports:
        made = cgtool("export", out, "--to", folder.name, folder, "--allow-unreviewed", env=env)
        assert made.returncode == 0, made.stderr
        said += [made.stdout, made.stderr]
    for command in (("status", out), ("status", out, "--json"), ("stats", out), ("verify", out)):
        told = cgtool(*command, env=env)
        said += [told.stdout, told.stderr]
    for secret in (COOKIE, PASSWORD, KEY, login):
        assert not [file for file, text in said_in(out, cache, *exports) if secret in text], secret
        assert not [text for text in said if secret in text], secret
    # The link is the user's own, is what a video is known by, and is published: a signature in it is no secret
    with_link = {Path(file).name for file, text in said_in(out) if TOKEN in text}
    assert {"plan.json", "videos.parquet"} <= with_link and "dataset.json" not in with_link


@pytest.mark.parametrize("kind", ["http", "socks5", "socks4"])
@pytest.mark.parametrize("state", ["refuses", "asks for another password", "not there"])
def test_errors_of_a_proxy_do_not_repeat_its_password(proxy: Server, tmp_path: Path, kind: str, state: str) -> None:
    port = refusing_port() if state == "not there" else proxy.port
    proxy.always("/walk.mp4", Status(407 if "password" in state else 403))
    config = DownloadConfig(
        tmp_path / "cache", 1e9, retries=0, timeout_s=1.0, proxy=f"{kind}://{USER}:{PASSWORD}@127.0.0.1:{port}"
    )
    assert PASSWORD not in repr(config)
    for url in ("http://public.invalid/walk.mp4", "https://public.invalid/walk.mp4"):
        with pytest.raises(VideoError) as failure:
            Downloader(config).fetch("x", url)
        whole = f"{failure.value} {failure.value!r}"
        assert PASSWORD not in whole and USER not in whole, whole


@pytest.mark.parametrize(
    "proxy_url",
    [
        f"{USER}:{PASSWORD}@127.0.0.1:80",
        f"https://{USER}:{PASSWORD}@127.0.0.1:80",
        f"http://{USER}:{PASSWORD}",
        f"http://{USER}:{PASSWORD}/x@127.0.0.1:80",
        f"http://{USER}:{PASSWORD}@127.0.0.1:eighty",
        f"http://{USER}:{PASSWORD}@",
        f"http://{USER}:{PASSWORD} @127.0.0.1:80",
        f"http://{USER}:{PASSWORD}@[::1",
    ],
)
def test_a_proxy_that_is_none_is_refused_without_repeating_it(tmp_path: Path, proxy_url: str) -> None:
    with pytest.raises(InputError) as failure:
        DownloadConfig(tmp_path, proxy=proxy_url)
    assert PASSWORD not in str(failure.value) and USER not in str(failure.value) and failure.value.hint


def test_a_link_with_a_password_is_refused_before_it_gets_into_a_table(tmp_path: Path) -> None:
    table = write_sources(
        tmp_path / "s.csv", [{"url": f"https://{USER}:{PASSWORD}@example.org/a.mp4", "city": "Tokyo"}]
    )
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT, "--json")
    assert done.returncode == 2 and "--cookies" in json.loads(done.stdout)["faults"][0][1]
    assert PASSWORD not in done.stdout + done.stderr and not (tmp_path / "out").exists()
