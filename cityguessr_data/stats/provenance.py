"""Where the clips come from: source videos, cities that only one video covers, channels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .counts import count_column
from .data import Data
from .distribution import describe
from .results import Provenance, VideoRow

_LISTED = 1_000


def provenance(data: Data) -> Provenance | None:
    """Describe the sources; None where the data does not name the source of every clip."""
    clips = data.clips
    if clips is None or "video_id" not in clips.column_names or clips["video_id"].null_count:
        return None
    counted = clips.group_by("video_id").aggregate([("city", "distinct"), ([], "count_all")])
    per_city = [(city.names.city, len(city.videos)) for city in data.cities if city.videos is not None]
    per_video = describe(counted["count_all"].to_numpy())
    videos_per_city = describe([n for _, n in per_city])
    if per_video is None or videos_per_city is None:
        return None
    channels = channel_of(data)
    known = None if channels is None or channels.null_count == len(channels) else channels
    return Provenance(
        clips_per_video=per_video,
        videos_per_city=videos_per_city,
        one_video_cities=tuple(sorted(name for name, n in per_city if n == 1)),
        videos=_largest(counted, data.videos),
        n_videos=counted.num_rows,
        channels=None if known is None else count_column(pa.table({"channel": known}), "channel"),
        n_channel_unknown=clips.num_rows if channels is None else channels.null_count,
    )


def channel_of(data: Data) -> pa.ChunkedArray | None:
    """The channel of every clip, in the order of the clips table; null where it is not known.

    None without a videos table.
    """
    if data.clips is None or data.videos is None or "video_id" not in data.clips.column_names:
        return None
    at = pc.index_in(data.clips["video_id"], value_set=data.videos["video_id"])
    return data.videos["channel"].take(at)


def video_index(clips: pa.Table) -> npt.NDArray[np.int32] | None:
    """(n_clips,) int32: clips of one source video have the same number. None where a source is not known."""
    if "video_id" not in clips.column_names or clips["video_id"].null_count:
        return None
    numbers: npt.NDArray[np.int32] = clips["video_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return numbers


def _largest(counted: pa.Table, videos: pa.Table | None) -> tuple[VideoRow, ...]:
    largest = counted.sort_by([("count_all", "descending"), ("video_id", "ascending")]).slice(0, _LISTED)
    about: dict[str, dict[str, str]] = {}
    if videos is not None:
        columns = [name for name in ("video_id", "title", "channel") if name in videos.column_names]
        about = {row["video_id"]: row for row in videos.select(columns).to_pylist()}
    return tuple(
        VideoRow(
            video_id=row["video_id"],
            title=about.get(row["video_id"], {}).get("title"),
            channel=about.get(row["video_id"], {}).get("channel"),
            cities=tuple(sorted(row["city_distinct"])),
            n_clips=row["count_all"],
        )
        for row in largest.to_pylist()
    )
