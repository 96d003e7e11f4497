"""The sources table: what a row becomes, and every fault with its line."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.core.manifests import manifest_path
from cityguessr_data.core.schemas import VIDEOS
from cityguessr_data.core.sources import OWN_COLUMNS, read_sources, safe_id
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import Place, SourceRow

WORLD = Taxonomy.named("cityguessr166")
A, B = "https://a.example.com/1.mp4", "https://a.example.com/2.mp4"

Read = Callable[..., tuple[SourceRow, ...]]
Faults = Callable[..., list[tuple[int, str]]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a table given as text, bytes or columns (which make it Parquet)."""

    def reader(content: str | bytes | dict[str, Any], **options: bool) -> tuple[SourceRow, ...]:
        path = tmp_path / "sources.csv"
        if isinstance(content, dict):
            path = tmp_path / "sources.parquet"
            pq.write_table(pa.table(content), path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_sources(path, WORLD, **options)

    return reader


@pytest.fixture
def faults(read: Read) -> Faults:
    def reader(content: str | bytes | dict[str, Any], **options: bool) -> list[tuple[int, str]]:
        with pytest.raises(TableError) as caught:
            read(content, **options)
        assert caught.value.exit_code == 2
        return list(caught.value.faults)

    return reader


# --- rows ---


def test_the_least_a_row_needs(read: Read) -> None:
    (row,) = read(f"url,city\n{A},Tokyo\n")
    assert row == SourceRow(line=2, url=A, place=WORLD.place("Tokyo"), extra={})


def test_every_column(read: Read) -> None:
    (row,) = read(
        "url,city,video_id,state,country,continent,lat,lon,start_s,end_s,license,note\n"
        f"{A},bangalore,walk-1,,India,ASIA,12.5,-7.25e0,1.5,90,CC-BY-4.0,by foot\n"
    )
    assert (row.place.city, row.place.state, row.place.city_label) == ("Banglore", "Karnataka", 18)
    assert (row.place.lat, row.place.lon) == (12.5, -7.25)
    assert (row.video_id, row.start_s, row.end_s, row.license) == ("walk-1", 1.5, 90.0, "CC-BY-4.0")
    assert row.extra == {"note": "by foot"}


def test_a_byte_order_mark_spaces_case_and_blank_lines_are_tolerated(read: Read) -> None:
    rows = read(f"\ufeff\n URL , City ,Note\r\n\r\n {A} , tokyo ,x\r\n,,\r\n{B},LONDON,\r\n".encode())
    assert [(r.line, r.url, r.place.city, dict(r.extra)) for r in rows] == [
        (4, A, "Tokyo", {"Note": "x"}),
        (6, B, "London", {"Note": ""}),
    ]


def test_quoted_line_breaks_do_not_shift_the_lines(read: Read, faults: Faults) -> None:
    text = f'url,city,note\n{A},Tokyo,"one\ntwo\n\nthree"\n{B},Nowhere,\n'
    assert [line for line, _ in faults(text)] == [6]
    assert [row.line for row in read(text.replace("Nowhere", "Lima"))] == [2, 6]


def test_parquet_gives_the_same_rows(read: Read) -> None:
    columns = {
        "url": [A, B],
        "city": pa.array(["Tokyo", "cph"]).dictionary_encode(),
        "start_s": pa.array([None, 1.5], pa.float64()),
        "end_s": pa.array([10, None], pa.int32()),
        "lat": [float("nan"), 55.5],
        "lon": [None, 12.5],
        "rank": [1, 2],
    }
    rows = read(columns)
    text = f"url,city,start_s,end_s,lat,lon,rank\n{A},Tokyo,,10,,,1\n{B},cph,1.5,,55.5,12.5,2\n"
    assert rows == read(text)
    assert [row.line for row in rows] == [2, 3], "row number + 1"


def test_columns_that_the_videos_table_fills_itself_are_renamed(read: Read, faults: Faults) -> None:
    (row,) = read(f"url,city,Title,status\n{A},Tokyo,A walk,ok\n")
    assert row.extra == {"source_Title": "A walk", "source_status": "ok"}
    assert set(VIDEOS.names) - {"video_id", "url", "license"} == OWN_COLUMNS
    assert "source_title" in faults(f"url,city,title,source_title\n{A},Tokyo,a,b\n")[0][1]


def test_a_given_id_is_made_safe(read: Read) -> None:
    (row,) = read(f"url,city,video_id\n{A},Tokyo,../../etc\n")
    assert row.video_id == safe_id("../../etc")
    assert row.video_id.startswith("______etc_")


def test_a_city_outside_the_taxonomy(read: Read) -> None:
    (row,) = read(f"url,city,state,country,continent,lat,lon\n{A},Fort Worth,TX,US,North America,32.7,-97.3\n")
    assert row.place == Place("Fort_Worth", "Texas", "United_States", "North_America", 32.7, -97.3, None, 13, 9, 4)


def test_local_files_are_relative_to_the_table(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("videos/a b.mp4", "walk: tokyo.mp4"):
        (tmp_path / name).write_bytes(b"x")
    absolute = tmp_path / "videos" / ".." / "videos" / "a b.mp4"
    monkeypatch.chdir("/")
    rows = read(f"url,city,start_s,end_s\nvideos/a b.mp4,Tokyo,0,5\nwalk: tokyo.mp4,Tokyo,,\n{absolute},Lima,5,9\n")
    assert [row.url for row in rows] == [
        str(tmp_path / "videos" / "a b.mp4"),
        str(tmp_path / "walk: tokyo.mp4"),
        str(tmp_path / "videos" / "a b.mp4"),
    ]


def test_the_template_is_a_good_table() -> None:
    rows = read_sources(manifest_path("sources_template.csv"), WORLD)
    assert all(".example.com/" in row.url for row in rows)
    assert {row.place.city for row in rows if row.video_id} == {"Liverpool", "Manchester"}
    assert [row.place.city_label for row in rows][-1] is None


def test_a_page_of_several_videos_is_told_apart_by_their_ids(read: Read) -> None:
    """Contract 3: a row is keyed by (video, start_s, end_s), whatever links to the video."""
    page = "https://a.example.com/many"
    rows = read(f"url,city,video_id,start_s,end_s\n{page},Tokyo,v,0,9\n{page},Lima,w,0,9\n{page},Tokyo,v,9,\n")
    assert [(row.video_id, row.start_s, row.place.city) for row in rows] == [
        ("v", 0, "Tokyo"), ("w", 0, "Lima"), ("v", 9, "Tokyo"),
    ]  # fmt: skip


def test_spans_that_touch_do_not_overlap(read: Read) -> None:
    assert len(read(f"url,city,start_s,end_s\n{A},Tokyo,10,20\n{A},Lima,,10\n{A},Tokyo,20,\n")) == 3


# --- faults ---


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (f"{A},Tokio Town,,,,,", "unknown city 'Tokio Town'; the nearest known are Tokyo"),
        (f"{A},,,,,,", "city is empty"),
        (f"{A},London,,France,,,", "country 'France' contradicts the taxonomy, where London is in England"),
        (",Tokyo,,,,,", "url: the cell is empty"),
        ("file:///etc/passwd,Tokyo,,,,,", "url: file: links are never taken"),
        ("FILE:x.mp4,Tokyo,,,,,", "url: file: links are never taken"),
        ("ftp://example.com/x.mp4,Tokyo,,,,,", "url: ftp: links are not taken"),
        ("concat:a.mp4|b.mp4,Tokyo,,,,,", "url: concat: links are not taken"),
        ("ytsearch:tokyo walk,Tokyo,,,,,", "url: ytsearch: links are not taken"),
        ("absent.mp4,Tokyo,,,,,", "url: no such file: absent.mp4 (a link starts with http"),
        (".,Tokyo,,,,,", "url: a folder, not a file"),
        ("a" * 300 + "/x.mp4,Tokyo,,,,,", "url: not a usable path"),
        ("https://,Tokyo,,,,,", "url: the link names no host"),
        ("https://exa mple.com/x,Tokyo,,,,,", "url: a link holds no spaces"),
        ("https://a.example.com:99999/x,Tokyo,,,,,", "url: malformed link"),
        ("https://[::1/x,Tokyo,,,,,", "url: malformed link"),
        ("https://me:secret@a.example.com/x,Tokyo,,,,,", "url: a link with a user name or password"),
        ("http://localhost/x,Tokyo,,,,,", "url: localhost is this machine or a private address"),
        (f"{A},Tokyo,,,-1,,", "start_s: expected 0 or more, got -1"),
        (f"{A},Tokyo,,,1:30,,", "start_s: expected a number, got '1:30'"),
        (f"{A},Tokyo,,,1_0,,", "start_s: expected a number"),
        (f"{A},Tokyo,,,,inf,", "end_s: expected a number"),
        (f"{A},Tokyo,,,,1e999,", "end_s: expected 0 or more"),
        (f"{A},Tokyo,,,,0,", "end_s: expected more than start_s (0), got 0"),
        (f"{A},Tokyo,,,7,7,", "end_s: expected more than start_s (7), got 7"),
        (f"{A},Tokyo,,,,,91", "lat: expected -90 to 90, got 91"),
        (f"{A},Tokyo,,,,", "expected 7 cells, got 6"),
        (f"{A},Tokyo,,,,,,1", "expected 7 cells, got 8"),
    ],
)
def test_each_fault_with_its_line(faults: Faults, cells: str, message: str) -> None:
    found = faults(f"url,city,video_id,country,start_s,end_s,lat\n{B},Lima,,,,,\n{cells}\n")
    assert found[0][0] == 3
    assert found[0][1].startswith(message) or message in found[-1][1]


