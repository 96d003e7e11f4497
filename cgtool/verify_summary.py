"""What `verify` prints: a line for each kind of check with its counts, then what was found; or one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.words import n_of

from .console import plain, print_json, say, stdout
from .listing import some
from .tables import cut_words, figures, safe

if TYPE_CHECKING:
    from cityguessr_data.verify.detect import Detected
    from cityguessr_data.verify.findings import Fault, Findings
    from cityguessr_data.verify.repair import Repaired
    from cityguessr_data.verify.verify import VerifyResult

_LISTED = 20  # of each kind of check


def show_verify(
    result: VerifyResult, repaired: Repaired | None, found: Detected | None, *, as_json: bool, why_none: str = ""
) -> None:
    """The end of `cgtool verify`: what is there now.

    Args:
        why_none: why faces could not be looked for once more.
    """
    if as_json:
        told: dict[str, Any] = {"repair": None if repaired is None else repair_json(repaired)}
        told["detected_again"] = None if found is None else asdict(found)
        told["detection_failed"] = why_none or None
        print_json(verify_json(result) | told)
        return
    _table(result.findings)
    _list(result.findings)
    for note in result.findings.notes:
        say(f"note: {plain(note)}")
    if result.was_written:
        say("a run wrote to this data set meanwhile: what it was in the middle of may be told here as a fault")
    _end(result, was_repaired=repaired is not None)


def show_repaired(repaired: Repaired) -> None:
    """What a repair did, and what it could not."""
    redone, deleted = repaired.redone, repaired.deleted
    facts = [
        (len(deleted), f"{n_of(len(deleted), 'leftover or unnamed file')} deleted: {some(deleted)}"),
        (
            len(repaired.kept),
            f"{n_of(len(repaired.kept), 'file')} {'stays' if len(repaired.kept) == 1 else 'stay'}, since what names "
            f"{'it' if len(repaired.kept) == 1 else 'them'} is in doubt: {some(repaired.kept)}",
        ),
        (
            len(repaired.from_manifests),
            f"the tables of {n_of(len(repaired.from_manifests), 'video')} made again from the manifests: "
            f"{some(repaired.from_manifests)}",
        ),
        (repaired.n_frames, f"{n_of(repaired.n_frames, 'frame')} made anew from the source"),
        (len(redone.done), f"{n_of(len(redone.done), 'video')} done again: {some(redone.done)}"),
        (len(repaired.reviewed), f"the review of {n_of(len(repaired.reviewed), 'video')} applied again"),
        (repaired.put_together, "manifests, counts and preview put together anew"),
    ]
    for holds, line in facts:
        if holds:
            say(f"repair: {plain(line)}")
    for unit, why in (redone.failed or {}).items():
        say(f"repair: {safe(unit)} stays as it was: {cut_words(why)}")
    for unit, why in repaired.not_reviewed.items():
        say(f"repair: the review of {safe(unit)} is not applied again: {cut_words(why)}")
    if redone.to_build:
        say(f"repair: {some(redone.to_build)}: run the build command, which does them again")
    if repaired.why_not:
        say(f"repair: the tables were not put together: {plain(repaired.why_not)}")


def show_detected(found: Detected) -> None:
    """What a second detection found, and what that is worth."""
    from cityguessr_data.verify.detect import WHY_NO_PROOF

    faces = n_of(found.n_faces, "face")
    say(f"for information: {faces} found in {n_of(found.n_frames, 'blurred frame')} that had {found.n_boxes:,};")
    say(f"  {WHY_NO_PROOF}")


def repair_json(repaired: Repaired) -> dict[str, Any]:
    """A repair as JSON types."""
    return {
        "faults_before": repaired.before.findings.n,
        "deleted": repaired.deleted,
        "kept": repaired.kept,
        "from_manifests": repaired.from_manifests,
        "frames": repaired.n_frames,
        "done_again": list(repaired.redone.done),
        "failed": dict(repaired.redone.failed or {}),
        "left_to_the_build": list(repaired.redone.to_build),
        "review_applied_again": repaired.reviewed,
        "review_not_applied": dict(repaired.not_reviewed),
        "put_together": repaired.put_together,
        "why_not_put_together": repaired.why_not or None,
    }


def verify_json(result: VerifyResult) -> dict[str, Any]:
    """A verification as JSON types."""
    from cityguessr_data.verify.findings import CHECKS

    findings = result.findings
    return {
        "out": str(result.out),
        "exit_code": 0 if result.clean else 1,
        "clean": result.clean,
        "was_written_meanwhile": result.was_written,
        "checks": {name: {"looked_at": findings.looked_at[name], "faults": findings.n_faults[name]} for name in CHECKS},
        "faults": [asdict(fault) for fault in findings.faults],
        "notes": findings.notes,
    }


def _table(findings: Findings) -> None:
    from cityguessr_data.verify.findings import CHECKS

    table = figures()
    for head, justify in (("check", "left"), ("looked at", "left"), ("faults", "right"), ("what", "left")):
        table.add_column(head, justify=justify, no_wrap=head != "what")  # type: ignore[arg-type]
    for name, (noun, what) in CHECKS.items():
        n_faults = findings.n_faults[name]
        looked = n_of(findings.looked_at[name], noun, "boxes" if noun == "box" else "")
        table.add_row(name, looked, f"{n_faults:,}" if n_faults else "none", what)
    stdout().print(table)


def _list(findings: Findings) -> None:
    from cityguessr_data.verify.findings import CHECKS

    for name in CHECKS:
        faults = findings.of(name)
        if not faults:
            continue
        say(f"{name}:")
        for fault in faults[:_LISTED]:
            say(f"  {safe(fault.where)}: {cut_words(fault.what)}")
        if (more := findings.n_faults[name] - _LISTED) > 0:
            say(f"  and {more:,} more; --json has {'them all' if findings.n_faults[name] == len(faults) else 'more'}")
        for hint in dict.fromkeys(fault.hint for fault in faults if fault.hint):
            say(f"  {plain(hint)}")


def _end(result: VerifyResult, *, was_repaired: bool) -> None:
    findings = result.findings
    if result.clean:
        say(f"{result.out}: clean")
        return
    by_repair = _n_mendable(findings.faults)
    left = " left" if was_repaired else ""
    say(f"{result.out}: {n_of(findings.n, 'fault')}{left}")
    if by_repair and not was_repaired:
        say(f"`cgtool verify {result.out} --repair` mends what can be made again")


def _n_mendable(faults: Sequence[Fault]) -> int:
    return sum(fault.mend != "person" for fault in faults)
