"""Makes hostile videos: small real ones of every container, damaged by a seeded hand in the ways that files are.

Half of the mutants are damage as disks and networks do it (flipped bits, a cut, lost and doubled blocks), half are
lies that somebody must have written: absurd numbers in the fields that a demuxer believes, one file's head on
another's body. A mutant is a function of its base, its number and the seed alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support_video import ffmpeg, numbered_video

_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "24", "-pix_fmt", "yuv420p", "-bf", "2", "-g", "12")
_ENCODINGS: dict[str, tuple[str, ...]] = {
    "h264.mp4": _H264,
    "fragmented.mp4": (*_H264, "-movflags", "frag_keyframe+empty_moov"),
    "hevc.mp4": ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
    "av1.mp4": ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-crf", "40"),
    "mjpeg.mov": ("-c:v", "mjpeg", "-q:v", "6"),
    "prores.mov": ("-c:v", "prores_ks", "-profile:v", "0"),
    "h264.mkv": _H264,
    "vp9.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "vp8.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "6"),
    "mjpeg.avi": ("-c:v", "mjpeg", "-q:v", "6"),
    "h264.ts": (*_H264, "-f", "mpegts"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-q:v", "6", "-f", "mpegts"),
    "mpeg1.mpg": ("-c:v", "mpeg1video", "-q:v", "6"),
    "h264.flv": _H264,
    "picture.gif": (),
    "wmv2.wmv": ("-c:v", "wmv2"),
    "theora.ogv": ("-c:v", "libtheora"),
    "vp9.ivf": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
    "plain.h264": _H264,
    "vfr.mp4": ("-vf", "setpts='if(gt(N,20),PTS+N*0.02/TB,PTS)'", "-fps_mode", "vfr", *_H264),
}
FRAMES = 50
_SIZE = (96, 64)
_BLOCK = 188 * 8

_ABSURD = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_ABSURD_64 = (*_ABSURD, 1 << 32, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
_MARKS = (
    b"ftyp", b"moov", b"mvhd", b"trak", b"tkhd", b"edts", b"elst", b"mdia", b"mdhd", b"hdlr", b"minf", b"stbl",
    b"stsd", b"avc1", b"avcC", b"hvcC", b"hev1", b"av01", b"av1C", b"jpeg", b"apcn", b"stts", b"ctts", b"stss",
    b"stsc", b"stsz", b"stco", b"dref", b"mvex", b"trex", b"moof", b"mfhd", b"tfhd", b"tfdt", b"trun", b"sidx",
    b"mdat", b"udta",
    # AVI
    b"RIFF", b"avih", b"strh", b"strf", b"idx1", b"movi", b"indx", b"00dc", b"JUNK",
    # Matroska: EBML, Segment, Info, Duration, TimestampScale, Tracks, TrackEntry, Video, width, height, CodecPrivate,
    # Cluster, Timestamp, SimpleBlock, Cues, SeekHead, DefaultDuration
    b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67", b"\x15\x49\xa9\x66", b"\x44\x89", b"\x2a\xd7\xb1", b"\x16\x54\xae\x6b",
    b"\xae", b"\xe0", b"\xb0", b"\xba", b"\x63\xa2", b"\x1f\x43\xb6\x75", b"\xe7", b"\xa3", b"\x1c\x53\xbb\x6b",
    b"\x11\x4d\x9b\x74", b"\x23\xe3\x83",
    # elementary streams: H.264 SPS and PPS, MPEG sequence and pack headers, MPEG-4 VOL, JPEG's frame header
    b"\x00\x00\x01\x67", b"\x00\x00\x01\x68", b"\x00\x00\x01\xb3", b"\x00\x00\x01\xba", b"\x00\x00\x01\xe0",
    b"\x00\x00\x01\x20", b"\xff\xc0", b"\xff\xda",
    # GIF, Ogg, IVF, FLV, ASF
    b"GIF89a", b"\x21\xf9\x04", b"\x2c\x00\x00\x00\x00", b"OggS", b"\x80theora", b"DKIF", b"FLV\x01", b"onMetaData",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"\xa1\xdc\xab\x8c", b"\x91\x07\xdc\xb7",
)  # fmt: skip
"""What stands before a field that matters, in any of the containers."""


@dataclass(frozen=True)
class Mutant:
    """One hostile file: what it was made of and how, for the report."""

    name: str
    """A file name; its ending is that of the base."""
    how: str
    content: bytes


def make_bases(folder: Path, encodings: Sequence[str] = tuple(_ENCODINGS)) -> list[Path]:
    """A small video of each kind, and three that are turned, have sound or another file in them."""
    folder.mkdir(parents=True, exist_ok=True)
    bases = [
        numbered_video(folder / name, FRAMES, size=_SIZE, args=_ENCODINGS[name] or ("-r", "25")) for name in encodings
    ]
    source = bases[0]
    ffmpeg("-display_rotation", "90", "-i", source, "-c", "copy", folder / "turned.mp4")
    sound = ("-f", "lavfi", "-i", "sine=duration=2")
    ffmpeg("-i", source, *sound, "-c:v", "copy", "-shortest", folder / "sound.mkv")
    note = folder / "note.txt"
    note.write_text("attached")
    attachment = ("-attach", note, "-metadata:s:t", "mimetype=text/plain")
    ffmpeg("-i", source, "-c", "copy", *attachment, folder / "attached.mkv")
    note.unlink()
    return [*bases, folder / "turned.mp4", folder / "sound.mkv", folder / "attached.mkv"]


def mutants(bases: Sequence[Path], count: int, seed: int) -> Iterator[Mutant]:
    """`count` mutants, over bases and kinds in turn."""
    contents = [(path, path.read_bytes()) for path in bases]
    kinds = list(_KINDS.items())
    for number in range(count):
        rng = random.Random(f"{seed}/{number}")
        path, content = contents[number % len(contents)]
        kind, mutate = kinds[(number // len(contents) + number % len(contents)) % len(kinds)]
        other = rng.choice(contents)[1]
        yield Mutant(f"m{number:05d}.{path.name}", f"{kind} of {path.name}", mutate(rng, content, other))


def _few_bits(rng: random.Random, content: bytes, _: bytes) -> bytes:
    return _flipped(rng, content, rng.randint(1, 8), 0, len(content))


def _many_bits(rng: random.Random, content: bytes, _: bytes) -> bytes:
    return _flipped(rng, content, len(content) // rng.choice((50, 200, 1000)) + 1, 0, len(content))


def _head_bits(rng: random.Random, content: bytes, _: bytes) -> bytes:
    end = min(len(content), rng.choice((64, 512, 4096)))
    return _flipped(rng, content, rng.randint(1, 12), 0, end)


def _tail_bits(rng: random.Random, content: bytes, _: bytes) -> bytes:
    """A file's index often stands at its end."""
    return _flipped(rng, content, rng.randint(1, 12), max(0, len(content) - 1500), len(content))


