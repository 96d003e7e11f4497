"""One bay of a house front: the wall's pattern, a window of the city's shape, a balcony."""

from __future__ import annotations

from .canvas import Canvas, Colour, shade
from .style import CityStyle


def bay(style: CityStyle, bay_m: float, wall: Colour, glass: Colour, ppm: float, odd: bool) -> Canvas:
    """A bay of `bay_m` x one storey; `odd` tells every second bay, which staggered balconies leave out."""
    c = Canvas(bay_m, style.storey_m, ppm)
    c.rect(0, 0, bay_m, style.storey_m, wall)
    _pattern(c, style.pattern, wall)
    _window(c, style, wall, glass)
    _balcony(c, style, wall, odd)
    return c


def _pattern(c: Canvas, pattern: str, wall: Colour) -> None:
    w, h, dark, light = c.width_m, c.height_m, shade(wall, 0.72), shade(wall, 1.22)
    if pattern == "brick":
        for i in range(1, int(h / 0.4) + 1):
            c.line(0, i * 0.4, w, i * 0.4, dark, 0.05)
    elif pattern == "pilaster":
        c.rect(0, 0, 0.16 * w, h, light)
        c.line(0.17 * w, 0, 0.17 * w, h, shade(wall, 0.5), 0.06)
    elif pattern == "timber":
        beam = shade(wall, 0.35)
        for x0, y0, x1, y1 in (
            (0, 0, w, 0),
            (0, 0.5 * h, w, 0.5 * h),
            (0, 0, 0, h),
            (0, 0, w, 0.5 * h),
            (w, 0.5 * h, 0, h),
        ):
            c.line(x0, y0, x1, y1, beam, 0.18)
    elif pattern == "band":
        c.rect(0, 0, w, 0.16 * h, light)
        c.rect(0, 0, w, 0.05 * h, shade(wall, 0.5))
    elif pattern == "panel":
        for x0, y0, x1, y1 in ((0, 0, w, 0), (0, 0, 0, h), (0.5 * w, 0, 0.5 * w, h)):
            c.line(x0, y0, x1, y1, shade(wall, 0.55), 0.07)
    elif pattern == "board":
        for i in range(int(w / 0.45) + 1):
            c.line(i * 0.45, 0, i * 0.45, h, dark, 0.06)
    elif pattern == "diamond":
        c.poly([(0, 0), (0.25 * w, 0), (0, 0.5 * h)], light)
        c.poly([(w, 0), (0.75 * w, 0), (w, 0.5 * h)], light)
        c.poly([(0, h), (0.25 * w, h), (0, 0.5 * h)], dark)
        c.poly([(w, h), (0.75 * w, h), (w, 0.5 * h)], dark)


