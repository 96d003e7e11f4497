"""One step of a run over made-up tables, in a process of its own: python -m benchmarks.scale_steps STEP [NUMBER] FOLDER

Prints the seconds that the step itself took, so without the start of Python and the imports.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cgtool.options import build_config
from cityguessr_data.build_config import find_models
from cityguessr_data.build_record import recorded_config, task_fingerprint
from cityguessr_data.core.timing import cost_of
from cityguessr_data.media.download import Downloader
from cityguessr_data.pipeline import STAGE_VERSIONS, read_table
from cityguessr_data.planning import plan_tasks
from cityguessr_data.publish.preview import write_preview
from cityguessr_data.run.assemble import assemble, is_stale
from cityguessr_data.run.executor import WorkItem
from cityguessr_data.run.runner import find_todo
from cityguessr_data.run.store import Store

from .big_parts import OPTIONS

TABLES = ("attempts", "frames", "faces", "videos", "clips")


def _extra(n: int) -> list[str]:
    return [f"youtube_zz{number:09d}" for number in range(n)]


def add(store: Store, n: int) -> None:
    """Commit some videos more, as far as tables go: copies of the first under other names."""
    for first, extra in zip(store.parts("clips")[:n], _extra(n), strict=False):
        for table in TABLES:
            shutil.copyfile(store.part(table, first.stem), store.part(table, extra))


def take(store: Store, n: int) -> None:
    """Take them back."""
    for extra in _extra(n):
        for table in reversed(TABLES):
            store.part(table, extra).unlink(missing_ok=True)


def verify_tables(store: Store) -> None:
    """Every check but those of the saved frames, which are not there."""
    from cityguessr_data.verify import verify

    verify.check_frames = lambda *_, **__: []
    verify.check_unit_files = lambda *_, **__: None
    verify.check_clips_folder = lambda *_, **__: None
    found = verify.verify(verify.VerifyConfig(store.out, sources="none"))
    sys.stderr.write(f"{found.findings.n} faults\n")


def call_of(step: str, words: list[str], folder: Path) -> Callable[[], object]:
    """What is timed."""
    store = Store(folder / "out")
    if step in ("plan", "todo"):
        config = build_config(folder / "sources.csv", store.out, OPTIONS, None)
        fingerprint_of = partial(task_fingerprint, recorded_config(config, find_models(config), STAGE_VERSIONS))
        downloader = Downloader(config.download)
        plan = lambda: plan_tasks(store, read_table(config), downloader, fingerprint_of, retry_failed=False)  # noqa: E731
        if step == "plan":
            return plan
        items: tuple[WorkItem, ...] = plan().items
        return partial(find_todo, store, items, retry_failed=False)
    n = int(words[0]) if words else 0
    steps: dict[str, Callable[[], Any]] = {
        "assemble": partial(assemble, store, n),
        "stale": partial(is_stale, store),
        "preview": partial(write_preview, store.out),
        "verify": partial(verify_tables, store),
        "add": partial(add, store, n),
        "take": partial(take, store, n),
    }
    return steps[step]


def main() -> None:
    """Time it."""
    step, *words, folder = sys.argv[1:]
    sys.stdout.write(f"{cost_of(call_of(step, words, Path(folder))).wall_s}\n")


if __name__ == "__main__":
    main()
