"""What tests of the review page share: a data set of each test's own, and somebody at its page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_page import chromium
from tests.support_review import Client, decisions, served, write_reviewed
from tests.support_reviewer import Reviewer


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_reviewed(tmp_path / "out")


@pytest.fixture
def keeper(out: Path) -> Iterator[Client]:
    """Lets herself in by HTTP alone."""
    with served(out) as link:
        yield Client(link).enter()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Client]]:
    """For tests after which no decision is there."""
    out = write_reviewed(tmp_path_factory.mktemp("untouched") / "out")
    with served(out) as link:
        yield out, Client(link).enter()
    assert decisions(out) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture
def person(browser: Any, out: Path) -> Iterator[Reviewer]:
    """At the page in a real browser, which complains of nothing."""
    with served(out) as link:
        reviewer = Reviewer(browser, link)
        yield reviewer
        reviewer.context.close()
        assert (reviewer.faults, reviewer.refused) == ([], [])
