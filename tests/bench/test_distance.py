"""Distances against an independent formula, a peer library and places whose distance is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import haversine_distances

from cityguessr_bench.distance import distances, errors_km, geoscores, great_circle_km

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
RADIUS_KM = 6371.0088
UNKNOWN = (math.nan, math.nan)


def angle_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """By the angle between two vectors from the Earth's centre: atan2 of cross and dot product."""
    x, y = (
        np.array([math.cos(math.radians(lat)) * math.cos(math.radians(lon)),
                  math.cos(math.radians(lat)) * math.sin(math.radians(lon)),
                  math.sin(math.radians(lat))])
        for lat, lon in (a, b)
    )  # fmt: skip
    return RADIUS_KM * math.atan2(float(np.linalg.norm(np.cross(x, y))), float(x @ y))


@settings(deadline=None)
@given(points, points)
def test_against_the_angle_between_vectors(a: tuple[float, float], b: tuple[float, float]) -> None:
    found = float(great_circle_km(np.array(a), np.array(b)))
    assert found == pytest.approx(angle_km(a, b), abs=1e-3)  # a metre: the haversine is this coarse near antipodes
    assert found == pytest.approx(float(great_circle_km(np.array(b), np.array(a))), abs=1e-9)


def test_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform((-90, -180), (90, 180), (200, 2)), rng.uniform((-90, -180), (90, 180), (200, 2))
    expected = np.diagonal(haversine_distances(np.radians(a), np.radians(b))) * RADIUS_KM
    assert great_circle_km(a, b) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "km", "within"),
    [
        ((90, 0), (0, 17), 10_007.557, 0.001),  # a quarter of the circumference, 2 pi 6371.0088 / 4
        ((0, 0), (0, 180), 20_015.115, 0.001),
        ((12, 20), (-12, -160), 20_015.115, 0.001),  # opposite, where rounding takes the haversine above 1
        ((10, 179.5), (10, -179.5), 109.504, 0.01),  # across the date line: cos 10 of a degree, less the short cut
        ((51.5074, -0.1278), (40.7128, -74.0060), 5_570, 1),  # London, New York
        ((48.8566, 2.3522), (52.52, 13.405), 877.5, 1),  # Paris, Berlin
        ((-33.8688, 151.2093), (-37.8136, 144.9631), 713.4, 1),  # Sydney, Melbourne
    ],
)
def test_known_distances(a: tuple[float, float], b: tuple[float, float], km: float, within: float) -> None:
    assert float(great_circle_km(np.array(a), np.array(b))) == pytest.approx(km, abs=within)


# London, Paris (344 km), Berlin (932 km from London, 878 from Paris), a city that nobody has coordinates for.
CITIES = np.array([(51.5074, -0.1278), (48.8566, 2.3522), (52.52, 13.405), UNKNOWN])


def test_summary_by_hand() -> None:
    found = distances(CITIES, predicted=np.array([0, 0, 0, 1]), truth=np.array([0, 1, 2, 1]))
    assert found is not None
    km = [0.0, angle_km(*map(tuple, CITIES[:2])), angle_km(*map(tuple, CITIES[[0, 2]])), 0.0]  # type: ignore[arg-type]
    assert (found.n, found.n_truth_unknown, found.n_predicted_unknown) == (4, 0, 0)
    assert found.mean_km == pytest.approx(sum(km) / 4)
    assert found.median_km == pytest.approx(km[1] / 2)  # of 0, 0, 344, 932
    assert found.within == {1: 0.5, 25: 0.5, 200: 0.5, 750: 0.75, 2500: 1.0}
    assert found.geoscore == pytest.approx(sum(5000 * math.exp(-d / 1492.7) for d in km) / 4)


@pytest.mark.parametrize("limit", [1, 25, 200, 750, 2500])
def test_shares_within_a_distance(limit: int) -> None:
    degree_km = 2 * math.pi * RADIUS_KM / 360
    equator = np.array([(0, 0), (0, 0.99 * limit / degree_km), (0, 1.01 * limit / degree_km)])
    found = distances(equator, predicted=np.array([0, 1, 2, 2]), truth=np.zeros(4, int))
    assert found is not None
    assert found.within[limit] == 0.5
    assert all(share == (1 if km > limit else 0.25) for km, share in found.within.items() if km != limit)


def test_geoscore_at_known_distances() -> None:
    assert geoscores(np.array([0, 1492.7])) == pytest.approx([5000, 5000 / math.e])
    assert geoscores(np.array([1492.7 * math.log(2)])) == pytest.approx([2500])


def test_cities_without_coordinates_are_counted_and_left_out() -> None:
    found = distances(CITIES, predicted=np.array([0, 3, 3, 0, 1]), truth=np.array([0, 3, 0, 3, 0]))
    assert found is not None
    assert (found.n, found.n_truth_unknown, found.n_predicted_unknown) == (2, 2, 1)
    assert found.within[1] == 0.5
    assert not math.isnan(found.mean_km)
    assert np.isnan(errors_km(CITIES, np.array([3]), np.array([3]))).all()
    assert distances(CITIES, np.array([3, 0]), np.array([0, 3])) is None


def test_what_does_not_fit() -> None:
    for predicted, truth, says in (
        ([4], [0], "expected labels of 0 to 3"),
        ([0], [-1], "expected labels"),
        ([0], [0, 0], "expected"),
    ):
        with pytest.raises(ValueError, match=says):
            errors_km(CITIES, np.array(predicted), np.array(truth))
