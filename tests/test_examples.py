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
