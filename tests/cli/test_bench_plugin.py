"""`cgtool bench --plugin FILE.py`: a model of the user's own is trained and evaluated by the usual commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgtool.app import app
from cityguessr_bench import models
from cityguessr_bench.run_dir import RunDir
from tests.support_runs import make_small_pack, small_assignments

OWN = '''
from torch import nn
from cityguessr_bench.models import ModelEntry, register
from cityguessr_bench.models.heads import HierarchyHeads
from cityguessr_bench.models.pixels import ClipNormaliser
from cityguessr_bench.scores import GeoOutput

class Tint(nn.Module):
    """The mean colour of a clip tells the city."""

    def __init__(self, config):
        super().__init__()
        self.normalise, self.heads = ClipNormaliser(config), HierarchyHeads(3, config.classes)

    def forward(self, clips, scenes=None):
        return GeoOutput(self.heads(self.normalise(clips).mean((1, 3, 4))))

register("tint", ModelEntry(Tint, "mean colour", settings={"network": {"scenes": False, "tla": False}}))
'''


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))


def _bench(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        app(["bench", *map(str, words)])
    return int(ended.value.code or 0)


def test_a_model_of_ones_own_is_trained_and_evaluated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, pack, run = tmp_path / "tint.py", make_small_pack(tmp_path), tmp_path / "run"
    own.write_text(OWN)
    words = ["--run", run, "--split", "v", "--model", "tint", "--device", "cpu", *small_assignments()]
    assert _bench("--plugin", own, "train", pack, *words) == 0
    assert RunDir.open(run).config.model == "tint"
    models.MODELS.pop("tint")
    assert _bench("evaluate", run, "--no-html") == 2  # whoever lacks the file is told
    assert "there is no model 'tint'" in capsys.readouterr().err
    assert _bench("--plugin", own, "evaluate", run, "--no-html") == 0
    assert (run / "results.json").is_file()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "there is no file"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("x = 1", "registers no model"),
        (OWN.replace('"tint"', '"cityguessr"'), "the model 'cityguessr' is registered twice"),
    ],
)
def test_a_file_that_is_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, fault: str
) -> None:
    own = tmp_path / "own.py"
    if text is not None:
        own.write_text(text)
    assert _bench("--plugin", own, "train", "--show-config") == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and fault in said.err and said.err.count("\n") == 1