@pytest.mark.parametrize(
    ("rows", "line", "message"),
    [
        (f"{A},Tokyo,,,\n{A},Tokyo,,,", 3, "the same video and seconds as line 2"),
        (f"{A},Tokyo,,,\n{A},Lima,,5,9", 3, "the same video and seconds as line 2"),
        (f"{A},Tokyo,,5,9\n{A},Lima,,8.9,12", 3, "the same video and seconds as line 2"),
        (f"{A},Tokyo,v,5,9\n{B},Lima,v,20,30", 3, "video_id v is another video's (another url) on line 2"),
        (f"{A},Tokyo,v,5,9\n{A},Lima,,20,30", 3, "video_id is empty here and v for the same url on line 2"),
        (f"{A},Tokyo,,5,9\n{A},Lima,w,20,30", 3, "video_id is w here and empty for the same url on line 2"),
        (f"{A},Tokyo,v,5,9\n{A},Lima,w,5,9\n{A},Lima,w,8,10", 4, "the same video and seconds as line 3"),
    ],
)
def test_faults_between_rows(faults: Faults, rows: str, line: int, message: str) -> None:
    ((found_line, found),) = faults(f"url,city,video_id,start_s,end_s\n{rows}\n")
    assert (found_line, found[: len(message)]) == (line, message)


