"""The audit as a whole, on clips with a planted shortcut and a model that looks at nothing else."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cityguessr_bench.audit.audit import NO_TEXT, AuditRequest, run_audit
from cityguessr_bench.audit.results import MODES, Audit, NotDone, Row, SplitAudit, SplitRow
from cityguessr_bench.audit.sheet import long_sheet, sheets, to_json
from cityguessr_bench.audit.splits import SplitsRequest, run_splits
from cityguessr_bench.data import make_pack, read_split
from cityguessr_bench.intervals import over_videos
from cityguessr_bench.models import MODELS, ModelEntry
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.run_dir import RunDir
from cityguessr_bench.scores import GeoOutput
from cityguessr_bench.tables.forms import FORMS, write
from cityguessr_bench.train.run import TrainRequest, train
from cityguessr_data.core.types import LEVELS
from tests.support_audit import figures
from tests.support_runs import CITIES, small_config, write_small_out, write_split

LOGOS = ((230, 20, 20), (20, 230, 20), (20, 20, 230), (230, 230, 230))
"""Of Tokyo, Osaka, London, Brisbane; red, green, blue."""
CONFIG = small_config(data={"size_px": 32}, train={"epochs": 1, "watch": "none", "report": "last"})
CORNER = (slice(0, 8), slice(0, 8))


class Logo(nn.Module):
    """Knows the four logos, and says the city whose logo is in the upper left corner."""

    def __init__(self, run: RunDir) -> None:
        super().__init__()
        names = list(run.classes.names["city"])
        self.labels, self.parents = [names.index(city) for city in CITIES], run.classes.parents
        self.colours = torch.tensor(LOGOS).float()

    def forward(self, clips: Tensor, scenes: Tensor | None = None) -> GeoOutput:
        seen = clips[:, :, :, 1:6, 1:6].float().mean(dim=(1, 3, 4))
        logits = {"city": torch.zeros(len(clips), len(CITIES))}
        logits["city"][:, self.labels] = -(seen[:, None] - self.colours).norm(dim=2) / 10
        for level, upper in pairwise(LEVELS):
            below, parent = logits[level], torch.from_numpy(self.parents[level].astype(np.int64))
            n = int(parent.max()) + 1
            logits[upper] = torch.stack([below[:, parent == label].amax(dim=1) for label in range(n)], dim=1)
        return GeoOutput(logits)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run whose every picture is noise, with the city's logo in a corner: 24 clips of 12 videos, 8 clips of test."""
    folder = tmp_path_factory.mktemp("audit")
    write_small_out(folder / "out")
    rng = np.random.default_rng(0)
    for path in (folder / "out" / "clips").rglob("*.jpg"):
        city = next(at for at, name in enumerate(CITIES) if path.parents[1].name.startswith(name.lower()))
        picture = rng.integers(0, 256, (64, 64, 3), np.uint8)
        picture[:12, :12] = LOGOS[city][::-1]
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 100])
    make_pack(folder / "out", folder / "pack", CONFIG.data.pack, workers=1)
    ids = Pack.open(folder / "pack").clip_ids
    write_split(folder / "pack", "by-clip", {clip: "test" if clip.endswith("1") else "train" for clip in ids})
    write_split(folder / "pack", "by-video", {clip: "test" if "2_" in clip else "train" for clip in ids})
    train(TrainRequest(folder / "pack", folder / "run", "by-video", CONFIG, device="cpu"))
    return RunDir.open(folder / "run")


