"""What a split gives away: against loops over all clips, hand tables, and splits whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.stats.leakage import leakage, read_split

TRAIN, VAL, TEST, LEFT_OUT = 0, 1, 2, -1
IDS = ["a_0", "a_1", "a_2", "b_0"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_same_as_loops_over_all_clips(data: st.DataObject) -> None:
    clips = data.draw(
        st.lists(
            st.tuples(
                st.integers(-1, 2),
                st.integers(-1, 3),
                st.integers(0, 6),
                st.one_of(st.none(), st.sampled_from(["", "x", "y", "z"])),
            ),
            min_size=1,
            max_size=14,
        )
    )
    n = len(clips)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=6))
    part, video, index, channel = (list(column) for column in zip(*clips, strict=True))
    train = [i for i in range(n) if part[i] == TRAIN]
    test = [i for i in range(n) if part[i] == TEST]
    both = {*pairs, *((b, a) for a, b in pairs)}
    got = leakage(
        "s", np.array(part), np.array(video), np.array(index), channel, np.array(pairs, np.int64).reshape(-1, 2)
    )
    assert got.n_test == len(test)
    assert got.n_same_video == sum(any(video[i] == video[j] != -1 for j in train) for i in test)
    known = [i for i in test if channel[i] is not None]
    assert got.n_channel_unknown == len(test) - len(known)
    shared = sum(any(channel[i] == channel[j] for j in train) for i in known)
    assert got.n_same_channel == (shared if known else None)
    assert got.n_adjacent == sum(
        any(video[i] == video[j] != -1 and abs(index[i] - index[j]) == 1 for j in train) for i in test
    )
    assert got.n_duplicate == sum(any((i, j) in both for j in train) for i in test)
    assert sum(got.n_by_part.values()) == n
    assert got.n_by_part.get("not in the split", 0) == part.count(LEFT_OUT)


def test_a_table_by_hand() -> None:
    # video:   0: train, test, test, val | 1: test, val, train | 2: test, left out
    got = leakage(
        "by_clip",
        np.array([TRAIN, TEST, TEST, VAL, TEST, VAL, TRAIN, TEST, LEFT_OUT]),
        np.array([0, 0, 0, 0, 1, 1, 1, 2, 2]),
        np.array([0, 1, 2, 3, 0, 1, 2, 0, 1]),
        ["k", "k", "k", "k", None, None, None, "k", "k"],
        np.array([[7, 6], [1, 3]]),
    )
    assert got.n_by_part == {"train": 2, "val": 2, "test": 4, "not in the split": 1}
    assert (got.split, got.n_test) == ("by_clip", 4)
    assert got.n_same_video == 3
    assert (got.n_same_channel, got.n_channel_unknown) == (3, 1)
    assert got.n_adjacent == 1
    assert got.n_duplicate == 1  # the other pair is of test and val


def test_what_is_not_given_is_not_counted() -> None:
    got = leakage("s", np.array([TRAIN, TEST]))
    assert (got.n_same_video, got.n_same_channel, got.n_adjacent, got.n_duplicate) == (None,) * 4
    assert (got.n_test, got.n_channel_unknown) == (1, 1)
    assert got.n_by_part == {"train": 1, "val": 0, "test": 1}
    assert leakage("s", np.array([TRAIN, TEST]), channel_of=["a", None]).n_same_channel is None
    assert leakage("s", np.array([TRAIN, TEST]), np.zeros(2, int)).n_adjacent is None


def test_the_clip_before_the_first_is_not_the_last_of_another_video() -> None:
    parts = np.array([TRAIN, TEST, TRAIN, TEST])
    assert leakage("s", parts, np.array([0, 1, 1, 0]), np.array([1, 0, 2, 3])).n_adjacent == 0
    assert leakage("s", parts, np.array([0, 1, 1, 0]), np.array([2, 0, 1, 3])).n_adjacent == 2


def test_a_random_split_by_clip_leaks_and_one_by_video_does_not() -> None:
    rng = np.random.default_rng(0)
    video = np.repeat(np.arange(2000), 34)
    index = np.tile(np.arange(34), 2000)
    by_clip = np.where(rng.random(len(video)) < 0.2, TEST, TRAIN)
    leaky = leakage("by_clip", by_clip, video, index)
    assert leaky.n_same_video == leaky.n_test  # the chance that all 33 others are in test is 0.2 ** 33
    # In the middle of a video a neighbour is in train with 1 - 0.2 ** 2, at its two ends with 0.8.
    assert leaky.n_adjacent is not None
    assert leaky.n_adjacent / leaky.n_test == pytest.approx((32 * 0.96 + 2 * 0.8) / 34, abs=0.015)
    by_video = np.where(rng.random(2000) < 0.2, TEST, TRAIN)[video]
    clean = leakage("by_video", by_video, video, index)
    assert clean.n_test > 2000
    assert (clean.n_same_video, clean.n_adjacent) == (0, 0)


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="expected 2 values in clip_index, one a clip, got 1"):
        leakage("s", np.array([TRAIN, TEST]), np.zeros(2, int), np.zeros(1, int))
    with pytest.raises(ValueError, match="expected parts -1 to 2, got 0 to 3"):
        leakage("s", np.array([0, 3]))


def split_file(folder: Path, rows: list[tuple[str, str]], kind: str) -> Path:
    path = folder / f"s.{kind}"
    if kind == "csv":
        path.write_text("clip_id,part\n" + "".join(f"{a},{b}\n" for a, b in rows))
    else:
        pq.write_table(pa.table({"clip_id": [a for a, _ in rows], "part": [b for _, b in rows]}), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_split_is_read(tmp_path: Path, kind: str) -> None:
    path = split_file(tmp_path, [("b_0", "test"), ("a_1", "val"), ("a_0", "train")], kind)
    assert read_split(path, IDS).tolist() == [TRAIN, VAL, LEFT_OUT, TEST]


def test_faults_of_a_split_name_their_first_examples(tmp_path: Path) -> None:
    rows = [("a_0", "train"), ("a_1", "Test"), ("a_2", ""), ("b_0", "test"), ("b_0", "test")]
    rows += [(f"c_{i}", "train") for i in range(9)]
    with pytest.raises(TableError) as caught:
        read_split(split_file(tmp_path, rows, "csv"), IDS)
    assert caught.value.faults == (
        (3, "2 rows with a part that is none of train, val, test: 'Test' (line 3), '' (line 4)"),
        (6, "1 row for a clip that has one already: b_0 (line 6)"),
        (7, "9 clips that the data set does not have: c_0 (line 7), c_1 (line 8), c_2 (line 9), ..."),
    )


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("clip_id,fold\na_0,1\n", "column 'part' is missing"),
        ("clip_id,part\na_0,train\n", "no clip is in test"),
        ("clip_id,part\na_0,test\na_1,val\n", "no clip is in train"),
        ("clip_id,part\n,test\n", "1 clip that the data set does not have: a row without clip_id (line 2)"),
        ("clip_id,part\n", "no rows"),
        ('clip_id,part\na_0,train\na_1,"test\n', "malformed CSV"),
    ],
)
def test_a_split_that_cannot_be_used(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(content)
    with pytest.raises(TableError) as caught:
        read_split(path, IDS)
    assert any(fault in text for _, text in caught.value.faults), caught.value.faults


def test_no_split_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no table"):
        read_split(tmp_path / "none.parquet", IDS)
