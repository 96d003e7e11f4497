"""Exact columns of every table under OUT. manifests/SCHEMA.md says the same in words; a test holds the two together.

Lists are plain, not fixed-size: pyarrow cannot read back a fixed-size list with nulls.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = "1"
VERSION_KEY = b"cgtool.schema_version"
FINGERPRINT_KEY = b"cgtool.fingerprint"


def _schema(required: list[tuple[str, pa.DataType]], nullable: list[tuple[str, pa.DataType]], order: str) -> pa.Schema:
    fields = {n: pa.field(n, t, nullable=False) for n, t in required} | {n: pa.field(n, t) for n, t in nullable}
    return pa.schema([fields.pop(n) for n in order.split()], metadata={VERSION_KEY: SCHEMA_VERSION.encode()})


VIDEOS = _schema(
    required=[("video_id", pa.string()), ("url", pa.string()), ("n_clips", pa.int32()), ("status", pa.string())],
    nullable=[
        ("title", pa.string()),
        ("channel", pa.string()),
        ("license", pa.string()),
        ("upload_date", pa.string()),
        ("sha256", pa.string()),
        ("duration_s", pa.float64()),
        ("fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("n_frames", pa.int64()),
        ("reason", pa.string()),
    ],
    order="video_id url title channel license upload_date sha256 duration_s fps width height n_frames n_clips status "
    "reason",
)

CLIPS = _schema(
    required=[
        ("clip_id", pa.string()),
        ("clip_index", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("city", pa.string()),
        ("state", pa.string()),
        ("country", pa.string()),
        ("continent", pa.string()),
        ("n_sampled", pa.int32()),
        ("frames_uri", pa.string()),
        ("fingerprint", pa.string()),
    ],
    nullable=[
        ("video_id", pa.string()),
        ("start_frame", pa.int64()),
        ("end_frame", pa.int64()),
        ("n_frames", pa.int32()),
        ("fps", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("city_label", pa.int32()),
        ("state_label", pa.int32()),
        ("country_label", pa.int32()),
        ("continent_label", pa.int32()),
        ("scene_soft", pa.list_(pa.float32())),
        ("scene_majority", pa.int16()),
        ("n_faces", pa.int32()),
        ("blur", pa.string()),
    ],
    order="clip_id video_id clip_index start_frame end_frame n_frames fps start_s end_s width height "
    "city state country continent city_label state_label country_label continent_label "
    "n_sampled scene_soft scene_majority n_faces blur frames_uri fingerprint",
)

FRAMES = _schema(
    required=[("clip_id", pa.string()), ("position", pa.int32()), ("path", pa.string())],
    nullable=[
        ("frame_index", pa.int64()),
        ("timestamp_s", pa.float64()),
        ("sha256", pa.string()),
        ("phash", pa.int64()),
        ("scene_top1", pa.int16()),
        ("scene_top1_prob", pa.float32()),
        ("n_faces", pa.int32()),
    ],
    order="clip_id position frame_index timestamp_s path sha256 phash scene_top1 scene_top1_prob n_faces",
)

FACES = _schema(
    required=[
        ("clip_id", pa.string()),
        ("position", pa.int32()),
        ("kind", pa.string()),
        ("x0", pa.float32()),
        ("y0", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("score", pa.float32()),
        ("origin", pa.string()),
        ("blurred", pa.bool_()),
        ("review", pa.string()),
    ],
    nullable=[("frame_index", pa.int64())],
    order="clip_id position frame_index kind x0 y0 x1 y1 score origin blurred review",
)

ATTEMPTS = _schema(
    required=[
        ("video_id", pa.string()),
        ("stage", pa.string()),
        ("attempt", pa.int32()),
        ("status", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("seconds", pa.float64()),
    ],
    nullable=[("error_class", pa.string()), ("message", pa.string())],
    order="video_id stage attempt status error_class message started_at seconds",
)

TABLES: dict[str, pa.Schema] = {
    "videos": VIDEOS,
    "clips": CLIPS,
    "frames": FRAMES,
    "faces": FACES,
    "attempts": ATTEMPTS,
}

UNIT_TABLES = ("frames", "faces", "videos", "clips")
"""A committed video has a part of each, put in place in this order: the clips part is the commit."""

DECISIONS = _schema(
    required=[
        ("decision_id", pa.string()),
        ("decided_at", pa.timestamp("us", tz="UTC")),
        ("reviewer", pa.string()),
        ("session", pa.string()),
        ("action", pa.string()),
        ("clip_id", pa.string()),
        ("fingerprint", pa.string()),
    ],
    nullable=[
        ("position", pa.int32()),
        ("x0", pa.float32()),
        ("y0", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("value", pa.string()),
        ("undoes", pa.string()),
    ],
    order="decision_id decided_at reviewer session action clip_id fingerprint position x0 y0 x1 y1 value undoes",
)

TOMBSTONES = _schema(
    required=[
        ("kind", pa.string()),
        ("id", pa.string()),
        ("removed_at", pa.timestamp("us", tz="UTC")),
        ("reason", pa.string()),
        ("version", pa.string()),
    ],
    nullable=[
        ("video_id", pa.string()),
        ("url", pa.string()),
        ("sha256", pa.string()),
        ("start_frame", pa.int64()),
        ("end_frame", pa.int64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
    ],
    order="kind id removed_at reason version video_id url sha256 start_frame end_frame start_s end_s",
)

AFTERWARDS: dict[str, pa.Schema] = {"decisions": DECISIONS, "tombstones": TOMBSTONES}
"""Tables that a build does not make: of a review, and of removals. There once the first row is."""