@pytest.fixture
def logo(trained: RunDir, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setattr("cityguessr_bench.inference.load_model", lambda *_: Logo(trained).eval())
    return trained


def nothing_found(frames: Any) -> Any:
    return np.zeros(frames.shape[:3], bool)


def rows_of(audit: Audit) -> dict[tuple[str, bool], Row]:
    return {(row.change, row.control): row for row in audit.rows}


def city(row: Row) -> float:
    return row.top1["none"]["city"].value


def test_a_planted_shortcut_is_found(logo: RunDir) -> None:
    """The model reads the logo alone: hiding it costs the whole, hiding as much elsewhere nothing."""
    said: list[str] = []
    audit = run_audit(AuditRequest(logo, device="cpu", find_text=nothing_found), said.append)
    rows = rows_of(audit)
    assert (audit.n_clips, audit.n_videos, audit.seen_video, audit.split) == (8, 4, 0.0, "by-video")
    for change in ("as it is", "a single frame", "frames in another order"):
        assert city(rows[change, False]) == 1
    assert city(rows["mirrored", False]) < 0.6
    assert city(rows["static overlays", True]) == 1
    assert city(rows["static overlays", False]) < 0.6
    for change in ("static overlays", "borders"):  # of the border 3 px, and so half of the logo is left
        beyond = rows[change, False].beyond
        assert beyond is not None and beyond["none"]["city"].value == city(rows[change, False]) - 1
    assert city(rows["borders", False]) == 1
    hidden = rows["static overlays", False].hidden
    assert hidden is not None and hidden.n_clips == 8
    assert hidden.share == pytest.approx(49 / 1024, abs=1 / 1024)  # 6 x 6 px, and a pixel beside them
    control = rows["static overlays", True].hidden
    assert control is not None and control.share == hidden.share
    assert audit.not_done == (NotDone("readable text", "nothing to measure: none was found in any of the clips"),)
    assert said[0] == "scored: as it is" and "scored: borders, the control" in said


def test_differences_are_clip_by_clip_with_intervals_over_videos(logo: RunDir) -> None:
    """Against the same sums written out: the mirrored clips, read by the model without the audit."""
    audit = run_audit(AuditRequest(logo, device="cpu"))
    pack = Pack.open(logo.data_folder)
    places = read_split(pack, "by-video").parts["test"]
    clips = np.stack([pack.clip(int(place)) for place in places])
    labels = logo.classes.labels(pack.index.take(places))
    videos = [pack.index["video_id"][int(place)].as_py() for place in places]
    right = {}
    for name, of in (("as it is", clips), ("mirrored", clips[..., ::-1].copy())):
        guess = Logo(logo)(torch.from_numpy(of)).logits
        right[name] = {level: (guess[level].argmax(1).numpy() == labels[:, at]) for at, level in enumerate(LEVELS)}
    row = rows_of(audit)["mirrored", False]
    assert row.less is not None
    for level in LEVELS:
        expected = over_videos(right["mirrored"][level].astype(float) - right["as it is"][level], videos)
        found = row.less["none"][level]
        assert (found.value, found.low_videos, found.high_videos) == (expected.value, expected.low, expected.high)
        assert row.top1["none"][level].value == right["mirrored"][level].mean()


def test_text_that_is_found_is_hidden(logo: RunDir) -> None:
    """A detector that calls the corner text: the row costs what the logo is worth."""

    def corner(frames: Any) -> Any:
        mask = nothing_found(frames)
        mask[(slice(None), *CORNER)] = True
        return mask

    row = rows_of(run_audit(AuditRequest(logo, device="cpu", find_text=corner)))["readable text", False]
    assert row.hidden is not None and row.hidden.share == 64 / 1024
    assert row.beyond is not None and row.beyond["codependent"]["city"].value < -0.4


def test_a_mask_is_held_against_its_control_and_not_against_the_clip(logo: RunDir) -> None:
    """All but the logo is called text: hiding it costs nothing, and its control, which is the logo, nearly all."""

    def all_but_the_corner(frames: Any) -> Any:
        mask = ~nothing_found(frames)
        mask[(slice(None), *CORNER)] = False
        return mask

    rows = rows_of(run_audit(AuditRequest(logo, device="cpu", find_text=all_but_the_corner)))
    masked, control = rows["readable text", False], rows["readable text", True]
    assert city(masked) == 1 and city(control) < 0.6
    assert control.hidden is not None and control.hidden.share == 64 / 1024  # all the rest, which is less
    assert masked.less is not None and masked.less["none"]["city"].value == 0
    assert masked.beyond is not None and masked.beyond["none"]["city"].value == 1 - city(control)
    assert control.beyond is None


def test_what_cannot_be_done_says_why(logo: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {row.what: row.why for row in run_audit(AuditRequest(logo, device="cpu")).not_done}
    assert missing == {"readable text": NO_TEXT} and "cgtool weights pull text-ppocr" in NO_TEXT

    one_frame = dataclasses.replace(logo, config=small_config(data={"size_px": 32, "stored_frames": 4, "frames": 1}))
    audit = run_audit(AuditRequest(one_frame, device="cpu"))
    assert [row.what for row in audit.not_done[:2]] == ["a single frame", "frames in another order"]
    assert all("does not apply: the model sees one frame" in row.why for row in audit.not_done[:2])

    monkeypatch.setitem(MODELS, "cityguessr", dataclasses.replace(MODELS["cityguessr"], takes="features"))
    audit = run_audit(AuditRequest(logo, device="cpu"))
    assert [row.change for row in audit.rows] == ["as it is"]
    assert len(audit.not_done) == 6 and all("cached features" in row.why for row in audit.not_done)


def test_by_clip_by_video_and_a_channel_that_is_not_known(
    trained: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs are trained, the second call trains none; figures are those of their predictions."""
    request = SplitsRequest(CONFIG, trained.data_folder, tmp_path, ["clip", "video", "channel", "nosuch"], "cpu", 0)
    opened = Pack.open(trained.data_folder)
    index = opened.index.set_column(
        opened.index.schema.get_field_index("channel"), "channel", [[None] * len(opened)]
    ).cast(opened.index.schema)
    unknown = dataclasses.replace(opened, index=index)
    monkeypatch.setattr("cityguessr_bench.audit.splits.open_pack", lambda *_, **__: unknown)
    said: list[str] = []
    found = run_splits(request, said.append)
    assert [row.split for row in found.rows] == ["by-clip", "by-video"]
    clip, video = found.rows
    assert (clip.seen_video, video.seen_video, clip.seen_channel) == (1.0, 0.0, None)
    assert (clip.n_train, clip.n_test, video.n_train, video.n_test) == (12, 12, 16, 8)
    why = {row.what: row.why for row in found.not_done}
    assert why["by-channel"] == "not possible: the channel of 24 of 24 clips is not known"
    assert "the pack has no such split; cgtool split OUT --by video --name nosuch" in why["nosuch"]
    predictions = Predictions.read(tmp_path / clip.run / "predictions.parquet", trained.classes)
    top1 = (predictions.log_probs["city"].argmax(1) == predictions.truth["city"]).mean()
    assert clip.top1["none"]["city"].value == top1
    assert sum("trains" in line for line in said) == 2
    said.clear()
    assert run_splits(request, said.append) == found
    assert not any("trains" in line or "scored" in line for line in said)


@pytest.fixture
def whole(logo: RunDir) -> tuple[Audit, SplitAudit]:
    rows = (
        SplitRow("by-clip", "r", 80, 20, 0.9, None, figures(0.8, 0.7, 0.9), 20),
        SplitRow("by-video", "s", 80, 20, 0.0, None, figures(0.5, 0.4, 0.6), 20),
    )
    splits = SplitAudit(rows, (NotDone("by-channel", "not possible: the channel of 9 of 9 clips is not known"),))
    return run_audit(AuditRequest(logo, device="cpu")), splits


def test_every_form_has_every_row(whole: tuple[Audit, SplitAudit]) -> None:
    made = sheets(*whole)
    for form in FORMS:
        text = write(made, form)
        for words in ("static overlays masked", "as many px elsewhere", "by-clip", "by-channel", "mirrored", "-"):
            assert words in text, (form, words)
    assert [sheet.columns for sheet in made] == [(name, "mode", *LEVELS) for name in ("change", "split")]
    assert "goes with streets seen in training" in made[1].notes[-1]
    assert not any("goes with" in note for note in made[0].notes)
    assert len(sheets(whole[0])) == 1 and "City top-1" in sheets(whole[0])[0].notes[-1]


def test_the_long_form_and_the_json_agree(whole: tuple[Audit, SplitAudit]) -> None:
    value = json.loads(json.dumps(to_json(*whole), allow_nan=False))
    table = list(csv.DictReader(io.StringIO(write((long_sheet(*whole),), "csv"))))
    for row in value["changes"]:
        name = {"static overlays": "static overlays masked", "borders": "borders masked"}.get(
            row["change"], row["change"]
        )
        name += ", control" if row["control"] else ""
        for mode in MODES:
            for level in LEVELS:
                (cell,) = (
                    line
                    for line in table
                    if (line["row"], line["figure"], line["mode"], line["level"]) == (name, "top1", mode, level)
                )
                assert float(cell["value"]) == row["top1"][mode][level]["value"]
                assert float(cell["low"]) == row["top1"][mode][level]["low_videos"]
    assert value["splits"]["rows"][1]["split"] == "by-video"
    assert [row["what"] for row in value["splits"]["not_done"]] == ["by-channel"]
    assert any(line["row"] == "by-channel" and "not possible" in line["figure"] for line in table)


def test_videos_that_are_not_known_are_said(logo: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of imported data: no static overlays can be told, and intervals are over clips."""
    opened = Pack.open(logo.data_folder)
    at = opened.index.schema.get_field_index("video_id")
    index = opened.index.set_column(at, "video_id", [[None] * len(opened)]).cast(opened.index.schema)
    unknown: Callable[..., Any] = lambda *_, **__: dataclasses.replace(opened, index=index)  # noqa: E731
    monkeypatch.setattr("cityguessr_bench.inference.open_pack", unknown)
    audit = run_audit(AuditRequest(logo, device="cpu"))
    assert (audit.n_videos, audit.seen_video) == (None, None)
    assert {row.what: row.why for row in audit.not_done}["static overlays"] == (
        "not possible: no clip's source video is known"
    )
    assert any("intervals are over clips" in note for note in audit.notes)
    assert isinstance(MODELS["cityguessr"], ModelEntry)


@pytest.mark.parametrize(
    ("watch", "which", "told"), [("test", None, True), ("test", "last", False), ("val", None, False)]
)
def test_weights_chosen_on_the_audited_clips_are_said(logo: RunDir, watch: Any, which: Any, told: bool) -> None:
    """The best of many on these clips as they are falls under any change, shortcut or not."""
    config = logo.config.changed({"train": {"watch": watch, "report": "best"}}, "the test")
    audit = run_audit(AuditRequest(dataclasses.replace(logo, config=config), which=which, device="cpu"))
    assert any("chosen by their city top-1 on these very clips" in note for note in audit.notes) is told
