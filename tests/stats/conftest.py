"""What tests of the page share: one browser, and visits to pages that nothing may go wrong on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_page import Visitor, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; the tests that need it are skipped where there is none."""
    with chromium() as opened:
        yield opened


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Visitor]:
    """At the end nothing may have been said, thrown or asked for."""
    visitor = Visitor(browser, tmp_path)
    yield visitor
    visitor.leave()
