"""Hostile videos that somebody must have written: files that point to others, and headers that ask for everything."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.support_mutate import Mutant
from tests.support_video import ffmpeg, numbered_video

_PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf")
_U32 = 0xFFFFFFFF
_I31 = 0x7FFFFFFF


def pointing(canary: Path, port: int) -> Iterator[Mutant]:
    """Files that name `canary`, a video that was not asked for, or a server on this machine."""
    http = f"http://127.0.0.1:{port}/c.mp4"
    targets = {"file": f"file:{canary}", "path": str(canary), "name": canary.name, "http": http}
    for kind, target in targets.items():
        texts = {
            "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
            "concat": f"concat:{target}|{target}",
            "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
            "hls map": f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-MAP:URI="{target}"\n#EXTINF:9,\n{target}\n',
            "hls key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n',
            "hls master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
            "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
            '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
            "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n",
            "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
            "pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
            "rtsp text": f"rtsptext\n{target}\n",
            "qt link": '<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?>'
            f'<embed src="{target}"/>',
            "avisynth": f'AVISource("{target}")\n',
            "svg": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>',
            "subtitles": f"[Script Info]\nVideo File: {target}\n[Events]\n"
            "Dialogue: 0,0:00:00.00,0:00:01.00,x,,0,0,0,,x\n",
        }
        for form, text in texts.items():
            for ending in ("mp4", "ts") if form in ("ffconcat", "hls") else ("mp4",):
                yield Mutant(f"{form} {kind}.{ending}".replace(" ", "_"), f"{form} to {kind}", text.encode())


def bombs(bases: Mapping[str, bytes]) -> Iterator[Mutant]:
    """Small files that ask for memory, frames or time without end.

    Args:
        bases: the content of the videos of support_mutate, by name.
    """
    mp4, mov, avi, ivf = bases["h264.mp4"], bases["mjpeg.mov"], bases["mjpeg.avi"], bases["vp9.ivf"]
    made: dict[str, bytes] = {
        "stts_2e31.mp4": with_box(mp4, b"stts", full(struct.pack(">III", 1, _I31, 1))),
        "stts_many.mp4": with_box(mp4, b"stts", full(struct.pack(">III", _U32, 1, 1))),
        "ten_years.mp4": with_box(mp4, b"stts", full(struct.pack(">III", 1, 50, _I31 // 60))),
        "ctts.mp4": with_box(mp4, b"ctts", full(struct.pack(">I", 2) + struct.pack(">IiIi", 25, -_I31, 25, _I31))),
        "ctts_many.mp4": with_box(mp4, b"ctts", full(struct.pack(">III", _U32, 1, 1))),
        "one_size.mp4": _constant_size(mp4, 1, 0x0FFFFFFF),
        "one_size_smaller.mp4": _constant_size(mp4, 1, 4_000_000),
        "size_0.mp4": _constant_size(mp4, 0, 0x0FFFFFFF),
        "size_2g.mp4": with_box(mp4, b"stsz", full(struct.pack(">II", 0, 50) + struct.pack(">I", _I31) * 50)),
        "edits.mp4": _edits(mp4, struct.pack(">Iihh", 1700, 0, 1, 0) * 50_000),
        "edit_negative.mp4": _edits(mp4, struct.pack(">Iihh", _U32, -_I31, 1, 0)),
        "edit_rate_0.mp4": _edits(mp4, struct.pack(">Iihh", 1700, 0, 0, 0)),
        "billion_fps.mp4": _timescale(mp4, _U32),
        "timescale_0.mp4": _timescale(mp4, 0),
        "timescale_1.mp4": _timescale(mp4, 1),
        "streams_3000.mp4": _with_streams(mp4, 3000),
        "chunks.mp4": with_box(mp4, b"stco", full(struct.pack(">I", _U32) + struct.pack(">I", 48) * 50)),
        "to_chunks.mp4": with_box(mp4, b"stsc", full(struct.pack(">IIII", 1, 1, _U32, 1))),
        "turned_45.mp4": _matrix(mp4, (46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)),
        "turned_absurd.mp4": _matrix(mp4, (-(1 << 31), _I31, -1, -(1 << 31), _I31, 1, _I31, _I31, 0)),
        "turned_0.mp4": _matrix(mp4, (0,) * 9),
        "other_file_url.mp4": _elsewhere(mp4, b"url ", b"file:///etc/hostname\0"),
        "other_file_alias.mov": _elsewhere(mov, b"alis", _alias(b"/etc/hostname")),
        "jpeg_65500.mov": _jpeg_size(mov, 65500, 65500),
        "jpeg_65500.avi": _jpeg_size(avi, 65500, 65500),
        "jpeg_16000.avi": _jpeg_size(avi, 16000, 16000),
        "jpeg_grows.avi": _jpeg_size(avi, 16000, 16000, skip=10),
        "avi_65535.avi": avi.replace(struct.pack("<II", 96, 64), struct.pack("<II", 65535, 65535)),
        "avi_2e31.avi": avi.replace(struct.pack("<II", 96, 64), struct.pack("<Ii", _I31, -_I31)),
        "gif_65535.gif": bases["picture.gif"][:6] + struct.pack("<HH", 65535, 65535) + bases["picture.gif"][10:],
        "gif_9000.gif": bases["picture.gif"][:6] + struct.pack("<HH", 9000, 9000) + bases["picture.gif"][10:],
        "ivf_65535.ivf": ivf[:12] + struct.pack("<HH", 65535, 65535) + ivf[16:],
        "ivf_rate.ivf": ivf[:16] + struct.pack("<II", _U32, 1) + ivf[24:],
        "ivf_rate_0.ivf": ivf[:16] + struct.pack("<II", 0, 0) + ivf[24:],
        "ivf_frame_2g.ivf": ivf[:32] + struct.pack("<I", _I31) + ivf[36:],
        "ivf_late.ivf": ivf[:36] + struct.pack("<Q", (1 << 63) - 1) + ivf[44:],
        "vp8_16383.webm": bases["vp8.webm"].replace(b"\x9d\x01\x2a\x60\x00\x40\x00", b"\x9d\x01\x2a\xff\x3f\xff\x3f"),
        "prores_65535.mov": _prores_size(bases["prores.mov"], 65535, 65535),
        "mpeg2_4095.ts": _sequence_size(bases["mpeg2.ts"], 4095, 4095),
        "mpeg1_4095.mpg": _sequence_size(bases["mpeg1.mpg"], 4095, 4095),
        "theora_1m.ogv": bases["theora.ogv"].replace(b"\x00\x06\x00\x04\x00\x00\x60\x00\x00\x40", b"\xff" * 10),
        "webm_65535.webm": bases["vp9.webm"].replace(b"\xb0\x81\x60\xba\x81\x40", b"\xb0\x81\xff\xba\x81\xff"),
        "linked.mkv": _linked(bases["h264.mkv"]),
        "empty.mp4": b"",
        "zeros.mp4": bytes(65536),
        "text.mp4": b"no video at all\n" * 100,
        "html.mp4": b"<!doctype html><html><body>Not found</body></html>",
    }  # fmt: skip
    for name, content in made.items():
        yield Mutant(name, "crafted", content)


def full(payload: bytes, version: int = 0) -> bytes:
    """The payload of a `full box`: version and flags come first."""
    return struct.pack(">I", version << 24) + payload


def with_box(content: bytes, kind: bytes, payload: bytes) -> bytes:
    """An MP4 in which the first box of `kind` has another payload, or is put into the place where it belongs."""
    return _rebuilt(content, kind, lambda _old: payload)


def _rebuilt(content: bytes, kind: bytes, change: Callable[[bytes], bytes]) -> bytes:
    made, at, done = b"", 0, False
    while at + 8 <= len(content):
        size, name = struct.unpack(">I4s", content[at : at + 8])
        inner = content[at + 8 : at + size]
        if name == kind and not done:
            inner, done = change(inner), True
        elif name in _PARENTS and not done:
            inner = _rebuilt(inner, kind, change)
            if kind in inner:
                done = True
            elif (name, kind) in ((b"stbl", b"ctts"), (b"trak", b"edts")):
                fresh = change(b"")
                inner, done = inner + struct.pack(">I4s", 8 + len(fresh), kind) + fresh, True
        made += struct.pack(">I4s", 8 + len(inner), name) + inner
        at += size
    return made


def _edits(mp4: bytes, entries: bytes) -> bytes:
    return with_box(mp4, b"elst", full(struct.pack(">I", len(entries) // 12) + entries))


def _constant_size(mp4: bytes, size: int, count: int) -> bytes:
    made = with_box(mp4, b"stsz", full(struct.pack(">II", size, count)))
    made = with_box(made, b"stsc", full(struct.pack(">IIII", 1, 1, count, 1)))
    made = with_box(made, b"stts", full(struct.pack(">III", 1, count, 1)))
    return with_box(made, b"stco", full(struct.pack(">II", 1, 48)))


def _timescale(mp4: bytes, scale: int) -> bytes:
    return _rebuilt(mp4, b"mdhd", lambda old: old[:12] + struct.pack(">I", scale) + old[16:])


def _matrix(mp4: bytes, values: tuple[int, ...]) -> bytes:
    return _rebuilt(mp4, b"tkhd", lambda old: old[:40] + struct.pack(">9i", *values) + old[76:])


def _with_streams(mp4: bytes, count: int) -> bytes:
    at = mp4.index(b"trak") - 4
    size = struct.unpack(">I", mp4[at : at + 4])[0]
    track = mp4[at : at + size]
    return _rebuilt(mp4, b"moov", lambda old: old + track * count)


def _elsewhere(content: bytes, kind: bytes, data: bytes) -> bytes:
    """The first data reference is to another file."""
    entry = struct.pack(">I4sI", 12 + len(data), kind, 0) + data
    return with_box(content, b"dref", full(struct.pack(">I", 1) + entry))


def _alias(path: bytes) -> bytes:
    """An alias record (of the old Mac OS) with a full path, as ffmpeg reads one."""
    volume, name = b"\x04root" + bytes(23), bytes([len(path.rsplit(b"/", 1)[1])]) + path.rsplit(b"/", 1)[1]
    head = bytes(10) + volume + bytes(12) + name.ljust(64, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(16)
    even = path + bytes(len(path) % 2)
    return head + struct.pack(">hh", 2, len(path)) + even + struct.pack(">hh", 18, len(path)) + even + b"\xff\xff\0\0"


def _linked(matroska: bytes) -> bytes:
    """The muxer's name becomes the name of the segment that comes next: another file."""
    at = matroska.index(b"\x4d\x80")
    size = matroska[at + 2] & 0x7F
    name = b"canary.ts".ljust(size - 1, b"\0")
    return matroska[:at] + b"\x3e\x83\xbb" + bytes([0x80 | (size - 1)]) + name + matroska[at + 3 + size :]