def _window(c: Canvas, style: CityStyle, wall: Colour, glass: Colour) -> None:
    w, h = c.width_m, c.height_m
    half, mid = 0.5 * style.window_share * w, 0.5 * w
    x0, x1, y0, y1 = mid - half, mid + half, 0.28 * h, 0.86 * h
    frame, bar = shade(wall, 1.35), shade(wall, 1.1)
    edge = 0.09
    match style.window:
        case "ribbon":
            c.rect(0, 0.36 * h, w, 0.82 * h, glass)
            c.rect(0, 0.32 * h, w, 0.36 * h, frame)
            c.line(0, 0.36 * h, 0, 0.82 * h, bar, 0.1)
        case "arch" | "pointed":
            top = 0.62 * h
            c.rect(x0 - edge, y0, x1 + edge, top, frame)
            if style.window == "arch":
                c.oval(mid, top, half + edge, min(0.3 * h, half + edge), frame)
                c.oval(mid, top, half, min(0.27 * h, half), glass)
            else:
                c.poly([(x0 - edge, top), (mid, 0.95 * h), (x1 + edge, top)], frame)
                c.poly([(x0, top), (mid, 0.9 * h), (x1, top)], glass)
            c.rect(x0, y0 + edge, x1, top, glass)
            c.line(mid, y0, mid, 0.85 * h, bar, 0.07)
        case "round":
            r = min(half, 0.33 * h)
            c.oval(mid, 0.56 * h, r + 0.14, r + 0.14, frame)
            c.oval(mid, 0.56 * h, r, r, glass)
            c.line(mid - r, 0.56 * h, mid + r, 0.56 * h, bar, 0.07)
        case "pair":
            for left in (x0, mid + 0.08 * w):
                right = left + half - 0.08 * w
                c.rect(left - edge, y0 - edge, right + edge, 0.9 * h, frame)
                c.rect(left, y0, right, 0.87 * h, glass)
        case "square":
            c.rect(x0 - edge, 0.36 * h, x1 + edge, 0.8 * h, frame)
            c.rect(x0, 0.39 * h, x1, 0.77 * h, glass)
            c.line(mid, 0.39 * h, mid, 0.77 * h, bar, 0.07)
            c.line(x0, 0.58 * h, x1, 0.58 * h, bar, 0.07)
        case "grille":
            c.rect(x0, y0, x1, y1, glass)
            for i in range(6):
                c.line(x0 + i * (x1 - x0) / 5, y0, x0 + i * (x1 - x0) / 5, y1, frame, 0.07)
            c.line(x0, 0.5 * (y0 + y1), x1, 0.5 * (y0 + y1), frame, 0.07)
        case "shutter":
            leaf = 0.32 * half
            c.rect(x0 + leaf, y0, x1 - leaf, y1, glass)
            for left in (x0 - 0.15 * half, x1 - leaf):
                c.rect(left, y0, left + leaf + 0.15 * half, y1, shade(wall, 0.42))
                for i in range(1, 5):
                    y = y0 + i * (y1 - y0) / 5
                    c.line(left, y, left + leaf + 0.15 * half, y, shade(wall, 0.7), 0.05)
        case "bay":
            c.poly([(x0 - 0.12, 0.2 * h), (x1 + 0.12, 0.2 * h), (x1, 0.95 * h), (x0, 0.95 * h)], frame)
            third = (x1 - x0) / 3
            for i in range(3):
                c.rect(
                    x0 + i * third + 0.06, 0.32 * h, x0 + (i + 1) * third - 0.06, 0.85 * h, shade(glass, 1.2 - 0.2 * i)
                )
        case _:  # tall
            c.rect(x0 - edge, 0.16 * h, x1 + edge, 0.94 * h, frame)
            c.rect(x0, 0.2 * h, x1, 0.9 * h, glass)
            c.line(mid, 0.2 * h, mid, 0.9 * h, bar, 0.07)
            c.line(x0, 0.66 * h, x1, 0.66 * h, bar, 0.07)


def _balcony(c: Canvas, style: CityStyle, wall: Colour, odd: bool) -> None:
    w, h = c.width_m, c.height_m
    iron, slab = shade(wall, 0.3), shade(wall, 1.3)
    if style.balcony in ("box", "staggered") and not (style.balcony == "staggered" and odd):
        x0, x1 = 0.12 * w, 0.88 * w
        c.rect(x0 - 0.05, 0.02 * h, x1 + 0.05, 0.09 * h, slab)
        c.line(x0, 0.36 * h, x1, 0.36 * h, iron, 0.09)
        for i in range(8):
            c.line(x0 + i * (x1 - x0) / 7, 0.09 * h, x0 + i * (x1 - x0) / 7, 0.36 * h, iron, 0.05)
    elif style.balcony == "gallery":
        c.rect(0, 0, w, 0.08 * h, slab)
        c.rect(0, 0.08 * h, w, 0.3 * h, shade(wall, 0.55))
        c.line(0, 0.31 * h, w, 0.31 * h, slab, 0.1)
        c.rect(0.46 * w, 0, 0.54 * w, h, slab)
    elif style.balcony == "aircon" and odd:
        c.rect(0.5 * w, 0.04 * h, 0.82 * w, 0.24 * h, (205, 205, 200))
        c.oval(0.66 * w, 0.14 * h, 0.09 * h, 0.09 * h, (90, 90, 90))
    elif style.balcony == "oriel" and odd:
        c.rect(0.08 * w, 0, 0.92 * w, h, shade(wall, 0.8))
        c.rect(0.18 * w, 0.2 * h, 0.82 * w, 0.85 * h, shade(wall, 0.25))
        c.line(0.5 * w, 0.2 * h, 0.5 * w, 0.85 * h, slab, 0.08)
        c.line(0.08 * w, 0, 0.08 * w, h, slab, 0.1)
        c.line(0.92 * w, 0, 0.92 * w, h, slab, 0.1)
