"""The preview page and sheet: what they show, what they leave out and say so, and that outside text stays text."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cityguessr_data.core.schemas import CLIPS, FACES, FRAMES, VIDEOS
from cityguessr_data.publish.preview import write_preview
from cityguessr_data.publish.preview_html import clock, text
from cityguessr_data.publish.preview_pick import Limits, spread
from cityguessr_data.publish.preview_sheet import COLUMNS

PLACES = [
    ("Asia", "Japan", "Tokyo"),
    ("Europe", "France", "Paris"),
    ("Asia", "United_Arab_Emirates", "Abu_Dhabi"),
]
COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]


class Page(HTMLParser):
    """What a browser would see of the page."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def put(out: Path, table: str, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    (out / "manifests").mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / "manifests" / f"{table}.parquet")


def make_out(
    out: Path,
    videos_per_city: int = 1,
    clips_per_video: int = 2,
    n_sampled: int = 4,
    size: tuple[int, int] = (160, 90),
    change: dict[str, Any] | None = None,
    title: str = "A walk",
) -> Path:
    """An output directory of uniformly coloured frames: the colour tells the city, its brightness the position."""
    videos, clips, frames, faces = [], [], [], []
    for (continent, country, city), colour in zip(PLACES, COLOURS, strict=True):
        for v in range(videos_per_city):
            video_id = f"{city}_{v}"
            videos.append(
                {"video_id": video_id, "url": "x", "n_clips": clips_per_video, "status": "done", "title": title}
            )
            for k in range(clips_per_video):
                clip_id = f"{video_id}_{k:05d}"
                uri = f"clips/{video_id}/{clip_id}"
                clip = {
                    "clip_id": clip_id, "video_id": video_id, "clip_index": k, "width": size[0], "height": size[1],
                    "city": city, "state": city, "country": country, "continent": continent, "n_sampled": n_sampled,
                    "frames_uri": uri, "fingerprint": "0" * 16, "start_s": 30.0 * k, "end_s": 30.0 * (k + 1),
                    "scene_majority": 15, "n_faces": 3, "blur": "paper",
                }  # fmt: skip
                clips.append(clip | (change or {}))
                (out / uri).mkdir(parents=True)
                for p in range(n_sampled):
                    path = f"{uri}/{p + 1:03d}.jpg"
                    level = (p + 1) / n_sampled
                    pixels = np.full((size[1], size[0], 3), np.array(colour) * level, np.uint8)
                    Image.fromarray(pixels).save(out / path, quality=95)
                    frames.append({"clip_id": clip_id, "position": p, "path": path})
                for blurred in (True, True, True, False):
                    box = {"x0": 1.0, "y0": 1.0, "x1": 9.0, "y1": 9.0, "score": 0.9}
                    face = {"kind": "face", "origin": "detected", "blurred": blurred, "review": "pending"}
                    faces.append({"clip_id": clip_id, "position": 0, **box, **face})
    put(out, "videos", videos, VIDEOS)
    put(out, "clips", clips, CLIPS)
    put(out, "frames", frames, FRAMES)
    put(out, "faces", faces, FACES)
    return out


def read_page(out: Path) -> Page:
    return Page((out / "preview.html").read_text(encoding="utf-8"))


