"""The example's own arithmetic: colour histograms, and when the bar is missed. The whole way runs in `make torture`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module", params=["colour_baseline", "check_bar"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    sys.path.insert(0, str(EXAMPLES))
    try:
        spec = importlib.util.spec_from_file_location(request.param, EXAMPLES / f"{request.param}.py")
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    finally:
        sys.path.remove(str(EXAMPLES))
    return made


@pytest.mark.parametrize("module", ["colour_baseline"], indirect=True)
def test_a_histogram_is_numpys(module: ModuleType) -> None:
    clip = np.random.default_rng(0).integers(0, 256, (3, 3, 10, 12), dtype=np.uint8)
    pixels = clip.transpose(0, 2, 3, 1).reshape(-1, 3)
    expected, _ = np.histogramdd(pixels, bins=8, range=[(0, 256)] * 3)
    np.testing.assert_allclose(module.histogram(clip), expected.ravel() / len(pixels))


@pytest.mark.parametrize("module", ["nuisance"], indirect=True)
def test_the_nearest_nuisance_is_scikit_learns(module: ModuleType) -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(3)
    vectors, cities = rng.normal(size=(90, 5)) * [1, 50, 0.01, 1, 1], rng.choice(["Rome", "Oslo", "Lima"], 90)
    part = np.where(np.arange(90) % 4 == 0, "test", "train")
    scaled = StandardScaler().fit_transform(vectors)
    peer = KNeighborsClassifier(1).fit(scaled[part == "train"], cities[part == "train"])
    expected = peer.score(scaled[part == "test"], cities[part == "test"])
    assert module.nearest_accuracy(vectors, cities, part) == pytest.approx(expected)
    constant = np.concatenate([vectors, np.ones((90, 1))], axis=1)  # a nuisance that never varies counts for nothing
    assert module.nearest_accuracy(constant, cities, part) == pytest.approx(expected)


@pytest.mark.parametrize("module", ["nuisance"], indirect=True)
def test_the_share_between_cities_is_that_of_an_analysis_of_variance(module: ModuleType) -> None:
    from scipy.stats import f_oneway

    rng = np.random.default_rng(4)
    cities, values = rng.choice(["Rome", "Oslo", "Lima"], 40), rng.normal(size=40)
    f = f_oneway(*(values[cities == city] for city in ("Rome", "Oslo", "Lima"))).statistic
    expected = f * 2 / (f * 2 + 37)  # eta squared of an F with 2 and 37 degrees of freedom
    assert module.share_by_city(values, cities) == pytest.approx(expected)


@pytest.mark.parametrize("module", ["check_bar"], indirect=True)
@pytest.mark.parametrize(
    ("city", "colour", "shuffled", "held"),
    [
        (0.69, 0.15, (0.02, 0.23), [True, True, True]),
        (0.59, 0.15, (0.02, 0.23), [False, True, True]),
        (0.69, 0.35, (0.02, 0.23), [True, False, True]),
        (0.69, 0.15, (0.09, 0.23), [True, True, False]),
        (0.69, 0.15, (0.0, 0.08), [True, True, False]),
    ],
)
def test_the_bar(
    module: ModuleType, city: float, colour: float, shuffled: tuple[float, float], held: list[bool]
) -> None:
    trained = {"value": city, "low_videos": 0.5, "high_videos": 0.9}
    control = {"value": 0.1, "low_videos": shuffled[0], "high_videos": shuffled[1]}
    assert list(module.verdicts(trained, control, colour, 1 / 12).values()) == held
