"""Opens a secret link in the browser without telling it on a command line, which every user of a machine can read."""

from __future__ import annotations

import html
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from .console import say

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>cgtool review</title>
</head>
<body><p><a href="{link}">Go on to the review</a></p></body>
</html>
"""


@contextmanager
def doorway() -> Iterator[Callable[[str], None]]:
    """Gives what opens a link: by a page that leads to it, which this user alone can read and which is gone at the end.

    Where that fails, it is said; the link can still be opened by hand.
    """
    with ExitStack() as stack:

        def open_browser(link: str) -> None:
            try:
                folder = stack.enter_context(TemporaryDirectory(prefix="cgtool-", ignore_cleanup_errors=True))
                page = Path(folder) / "review.html"
                page.touch(0o600, exist_ok=False)
                page.write_text(_PAGE.format(link=html.escape(link)), encoding="utf-8")
            except OSError as exc:
                say(f"no browser was opened ({exc.strerror or exc}): open the link yourself")
                return
            webbrowser.open(page.as_uri())

        yield open_browser
