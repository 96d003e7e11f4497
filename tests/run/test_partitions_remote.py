"""A manifest that becomes a folder of partitions on one machine does so in the working copy of another, and back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cityguessr_data.run.assemble import ORDER, assemble
from cityguessr_data.run.store import Store
from tests.support_parts import by_text, from_parts, in_manifest
from tests.support_remote import clear_memory, held_in_memory, machine, memory_store, stage

ALWAYS, NEVER = 0, 10**6


def assembled(store: Store, limit: int) -> None:
    with store.locked():
        store.recover()
        assemble(store, limit)


def keep_no_folders(patch: pytest.MonkeyPatch) -> None:
    """Object stores have none; the one in memory goes on having a folder that is empty."""
    memory = fsspec.filesystem("memory")
    delete = type(memory).rm_file

    def and_its_folder(self: Any, path: str) -> None:
        delete(self, path)
        self.pseudo_dirs[:] = [""]

    patch.setattr(type(memory), "rm_file", and_its_folder)


def test_another_machine_takes_the_new_shape_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_memory()
    one, other = tmp_path / "one", tmp_path / "other"
    keep_no_folders(monkeypatch)
    with memory_store(monkeypatch):
        store = machine(one, monkeypatch)
        with store.locked():
            for video_id in ("v", "w", "x"):
                store.commit(video_id, stage(store, video_id, "old", 2))
            store.write_dataset({"id": "x"})
        assembled(store, NEVER)
        assembled(machine(other, monkeypatch), NEVER)
        for limit in (ALWAYS, NEVER, ALWAYS):
            assembled(machine(one, monkeypatch), limit)
            there = {name for name in held_in_memory() if name.startswith("manifests/frames")}
            assert ("manifests/frames.parquet" in there) == (limit == NEVER)
            assert len(there) == (1 if limit == NEVER else 3)
            store = machine(other, monkeypatch)
            with store.locked():  # it only takes over
                frames = store.out / "manifests" / "frames.parquet"
                assert frames.is_dir() == (limit == ALWAYS)
                for table in ORDER:
                    if table != "attempts":  # these videos have none
                        assert by_text(in_manifest(store, table)) == by_text(from_parts(store, table))
    shutil.rmtree(tmp_path)
