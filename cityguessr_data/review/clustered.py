"""A share with its interval, where the trials come in clusters: faces of one source video are found or missed together.

The exact interval of Clopper and Pearson, for as many trials as the clusters are worth: Korn and Graubard, "Confidence
intervals for proportions with small expected number of positive counts estimated from survey data", Survey Methodology
24 (1998), 193-201. The design effect is estimated between the clusters and never taken to be below 1; few clusters
widen the interval further, by the ratio of the t quantiles. Coverage as simulated: see `clustered_share`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
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
    """Independent trials that would tell as much, at most n."""
    low: float | None = None
    """Ends of the 95 % interval. None with fewer than two clusters, where nothing tells how much clusters differ."""
    high: float | None = None

    @property
    def value(self) -> float | None:
        """0 to 1."""
        return self.hits / self.n if self.n else None


def clustered_share(counts: Mapping[Hashable, tuple[int, int]]) -> Share:
    """The share of hits over all clusters, with its 95 % interval for other clusters of the same kind.

    Simulated with faces of 10 to 100 videos, 9 each on average, shares of 0.5 to 0.95, correlations within a video of
    0 to 0.3, 2,000 times each: the interval held the share in 91 to 99 % of cases (the plain exact one in 61 to 98 %).
    Of three videos it is very wide, and held it in 99 % or more.

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
    share = hits / n
    # The variance of a ratio over clusters drawn with replacement (Cochran, Sampling Techniques, section 11.8)
    variance = m / (m - 1) * sum((h - share * k) ** 2 for h, k in met) / n**2
    plain = share * (1 - share) / n
    # All hit, or none: no variance between clusters is seen, and that of independent trials is assumed
    effect = max(variance / plain, 1.0) if plain else 1.0
    half = (1 + LEVEL) / 2
    few = float(t.ppf(half, n - 1) / t.ppf(half, m - 1)) ** 2 if n > m else 1.0
    n_effective = n / effect * min(few, 1.0)
    low, high = exact_interval(share * n_effective, n_effective)
    return Share(hits, n, m, n_effective, low, high)


def exact_interval(hits: float, n: float) -> tuple[float, float]:
    """The 95 % interval of Clopper and Pearson (Biometrika 26, 1934), by the beta distribution; n may be broken."""
    from scipy.stats import beta

    tail = (1 - LEVEL) / 2
    misses = n - hits
    low = float(beta.ppf(tail, hits, misses + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, misses)) if misses > 1e-9 else 1.0
    return low, high
