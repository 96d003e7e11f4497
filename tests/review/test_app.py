"""The review page over HTTP: what it shows, what leads to nothing, what it leaves on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from cityguessr_data.review.progress import read_progress
from cityguessr_data.run.store import Store
from tests.support_imported import state_of
from tests.support_review import (
    BOTH,
    DOUBT,
    EMPTY,
    SURE,
    Client,
    colour_of,
    decisions,
    made_anew,
    served,
    shown,
    write_reviewed,
)

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def seen(out: Path, clip_id: str) -> int:
    return sum(one.clip_id == clip_id for one in decisions(out))


def test_frames_come_from_the_source_and_are_never_stored(out: Path, keeper: Client) -> None:
    before = state_of(out)
    answer = keeper.get(f"/frame/{SURE}/2.jpg")
    assert answer.headers["content-type"] == "image/jpeg" and colour_of(answer.body) == "red"
    assert colour_of(keeper.get(f"/frame/{SURE}/0.jpg?width=320").body) == "red"
    assert "Shown unblurred" in keeper.get(f"/clip/{SURE}").text
    assert state_of(out) == before


def test_without_the_source_the_saved_frame_is_shown_and_the_page_says_why(tmp_path: Path) -> None:
    out = write_reviewed(tmp_path / "out", originals=False)
    with served(out) as link:
        keeper = Client(link).enter()
        assert colour_of(keeper.get(f"/frame/{SURE}/2.jpg").body) == "blue"
        page = keeper.get(f"/clip/{SURE}").text
        assert "Shown blurred, as it is saved: " in page and "Shown unblurred" not in page


def test_a_source_that_breaks_is_said_and_not_passed_off(out: Path, keeper: Client) -> None:
    original = out.parent / "out.src" / "clips" / "v_1" / SURE / "003.jpg"
    original.write_bytes(original.read_bytes()[:200])
    broken = keeper.get(f"/frame/{SURE}/2.jpg")
    assert broken.status == 503 and not broken.body.startswith(b"\xff\xd8")
    assert colour_of(keeper.get(f"/frame/{SURE}/2.jpg").body) == "blue"
    assert "Shown blurred, as it is saved: its source cannot be decoded" in keeper.get(f"/clip/{SURE}").text


@pytest.mark.parametrize(
    "path",
    [
        "/frame/../../dataset.json/0.jpg", "/frame/..%2F..%2Fdataset.json/0.jpg", "/frame/%2e%2e/0.jpg",
        f"/frame/{SURE}/../{SURE}/0.jpg", f"/frame/{SURE}%00/0.jpg", f"/frame/{SURE}/6.jpg", f"/frame/{SURE}/-1.jpg",
        f"/frame/{SURE}/99999999999999999999.jpg", f"/frame/{SURE}/{'9' * 5000}.jpg",
        f"/frame/{SURE}/2.jpg?width=99999", f"/frame/clips/{SURE}/2.jpg",
        "/clip/..%2F..%2Fetc%2Fpasswd", "/clip/../../etc/passwd", "/label/..", "/static/..%2Freview.js",
        "/static/../app.py", "/static/base.html.j2", "//etc/passwd", f"/clip/{SURE}/",
    ],
)  # fmt: skip
def test_only_ids_of_the_tables_lead_anywhere(untouched: tuple[Path, Client], path: str) -> None:
    answer = untouched[1].get(path)
    assert answer.status == 404 and "root:" not in answer.text and "Starlette" not in answer.text


def test_a_frame_whose_place_leads_out_of_the_data_set_is_refused(tmp_path: Path) -> None:
    """A table from somewhere else may name any file."""
    import pyarrow.parquet as pq

    out = write_reviewed(tmp_path / "out", originals=False)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes((out / "clips" / "v_1" / SURE / "001.jpg").read_bytes())
    part = out / "parts" / "frames" / "v_1.parquet"
    table = pq.read_table(part)
    for place in ("../secret.jpg", str(secret)):
        paths = [place] * table.num_rows
        at = table.schema.get_field_index("path")
        pq.write_table(table.set_column(at, table.schema.field("path"), [paths]), part)
        with served(out) as link:
            answer = Client(link).enter().get(f"/frame/{SURE}/0.jpg")
            assert answer.status == 400 and "lies outside" in answer.text


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'{{7*7}}"
    faces = {f'a&b <i>"{hostile}_00000': [(0, 0.9, (1.0, 2.0, 30.0, 40.0))]}
    out = write_reviewed(tmp_path / "out", {"x_00000": faces.popitem()[1]}, title=hostile)
    with served(out, reviewer=hostile) as link:
        keeper = Client(link).enter()
        page = keeper.get("/clip/x_00000").text
        assert "<img src=x" not in page and "&lt;img src=x onerror" in page and "{{7*7}}" in page
        keeper.decide("x_00000", "drop", 0)
        assert "<img" not in keeper.other_tab("b").decide("x_00000", "drop", 0).json["html"].split("stage")[0]


def test_a_clip_that_was_made_anew_since_it_was_reviewed_comes_first_and_says_so(out: Path) -> None:
    """It had no blurred face, so that without this nobody would ever look again."""
    with served(out) as link:
        Client(link).enter().decide(EMPTY, "draw", 0, 3, rect=[1, 2, 30, 40])
    made_anew(out, EMPTY)
    with served(out) as link:
        keeper = Client(link, tab="b" * 32).enter()
        page = keeper.post("/show")
        assert shown(page) == EMPTY
        assert "This clip was made anew since it was reviewed: look again." in page.json["html"]
        assert "made anew since they were reviewed: 0 of 1 looked at" in page.json["html"]
        assert "waits for a decision" in page.json["html"]
        assert read_progress(Store(out)).unfinished == (SURE, BOTH, EMPTY)
        assert "<b>1</b> of 4 finished" in page.json["html"]  # the one without decisions or a blurred face
        assert shown(keeper.decide(EMPTY, "accept", 1, 3)) == DOUBT
        assert "<b>2</b> of 4 finished" in keeper.get("/done").text
        assert "made anew since it was reviewed" not in keeper.get(f"/clip/{EMPTY}").text
    with served(out) as link:
        assert shown(Client(link, tab="c" * 32).enter().post("/show")) == DOUBT


def test_a_tab_that_was_closed_frees_its_clip(keeper: Client) -> None:
    assert [shown(tab.post("/show")) for tab in (keeper, keeper.other_tab("b"))] == [DOUBT, BOTH]
    assert keeper.post("/leave").status == 200
    assert shown(keeper.other_tab("c").post("/show")) == DOUBT


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[" * 30_000, "nested too deeply"),
        (b'{"tab":' + b"[" * 9_000 + b"]" * 9_000 + b"}", "nested too deeply"),
        (b'{"seen":' + b"9" * 5_000 + b"}", "no JSON"),
        (b'{"tab":"\xff"}', "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"reviewer":"\\ud800"}', "half a character"),
        (b'{"\\udfff":1}', "half a character"),
    ],
)
@pytest.mark.parametrize("path", ["/show", "/decide", "/undo", "/leave", "/invite"])
def test_what_is_no_wish_is_refused_in_words(untouched: tuple[Path, Client], path: str, body: bytes, said: str) -> None:
    answer = untouched[1].ask("POST", path, body)
    assert answer.status == 400 and said in answer.json["said"]


def test_progress_is_what_contract_4_says(out: Path, keeper: Client) -> None:
    """The page counts in memory; read_progress reads the disk."""
    steps = [
        (DOUBT, "accept", 5),
        (SURE, "reject", 2),
        (BOTH, "every-frame", 3),
        (EMPTY, "drop", 0),
        (EMPTY, "mark", 0),
    ]
    for clip_id, action, frame in steps:
        answer = keeper.decide(clip_id, action, seen(out, clip_id), frame, value="montage")
        progress = read_progress(Store(out))
        assert f"<b>{progress.n_finished}</b> of {progress.n_clips} finished" in answer.json["html"], action
    for _ in steps:
        answer = keeper.post("/undo")
        progress = read_progress(Store(out))
        assert f"<b>{progress.n_finished}</b> of {progress.n_clips} finished" in answer.json["html"]


def test_a_new_server_goes_on_where_the_last_one_was(out: Path) -> None:
    with served(out) as link:
        keeper = Client(link).enter()
        keeper.decide(DOUBT, "accept", 0, 5)
        keeper.decide(SURE, "reject", 0, 2)
    with served(out) as link:
        keeper = Client(link).enter()
        assert shown(keeper.post("/show")) == BOTH
        assert "<b>3</b> of 4 finished" in keeper.get("/done").text
        assert shown(keeper.post("/undo")) == SURE  # a tab that lived through it
        assert keeper.decide(SURE, "drop", seen(out, SURE), 2).status == 200


def test_nothing_but_decisions_is_written(out: Path) -> None:
    before = state_of(out)
    with served(out) as link:
        keeper = Client(link).enter()
        for path in ("/", f"/clip/{SURE}", f"/label/{SURE}", f"/frame/{SURE}/2.jpg", "/done"):
            assert keeper.get(path).status == 200
        keeper.decide(SURE, "draw", 0, 2, rect=[1, 2, 30, 40])
        keeper.decide(DOUBT, "drop", 0)
        keeper.post("/undo")
    after = state_of(out)
    new = {path for path in after if after[path] != before.get(path)} | set(before) - set(after)
    assert new == {
        ".cgtool/review.lock",
        "manifests/decisions.parquet",
        "parts/decisions/v_1.parquet",
        "parts/decisions/w_2.parquet",
    }
