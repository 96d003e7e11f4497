"""Reads hostile videos in a process of its own, so that one which crashes the decoder does not take the tests along.

`python -m tests.support_read_hostile LIST [FOLDER]` prints one JSON object a file of LIST: outcome, seconds, peak
memory. With FOLDER it also has ffmpeg cut the first frames of each into a clip there.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

SAMPLES = 5


def read(path: Path) -> tuple[str, str]:
    """Demux and decode as the clip stage does: (outcome, message)."""
    from cityguessr_data.core.errors import MediaError
    from cityguessr_data.media.decode import DecodeBreak, decode, index_video

    try:
        index = index_video(path)
    except MediaError as exc:
        return "refused", str(exc)
    end = min(25, index.info.n_frames)
    wanted = set(range(0, end, max(1, end // SAMPLES)))
    try:
        got = [frame.index for frame in decode(path, wanted, end, index, 1)]
    except MediaError as exc:
        return "refused", str(exc)
    except DecodeBreak as exc:
        return "broke", str(exc)
    return ("fine" if got == sorted(wanted) else "wrong"), f"{index.info}"


def _memory(field: str) -> int:
    """A field of this process's status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) << 10
    return 0


def cut(path: Path, folder: Path) -> tuple[str, str]:
    """Have ffmpeg write the first frames as a clip: (outcome, message)."""
    from cityguessr_data.core.errors import MediaError
    from cityguessr_data.core.types import Clip, Place
    from cityguessr_data.media.clip_files import write_clip_files

    try:
        write_clip_files(path, [Clip("v", 0, 0, 10, Place("Tokyo", "Tokyo", "Japan", "Asia"))], folder)
    except MediaError as exc:
        return "refused", str(exc)
    return "fine", ""


def main(paths: list[str], clips: Path | None = None) -> None:
    """Read every file, and tell of each before the next is begun."""
    for name in paths:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
        before, start = _memory("VmRSS"), time.monotonic()
        print(json.dumps({"begins": name}), flush=True)
        try:
            outcome, message = read(Path(name)) if clips is None else cut(Path(name), clips)
        except Exception as exc:  # noqa: BLE001 - what the tests look for
            import traceback

            outcome, message = "raised", "".join(traceback.format_exception(exc))
        seconds, peak = time.monotonic() - start, _memory("VmHWM") - before
        print(
            json.dumps({"name": name, "outcome": outcome, "message": message, "seconds": seconds, "peak_bytes": peak}),
            flush=True,
        )


if __name__ == "__main__":
    listed = Path(sys.argv[1]).read_text().splitlines()
    main(listed)
    if len(sys.argv) > 2:
        main(listed, Path(sys.argv[2]))
