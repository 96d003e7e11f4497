"""The registry of kinds."""

from __future__ import annotations

import pytest

from cityguessr_data.vision.kinds import KINDS, Kind, register


def test_faces_are_registered_with_the_thresholds_of_both_modes() -> None:
    assert dict(KINDS["face"].thresholds) == {"paper": 0.5, "strict": 0.2}
    assert callable(KINDS["face"].load_detector_factory())


def test_another_kind_can_follow_and_a_duplicate_raises() -> None:
    registry: dict[str, Kind] = {}
    plate = register(Kind("licence_plate", "collections:OrderedDict", {"paper": 0.4, "strict": 0.1}), registry)
    assert registry == {"licence_plate": plate}
    with pytest.raises(ValueError, match="registered twice"):
        register(plate, registry)


def test_a_threshold_below_what_is_recorded_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.05 to 1"):
        register(Kind("plate", "a:b", {"strict": 0.01}), {})
