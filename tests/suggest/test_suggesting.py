"""Candidates by a real search of yt-dlp's against a loopback server: chosen, marked, counted, written, read again."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yt_dlp.globals

from cityguessr_data.core.errors import InputError, StopError, VideoError
from cityguessr_data.core.schemas import VIDEOS
from cityguessr_data.core.sources import read_sources
from cityguessr_data.core.tables import harmless
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import Place
from cityguessr_data.media import talking
from cityguessr_data.media.hosts import RefusedHostError
from cityguessr_data.media.search import Searcher, search_config
from cityguessr_data.run.store import Store
from cityguessr_data.run.tombstones import Tombstone, bury
from cityguessr_data.suggest.cities import City
from cityguessr_data.suggest.config import SuggestConfig
from cityguessr_data.suggest.suggesting import SuggestResult, queries, suggest
from tests.support_sample import write_out
from tests.support_search import BASE, KEY, SearchServer, register
from tests.support_server import Reset

WALK, DRIVE = "Tokyo Japan walking tour", "Tokyo Japan driving tour"
MADRID_WALK = "Madrid Spain walking tour"


@pytest.fixture(autouse=True)
def _search() -> Iterator[None]:
    before, base = yt_dlp.globals.extractors.value, os.environ.get(BASE)
    register()
    yield
    yt_dlp.globals.extractors.value = before
    talking.BEFORE_TALKS.remove(register)
    os.environ.pop(BASE, None)
    if base is not None:
        os.environ[BASE] = base


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SearchServer]:
    with SearchServer(tmp_path) as running:
        assert isinstance(running, SearchServer)
        for query in (WALK, DRIVE, MADRID_WALK, "Madrid Spain driving tour"):
            running.finds(query, [])
        yield running


def look(tmp_path: Path, **options: Any) -> tuple[SuggestResult, list[dict[str, str]]]:
    """Suggest, and read the table as a spreadsheet would."""
    table = tmp_path / "found.csv"
    network = search_config(1e9, allow_private_hosts=True)
    given: dict[str, Any] = {"cities": ("Tokyo",), "search": KEY, "network": network, "replace": True, **options}
    result = suggest(SuggestConfig(table=table, **given))
    with table.open(newline="", encoding="utf-8") as f:
        return result, list(csv.DictReader(f))


def ids(rows: list[dict[str, str]]) -> list[str]:
    return [row["url"].rpartition("/")[2] for row in rows]


def test_a_build_reads_what_was_written(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry("aaa"), server.entry("bbb", title='=HYPERLINK("http://x"), 1')])
    server.finds(DRIVE, [server.entry("ccc", 12.5)])
    result, rows = look(tmp_path)
    assert " ".join(rows[0]) == ("url city state country continent title channel license duration_s upload_date known")
    assert ids(rows) == ["aaa", "ccc", "bbb"]  # the first of each query, then the second
    assert rows[0] == {
        "url": server.url("/watch/aaa"), "city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia",
        "title": "Walk aaa", "channel": "Channel of aaa", "license": "Creative Commons Attribution",
        "duration_s": "900", "upload_date": "2024-02-29", "known": "",
    }  # fmt: skip
    assert rows[2]["title"] == """'=HYPERLINK("http://x"), 1"""
    assert (result.n_rows, result.n_licensed, result.exit_code) == (3, 3, 0)
    sources = read_sources(tmp_path / "found.csv", Taxonomy.named("cityguessr166"), allow_private_hosts=True)
    assert [row.url for row in sources] == [row["url"] for row in rows]
    assert {row.license for row in sources} == {"Creative Commons Attribution"}
    assert sources[0].place.city_label is not None and sources[0].extra["source_title"] == "Walk aaa"


def test_nothing_is_downloaded(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry("aaa"), server.entry("bbb")])
    look(tmp_path)
    paths = {seen.path for seen in server.requests}
    assert paths == {
        "/search/tokyo-japan-walking-tour/1",
        "/search/tokyo-japan-driving-tour/1",
        "/watch/aaa",
        "/watch/bbb",
    }