def test_two_names_of_one_local_file_are_one_video(faults: Faults, tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to("x.mp4")
    assert "same video" in faults("url,city\nx.mp4,Tokyo\nlink.mp4,Tokyo\n")[0][1]


def test_all_faults_at_once_in_order(faults: Faults) -> None:
    text = f"url,city,start_s,end_s\nx.mp4,Nowhere,-1,z\n{A},Tokyo,,\n{A},Nowhere,5,\n{B},Tokyo,9\n{B},Tokyo,3,2\n"
    assert [line for line, _ in faults(text)] == [2, 2, 2, 2, 4, 4, 5, 6]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "the file is empty"),
        (b"\xef\xbb\xbf \n\n", 1, "the file is empty"),
        (b"url,city\n", 1, "the table has no rows"),
        (b"url,city\n,\n \n", 1, "the table has no rows"),
        (b"url,town\nx,y\n", 1, "column 'city' is missing; columns found: url, town"),
        (b"url;city\nx;y\n", 1, "column 'url' is missing; columns found: url;city (is the separator a comma?)"),
        (b"url,city,URL\nx,y,z\n", 1, "column 'url' appears twice"),
        (b"url,city,a,a\nx,y,z,z\n", 1, "column 'a' appears twice"),
        (b"url,city\nhttps://e.example.com,M\xe1laga\n", 2, "the text is not UTF-8"),
        ("url,city\n".encode("utf-16"), 1, "the text is not UTF-8"),
        (b"url,city\nhttps://e.example.com,\0\n", 2, "a zero byte"),
        (b'url,city\n"https://e.example.com,Tokyo\n', 2, "malformed CSV from here on"),
        (b'url,city\n"https://e.example.com"x,Tokyo\n', 2, "malformed CSV from here on"),
        (b"url,city,\nhttps://e.example.com,Tokyo,5\n", 2, "a cell stands in a column that has no name"),
        (b"PAR1 but no more", 1, "malformed Parquet"),
    ],
)
def test_tables_that_are_none(faults: Faults, content: bytes, line: int, message: str) -> None:
    found = faults(content)
    assert found[0][0] == line
    assert found[0][1].startswith(message)


