"""The link is a secret of one user: it is on no command line, and lies in no file that others can read."""

from __future__ import annotations

import json
import os
import pty
import stat
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from cgtool.doorway import doorway
from tests.support_build import CGTOOL, hear_ctrl_c
from tests.support_page import chromium, until

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")

LINK = "http://127.0.0.1:1/open/secret"
BROWSER = """#!{python}
import json, os, sys, urllib.parse
path = urllib.parse.unquote(urllib.parse.urlsplit(sys.argv[1]).path)
modes = [oct(os.stat(one).st_mode & 0o777) for one in (path, os.path.dirname(path))]
told = json.dumps([sys.argv[1:], modes, open(path).read()])
open({told!r} + ".new", "w").write(told)
os.rename({told!r} + ".new", {told!r})
"""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What the browser was told to open."""
    told: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: told.append(address) or True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return told


def test_a_page_that_this_user_alone_can_read_leads_to_the_link(opened: list[str], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with doorway() as open_browser:
            assert list(tmp_path.iterdir()) == []
            open_browser(LINK)
            (address,) = opened
            page = Path(unquote(urlsplit(address).path))
            assert address.startswith("file:///") and page.is_relative_to(tmp_path) and LINK in page.read_text()
            assert [stat.S_IMODE(one.stat().st_mode) for one in (page, page.parent)] == [0o600, 0o700]
        assert list(tmp_path.iterdir()) == []
    finally:
        os.umask(before)


def test_where_no_page_can_be_written_the_link_is_still_there(
    opened: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with doorway() as open_browser:
        open_browser(LINK)
    assert opened == [] and "open the link yourself" in capsys.readouterr().err


def test_the_page_lets_a_real_browser_in(out: Path, opened: list[str]) -> None:
    from tests.support_review import DOUBT, served

    with chromium() as browser, served(out) as link, doorway() as open_browser:
        open_browser(link)
        page: Any = browser.new_page()
        page.goto(opened[0])
        page.wait_for_selector(f'main[data-clip="{DOUBT}"]')
        assert page.evaluate("location.origin") == link.partition("/open/")[0]
        page.close()


def test_the_command_keeps_the_link_off_the_browsers_command_line(out: Path, tmp_path: Path) -> None:
    told, script, temporary = tmp_path / "told.json", tmp_path / "browser", tmp_path / "tmp"
    script.write_text(BROWSER.format(python=sys.executable, told=str(told)))
    script.chmod(0o755)
    temporary.mkdir()
    main, terminal = pty.openpty()  # a browser is opened where somebody sits at a terminal
    env = os.environ | {"BROWSER": f"{script} %s", "TMPDIR": str(temporary)}
    command = [*CGTOOL, "review", str(out)]
    with subprocess.Popen(
        command, stdout=terminal, stderr=terminal, stdin=terminal, env=env, preexec_fn=hear_ctrl_c
    ) as process:
        try:
            os.close(terminal)
            until(told.exists)
            link = os.read(main, 10_000).decode().split()[0]
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(main)
    arguments, modes, page = json.loads(told.read_text())
    assert link.startswith("http://127.0.0.1:") and link in page and modes == ["0o600", "0o700"]
    assert link.rpartition("/")[2] not in " ".join(arguments)
    assert list(temporary.glob("cgtool-*")) == []
