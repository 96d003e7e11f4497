"""What Ray says when something of it is lost, and what that means for a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ...core.errors import CgtoolError, StopError


def told(error: BaseException) -> str:
    """The last line of what Ray says, which names the cause."""
    if isinstance(error, CgtoolError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else 'no more is told'}"


@contextlib.contextmanager
def lost_cluster_stops() -> Iterator[None]:
    """What Ray raises when its own processes on this machine, or the head, have gone.

    Raises:
        StopError: in place of it.
    """
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:  # the system's; Ray's have no number
            raise
        raise StopError(
            f"the Ray cluster is gone ({told(exc)})", "See to its head, and run the same command again"
        ) from exc


def kill_actor(actor: Any) -> None:
    """End an actor, where it or its node still lives."""
    import ray
    from ray.exceptions import RayError

    with contextlib.suppress(RayError, ValueError):
        ray.kill(actor, no_restart=True)
