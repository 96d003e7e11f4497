"""How big the data set is and what its footage is like: clips, videos, lengths, sizes, frame rates."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from .counts import count_column
from .data import Data
from .distribution import describe
from .results import Distribution, Footage, Size

_MODEL_FRAMES = 15  # "samples with 15 frames or more", Table 1


def size(data: Data) -> Size:
    """Count what there is."""
    clips = data.clips
    n_clips = sum(city.n_clips for city in data.cities)
    video_ids = None if clips is None else _whole(clips, "video_id")
    saved = None if clips is None else _whole(clips, "n_sampled")
    seconds = None if clips is None else clip_seconds(clips)
    return Size(
        n_clips=n_clips,
        n_videos=None if video_ids is None else pc.count_distinct(video_ids).as_py(),
        n_frames=None if saved is None else int(pc.sum(saved).as_py()),
        hours=None if seconds is None or seconds.null_count else float(pc.sum(seconds).as_py()) / 3600,
        videos_by_status=count_column(data.videos, "status") if data.videos is not None else {},
        cities_of_taxonomy=data.n_cities_covered,
        taxonomy_cities=data.n_taxonomy_cities,
    )


def footage(data: Data) -> Footage | None:
    """Describe the clips; None for a table of counts."""
    clips = data.clips
    if clips is None:
        return None
    saved, fps = _whole(clips, "n_sampled"), _column(clips, "fps")
    places = _places(clips)
    return Footage(
        clip_s=_spread(clip_seconds(clips)),
        clip_frames=_spread(_column(clips, "n_frames")),
        saved_frames=_spread(_column(clips, "n_sampled")),
        video_s=_spread(_done_seconds(data.videos)),
        fps=_named(Counter({f"{rate:g}": n for rate, n in _rates(fps)}), clips.num_rows),
        resolution=_named(_resolutions(clips), clips.num_rows),
        n_from_15_frames=None if saved is None else int(pc.sum(pc.greater_equal(saved, _MODEL_FRAMES)).as_py()),
        one_length=None if saved is None else pc.count_distinct(saved).as_py() == 1,
        from_video=None if fps is None else fps.null_count == 0,
        own_folders=None if places is None else pc.count_distinct(places).as_py() == clips.num_rows,
    )


def clip_seconds(clips: pa.Table) -> pa.ChunkedArray | None:
    """Length of every clip in seconds: decoded frames over the frame rate; null where one of them is not known."""
    frames, fps = _column(clips, "n_frames"), _column(clips, "fps")
    if frames is None or fps is None:
        return None
    return pc.divide(pc.cast(frames, pa.float64()), _sane(fps))


def _places(clips: pa.Table) -> pa.ChunkedArray | None:
    """Where the frames of each clip are. In a tar the clips of a video lie apart: their names begin with the clip's."""
    uris = _whole(clips, "frames_uri")
    return None if uris is None else pc.if_else(pc.ends_with(uris, ".tar"), clips["clip_id"], uris)


def _column(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    return table[name] if name in table.column_names else None


def _whole(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    """A column without nulls, or None: a count over a part of the clips would look like one over all."""
    column = _column(table, name)
    return None if column is None or column.null_count else column


def _sane(rates: pa.ChunkedArray) -> pa.ChunkedArray:
    """Frame rates; null for one that is no rate (0, negative, not finite)."""
    return pc.if_else(pc.and_(pc.is_finite(rates), pc.greater(rates, 0)), rates, pa.scalar(None, pa.float64()))


def _spread(values: pa.ChunkedArray | None) -> Distribution | None:
    return None if values is None else describe(pc.cast(values, pa.float64()).to_numpy())


def _done_seconds(videos: pa.Table | None) -> pa.ChunkedArray | None:
    """Lengths of the videos that clips come from."""
    return None if videos is None else videos.filter(pc.greater(videos["n_clips"], 0))["duration_s"]


def _rates(fps: pa.ChunkedArray | None) -> list[tuple[float, int]]:
    if fps is None:
        return []
    return [(row["values"], row["counts"]) for row in pc.value_counts(pc.round(_sane(fps).drop_null(), 2)).to_pylist()]


def _resolutions(clips: pa.Table) -> Counter[str]:
    if not {"width", "height"} <= set(clips.column_names):
        return Counter()
    known = clips.filter(pc.and_(pc.greater(clips["width"], 0), pc.greater(clips["height"], 0)))
    sizes = known.group_by(["width", "height"]).aggregate([([], "count_all")])
    return Counter({f"{row['width']}x{row['height']}": row["count_all"] for row in sizes.to_pylist()})


def _named(counts: Counter[str], n: int) -> dict[str, int]:
    """Commonest first, what is missing to `n` last as `unknown`."""
    ordered = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    unknown = n - sum(ordered.values())
    return ordered | ({"unknown": unknown} if unknown else {})
