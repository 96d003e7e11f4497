"""What the audit says in plain sentences: never more than its numbers allow."""

from __future__ import annotations

from typing import Any

import pytest

from cityguessr_bench.audit.results import Audit, Hidden, Row, SplitAudit, SplitRow
from cityguessr_bench.audit.words import NOT_TOLD, difference, sentences
from tests.support_audit import estimate, figures


def test_two_accuracies_on_other_clips() -> None:
    """By hand: 0.8 (0.7 to 0.85) less 0.5 (0.4 to 0.58): 0.3 - sqrt(0.1^2 + 0.08^2), 0.3 + sqrt(0.05^2 + 0.1^2)."""
    found = difference(estimate(0.8, 0.7, 0.85), estimate(0.5, 0.4, 0.58))
    assert found.value == pytest.approx(0.3)
    assert found.low_videos == pytest.approx(0.3 - 0.0164**0.5)
    assert found.high_videos == pytest.approx(0.3 + 0.0125**0.5)


@pytest.mark.parametrize(
    ("by_video", "n_videos", "told"),
    [
        ((0.5, 0.4, 0.6), 20, "the difference, +30.0 points (+15.9 to +44.1), goes with streets seen in training"),
        ((0.75, 0.65, 0.85), 20, "the difference, +5.0 points (-9.1 to +19.1), is inside the noise"),
        ((0.99, 0.95, 1.0), 20, "the difference, -19.0 points (-29.0 to -8.2), is not what seen streets would explain"),
        ((0.5, 0.4, 0.6), 5, f"the difference is +30.0 points (+15.9 to +44.1), {NOT_TOLD}"),
        ((0.5, 0.4, 0.6), None, f"the difference is +30.0 points (+15.9 to +44.1), {NOT_TOLD}"),
    ],
)
def test_splits_in_words(by_video: tuple[float, float, float], n_videos: int | None, told: str) -> None:
    seen = SplitRow("by-clip", "r", 80, 20, 0.9, None, figures(0.8, 0.7, 0.9), n_videos)
    apart = SplitRow("by-video", "s", 80, 20, 0.0, None, figures(*by_video), 20)
    audit = Audit("r", "test", "by-clip", 20, 5, 0.9, (), (), ())
    words = sentences(audit, SplitAudit((seen, apart), ()))
    assert words[0].startswith("90% of the clips are of a source video that train has clips of")
    assert words[-1].startswith(
        "City top-1 is 80.0 % by-clip (90% of the test clips are of a video that train has) and"
    )
    assert words[-1].endswith(told)
    assert len(sentences(audit, SplitAudit((seen,), ()))) == 1  # nothing to compare with


def test_masks_in_words() -> None:
    """A cost, and one inside the noise; never that a cue does not matter."""

    def row(change: Any, beyond: Any) -> Row:
        return Row(change, False, figures(0.5, 0.4, 0.6), figures(-0.2, -0.3, -0.1), beyond, Hidden(0.1, 9))

    rows = (row("static overlays", figures(-0.1, -0.15, -0.05)), row("readable text", figures(-0.01, -0.04, 0.02)))
    audit = Audit("r", "test", "v", 20, 6, None, rows, (), ())
    assert sentences(audit) == (
        "City top-1 where it is hidden, against as many pixels hidden elsewhere: static overlays -10.0 points (-15.0 "
        "to -5.0), a cost; readable text -1.0 points (-4.0 to +2.0), inside the noise",
    )


@pytest.mark.parametrize("n_videos", [None, 1, 2, 5])
def test_too_few_source_videos_prove_nothing(n_videos: int | None) -> None:
    """Five videos lean to one side by chance once in 16: whatever the interval, no cost and no gain is claimed."""
    fell = figures(-0.2, -0.3, -0.1)
    rows = (
        Row("mirrored", False, figures(0.5, 0.4, 0.6), fell, None, None),
        Row("borders", False, figures(0.5, 0.4, 0.6), fell, fell, Hidden(0.1, 9)),
    )
    said = sentences(Audit("r", "test", "v", 20, n_videos, None, rows, (), ()))
    assert len(said) == 2 and all(NOT_TOLD in one for one in said) and not any("a cost" in one for one in said)
