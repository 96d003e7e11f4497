"""The column `clip_index`: all rows of a video have a number of their own, or none has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.core.sources import group_tasks, read_sources
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.types import SourceRow

WORLD = Taxonomy.named("cityguessr166")
A, B = "https://a.example.com/1.mp4", "https://a.example.com/2.mp4"


def read(folder: Path, *lines: str) -> tuple[SourceRow, ...]:
    table = folder / "sources.csv"
    table.write_text("url,city,start_s,end_s,Clip_Index,note\n" + "\n".join(lines) + "\n")
    return read_sources(table, WORLD)


def test_numbers_are_read_and_do_not_pass_through(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{A},Tokyo,0,5,7,x", f"{A},Tokyo,5,9,0,", f"{B},Lima,,,,y")
    assert [row.clip_index for row in rows] == [7, 0, None]
    assert [dict(row.extra) for row in rows] == [{"note": "x"}, {"note": ""}, {"note": "y"}]


def test_two_videos_may_have_the_same_numbers(tmp_path: Path) -> None:
    assert len(read(tmp_path, f"{A},Tokyo,0,5,1,", f"{B},Tokyo,0,5,1,")) == 2


def test_two_videos_of_one_page_may_have_the_same_numbers(tmp_path: Path) -> None:
    page, table = "https://a.example.com/many", tmp_path / "page.csv"
    lines = [f"{page},Tokyo,v,0,5,0", f"{page},Tokyo,w,0,5,0", f"{page},Tokyo,w,5,9,1"]
    table.write_text("url,city,video_id,start_s,end_s,clip_index\n" + "\n".join(lines) + "\n")
    assert [(row.video_id, row.clip_index) for row in read_sources(table, WORLD)] == [("v", 0), ("w", 0), ("w", 1)]
    table.write_text(table.read_text().replace("5,9,1", "5,9,0"))
    with pytest.raises(TableError) as caught:
        read_sources(table, WORLD)
    assert caught.value.faults == ((4, "clip_index 0 stands on line 3 too, of the same video"),)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ((f"{A},Tokyo,0,5,-1,",), 2, "clip_index: expected 0 to 99999, got -1"),
        ((f"{A},Tokyo,0,5,100000,",), 2, "clip_index: expected 0 to 99999"),
        ((f"{A},Tokyo,0,5,1.5,",), 2, "clip_index: expected a whole number, got '1.5'"),
        ((f"{A},Tokyo,0,5,first,",), 2, "clip_index: expected a number, got 'first'"),
        ((f"{A},Tokyo,0,5,3,", f"{A},Tokyo,5,9,,"), 3, "clip_index is empty here and 3 for the same video on line 2"),
        ((f"{A},Tokyo,5,9,,", f"{A},Tokyo,0,5,3,"), 2, "clip_index is empty here and 3 for the same video on line 3"),
        ((f"{A},Tokyo,5,9,3,", f"{A},Tokyo,0,5,3,"), 3, "clip_index 3 stands on line 2 too"),
    ],
)
def test_each_fault_with_its_line(tmp_path: Path, lines: tuple[str, ...], line: int, message: str) -> None:
    with pytest.raises(TableError) as caught:
        read(tmp_path, *lines)
    ((found, text),) = caught.value.faults
    assert found == line and text.startswith(message)


def test_what_only_expansion_shows() -> None:
    def row(line: int, start_s: float, number: int | None) -> SourceRow:
        return SourceRow(line, A, WORLD.place("Tokyo"), start_s=start_s, end_s=start_s + 1, clip_index=number)

    assert len(group_tasks([("v", A, row(2, 0, 1)), ("v", B, row(3, 5, 0))])[0].rows) == 2
    with pytest.raises(InputError, match="line 3: clip_index 1 stands on line 2 too"):
        group_tasks([("v", A, row(2, 0, 1)), ("v", B, row(3, 5, 1))])
    with pytest.raises(InputError, match="line 3: clip_index is empty here"):
        group_tasks([("v", A, row(2, 0, 1)), ("v", B, row(3, 5, None))])
