"""`cgtool refresh` on a real build whose videos vanish, become private and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cgtool.removal_summary import show_refresh
from cityguessr_data.core.atomic import write_table
from cityguessr_data.core.errors import ErrorClass, VideoError
from cityguessr_data.core.schemas import TABLES
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.removal import refresh as refreshing
from cityguessr_data.removal.refresh import Answer, HeldBack, Refreshed, refresh
from cityguessr_data.run.store import Store
from tests.support_build import cgtool, result_of
from tests.support_imported import state_of
from tests.support_inline import cgtool_inline
from tests.support_removal import Built, Quiet, built, clip_ids, rows, video_row
from tests.support_server import Behaviour, Status

POLITE = ("--allow-private-hosts", "--rate", "36000")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, detector_weights: Path) -> Iterator[Built]:
    with built(tmp_path_factory.mktemp("refresh")) as data:
        yield data


@pytest.fixture
def data(whole: Built, tmp_path: Path) -> Iterator[Built]:
    yield whole.copy(tmp_path)
    for path in ("/tour.mp4", "/walk.mp4"):
        whole.server.always(path, None)


def ask(data: Built, **options: Any) -> Refreshed:
    """In this process, without waiting for a server that is busy."""
    config = DownloadConfig(data.root / "none", rate_per_hour=36000, allow_private_hosts=True, retries=0)
    return refresh(data.out, Downloader(config), Quiet(), **options)


def test_one_question_a_video_and_nothing_changes_where_all_are_there(data: Built) -> None:
    before, asked = state_of(data.root), {path: data.server.count(path) for path in ("/tour.mp4", "/walk")}
    done = cgtool("refresh", data.out, *POLITE, "--json")
    assert done.returncode == 0, done.stderr
    told = result_of(done)
    assert (told["videos"], told["counts"], told["newly_gone"]) == (3, {"there": 3}, [])
    assert {path: data.server.count(path) - n for path, n in asked.items()} == {"/tour.mp4": 1, "/walk": 1}
    assert state_of(data.root) == before


def test_what_vanished_is_marked_with_its_clips_kept_until_it_is_back(data: Built) -> None:
    data.server.always("/tour.mp4", Status(404))
    data.server.always("/walk.mp4", Status(410))
    clips = clip_ids(data.out)
    done = cgtool_inline("refresh", data.out, *POLITE)
    assert done.returncode == 0, done.stderr
    assert "3 with clips: 1 there, 2 gone" in " ".join(done.stdout.split())
    assert "tour: removed: " in done.stderr and "walk: removed: " in done.stderr
    tour = video_row(data.out, "tour")
    assert tour["reason"].startswith("gone since 20") and ": removed: " in tour["reason"]
    assert (tour["status"], tour["n_clips"]) == ("done", 3) and clip_ids(data.out) == clips
    assert video_row(data.out, "mine")["reason"] is None
    marked = state_of(data.root)
    again = cgtool_inline("refresh", data.out, *POLITE, "--json")
    assert (again.returncode, result_of(again)["newly_gone"]) == (0, [])
    assert state_of(data.root) == marked
    data.server.always("/tour.mp4", None)
    back = result_of(cgtool_inline("refresh", data.out, *POLITE, "--json"))
    assert back["back"] == ["tour"] and video_row(data.out, "tour")["reason"] is None
    assert video_row(data.out, "walk")["reason"] is not None


def test_remove_takes_out_what_is_gone_and_raises_the_version_once(data: Built) -> None:
    data.server.always("/tour.mp4", Status(410))
    data.server.always("/walk.mp4", Status(404))
    done = cgtool_inline("refresh", data.out, *POLITE, "--remove", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(result_of(done)["removal"]["videos"]) == ["tour", "walk"]
    assert clip_ids(data.out) == {"mine_00000", "mine_00001"}
    assert {row["id"]: row["reason"] for row in rows(data.out, "tombstones")} == {
        "tour": "gone: removed",
        "walk": "gone: removed",
    }
    assert result_of(done)["held_back"] == {}
    assert result_of(done)["removal"]["version"] == "0.2.0"
    assert not list(data.cache.rglob("tour*")) + list(data.cache.rglob("walk*"))
    asked = data.server.count()
    last = cgtool_inline("refresh", data.out, *POLITE, "--remove", "--json")
    assert (result_of(last)["videos"], data.server.count()) == (1, asked)


@pytest.mark.parametrize(
    ("answer", "state", "exit_code"),
    [
        (Status(451), "refused", 0),
        (Status(403), "refused", 0),
        (Status(401), "refused", 0),
        (Status(402), "refused", 0),
        (Status(503), "failed", 1),
        (Status(403, {"cf-mitigated": "challenge"}), "not-asked", 3),
    ],
)
def test_what_says_nothing_of_the_video_is_told_and_not_marked(
    data: Built, answer: Behaviour, state: str, exit_code: int
) -> None:
    data.server.always("/tour.mp4", answer)
    asked = data.server.count("/walk")
    result = ask(data, remove_gone=True)
    states = {one.video_id: one.state for one in result.answers}
    assert (states["tour"], states["mine"], result.exit_code) == (state, "there", exit_code)
    assert states["walk"] == ("not-asked" if exit_code == 3 else "there")  # one site
    assert data.server.count("/walk") == asked + (exit_code != 3)
    assert video_row(data.out, "tour")["reason"] is None and len(clip_ids(data.out)) == 7
    if exit_code == 3:  # later the rest is asked, and what has answered is not asked again
        data.server.always("/tour.mp4", None)
        assert ask(data).exit_code == 0


def test_a_run_that_was_cut_short_goes_on_where_it_was(data: Built) -> None:
    class Stops(Quiet):
        def answered(self, answer: Answer) -> None:
            if answer.video_id == "tour":
                raise KeyboardInterrupt

    data.server.always("/tour.mp4", Status(404))
    config = DownloadConfig(data.root / "none", rate_per_hour=36000, allow_private_hosts=True, retries=0)
    cut = refresh(data.out, Downloader(config), Stops())
    assert (cut.interrupted, cut.exit_code) == (True, 130)
    assert "gone since" in video_row(data.out, "tour")["reason"]
    asked = data.server.count("/tour.mp4")
    with (data.out / ".cgtool" / "refresh.jsonl").open("a") as f:
        f.write('{"at": "20')  # killed while it wrote
    done = ask(data)
    assert {one.video_id: one.state for one in done.answers} == {"mine": "there", "tour": "gone", "walk": "there"}
    assert data.server.count("/tour.mp4") == asked
    assert not (data.out / ".cgtool" / "refresh.jsonl").exists()


def test_a_local_file_that_is_missing_is_told_and_never_removed(data: Built) -> None:
    mine = Path(data.rows[2]["url"])
    hidden = mine.rename(mine.with_suffix(".away"))
    try:
        result = ask(data, remove_gone=True)
    finally:
        hidden.rename(mine)
    assert [one.video_id for one in result.of("refused")] == ["mine"] and "is missing" in result.of("refused")[
        0
    ].message
    assert (result.exit_code, len(clip_ids(data.out))) == (0, 7)


def test_a_file_that_is_given_only_to_who_comes_from_its_page_is_there(data: Built) -> None:
    """A download sends the page as Referer, and so must the question."""
    server = data.server
    file = server.url("/walk.mp4")
    script = f'var player = videojs("v"); player.src([{{src: "{file}", type: "video/mp4"}}]);'
    page = server.page("/player", f"<html><body><script>{script}</script></body></html>")
    config = DownloadConfig(data.root / "none", rate_per_hour=36000, allow_private_hosts=True, retries=0)
    assert refreshing.ask(Downloader(config), "generic_player", page).state == "there"
    asked = [seen for seen in server.requests if seen.path == "/walk.mp4"][-1]
    assert (asked.headers.get("Referer"), asked.headers.get("Range")) == (page, "bytes=0-0")


class Says(Downloader):
    """A downloader whose sites answer as told: by the name of a video, what its site says."""

    def __init__(self, said: dict[str, VideoError | None]) -> None:
        self.said = said

    def look(self, video_id: str, url: str, stop: object = None) -> None:
        if (error := self.said[video_id]) is not None:
            raise error


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("Private video. Sign in if you've been granted access to this video", "gone"),
        ("HTTP Error 403: this video is private", "gone"),
        ("HTTP Error 403: Forbidden", "refused"),
        ("HTTP Error 401: Unauthorized", "refused"),
        ("unable to download video data: HTTP Error 402: Payment Required", "refused"),
    ],
)
def test_a_video_is_private_where_its_site_says_so(said: str, state: str) -> None:
    url = "https://e.org/private-video"
    downloader = Says({"v": VideoError(ErrorClass.PRIVATE, f"{url}: {said}", "hint")})
    answer = refreshing.ask(downloader, "v", url)
    assert (answer.state, answer.error_class, answer.message) == (state, "private", said)


GONE = VideoError(ErrorClass.REMOVED, "HTTP Error 404: Not Found")
BLOCKED = VideoError(ErrorClass.GEO, "not available in your country")
BUSY = VideoError(ErrorClass.NETWORK, "timed out")


@pytest.mark.parametrize(
    ("sites", "held_back"),
    [
        ({"a": [GONE] * 3}, {"a": (3, 3)}),
        ({"a": [GONE] * 2}, {}),
        ({"a": [GONE] * 3 + [None] * 2}, {"a": (3, 5)}),
        ({"a": [GONE] * 3 + [None] * 2 + [BLOCKED]}, {}),  # half
        ({"a": [GONE] * 3 + [BUSY] * 9}, {"a": (3, 3)}),  # no answer at all
        ({"a": [GONE] * 4 + [None], "b": [GONE] + [None] * 9, "c": [GONE]}, {"a": (4, 5)}),
    ],
)
def test_where_most_of_a_site_is_gone_nothing_of_it_is_removed_unasked(
    tmp_path: Path, sites: dict[str, list[VideoError | None]], held_back: dict[str, tuple[int, int]]
) -> None:
    out = tmp_path / "out"
    said = {f"{site}{n}": error for site, errors in sites.items() for n, error in enumerate(errors)}
    linked(out, {video_id: f"https://{video_id[0]}.example.org/{video_id}.mp4" for video_id in said})
    gone = {video_id for video_id, error in said.items() if error is GONE}
    result = refresh(out, Says(said), Quiet(), remove_gone=True)
    told = {site: (one.gone, one.answered) for site, one in result.held_back.items()}
    assert told == {f"{site}.example.org": counts for site, counts in held_back.items()}
    kept = {video_id for video_id in said if video_id not in gone or video_id[0] in held_back}
    assert {row["video_id"] for row in rows(out, "clips")} == kept
    assert all(video_row(out, video_id)["reason"].startswith("gone since ") for video_id in gone & kept)
    assert result.exit_code == (1 if held_back or BUSY in said.values() else 0)
    result = refresh(out, Says(said), Quiet(), remove_gone=True, even_if_many=True)
    assert result.held_back == {} and {row["video_id"] for row in rows(out, "clips")} == said.keys() - gone


def linked(out: Path, urls: dict[str, str]) -> None:
    """A data set of one clip a video, each with its link."""
    store = Store(out)
    place = {"city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia", "fingerprint": "f"}
    for video_id, url in urls.items():
        clip = {"clip_id": f"{video_id}_00000", "video_id": video_id, "clip_index": 0, "n_sampled": 0, **place}
        clip |= {"width": 1, "height": 1, "frames_uri": "", "start_frame": 0, "end_frame": 9}
        video = {"video_id": video_id, "url": url, "n_clips": 1, "status": "done"}
        for name, held in (("videos", [video]), ("clips", [clip]), ("frames", []), ("faces", [])):
            write_table(store.part(name, video_id), pa.Table.from_pylist(held, TABLES[name]))
    store.write_dataset({"name": "out", "version": "0.1.0"})


def test_what_was_held_back_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = [Answer(f"a{n}", "gone", "removed", "HTTP Error 404: Not Found") for n in range(3)]
    result = Refreshed(3, answers, held_back={"a.example.org": HeldBack(3, 3)})
    show_refresh(tmp_path, result, as_json=False)
    told = capsys.readouterr()
    assert "nothing of a.example.org was removed: 3 of 3 videos gone at once are many," in told.err
    assert "--remove --even-if-many" in told.err and "some could not be asked" not in told.err
    done = cgtool_inline("refresh", tmp_path, "--even-if-many")
    assert done.returncode == 2 and "Give --remove too" in done.stderr


def test_what_is_no_output_directory_is_refused(tmp_path: Path) -> None:
    done = cgtool_inline("refresh", tmp_path, *POLITE)
    assert done.returncode == 2 and "is not an output directory" in done.stderr
    assert list(tmp_path.iterdir()) == []
