"""The Croissant form: croissant.json (JSON-LD) and what it describes, with the vocabulary for responsible AI.

croissant.json    manifests/*.parquet    splits/*.parquet    shards/<fingerprint>/clips-000000.tar
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from ..core.schemas import CLIPS, FACES, FRAMES
from ..core.sources import safe_id
from . import about
from .cleaning import SPLIT
from .croissant_words import CONTEXT, DESCRIPTIONS, VERSION
from .destination import Destination
from .facts import Facts
from .job import ExportJob
from .tables import parquet_writer, write_splits
from .webdataset import member_name, write_shards

_TYPES = {
    "string": "sc:Text", "bool": "sc:Boolean", "float": "cr:Float32", "double": "cr:Float64",
    "int16": "cr:Int16", "int32": "cr:Int32", "int64": "cr:Int64",
}  # fmt: skip


def write_croissant(job: ExportJob) -> None:
    """Everything that croissant.json describes, and it last.

    Raises:
        FramesError: a frame is missing or is not the one that the tables name.
        InputError: a text holds a path of this machine.
        DiskFullError: no space left.
    """
    # mlcroissant keeps what it unpacked by the name of the shard alone: no two exports may have the same names
    shard_of = write_shards(job, f"shards/{job.dest.fingerprint}/")
    schemas = _write_tables(job, shard_of)
    splits = write_splits(job)
    if not job.dest.has("croissant.json"):
        value = describe(job, schemas, splits, sorted(set(shard_of.values())))
        job.guard.check_value("croissant.json", value)
        job.dest.write_text("croissant.json", json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def describe(job: ExportJob, schemas: Mapping[str, pa.Schema], splits: list[str], shards: list[str]) -> dict[str, Any]:
    """The JSON-LD.

    Args:
        schemas: of the tables, by name.
        splits: names of their files in DEST.
        shards: likewise.
    """
    contents = job.contents
    tables = {name: f"manifests/{name}.parquet" for name in schemas}
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": contents.name,
        "description": f"{about.count_words(job.facts)}. {about.headline(job.facts)}",
        "version": contents.version,
        "license": about.RIGHTS,
        "datePublished": job.dest.day,
        "citeAs": _citation(contents.name, contents.version, job.dest.day[:4]),
        "keywords": ["geo-localisation", "video", "cities", "anonymised"],
        **_responsible(job.facts),
        "distribution": [
            *(_file(job.dest, path, "application/x-parquet") for path in (*tables.values(), *splits)),
            *(_file(job.dest, path, "application/x-tar") for path in shards),
            {
                "@type": "cr:FileSet",
                "@id": "pictures",
                "name": "pictures",
                "description": DESCRIPTIONS["pictures"],
                "containedIn": [{"@id": _id(path)} for path in shards],
                "encodingFormat": "image/jpeg",
                "includes": "*.jpg",
            },
        ],
        "recordSet": [
            *(_record_set(name, tables[name], schema) for name, schema in schemas.items()),
            *(_record_set(_split_id(path), path, SPLIT) for path in splits),
            _pictures(),
        ],
    }


def _responsible(facts: Facts) -> dict[str, Any]:
    """The responsible-AI vocabulary, as far as something is known."""
    contents = facts.contents
    review = [line.replace("**", "") for line in about.review_words(facts)]
    gone = [line] if (line := about.gone_words(contents)) else []
    sites = ", ".join(f"{site} ({n:,})" for site, n in about.sites(contents).items())
    licences = ", ".join(f"{name} ({n:,})" for name, n in about.licences(contents).items())
    left = [f"{len(ids):,} clips were left out: {why}." for why, ids in contents.left_out.items()]
    found: dict[str, Any] = {
        "rai:dataCollection": f"Videos of people walking and driving through cities, cut into clips. Videos by site: "
        f"{sites}. By licence: {licences}.",
        "rai:dataCollectionType": ["Web Scraping" if any("." in site for site in about.sites(contents)) else "Others"],
        "rai:dataPreprocessingProtocol": [DESCRIPTIONS["sampling"], *about.face_words(facts)],
        "rai:dataAnnotationProtocol": [DESCRIPTIONS["labels"]],
        "rai:machineAnnotationTools": list(_tools(contents.dataset)),
        "rai:personalSensitiveInformation": [
            DESCRIPTIONS["people"],
            about.headline(facts),
            *review,
        ],
        "rai:dataLimitations": [
            *about.limit_words(contents.dataset),
            *left,
            *gone,
        ],
        "rai:dataBiases": [DESCRIPTIONS["bias"]],
        "rai:dataUseCases": [*about.USES, *(f"Not for: {line}" for line in about.MISUSES)],
        "rai:dataSocialImpact": DESCRIPTIONS["impact"],
        "rai:dataReleaseMaintenancePlan": about.removal_words(facts.contact).replace("**", ""),
    }
    return {name: value for name, value in found.items() if value}


def _citation(name: str, version: str, year: str) -> str:
    """As BibTeX; a name from outside cannot end its braces."""
    title = " ".join(re.sub(r"[{}\\]", "", name).split())
    return f"@misc{{{safe_id(title)}, title={{{title}}}, year={{{year}}}, note={{version {version}}}}}"


def _tools(dataset: Mapping[str, Any]) -> Iterator[str]:
    """What labelled or blurred, with the digests of its weights."""
    for role, files in dataset.get("models", {}).items():
        yield from (f"{role}: {name}, SHA-256 {digest}" for name, digest in files.items())


def _file(dest: Destination, path: str, encoding: str) -> dict[str, Any]:
    written = dest.files[path]
    return {
        "@type": "cr:FileObject",
        "@id": _id(path),
        "name": path,
        "contentUrl": path,
        "contentSize": f"{written.n_bytes} B",
        "encodingFormat": encoding,
        "sha256": written.sha256,
    }


def _record_set(name: str, path: str, schema: pa.Schema) -> dict[str, Any]:
    fields = []
    for column in schema:
        kind, is_list = column.type, pa.types.is_list(column.type)
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"{name}/{safe_id(column.name)}",  # a column that passed through may have any name
            "name": column.name,
            "dataType": _TYPES[str(kind.value_type if is_list else kind)],
            "source": {"fileObject": {"@id": _id(path)}, "extract": {"column": column.name}},
        }
        if is_list:
            field |= {"isArray": True, "arrayShape": "16"}
        fields.append(field)
    described = {"description": DESCRIPTIONS.get(name, DESCRIPTIONS["split"])}
    key = {"key": {"@id": f"{name}/clip_id"}} if name == "clips" else {}
    return {"@type": "cr:RecordSet", "@id": name, "name": name, **described, **key, "field": fields}


def _pictures() -> dict[str, Any]:
    """The pictures themselves, each with its name in the shards."""
    told = {
        "name": ("sc:Text", {"fileProperty": "filename"}),
        "picture": ("sc:ImageObject", {"fileProperty": "content"}),
    }
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"jpegs/{name}",
            "name": name,
            "dataType": kind,
            "source": {"fileSet": {"@id": "pictures"}, "extract": extract},
        }
        for name, (kind, extract) in told.items()
    ]
    described = {"name": "jpegs", "description": DESCRIPTIONS["jpegs"]}
    return {"@type": "cr:RecordSet", "@id": "jpegs", **described, "field": fields}


def _split_id(path: str) -> str:
    """`splits/<name>`, in letters that an @id may have."""
    return f"splits/{safe_id(path.removeprefix('splits/').removesuffix('.parquet'))}"


def _id(path: str) -> str:
    """The @id of a file; no record set has the same."""
    return _split_id(path) + ".parquet" if path.startswith("splits/") else path


def _write_tables(job: ExportJob, shard_of: Mapping[str, str]) -> dict[str, pa.Schema]:
    """manifests/<name>.parquet of each table. Returns their schemas."""
    contents = job.contents
    keys = {clip.clip_id: clip.key for clip in contents.clips}

    def placed(name: str) -> Iterator[pa.Table]:
        for table in contents.tables(name):
            if name == "clips":
                uris = [f"{shard_of[c]}#{keys[c]}" for c in table["clip_id"].to_pylist()]
                table = table.set_column(CLIPS.names.index("frames_uri"), CLIPS.field("frames_uri"), [uris])
            if name == "frames":
                at = zip(table["clip_id"].to_pylist(), table["position"].to_pylist(), strict=True)
                paths = [f"{shard_of[c]}#{member_name(keys[c], position)}" for c, position in at]
                table = table.set_column(FRAMES.names.index("path"), FRAMES.field("path"), [paths])
            yield table

    schemas = {"videos": contents.videos.schema, "clips": CLIPS, "frames": FRAMES, "faces": FACES}
    for name, schema in schemas.items():
        path = f"manifests/{name}.parquet"
        if not job.dest.has(path):
            tables = iter([contents.videos]) if name == "videos" else placed(name)
            job.dest.write(path, parquet_writer(f"the {name} table", tables, schema, job.guard))
    return schemas
