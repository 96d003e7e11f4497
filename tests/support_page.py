"""Opens pages in a real browser, and reads off what it drew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.stats.page.page import write_page
from cityguessr_data.stats.results import Stats
from tests.support_stats import compared

READY = "html[data-drawn]"
"""There once every plot is drawn."""
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless Chromium; the tests that need it are skipped where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="the page is opened by playwright: pip install playwright")
    if _CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (a failure where CGTOOL_NO_SKIP is set)")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visitor:
    """Opens pages from disk and keeps what they say, throw and ask for."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder
        self.faults: list[str] = []
        self.tabs: list[Any] = []

    def __call__(self, stats: Stats, others: tuple[Stats, ...] = (), width: int = 1280, scheme: str = "light") -> Any:
        path = self.folder / f"{len(self.tabs)}.html"
        write_page(stats, compared(stats, others) if others else None, others, path)
        return self.open(path, width, scheme)

    def open(self, path: Path, width: int = 1280, scheme: str = "light") -> Any:
        """The page once it is drawn."""
        tab = self.browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.tabs.append(tab)
        tab.on("console", lambda message: self.faults.append(f"console {message.type}: {message.text}"))
        tab.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))
        tab.on("request", lambda request: self._asked(request.url))
        tab.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        tab.goto(path.as_uri())
        tab.wait_for_selector(READY)
        return tab

    def _asked(self, url: str) -> None:
        if not url.startswith("file:"):
            self.faults.append(f"asked: {url}")

    def leave(self) -> None:
        for tab in self.tabs:
            tab.close()
        assert self.faults == []


def until(condition: Callable[[], bool]) -> None:
    """Wait for a plot to follow; the page's policy forbids playwright's own way, which evaluates text."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the plot did not follow"
        time.sleep(0.02)


def marks(tab: Any, chart: str, kind: str = "rect") -> int:
    """How many marks of a kind a chart has, without axes and the window over the skyline."""
    return int(tab.locator(f"[data-chart={chart}] svg .mark-{kind}[class*=marks] > path").count())


def first(tab: Any, chart: str) -> Any:
    return tab.locator(f"[data-chart={chart}] svg .mark-rect[class*=marks] > path").first


def names(tab: Any) -> list[str]:
    """What the list of classes shows."""
    return list(tab.locator("[data-chart=names] .role-axis-label text").all_text_contents())


def undrawn(tab: Any) -> list[str]:
    """Charts without a mark; a chart that is hidden on purpose is not asked for."""
    return list(
        tab.evaluate(
            """() => [...document.querySelectorAll("[data-chart]")]
            .filter((box) => !box.parentElement.hidden)
            .filter((box) => !box.querySelector(`svg :is(.mark-rect, .mark-line, .mark-symbol)[class*=marks] path`))
            .map((box) => box.dataset.chart)"""
        )
    )


def all_text(tab: Any) -> str:
    """All text of the page, that of closed tables and of plots with it."""
    return str(
        tab.evaluate(
            """() => {
            document.querySelectorAll("details").forEach((closed) => { closed.open = true });
            const texts = [...document.querySelectorAll("svg text")].map((text) => text.textContent);
            return [document.body.innerText, ...texts].join("\\n") }"""
        )
    )
