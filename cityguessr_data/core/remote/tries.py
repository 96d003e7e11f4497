"""Requests to an object store that are made again where that may help, and what their failing for good is called."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable
from typing import TypeVar

from ..environment import number_told
from ..errors import MachineError, StopError

Got = TypeVar("Got")

ROUNDS = 3
"""Times that a failed request is made; to S3 AWS_MAX_ATTEMPTS times as often (n_tries)."""
_WAIT_S = 0.5
"""Before the second time; twice that before the third, and so on, up to the next."""
_LONGEST_WAIT_S = 5.0
_LOCAL = frozenset({errno.EFBIG, errno.ENOSPC, errno.EDQUOT})
"""Of our own disk."""


def n_tries(protocol: str) -> int:
    """How often a failed request is made in all. Of S3 botocore makes each once: what is to be asked before a request
    that writes (Remote.before_write) is then asked before every one that leaves.

    Raises:
        InputError: $AWS_MAX_ATTEMPTS is no number of 1 or more.
    """
    return ROUNDS * int(number_told("AWS_MAX_ATTEMPTS", 5, 1)) if protocol == "s3" else ROUNDS


def tried(url: str, what: str, ask: Callable[[], Got], tries: int = ROUNDS) -> Got:
    """What `ask` gives, asked a bounded number of times.

    Args:
        what: what is asked for, in an infinitive.
    Raises:
        FileNotFoundError: there is no such object.
        MachineError: there is no such bucket, or the store refuses us: asking again would not help.
        StopError: it failed every time.
    """
    last: Exception | None = None
    for number in range(tries):
        if number:
            time.sleep(min(_LONGEST_WAIT_S, _WAIT_S * 2 ** (number - 1)) * random.uniform(0.5, 1.5))
        try:
            return ask()
        except FileNotFoundError as exc:
            if names_no_bucket(exc):
                raise MachineError(f"{url}: there is no such bucket", "Make it, or mend the url") from exc
            raise
        except (PermissionError, *_refusals()) as exc:  # type: ignore[misc]
            raise MachineError(
                f"{url}: the store refuses to {what} ({_brief(exc)})",
                "Check the credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, ~/.aws) and what they may do",
            ) from exc
        except _failures() as exc:
            if isinstance(exc, OSError) and exc.errno in _LOCAL:
                raise
            last = exc
    raise StopError(
        f"{url}: the store does not {what} ({_brief(last)})",
        "Nothing that was committed is lost: run the same command again, once the store answers",
    ) from last


def names_no_bucket(exc: FileNotFoundError) -> bool:
    """Whether it is the bucket that is not there."""
    said = getattr(exc.__cause__, "response", None) or {}
    return "NoSuchBucket" in (said.get("Error", {}).get("Code"), said.get("Error", {}).get("Message"))


def _refusals() -> tuple[type[Exception], ...]:
    try:
        from botocore.exceptions import NoCredentialsError, NoRegionError, ParamValidationError, PartialCredentialsError
    except ImportError:
        return ()
    return (NoCredentialsError, PartialCredentialsError, NoRegionError, ParamValidationError)


def _failures() -> tuple[type[Exception], ...]:
    """What may pass by itself."""
    found: list[type[Exception]] = [OSError, TimeoutError]
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        found += [BotoCoreError, ClientError]
    except ImportError:
        pass
    try:
        from aiohttp import ClientError as HttpError  # an answer that breaks off while it is read

        found.append(HttpError)
    except ImportError:
        pass
    return tuple(found)


def _brief(exc: Exception | None) -> str:
    """An error in a few words, without what it says of urls and keys."""
    text = " ".join(str(exc).split()).partition("http")[0]
    return f"{type(exc).__name__}: {text[:80].strip()}".rstrip(": ")
