"""Makes a pack from an output directory: every clip's frames decoded and resized, or encoded, once. Atomic by shard,
resumable.

A frame that is missing or cannot be read stops the whole with its path: a pack of fewer clips would change what is
evaluated, and nobody would see it.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from cityguessr_data.core.atomic import write_bytes, write_json, write_table
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.fingerprint import fingerprint
from cityguessr_data.core.frame_files import FrameFiles
from cityguessr_data.core.partitions import manifest_batches, manifest_schema, read_manifest
from cityguessr_data.media.limits import picture_fault

from ..classes import Classes
from .features import FrameEncoder, Read, write_features
from .layout import INDEX, VERSION, PackConfig, shard_name
from .sampling import saved_positions
from .squeeze import squeezed


@dataclass(frozen=True)
class Packed:
    """What `pack` did."""

    n_clips: int
    n_shards: int
    n_shards_made: int
    """In this run; the others were there."""
    n_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a pack will hold, known before anything is written."""

    clips: pa.Table
    paths: tuple[tuple[str, ...], ...]
    """By clip, its frames in order, as the frames table names them."""
    fingerprint: str
    n_bytes: int
    """Of all shards; with jpeg an estimate."""


def plan_pack(out: Path, config: PackConfig) -> Plan:
    """Look up every frame that the pack needs.

    Raises:
        InputError: no data set, no clips, or a clip without a frame that is wanted.
    """
    manifests = out / "manifests"
    if not (manifests / "clips.parquet").is_file():
        raise InputError(f"{out} is no data set (it has no manifests/clips.parquet)", "Name the --out of a build")
    clips = read_manifest(manifests / "clips.parquet")
    if not clips.num_rows:
        raise InputError(f"{out} has no clips", "There is nothing to pack yet")
    paths = _paths(out, clips, config)
    digest = fingerprint({"config": config.decisive, "clips": clips["fingerprint"].to_pylist(), "paths": len(paths)})
    return Plan(clips, paths, digest, config.clip_bytes * clips.num_rows)


def pack(
    out: Path,
    to: Path,
    config: PackConfig,
    workers: int = 4,
    on_shard: Callable[[int, int], None] | None = None,
    encoder: FrameEncoder | None = None,
    on_clips: Callable[[int], None] | None = None,
    plan: Plan | None = None,
) -> Packed:
    """Write the pack of `out` to the folder `to`; the same call again does what is missing.

    Args:
        config: of features, as `features.of_encoder` completes it.
        on_shard: called with (shards there, shards in all) after each.
        encoder: with features, whose they are.
        on_clips: with features, called with the number of clips encoded, after each batch.
        plan: of the same `out` and `config`, where the caller has looked already; all frames are looked up for it.
    Raises:
        InputError: as `plan_pack`; a frame that cannot be read, with its path; `to` holds another pack, or lies under
            `out` while frames are not blurred.
        MachineError: features that are no numbers.
        DiskFullError: no space left; what is finished is kept.
        ValueError: features without their encoder.
    """
    if (config.format == "features") != (encoder is not None) or (encoder and encoder.digest != config.encoder_digest):
        raise ValueError(f"expected the encoder of {config}, got {encoder}")
    plan = plan or plan_pack(out, config)
    _check_target(to, out, plan)
    write_json(to / "plan.json", {"version": VERSION, "fingerprint": plan.fingerprint})
    bounds = range(0, plan.clips.num_rows, config.clips_per_shard)
    checks: list[list[int]] = []
    made = 0
    read = _reader(out, config)
    with ThreadPoolExecutor(workers) as pool:
        for number, start in enumerate(bounds):
            sums, shard = to / "shards" / f"{number:05d}.json", to / shard_name(number, config.format)
            if not (sums.is_file() and shard.is_file()):  # a damaged shard is deleted by hand, its sums stay
                clips = plan.paths[start : start + config.clips_per_shard]
                if encoder is None:
                    crcs = _write_shard(shard, clips, config, read, pool)
                else:
                    crcs = write_features(shard, clips, config, encoder, pool, read, on_clips)
                write_json(sums, crcs)
                made += 1
            checks.append(json.loads(sums.read_text()))
            if on_shard is not None:
                on_shard(number + 1, len(bounds))
    _write_index(to, out, plan, config, checks)
    return Packed(plan.clips.num_rows, len(bounds), made, sum(p.stat().st_size for p in (to / "shards").iterdir()))


