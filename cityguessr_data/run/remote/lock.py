"""One writer at a time to a url: a lock object with a lease, which others take over when its holder has gone silent.

`.cgtool/lock/00000007.json` is the seventh holder's. The next one creates the eighth, which the store gives to one
contender alone; numbers are never used again, so a holder that slept sees that another has come. Who may take over is
judged by the store's own times: clocks of machines jump and differ.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ...core.environment import number_told
from ...core.errors import CgtoolError, InputError, MachineError, StopError
from ...core.remote.objects import Entry, Remote

_FOLDER = ".cgtool/lock"
USUAL_LEASE_S = 300.0
"""A holder is silent for this long before another may take its place; $CGTOOL_LEASE_S says otherwise."""
_LEAST_LEASE_S = 1.0
_RENEWALS = 4
"""In the time of a lease."""


class Lease:
    """The right to write below a url.

    Args:
        remote: asked without a guard: the lease is what guards the others.
        owner: of the working copy. What a killed process of the same one left is taken over at once: its local lock
            tells that it is dead.
    """

    def __init__(self, remote: Remote, owner: str) -> None:
        self._remote = remote
        self._owner = owner
        self._lease_s = number_told("CGTOOL_LEASE_S", USUAL_LEASE_S, _LEAST_LEASE_S)
        self._nonce = secrets.token_hex(8)
        self._since = datetime.now(UTC).isoformat(timespec="seconds")
        self._number = 0
        self._renewed_s = 0.0
        self._beat = 0
        self._one_at_a_time = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self) -> bool:
        """Take it. Returns whether nobody else has held it since this working copy did.

        Raises:
            InputError: another working copy holds it; the message names host and time.
            MachineError: the store cannot keep writers apart.
        """
        held = self._remote.list(_FOLDER, deep=False)
        top = max((_number(name) for name in held), default=0)
        told = self._read(top) if top else {}
        last = held.get(_name(top))
        is_own = told.get("owner") == self._owner
        if last is not None and told and not told.get("released") and not is_own:
            self._refuse_if_alive(told, last)
        self._number = top + 1
        if not self._remote.create(_name(self._number), self._content()):
            holder = self._read(self._number)
            if holder.get("nonce") != self._nonce:  # else we made it, and the answer was lost on its way
                raise self._refusal(holder)
        self._renewed_s = _now_s()
        if self._remote.create(_name(self._number), self._content()):
            raise MachineError(
                f"{self._remote.url}: the store writes over what is there, so it cannot keep two writers apart",
                "Use a store with conditional writes (If-None-Match), as S3 has them",
            )
        if last is not None and not told.get("released") and not is_own:
            again = self._remote.info(_name(top))
            if again is not None and again.token != last.token:  # its holder was only slow: the older one goes first
                self._remote.delete([_name(self._number)])
                raise self._refusal(told)
        if older := [name for name in held if name.endswith(".json")]:
            self._remote.delete(older)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return is_own

    def check(self) -> None:
        """To be called before each request that writes.

        Raises:
            StopError: another has taken over, or it cannot be seen whether one has.
        """
        for _ in range(_RENEWALS):  # again where the renewal itself took too long: the process may have been stopped
            if _now_s() - self._renewed_s <= self._lease_s / 2:
                return
            self._renew()
        if _now_s() - self._renewed_s > self._lease_s / 2:
            raise StopError(
                f"{self._remote.url}: to renew the right to write takes over {self._lease_s / 2:,.0f} s",
                "Run the same command again when the store answers faster, or raise $CGTOOL_LEASE_S",
            )

    def release(self) -> None:
        """Let others write; what is left behind tells them who wrote last."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self._one_at_a_time:
            if self._is_still_ours():
                self._remote.put_bytes(_name(self._number), self._content(released=True))

    def stop(self) -> None:
        """Renew it no more, and leave it to be taken over."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        while not self._ended.wait(self._lease_s / _RENEWALS):
            with suppress(CgtoolError):  # `check` asks again, and says it, before anything is written
                self._renew()

    def _renew(self) -> None:
        with self._one_at_a_time:
            began_s = _now_s()
            if not self._is_still_ours():
                raise self._lost()
            self._remote.put_bytes(_name(self._number), self._content())
            if not self._is_still_ours():  # taken while we wrote
                raise self._lost()
            self._renewed_s = began_s

    def _is_still_ours(self) -> bool:
        return max((_number(name) for name in self._remote.list(_FOLDER, deep=False)), default=0) == self._number

    def _lost(self) -> StopError:
        return StopError(
            f"another run has taken over {self._remote.url}: this one had been silent for too long",
            "What it committed stays; run the same command again when the other has ended",
        )

    def _refuse_if_alive(self, told: dict[str, Any], last: Entry) -> None:
        name = f"{_FOLDER}/now-{secrets.token_hex(6)}"
        self._remote.put_bytes(name, b"")
        now = self._remote.info(name)
        self._remote.delete([name])
        if now is None or now.changed is None or last.changed is None:
            raise self._refusal(told)  # a store that tells no times: nobody is ever taken for dead
        left_s = float(told.get("lease_s", USUAL_LEASE_S)) - (now.changed - last.changed).total_seconds()
        if left_s > 0:
            raise self._refusal(told, f"; if it has died, go on in {left_s:,.0f} s")

    def _refusal(self, told: dict[str, Any], more: str = "") -> InputError:
        who = f"{told.get('host', 'another machine')}, since {told.get('since', 'a moment ago')}"
        return InputError(f"another run is writing to {self._remote.url} ({who})", f"Wait for it to end{more}")

    def _read(self, number: int) -> dict[str, Any]:
        try:
            return dict(json.loads(self._remote.read(_name(number))))
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def _content(self, *, released: bool = False) -> bytes:
        self._beat += 1
        told = {
            "owner": self._owner, "nonce": self._nonce, "host": socket.gethostname(), "since": self._since,
            "lease_s": self._lease_s, "beat": self._beat, "released": released,
        }  # fmt: skip
        return json.dumps(told).encode()


def _now_s() -> float:
    """Seconds that go on while the machine sleeps, and that nobody sets."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def _name(number: int) -> str:
    return f"{_FOLDER}/{number:08d}.json"


def _number(name: str) -> int:
    stem = name.rpartition("/")[2].removesuffix(".json")
    return int(stem) if stem.isdecimal() else 0
