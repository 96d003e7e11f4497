"""Decisions over HTTP: what each one writes, what is refused, who is first."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.review.progress import read_progress
from cityguessr_data.run.store import Store
from tests.support_review import (
    BOTH,
    DOUBT,
    EMPTY,
    FACES,
    FRAMES,
    QUEUE,
    SIZE,
    SURE,
    Client,
    decisions,
    shown,
    told,
)

pytest.importorskip("uvicorn", reason="the page is served by uvicorn: pip install 'cgtool[review]'")


def test_accepting_goes_through_the_queue_in_its_order(out: Path, keeper: Client) -> None:
    answer = keeper.post("/show")
    met = [shown(answer)]
    for _ in QUEUE:
        frame = int(answer.json["address"].rpartition("=")[2])
        answer = keeper.decide(met[-1], "accept", 0, frame)
        assert answer.status == 200
        met.append(shown(answer))
    assert tuple(met[:-1]) == QUEUE and answer.json["address"] == "/done"
    assert told(out) == [("accept", DOUBT, 5), ("accept", BOTH, 3), ("accept", EMPTY, 3), ("accept", SURE, 2)]
    assert "Every clip was looked at" in answer.json["html"]
    assert [one.reviewer for one in decisions(out)] == ["keeper"] * 4
    assert {one.session for one in decisions(out)} == {keeper.tab}


def test_a_decision_holds_its_box_as_the_table_has_it(out: Path, keeper: Client) -> None:
    assert keeper.decide(SURE, "reject", 0, 2, boxes=[0]).status == 200
    assert keeper.decide(DOUBT, "blur", 0, 5).status == 200  # the only doubtful one there
    assert keeper.decide(SURE, "draw", 1, 2, rect=[300.1, -7, 400, 33.3]).status == 200
    rejected, blurred, drawn = decisions(out)
    assert rejected.box == FACES[SURE][0][2] and blurred.box == FACES[DOUBT][1][2]
    assert drawn.box == (pytest.approx(300.1), 0.0, SIZE[0], pytest.approx(33.3))  # inside the frame


def test_rejecting_without_a_box_means_all_that_are_blurred_and_is_undone_at_once(out: Path, keeper: Client) -> None:
    answer = keeper.decide(SURE, "reject", 0, 2)
    assert [one.box for one in decisions(out)] == [FACES[SURE][0][2], FACES[SURE][1][2]]
    assert answer.json["html"].count('class="box rejected"') == 2
    assert read_progress(Store(out)).n_finished == 3  # that clip and the two without a blurred face
    keeper.post("/undo")
    assert [one.action for one in decisions(out)] == ["reject"] * 2 + ["undo"] * 2
    assert read_progress(Store(out)).n_finished == 2


def test_undo_goes_back_through_what_this_tab_did(out: Path, keeper: Client) -> None:
    guest = keeper.other_tab("b")
    keeper.decide(SURE, "every-frame", 0)
    keeper.decide(EMPTY, "drop", 0)
    guest.decide(BOTH, "drop", 0)
    assert shown(keeper.post("/undo")) == EMPTY
    assert shown(keeper.post("/undo")) == SURE
    third = keeper.post("/undo")
    assert third.status == 400 and "nothing left to take back" in third.json["said"]
    undone = {one.undoes for one in decisions(out)}
    assert [one.clip_id for one in decisions(out) if one.action != "undo" and one.decision_id not in undone] == [BOTH]


def test_somebody_elses_decision_is_not_overwritten(out: Path, keeper: Client) -> None:
    link = keeper.post("/invite", reviewer="Guest").json["link"]
    guest = Client(link, tab="b" * 32).enter()
    assert guest.decide(SURE, "reject", 0, 2, boxes=[1]).status == 200
    late = keeper.decide(SURE, "drop", 0, 2)
    assert late.status == 409 and "Guest has decided on this clip meanwhile" in late.json["said"]
    assert 'data-seen="1"' in late.json["html"] and "rejected" in late.json["html"]  # the new state
    assert [(one.reviewer, one.action) for one in decisions(out)] == [("Guest", "reject")]
    assert keeper.decide(SURE, "drop", 1, 2).status == 200


def test_of_many_at_once_exactly_one_is_first(out: Path, keeper: Client) -> None:
    answers: list[int] = []

    def decide(letter: str) -> None:
        answers.append(keeper.other_tab(letter).decide(SURE, "mark", 0, value="indoor").status)

    threads = [threading.Thread(target=decide, args=(letter,)) for letter in "abcdef01"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 7 and len(decisions(out)) == 1


def test_a_clip_that_a_tab_has_is_not_handed_to_another(keeper: Client) -> None:
    tabs = [keeper, *(keeper.other_tab(letter) for letter in "bcde")]
    first = [tab.post("/show") for tab in tabs]
    assert [shown(answer) for answer in first] == [*QUEUE, ""]
    assert "Nothing waits for this tab" in first[-1].json["html"]
    shared = tabs[1].post("/show", clip=DOUBT)
    assert "another tab is at this clip too" in shared.json["html"]
    assert shown(tabs[4].post("/show")) == BOTH  # the second tab has left it


def test_a_lease_ends(monkeypatch: pytest.MonkeyPatch, keeper: Client) -> None:
    from cityguessr_data.review import leases

    monkeypatch.setattr(leases, "LEASE_S", -1.0)
    assert [shown(tab.post("/show")) for tab in (keeper, keeper.other_tab("b"))] == [DOUBT, DOUBT]


def test_every_frame_is_finished_when_each_was_accepted(out: Path, keeper: Client) -> None:
    answer = keeper.decide(SURE, "every-frame", 0, 2)
    for n in range(FRAMES):
        assert f"every frame: {n} of {FRAMES} accepted" in answer.json["html"]
        assert SURE in read_progress(Store(out)).unfinished
        answer = keeper.decide(SURE, "accept", n + 1, n)
    assert shown(answer) == DOUBT
    assert SURE not in read_progress(Store(out)).unfinished


def test_accepting_another_frame_leads_back_to_the_one_that_waits(out: Path, keeper: Client) -> None:
    answer = keeper.decide(SURE, "accept", 0, 4)
    assert answer.json["address"] == f"/clip/{SURE}?frame=2" and "Frame 3 still waits" in answer.json["said"]


def test_labels_are_resolved_and_may_be_for_all_clips_of_a_video(out: Path, keeper: Client) -> None:
    wrong = keeper.decide(SURE, "label", 0, value="Madrit")
    assert wrong.status == 400 and "unknown city 'Madrit'; the nearest known are Madrid" in wrong.json["said"]
    assert "give its state" not in wrong.json["said"]  # there is no field for it here
    assert decisions(out) == []
    assert keeper.decide(SURE, "label", 0, value="rio de janeiro", all_of_video=True).status == 200
    assert [(one.clip_id, one.value) for one in decisions(out)] == [(SURE, "Rio_de_Janeiro"), (BOTH, "Rio_de_Janeiro")]
    assert keeper.decide(SURE, "mark", 1, value="indoor").status == 200
    assert "Rio de Janeiro" in keeper.get(f"/label/{SURE}").text
    keeper.decide(SURE, "unmark", 2, value="indoor")
    assert [one.action for one in decisions(out)] == ["label", "label", "mark", "unmark"]
    keeper.post("/undo"), keeper.post("/undo"), keeper.post("/undo")
    assert [one.action for one in decisions(out)][-2:] == ["undo", "undo"]  # both clips by one key
    assert "Rio de Janeiro" not in keeper.get(f"/clip/{BOTH}").text


def test_what_holds_already_is_not_written_twice(out: Path, keeper: Client) -> None:
    keeper.decide(SURE, "drop", 0)
    assert "so already" in keeper.decide(SURE, "drop", 1).json["said"]
    keeper.decide(SURE, "label", 1, value="Tokyo")
    keeper.decide(SURE, "unmark", 1, value="montage")
    assert told(out) == [("drop", SURE, None)]


@pytest.mark.parametrize(
    "wish",
    [
        {"action": "undo"}, {"action": "drawn"}, {"action": "nonsense"}, {"action": None}, {"frame": 6}, {"frame": -1},
        {"frame": "2"}, {"frame": True}, {"seen": "0"}, {"tab": "short"}, {"tab": None}, {"clip": None},
        {"action": "reject", "boxes": [2]}, {"action": "reject", "boxes": [-1]}, {"action": "reject", "boxes": "0"},
        {"action": "reject", "frame": 0}, {"action": "blur"}, {"action": "draw"}, {"action": "mark", "value": "x"},
        {"action": "draw", "rect": [1, 2, 3]}, {"action": "draw", "rect": [5, 5, 6, 6]},
        {"action": "draw", "rect": [500, 5, 600, 60]}, {"action": "draw", "rect": ["1", 2, 30, 40]},
        {"action": "draw", "rect": [1, 2, float("nan"), 40]}, {"action": "draw", "rect": [1, 2, float("inf"), 40]},
        {"action": "draw", "rect": [1, 2, 10**400, 40]}, {"frame": 10**400},
        {"action": "label", "value": "\ud800"},
        {"action": "label", "value": ""}, {"action": "label", "value": "x" * 9000},
    ],
)  # fmt: skip
def test_a_wish_that_makes_no_sense_writes_nothing(untouched: tuple[Path, Client], wish: dict[str, Any]) -> None:
    out, keeper = untouched
    answer = keeper.post("/decide", **{"clip": SURE, "action": "accept", "seen": 0, "frame": 2, **wish})
    assert answer.status in (400, 404) and answer.json["said"]
    assert decisions(out) == []


def test_a_clip_that_is_built_anew_meanwhile_takes_no_decision(out: Path, keeper: Client) -> None:
    keeper.get(f"/clip/{SURE}")
    for part in (out / "parts" / "clips").iterdir():
        import pyarrow.parquet as pq

        table = pq.read_table(part)
        at = table.schema.get_field_index("fingerprint")
        new = table.set_column(at, table.schema.field("fingerprint"), [["anew"] * table.num_rows])
        pq.write_table(new, part)
    answer = keeper.decide(SURE, "accept", 0, 2)
    assert answer.status == 400 and "was built anew" in answer.json["said"] and decisions(out) == []


def test_a_full_disk_is_said_and_nothing_counts(out: Path, keeper: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from cityguessr_data.review import decisions as module

    with monkeypatch.context() as patch:

        def full(path: Path, table: Any) -> None:
            from cityguessr_data.core.errors import disk_full_stops

            with disk_full_stops(str(path)):
                raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(module, "write_table", full)
        answer = keeper.decide(SURE, "drop", 0)
        assert answer.status == 507 and "no space left" in answer.json["said"]
    assert decisions(out) == []
    assert keeper.decide(SURE, "drop", 0).status == 200  # it is still the first decision
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_table", full)
        assert keeper.post("/undo").status == 507
    assert keeper.post("/undo").status == 200  # still there to be undone