def read_frame(files: FrameFiles, path: str, size_px: int) -> npt.NDArray[np.uint8]:
    """One saved frame, squeezed to a square: uint8 (size_px, size_px, 3), red, green, blue.

    Raises:
        InputError: it is missing or is no picture.
    """
    import cv2

    mend = "Mend the data set: run its build again"
    try:
        content = files.read(path)
    except FileNotFoundError as exc:
        raise InputError(f"the frame {files.out / path} is missing", mend) from exc
    except OSError as exc:
        raise InputError(f"the frame {files.out / path} cannot be read ({exc.strerror})", mend) from exc
    fault = picture_fault(content)
    picture = None if fault else cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise InputError(f"the frame {files.out / path} {fault or 'is no picture'}", mend)
    return np.ascontiguousarray(squeezed(np.asarray(picture, np.uint8), size_px)[:, :, ::-1])


def _write_shard(
    path: Path, clips: Sequence[Sequence[str]], config: PackConfig, read: Read, pool: ThreadPoolExecutor
) -> list[int]:
    """Write one shard of pixels; the CRC-32 of every clip's bytes."""
    if config.format == "uint8":
        shape = (len(clips), config.n_frames, 3, config.size_px, config.size_px)
        block = np.empty(shape, np.uint8)
        for i, frames in enumerate(pool.map(read, clips)):
            block[i] = frames.transpose(0, 3, 1, 2)
        buffer = io.BytesIO()
        np.save(buffer, block)
        write_bytes(path, buffer.getbuffer())
        return [zlib.crc32(clip.data) for clip in block]
    encoded = [[_encoded(frame, config.jpeg_quality) for frame in frames] for frames in pool.map(read, clips)]
    write_table(path, pa.table({"frames": pa.array(encoded, pa.list_(pa.binary()))}))
    return [zlib.crc32(b"".join(frames)) for frames in encoded]


def _reader(out: Path, config: PackConfig) -> Read:
    files = FrameFiles(out)
    return lambda paths: np.stack([read_frame(files, path, config.size_px) for path in paths])


