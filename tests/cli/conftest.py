"""Fixtures of the tests of commands."""

from __future__ import annotations

from typing import Any

import pytest

from cgtool.app import app
from tests.support_bench import Done


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `cgtool bench ...` in this process; whatever it looks for on the hub is not there."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def run(*args: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(["bench", *map(str, args)])
        out, err = capsys.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run
