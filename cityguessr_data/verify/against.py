"""What a data set is compared with besides itself: the kept sources, and the taxonomy of its labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ..core.errors import InputError
from ..core.frame_files import FrameFiles
from ..core.taxonomy import Taxonomy
from ..review.unblurred import Unblurred
from ..run.store import Store
from .asked import Asked
from .findings import Fault, Findings
from .sources import SourceCheck

Sources = Literal["all", "sample", "none"]


def sources_of(
    store: Store, files: FrameFiles, asked: Asked, findings: Findings, which: Sources, frames_a_video: int
) -> SourceCheck | None:
    """What compares frames with their sources; None where nothing is to be compared."""
    try:
        unblurred = Unblurred(store)
    except InputError as exc:  # the plan is damaged, which says where sources are
        where = (store.work / "plan.json").relative_to(store.out).as_posix()
        findings.add(Fault("dataset", where, exc.message, "person", hint=exc.hint))
        return None
    if which == "none" or asked.blur is None:
        return None
    return SourceCheck(unblurred, files, asked, None if which == "all" else frames_a_video, findings)


def taxonomy_of(named: Path | None, dataset: dict[str, Any], findings: Findings, *, is_known: bool) -> Taxonomy | None:
    """What labels must agree with; None where the rows that the data set was built from tell them, or nothing does."""
    if named is not None:
        return Taxonomy.load(named)
    imported = dataset.get("imported")
    if isinstance(imported, dict):
        return Taxonomy.named("msls30" if imported.get("from") == "msls" else "cityguessr166")
    if not is_known:
        told = "nothing says which taxonomy it was built with, so labels were compared with each other alone"
        findings.notes.append(f"{told}; --taxonomy FILE names one")
    return None
