"""The attempts table: every step of every attempt on every video, kept for good, and what to try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.atomic import write_table
from ..core.errors import ErrorClass
from ..core.schemas import ATTEMPTS, FINGERPRINT_KEY
from .stage import Step
from .store import Committed, Store, read_part


@dataclass(frozen=True)
class LastFailure:
    """How the last attempt on a video failed."""

    video_id: str
    error_class: ErrorClass
    message: str
    fingerprint: str
    """Of what was asked then; another fingerprint means that the failure says nothing about today's request."""


def record_attempt(store: Store, video_id: str, fingerprint: str, steps: Sequence[Step]) -> None:
    """Append the steps of one attempt to the video's part."""
    path = store.part("attempts", video_id)
    earlier = read_part(path) if path.exists() else ATTEMPTS.empty_table()
    number = (max(earlier["attempt"].to_pylist(), default=0)) + 1
    rows = [
        {
            "video_id": video_id,
            "stage": step.stage,
            "attempt": number,
            "status": step.status,
            "error_class": step.error_class,
            "message": step.message,
            "started_at": step.started_at,
            "seconds": step.seconds,
        }
        for step in steps
    ]
    table = pa.concat_tables([earlier, pa.Table.from_pylist(rows, ATTEMPTS)])
    write_table(path, table.replace_schema_metadata({**ATTEMPTS.metadata, FINGERPRINT_KEY: fingerprint.encode()}))


def last_failure(store: Store, video_id: str, committed: Committed | None) -> LastFailure | None:
    """How the last attempt on a video failed as a whole; None where it did not, or there was none.

    Args:
        committed: what OUT holds of the video. A commit of the same request clears a failure.
    """
    path = store.part("attempts", video_id)
    if not path.exists():
        return None
    with pq.ParquetFile(path) as file:
        fingerprint = ((file.metadata.metadata or {}).get(FINGERPRINT_KEY, b"")).decode()
        if file.metadata.num_rows == 0 or (committed and committed.fingerprint == fingerprint):
            return None
        table = file.read(columns=["status", "error_class", "message"], use_threads=False)
    row = table.slice(table.num_rows - 1).to_pylist()[0]  # a failed attempt ends with the step that failed
    if row["status"] != "failed":
        return None
    return LastFailure(video_id, ErrorClass(row["error_class"]), row["message"] or "", fingerprint)
