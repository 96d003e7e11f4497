"""Which part each source goes to: pure rules over hashes, so that everyone gets the same split from the same data.

**Hash.** u = the first 53 bits of SHA-256("<seed>:<id>") over 2^53, a number in [0, 1) that looks random and depends on
nothing but the seed and the id. For val it is that of "<seed>:val:<id>".

**By source** (`held_out`), with the wanted test share p:

1. A city of n sources has the threshold t(n): the solution of t + (1 - t)^n / n = p, and 0 where n p <= 1. It grows
   with n towards p. (Rule 4 adds a stand-in with the chance (1 - t)^n; so the expected share of test is p.)
2. Of each city the source with the highest u stays in train (of one with kept train sources, these do).
3. Of the others, a source is in test where u is below the highest threshold of its cities.
4. A city that has no test source yet, fewest sources first, gets a stand-in: its source with the lowest u that leaves
   every city a train source. Where there is none the city has no test clips, and that is reported.

Val is taken by the same rules from the sources that are not in test, with the share val / (1 - test). So it is in each
of K folds (folds.py), where test is 1 / K.

**Adding sources.** What 2. and 3. put into test stays there whatever other sources are added: thresholds only grow,
and a source that is not the highest of its city never becomes it. A stand-in could be replaced by a newcomer with a
lower u. No rule that knows only the present sources can avoid that: if it never moves a test source to train and
covers every city of two sources, then of any two sources of a city one is always in test, and train has at most one
source a city. So memory is needed, and it is the split's file: the parts that it has are `kept`, and rules 1 to 4
place the new sources alone. A kept source moves neither to train nor to test.

**By clip** (`by_class`): in each city round(n p) clips, halves up, at least 1 and at most n - 1, those of the lowest u,
are test; the next round(n val), at least 1 where two are left, are val. (How the paper rounds is unknown.)
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..stats.leakage import PARTS

TRAIN, VAL, TEST = (PARTS.index(name) for name in ("train", "val", "test"))
NEW = -1
"""In `kept`: the rules decide."""

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]
Cities = Sequence[Collection[int]]
"""Of each source the numbers of the cities that it serves, one or more."""


def hashes(seed: int, ids: Sequence[str], salt: str = "") -> Floats:
    """(n,) u of each id, in [0, 1)."""
    digests = (hashlib.sha256(f"{seed}:{salt}{name}".encode()).digest() for name in ids)
    return np.array([int.from_bytes(digest[:8], "big") >> 11 for digest in digests], np.float64) / 2**53


def threshold(n: int, share: float) -> float:
    """t(n) of rule 1, in [0, share)."""
    if n * share <= 1:
        return 0.0
    low, high = 0.0, share
    for _ in range(60):
        t = (low + high) / 2
        low, high = (t, high) if t + (1 - t) ** n / n < share else (low, t)
    return low


def by_source(u: Floats, u_val: Floats, cities_of: Cities, test: float, val: float, kept: Codes | None = None) -> Codes:
    """Parts of sources, by the rules above.

    Args:
        u, u_val: (n,) hashes for test and for val; see `hashes`.
        cities_of: (n,) cities of each source.
        test, val: wanted shares of all clips.
        kept: (n,) part that a source has already, NEW where it has none; None: all are new.
    Returns:
        (n,) int8, index into PARTS.
    """
    kept = np.full(len(u), NEW, np.int8) if kept is None else kept
    parts = np.full(len(u), TRAIN, np.int8)
    parts[held_out(u, cities_of, test, np.where(kept == NEW, NEW, kept == TEST).astype(np.int8))] = TEST
    if val > 0:
        parts[validation(u_val, cities_of, val / (1 - test), parts == TEST, kept)] = VAL
    return parts


def validation(u_val: Floats, cities_of: Cities, share: float, in_test: Bools, kept: Codes) -> Bools:
    """(n,) which sources are val: `share` of those that are not in test. Arguments as in `by_source`."""
    left = np.flatnonzero(~in_test).tolist()
    state = np.where(kept[left] == NEW, NEW, kept[left] == VAL).astype(np.int8)
    chosen = np.zeros(len(u_val), bool)
    chosen[left] = held_out(u_val[left], [cities_of[i] for i in left], share, state)
    return chosen


def held_out(u: Floats, cities_of: Cities, share: float, kept: Codes | None = None) -> Bools:
    """(n,) which sources are held out, by rules 1 to 4.

    Args:
        kept: (n,) 1 where a source is held out already, 0 where it is not and stays so, NEW where the rules decide;
            None: all are new.
    """
    kept = np.full(len(u), NEW, np.int8) if kept is None else kept
    free = (kept == NEW).tolist()
    out = (kept == 1).tolist()
    order = np.argsort(u, kind="stable").tolist()  # ids are sorted: of equal u the lower id first
    sources_of: dict[int, list[int]] = defaultdict(list)
    for source in order:
        for city in cities_of[source]:
            sources_of[city].append(source)
    t = {n: threshold(n, share) for n in {len(sources) for sources in sources_of.values()}}

    highest = set()
    for sources in sources_of.values():
        new = [s for s in sources if free[s]]
        if new and all(free[s] or out[s] for s in sources):  # else a kept source is its train
            highest.add(new[-1])
    for s in order:
        if free[s] and s not in highest:
            out[s] = bool(u[s] < max(t[len(sources_of[city])] for city in cities_of[s]))

    n_train = Counter(city for s in order if not out[s] for city in cities_of[s])
    for city in sorted(sources_of, key=lambda c: (len(sources_of[c]), c)):
        if any(out[s] for s in sources_of[city]):
            continue
        for s in sources_of[city]:
            if free[s] and all(n_train[c] >= 2 for c in cities_of[s]):
                out[s] = True
                n_train.subtract(cities_of[s])
                break
    return np.array(out, bool)


def by_class(
    u: Floats, city_of: npt.NDArray[np.int64], test: float, val: float, kept: Codes | None = None
) -> npt.NDArray[np.int8]:
    """Parts of clips, each city divided by itself; arguments and result as in `by_source`, one city a clip."""
    kept = np.full(len(u), NEW, np.int8) if kept is None else kept
    parts = kept.copy()
    order = np.lexsort((u, city_of))
    for clips in np.split(order, np.flatnonzero(np.diff(city_of[order])) + 1):
        n = len(clips)
        n_test = _rounded(n, test, 1, n - 1)
        n_val = _rounded(n, val, 1, n - n_test - 1) if val > 0 else 0
        new = clips[kept[clips] == NEW]
        a = max(0, n_test - int((kept[clips] == TEST).sum()))
        b = max(0, n_val - int((kept[clips] == VAL).sum()))
        parts[new] = TRAIN
        parts[new[: a + b]] = VAL
        parts[new[:a]] = TEST
    return parts


def _rounded(n: int, share: float, low: int, high: int) -> int:
    """n times share, halves up, at least `low` and, which goes before, at most `high`; the share as it is written."""
    return max(0, min(high, max(low, int(n * Fraction(repr(share)) + Fraction(1, 2)))))
