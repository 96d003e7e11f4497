"""Only blurred boxes go out, in every form; and what is said of faces, the review and videos that are gone is true.

walk_00000 has four detections of 0.5 and over and three under it. A reviewer rejected one of the former, took one of
the latter and drew two faces in two clips: 4 - 1 + 1 + 2 = 6 boxes are blurred, and 1 + 2 are not.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.schemas import FACES
from cityguessr_data.publish.about import review_words
from cityguessr_data.publish.card import _length
from cityguessr_data.publish.contents import read_contents
from cityguessr_data.publish.facts import Facts, facts_of
from cityguessr_data.publish.gate import check_review
from cityguessr_data.review.progress import ReviewProgress
from cityguessr_data.review.recall import Boxes, LookedFrame, measure
from cityguessr_data.review.recall_report import RecallReport
from cityguessr_data.run.store import Store
from tests.support_export import apply, decide, mark_gone, reviewed, rows, run_export, texts_of, write_set

FORMATS = ("webdataset", "huggingface", "croissant", "links")
SCORES = (0.25, 0.125, 0.375, 0.5, 0.625, 0.75, 0.875)
COUNTS = {"blurred": 6, "drawn": 2, "taken": 1, "rejected": 1, "under": 2}


def box(n: int) -> tuple[float, float, float, float]:
    """A box whose corners are found again in any text."""
    return (1000.5 + n, 2000.5 + n, 3000.5 + n, 4000.5 + n)


@pytest.fixture(autouse=True)
def _no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_set(tmp_path_factory.mktemp("set") / "out")
    part = made / "parts" / "faces" / "walk.parquet"
    found = [
        dict(zip(("x0", "y0", "x1", "y1"), box(n), strict=True))
        | {"clip_id": "walk_00000", "position": 1, "kind": "face", "score": score, "origin": "detected"}
        | {"blurred": score >= 0.5, "review": "pending"}
        for n, score in enumerate(SCORES)
    ]
    pq.write_table(pa.Table.from_pylist(found, pq.read_schema(part)), part)
    decide(made, "walk_00000", "accept", position=1)
    decide(made, "walk_00000", "reject", position=1, box=box(3))
    decide(made, "walk_00000", "blur", position=1, box=box(0))
    decide(made, "walk_00000", "draw", position=2, box=box(10))
    decide(made, "walk_00001", "draw", position=0, box=box(11))
    apply(made)
    return made


@pytest.mark.parametrize("to", FORMATS)
def test_no_form_tells_where_an_unblurred_box_lies(out: Path, tmp_path: Path, to: str) -> None:
    result = run_export(out, to, tmp_path / "x")
    table = {"huggingface": "tables", "croissant": "manifests"}.get(to)
    if table:
        kept = rows(tmp_path / "x" / table / "faces.parquet")
        assert sorted(row["x0"] for row in kept) == [box(n)[0] for n in (0, 4, 5, 6, 10, 11)]
        assert all(row["blurred"] for row in kept) and set(kept[0]) == set(FACES.names)
    text = texts_of(tmp_path / "x")
    for n in (1, 2, 3):
        assert str(box(n)[0]) not in text and str(box(n)[3]) not in text
    assert vars(result.faces) == COUNTS
    if to != "croissant":
        note = json.loads((tmp_path / "x" / "export.json").read_text())
        assert note["faces"] == COUNTS


@pytest.mark.parametrize("to", FORMATS)
def test_what_is_said_of_faces_is_what_became_of_them(out: Path, tmp_path: Path, to: str) -> None:
    run_export(out, to, tmp_path / "x")
    text = said_by(tmp_path / "x", to)
    for sentence in (
        "found with a score of 0.5 and over were blurred",
        "unless a reviewer said that they are none.",
        "6 boxes are blurred, of which 2 were drawn by hand, "
        "1 was left by the build and taken for a face by a reviewer.",
        "1 box is not, for reviewers saw no face there.",
        "2 detections under the threshold were left unblurred; some of them may be faces.",
        "Where those lie is not published.",
        "1 of the 1 clip with a blurred face was looked at, in the first such frame; 4 clips without one may have been "
        "seen by nobody.",
    ):
        assert sentence in text, sentence
    for false in (
        "Every face that",
        "that was found is blurred",
        "faces that were found are blurred",
        "was looked at in each",
    ):
        assert false.lower() not in text.lower()
    assert ("does not come back with it" in text) == (to == "links")


def said_by(folder: Path, to: str) -> str:
    if to == "croissant":
        told = json.loads((folder / "croissant.json").read_text())
        assert "unless a reviewer" in told["description"]
        text = " ".join(map(str, [told["description"], *(told[name] for name in told if name.startswith("rai:"))]))
    else:
        text = (folder / "README.md").read_text()
    return " ".join(text.split())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib, below mlcroissant
@pytest.mark.filterwarnings("ignore::FutureWarning")  # of pandas, likewise
def test_a_set_without_a_blurred_face_has_an_empty_table(tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    out = write_set(tmp_path / "out")
    part = out / "parts" / "faces" / "walk.parquet"
    pq.write_table(pq.read_table(part).slice(0, 1), part)  # the one under the threshold
    run_export(out, "huggingface", tmp_path / "h")
    assert not (tmp_path / "h" / "tables" / "faces.parquet").exists()
    run_export(out, "croissant", tmp_path / "c")
    assert rows(tmp_path / "c" / "manifests" / "faces.parquet") == []
    assert list(mlcroissant.Dataset(tmp_path / "c" / "croissant.json").records("faces")) == []
    text = said_by(tmp_path / "h", "huggingface")
    assert "0 boxes are blurred. 1 detection under the threshold was left unblurred" in text


# --- videos that are gone ---


@pytest.mark.parametrize("to", FORMATS)
def test_videos_that_are_gone_are_told_and_stay(tmp_path: Path, to: str) -> None:
    out = reviewed(tmp_path / "out")
    before = run_export(out, to, tmp_path / "before")
    assert before.gone == () and "gone from" not in said_by(tmp_path / "before", to)
    mark_gone(out, "walk")
    result = run_export(out, to, tmp_path / "x")
    assert result.gone == ("walk",) and result.counts == before.counts
    assert "1 source video was gone from its site when last asked for: walk." in said_by(tmp_path / "x", to)
    (note,) = [note for note in result.notes if "gone" in note]
    assert "(walk)" in note and f"`cgtool refresh {out} --remove`" in note
    with pytest.raises(InputError, match="another export"):  # the one that was made before does not say it
        run_export(out, to, tmp_path / "before")


def test_videos_that_are_gone_and_not_in_the_export_are_not_told(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    mark_gone(out, "home", "drive")
    decide(out, "drive_00000", "mark", value="indoor")
    apply(out)
    assert run_export(out, "links", tmp_path / "x").gone == ("drive",), "home has no link"
    assert run_export(out, "webdataset", tmp_path / "y", without=("indoor",)).gone == ("home",)


# --- the README of forms that bring no card ---


@pytest.mark.parametrize("to", ["webdataset", "links"])
def test_the_readme_says_what_it_is(tmp_path: Path, to: str) -> None:
    out = reviewed(tmp_path / "out")
    result = run_export(out, to, tmp_path / "x", contact="Data desk <removal@example.org>")
    assert not any("--contact" in note for note in result.notes)
    text = said_by(tmp_path / "x", to)
    counts = {
        "webdataset": "5 clips (20 frames) of 3 source videos, from 3 cities, 3 states, 3 countries, 2 continents",
        "links": "4 clips (no frames) of 2 source videos, from 2 cities, 2 states, 2 countries, 2 continents",
    }
    for said in (
        "# small streets Version 1.2.0.", counts[to], "Write to Data desk \\<removal@example.org\\> with the link",
        "| a.example.com | 1 |", "| CC-BY-4.0 | 1 |", "The pictures belong to whoever filmed them",
        "RetinaFace (mobilenet0.25; `net_0.25.onnx`", "a Gaussian of 63 px", "The review is finished.",
        "How many faces were missed was not measured", "No detector finds every face", "It must not be used for",
    ):  # fmt: skip
        assert said in text, said
    assert any("--contact" in note for note in run_export(out, to, tmp_path / "y").notes)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # webdataset leaves its shards to the collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_lines_of_the_readme_load_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc

    pytest.importorskip("webdataset")
    monkeypatch.setattr("cityguessr_data.publish.export.SHARD_BYTES", 1)  # a shard a clip
    run_export(reviewed(tmp_path / "out"), "webdataset", tmp_path / "x")
    assert len(list((tmp_path / "x").glob("*.tar"))) == 5
    code = (tmp_path / "x" / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    assert "clips-{000000..000004}.tar" in code
    monkeypatch.chdir(tmp_path / "x")
    found: dict[str, Any] = {}
    exec(code, found)
    assert found["labels"]["clip_id"] == "walk_00002" and found["first"].shape == (48, 64, 3)
    with tarfile.open(tmp_path / "x" / "clips-000004.tar") as tar:
        assert "walk_00002.001.jpg" in tar.getnames()
    gc.collect()


# --- sentences ---


@pytest.fixture(scope="module")
def facts(out: Path) -> Facts:
    store = Store(out)
    return facts_of("webdataset", read_contents(store), check_review(store, allow_unreviewed=False), None)


@pytest.mark.parametrize(
    ("n_clips", "n_needless", "waiting", "said"),
    [
        (29, 5, 0, "24 of the 24 clips with a blurred face were looked at, in the first such frame; 5 clips without "
                   "one may have been seen by nobody."),
        (29, 5, 4, "20 of the 24 clips with a blurred face were looked at, in the first such frame; 5 clips without "
                   "one may have been seen by nobody."),
        (3, 0, 2, "1 of the 3 clips with a blurred face was looked at, in the first such frame."),
        (3, 3, 0, "3 clips without a blurred face may have been seen by nobody."),
    ],
)  # fmt: skip
def test_how_far_people_have_looked(facts: Facts, n_clips: int, n_needless: int, waiting: int, said: str) -> None:
    unfinished = tuple(f"c{n}" for n in range(waiting))
    progress = ReviewProgress(n_clips, n_clips - waiting, n_needless, unfinished, (), 0, ())
    first, second, _ = review_words(replace(facts, review=progress))
    assert second == said
    assert first == ("**Exported without a finished review.**" if waiting else "The review is finished.")


@pytest.mark.parametrize(
    ("videos", "said"),
    [
        ("ab", "for other videos of the same kind; that faces of one video may be found or missed together"),
        ("aa", "for other frames of this one video, and of other videos it says nothing"),
        ((None, "a"), "for other cities of the same kind; that faces of one city may be found or missed together"),
        ("a", "without an interval: too little is known"),
    ],
)
def test_an_interval_says_what_it_is_of(facts: Facts, videos: Any, said: str) -> None:
    import numpy as np

    drawn: Boxes = np.array([[0.0, 0.0, 20.0, 20.0], [50.0, 0.0, 70.0, 20.0]])
    looked = [LookedFrame(video, f"city {n}", n, drawn, drawn[:1], drawn) for n, video in enumerate(videos)]
    report = RecallReport("s", 2, 2, len(looked), 0, 2, {}, True, 1, (), 0.05, measure(looked))
    assert report.measured is not None
    share = report.measured.all.recall
    words = review_words(replace(facts, recall=report))[-1]
    assert said in words and f"of {share.n} faces that people drew, 50.0% had been found" in words
    assert ("95 % interval" in words) == (share.low is not None)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 seconds"), (1, "1 second"), (59.4, "59 seconds"), (60, "1 minute"), (7100, "118 minutes"),
     (7200, "2.0 hours")],
)  # fmt: skip
def test_lengths(seconds: float, said: str) -> None:
    assert _length(seconds / 3600) == said