def _flipped(rng: random.Random, content: bytes, bits: int, start: int, end: int) -> bytes:
    made = bytearray(content)
    for _ in range(bits):
        made[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
    return bytes(made)


def _cut(rng: random.Random, content: bytes, _: bytes) -> bytes:
    return content[: rng.choice((rng.randrange(len(content)), rng.randrange(min(64, len(content)))))]


def _spliced(rng: random.Random, content: bytes, other: bytes) -> bytes:
    """The head of one file on the body of another."""
    marked = [at for places in _places(content).values() for at in places[:3]]
    at = rng.choice((rng.randrange(len(content)), rng.choice(marked or [len(content) // 2])))
    return content[:at] + other[rng.choice((at, rng.randrange(len(other)))) :]


def _lost_block(rng: random.Random, content: bytes, _: bytes) -> bytes:
    at, length = rng.randrange(len(content)), rng.randint(1, _BLOCK)
    return content[:at] + content[at + length :]


def _doubled_block(rng: random.Random, content: bytes, _: bytes) -> bytes:
    at, length = rng.randrange(len(content)), rng.randint(1, _BLOCK)
    block = content[at : at + length]
    to = rng.randrange(len(content))
    return content[:to] + block * rng.choice((1, 2, 50)) + content[to:]


def _noise(rng: random.Random, content: bytes, _: bytes) -> bytes:
    at, length = rng.randrange(len(content)), rng.randint(1, _BLOCK)
    return content[:at] + rng.randbytes(length) + content[at + length :]


def _zeros(rng: random.Random, content: bytes, _: bytes) -> bytes:
    """A hole, as a torn download leaves it; now and then the whole file."""
    at, length = rng.randrange(len(content)), rng.choice((_BLOCK, len(content)))
    return (content[:at] + bytes(length) + content[at + length :])[: len(content)]


def _absurd(rng: random.Random, content: bytes, _: bytes) -> bytes:
    """Absurd numbers of 1 to 8 bytes in or just before the payload of marked fields, both byte orders."""
    places = _places(content)
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        # A mark of its own kind first: `stsd` occurs once, packets hundreds of times
        at = rng.choice(places[rng.choice(list(places))]) if places else rng.randrange(len(content))
        width = rng.choice((1, 2, 4, 4, 4, 8))
        at = max(0, at + rng.choice((-8, -4, 0, 4, 8, 12, rng.randrange(96))))
        value = rng.choice(_ABSURD_64) & ((1 << 8 * width) - 1)
        made[at : at + width] = value.to_bytes(width, rng.choice(("big", "big", "little")))
    return bytes(made)


def _places(content: bytes) -> dict[bytes, list[int]]:
    """Where the payload of every marked field begins, by mark."""
    found = {mark: [match.end() for match in re.finditer(re.escape(mark), content)] for mark in _MARKS}
    return {mark: places for mark, places in found.items() if places}


_KINDS: dict[str, Callable[[random.Random, bytes, bytes], bytes]] = {
    "few bits": _few_bits,
    "absurd fields": _absurd,
    "head bits": _head_bits,
    "spliced": _spliced,
    "many bits": _many_bits,
    "cut": _cut,
    "absurd fields again": _absurd,
    "lost block": _lost_block,
    "doubled block": _doubled_block,
    "tail bits": _tail_bits,
    "noise": _noise,
    "zeros": _zeros,
}
