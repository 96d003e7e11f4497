"""The eye of the fault tests sees a face in every form in which a fault may leave one, and none where it is blurred."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from cityguessr_data.publish.preview_html import page
from cityguessr_data.publish.preview_pick import Card, City, Picked, _small
from cityguessr_data.publish.preview_sheet import contact_sheet
from tests.support_kill import Eye, Pixels


@pytest.fixture(scope="module")
def eye(face_film: Path) -> Eye:
    return Eye(face_film)


def jpeg(rgb: Pixels, quality: int = 85, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def png(rgb: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def resized(rgb: Pixels, width: int, height: int) -> bytes:
    return jpeg(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA))


def tarred(rgb: Pixels) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a.jpg", "b.jpg"):
            member = tarfile.TarInfo(name)
            content = jpeg(rgb if name == "b.jpg" else np.zeros_like(rgb))
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def picked(rgb: Pixels) -> Picked:
    small, size = _small(jpeg(rgb), 320)
    card = Card("x_00000", "a", 0.0, 1.0, None, 1, small, size, "")
    return Picked("x", 1, 1, 1, 1, (City("Oslo", "Norway", "Europe", 1, (card,)),))


def cut(content: bytes, part: float) -> bytes:
    return content[: int(part * len(content))]


FORMS: dict[str, Callable[[Pixels], bytes]] = {
    "JPEG": jpeg,
    "JPEG, coarse": lambda rgb: jpeg(rgb, 50),
    "JPEG of another size": lambda rgb: resized(rgb, 319, 239),
    "small JPEG": lambda rgb: resized(rgb, 160, 120),
    "JPEG that breaks off at three quarters": lambda rgb: cut(jpeg(rgb), 0.75),
    "progressive JPEG that breaks off": lambda rgb: cut(jpeg(rgb, progressive=True), 0.75),
    "JPEG behind something": lambda rgb: b"something" * 1000 + jpeg(rgb),
    "tar": tarred,
    "tar that breaks off": lambda rgb: cut(tarred(rgb), 0.85),
    "PNG": png,
    "contact sheet": lambda rgb: contact_sheet(picked(rgb)),
    "page": lambda rgb: page(picked(rgb)).encode(),
    "page that breaks off": lambda rgb: cut(b"<img src='data:image/jpeg;base64," + base64.b64encode(jpeg(rgb)), 0.75),
    "pixels": lambda rgb: b"x" + rgb.tobytes(),
    "pixels, blue first": lambda rgb: rgb[..., ::-1].tobytes(),
    "pixels that break off": lambda rgb: cut(rgb.tobytes(), 0.75),
}


@pytest.mark.parametrize("frame", [0, 30, 59])
@pytest.mark.parametrize("form", FORMS)
def test_the_eye_sees_the_face_and_not_a_blurred_one(eye: Eye, tmp_path: Path, form: str, frame: int) -> None:
    sharp = eye.originals[frame].astype(np.uint8)
    blurred = sharp.copy()
    box = np.s_[60:170, 20 + 3 * frame : 120 + 3 * frame]
    blurred[box] = cv2.GaussianBlur(sharp, (31, 31), 0)[box]
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x").write_bytes(FORMS[form](blurred))
    assert eye.sharp(tmp_path) == []
    (tmp_path / ".hidden" / "x").write_bytes(FORMS[form](sharp))
    assert len(eye.sharp(tmp_path)) == 1


def test_a_video_is_told_whatever_it_shows(eye: Eye, face_film: Path, tmp_path: Path) -> None:
    (tmp_path / "half.partial").write_bytes(face_film.read_bytes()[:2000])
    assert eye.sharp(tmp_path) == [f"{tmp_path}/half.partial is a video"]