def picture(src: str | None) -> Image.Image:
    assert src is not None
    head, data = src.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_counts_places_and_one_card_a_clip(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set"))
    page = read_page(tmp_path / "set")
    for words in ("3 cities", "3 videos", "6 clips", "24 frames", "18 faces blurred"):
        n, name = words.split(" ", 1)
        assert re.search(rf"\b{name} {n}\b", page.text), words
    assert len(page.all("figure")) == 6
    assert "Abu Dhabi United Arab Emirates · 2 clips" in page.text
    assert "0:30–1:00 · commercial city · 3 faces blurred" in page.text
    order = [page.text.index(name) for name in ("Abu Dhabi", "Tokyo", "Paris")]  # Asia, then Europe
    assert order == sorted(order)
    assert all(attrs["alt"] for attrs in page.all("img"))


def test_the_picture_is_the_middle_frame_of_its_clip(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set", n_sampled=5))
    for attrs in read_page(tmp_path / "set").all("img"):
        city = next(i for i, (*_, name) in enumerate(PLACES) if name.replace("_", " ") in str(attrs["alt"]))
        seen = np.asarray(picture(attrs["src"]).convert("RGB")).mean(axis=(0, 1))
        assert seen == pytest.approx(np.array(COLOURS[city]) * 3 / 5, abs=6)  # position 2 of 0-4


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set", size=(1280, 720)))
    page = read_page(tmp_path / "set")
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "source", "video", "base"})
    for _, attrs in page.tags:
        for name, value in attrs.items():
            assert not name.startswith("on")
            assert not re.match(r"\s*(https?:|//)", value or "")
    assert "@import" not in page.text and "url(" not in page.text
    assert max(picture(attrs["src"]).size[0] for attrs in page.all("img")) <= 320
    assert any("default-src 'none'" in str(attrs.get("content")) for attrs in page.all("meta"))


def test_outside_text_stays_text(tmp_path: Path) -> None:
    title = '<script>alert(1)</script> & "q"\x1b[31m \u202egnp.exe\u202c <img src=x onerror=y>'
    change = {"city": "<b>X</b>", "country": '"><script>1</script>', "continent": "A'B<i>"}
    write_preview(make_out(tmp_path / "<set>", title=title, change=change))
    page = read_page(tmp_path / "<set>")
    assert page.all("script") == [] and page.all("i") == []
    assert all(set(attrs) == {"src", "width", "height", "alt", "decoding"} for attrs in page.all("img"))
    assert "<script>alert(1)</script>" in page.text and "<b>X</b>" in page.text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page.text)


def test_text_is_shortened_and_keeps_other_scripts() -> None:
    assert text("東京 散歩 — Zürich") == "東京 散歩 — Zürich"
    assert len(text("x" * 500)) == 100
    assert text("a\nb\tc\u2028d") == "a b c d"


def test_caps_are_kept_and_said(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set", videos_per_city=2, clips_per_video=3), Limits(clips_per_city=2))
    page = read_page(tmp_path / "set")
    assert len(page.all("figure")) == 6
    assert "Tokyo Japan · 2 of 6 clips" in page.text
    assert "6 of 18 clips" in page.text
    for city in ("Tokyo", "Paris"):  # one clip of each video rather than two of one
        assert f"{city}_0_00000" in page.text and f"{city}_1_00000" in page.text


def test_the_page_stays_small(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set"), Limits(page_bytes=1))
    page = read_page(tmp_path / "set")
    assert len(page.all("img")) == 1
    assert page.text.count("left out: this page is full") == 5


def test_more_cities_than_pictures(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set"), Limits(pictures=2))
    page = read_page(tmp_path / "set")
    assert len(page.all("figure")) == 2
    assert "Paris France · 0 of 2 clips" in page.text


def test_no_clips_at_all(tmp_path: Path) -> None:
    for tables in (False, True):
        if tables:
            for name, schema in (("videos", VIDEOS), ("clips", CLIPS), ("frames", FRAMES), ("faces", FACES)):
                put(tmp_path, name, [], schema)
        write_preview(tmp_path)
        page = read_page(tmp_path)
        assert "There are no clips yet" in page.text and page.all("figure") == []
        with Image.open(tmp_path / "preview.jpg") as sheet:
            assert sheet.format == "JPEG"


def test_null_scenes_spans_and_faces(tmp_path: Path) -> None:
    change = {"scene_majority": None, "start_s": None, "end_s": None, "n_faces": None}
    write_preview(make_out(tmp_path / "set", change=change))
    page = read_page(tmp_path / "set")
    assert "None" not in page.text and "commercial" not in page.text
    assert len(page.all("img")) == 6


def test_what_is_not_anonymised_is_never_copied(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "set", change={"blur": None}))
    page = read_page(tmp_path / "set")
    assert page.all("img") == [] and page.text.count("not anonymised yet") == 6
    with Image.open(tmp_path / "set" / "preview.jpg") as sheet:
        assert saturated(sheet) == 0


def test_frames_outside_missing_or_broken(tmp_path: Path) -> None:
    out = make_out(tmp_path / "set")
    Image.new("RGB", (160, 90), (255, 0, 255)).save(tmp_path / "secret.jpg")
    frames = pq.read_table(out / "manifests/frames.parquet").to_pylist()
    for row in frames:
        if row["clip_id"].startswith("Tokyo"):
            row["path"] = "../secret.jpg"
        elif row["clip_id"].startswith("Paris"):
            row["path"] = str(tmp_path / "secret.jpg")
        else:
            (out / row["path"]).write_bytes(b"no picture")
    put(out, "frames", frames, FRAMES)
    write_preview(out)
    page = read_page(out)
    assert page.all("img") == []
    assert page.text.count("not a file of this folder") == 4 and page.text.count("cannot be read") == 2


def saturated(sheet: Image.Image) -> int:
    """How many px are strongly coloured: only frames are."""
    pixels = np.asarray(sheet.convert("RGB")).astype(int)
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 60).sum())


