"""F_t: means over the hierarchy by hand, and the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from cityguessr_bench.text_targets import as_text, text_targets
from cityguessr_data.core.types import Level


@dataclass
class Places:
    """Three cities in two states of two countries; one name, Rio, at two levels."""

    names: dict[Level, tuple[str, ...]] = field(
        default_factory=lambda: {
            "city": ("Rio", "Abu_Dhabi", "Niteroi"),
            "state": ("Gulf", "Rio"),
            "country": ("Brazil", "Emirates"),
            "continent": ("Asia", "America"),
        }
    )
    parents: dict[Level, npt.NDArray[np.int32]] = field(
        default_factory=lambda: {
            "city": np.array([1, 0, 1], np.int32),
            "state": np.array([1, 0], np.int32),
            "country": np.array([1, 0], np.int32),
        }
    )


class Fixed:
    """One vector a text, from a table, and a count of what was asked."""

    digest = "d0"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.asked += texts
        return np.array([VECTORS[text] for text in texts], np.float32)


VECTORS = {
    "Rio": (1, 0),
    "Abu Dhabi": (0, 1),
    "Niteroi": (5, 5),
    "Gulf": (2, 2),
    "Brazil": (4, 0),
    "Emirates": (0, 8),
    "Asia": (-2, 0),
    "America": (0, -4),
}


def test_mean_over_the_hierarchy_by_hand() -> None:
    encoder = Fixed()
    found = text_targets(Places(), encoder)
    rio = [(1 + 1 + 4 + 0) / 4, (0 + 0 + 0 - 4) / 4]
    abu_dhabi = [(0 + 2 + 0 - 2) / 4, (1 + 2 + 8 + 0) / 4]
    niteroi = [(5 + 1 + 4 + 0) / 4, (5 + 0 + 0 - 4) / 4]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [rio, abu_dhabi, niteroi])
    assert sorted(encoder.asked) == sorted(VECTORS)  # each text once, though Rio stands at two levels


def test_city_alone() -> None:
    encoder = Fixed()
    np.testing.assert_array_equal(text_targets(Places(), encoder, "city"), [(1, 0), (0, 1), (5, 5)])
    assert sorted(encoder.asked) == ["Abu Dhabi", "Niteroi", "Rio"]


def test_names_as_text() -> None:
    assert [as_text(name) for name in ("Abu_Dhabi", "Rio", "_New__York_")] == ["Abu Dhabi", "Rio", "New York"]


def test_cache_is_used_and_knows_what_decides_it(tmp_path: Path) -> None:
    encoder = Fixed()
    first = text_targets(Places(), encoder, cache=tmp_path)
    asked = len(encoder.asked)
    np.testing.assert_array_equal(text_targets(Places(), encoder, cache=tmp_path), first)
    assert len(encoder.asked) == asked
    assert len(list(tmp_path.iterdir())) == 1

    moved = Places()
    moved.parents["city"] = np.array([1, 0, 0], np.int32)
    renamed = Places()
    renamed.names["city"] = ("Niteroi", "Abu_Dhabi", "Rio")
    other = Fixed()
    other.digest = "d1"
    for places, asks, strategy in (
        (moved, encoder, "all"),
        (renamed, encoder, "all"),
        (Places(), other, "all"),
        (Places(), encoder, "city"),
    ):
        before = len(asks.asked)
        found = text_targets(places, asks, strategy, cache=tmp_path)
        np.testing.assert_array_equal(found, text_targets(places, Fixed(), strategy))
        assert len(asks.asked) > before
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY rubbish", b"PK\x03\x04"])
def test_a_broken_cache_is_made_again(tmp_path: Path, content: bytes) -> None:
    first = text_targets(Places(), Fixed(), cache=tmp_path)
    path = next(tmp_path.iterdir())
    path.write_bytes(content)
    np.testing.assert_array_equal(text_targets(Places(), Fixed(), cache=tmp_path), first)
    np.testing.assert_array_equal(np.load(path), first)


def test_what_is_no_strategy_and_no_vector() -> None:
    with pytest.raises(ValueError, match="all or city"):
        text_targets(Places(), Fixed(), "state")  # type: ignore[arg-type]
    broken = Fixed()
    broken.encode = lambda texts: np.zeros((1, 2), np.float32)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"expected vectors \(8, d_t\)"):
        text_targets(Places(), broken)
