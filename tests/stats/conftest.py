"""What tests of the page share: one browser, and visits to pages that nothing may go wrong on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support_page import Visitor

_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; the tests that need it are skipped where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="the page is opened by playwright: pip install playwright")
    if _CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (a failure where CGTOOL_NO_SKIP is set)")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Any, tmp_path: Path) -> Iterator[Visitor]:
    """At the end nothing may have been said, thrown or asked for."""
    visitor = Visitor(browser, tmp_path)
    yield visitor
    visitor.leave()