def test_empty_last_column_is_no_fault(read: Read) -> None:
    assert dict(read(f"url,city,\n{A},Tokyo,\n")[0].extra) == {}


def test_a_truncated_parquet_is_malformed(read: Read, tmp_path: Path) -> None:
    read({"url": [A], "city": ["Tokyo"]})
    path = tmp_path / "sources.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TableError) as caught:
        read_sources(path, WORLD)
    assert "malformed Parquet" in caught.value.faults[0][1]


@pytest.mark.parametrize("table", ["https://a.example.com/s.csv", "s3://bucket/s.csv", "file:///tmp/s.csv"])
def test_the_table_itself_is_a_local_file(table: str) -> None:
    with pytest.raises(InputError, match="must be a local file"):
        read_sources(table, WORLD)


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no table"):
        read_sources(tmp_path / "absent.csv", WORLD)


def test_every_row_inside_a_wide_one_is_named(faults: Faults) -> None:
    text = f"url,city,start_s,end_s\n{A},Tokyo,0,100\n{A},Tokyo,5,10\n{A},Tokyo,20,30\n{A},Tokyo,100,\n"
    assert [line for line, _ in faults(text)] == [3, 4]


def test_private_hosts_need_leave(read: Read, faults: Faults) -> None:
    text = "url,city\nhttp://127.0.0.1:8000/x.mp4,Tokyo\n"
    assert "private address" in faults(text)[0][1]
    assert len(read(text, allow_private_hosts=True)) == 1


@given(
    spans=st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_overlaps_against_brute_force(
    tmp_path_factory: pytest.TempPathFactory, spans: list[tuple[int, int, bool]], seed: int
) -> None:
    """Spans on whole seconds overlap where they share one; an open end is 99 here."""
    random.Random(seed).shuffle(spans)
    path = tmp_path_factory.getbasetemp() / "overlaps.csv"
    rows = [f"{A},Tokyo,{start},{'' if is_open else start + length}" for start, length, is_open in spans]
    path.write_text("url,city,start_s,end_s\n" + "\n".join(rows) + "\n")
    seconds = [set(range(start, 99 if is_open else start + length)) for start, length, is_open in spans]
    overlap = any(a & b for a, b in itertools.combinations(seconds, 2))
    if overlap:
        with pytest.raises(TableError):
            read_sources(path, WORLD)
    else:
        assert len(read_sources(path, WORLD)) == len(spans)