def _jpeg_size(content: bytes, width: int, height: int, skip: int = 0) -> bytes:
    made, at = bytearray(content), 0
    while (at := content.find(b"\xff\xc0\x00\x11", at)) >= 0:
        if skip <= 0:
            made[at + 5 : at + 9] = struct.pack(">HH", height, width)
        skip, at = skip - 1, at + 4
    return bytes(made)


def _prores_size(content: bytes, width: int, height: int) -> bytes:
    made, at = bytearray(content), 0
    while (at := content.find(b"icpf", at)) >= 0:
        made[at + 12 : at + 16] = struct.pack(">HH", width, height)
        at += 4
    return bytes(made)


def _sequence_size(content: bytes, width: int, height: int) -> bytes:
    """MPEG-1 and 2: 12 bits each after the sequence header's start code."""
    made, at = bytearray(content), 0
    while (at := content.find(b"\x00\x00\x01\xb3", at)) >= 0:
        made[at + 4 : at + 7] = (width << 12 | height).to_bytes(3, "big")
        at += 4
    return bytes(made)


def large_pictures(folder: Path) -> Iterator[Path]:
    """Real videos of 81 million pixels a frame, one of which begins small: honest, and more than is decoded."""
    encoding = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
    for name, args in (
        ("large.avi", ("-c:v", "mjpeg", "-pix_fmt", "yuvj420p")),
        ("large.mp4", encoding),
        ("large.ts", encoding),
    ):
        ffmpeg("-f", "lavfi", "-i", "color=black:s=9008x9008:r=5", "-frames:v", 2, *args, folder / name)
        yield folder / name
    small = numbered_video(folder / "small.ts", 12, args=encoding)
    (folder / "grows.ts").write_bytes(small.read_bytes() + (folder / "large.ts").read_bytes())
    yield folder / "grows.ts"