def test_without_look_up_only_the_search_is_asked(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry("aaa"), server.entry("bbb", None)])
    result, rows = look(tmp_path, look_up=False)
    assert ids(rows) == ["aaa"] and rows[0]["license"] == "" and rows[0]["title"] == "Walk aaa"
    assert result.left_out == {"of unknown length": 1} and not result.looked_up
    assert all(seen.path.startswith("/search/") for seen in server.requests)


def test_what_does_not_fit_is_counted(server: SearchServer, tmp_path: Path) -> None:
    server.finds(
        WALK,
        [
            server.entry("short", 9.99),
            server.entry("long", 20.01),
            server.entry("least", 10),
            server.entry("most", 20),
            server.entry("live", None, live_status="is_live"),
            server.entry("soon", None, live_status="is_upcoming"),
            server.entry("over", 15, live_status="was_live"),
            server.entry("reel", 0.5, short=True),
            server.entry("gone"),
            server.entry("secret"),
            server.entry("unsaid", None),
        ],
    )
    server.tells("gone", error="This video has been removed by the uploader")
    server.tells("secret", error="Private video")
    server.tells("unsaid", title="Walk unsaid", duration=601)
    result, rows = look(tmp_path)
    assert ids(rows) == ["least", "most", "over", "unsaid"]
    assert rows[3]["duration_s"] == "601"
    assert result.left_out == {
        "too short": 1, "too long": 1, "live streams": 2, "shorts": 1,
        "not to be had (removed)": 1, "not to be had (private)": 1,
    }  # fmt: skip


def test_no_more_than_asked_for_and_no_look_up_beyond(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry(f"v{n:02d}") for n in range(12)])
    result, rows = look(tmp_path, n_videos=3)
    assert ids(rows) == ["v00", "v01", "v02"] and result.left_out == {"more than was asked for": 9}
    assert sum(seen.path.startswith("/watch/") for seen in server.requests) == 3


def test_a_video_of_two_cities_is_given_once(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry("both"), server.entry("aaa")])
    server.finds(MADRID_WALK, [server.entry("both"), server.entry("bbb")])
    result, rows = look(tmp_path, cities=("Tokyo", "Madrid"))
    assert sorted(ids(rows)) == ["aaa", "bbb", "both"]
    assert result.left_out == {"found for another city too": 1}


