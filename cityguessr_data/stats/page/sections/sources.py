"""Where clips come from: source videos, channels, and cities that one video has to itself."""

from __future__ import annotations

from ...results import Provenance, Stats
from ..blocks import Part, Row, Section, Table, Words, counts_table, num, text
from ..words import listing, many, place, plain
from .spread import spread

_MAX_ROWS = 250


def sources(stats: Stats) -> Section:
    """The section."""
    title, intro = "Sources", "Which videos and channels the clips come from: what a split by source has to work with."
    found = stats.provenance
    if found is None:
        return Section("sources", title, intro, (), (stats.blank.get("provenance", "the data does not say."),))
    one = "Clips that one source video gave; clips of one video look alike."
    cities = "Source videos that a city has; a split by video needs two or more."
    parts: list[Part] = [
        spread("clips-per-video", "Clips per video", one, found.clips_per_video, "Clips", "Videos"),
        spread("videos-per-city", "Videos per city", cities, found.videos_per_city, "Source videos", "Cities"),
        _one_video(found),
        _largest(found),
    ]
    if found.channels is not None:
        named: dict[str, int] = {}
        for name, n in found.channels.items():
            shown = plain(name)
            named[shown] = named.get(shown, 0) + n
        table = counts_table("Channels", "Channel", named, "Clips", _MAX_ROWS)
        unknown = (
            f"{many(found.n_channel_unknown, 'clip', 'clips')} of unknown channel." if found.n_channel_unknown else ""
        )
        parts.append(Table(table.caption, table.columns, table.rows, " ".join(filter(None, (table.note, unknown)))))
    else:
        parts.append(Words("Channels", ("No channel is known.",)))
    return Section("sources", title, intro, tuple(parts))


def _one_video(found: Provenance) -> Words:
    names = [place(name) for name in found.one_video_cities]
    if not names:
        return Words("Cities with one source video", ("None: every city has two source videos or more.",))
    n = many(len(names), "city has", "cities have")
    return Words(
        "Cities with one source video",
        (f"{n} one source video, so that no split by video can have them in both parts: {listing(names, 200)}.",),
    )


def _largest(found: Provenance) -> Table:
    shown = found.videos[:_MAX_ROWS]
    rows = tuple(
        Row(
            (
                text(plain(v.video_id, 40)),
                text("–" if v.title is None else plain(v.title, 100)),
                text("–" if v.channel is None else plain(v.channel)),
                text(listing([place(c) for c in v.cities], 5)),
                num(v.n_clips, f"{v.n_clips:,}"),
            )
        )
        for v in shown
    )
    note = f"The first {len(shown):,} of {found.n_videos:,}." if len(shown) < found.n_videos else ""
    columns = (("Video", False), ("Title", False), ("Channel", False), ("Cities", False), ("Clips", True))
    return Table("Videos with most clips", columns, rows, note)
