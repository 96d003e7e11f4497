"""Which frames a sample holds, which sources are looked at for it, and that it goes on after a stop."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import chisquare

from cityguessr_data.core.errors import InputError
from cityguessr_data.review.sample import Sample, newest_sample, open_sample
from cityguessr_data.run.store import Store
from tests.support_sample import FakeSources, write_out

CLIPS = {"a": {"a_1": 10, "a_2": 30}, "b": {"b_1": 40}, "c": {"c_1": 20}}


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
    assert sample.left_out == {"its source was dropped": 70, "other": 20} and sample.all_known
    assert sorted(sources.asked) == ["a_1", "a_2", "b_1", "c_1"]  # each once, however many of its frames are drawn


def test_only_sources_of_drawn_clips_are_looked_at(tmp_path: Path) -> None:
    """Reading one may take as long as its video: of 400 clips, 5 frames need 5, and some more for those gone."""
    clips = {f"v{n}": {f"v{n}_1": 10} for n in range(400)}
    store = write_out(tmp_path / "out", clips)
    sources = FakeSources()
    sample = open_sample(store, sources, 5)
    assert set(sources.asked) == {frame.clip_id for frame in sample.frames} and len(sources.asked) <= 5
    assert (sample.n_eligible, sample.all_known, sample.left_out) == (4000, False, {})
    half = FakeSources({f"v{n}_1": "gone" for n in range(0, 400, 2)})
    sample = open_sample(store, half, 5, seed=1)
    assert len(sample.frames) == 5 and all(int(frame.unit[1:]) % 2 for frame in sample.frames)
    assert len(half.asked) == len(set(half.asked)) < 50
    n_gone = sum(clip in half.gone for clip in half.asked)
    assert n_gone and sample.left_out == {"gone": 10 * n_gone} and sample.n_eligible == 4000 - 10 * n_gone


def test_frames_are_drawn_evenly_where_sources_are_gone(tmp_path: Path) -> None:
    """Over many seeds each of the 12 frames at hand comes equally often, at each place of the order: chi-squared."""
    store = write_out(tmp_path / "out", {"a": {"a_1": 2, "a_2": 9}, "b": {"b_1": 10, "b_2": 9}})
    sources = FakeSources({"a_2": "gone", "b_2": "gone"})
    seen: list[Counter[tuple[str, int]]] = [Counter(), Counter(), Counter()]
    for seed in range(400):
        for k, place in enumerate(places(open_sample(store, sources, 3, seed))):
            seen[k][place] += 1
    for counts in seen:
        assert len(counts) == 12 and chisquare(list(counts.values())).pvalue > 0.001


def test_a_larger_sample_begins_with_the_smaller_where_sources_are_gone(store: Store) -> None:
    sources = FakeSources({"a_2": "gone"})
    small, large = (open_sample(store, sources, n) for n in (7, 40))
    assert large.frames[:7] == small.frames


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
