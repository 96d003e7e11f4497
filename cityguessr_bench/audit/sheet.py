"""The audit as tables of texts, and as one object for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cityguessr_data.core.types import LEVELS, Level

from ..hierarchy import Mode
from ..results import Estimate
from ..tables.sheet import Sheet
from .results import MODES, Audit, Figures, NotDone, Row, SplitAudit, SplitRow, bounds
from .words import sentences, signed

_TITLES = {
    "borders": "borders masked",
    "static overlays": "static overlays masked",
    "readable text": "readable text masked",
}
_CONTROL = "as many px elsewhere"
_BEYOND = "against elsewhere"
_READ = (
    "A cell: top-1 in %, below it the difference to the clips as they are in points, clip by clip, with its 95 % "
    "interval over source videos; none where no clip changed"
)
_NEXT_TO = "Against elsewhere: masked less its control; below 0 is what the hidden cue itself was worth"
_SPLITS = (
    "A cell: top-1 in %, below it its 95 % interval over source videos. The rows are of different clips and of one "
    "training each, so another seed moves them too"
)


def sheets(audit: Audit, splits: SplitAudit | None = None) -> tuple[Sheet, ...]:
    """The table of changes, then that of splits where there is one; what can be said stands below the last."""
    said = sentences(audit, splits)
    changes = _changes(audit, () if splits is not None else said)
    return (changes,) if splits is None else (changes, _splits(splits, said))


def _changes(audit: Audit, said: tuple[str, ...]) -> Sheet:
    rows: list[tuple[str, ...]] = []
    groups = []
    masked: Row | None = None
    for row in audit.rows:
        if not row.control:
            groups.append(len(rows))
            masked = row
        rows += _of_row(row)
        if row.control and masked is not None and masked.beyond is not None:
            rows += [
                (_BEYOND if at == 0 else "", mode, *(_signed(masked.beyond[mode][level]) for level in LEVELS))
                for at, mode in enumerate(MODES)
            ]
    for missing in audit.not_done:
        groups.append(len(rows))
        rows.append((_TITLES.get(missing.what, missing.what), "–", *["–"] * len(LEVELS)))
    of = "" if audit.n_videos is None else f" of {audit.n_videos:,} source video{'s' if audit.n_videos != 1 else ''}"
    reasons = [f"{_TITLES.get(missing.what, missing.what).capitalize()}: {missing.why}" for missing in audit.not_done]
    has_masks = any(row.hidden is not None for row in audit.rows)
    return Sheet(
        title=f"Shortcut audit of {audit.run}: {audit.n_clips:,} clips{of}, {audit.part} of {audit.split}",
        columns=("change", "mode", *LEVELS),
        rows=tuple(rows),
        notes=(_READ, *((_NEXT_TO,) if has_masks else ()), *reasons, *audit.notes, *said),
        n_left=2,
        groups=tuple(groups),
    )


def _of_row(row: Row) -> Iterator[tuple[str, ...]]:
    title = _CONTROL if row.control else _TITLES.get(row.change, row.change)
    if row.hidden is not None:
        title += f"\n{100 * row.hidden.share:.1f} % of px, {row.hidden.n_clips:,} clips"
    for at, mode in enumerate(MODES):
        cells = []
        for level in LEVELS:
            less = "" if row.less is None else f"\n{_signed(row.less[mode][level])}"
            cells.append(f"{_percent(row.top1[mode][level].value)}{less}")
        yield (title if at == 0 else "", mode, *cells)


def _splits(splits: SplitAudit, said: tuple[str, ...]) -> Sheet:
    rows: list[tuple[str, ...]] = []
    groups = []
    for row in splits.rows:
        groups.append(len(rows))
        for at, mode in enumerate(MODES):
            cells = (_interval(row.top1[mode][level]) for level in LEVELS)
            rows.append((_title(row) if at == 0 else "", mode, *cells))
    for missing in splits.not_done:
        groups.append(len(rows))
        rows.append((missing.what, "–", *["–"] * len(LEVELS)))
    return Sheet(
        title="The same settings by split",
        columns=("split", "mode", *LEVELS),
        rows=tuple(rows),
        notes=(_SPLITS, *(f"{missing.what}: {missing.why}" for missing in splits.not_done), *said),
        n_left=2,
        groups=tuple(groups),
    )


def _title(row: SplitRow) -> str:
    seen = [
        f"{'?' if share is None else f'{share:.0%}'} {what} seen"
        for what, share in (("videos", row.seen_video), ("channels", row.seen_channel))
    ]
    return "\n".join([row.split, f"{row.n_train:,} / {row.n_test:,} clips", *seen])


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _signed(estimate: Estimate) -> str:
    """`-3.1` and below it `-5.0/-1.2`; no interval where all clips differ alike: it would have no width."""
    found = bounds(estimate)
    between = "" if found is None or found[0] == found[1] else f"\n{signed(found[0])}/{signed(found[1])}"
    return f"{signed(estimate.value)}{between}"


def _interval(estimate: Estimate) -> str:
    found = bounds(estimate)
    between = "" if found is None else f"\n{_percent(found[0])}–{_percent(found[1])}"
    return f"{_percent(estimate.value)}{between}"


def long_sheet(audit: Audit, splits: SplitAudit | None = None) -> Sheet:
    """One number a row, for CSV; shares of 0 to 1, differences of -1 to 1."""
    rows: list[tuple[str, ...]] = []

    def add(row: str, figure: str, figures: Figures) -> None:
        for mode, levels in figures.items():
            for level, estimate in levels.items():
                low, high = bounds(estimate) or ("", "")
                rows.append((row, figure, mode, level, str(estimate.value), str(low), str(high)))

    for one in audit.rows:
        name = _TITLES.get(one.change, one.change) + (", control" if one.control else "")
        add(name, "top1", one.top1)
        for figure, figures in (("less as it is", one.less), ("less control", one.beyond)):
            if figures is not None:
                add(name, figure, figures)
        if one.hidden is not None:
            rows.append((name, "hidden pixels", "", "", str(one.hidden.share), "", ""))
    for by in splits.rows if splits is not None else ():
        add(f"split {by.split}", "top1", by.top1)
        for figure, share in (("seen videos", by.seen_video), ("seen channels", by.seen_channel)):
            rows.append((f"split {by.split}", figure, "", "", "" if share is None else str(share), "", ""))
    for missing in (*audit.not_done, *(splits.not_done if splits is not None else ())):
        rows.append((_TITLES.get(missing.what, missing.what), missing.why, "", "", "", "", ""))
    return Sheet("Shortcut audit", ("row", "figure", "mode", "level", "value", "low", "high"), tuple(rows), (), 4)


def to_json(audit: Audit, splits: SplitAudit | None = None) -> dict[str, Any]:
    """Every number; shares of 0 to 1, differences of -1 to 1."""
    return {
        "run": audit.run,
        "part": audit.part,
        "split": audit.split,
        "n_clips": audit.n_clips,
        "n_videos": audit.n_videos,
        "seen_video": audit.seen_video,
        "changes": [
            {
                "change": row.change,
                "control": row.control,
                "top1": _plain(row.top1),
                "less_as_it_is": None if row.less is None else _plain(row.less),
                "less_control": None if row.beyond is None else _plain(row.beyond),
                "hidden": None if row.hidden is None else vars(row.hidden),
            }
            for row in audit.rows
        ],
        "not_done": _reasons(audit.not_done),
        "splits": None
        if splits is None
        else {
            "rows": [{**vars(row), "top1": _plain(row.top1)} for row in splits.rows],
            "not_done": _reasons(splits.not_done),
        },
        "notes": list(audit.notes),
        "sentences": list(sentences(audit, splits)),
    }


def _reasons(not_done: tuple[NotDone, ...]) -> list[dict[str, str]]:
    return [vars(missing) for missing in not_done]


def _plain(figures: Mapping[Mode, Mapping[Level, Estimate]]) -> dict[str, Any]:
    return {mode: {level: vars(one) for level, one in levels.items()} for mode, levels in figures.items()}
