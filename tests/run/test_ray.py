"""The Ray engine on a real cluster, in a network of its own: see ray_cases.py, where the contract's tests run too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support_ray import run_in_own_network


@pytest.mark.timeout(900)
def test_the_contract_and_builds_on_a_cluster_whose_nodes_and_drivers_die(detector_weights: Path) -> None:
    done = run_in_own_network(
        "tests/run/ray_cases.py", env={"CGTOOL_WEIGHTS": str(detector_weights.parent)}, timeout_s=800
    )
    assert done.returncode == 0, done.stdout
    assert "11 passed" in done.stdout, done.stdout
