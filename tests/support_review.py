"""A small data set to review, whose saved frames are blue and whose originals are red; its page, served and asked.

Every answer of the page about which picture it shows can so be checked by looking at the picture.
"""

from __future__ import annotations

import http.client
import json
import queue
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cityguessr_data.core.schemas import FINGERPRINT_KEY, TABLES
from cityguessr_data.review.decisions import Decision, DecisionLog
from cityguessr_data.review.reviewing import ReviewConfig, review
from cityguessr_data.run.store import Store
from tests.support_build import CGTOOL, hear_ctrl_c
from tests.support_imported import flat_frame, write_jpeg

SIZE = (320, 240)
FRAMES = 6
CONF = 0.5

DOUBT, BOTH, EMPTY, SURE = "w_2_00001", "v_1_00001", "w_2_00000", "v_1_00000"
QUEUE = (DOUBT, BOTH, EMPTY, SURE)
"""As a person should meet them: the scores of the first two are 0.45 and 0.41."""

FACES: dict[str, list[tuple[int, float, tuple[float, float, float, float]]]] = {
    SURE: [(2, 0.9, (10.5, 20.25, 60.5, 80.0)), (2, 0.8, (100.0, 20.0, 150.0, 90.0)), (4, 0.95, (10, 20, 60, 80))],
    BOTH: [(1, 0.41, (200.0, 50.0, 240.0, 100.0)), (3, 0.7, (20.0, 30.0, 90.0, 120.0))],
    EMPTY: [],
    DOUBT: [(1, 0.2, (5.0, 5.0, 30.0, 40.0)), (5, 0.45, (120.0, 100.0, 160.0, 150.0))],
}
"""Clip -> (position, score, box) of its detections; those of CONF and over were blurred."""

CROWD = "c_3_00000"
CROWDED = {
    CROWD: [
        (2, 1.0, (x, y, x + 8.0, y + 10.0)) for y in (4.0, 60.0, 120.0, 180.0) for x in (6.0, 66.0, 126.0, 186.0, 246.0)
    ]
}
"""A clip of one frame with 20 small faces, in four rows of five."""


