"""Lengths, sizes and rates of clips and videos."""

from __future__ import annotations

from ...results import Stats
from ..blocks import Part, Section, Words
from ..words import percent
from .spread import kinds, spread


def footage(stats: Stats) -> Section:
    """The section."""
    title, intro = "Footage", "How long and how large clips and videos are."
    found = stats.footage
    if found is None:
        return Section("footage", title, intro, (), (stats.blank.get("footage", "the data does not say."),))
    parts: list[Part] = []
    said = [
        _yes(found.one_length, "Every clip has the same number of saved frames", "Clips differ in their saved frames"),
        _yes(found.from_video, "Every clip is cut from a video", "Not every clip is known to be cut from a video"),
        _yes(found.own_folders, "Every clip's frames have a place of their own", "Clips share places for their frames"),
    ]
    if found.n_from_15_frames is not None:
        n, total = found.n_from_15_frames, stats.size.n_clips
        said.insert(
            0,
            f"{n:,} of {total:,} clips ({percent(n, total)}) have 15 saved frames or more, the fewest that the paper's "
            "model takes.",
        )
    parts.append(Words("In short", (" ".join(filter(None, said)),)))
    for name, heading, sentence, values, axis, counted in (
        ("clip-s", "Clip length", "How many seconds a clip lasts.", found.clip_s, "Seconds", "Clips"),
        (
            "clip-frames",
            "Frames of a clip",
            "Decoded frames of a clip, before sampling.",
            found.clip_frames,
            "Frames",
            "Clips",
        ),
        (
            "saved-frames",
            "Saved frames",
            "How many frames of a clip are kept.",
            found.saved_frames,
            "Saved frames",
            "Clips",
        ),
        ("video-s", "Video length", "How many seconds a source video lasts.", found.video_s, "Seconds", "Videos"),
    ):
        if values is not None:
            parts.append(spread(name, heading, sentence, values, axis, counted))
    if found.fps:
        parts.append(
            kinds(
                "fps",
                "Frame rate",
                "Clips by frames per second of their video.",
                found.fps,
                "Frames per second",
                "Clips",
            )
        )
    if found.resolution:
        parts.append(
            kinds(
                "resolution",
                "Resolution",
                "Clips by width and height of their frames, in px.",
                found.resolution,
                "Resolution",
                "Clips",
            )
        )
    return Section("footage", title, intro, tuple(parts))


def _yes(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else f"{yes if value else no}."
