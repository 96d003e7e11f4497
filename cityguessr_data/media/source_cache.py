"""The cache of source videos: CACHE/sources/<video_id>.<ext>, and <video_id>.json that says the file is complete.

CACHE/sources/<video_id>.mp4, .webm, .ts ...   the file, under the ending its first bytes call for
CACHE/sources/<video_id>.json                  url, title, ..., sha256, bytes; present = the file is whole
CACHE/partial/<video_id>/                      what a download has so far; resumed by the next run

Where CACHE works for an object store (core/remote/place.py), files and notes are sent there when they are whole, the
note last, and fetched from there when they are needed; CACHE/sources/.<video_id>.sent says that they are there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cityguessr_data.core.errors import MediaError, disk_full_stops
from cityguessr_data.core.remote.place import url_of
from cityguessr_data.core.types import LocalVideo

if TYPE_CHECKING:
    from cityguessr_data.core.remote.objects import Remote

_SNIFF_BYTES = 4096
_TS_PACKET_BYTES = 188


@dataclass(frozen=True)
class SourceCache:
    """Files under one cache folder. Safe for several threads as long as each works on its own video."""

    root: Path

    def partial(self, video_id: str) -> Path:
        """The folder of an unfinished download; made if missing."""
        folder = self.root / "partial" / video_id
        with disk_full_stops(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def drop_partial(self, video_id: str, *, only_empty: bool = False) -> None:
        """Forget what an unfinished download left; with `only_empty`, what is worth resuming is kept."""
        folder = self.root / "partial" / video_id
        if not only_empty or not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)

    @cached_property
    def remote(self) -> Remote | None:
        """Where this folder works for an object store."""
        if url_of(self.root) is None:
            return None
        from cityguessr_data.core.remote.objects import of  # loads fsspec

        return of(self.root)

    def drop(self, video_id: str) -> None:
        """Delete a video's file, its note first: without it the file does not count as whole."""
        if self.remote:
            sent = self.remote.list("sources", start=f"{video_id}.")
            self.remote.delete(name for name in sent if name == _note_name(video_id))
            self.remote.delete(name for name in sent if name != _note_name(video_id))
        self._drop_local(video_id)

    def release(self, video_id: str) -> None:
        """Delete the local file of a video that the object store has: it is done with, and can be fetched again."""
        if self.remote and self._sent(video_id).exists():
            self._drop_local(video_id)

    def release_all(self, video_ids: Collection[str]) -> None:
        """`release` for those of many that are here: a run that committed them was cut off before it came to it."""
        done = set(video_ids) if self.remote else ()
        for mark in (self.root / "sources").glob(".*.sent") if done else ():
            if (video_id := mark.name.removeprefix(".").removesuffix(".sent")) in done:
                self.release(video_id)

    def holds(self, video_id: str, url: str) -> bool:
        """Whether `find` would find it, without bringing it here."""
        if self._find_local(video_id, url) is not None:
            return True
        note = self.noted(video_id)
        return note is not None and note["url"] == url

    def is_here(self, video_id: str, url: str) -> bool:
        """Whether it lies on the local disk."""
        return self._find_local(video_id, url) is not None

    def noted(self, video_id: str) -> dict[str, Any] | None:
        """What the object store's note of a video says; None where there is none."""
        if self.remote is None:
            return None
        try:
            note = dict(json.loads(self.remote.read(_note_name(video_id))))
            return note if {"url", "file", "sha256", "bytes"} <= note.keys() else None
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def find(self, video_id: str, url: str) -> LocalVideo | None:
        """The complete video of this id and url; None where it is missing, of another url or of another size.

        Where the cache is on an object store, it is brought here from there.

        Raises:
            MachineError, StopError: the object store refuses, or does not answer.
            DiskFullError: no space left.
        """
        found = self._find_local(video_id, url)
        if self.remote is None:
            return found
        if found is not None:
            self._send(video_id)
            return found
        return self._fetch(video_id, url)

    def _find_local(self, video_id: str, url: str) -> LocalVideo | None:
        try:
            note = json.loads(self._note(video_id).read_text("utf-8"))
            path = self.root / "sources" / Path(note["file"]).name
            whole = note["url"] == url and path.stat().st_size == note["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not whole:
            return None
        fields = {k: note.get(k) for k in ("title", "channel", "license", "upload_date")}
        return LocalVideo(path=path, url=url, sha256=note["sha256"], **fields)

    def keep(self, video_id: str, url: str, downloaded: Path, about: dict[str, Any]) -> LocalVideo:
        """Move a finished download into the cache. `about`: title, channel, license, upload_date, extractor.

        Raises:
            MediaError: it is text (a page, a playlist), not media.
            DiskFullError: no space left.
        """
        ending = true_ending(downloaded)
        sources = self.root / "sources"
        path = sources / f"{video_id}.{ending}"
        with disk_full_stops(str(sources)):
            sources.mkdir(parents=True, exist_ok=True)
            self._drop_local(video_id)
            digest = sha256_of(downloaded)
            _fsync(downloaded)
            downloaded.replace(path)
            note = {"url": url, "file": path.name, "sha256": digest, "bytes": path.stat().st_size, **about}
            self._write_note(video_id, note)
        self.drop_partial(video_id)
        self._send(video_id)
        fields = {k: about.get(k) for k in ("title", "channel", "license", "upload_date")}
        return LocalVideo(path=path, url=url, sha256=digest, **fields)

    def _send(self, video_id: str) -> None:
        """Have a whole local file on the object store too: the file, then the note, which says that it is whole."""
        if self.remote is None or self._sent(video_id).exists():
            return
        note = json.loads(self._note(video_id).read_text("utf-8"))
        earlier = self.noted(video_id)
        if earlier is None or earlier.get("sha256") != note["sha256"] or earlier.get("url") != note["url"]:
            if earlier is not None:
                self.remote.delete([_note_name(video_id)])
                self.remote.delete([f"sources/{Path(str(earlier['file'])).name}"])
            self.remote.end_uploads(f"sources/{video_id}.")  # that a killed run began
            self.remote.put(f"sources/{note['file']}", self.root / "sources" / note["file"])
            self.remote.put(_note_name(video_id), self._note(video_id))
        self._sent(video_id).touch()

    def _fetch(self, video_id: str, url: str) -> LocalVideo | None:
        """Bring a video from the object store; None where it has none, or not the bytes that its note tells of."""
        for _ in range(2):  # it may be replaced meanwhile
            note = self.noted(video_id)
            if self.remote is None or note is None or note["url"] != url:
                return None
            target = self.root / "sources" / Path(str(note["file"])).name
            try:
                self.remote.get(f"sources/{target.name}", target)
            except FileNotFoundError:
                return None
            if sha256_of(target) == note["sha256"]:
                self._write_note(video_id, note)
                self._sent(video_id).touch()
                return self._find_local(video_id, url)
            target.unlink()
        if self.remote is not None:
            self.remote.delete([_note_name(video_id)])  # it says of a damaged file that it is whole
        return None

    def _drop_local(self, video_id: str) -> None:
        self._sent(video_id).unlink(missing_ok=True)
        self._note(video_id).unlink(missing_ok=True)
        for path in (self.root / "sources").glob(f"{video_id}.*"):
            path.unlink()

    def _sent(self, video_id: str) -> Path:
        return self.root / "sources" / f".{video_id}.sent"

    def _note(self, video_id: str) -> Path:
        return self.root / "sources" / f"{video_id}.json"

    def _write_note(self, video_id: str, note: dict[str, Any]) -> None:
        target = self._note(video_id)
        # Not `<video_id>.json.x`: a half-written note must not look like the video's file
        temporary = target.with_name(f".{video_id}.json.tmp")
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(note, stream, ensure_ascii=False, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
        _fsync(target.parent)


def _note_name(video_id: str) -> str:
    return f"sources/{video_id}.json"


def sha256_of(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def true_ending(path: Path) -> str:
    """The file ending that a download's first bytes call for; its own one where they say nothing.

    HLS segments joined by yt-dlp are an MPEG transport stream under the name .mp4; this is where that is put right.

    Raises:
        MediaError: for an empty file, and for text: HTML, a playlist, JSON.
    """
    with path.open("rb") as stream:
        head = stream.read(_SNIFF_BYTES)
    if not head:
        raise MediaError("the downloaded file is empty", "Check the link in a browser")
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"#ext", b"ffconcat", b"{", b"<head", b"<body")):
        raise MediaError("the link gives text, not a video", "Check the link in a browser")
    if head[4:8] == b"ftyp":
        return "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head[0] == 0x47 and all(
        head[i : i + 1] in (b"\x47", b"") for i in range(0, 5 * _TS_PACKET_BYTES, _TS_PACKET_BYTES)
    ):
        return "ts"
    own = path.suffix.lstrip(".").lower()
    return own if own.isalnum() and own != "json" else "video"


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
