"""How many workers a cluster gets and what each reserves; expected values worked out by hand."""

from __future__ import annotations

import pytest

from cityguessr_data.run.on_ray.shape import Shape, shape_of

GIB = 1 << 30


@pytest.mark.parametrize(
    ("nodes", "workers", "device", "shape"),
    [
        # a core each, as far as there are 2 GiB for each: 8, and 3 of 8
        ([{"CPU": 8, "memory": 64 * GIB}, {"CPU": 8, "memory": 7 * GIB}], None, "auto", Shape(11, 1, 0.0)),
        ([{"CPU": 1, "memory": 1 * GIB}], None, "auto", Shape(1, 1, 0.0)),
        # a head that computes nothing
        ([{"memory": 64 * GIB}, {"CPU": 2, "memory": 64 * GIB}], None, "auto", Shape(2, 1, 0.0)),
        # nobody there yet: one waits, for an autoscaler to see
        ([{"memory": 64 * GIB}], None, "auto", Shape(1, 1, 0.0)),
        ([], 5, "auto", Shape(5, 1, 0.0)),
        # fewer workers than cores: each has its share, but never more than a node has
        ([{"CPU": 8}, {"CPU": 8}], 4, "auto", Shape(4, 4, 0.0)),
        ([{"CPU": 4}, {"CPU": 4}], 1, "auto", Shape(1, 4, 0.0)),
        # the share is one with which all have room at once: 2 of 16 is one worker, with a core to spare on the other
        ([{"CPU": 16}] * 3, 4, "auto", Shape(4, 8, 0.0)),
        ([{"CPU": 16}, {"CPU": 4}], 2, "auto", Shape(2, 8, 0.0)),
        ([{"CPU": 15}] + [{"CPU": 16}] * 3, 16, "auto", Shape(16, 3, 0.0)),
        ([{"CPU": 16}] * 20, 160, "auto", Shape(160, 2, 0.0)),
        # as many as that, though there is no room for them yet
        ([{"CPU": 2}], 5, "auto", Shape(5, 1, 0.0)),
        ([{"CPU": 32, "GPU": 1}, {"CPU": 8, "GPU": 1}], None, "auto", Shape(8, 2, 0.25)),
        ([{"CPU": 2, "GPU": 1}, {"CPU": 64, "GPU": 1}], None, "auto", Shape(6, 1, 0.25)),
        # four on each GPU, on the nodes that have one, with their cores shared out
        ([{"CPU": 16, "GPU": 2}, {"CPU": 64}], None, "auto", Shape(8, 2, 0.25)),
        ([{"CPU": 2, "GPU": 1}], None, "cuda", Shape(2, 1, 0.25)),
        ([{"CPU": 16, "GPU": 2, "memory": 64 * GIB}], None, "cpu", Shape(16, 1, 0.0)),
    ],
)
def test_shape(nodes: list[dict[str, float]], workers: int | None, device: str, shape: Shape) -> None:
    assert shape_of(nodes, workers, device) == shape
