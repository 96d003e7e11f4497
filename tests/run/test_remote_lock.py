"""One writer at a time on an object store: refused, renewed, taken over when silent, and never two at once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cityguessr_data.core.errors import InputError, MachineError, StopError
from cityguessr_data.core.remote import objects
from cityguessr_data.core.remote.objects import Remote
from cityguessr_data.run.remote.lock import Lease
from tests.support_remote import URL, clear_memory, held_in_memory, machine, memory_store, stage, whole_videos


class Other:
    """A file system that does one thing in another way."""

    def __init__(self, **methods: Callable[..., Any]) -> None:
        self._inner, self._methods = fsspec.filesystem("memory"), methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._inner, name)


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    clear_memory()
    monkeypatch.setenv("CGTOOL_LEASE_S", "1")
    monkeypatch.setattr(objects, "_file_system", lambda _protocol: Other())


def lease(owner: str) -> Lease:
    return Lease(Remote(URL), owner)


def test_the_second_writer_is_told_who_writes_and_since_when() -> None:
    held = lease("a")
    assert held.acquire() is False, "nobody held it before, so not we"
    with pytest.raises(InputError) as refused:
        lease("b").acquire()
    assert socket.gethostname() in refused.value.message
    assert "since 20" in refused.value.message
    assert "go on in" in refused.value.hint
    assert "\n" not in str(refused.value)
    held.release()
    other = lease("b")
    assert other.acquire() is False
    other.release()
    again = lease("b")
    assert again.acquire() is True, "nobody else wrote in between"
    again.release()


def test_a_lease_is_renewed_while_its_holder_works() -> None:
    held = lease("a")
    held.acquire()
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        with pytest.raises(InputError):
            lease("b").acquire()
        time.sleep(0.1)
    held.check()
    held.release()


def test_a_silent_holder_is_followed_and_stops_before_it_writes_again() -> None:
    silent, written = lease("a"), Remote(URL)
    silent.acquire()
    silent.stop()
    written.before_write = silent.check
    written.put_bytes("before", b"x")
    time.sleep(1.1)
    follower = lease("b")
    assert follower.acquire() is False
    with pytest.raises(StopError, match="taken over"):
        written.put_bytes("after", b"x")
    assert set(held_in_memory()) == {"before"}
    with pytest.raises(InputError):
        lease("c").acquire()
    follower.release()


def test_the_same_working_copy_need_not_wait_for_its_own_dead() -> None:
    dead = lease("a")
    dead.acquire()
    dead.stop()
    again = lease("a")
    assert again.acquire() is True
    again.release()


@pytest.mark.parametrize("off", [timedelta(days=-400), timedelta(days=400)])
def test_the_age_of_a_lease_is_told_by_the_stores_own_clock(monkeypatch: pytest.MonkeyPatch, off: timedelta) -> None:
    inner = fsspec.filesystem("memory")

    def shifted(info: dict[str, Any]) -> dict[str, Any]:
        made = info.get("created")
        later = made + off if isinstance(made, datetime) else made and made + off.total_seconds()
        return {**info, "created": later} if made else info

    def ls(path: str, detail: bool = True, **more: Any) -> list[dict[str, Any]]:
        return [shifted(info) for info in inner.ls(path, detail=True, **more)]

    other = Other(ls=ls, info=lambda path, **more: shifted(inner.info(path, **more)))
    monkeypatch.setattr(objects, "_file_system", lambda _protocol: other)
    held = lease("a")
    held.acquire()
    with pytest.raises(InputError):
        lease("b").acquire()
    held.stop()
    time.sleep(1.1)
    follower = lease("b")
    follower.acquire()
    follower.release()


@pytest.mark.parametrize("told", ["abc", "0", "-1", "inf"])
def test_the_time_of_a_lease_is_checked(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("CGTOOL_LEASE_S", told)
    with pytest.raises(InputError, match=f"CGTOOL_LEASE_S is '{told}'"):
        lease("a")


def test_a_store_that_cannot_keep_writers_apart_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = fsspec.filesystem("memory")

    def pipe_file(path: str, value: bytes, mode: str = "overwrite") -> None:
        inner.pipe_file(path, value)

    monkeypatch.setattr(objects, "_file_system", lambda _protocol: Other(pipe_file=pipe_file))
    with pytest.raises(MachineError, match="writes over"):
        lease("a").acquire()


def test_a_holder_that_was_only_slow_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It renews its lease after the other has found it stale, and before the other has taken over."""
    slow = lease("a")
    slow.acquire()
    slow.stop()
    time.sleep(1.1)
    inner = fsspec.filesystem("memory")

    def pipe_file(path: str, value: bytes, mode: str = "overwrite") -> None:
        if mode == "create" and json.loads(value)["owner"] == "b":
            monkeypatch.setattr(objects, "_file_system", lambda _protocol: Other())
            slow.check()
        inner.pipe_file(path, value, mode=mode)

    monkeypatch.setattr(objects, "_file_system", lambda _protocol: Other(pipe_file=pipe_file))
    with pytest.raises(InputError):
        lease("b").acquire()
    slow.check()
    slow.release()


def test_of_two_that_find_it_free_one_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, inner = lease("a"), fsspec.filesystem("memory")

    def pipe_file(path: str, value: bytes, mode: str = "overwrite") -> None:
        if mode == "create" and json.loads(value)["owner"] == "b":
            first.acquire()
        inner.pipe_file(path, value, mode=mode)

    monkeypatch.setattr(objects, "_file_system", lambda _protocol: Other(pipe_file=pipe_file))
    with pytest.raises(InputError, match=socket.gethostname()):
        lease("b").acquire()
    first.release()


def test_what_was_decided_here_and_not_sent_yields_to_what_others_did_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ready video of a machine that died must not bring back what another machine took out meanwhile."""
    with memory_store(monkeypatch):
        ours = machine(tmp_path / "a", monkeypatch)
        staged = stage(ours, "v", "ours", 2)
        with ours.locked():
            pass
        (ours.work / "ready").mkdir()
        staged.rename(ours.work / "ready" / "v")  # decided, and killed before the first request
        theirs = machine(tmp_path / "b", monkeypatch)
        with theirs.locked():
            theirs.commit("v", stage(theirs, "v", "theirs", 1))
        ours = machine(tmp_path / "a", monkeypatch)
        with ours.locked():
            ours.recover()
        assert whole_videos(ours) == {"v": ("theirs", ("v_00000",))}
