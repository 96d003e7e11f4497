"""Files of scene labels: read whole, refused by line, and looked up as one would by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.over_frames.label import label_by_file
from cityguessr_data.over_frames.label_file import read_label_file
from tests.support_build import cgtool
from tests.support_imported import colour_imported, state_of, write_rows


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    return colour_imported(tmp_path)


FAULTY: dict[str, tuple[str, str]] = {
    "outside": ("clip_id,position,scene_top1\na_1_00007,0,365\n", "line 2: scene_top1: expected 0 to 364, got 365"),
    "negative": ("clip_id,position,scene_top1\na_1_00007,0,-1\n", "line 2: scene_top1: expected 0 to 364, got -1"),
    "a name": ("clip_id,position,scene_top1\n\na_1_00007,0,street\n", "line 3: scene_top1: expected a whole number"),
    "a fraction": ("clip_id,position,scene_top1\na_1_00007,0,1.5\n", "line 2: scene_top1: expected a whole number"),
    "position": ("clip_id,position,scene_top1\na_1_00007,,1\n", "line 2: position: expected a whole number, got ''"),
    "no clip id": ("clip_id,position,scene_top1\n,0,1\n", "line 2: clip_id is empty"),
    "twice": ("clip_id,position,scene_top1\na_1_00007,0,1\nb,0,1\na_1_00007,0,1\n", "line 4: a_1_00007: position 0"),
    "probability": (
        "clip_id,position,scene_top1,scene_top1_prob\na_1_00007,0,1,1.5\n", "line 2: scene_top1_prob: expected 0 to 1"
    ),
    "cells": ("clip_id,position,scene_top1\na_1_00007,0,1\n\na_1_00007,1\n", "line 4: expected 3 cells, got 2"),
    "after a short row": ("clip_id,position,scene_top1\na,0\na,1,x\n", "line 3: scene_top1: expected a whole number"),
    "columns": ("clip,position,scene_top1\na_1_00007,0,1\n", "columns found: clip, position, scene_top1"),
    "no rows": ("clip_id,position,scene_top1\n", "the table has no rows"),
    "empty": ("", "the file is empty"),
    "column twice": ("clip_id,position,scene_top1,position\na,0,1,2\n", "column 'position' appears twice"),
    "other clips": ("clip_id,position,scene_top1\nghost,0,1\n", "names no clip of this data set (it names ghost)"),
    "no clip whole": ("clip_id,position,scene_top1\na_1_00007,0,1\n", "labels no clip whole (a_1_00007 lacks 4 of 5)"),
    "other videos": ("video_id,start_frame,end_frame,scene\nghost,0,9,1\n", "names no video of this data set"),
    "backwards": ("video_id,start_frame,end_frame,scene\na_1,9,9,1\n", "line 2: end_frame 9 is not after"),
    "overlap": ("video_id,start_frame,end_frame,scene\na_1,8,20,1\na_1,0,9,1\n", "line 2: a_1: the span from 8 is"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "says"), FAULTY.values(), ids=FAULTY)
def test_a_file_that_is_not_fit_writes_nothing(imported: Path, tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(content)
    before = state_of(imported / "parts")
    note = (imported / "dataset.json").read_bytes()
    with pytest.raises(InputError) as caught:
        label_by_file(imported, file)
    told = str(caught.value)
    if isinstance(caught.value, TableError):
        told += "".join(f"\nline {line}: {fault}" for line, fault in caught.value.faults)
    assert says in told
    assert state_of(imported / "parts") == before and (imported / "dataset.json").read_bytes() == note


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"PAR1 and no more", "malformed Parquet"), ("clip_id,position,scene_top1\n\xe9,0,1\n".encode("latin-1"), "CSV")],
)
def test_a_file_that_is_no_table(imported: Path, tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "labels").write_bytes(content)
    done = cgtool("label-scenes", imported, "--from", tmp_path / "labels")
    assert done.returncode == 2 and says in done.stderr, done.stderr
    done = cgtool("label-scenes", imported, "--from", tmp_path / "nowhere")
    assert done.returncode == 2 and "there is no table" in done.stderr


def test_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufeffposition , note,clip_id,scene_top1\r\n0,x,a,7\r\n\r\n1,x,a,\r\n2,x,a,9\r\n\r\n", "utf-8")
    file = read_label_file(path)
    assert file.n_rows == 3
    found = file.labels("a", None, [2, 1, 0, 3], [None] * 4)
    assert found is not None and found.top1.tolist() == [9, -1, 7, -1]


@given(data=st.data())
def test_spans_are_looked_up_as_one_would_by_hand(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    edges = sorted(data.draw(st.sets(st.integers(0, 60), min_size=2, max_size=10)))
    spans = [(a, b, data.draw(st.integers(0, 364))) for a, b in itertools.pairwise(edges)]
    spans = [span for span in spans if data.draw(st.booleans())] or spans[:1]
    asked = data.draw(st.lists(st.none() | st.integers(0, 70), min_size=1, max_size=20))
    path = tmp_path_factory.mktemp("spans") / "s.csv"
    write_rows(path, [{"video_id": "v", "start_frame": a, "end_frame": b, "scene": s} for a, b, s in spans])
    found = read_label_file(path).labels("v_00000", "v", list(range(len(asked))), asked)
    assert found is not None
    by_hand = [next((s for a, b, s in spans if at is not None and a <= at < b), -1) for at in asked]
    assert found.top1.tolist() == by_hand
    assert read_label_file(path).labels("v_00000", "w", [0], [0]) is None
