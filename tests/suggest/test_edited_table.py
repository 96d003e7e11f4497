"""A table that a person has edited is not lost to a search that found nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.core.errors import ErrorClass, VideoError
from tests.support_suggest import FakeSearcher, run_suggest

WALK, DRIVE = "Tokyo Japan walking tour", "Tokyo Japan driving tour"
EDITED = "url,city\nhttps://a.example.com/chosen.mp4,Tokyo\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(EDITED)
    return path


def test_nothing_found(table: Path) -> None:
    result = run_suggest(table, FakeSearcher({}), cities=("Tokyo",))
    assert (result.n_rows, result.exit_code) == (0, 0) and table.read_text() == EDITED


def test_no_network(table: Path) -> None:
    gone = VideoError(ErrorClass.NETWORK, "no network")
    result = run_suggest(table, FakeSearcher({WALK: gone, DRIVE: gone}), cities=("Tokyo",))
    assert (result.n_rows, result.exit_code, len(result.failed)) == (0, 1, 2) and table.read_text() == EDITED


def test_ctrl_c_at_once(table: Path) -> None:
    searcher = FakeSearcher({WALK: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt, match=r"Nothing was found by then: .*mine.csv is as it was"):
        run_suggest(table, searcher, cities=("Tokyo",))
    assert table.read_text() == EDITED
    with pytest.raises(KeyboardInterrupt, match=r"Nothing was found by then$"):
        run_suggest(table.with_name("new.csv"), searcher, cities=("Tokyo",))
    assert not table.with_name("new.csv").exists()


def test_ctrl_c_later_keeps_what_was_found(table: Path) -> None:
    searcher = FakeSearcher({WALK: ["aaa", "bbb"], "bbb": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt, match=r"mine.csv has what was found by then; --replace begins anew"):
        run_suggest(table, searcher, cities=("Tokyo",))
    assert [line.split(",")[0] for line in table.read_text().splitlines()[1:]] == ["https://example.org/aaa"]
