"""Who may read what lies on the disk: sources and downloads, whose faces are not blurred, are their owner's alone."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cityguessr_data.core.private import make_private
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from tests.support_server import Server


@pytest.fixture(autouse=True)
def _usual_rights() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_cache_that_a_download_makes_is_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"x" * 999)
    with Server(tmp_path / "web") as server:
        config = DownloadConfig(tmp_path / "x" / "cache", 1e9, allow_private_hosts=True)
        Downloader(config).fetch("v", server.url("/a.mp4"))
    assert rights(tmp_path / "x" / "cache") == 0o700 and rights(tmp_path / "x") == 0o755
    assert (tmp_path / "x" / "cache" / "sources" / "v.mp4").is_file()


def test_a_folder_that_is_shared_on_purpose_stays_so(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    make_private(tmp_path / "shared")
    assert rights(tmp_path / "shared") == 0o755


def test_temporary_folders_are_private() -> None:
    """The library's own promise, which links given to `bench predict` and wheels rely on."""
    with tempfile.TemporaryDirectory(prefix="cgtool-") as folder:
        assert rights(Path(folder)) == 0o700


def test_a_planted_link_in_the_way_of_a_private_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OSError):
        make_private(tmp_path / "cache")
