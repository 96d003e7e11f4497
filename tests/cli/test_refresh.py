"""`cgtool refresh` on a real build whose videos vanish, become private and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from cityguessr_data.removal.refresh import Answer, Refreshed, refresh
from tests.support_build import cgtool, result_of
from tests.support_imported import state_of
from tests.support_removal import Built, built, clip_ids, rows, video_row
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


class Silent:
    def planned(self, videos: int) -> None:
        pass

    def answered(self, answer: Answer) -> None:
        pass


def ask(data: Built, **options: Any) -> Refreshed:
    """In this process, without waiting for a server that is busy."""
    config = DownloadConfig(data.root / "none", rate_per_hour=36000, allow_private_hosts=True, retries=0)
    return refresh(data.out, Downloader(config), Silent(), **options)


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
    data.server.always("/walk.mp4", Status(403))
    clips = clip_ids(data.out)
    done = cgtool("refresh", data.out, *POLITE)
    assert done.returncode == 0, done.stderr
    assert "3 with clips: 1 there, 2 gone" in " ".join(done.stdout.split())
    assert "tour: removed: " in done.stderr and "walk: private: " in done.stderr
    tour = video_row(data.out, "tour")
    assert tour["reason"].startswith("gone since 20") and ": removed: " in tour["reason"]
    assert (tour["status"], tour["n_clips"]) == ("done", 3) and clip_ids(data.out) == clips
    assert video_row(data.out, "mine")["reason"] is None
    marked = state_of(data.root)
    again = cgtool("refresh", data.out, *POLITE, "--json")
    assert (again.returncode, result_of(again)["newly_gone"]) == (0, [])
    assert state_of(data.root) == marked
    data.server.always("/tour.mp4", None)
    back = result_of(cgtool("refresh", data.out, *POLITE, "--json"))
    assert back["back"] == ["tour"] and video_row(data.out, "tour")["reason"] is None
    assert video_row(data.out, "walk")["reason"] is not None


def test_remove_takes_out_what_is_gone_and_raises_the_version_once(data: Built) -> None:
    data.server.always("/tour.mp4", Status(410))
    data.server.always("/walk.mp4", Status(401))
    done = cgtool("refresh", data.out, *POLITE, "--remove", "--json")
    assert done.returncode == 0, done.stderr
    assert sorted(result_of(done)["removal"]["videos"]) == ["tour", "walk"]
    assert clip_ids(data.out) == {"mine_00000", "mine_00001"}
    assert {row["id"]: row["reason"] for row in rows(data.out, "tombstones")} == {
        "tour": "gone: removed",
        "walk": "gone: private",
    }
    assert result_of(done)["removal"]["version"] == "0.2.0"
    assert not list(data.cache.rglob("tour*")) + list(data.cache.rglob("walk*"))
    asked = data.server.count()
    last = cgtool("refresh", data.out, *POLITE, "--remove", "--json")
    assert (result_of(last)["videos"], data.server.count()) == (1, asked)


@pytest.mark.parametrize(
    ("answer", "state", "exit_code"),
    [
        (Status(451), "refused", 0),
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
    class Stops(Silent):
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


def test_what_is_no_output_directory_is_refused(tmp_path: Path) -> None:
    done = cgtool("refresh", tmp_path, *POLITE)
    assert done.returncode == 2 and "is not an output directory" in done.stderr
    assert list(tmp_path.iterdir()) == []
