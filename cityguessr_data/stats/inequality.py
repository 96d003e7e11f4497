"""How unevenly clips are spread over classes: the paper's Gini and Hoover, and what goes with them.

All take `counts`, non-negative numbers of shape (..., n): clips per class along the last axis, in any order; leading
axes are separate data sets (the bootstrap uses them). All give float64 of shape (...). All are unchanged when every
count is multiplied by the same number, and all but the effective number of classes when every class is repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_LARGEST = 1e100  # sums of sums of larger ones would leave float64


def gini(counts: npt.ArrayLike) -> Array:
    """Gini coefficient, 0 (even) to (n - 1) / n (one class has all): supplementary Eq. 1, counts ascending.

    Raises:
        ValueError: no classes, a count that is negative, not finite or beyond 1e100, or all counts 0.
    """
    y = np.sort(_checked(counts), axis=-1)
    n = y.shape[-1]
    rank = np.arange(1, n + 1)
    value: Array = np.maximum(2 * (rank * y).sum(-1) / (n * y.sum(-1)) - (n + 1) / n, 0.0)
    return value


def hoover(counts: npt.ArrayLike) -> Array:
    """Hoover index, 0 to (n - 1) / n: the share of clips that would have to move for an even spread.

    Supplementary Eq. 2. It is the largest vertical gap between the Lorenz curve and the diagonal.

    Raises:
        ValueError: as `gini`.
    """
    y = _checked(counts)
    value: Array = np.abs(y - y.mean(-1, keepdims=True)).sum(-1) / (2 * y.sum(-1))
    return value


def theil(counts: npt.ArrayLike) -> Array:
    """Theil's T, 0 to ln n, in nats: ln n minus the entropy of the shares.

    Raises:
        ValueError: as `gini`.
    """
    y = _checked(counts)
    value: Array = np.maximum(np.log(y.shape[-1]) - _entropy(y), 0.0)
    return value


def effective_classes(counts: npt.ArrayLike) -> Array:
    """Effective number of classes, 1 to n: exp of the entropy, the even classes that would be as diverse.

    Raises:
        ValueError: as `gini`.
    """
    return np.exp(_entropy(_checked(counts)))


def top10_share(counts: npt.ArrayLike) -> Array:
    """Share of clips that the largest 10 % of the classes hold, 0.1 to 1; of n < 10 classes at most n / 10.

    1 minus the Lorenz curve at 0.9, which is straight between classes: 10 % of 166 classes are 16.6 of them.

    Raises:
        ValueError: as `gini`.
    """
    y = -np.sort(-_checked(counts), axis=-1)
    wanted = 0.1 * y.shape[-1]
    whole = int(wanted)
    value: Array = (y[..., :whole].sum(-1) + (wanted - whole) * y[..., whole]) / y.sum(-1)
    return value


def lorenz(counts: npt.ArrayLike) -> Array:
    """Lorenz curve, smallest class first (supplementary section 6.2).

    Args:
        counts: (n,).
    Returns:
        float64 (n + 1, 2): share of classes, share of clips, from (0, 0) to (1, 1).
    Raises:
        ValueError: as `gini`, or more than one axis.
    """
    y = np.sort(_checked(counts))
    if y.ndim != 1:
        raise ValueError(f"expected counts of one data set (n,), got {y.shape}")
    cumulated = np.concatenate([[0.0], y.cumsum() / y.sum()])
    cumulated[-1] = 1.0
    return np.stack([np.arange(len(y) + 1) / len(y), cumulated], axis=1)


Measure = Callable[[npt.ArrayLike], Array]
MEASURES: dict[str, Measure] = {
    "gini": gini,
    "hoover": hoover,
    "theil": theil,
    "effective_classes": effective_classes,
    "top10_share": top10_share,
}
"""By the name that the JSON uses."""


def _entropy(y: Array) -> Array:
    """Shannon entropy of the shares in nats; a class without clips adds nothing."""
    share = y / y.sum(-1, keepdims=True)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    entropy: Array = -(share * logs).sum(-1)
    return entropy


def _checked(counts: Any) -> Array:
    y = np.asarray(counts, dtype=np.float64)
    if y.ndim == 0 or y.shape[-1] == 0:
        raise ValueError("expected the counts of one class or more")
    if not np.isfinite(y).all() or (y < 0).any():
        raise ValueError("expected counts of 0 or more")
    if (y > _LARGEST).any():
        raise ValueError(f"a count is too large to be one: more than {_LARGEST:g}")
    if (y.sum(-1) == 0).any():
        raise ValueError("expected one clip or more: all counts are 0")
    return y
