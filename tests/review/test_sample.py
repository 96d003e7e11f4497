"""Which frames a sample holds, that it goes on after a stop, and what its report makes of the decisions."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import chisquare

from cgtool.recall_summary import show_recall
from cityguessr_data.core.errors import InputError
from cityguessr_data.review.decisions import DecisionLog
from cityguessr_data.review.recall_report import keep_report, make_report, read_report
from cityguessr_data.review.sample import Sample, newest_sample, open_sample
from cityguessr_data.run.store import Store
from tests.support_sample import FaceOf, FakeSources, decide, write_out

CLIPS = {"a": {"a_1": 10, "a_2": 30}, "b": {"b_1": 40}, "c": {"c_1": 20}}
FACE = (10.0, 10.0, 50.0, 60.0)
BESIDE = (200.0, 20.0, 240.0, 60.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return write_out(tmp_path / "out", CLIPS)


def places(sample: Sample) -> list[tuple[str, int]]:
    return [(frame.clip_id, frame.position) for frame in sample.frames]


def test_every_frame_once_where_more_are_asked_for(store: Store) -> None:
    sample = open_sample(store, FakeSources(), 1000)
    everything = {(clip, p) for clips in CLIPS.values() for clip, n in clips.items() for p in range(n)}
    assert set(places(sample)) == everything and len(sample.frames) == len(everything) == sample.n_eligible
    assert {frame.unit: None for frame in sample.frames}.keys() == CLIPS.keys()
    assert all(frame.clip_id.startswith(frame.unit) for frame in sample.frames)


def test_frames_are_drawn_evenly(tmp_path: Path) -> None:
    """Over many seeds each of 20 frames comes equally often, whichever clip it is in: chi-squared."""
    store = write_out(tmp_path / "out", {"a": {"a_1": 4}, "b": {"b_1": 16}})
    seen: Counter[tuple[str, int]] = Counter()
    for seed in range(300):
        seen.update(places(open_sample(store, FakeSources(), 5, seed)))
    assert len(seen) == 20
    assert chisquare(list(seen.values())).pvalue > 0.001


def test_the_same_frames_after_a_stop_even_when_the_data_set_has_grown(store: Store) -> None:
    first = open_sample(store, FakeSources(), 15)
    write_out(store.out, {"d": {"d_1": 50}})
    assert open_sample(store, FakeSources(), 15) == first
    assert open_sample(store, FakeSources(), 15, seed=1).frames != first.frames
    assert open_sample(store, FakeSources(), 16).n_eligible == 150


def test_a_larger_sample_begins_with_the_smaller(store: Store) -> None:
    small, large = (open_sample(store, FakeSources(), n) for n in (7, 40))
    assert large.frames[:7] == small.frames


def test_frames_that_cannot_be_shown_are_counted(store: Store) -> None:
    sources = FakeSources({"a_2": "its source was dropped", "b_1": "its source was dropped", "c_1": "other"})
    sample = open_sample(store, sources, 50)
    assert {clip for clip, _ in places(sample)} == {"a_1"} and sample.n_eligible == 10
    assert sample.left_out == {"its source was dropped": 70, "other": 20}


def test_no_source_at_hand_is_refused_and_nothing_kept(store: Store) -> None:
    gone = {clip: "its source was dropped" for clips in CLIPS.values() for clip in clips}
    with pytest.raises(InputError, match=r"its source was dropped \(100 frames\)"):
        open_sample(store, FakeSources(gone), 5)
    assert newest_sample(store) is None


def test_frames_that_were_never_anonymised_are_left_out(tmp_path: Path) -> None:
    store = write_out(tmp_path / "out", CLIPS, blur=None)
    with pytest.raises(InputError, match="never anonymised"):
        open_sample(store, FakeSources(), 5)


@pytest.mark.parametrize("n, seed", [(0, 0), (-3, 0), (5, -1)])
def test_senseless_sizes_are_refused(store: Store, n: int, seed: int) -> None:
    with pytest.raises(InputError):
        open_sample(store, FakeSources(), n, seed)


def test_newest_sample(store: Store) -> None:
    open_sample(store, FakeSources(), 30)
    open_sample(store, FakeSources(), 4)
    newest = newest_sample(store)
    assert newest is not None and newest.name == "sample-4-0"


@pytest.mark.parametrize("content", ["{", "[]", '{"frames": [{"unit": "a"}]}', '{"frames": []}'])
def test_a_damaged_sample_is_refused(store: Store, content: str) -> None:
    open_sample(store, FakeSources(), 4)
    (store.work / "review" / "sample-4-0.json").write_text(content)
    with pytest.raises(InputError, match="damaged"):
        open_sample(store, FakeSources(), 4)


def test_a_sample_of_another_data_set_is_refused(store: Store, tmp_path: Path) -> None:
    other = write_out(tmp_path / "other", CLIPS)
    open_sample(other, FakeSources(), 4)
    (store.work / "review").mkdir(parents=True)
    (other.work / "review" / "sample-4-0.json").rename(store.work / "review" / "sample-4-0.json")
    with pytest.raises(InputError, match="another data set"):
        newest_sample(store)


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
        decide(log, frame, "looked", reviewer="ben")
    decide(log, sample.frames[6], "drawn", FACE)  # not finished
    report = make_report(store, sample)
    assert (report.n_frames, report.n_looked, report.n_left) == (10, 6, 4)
    assert report.measured is not None
    row = report.measured.all
    assert (row.recall.hits, row.recall.n) == (6, 8)
    assert (row.within_reach.hits, row.precision.hits, row.precision.n) == (8, 6, 6)
    assert report.reviewers == ("ana", "ben")
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
    assert any("9 of 10 frames of 2 source videos, by ana" in line for line in lines)
    assert any(line.startswith("left") and "1 frame" in line for line in lines)
