"""What may be drawn in a frame of a sample, and who may close it; without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.review.frames import Frames
from cityguessr_data.review.sample import open_sample
from cityguessr_data.review.sample_desk import SampleDesk
from cityguessr_data.review.sampling import SampleConfig, look_and_report
from cityguessr_data.run.store import Store
from tests.support_review import FRAMES, decisions, told, write_reviewed

FACE, FALSE = (40.0, 40.0, 100.0, 120.0), (200.0, 40.0, 240.0, 90.0)
CLIPS = {f"v_{n}_00000": [(p, s, box) for p in range(FRAMES) for s, box in ((0.9, FACE), (0.7, FALSE))] for n in (1, 2)}
TAB = "0" * 32


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_reviewed(tmp_path / "out", CLIPS)


def desk_of(out: Path, n: int = 2) -> SampleDesk:
    store = Store(out)
    frames = Frames(store)
    return SampleDesk(store, open_sample(store, frames.unblurred, n), frames)


@pytest.mark.parametrize(
    "rect", [None, [1, 2, 3], [0, 0, float("nan"), 9], ["0", 0, 9, 9], [5, 5, 5.5, 90], [500, 500, 600, 600]]
)
def test_senseless_boxes_are_refused(out: Path, rect: Any) -> None:
    desk = desk_of(out)
    with pytest.raises(InputError):
        desk.draw(0, {"tab": TAB, "rect": rect}, "keeper")
    assert decisions(out) == []


def test_what_a_closed_frame_refuses(out: Path) -> None:
    desk = desk_of(out)
    desk.draw(0, {"tab": TAB, "rect": [1, 1, 30, 30]}, "keeper")
    with pytest.raises(InputError, match="not finished"):
        desk.blur_missed(0, TAB, "keeper")
    desk.jpeg(0, "keeper")
    desk.finish(0, TAB, "keeper")
    for job in (
        lambda: desk.draw(0, {"tab": TAB, "rect": [100, 100, 130, 130]}, "keeper"),
        lambda: desk.undo(0, TAB, "keeper"),
        lambda: desk.finish(0, TAB, "keeper"),
    ):
        with pytest.raises(InputError, match="takes no box"):
            job()
    with pytest.raises(InputError, match="no frame 100"):
        desk.finish(99, TAB, "keeper")
    assert (desk.blur_missed(0, TAB, "keeper"), desk.blur_missed(0, TAB, "keeper")) == (1, 0)


def test_a_frame_is_closed_only_by_whom_it_was_shown_to(out: Path) -> None:
    desk = desk_of(out)
    with pytest.raises(InputError, match="not shown yet"):
        desk.finish(0, TAB, "keeper")
    desk.jpeg(0, "second")
    desk.jpeg(1, "keeper")
    with pytest.raises(InputError, match="not shown yet"):
        desk.finish(0, TAB, "keeper")
    assert decisions(out) == []
    desk.jpeg(0, "keeper")
    desk.finish(0, TAB, "keeper")
    assert told(out)[0][0] == "looked"


def test_a_frame_that_cannot_be_shown_is_passed_over(out: Path) -> None:
    """Its original is damaged after the sample was drawn: it is never shown blurred instead, nor closed."""
    desk = desk_of(out)
    frame = desk.frame(0)
    original = out.parent / f"{out.name}.src" / desk.detail(0).paths[frame.position]
    original.write_bytes(b"no picture")
    with pytest.raises(MediaError):
        desk.jpeg(0, "keeper")
    assert desk.next() == 1 and list(desk.unshown) == [0]
    with pytest.raises(InputError, match="could not be shown"):
        desk.finish(0, TAB, "keeper")
    desk.jpeg(1, "keeper")
    desk.finish(1, TAB, "keeper")
    assert desk.next() is None


def test_report_of_the_newest_sample_needs_no_page(out: Path) -> None:
    desk = desk_of(out, 3)
    for n in range(3):
        desk.jpeg(n, "keeper")
    desk.finish(0, TAB, "keeper")

    def never(link: str) -> None:
        raise AssertionError(link)

    report = look_and_report(SampleConfig(out, "keeper"), never)
    assert (report.n_looked, report.n_left) == (1, 2)
    for n in (1, 2):
        desk.finish(n, TAB, "keeper")
    assert look_and_report(SampleConfig(out, "keeper", 3), never).n_left == 0


def test_no_sample_yet(out: Path) -> None:
    with pytest.raises(InputError, match="no sample"):
        look_and_report(SampleConfig(out, "keeper"), print)
