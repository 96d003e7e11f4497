"""How far off: great-circle distance between the centre of the true city and that of the predicted one.

The shares within 1, 25, 200, 750 and 2,500 km are the street, city, region, country and continent levels of the im2gps
benchmarks (Hays and Efros 2008; Vo et al. 2017). GeoScore is the score of the game GeoGuessr, 5000 exp(-d / 1492.7 km),
as in PIGEON (Haas et al. 2024) and OpenStreetView-5M (Astruc et al. 2024), here on the mean Earth radius of 6,371.0088
km (they take 6,371 or 6,378). Here all places are city centres: a right city is 0 km off, and a share within 1 km is
city accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

EARTH_RADIUS_KM = 6371.0088  # mean radius R1 of the IUGG
WITHIN_KM = (1, 25, 200, 750, 2500)
GEOSCORE_MAX = 5000.0
GEOSCORE_SCALE_KM = 1492.7
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distances:
    """Distance errors of a level of cities. The figures are of `n` clips; the others are counted beside them."""

    n: int
    n_truth_unknown: int
    """Clips left out: the true city has no coordinates."""
    n_predicted_unknown: int
    """Clips left out: the true city has them, the predicted one has not. All of these are wrong, so the figures are a
    little too good where this is not 0."""
    mean_km: float
    median_km: float
    within: Mapping[int, float]
    """Share of clips that are at most so many km off, by km."""
    geoscore: float
    """Mean, 0 to 5,000."""


def great_circle_km(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    """Distance on a sphere by the haversine formula, sound for near and for opposite points.

    Args:
        a, b: (..., 2) latitude and longitude in degrees; NaN where unknown.
    Returns:
        float64 (...) km; NaN where a coordinate is.
    """
    lat_a, lon_a, lat_b, lon_b = (np.radians(np.asarray(p, np.float64)[..., i]) for p in (a, b) for i in (0, 1))
    squared = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    km: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(squared, 1)))  # rounding may pass 1
    return km


def errors_km(coordinates: Floats, predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> Floats:
    """How far off every clip is.

    Args:
        coordinates: (cities, 2) as `Classes.coordinates`.
        predicted, truth: (N,) city labels.
    Returns:
        float64 (N,) km; NaN where either city has no coordinates.
    Raises:
        ValueError: shapes that do not fit, or a label that is no city.
    """
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if coordinates.ndim != 2 or coordinates.shape[1] != 2 or predicted.ndim != 1 or predicted.shape != truth.shape:
        raise ValueError(
            f"expected (cities, 2), (N,) and (N,), got {coordinates.shape}, {predicted.shape}, {truth.shape}"
        )
    for labels in (predicted, truth):
        if len(labels) and (labels.min() < 0 or labels.max() >= len(coordinates)):
            raise ValueError(f"expected labels of 0 to {len(coordinates) - 1}, got {labels.min()} to {labels.max()}")
    return great_circle_km(coordinates[predicted], coordinates[truth])


def distances(
    coordinates: Floats, predicted: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]
) -> Distances | None:
    """Sum up the errors.

    Args:
        coordinates, predicted, truth: as for `errors_km`.
    Returns:
        None if no clip has coordinates on both sides.
    Raises:
        ValueError: as `errors_km`.
    """
    km = errors_km(coordinates, predicted, truth)
    unknown = np.isnan(coordinates[:, 0])
    truth_unknown = unknown[truth]
    known = km[~np.isnan(km)]
    if not len(known):
        return None
    return Distances(
        n=len(known),
        n_truth_unknown=int(truth_unknown.sum()),
        n_predicted_unknown=int((unknown[predicted] & ~truth_unknown).sum()),
        mean_km=float(known.mean()),
        median_km=float(np.median(known)),
        within={limit: float((known <= limit).mean()) for limit in WITHIN_KM},
        geoscore=float(geoscores(known).mean()),
    )


def geoscores(km: Floats) -> Floats:
    """GeoScore of distances in km; the same shape."""
    return GEOSCORE_MAX * np.exp(-km / GEOSCORE_SCALE_KM)
