"""Accuracies for the tests of the audit, the same at every level and mode."""

from __future__ import annotations

from typing import Any

from cityguessr_bench.audit.results import MODES
from cityguessr_bench.results import Estimate
from cityguessr_data.core.types import LEVELS


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, None, None, low, high)


def figures(value: float, low: float, high: float) -> Any:
    return {mode: dict.fromkeys(LEVELS, estimate(value, low, high)) for mode in MODES}