def test_sheet_has_a_row_a_city_and_a_capped_number_of_columns(tmp_path: Path) -> None:
    write_preview(make_out(tmp_path / "few", clips_per_video=2, size=(320, 180)))
    write_preview(make_out(tmp_path / "many", clips_per_video=COLUMNS + 3, size=(320, 180)))
    with Image.open(tmp_path / "few/preview.jpg") as few, Image.open(tmp_path / "many/preview.jpg") as many:
        cell = 192 * 108
        assert saturated(few) == pytest.approx(3 * 2 * cell, rel=0.03)
        assert saturated(many) == pytest.approx(3 * COLUMNS * cell, rel=0.03)
        assert few.height == many.height
        pixels = np.asarray(few.convert("RGB")).astype(int)
    strongest = pixels.argmax(axis=2)[:, 300]
    coloured = pixels.max(axis=2)[:, 300] - pixels.min(axis=2)[:, 300] > 60
    rows = [int(c) for i, c in enumerate(strongest) if coloured[i] and (i == 0 or not coloured[i - 1])]
    assert rows == [2, 0, 1]  # Abu Dhabi blue, Tokyo red, then Europe: Paris green


def test_it_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    out = make_out(tmp_path / "set")
    before = {p.name for p in out.iterdir()}
    write_preview(out)
    first = (out / "preview.html").read_bytes(), (out / "preview.jpg").read_bytes()
    write_preview(out)
    assert ((out / "preview.html").read_bytes(), (out / "preview.jpg").read_bytes()) == first
    assert {p.name for p in out.iterdir()} == before | {"preview.html", "preview.jpg"}


def test_spread_takes_videos_in_turn() -> None:
    rows = [{"video_id": v, "clip_index": k} for v, k in [("b", 0), ("a", 0), ("a", 1), ("a", 2), ("b", 7)]]
    assert [(r["video_id"], r["clip_index"]) for r in spread(rows)] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("b", 7),
        ("a", 2),
    ]


def test_clips_whose_source_is_lost_are_shown_and_are_no_video(tmp_path: Path) -> None:
    out = make_out(tmp_path / "out")
    table = out / "manifests/clips.parquet"
    rows = pq.read_table(table).to_pylist()
    for row in rows[1:3]:  # one of Tokyo, one of Paris
        row["video_id"] = None
    put(out, "clips", rows, CLIPS)
    write_preview(out)
    page = Page((out / "preview.html").read_text())
    assert len(page.all("img")) == len(rows)
    assert "videos 3 clips" in page.text


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (59.99, "0:59"), (61, "1:01"), (3723.4, "1:02:03")])
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_it_does_not_import_torch() -> None:
    code = "import sys, cityguessr_data.publish.preview; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
