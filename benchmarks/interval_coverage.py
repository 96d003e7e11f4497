"""How often the 95 % intervals hold the true value: python benchmarks/interval_coverage.py [--measures gini hoover]

Draws many data sets of n classes whose sizes are lognormal, as uneven as the paper's (Gini 0.36). The truth is the
value that all classes there could be have, known by formula. BCa is cgtool's own interval (9,999 resamples); percentile
is the plain bootstrap of the same classes. Prints a Markdown table; Gini alone takes a few minutes on one core.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cityguessr_data.stats.inequality import MEASURES, Measure
from cityguessr_data.stats.intervals import interval

SIGMA = 0.661
TYPICAL = 340  # clips of the median class: rounding to whole clips then changes nothing
RESAMPLES = 1_999
_NORMAL = statistics.NormalDist()


@dataclass(frozen=True)
class Coverage:
    """Of one kind of interval over many data sets."""

    held: float
    """Share of intervals that hold the truth; 0.95 is meant."""
    below: float
    """Share that lies wholly below it."""
    width: float
    """Mean."""


def truth(name: str, n: int) -> float:
    """A measure of lognormal sizes without end; the effective number of classes is that of n of them."""
    theil = SIGMA**2 / 2
    return {
        "gini": math.erf(SIGMA / 2),
        "hoover": math.erf(SIGMA / math.sqrt(8)),
        "theil": theil,
        "effective_classes": n * math.exp(-theil),
        "top10_share": 1 - _NORMAL.cdf(_NORMAL.inv_cdf(0.9) - SIGMA),
    }[name]


def percentile(counts: npt.NDArray[np.float64], measure: Measure, rng: np.random.Generator) -> tuple[float, float]:
    """The plain bootstrap interval."""
    values = measure(rng.choice(counts, (RESAMPLES, len(counts))))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def summary(lows_highs: list[tuple[float, float]], true: float) -> Coverage:
    """Coverage of intervals."""
    low, high = np.array(lows_highs).T
    return Coverage(
        float(((low <= true) & (true <= high)).mean()), float((high < true).mean()), float((high - low).mean())
    )


def coverage(name: str, n: int, n_sets: int) -> tuple[float, Coverage, Coverage]:
    """Mean of a measure over data sets, and how its BCa and percentile intervals fare."""
    rng = np.random.default_rng([n, n_sets])
    values, bca, plain = [], [], []
    for _ in range(n_sets):
        counts = np.maximum(1, np.rint(TYPICAL * rng.lognormal(0, SIGMA, n)))
        found = interval(counts, MEASURES[name])
        if found.low is None or found.high is None:
            raise RuntimeError(f"no interval for {n} classes")
        values.append(found.value)
        bca.append((found.low, found.high))
        plain.append(percentile(counts, MEASURES[name], rng))
    true = truth(name, n)
    return statistics.fmean(values), summary(bca, true), summary(plain, true)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=[6, 10, 15, 20, 30, 40, 50, 60, 91, 157, 166])
    parser.add_argument("--sets", type=int, default=2_000)
    parser.add_argument("--measures", nargs="+", choices=list(MEASURES), default=["gini"])
    args = parser.parse_args()
    sys.stdout.write(
        "| measure | classes | truth | mean value | BCa holds truth | too low | width "
        "| percentile holds truth | too low | width |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    for name in args.measures:
        for n in args.classes:
            value, *both = coverage(name, n, args.sets)
            cells = " | ".join(f"{c.held:.1%} | {c.below:.1%} | {c.width:.3g}" for c in both)
            sys.stdout.write(f"| {name} | {n} | {truth(name, n):.3g} | {value:.3g} | {cells} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
