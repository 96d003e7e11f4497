"""A person at the review page, in a real browser: tabs that press keys and click, and hear what the browser says."""

from __future__ import annotations

import re
from typing import Any

from tests.support_page import until


class Reviewer:
    """Tabs of one browser profile; keeps what they say, throw and ask for."""

    def __init__(self, browser: Any, link: str, width: int = 1440, scheme: str = "light") -> None:
        self.link, self.site = link, "/".join(link.split("/")[:3])
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.faults: list[str] = []
        self.refused: list[int] = []
        """Statuses that the browser put on its console by itself."""

    def open(self, address: str = "") -> Tab:
        page = self.context.new_page()
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog: {dialog.message}"))
        page.goto(address or self.link)
        page.wait_for_selector("html[data-ready]")
        tab = Tab(page)
        tab.rest()
        return tab

    def _heard(self, kind: str, text: str) -> None:
        status = re.fullmatch(r"Failed to load resource: the server responded with a status of (4\d\d) .*", text)
        if status:
            self.refused.append(int(status[1]))
        else:
            self.faults.append(f"console {kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith(self.site + "/"):
            self.faults.append(f"asked: {url}")


class Tab:
    def __init__(self, page: Any) -> None:
        self.page = page

    @property
    def clip(self) -> str:
        return str(self.page.locator("main").get_attribute("data-clip") or "")

    @property
    def frame(self) -> int:
        return int(self.page.locator("main").get_attribute("data-frame"))

    @property
    def said(self) -> str:
        return str(self.page.locator("#said").text_content())

    def rest(self) -> None:
        """Wait until nothing is asked and the frame is there."""
        until(lambda: self.page.locator("body[aria-busy]").count() == 0)
        until(lambda: self.page.evaluate("[...document.images].every((one) => one.complete)"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.rest()

    def click(self, words: str) -> None:
        self.page.get_by_role("button", name=words, exact=True).click()
        self.rest()

    def boxes(self) -> list[str]:
        """Their screen-reader names."""
        found = self.page.locator(".box-list button")
        return [str(one.get_attribute("aria-label")) for one in found.all()]
