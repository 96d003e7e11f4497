"""A share with its interval, where the trials come in clusters: faces of one source video are found or missed together.

The exact interval of Clopper and Pearson, for as many trials as the clusters are worth: Korn and Graubard, "Confidence
intervals for proportions with small expected number of positive counts estimated from survey data", Survey Methodology
24 (1998), 193-201; few clusters widen the interval further, by the ratio of the t quantiles. Near 0 and 1 this is too
narrow: the few clusters that would show how much they differ are often not in the sample. So the design effect is also
estimated with one more cluster of mean size, all of it missed or all of it hit, and the largest is taken. Coverage as
simulated: see `clustered_share`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95


@dataclass(frozen=True)
class Share:
    """`hits` of `n`; no figure where n is 0."""

    hits: int
    n: int
    n_clusters: int = 0
    """Those with a trial in them."""
    n_effective: float | None = None
    """Independent trials that would tell as much, at most n; at most n_clusters where all were hit, or none."""
    low: float | None = None
    """Ends of the 95 % interval. None with fewer than two clusters, where nothing tells how much clusters differ."""
    high: float | None = None

    @property
    def value(self) -> float | None:
        """0 to 1."""
        return self.hits / self.n if self.n else None


def clustered_share(counts: Mapping[Hashable, tuple[int, int]]) -> Share:
    """The share of hits over all clusters, with its 95 % interval for other clusters of the same kind.

    Simulated 2,000 times each: 10, 30 and 100 videos, correlations in a video of 0, 0.1, 0.3 and 0.5 (beta-binomial).
    * 9 faces a video (1 + Poisson), shares of 0.9, 0.95, 0.98 and 0.99: the interval held the share in 96.5 to 100.0 %
      of cases, the least at 0.9, 100 videos, 0.5. Share 0.98, 30 videos, 0.3: 99.6 %; 0.5: 99.7 %.
    * The same with shares of 0.5 and 0.8: 95.2 to 100.0 %.
    * Very uneven videos (lognormal, sigma 1, mean 9), shares as first: 94.2 to 100.0 %. Under 95 %: share 0.9 of 100
      videos at 0.3 (94.7 %) and 0.5 (94.2 %).
    * 3 and 5 videos, 9 faces each, shares of 0.9 and 0.98: 99.9 to 100.0 %.
    It is wide for that: in the first setting 37 to 45 points of 10 videos, 12 to 21 of 30, 4 to 10 of 100.

    Args:
        counts: cluster -> (hits, trials), 0 <= hits <= trials.
    Raises:
        ValueError: counts that are none.
    """
    from scipy.stats import t  # takes a third of a second

    if any(not 0 <= hits <= n for hits, n in counts.values()):
        raise ValueError("expected 0 <= hits <= trials in each cluster")
    met = [(hits, n) for hits, n in counts.values() if n]
    hits, n, m = sum(h for h, _ in met), sum(k for _, k in met), len(met)
    if m < 2:
        return Share(hits, n, m)
    mean = n / m
    effect = max(1.0, design_effect(met), design_effect([*met, (0.0, mean)]), design_effect([*met, (mean, mean)]))
    half = (1 + LEVEL) / 2
    few = float(t.ppf(half, n - 1) / t.ppf(half, m - 1)) ** 2 if n > m else 1.0
    n_effective = n / effect * min(few, 1.0)
    if hits in (0, n):
        n_effective = min(n_effective, m)
    low, high = exact_interval(hits / n * n_effective, n_effective)
    return Share(hits, n, m, n_effective, low, high)


def design_effect(met: Sequence[tuple[float, float]]) -> float:
    """The variance of the share between clusters, in times of what it were of independent trials; 0 of equal shares.

    That of a ratio over clusters drawn with replacement (Cochran, Sampling Techniques, section 11.8).

    Args:
        met: (hits, trials) of two clusters or more.
    """
    hits, n, m = sum(h for h, _ in met), sum(k for _, k in met), len(met)
    if hits in (0, n):
        return 0.0
    share = hits / n
    variance = m / (m - 1) * sum((h - share * k) ** 2 for h, k in met) / n**2
    return variance / (share * (1 - share) / n)


def exact_interval(hits: float, n: float) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson (Biometrika 26, 1934), by the beta distribution; n may be broken."""
    from scipy.stats import beta

    tail = (1 - LEVEL) / 2
    misses = n - hits
    low = float(beta.ppf(tail, hits, misses + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, misses)) if misses > 1e-9 else 1.0
    return low, high
