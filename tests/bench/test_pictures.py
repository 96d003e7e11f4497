"""Frames as pictures of a page: the right ones in the right colours, and never more bytes than allowed."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest

from cityguessr_bench.page.pictures import Pictures, strip
from cityguessr_bench.page.report import report
from tests.support_report import frames, hostile


class TestPictures:
    def test_strip_shows_start_middle_and_end_in_their_colours(self) -> None:
        clip = np.zeros((9, 3, 32, 32), np.uint8)
        clip[1, 0], clip[4, 1], clip[7, 2] = 255, 255, 255  # red, green, blue
        picture = strip(clip, "words")
        encoded = np.frombuffer(base64.b64decode(picture.source.split(",")[1]), np.uint8)
        decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)[:, :, ::-1]
        assert decoded.shape == (32, picture.width_px, 3) and picture.width_px == 3 * 32 + 2 * 3
        for i in range(3):
            assert int(np.argmax(decoded[16, 16 + i * 35])) == i

    def test_budget_is_kept_and_said(self) -> None:
        size = len(strip(frames("x"), "").source)
        pictures = Pictures(frames, 2 * size + 10)
        made = [pictures.of("x", "") for _ in range(5)]
        assert [picture is None for picture in made] == [False, False, True, True, True]
        assert pictures.note == "Left out to keep the page small: 3 pictures, all after the first 2."
        markup = report(*hostile(), frames, 2 * size + 10)
        sizes = [len(source) for source in re.findall('<img src="([^"]*)"', markup)]
        assert 0 < sum(sizes) <= 2 * size + 10
        assert "Left out to keep the page small: " in markup

    def test_no_frames(self) -> None:
        assert Pictures(None).of("x", "") is None

    @pytest.mark.parametrize(
        "wrong", [np.zeros((2, 3, 4), np.uint8), np.zeros((2, 4, 4, 3), np.uint8), np.zeros((2, 3, 4, 4))]
    )
    def test_other_shapes_are_refused(self, wrong: np.ndarray) -> None:
        with pytest.raises(ValueError, match="expected uint8 frames"):
            strip(wrong, "")
