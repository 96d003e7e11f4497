"""yt-dlp runs in a process of its own: whatever keeps it busy, the one that asked goes on and can be stopped."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.errors import CgtoolError, ErrorClass, MediaError, StopError, TableError, VideoError
from cityguessr_data.media.download import Downloader, SiteBlocked
from cityguessr_data.media.download_config import DownloadConfig, Limits
from cityguessr_data.media.failures import PauseAskedError
from cityguessr_data.media.hosts import RefusedHostError
from cityguessr_data.media.talking import DownloadStopped
from tests.support_kill import children
from tests.support_server import Server, video_page

DAYS = "<html><body>videojs(" + "a" * 300_000 + "</body></html>"
"""A regular expression of yt-dlp's looks for the end of this call from every one of its letters, and again."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
    with Server(tmp_path / "web") as running:
        running.page("/days", DAYS)
        running.page("/page", video_page("a.mp4"))
        yield running


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Downloader]:
    def build(**limits: Any) -> Downloader:
        return Downloader(
            DownloadConfig(tmp_path / "cache", rate_per_hour=1e9, allow_private_hosts=True, limits=Limits(**limits))
        )

    return build


def works(downloader: Downloader, server: Server) -> bool:
    return len(downloader.resolve(server.url("/page"))) == 1


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


def test_a_page_that_takes_days_to_search_is_given_up(server: Server, make: Callable[..., Downloader]) -> None:
    downloader = make(most_cpu_s=3)
    with pytest.raises(MediaError, match=r"/days: to make sense of what it answers takes over 3 s of the processor"):
        downloader.resolve(server.url("/days"))
    assert works(downloader, server)


def test_a_download_may_take_its_time(server: Server, make: Callable[..., Downloader]) -> None:
    """The limit on the processor is for the look-up: here the download works for longer."""
    assert make(most_cpu_s=2).ask(server.url("/page"), _works_after_the_look_up) == "done"


def _works_after_the_look_up(session: Any) -> str:
    session._found()
    deadline = time.process_time() + 2.5
    while time.process_time() < deadline:
        pass
    return "done"


def test_it_can_be_stopped_in_the_middle(server: Server, make: Callable[..., Downloader]) -> None:
    stop, downloader, raised = threading.Event(), make(), []

    def work() -> None:
        try:
            downloader.resolve(server.url("/days"), stop)
        except DownloadStopped as exc:
            raised.append(exc)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: server.count("/days") == 1)
    time.sleep(0.3)
    before = set(children(os.getpid()))
    stop.set()
    thread.join(60)
    assert len(raised) == 1
    assert any(gone(pid) for pid in before)  # the one that searches does not go on
    assert works(downloader, server)


SCRIPT = """
    import sys
    from pathlib import Path
    from cityguessr_data.media.download import Downloader
    from cityguessr_data.media.download_config import DownloadConfig, Limits
    config = DownloadConfig(Path(sys.argv[1]), rate_per_hour=1e9, allow_private_hosts=True, limits=Limits(most_cpu_s=4))
    Downloader(config).resolve(sys.argv[2])
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_none_outlives_who_asked(server: Server, tmp_path: Path, by: signal.Signals) -> None:
    """Ctrl-C ends it at once; of a killed one the search itself ends, by the limit on the processor."""
    words = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path), server.url("/days")]
    root = Path(__file__).parents[2]
    asking = subprocess.Popen(words, cwd=root, stderr=subprocess.DEVNULL, preexec_fn=_hears_ctrl_c)
    until(lambda: server.count("/days") == 1)
    time.sleep(0.3)
    beneath = children(asking.pid)
    assert beneath
    asking.send_signal(by)
    assert asking.wait(60) == -by
    until(lambda: all(gone(pid) for pid in beneath))


def _hears_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_what_takes_too_much_memory_is_given_up(server: Server, make: Callable[..., Downloader]) -> None:
    downloader = make(most_memory_bytes=1 << 30)
    with pytest.raises(MediaError, match="takes too much memory"):
        downloader.ask(server.url("/page"), _greedy)
    assert works(downloader, server)


def _greedy(_session: Any) -> int:
    return len(bytes(2 << 30))


def test_a_process_that_dies_fails_its_video_alone(server: Server, make: Callable[..., Downloader]) -> None:
    downloader = make()
    with pytest.raises(VideoError, match="ended by signal SIGKILL") as failure:
        downloader.ask(server.url("/page"), _dies)
    assert failure.value.error_class is ErrorClass.INTERNAL
    assert works(downloader, server)


def _dies(_session: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_one_process_serves_talk_after_talk(server: Server, make: Callable[..., Downloader]) -> None:
    first = make().ask(server.url("/page"), _who)
    assert first != os.getpid() and make().ask(server.url("/page"), _who) == first


def _who(_session: Any) -> int:
    return os.getpid()


def test_it_sees_the_environment_of_the_moment(
    server: Server, make: Callable[..., Downloader], monkeypatch: pytest.MonkeyPatch
) -> None:
    make().ask(server.url("/page"), _who)
    monkeypatch.setenv("CGTOOL_TEST_TOLD", "now")
    assert make().ask(server.url("/page"), _told) == "now"
    monkeypatch.delenv("CGTOOL_TEST_TOLD")
    assert make().ask(server.url("/page"), _told) is None


def _told(_session: Any) -> str | None:
    return os.environ.get("CGTOOL_TEST_TOLD")


@pytest.mark.parametrize(
    "error",
    [
        CgtoolError("what", "do"), StopError("what", "do"), VideoError(ErrorClass.GEO, "what", "do"),
        MediaError("what", "do"), TableError("t.csv", [(1, "x")]), SiteBlocked("example.org", "what"),
        PauseAskedError("example.org", 90.0, 429), RefusedHostError("example.org", "10.0.0.1"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_errors_travel_whole(error: CgtoolError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
    assert again.args == error.args and again.exit_code == error.exit_code