def write_reviewed(
    out: Path,
    clips: Mapping[str, list[tuple[int, float, tuple[float, float, float, float]]]] = FACES,
    originals: bool = True,
    blur: str | None = "paper",
    title: str = "A walk",
) -> Path:
    """An output directory of anonymised frames; `originals`: the unblurred ones are at hand, beside it."""
    out.mkdir(parents=True, exist_ok=True)
    videos: dict[str, list[str]] = {}
    for clip_id in sorted(clips):
        videos.setdefault(clip_id.rpartition("_")[0], []).append(clip_id)
    for video_id, ids in videos.items():
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in ("videos", "clips", "frames", "faces")}
        rows["videos"] = [
            {"video_id": video_id, "url": f"released:{video_id}", "title": title, "n_clips": len(ids), "status": "done"}
        ]
        kept = []
        for number, clip_id in enumerate(ids):
            place = {"city": "Tokyo", "state": "Tokyo", "country": "Japan", "continent": "Asia", "city_label": 3}
            rows["clips"].append(
                {
                    "clip_id": clip_id, "video_id": video_id, "clip_index": number, "width": SIZE[0],
                    "height": SIZE[1], **place, "n_sampled": FRAMES, "frames_uri": f"clips/{video_id}/{clip_id}",
                    "fingerprint": f"of {clip_id}", "blur": blur,
                }
            )  # fmt: skip
            for position in range(FRAMES):
                path = f"clips/{video_id}/{clip_id}/{position + 1:03d}.jpg"
                write_jpeg(out / path, flat_frame(2, SIZE))
                row = {"clip_id": clip_id, "position": position, "frame_index": position * 10, "path": path}
                rows["frames"].append(row | {"timestamp_s": position * 0.5})
                original = out.parent / f"{out.name}.src" / path
                write_jpeg(original, flat_frame(0, SIZE))
                kept.append(row | {"path": str(original), "sha256": None})
            rows["faces"] += [
                {
                    "clip_id": clip_id, "position": position, "frame_index": position * 10, "kind": "face",
                    "x0": box[0], "y0": box[1], "x1": box[2], "y1": box[3], "score": score, "origin": "detected",
                    "blurred": score >= CONF, "review": "pending",
                }
                for position, score, box in clips[clip_id]
            ]  # fmt: skip
        for name, table_rows in rows.items():
            schema = TABLES[name].with_metadata({**TABLES[name].metadata, FINGERPRINT_KEY: b"a build"})
            folder = out / "parts" / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(table_rows, schema), folder / f"{video_id}.parquet")
        if originals:
            path = Store(out).originals(video_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            names = ["clip_id", "position", "path", "sha256"]
            pq.write_table(pa.table({name: [row[name] for row in kept] for name in names}), path)
    config = {"anonymise": {"conf": CONF}, "jpeg_quality": 95}
    dataset = {"name": out.name, "id": "0" * 32, "imported": {"from": "cityguessr68k"}, "config": config}
    (out / "dataset.json").write_text(json.dumps(dataset))
    return out


def decisions(out: Path) -> list[Decision]:
    """All decisions on the disk, by time."""
    log = DecisionLog(Store(out))
    return sorted((one for unit in log.units() for one in log.read(unit)), key=lambda one: one.decided_at)


def told(out: Path) -> list[tuple[str, str, int | None]]:
    """(action, clip, position) of them."""
    return [(one.action, one.clip_id, one.position) for one in decisions(out)]


def made_anew(out: Path, clip_id: str) -> None:
    """Give a clip another fingerprint, as a build with other settings would."""
    part = out / "parts" / "clips" / f"{clip_id.rpartition('_')[0]}.parquet"
    table = pq.read_table(part)
    rows = table.select(["clip_id", "fingerprint"]).to_pylist()
    new = [row["fingerprint"] + " anew" * (row["clip_id"] == clip_id) for row in rows]
    at = table.schema.get_field_index("fingerprint")
    pq.write_table(table.set_column(at, table.schema.field("fingerprint"), [new]), part)


def table_of(out: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a manifest."""
    rows: list[dict[str, Any]] = pq.read_table(out / "manifests" / f"{name}.parquet").to_pylist()
    return rows


@contextmanager
def served(out: Path, reviewer: str = "keeper", taxonomy: Path | None = None) -> Iterator[str]:
    """The page of a data set in this process; gives its one-time link."""
    links: queue.Queue[str | Exception] = queue.Queue()
    stop = threading.Event()

    def run() -> None:
        try:
            review(ReviewConfig(out, reviewer, taxonomy=taxonomy), links.put, stop)
        except Exception as exc:
            links.put(exc)
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    link = links.get(timeout=60)
    if isinstance(link, Exception):
        raise link
    try:
        yield link
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def started(out: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`cgtool review OUT` in a process of its own, with its link; --json tells it on stderr."""
    words = [*CGTOOL, "review", str(out), "--no-browser", *options]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            told = process.stderr if "--json" in options else process.stdout
            yield process, told.readline().strip()
        finally:
            process.kill()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Client:
    """Speaks HTTP by hand, as a browser or somebody worse would."""

    link: str
    cookie: str = ""
    tab: str = "a" * 32
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return self.link.split("/")[2]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Answer:
        """One request. Headers by names with `_` for `-`; None leaves one out that would be sent."""
        sent: dict[str, str | None] = {"host": self.host, **({"cookie": self.cookie} if self.cookie else {})}
        if method == "POST":
            sent |= {"origin": f"http://{self.host}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", int(self.host.split(":")[1]), timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def enter(self) -> Client:
        """Use the link."""
        answer = self.ask("GET", "/" + self.link.split("/", 3)[3])
        assert answer.status == 303, answer.text
        self.cookie = answer.headers["set-cookie"].split(";")[0]
        return self

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, **wish: Any) -> Answer:
        return self.ask("POST", path, json.dumps({"tab": self.tab, **wish}).encode())

    def decide(self, clip: str, action: str, seen: int, frame: int = 0, **more: Any) -> Answer:
        return self.post("/decide", clip=clip, action=action, seen=seen, frame=frame, **more)

    def other_tab(self, letter: str) -> Client:
        return Client(self.link, self.cookie, letter * 32)


def shown(answer: Answer) -> str:
    """The clip that an answer shows."""
    found = re.search(r'data-clip="([^"]*)"', answer.json["html"])
    return found[1] if found else ""


def colour_of(jpeg: bytes) -> str:
    """Which of the flat pictures it is."""
    pixels = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return ("blue", "green", "red")[int(pixels.reshape(-1, 3).mean(0).argmax())]
