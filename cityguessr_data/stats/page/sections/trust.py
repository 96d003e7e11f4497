"""What makes a score look better than it is: near-duplicate clips, and splits that leak."""

from __future__ import annotations

from ...results import Leakage, Stats
from ..blocks import Cell, Row, Section, Table, Words, num, text
from ..words import many, percent, plain

_MAX_ROWS = 250


def duplicates(stats: Stats) -> Section:
    """Clips of different source videos that look the same."""
    title, intro = "Near-duplicates", "Clips of different source videos that look the same, by hashes of their frames."
    found = stats.duplicates
    if found is None:
        return Section("duplicates", title, intro, (), (stats.blank.get("duplicates", "the data does not say."),))
    words = (
        f"{many(found.n_pairs, 'pair', 'pairs')} among {many(found.n_clips, 'clip', 'clips')}, out of "
        f"{many(found.n_frames, 'frame', 'frames')} with a hash. Ignored: {found.n_flat:,} flat frames (black, one "
        f"colour) and {found.n_common:,} frames so common (e.g. intro cards) that they prove nothing."
    )
    if found.n_unchecked:
        pairs = many(found.n_unchecked, "pair", "pairs")
        words += f" {pairs} with a few like frames were not compared frame by frame: there were too many."
    shown = found.pairs[:_MAX_ROWS]
    rows = tuple(
        Row(
            (
                text(plain(pair.clip_a)),
                text(plain(pair.clip_b)),
                num(pair.n_matched, f"{pair.n_matched:,}"),
                num(pair.share, percent(pair.share, 1, 0)),
            )
        )
        for pair in shown
    )
    note = f"The first {len(shown):,} of {found.n_pairs:,}." if len(shown) < found.n_pairs else ""
    columns = (("Clip", False), ("Other clip", False), ("Like frames", True), ("Of its frames", True))
    table = (Table("Pairs, most alike first", columns, rows, note),) if rows else ()
    return Section("duplicates", title, intro, (Words("In short", (words,)), *table))


def leakage(stats: Stats) -> Section:
    """How much of each split's test part is not new to a model that saw its train part."""
    title, intro = "Leakage", "How many test clips a model has already seen something of in training."
    if not stats.leakage:
        return Section("leakage", title, intro, (), (stats.blank.get("leakage", "there is no split."),))
    columns = (
        ("Split", False),
        ("Test clips", True),
        ("Same video in train", True),
        ("Same channel in train", True),
        ("Next clip in train", True),
        ("Near-duplicate in train", True),
        ("Parts", False),
    )
    rows = tuple(
        Row(
            (
                text(plain(one.split)),
                num(one.n_test, f"{one.n_test:,}"),
                _share(one.n_same_video, one),
                _share(one.n_same_channel, one),
                _share(one.n_adjacent, one),
                _share(one.n_duplicate, one),
                text(", ".join(f"{plain(part)} {n:,}" for part, n in one.n_by_part.items()), "quiet"),
            )
        )
        for one in stats.leakage
    )
    table = Table("Splits", columns, rows, "An en dash: the data does not say.")
    return Section("leakage", title, intro, (Words("In words", tuple(map(_sentence, stats.leakage))), table))


def _share(n: int | None, one: Leakage) -> Cell:
    if n is None:
        return num(None, "")
    return num(n / one.n_test if one.n_test else 0, f"{n:,} ({percent(n, one.n_test)})" if one.n_test else f"{n:,}")


def _sentence(one: Leakage) -> str:
    split = f"Split {plain(one.split)}"
    if not one.n_test:
        return f"{split} has no test clips."
    said = [
        f"{percent(n, one.n_test)} {what}"
        for n, what in (
            (one.n_same_video, "come from a source video that is also in train"),
            (one.n_same_channel, "from a channel that is also in train"),
            (one.n_adjacent, "have the clip before or after them in train"),
            (one.n_duplicate, "have a near-duplicate of another video in train"),
        )
        if n is not None
    ]
    if not said:
        return (
            f"{split}: the data does not say what its {many(one.n_test, 'test clip', 'test clips')} share with train."
        )
    unknown = (
        f" The channel of {many(one.n_channel_unknown, 'test clip', 'test clips')} is not known."
        if one.n_channel_unknown
        else ""
    )
    return f"{split}: of {many(one.n_test, 'test clip', 'test clips')}, {'; '.join(said)}.{unknown}"
