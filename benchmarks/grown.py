"""An output directory that grows by made-up videos, and what a run does to it step by step."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cgtool.options import build_config
from cityguessr_data.build_config import find_models
from cityguessr_data.build_record import describe, recorded_config, task_fingerprint
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.core.timing import Timing
from cityguessr_data.media.download import Downloader
from cityguessr_data.pipeline import STAGE_VERSIONS, build, read_table
from cityguessr_data.planning import Plan, plan_tasks
from cityguessr_data.publish.preview import write_preview
from cityguessr_data.run.assemble import assemble
from cityguessr_data.run.runner import RunReport, find_todo, run_items
from cityguessr_data.run.store import Store
from cityguessr_data.run.tally import count
from cityguessr_data.status import read_status

from .big_out import MadeUp, nothing

FLAGS = ("--detector", "mobilenet0.25", "--scene-model", "off")
_OPTIONS = {"detector": "mobilenet0.25", "scene_model": "off"}
_TIMED_COMMITS = 20


class Quiet:
    """A Listener that tells nobody."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Any of a Listener's methods."""
        return lambda *_: None


@dataclass(frozen=True)
class Grown:
    """An output directory, and the table that asks for its videos: local files, all of them links to one."""

    folder: Path
    video: Path

    @property
    def sources(self) -> Path:
        """The table."""
        return self.folder / "sources.csv"

    @property
    def out(self) -> Path:
        """The output directory."""
        return self.folder / "out"

    def ask_for(self, n_videos: int) -> None:
        """Write a table of so many videos."""
        files = self.folder / "files"
        files.mkdir(parents=True, exist_ok=True)
        cities = [place.city for place in Taxonomy.named("cityguessr166").cities]
        with self.sources.open("w", newline="", encoding="utf-8") as f:
            rows = csv.writer(f)
            rows.writerow(("url", "city"))
            for number in range(n_videos):
                path = files / f"walk{number:05d}.mp4"
                if not path.exists():
                    os.link(self.video, path)
                rows.writerow((path, cities[number % len(cities)]))

    def to(self, n_videos: int) -> Timing:
        """Commit videos until there are so many; what the last commits took."""
        self.ask_for(n_videos)
        store, plan = self._planned()
        with store.locked():
            todo = find_todo(store, plan().items, retry_failed=False)
            made_up = MadeUp()
            listener: Any = Quiet()
            run_items(store, todo.missing, made_up, nothing, nothing, listener, RunReport())
        return Timing(tuple(made_up.commits[-_TIMED_COMMITS:]))

    def steps(self) -> Mapping[str, Callable[[], object]]:
        """What a run does, by name."""
        store, plan = self._planned()
        items = plan().items
        listener: Any = Quiet()
        return {
            "plan": plan,
            "todo": partial(find_todo, store, items, retry_failed=False),
            "assemble": partial(assemble, store),
            "count": partial(count, store),
            "preview": partial(write_preview, self.out),
            "status": partial(read_status, self.out),
            "nothing to do": partial(build, build_config(self.sources, self.out, _OPTIONS, None), listener),
        }

    def _planned(self) -> tuple[Store, Callable[[], Plan]]:
        config = build_config(self.sources, self.out, _OPTIONS, None)
        recorded = recorded_config(config, find_models(config), STAGE_VERSIONS)
        store = Store(config.out)
        with store.locked():
            store.write_dataset(describe(config.out.name, recorded, "folder", store.dataset()))
        fingerprint_of = partial(task_fingerprint, recorded)
        downloader = Downloader(config.download)
        return store, partial(plan_tasks, store, read_table(config), downloader, fingerprint_of, retry_failed=False)
