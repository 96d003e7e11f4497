"""The preview page: one HTML file with its pictures inside, that needs no network and runs no script."""

from __future__ import annotations

import base64
import html
import unicodedata
from itertools import groupby

from ..core.places365 import SCENE_CLASSES
from .preview_pick import Card, City, Picked

_MAX_TEXT = 100

_STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #1d1c1a; --soft: #66625a; --line: #dcd8cf; --card: #fff;
  --mark: #0b5d57; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #151618; --ink: #ecebe7; --soft: #a3a099; --line: #33353a; --card: #1e2023; --mark: #7fd0c6; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 100rem;
  background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 0; padding-bottom: .3rem; border-bottom: 2px solid var(--line); font-size: 1.3rem; }
h3 { margin: 1.5rem 0 .6rem; font-size: 1.05rem; }
h3 small, .note { color: var(--soft); font-weight: 400; font-size: .9rem; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 2rem; margin: 1rem 0; }
dl div { display: flex; flex-direction: column-reverse; }
dt { color: var(--soft); font-size: .9rem; }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; line-height: 1.2; }
nav ul, .clips { list-style: none; margin: 0; padding: 0; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; }
a { color: var(--mark); }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 1rem; }
figure { margin: 0; height: 100%; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  overflow: hidden; }
figure img, .missing { display: block; width: 100%; height: auto; aspect-ratio: 16 / 9; object-fit: contain;
  background: #000; }
.missing { display: grid; place-items: center; padding: 1rem; background: var(--line); color: var(--soft);
  font-size: .9rem; text-align: center; }
figcaption { padding: .5rem .75rem .7rem; font-size: .9rem; line-height: 1.4; }
figcaption b { display: block; font-weight: 600; }
figcaption span { color: var(--soft); }
""".strip()

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(picked: Picked) -> str:
    """The whole page as text; all that comes from outside is shown as text, never as markup."""
    n_shown = sum(card.jpeg is not None for city in picked.cities for card in city.cards)
    counts = {
        "cities": len(picked.cities),
        "videos": picked.n_videos,
        "clips": picked.n_clips,
        "frames": picked.n_frames,
        "faces blurred": picked.n_blurred,
    }
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(picked.name)}: preview</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n<header>",
        f"<h1>{text(picked.name)}</h1>\n<dl>",
        *(f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in counts.items()),
        "</dl>",
    ]
    if not picked.n_clips:
        parts.append("<p>There are no clips yet. This page is written again at the end of each build.</p>\n</header>")
    else:
        parts.append(
            f'<p class="note">The middle frame of {n_shown:,} of {picked.n_clips:,} clips, by continent and city.</p>'
        )
        parts.append(_contents(picked.cities))
        parts.append("</header>\n<main>")
        for continent, cities in groupby(picked.cities, key=lambda city: city.continent):
            parts.append(_continent(continent, list(cities)))
        parts.append("</main>")
    parts.append("</body>\n</html>\n")
    return "\n".join(parts)


def text(raw: str) -> str:
    """Outside text made fit for HTML: no control or direction marks, not too long, markup escaped."""
    plain = "".join(" " if unicodedata.category(c) in ("Zl", "Zp") or c in "\t\n\r" else c for c in raw)
    plain = "".join(c for c in plain if not unicodedata.category(c).startswith("C"))
    plain = " ".join(plain.split())
    return html.escape(plain if len(plain) <= _MAX_TEXT else plain[: _MAX_TEXT - 1] + "…", quote=True)


def place(name: str) -> str:
    """A name of the taxonomy as people write it."""
    return text(name.replace("_", " "))


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss, rounded down."""
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"


def _contents(cities: tuple[City, ...]) -> str:
    links = []
    for continent, group in groupby(cities, key=lambda city: city.continent):
        n = sum(1 for _ in group)
        links.append(f'<li><a href="#{_anchor(continent)}">{place(continent)}</a> ({_many(n, "city", "cities")})</li>')
    return f'<nav aria-label="Continents"><ul>{"".join(links)}</ul></nav>'


def _continent(name: str, cities: list[City]) -> str:
    parts = [f'<section id="{_anchor(name)}">\n<h2>{place(name)}</h2>']
    for city in cities:
        shown = len(city.cards)
        clips = _many(city.n_clips, "clip", "clips")
        count = clips if shown == city.n_clips else f"{shown} of {clips}"
        parts.append(f"<section>\n<h3>{place(city.name)} <small>{place(city.country)} · {count}</small></h3>")
        if shown:
            parts.append('<ul class="clips">')
            parts += [f"<li>{_figure(card, city)}</li>" for card in city.cards]
            parts.append("</ul>")
        parts.append("</section>")
    parts.append("</section>")
    return "\n".join(parts)


def _figure(card: Card, city: City) -> str:
    if card.jpeg is None:
        picture = f'<div class="missing">{text(card.why_none)}</div>'
    else:
        data = base64.b64encode(card.jpeg).decode()
        width, height = card.size_px
        alt = f"Middle frame of clip {text(card.clip_id)}, {place(city.name)}"
        picture = (
            f'<img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}" alt="{alt}" decoding="async">'
        )
    facts = []
    if card.start_s is not None and card.end_s is not None:
        facts.append(f"{clock(card.start_s)}–{clock(card.end_s)}")
    if card.scene is not None and 0 <= card.scene < len(SCENE_CLASSES):
        facts.append(place(SCENE_CLASSES[card.scene]))
    if card.n_faces is not None:
        facts.append(f"{_many(card.n_faces, 'face', 'faces')} blurred")
    title = f"<br>{text(card.title)}" if card.title else ""
    caption = f"<b>{text(card.clip_id)}</b><span>{' · '.join(facts)}{title}</span>"
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _anchor(name: str) -> str:
    return "c-" + "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in name)


def _many(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"
