"""What a working copy takes over while others write, what it sends, and what a kill in between leaves of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.core.remote import objects
from cityguessr_data.core.remote.objects import Remote
from cityguessr_data.run.remote.journal import Journal
from cityguessr_data.run.remote.working_copy import WorkingCopy
from cityguessr_data.run.runner import find_todo
from cityguessr_data.run.store import Store
from cityguessr_data.status import read_status
from tests.support_remote import URL, Killed, clear_memory, held_in_memory, machine, memory_store, stage, whole_videos

CLIPS = "parts/clips/v.parquet"
READY = ".cgtool/ready/v"


@pytest.fixture(autouse=True)
def memory() -> None:
    clear_memory()


class Between:
    """The file system in memory, with something that others do after one of its answers, once."""

    def __init__(self, method: str, path: str, do: Callable[[], None]) -> None:
        self._inner, self._at, self._do = fsspec.filesystem("memory"), (method, path), [do]

    def __getattr__(self, name: str) -> Any:
        def ask(path: str, *args: Any, **kwargs: Any) -> Any:
            if (name, path) == self._at and name == "cat_file" and self._do:
                self._do.pop()()  # before it is read
            found = getattr(self._inner, name)(path, *args, **kwargs)
            if (name, path) == self._at and self._do:
                self._do.pop()()
            return found

        return ask if name == self._at[0] else getattr(self._inner, name)


def commit(store: Store, mark: str = "m") -> None:
    with store.locked():
        store.commit("v", stage(store, "v", mark, 1))


def decide() -> None:
    """A replacement with the same rows, as a writer begins it: all beside it, the marker, the clips part deleted."""
    there, remote = held_in_memory(), Remote(URL)
    remote.put_bytes(f"{READY}/{CLIPS}", there[CLIPS])
    remote.put_bytes(f"{READY}.json", json.dumps({"files": {CLIPS: f"{READY}/{CLIPS}"}}).encode())
    remote.delete([CLIPS])


def finish() -> None:
    remote = Remote(URL)
    remote.copy(f"{READY}/{CLIPS}", CLIPS)
    remote.delete([f"{READY}/{CLIPS}", f"{READY}.json"])


@pytest.mark.parametrize("when", ["decided behind the listing", "finished before its marker is read"])
@pytest.mark.parametrize("who", ["has it", "is new"])
def test_a_video_that_is_being_replaced_is_never_taken_for_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, who: str
) -> None:
    with memory_store(monkeypatch):
        commit(machine(tmp_path / "a", monkeypatch))
        reader = machine(tmp_path / "b", monkeypatch)
        assert reader.copy is not None
        if who == "has it":
            reader.copy.refresh()
        fs = Between("find", "bucket/set/.cgtool", decide)
        if when != "decided behind the listing":
            decide()
            fs = Between("cat_file", f"bucket/set/{READY}.json", finish)
        with monkeypatch.context() as patch:
            patch.setattr(objects, "_file_system", lambda _protocol: fs)
            reader = machine(tmp_path / "b", monkeypatch)
            assert reader.copy is not None
            reader.copy.refresh()
            assert not fs._do
            assert whole_videos(reader) == {"v": ("m", ("v_00000",))}


def test_what_was_deleted_there_goes_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with memory_store(monkeypatch):
        ours = split_on_two_machines(tmp_path, monkeypatch)
        assert ours.copy is not None
        ours.copy.refresh()
        assert not (ours.out / "splits" / "s.json").exists()


@pytest.mark.parametrize("before", ["its file is deleted", "its note is taken back"])
def test_a_kill_while_a_deletion_is_taken_over_brings_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    with memory_store(monkeypatch):
        ours = split_on_two_machines(tmp_path, monkeypatch)
        unlink, forget = Path.unlink, Journal.forget

        def unlink_or_die(path: Path, missing_ok: bool = False) -> None:
            if path.name == "s.json" and before == "its file is deleted":
                raise Killed
            unlink(path, missing_ok=missing_ok)

        def forget_or_die(journal: Journal, *names: str) -> None:
            if "splits/s.json" in names and before == "its note is taken back":
                raise Killed
            forget(journal, *names)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Path, "unlink", unlink_or_die)
            patch.setattr(Journal, "forget", forget_or_die)
            assert ours.copy is not None
            ours.copy.refresh()
        with machine(tmp_path / "a", monkeypatch).locked():
            pass
        assert "splits/s.json" not in held_in_memory()


def test_a_kill_after_a_commit_does_not_bring_back_what_others_took_out_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_store(monkeypatch):
        with monkeypatch.context() as patch, pytest.raises(Killed):

            def die(*_: object) -> None:
                patch.setattr(WorkingCopy, "push", lambda _: None)  # the dead send nothing
                raise Killed

            patch.setattr(WorkingCopy, "note_unit", die)
            commit(machine(tmp_path / "a", monkeypatch))
        Remote(URL).delete(name for name in held_in_memory() if "v" in name)
        store = machine(tmp_path / "a", monkeypatch)
        with store.locked():
            assert not store.parts("clips")
        assert not [name for name in held_in_memory() if name.startswith(("parts/clips", "parts/frames"))]


def test_what_was_sent_is_not_fetched_again_where_a_token_is_no_md5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with objects that S3 encrypts, and on other stores; the one in memory tells size and time."""
    with memory_store(monkeypatch):
        store = machine(tmp_path / "a", monkeypatch)
        commit(store)
        commit(store, "another")
        with store.locked():
            store.write_dataset({"id": "x"})
        fetched: list[str] = []
        monkeypatch.setattr(Remote, "get_many", lambda _, named: fetched.extend(named))
        with machine(tmp_path / "a", monkeypatch).locked():
            pass
        assert fetched == []


def test_a_video_of_which_parts_are_missing_is_told_in_one_line(tmp_path: Path) -> None:
    """As the last request of a writer leaves it, where another has taken over meanwhile."""
    store = Store(tmp_path / "out")
    for video_id in ("v", "w"):
        store.commit(video_id, stage(store, video_id, "m", 1))
    store.write_dataset({"id": "x"})
    assert read_status(store.out).clips == 2
    store.part("videos", "v").unlink()
    for ask in (lambda: read_status(store.out), lambda: find_todo(store, (), retry_failed=False)):
        with pytest.raises(InputError, match=r"parts/videos/v\.parquet is missing") as told:
            ask()
        assert "--repair" in told.value.hint
    store.part("clips", "v").unlink()
    assert read_status(store.out).clips == 1, "it is not committed"


def split_on_two_machines(root: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The first has splits/s.json, as the second had, which has deleted it there since."""
    ours, theirs = machine(root / "a", monkeypatch), machine(root / "b", monkeypatch)
    with ours.locked():
        (ours.out / "splits").mkdir()
        (ours.out / "splits" / "s.json").write_text("{}")
    assert "splits/s.json" in held_in_memory()
    with theirs.locked():
        (theirs.out / "splits" / "s.json").unlink()
    assert "splits/s.json" not in held_in_memory()
    return ours
