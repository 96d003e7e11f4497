"""Reads what the user names (an output directory, a clips table, counts by city) and checks it whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..core.errors import InputError
from ..core.partitions import is_manifest, manifest_schema, read_manifest
from ..core.schemas import TABLES
from ..core.tables import read_table
from ..core.types import LEVELS
from ..vision.kinds import FACE
from .counts import City, cities_of_clips, cities_of_counts
from .places import Gazetteer
from .results import Kind
from .stream import count_rows, first_line

PAPER_CONF = FACE.thresholds["paper"]


@dataclass(frozen=True)
class Data:
    """One data set, ready to be measured."""

    name: str
    kind: Kind
    cities: tuple[City, ...]
    """Clips by city; at least one clip in all."""
    n_cities_covered: int
    """Cities of the taxonomy among them, of `n_taxonomy_cities`."""
    n_taxonomy_cities: int
    notes: tuple[str, ...]
    """What a reader must know."""
    clips: pa.Table | None = None
    """The columns of contract 4 that the table has, at least clip_id and city; None for a counts table."""
    videos: pa.Table | None = None
    frames: Path | None = None
    """Read in a stream, for it can be of any size; a file or a folder of partitions (core/partitions.py)."""
    faces: Path | None = None
    splits: tuple[Path, ...] = ()
    conf: float = PAPER_CONF
    """The score from which a face was blurred."""


def read_data(path: Path, gazetteer: Gazetteer, splits: Sequence[Path] = ()) -> Data:
    """Read and check one data set.

    Args:
        path: an output directory; a clips table (Parquet or CSV with `clip_id` and `city`, a row a clip); or a table
            of counts (CSV or Parquet with `city` and `count`, a row a city, and state, country, continent, lat and lon
            if it has them).
        splits: split tables beside those that an output directory has.
    Raises:
        InputError: it is none of these, or has nothing to measure.
        TableError: a counts table with faults, every one with its line.
    """
    if path.is_dir():
        return _read_directory(path, gazetteer, splits)
    columns = _columns_of(path)
    if "count" in columns:
        if splits:
            raise InputError(f"{path} counts clips and does not name them: a split says nothing of it", "Leave it out")
        return _read_counts(path, gazetteer)
    if {"clip_id", "city"} <= set(columns):
        return replace(_read_clips(path.stem, "clips", path, gazetteer), splits=tuple(splits))
    hint = " (is the separator a comma?)" if len(columns) == 1 and set(columns[0]) & set(";\t|") else ""
    raise InputError(
        f"{path} has neither the columns city and count nor clip_id and city; it has {', '.join(columns)}{hint}",
        "Name an output directory, a clips table, or a table of counts by city",
    )


def _read_directory(out: Path, gazetteer: Gazetteer, splits: Sequence[Path]) -> Data:
    try:
        dataset = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
        if not isinstance(dataset, dict):
            raise ValueError("it is no object")
    except FileNotFoundError:
        raise InputError(f"{out} is no data set (it has no dataset.json)", "Name the --out of a build") from None
    except (OSError, ValueError) as exc:
        raise InputError(f"{out}/dataset.json cannot be read: {exc}", "Run the build again") from exc
    manifests = out / "manifests"
    if not (manifests / "clips.parquet").is_file():
        raise InputError(f"{out} has no clips table yet", "Let the build finish; the same command goes on")
    videos = None
    if (manifests / "videos.parquet").is_file():
        videos = _parquet(manifests / "videos.parquet", "videos", required=TABLES["videos"].names)
    name = str(dataset.get("name") or out.resolve().name)
    data = replace(
        _read_clips(name, "dataset", manifests / "clips.parquet", gazetteer),
        videos=videos,
        frames=_if_there(manifests / "frames.parquet"),
        faces=_if_there(manifests / "faces.parquet"),
        splits=(*sorted((out / "splits").glob("*.parquet")), *splits),
        conf=_conf(dataset),
    )
    behind = _uncounted(out, data)
    note = f"clips of {behind} more videos are committed but not in the manifests: run the build again"
    return replace(data, notes=(note, *data.notes)) if behind else data


def _read_clips(name: str, kind: Kind, path: Path, gazetteer: Gazetteer) -> Data:
    clips = _clips_table(path, kind)
    cities, notes = cities_of_clips(clips, gazetteer)
    columns = _columns_of(path)
    return replace(_of_cities(name, kind, cities, notes, columns, clips.column_names, gazetteer), clips=clips)


def _read_counts(path: Path, gazetteer: Gazetteer) -> Data:
    optional = (*LEVELS[1:], "lat", "lon")
    table = read_table(path, ("city", "count"), optional, parquet=True)
    cities, notes = cities_of_counts(table, gazetteer, str(path))
    return _of_cities(path.stem, "counts", cities, notes, table.columns, ("city", "count", *optional), gazetteer)


def _of_cities(
    name: str,
    kind: Kind,
    cities: tuple[City, ...],
    notes: list[str],
    columns: Sequence[str],
    used: Sequence[str],
    gazetteer: Gazetteer,
) -> Data:
    unused = [column for column in columns if column not in used]
    return Data(
        name=name,
        kind=kind,
        cities=cities,
        n_cities_covered=gazetteer.covered([city.names for city in cities if city.n_clips]),
        n_taxonomy_cities=gazetteer.n_cities,
        notes=(*notes, f"columns not used: {', '.join(unused)}") if unused else tuple(notes),
    )


def _columns_of(path: Path) -> list[str]:
    """Names of the columns of a CSV or Parquet file; those of CSV in lower case where we know them so."""
    import pyarrow.parquet as pq

    if path.exists() and not path.is_file():
        raise InputError(f"{path} is no file", "Name a file on a disk: it is read more than once")
    try:
        if _is_parquet(path):
            return list(pq.read_schema(path).names)
    except FileNotFoundError:
        raise InputError(f"there is no {path}", "Check the path") from None
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {first_line(exc)}", "Name a CSV or Parquet file") from exc
    table = read_table(path, (), ("city", "count", "clip_id"))
    return list(table.columns)


def _clips_table(path: Path, kind: Kind) -> pa.Table:
    """The known columns of a clips table, in the types of contract 4.

    Raises:
        InputError: no clips, a clip without id or city, an id twice, a column missing or of another type, a negative
            number.
    """
    if kind == "dataset":
        clips = _parquet(path, "clips", required=TABLES["clips"].names)
    else:
        clips = _parquet(path, "clips", required=("clip_id", "city")) if _is_parquet(path) else _csv_clips(path)
    if not clips.num_rows:
        raise InputError(f"{path} has no clips", "There is nothing to measure yet")
    for column in ("clip_id", "city"):
        empty = pc.sum(pc.or_kleene(pc.is_null(clips[column]), pc.equal(pc.utf8_trim_whitespace(clips[column]), "")))
        if n := empty.as_py():
            raise InputError(f"{path}: {n} of {clips.num_rows} clips have no {column}", f"Fill the column {column}")
    for column in ("n_frames", "n_sampled", "n_faces", "width", "height"):
        if column in clips.column_names and pc.any(pc.less(clips[column], 0)).as_py():
            raise InputError(f"{path}: column {column} is negative in some rows", "Mend the column")
    twice = clips.num_rows - pc.count_distinct(clips["clip_id"]).as_py()
    if twice:
        counted = clips.group_by("clip_id").aggregate([([], "count_all")])
        first = counted.filter(pc.greater(counted["count_all"], 1))["clip_id"][0].as_py()
        raise InputError(
            f"{path}: clip_id {first} stands there twice ({twice} rows too many)", "Give every clip one row"
        )
    return clips


def _uncounted(out: Path, data: Data) -> int:
    """Videos whose clips are committed, while the manifest was put together before."""
    counted = {video for city in data.cities for video in city.videos or ()}
    if data.videos is not None:  # imported clips may not know their video: rows that stand for them count too
        rows = data.videos.select(["video_id", "n_clips"]).to_pylist()
        counted |= {row["video_id"] for row in rows if row["n_clips"]}
    later = [part for part in (out / "parts" / "clips").glob("*.parquet") if part.stem not in counted]
    return sum(count_rows(part) > 0 for part in later)


def _parquet(path: Path, table: str, required: Sequence[str]) -> pa.Table:
    schema = TABLES[table]
    try:
        found = read_manifest(path, [c for c in manifest_schema(path).names if c in schema.names])
    except (OSError, pa.ArrowException) as exc:
        raise InputError(f"cannot read {path}: {first_line(exc)}", "Run the build again, or mend the file") from exc
    if missing := [name for name in required if name not in found.column_names]:
        raise InputError(f"{path} has no column {', '.join(missing)}", "Run the build again, or mend the file")
    for i, name in enumerate(found.column_names):
        wanted = schema.field(name).type
        try:
            found = found.set_column(i, pa.field(name, wanted), found[name].cast(wanted))
        except pa.ArrowException as exc:
            raise InputError(
                f"{path}: column {name} should be {wanted}, but is {found.schema.field(name).type}", "Mend the column"
            ) from exc
    return found


def _csv_clips(path: Path) -> pa.Table:
    table = read_table(path, ("clip_id", "city"), tuple(TABLES["clips"].names))
    if table.faults:
        from ..core.errors import TableError

        raise TableError(str(path), table.faults)
    schema = TABLES["clips"]
    names = [name for name in table.columns if name in schema.names and not pa.types.is_nested(schema.field(name).type)]
    columns = {}
    for name in names:
        texts = pa.array([row[name] or None for _, row in table.rows], pa.string())
        try:
            columns[name] = texts.cast(schema.field(name).type)
        except pa.ArrowException as exc:
            raise InputError(f"{path}: column {name}: {first_line(exc)}", "Mend the column") from exc
    return pa.table(columns)


def _conf(dataset: dict[str, Any]) -> float:
    """The score that faces were blurred from, by the configuration in dataset.json; imported data may have none."""
    config = dataset.get("config")
    anonymise = config.get("anonymise") if isinstance(config, dict) else None
    if not isinstance(anonymise, dict):
        return PAPER_CONF
    conf, blur = anonymise.get("conf"), anonymise.get("blur")
    if isinstance(conf, int | float) and 0 < conf <= 1:
        return float(conf)
    mode = blur.get("mode") if isinstance(blur, dict) else None
    return FACE.thresholds.get(str(mode), PAPER_CONF)


def _is_parquet(path: Path) -> bool:
    """By its first bytes: the ending of a name proves nothing."""
    with path.open("rb") as f:
        return f.read(4) == b"PAR1"


def _if_there(manifest: Path) -> Path | None:
    return manifest if is_manifest(manifest) else None
