"""The contact sheet: one row a city, one frame a clip, grouped by continent like the paper's supplementary Fig. 3."""

from __future__ import annotations

import io
import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING

from .preview_pick import City, Picked

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

COLUMNS = 6
MAX_ROWS = 200
"""With its headings such a sheet is under 25,000 px high; a JPEG can have 65,535."""

_CELL_W, _CELL_H, _GAP, _LABEL_W, _EDGE = 192, 108, 6, 210, 24
_HEADING_H, _TOP_H = 46, 84
_PAPER, _INK, _SOFT, _EMPTY = (251, 250, 247), (29, 28, 26), (102, 98, 90), (225, 222, 214)


def contact_sheet(picked: Picked) -> bytes:
    """The sheet as JPEG: at most `COLUMNS` clips of at most `MAX_ROWS` cities; its heading says what is left out."""
    from PIL import Image, ImageDraw

    cities = [city for city in picked.cities if city.cards][:MAX_ROWS]
    columns = max((min(COLUMNS, len(city.cards)) for city in cities), default=0)
    groups = [(name, list(group)) for name, group in groupby(cities, key=lambda city: city.continent)]
    width = max(900, 2 * _EDGE + _LABEL_W + columns * (_CELL_W + _GAP))
    height = _TOP_H + _EDGE + len(groups) * _HEADING_H + max(1, len(cities)) * (_CELL_H + _GAP)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    _write(draw, (_EDGE, 18), picked.name, 26, _INK, width - 2 * _EDGE)
    _write(draw, (_EDGE, 52), _heading(picked, cities), 15, _SOFT, width - 2 * _EDGE)
    y = _TOP_H
    for continent, group in groups:
        _write(draw, (_EDGE, y + 12), continent.replace("_", " "), 20, _INK, width - 2 * _EDGE)
        y += _HEADING_H
        for city in group:
            _row(sheet, draw, city, y)
            y += _CELL_H + _GAP
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _heading(picked: Picked, cities: list[City]) -> str:
    if not picked.n_clips:
        return "There are no clips yet."
    shown = sum(card.jpeg is not None for city in cities for card in city.cards[:COLUMNS])
    cities_text = f"{len(cities):,} of {len(picked.cities):,} cities"
    clips_text = f"{shown:,} of {picked.n_clips:,} clips, one frame each"
    return f"{cities_text}, {clips_text}; {picked.n_blurred:,} faces blurred in all"


def _row(sheet: Image.Image, draw: ImageDraw.ImageDraw, city: City, y: int) -> None:
    from PIL import Image

    shown = city.cards[:COLUMNS]
    clips = "clip" if city.n_clips == 1 else "clips"
    count = f"{city.n_clips:,} {clips}" if len(shown) == city.n_clips else f"{len(shown)} of {city.n_clips:,} {clips}"
    _write(draw, (_EDGE, y + 22), city.name.replace("_", " "), 18, _INK, _LABEL_W - 10)
    _write(draw, (_EDGE, y + 46), city.country.replace("_", " "), 14, _SOFT, _LABEL_W - 10)
    _write(draw, (_EDGE, y + 66), count, 14, _SOFT, _LABEL_W - 10)
    for i, card in enumerate(shown):
        x = _EDGE + _LABEL_W + i * (_CELL_W + _GAP)
        if card.jpeg is None:
            draw.rectangle((x, y, x + _CELL_W - 1, y + _CELL_H - 1), fill=_EMPTY)
            _write(draw, (x + 10, y + 46), "not shown", 14, _SOFT, _CELL_W - 20)
            continue
        with Image.open(io.BytesIO(card.jpeg)) as picture:
            small = picture.convert("RGB")
        draw.rectangle((x, y, x + _CELL_W - 1, y + _CELL_H - 1), fill=(0, 0, 0))
        small.thumbnail((_CELL_W, _CELL_H))
        sheet.paste(small, (x + (_CELL_W - small.width) // 2, y + (_CELL_H - small.height) // 2))


def _write(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], words: str, size: int, colour: tuple[int, int, int], room: int
) -> None:
    """One line of text, cut with dots where it is wider than `room` px."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    words = "".join(c for c in words if not unicodedata.category(c).startswith("C"))[:200]
    if draw.textlength(words, font=font) > room:
        while words and draw.textlength(words + "...", font=font) > room:
            words = words[:-1]
        words += "..."
    draw.text(at, words, fill=colour, font=font)
