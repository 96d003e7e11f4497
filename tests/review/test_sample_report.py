"""What the report of a sample makes of the decisions, and what is printed of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cgtool.recall_summary import show_recall
from cityguessr_data.review.decisions import DecisionLog
from cityguessr_data.review.recall_report import RecallReport, keep_report, make_report, read_report
from cityguessr_data.review.sample import Sample, open_sample
from cityguessr_data.run.store import Store
from tests.support_sample import FaceOf, FakeSources, decide, write_out

FACE = (10.0, 10.0, 50.0, 60.0)
BESIDE = (200.0, 20.0, 240.0, 60.0)


@pytest.fixture
def sampled(tmp_path: Path) -> tuple[Store, Sample]:
    """Ten frames of two videos, each with one blurred face and a weak detection beside it."""
    clips = {"a": {"a_1": 5}, "b": {"b_1": 5}}
    faces: dict[str, list[FaceOf]] = {
        clip: [one for p in range(5) for one in ((p, FACE, 0.9), (p, BESIDE, 0.2))] for clip in ("a_1", "b_1")
    }
    store = write_out(tmp_path / "out", clips, faces)
    return store, open_sample(store, FakeSources(), 10)


def test_report_counts_only_what_was_looked_at(sampled: tuple[Store, Sample]) -> None:
    store, sample = sampled
    log = DecisionLog(store)
    for n, frame in enumerate(sample.frames[:6]):
        decide(log, frame, "drawn", FACE)
        if n < 2:
            decide(log, frame, "drawn", BESIDE)
        decide(log, frame, "looked", reviewer="second")
    decide(log, sample.frames[6], "drawn", FACE)  # not finished
    report = make_report(store, sample)
    assert (report.n_frames, report.n_looked, report.n_left) == (10, 6, 4)
    assert report.measured is not None
    row = report.measured.all
    assert (row.recall.hits, row.recall.n) == (6, 8)
    assert (row.within_reach.hits, row.precision.hits, row.precision.n) == (8, 6, 6)
    assert report.reviewers == ("keeper", "second")
    keep_report(store, report)
    kept = json.loads((store.work / "review" / "recall.json").read_text())
    assert kept["measured"]["all"]["recall"]["value"] == 0.75
    assert read_report(store) == report


def test_what_was_undone_does_not_count(sampled: tuple[Store, Sample]) -> None:
    store, sample = sampled
    log, frame = DecisionLog(store), sample.frames[0]
    wrong = decide(log, frame, "drawn", BESIDE)
    decide(log, frame, "drawn", FACE)
    decide(log, frame, "undo", undoes=wrong)
    decide(log, frame, "looked")
    measured = make_report(store, sample).measured
    assert measured is not None and (measured.n_drawn, measured.all.recall.hits) == (1, 1)


def test_frames_made_anew_count_no_more(sampled: tuple[Store, Sample]) -> None:
    store, sample = sampled
    log = DecisionLog(store)
    for frame in sample.frames:
        decide(log, frame, "looked")
    write_out(store.out, {"a": {"a_1": 5}}, fingerprint="f2")
    store.part("clips", "b").unlink()
    report = make_report(store, sample)
    assert (report.n_gone, report.n_looked, report.n_left, report.measured) == (10, 0, 0, None)


def test_a_review_does_not_change_the_figures(sampled: tuple[Store, Sample]) -> None:
    store, sample = sampled
    log = DecisionLog(store)
    for frame in sample.frames:
        decide(log, frame, "drawn", BESIDE)
        decide(log, frame, "looked")
    before = make_report(store, sample)
    for frame in sample.frames:
        decide(log, frame, "draw", BESIDE)
        decide(log, frame, "reject", FACE)
    assert make_report(store, sample) == before


def test_nothing_looked_at_is_no_report(sampled: tuple[Store, Sample]) -> None:
    store, _ = sampled
    assert read_report(store) is None


def test_no_face_drawn_is_no_figure(sampled: tuple[Store, Sample], capsys: pytest.CaptureFixture[str]) -> None:
    store, sample = sampled
    decide(DecisionLog(store), sample.frames[0], "looked")
    report = make_report(store, sample)
    assert report.measured is not None and report.measured.all.recall.value is None
    show_recall(store.out, report, as_json=False)
    assert "no recall: no face was drawn" in capsys.readouterr().out
    show_recall(store.out, report, as_json=True)
    assert json.loads(capsys.readouterr().out)["measured"]["all"]["recall"]["value"] is None


def test_what_is_printed(sampled: tuple[Store, Sample], capsys: pytest.CaptureFixture[str]) -> None:
    store, sample = sampled
    log = DecisionLog(store)
    for frame in sample.frames[:9]:
        decide(log, frame, "drawn", FACE)
        decide(log, frame, "looked")
    show_recall(store.out, make_report(store, sample), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = lines[1].split()
    assert words[:3] == ["all", "9", "100.0"] and words[3].startswith("(") and words[3].endswith("100)")
    assert any(line.split()[:3] == ["<", "16", "0"] and "–" in line for line in lines)
    assert any("9 of 10 frames of 2 source videos, by keeper" in line for line in lines)
    assert any(line.startswith("left") and "1 frame" in line for line in lines)


def printed(report: RecallReport, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    show_recall(out, report, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    return " ".join(" ".join(lines).split())


def all_found(store: Store, sample: Sample) -> RecallReport:
    for frame in sample.frames:
        decide(DecisionLog(store), frame, "drawn", FACE)
        decide(DecisionLog(store), frame, "looked")
    return make_report(store, sample)


FOUND: dict[str, list[FaceOf]] = {clip: [(p, FACE, 0.9) for p in range(5)] for clip in ("a_1", "b_1")}


def test_what_the_intervals_assume_is_printed(
    sampled: tuple[Store, Sample], capsys: pytest.CaptureFixture[str]
) -> None:
    store, sample = sampled
    text = printed(all_found(store, sample), store.out, capsys)
    assert "10 frames of at most 10 that can be shown" not in text and "10 frames of 10 that can be shown" in text
    assert "for other videos of the same kind. Faces of one video may be found or missed together" in text
    assert "as if there were one more video with all its faces missed" in text


def test_unknown_source_videos_are_not_told_as_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips, cities = {"a": {"a_1": 5}, "b": {"b_1": 5}}, {"a": "Tokyo", "b": "Osaka"}
    store = write_out(tmp_path / "out", clips, FOUND, videos_known=False, cities=cities)
    report = all_found(store, open_sample(store, FakeSources(), 10))
    text = printed(report, store.out, capsys)
    assert "of 2 cities (10 frames from unknown source videos)" in text and "2 source videos" not in text
    assert "for other cities of the same kind, for some source videos are not known" in text
    assert report.measured is not None and report.measured.n_videos is None and report.measured.all.recall.low


def test_one_city_of_unknown_source_videos_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write_out(tmp_path / "out", {"a": {"a_1": 5}, "b": {"b_1": 5}}, FOUND, videos_known=False)
    report = all_found(store, open_sample(store, FakeSources(), 10))
    text = printed(report, store.out, capsys)
    assert "no intervals: the source videos are not known" in text and "95 %" not in text
    assert report.measured is not None and report.measured.all.recall.low is None
    assert "1 city (10 frames from unknown source videos)" in text


def test_at_least_so_many_were_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = {f"v{n}": {f"v{n}_1": 10} for n in range(60)}
    store = write_out(tmp_path / "out", clips)
    sources = FakeSources({f"v{n}_1": "its source was dropped" for n in range(0, 60, 2)})
    sample = open_sample(store, sources, 4)
    text = printed(make_report(store, sample), store.out, capsys)
    n_gone = sample.left_out["its source was dropped"]
    assert 0 < n_gone < 300
    assert f"4 frames of at most {600 - n_gone} that can be shown, drawn evenly" in text
    assert f"at least {n_gone} frames: its source was dropped" in text