def test_known_videos_channels_and_removed_ones_are_marked(server: SearchServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = write_out(data, {"loopvideo_have": {"loopvideo_have_00000": 3}, "other": {"other_00000": 3}})
    part = store.part("videos", "other")
    row = {**pq.read_table(part).to_pylist()[0], "url": server.url("/watch/link"), "channel": "CHANNEL of sib"}
    pq.write_table(pa.Table.from_pylist([row], VIDEOS), part)
    now = datetime.now(UTC)
    bury(
        store,
        [
            Tombstone("video", "loopvideo_gone", now, "asked for", "0.1.1"),
            Tombstone("channel", "Channel of off", now, "asked for", "0.1.1"),
        ],
    )
    server.finds(WALK, [server.entry(v) for v in ("have", "link", "sib", "gone", "off", "new1", "new2")])
    result, rows = look(tmp_path, data=data, n_videos=2)
    assert {row["url"].rpartition("/")[2]: row["known"] for row in rows} == {
        "have": "video", "link": "video", "sib": "channel", "gone": "removed", "off": "removed", "new1": "",
    }  # fmt: skip
    assert result.known == {"video": 2, "channel": 1, "removed": 2}
    assert [(c.n_wanted, c.n_new) for c in result.cities] == [(2, 2)]
    asked = {seen.path for seen in server.requests if seen.path.startswith("/watch/")}
    assert asked == {"/watch/sib", "/watch/new1"}  # of what was removed or is there, nothing more is asked


def test_smallest_cities_first(server: SearchServer, tmp_path: Path) -> None:
    """Tokyo has 3 clips of one video; Madrid none: of four videos worth 3 clips, Madrid gets the first."""
    data = tmp_path / "data"
    write_out(data, {"a": {f"a_{n:05d}": 2 for n in range(3)}})
    server.finds(WALK, [server.entry(f"t{n}") for n in range(5)])
    server.finds(MADRID_WALK, [server.entry(f"p{n}") for n in range(5)])
    result, rows = look(tmp_path, data=data, cities=("Tokyo", "Madrid"), n_videos=4)
    assert [(c.city.name, c.n_clips, c.n_wanted) for c in result.cities] == [("Madrid", 0, 3), ("Tokyo", 3, 1)]
    assert ids(rows) == ["p0", "p1", "p2", "t0"]
    assert result.gini_now == pytest.approx(0.5) and result.gini_then == pytest.approx(0.1)  # 9 and 6: 3 / (2 * 15)


def test_a_data_set_alone_is_filled_up(server: SearchServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_out(data, {"a": {"a_00000": 2}})
    server.finds(WALK, [server.entry("aaa")])
    result, rows = look(tmp_path, data=data, cities=(), n_videos=5)
    assert ids(rows) == ["aaa"] and [(c.n_wanted, c.n_new) for c in result.cities] == [(5, 1)]


def test_a_robot_check_stops_and_what_was_found_is_written(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry(v) for v in ("aaa", "bbb", "ccc")])
    server.tells("bbb", error="Sign in to confirm you're not a bot")
    result, rows = look(tmp_path)
    assert ids(rows) == ["aaa"]
    assert isinstance(result.stopped, StopError) and result.exit_code == 3
    assert "/watch/ccc" not in {seen.path for seen in server.requests}


def test_a_table_is_not_emptied_by_a_stop_before_the_first_row(server: SearchServer, tmp_path: Path) -> None:
    table = tmp_path / "found.csv"
    table.write_text("url,city\nkept,kept\n")
    server.refuses(WALK, "Our systems have detected unusual traffic")
    result, rows = look(tmp_path)
    assert result.exit_code == 3 and rows == [{"url": "kept", "city": "kept"}]


def test_a_search_that_fails_is_told_and_the_others_go_on(server: SearchServer, tmp_path: Path) -> None:
    server.refuses(WALK, "Something odd happened")
    server.finds(DRIVE, [server.entry("aaa")])
    result, rows = look(tmp_path)
    assert ids(rows) == ["aaa"] and result.exit_code == 1
    assert len(result.failed) == 1 and "'Tokyo Japan walking tour' failed: Something odd happened" in result.failed[0]


def test_a_look_up_that_fails_for_now_costs_the_licence_only(server: SearchServer, tmp_path: Path) -> None:
    server.finds(WALK, [server.entry("aaa")])
    server.tells("aaa", error="Connection reset, try again later")
    result, rows = look(tmp_path)
    assert ids(rows) == ["aaa"] and rows[0]["license"] == "" and result.exit_code == 1


def test_results_come_by_pages_as_far_as_needed(server: SearchServer) -> None:
    server.finds(WALK, [server.entry(f"v{n:02d}") for n in range(14)])
    found = Searcher(search_config(1e9, allow_private_hosts=True), KEY).search(WALK, 7)
    assert [video.video_id for video in found] == [f"loopvideo_v{n:02d}" for n in range(7)]
    assert server.count() == 2  # pages of five
    assert found[0].license == "" and found[0].duration_s == 900


def test_a_page_that_breaks_off_is_asked_for_again(server: SearchServer) -> None:
    server.finds(WALK, [server.entry(f"v{n:02d}") for n in range(14)])
    server.plan("/search/tokyo-japan-walking-tour/2", Reset(0))
    config = replace(search_config(1e9, allow_private_hosts=True), backoff_s=0.01)
    assert len(Searcher(config, KEY).search(WALK, 12)) == 12


def test_private_hosts_are_not_asked_unless_allowed(server: SearchServer) -> None:
    with pytest.raises(VideoError, match="--allow-private-hosts") as caught:
        Searcher(search_config(1e9), KEY).search(WALK, 3)
    assert isinstance(caught.value.__cause__, RefusedHostError) and server.count() == 0


@pytest.mark.parametrize("key", ["nosuchsearch", "https", "ytsearch:", "", "yt search", "../x"])
def test_unknown_searches_are_refused(key: str) -> None:
    with pytest.raises(InputError, match="knows no search"):
        Searcher(search_config(300.0), key)


def test_youtubes_own_search_is_known() -> None:
    Searcher(search_config(300.0), "ytsearch")


def test_searches_and_look_ups_keep_the_rate(server: SearchServer) -> None:
    """Starts on one site lie 3600 / rate apart; the clock is ours, so nothing is waited for."""
    from cityguessr_data.media.pace import Pace

    waits: list[tuple[str, float]] = []

    class Noted(Pace):
        def wait(self, site: str, stop: object = None) -> bool:
            waits.append((site, self.reserve(site)))
            return True

    server.finds(WALK, [server.entry("aaa"), server.entry("bbb")])
    pace = Noted(3600, clock=lambda: 0.0)
    searcher = Searcher(search_config(3600, allow_private_hosts=True), KEY, pace=pace)
    for video in searcher.search(WALK, 5):
        searcher.look_up(video)
    assert waits == [(KEY, 0.0), ("127.0.0.1", 0.0), ("127.0.0.1", 1.0)]


def test_queries_name_the_country_once() -> None:
    taxonomy = Taxonomy.named("cityguessr166")
    assert queries(city(taxonomy.place("Tokyo"))) == (WALK, DRIVE)
    assert queries(city(Place("Singapore", "Singapore", "Singapore", "Asia")))[0] == "Singapore walking tour"
    assert queries(city(taxonomy.place("Rio_de_Janeiro")))[1] == "Rio de Janeiro Brazil driving tour"


def city(place: Place) -> City:
    return City(place, 0, wanted=True)


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+2", "@SUM(A1)", "\t=1", "  =1", "\r=1"])
def test_cells_that_look_like_formulas_are_made_harmless(cell: str) -> None:
    assert harmless(cell) == f"'{cell}".replace("\r", "\n")


@pytest.mark.parametrize("cell", ["", "-1", "+1.5e3", "A walk", "5 - 6", "a=b", "東京 散歩"])
def test_other_cells_stay(cell: str) -> None:
    assert harmless(cell) == cell


@pytest.mark.parametrize(
    "options, words",
    [
        ({"n_videos": 0}, "no candidate"),
        ({"most_per_city": 0}, "no candidate"),
        ({"min_duration_s": 700.0, "max_duration_s": 600.0}, "no length"),
        ({"max_duration_s": float("nan")}, "no length"),
        ({"cities": ()}, "no city is named"),
        ({"cities": ("Tokio",)}, "nearest known are Tokyo"),
        ({"data": Path("nowhere")}, "not an output directory"),
        ({"table": Path("here.xlsx")}, "no name of a CSV"),
        ({"table": Path("no/such/folder/here.csv")}, "no folder"),
    ],
)
def test_bad_input(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"table": tmp_path / "new.csv", "cities": ("Tokyo",), "search": KEY, **options}
    with pytest.raises(InputError, match=words):
        suggest(SuggestConfig(**given))
    assert not (tmp_path / "new.csv").exists()


def test_a_table_that_exists_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("mine")
    with pytest.raises(InputError, match="--replace"):
        SuggestConfig(table=table, cities=("Tokyo",))
    assert table.read_text() == "mine"


def test_a_data_set_is_only_read(server: SearchServer, tmp_path: Path) -> None:
    data = tmp_path / "data"
    store: Store = write_out(data, {"a": {"a_00000": 2}})
    (data / "dataset.json").write_text("{}")
    before = {p: p.read_bytes() for p in data.rglob("*") if p.is_file()}
    server.finds(WALK, [server.entry("aaa")])
    look(tmp_path, data=store.out, cities=())
    assert {p: p.read_bytes() for p in data.rglob("*") if p.is_file()} == before
