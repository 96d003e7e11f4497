"""How many workers a Ray cluster has room for, and what each asks of its node: from what its nodes say they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..local import ON_A_GPU, WORKER_BYTES


@dataclass(frozen=True)
class Shape:
    """The workers of a run."""

    workers: int
    cpus: int
    """What each reserves of its node, and the threads that it may keep busy."""
    gpus: float
    """Likewise. A share: while one worker of a GPU decodes or writes, another has it."""


def shape_of(nodes: Sequence[Mapping[str, float]], workers: int | None, device: str) -> Shape:
    """One worker a core, as far as there are 2 GiB for each; where there are GPUs and they may be used, four on each.

    Downloads hold nothing of the cluster: the process that started the run makes them.

    Args:
        nodes: of each that is alive its resources by Ray's names; `memory` in bytes.
        workers: as many as that, whatever there is now: a cluster that grows by itself grows for them.
        device: `cpu` leaves GPUs alone.
    """
    gpus = 0.0 if device == "cpu" else sum(node.get("GPU", 0.0) for node in nodes)
    homes = [node for node in nodes if node.get("CPU", 0.0) >= 1 and (not gpus or node.get("GPU", 0.0) > 0)]
    cores = [int(node["CPU"]) for node in homes]
    on_gpus = [ON_A_GPU * int(node["GPU"]) if gpus else n for n, node in zip(cores, homes, strict=True)]

    def room(share: int) -> int:
        """How many workers of so many cores the nodes hold at once."""
        return sum(min(n // share, most) for n, most in zip(cores, on_gpus, strict=True))

    if gpus:
        fit = room(1)
    else:
        fit = sum(
            max(1, min(n, int(node.get("memory", WORKER_BYTES) // WORKER_BYTES)))
            for n, node in zip(cores, homes, strict=True)
        )
    count = max(1, fit) if workers is None else workers
    shares = range(max(cores, default=1), 1, -1) if workers is not None or gpus else ()
    share = next((share for share in shares if room(share) >= count), 1)
    return Shape(count, share, 1 / ON_A_GPU if gpus else 0.0)