def _encoded(rgb: npt.NDArray[np.uint8], quality: int) -> bytes:
    import cv2

    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(rgb[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    content: bytes = jpeg.tobytes()
    return content


def _paths(out: Path, clips: pa.Table, config: PackConfig) -> tuple[tuple[str, ...], ...]:
    """The wanted frames of every clip, in the order of the clips table."""
    few = clips.filter(pc.less(clips["n_sampled"], config.n_frames))
    if few.num_rows:
        raise InputError(
            f"{few.num_rows} of {clips.num_rows} clips have fewer than the {config.n_frames} frames that the preset "
            f"keeps, e.g. {few['clip_id'][0]} with {few['n_sampled'][0]}",
            "Choose fewer with --set data.stored_frames, or import again with a higher --min-frames",
        )
    wanted = {
        n: saved_positions(n, config.n_frames, config.sampling) for n in pc.unique(clips["n_sampled"]).to_pylist()
    }
    row_of = {clip_id: row for row, clip_id in enumerate(clips["clip_id"].to_pylist())}
    saved = clips["n_sampled"].to_pylist()
    found: list[dict[int, str]] = [{} for _ in row_of]
    some = pa.array(sorted({position for positions in wanted.values() for position in positions}), pa.int32())
    for batch in manifest_batches(out / "manifests" / "frames.parquet", ["clip_id", "position", "path"]):
        batch = batch.filter(pc.is_in(batch["position"], value_set=some))
        for clip_id, position, path in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if clip_id in row_of:
                found[row_of[clip_id]][position] = path
    for clip_id, row in row_of.items():
        missing = [position for position in wanted[saved[row]] if position not in found[row]]
        if missing:
            raise InputError(
                f"clip {clip_id} has no frame {missing[0]} in {out}/manifests/frames.parquet", "Run its build again"
            )
    return tuple(tuple(found[row][p] for p in wanted[saved[row]]) for row in range(len(found)))


def _scene_top1(out: Path, clips: pa.Table) -> pa.Array:
    """By clip, the category of each saved frame in order; null where a frame has none."""
    known: dict[str, list[int | None]] = {clip_id: [] for clip_id in clips["clip_id"].to_pylist()}
    frames = out / "manifests" / "frames.parquet"
    if "scene_top1" in manifest_schema(frames).names:
        for batch in manifest_batches(frames, ["clip_id", "scene_top1"]):
            for clip_id, top1 in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                if clip_id in known:
                    known[clip_id].append(top1)
    whole = [row if row and None not in row else None for row in known.values()]
    return pa.array(whole, pa.list_(pa.int16()))


def _check_target(to: Path, out: Path, plan: Plan) -> None:
    """Raise InputError where `to` holds something else than this pack, or would bring unblurred pixels under `out`."""
    n_unblurred = plan.clips["blur"].null_count if "blur" in plan.clips.column_names else 0
    if n_unblurred and to.resolve().is_relative_to(out.resolve()):
        raise InputError(
            f"{to} lies under {out}, where no unblurred picture may be, and {n_unblurred} clips are not anonymised",
            f"Run `cgtool anonymise {out}` first, or name a folder elsewhere with --to",
        )
    note = to / "plan.json"
    if note.is_file():
        try:
            found = json.loads(note.read_text()).get("fingerprint")
        except (ValueError, AttributeError) as exc:
            raise InputError(f"{note} is damaged: {exc}", "Name another folder with --to") from exc
        if found != plan.fingerprint:
            raise InputError(f"{to} holds a pack of other clips or another preset", "Name another folder with --to")
    elif to.is_dir() and any(to.iterdir()):
        raise InputError(f"{to} is not empty and is no pack", "Name another folder with --to")


def _write_index(to: Path, out: Path, plan: Plan, config: PackConfig, checks: list[list[int]]) -> None:
    """The index, the classes, and pack.json, which says that the pack is whole."""
    clips = plan.clips
    n = clips.num_rows
    channel: dict[str, str | None] = {}
    if (out / "manifests" / "videos.parquet").is_file():
        videos = read_manifest(out / "manifests" / "videos.parquet", ["video_id", "channel"])
        channel = dict(zip(videos["video_id"].to_pylist(), videos["channel"].to_pylist(), strict=True))
    columns = {
        **{name: clips[name] for name in INDEX.names if name in clips.column_names and name != "scene_top1"},
        "channel": pa.array([channel.get(video) for video in clips["video_id"].to_pylist()], pa.string()),
        "scene_top1": _scene_top1(out, clips),
        "shard": pa.array(np.arange(n) // config.clips_per_shard, pa.int32()),
        "row": pa.array(np.arange(n) % config.clips_per_shard, pa.int32()),
        "crc32": pa.array([crc for shard in checks for crc in shard], pa.int64()),
    }
    index = pa.table([columns[name] for name in INDEX.names], schema=INDEX)
    write_table(to / "index.parquet", index)
    Classes.of_clips(clips).write(to / "taxonomy.parquet")
    dataset = json.loads((out / "dataset.json").read_text(encoding="utf-8")) if (out / "dataset.json").is_file() else {}
    built = dataset.get("config", {}).get("clip", {})
    rule = {name: built.get(name) for name in ("min_frames", "max_frames", "samples")}
    about = {
        "name": dataset.get("name", out.resolve().name),
        "n_clips": n,
        "config": asdict(config),
        "clip_rule": None if None in rule.values() else rule,
    }
    # scene labels can come or change after the pixels were packed; a run may be of both, or of the pixels alone
    labels = [index[name].to_pylist() for name in ("scene_soft", "scene_top1")]
    marks = {"fingerprint": fingerprint([plan.fingerprint, labels]), "pixels": plan.fingerprint}
    write_json(to / "pack.json", {"version": VERSION, **marks, **about})
