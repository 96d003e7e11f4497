"""Urls as places of output directories and caches: what a url means, and which local folder works for it.

As git has a working copy of what lies elsewhere, a url has a local folder: $CGTOOL_WORK/<digest of the url>/<its last
name>, in the user's cache folder where that is not set. `<folder>/.cgtool/remote.json` says whose it is. No credential
is ever part of a url here: one that holds some is refused, and is shown without them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from ..atomic import write_json
from ..errors import InputError, MachineError

NOTE = ".cgtool/remote.json"
"""Below a local folder that works for a url."""

_ONE_NAME = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs", "ssh": "sftp", "arrow_hdfs": "hdfs"}
"""Of protocols that name one store: a place has one url, or two places could not be told to be the same."""
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


def is_url(text: str) -> bool:
    """Whether a command's argument is a url; also as `Path` spells it, with one slash less. `C:/x` is none."""
    return _URL.fullmatch(text) is not None


def place_of(text: str) -> str | Path:
    """What a url names: a url, as it is noted and told, or for `file://` a local path.

    Raises:
        InputError: it holds credentials or a query, names no folder, or its protocol is not known or only gives.
        MachineError: the package for its protocol is not installed; the hint names the command.
    """
    found = _URL.fullmatch(text)
    if found is None:
        return Path(text)
    protocol, rest = found[1].lower(), found[2]
    protocol = _ONE_NAME.get(protocol, protocol)
    if protocol in ("file", "local"):
        return Path("/" + unquote(rest.removeprefix("localhost/")).lstrip("/"))
    whole = f"{protocol}://{rest}"
    if "@" in rest.partition("/")[0] or "?" in rest or "#" in rest:
        raise InputError(
            f"{without_secrets(whole)} was given with more than a place",
            "Leave out user, password, ? and #: credentials come from the environment or ~/.aws, as for every AWS tool",
        )
    names = [name for name in rest.split("/") if name]
    if ".." in names or "." in names:
        raise InputError(f"{whole} goes up or nowhere by its dots", "Name the folder itself")
    if len(names) < 2:
        raise InputError(f"{whole} names no folder of a bucket", f"Give one, such as {protocol}://BUCKET/my-set")
    check_protocol(protocol)
    return f"{protocol}://{'/'.join(names)}"


def check_protocol(protocol: str) -> None:
    """See that something is installed that can write to such urls.

    Raises:
        InputError: nobody knows the protocol, or what it names cannot be written to.
        MachineError: its package is missing.
    """
    try:
        import fsspec
        from fsspec.registry import known_implementations
    except ImportError as exc:
        raise MachineError("fsspec, which reads and writes urls, is not installed", "pip install fsspec") from exc
    if protocol in ("http", "https", "github", "git", "ftp", "data", "zip", "tar"):
        raise InputError(f"{protocol}:// can be read and not written safely", "Give a folder or an s3:// url")
    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError as exc:
        raise InputError(f"{protocol}:// is no protocol that is known", "Give a folder or an s3:// url") from exc
    except ImportError as exc:
        needs = "'cgtool[s3]'" if protocol == "s3" else _package(known_implementations.get(protocol, {}))
        raise MachineError(f"the package for {protocol}:// is not installed", f"pip install {needs}") from exc


def folder_of(url: str) -> Path:
    """The local folder that works for a url, made and marked if it is not there.

    Raises:
        MachineError: it cannot be made.
    """
    folder = work_root() / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]
    if url_of(folder) != url:
        try:
            write_json(folder / NOTE, {"url": url})
        except OSError as exc:
            raise MachineError(
                f"{folder}, where {url} is worked on, cannot be written ({exc.strerror})",
                "Name another folder in $CGTOOL_WORK",
            ) from exc
    return folder


def url_of(folder: Path) -> str | None:
    """The url that a local folder works for; None for a folder that stands for itself.

    Raises:
        MachineError: its note is damaged.
    """
    note = folder / NOTE
    try:
        return str(json.loads(note.read_text(encoding="utf-8"))["url"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise MachineError(
            f"{note}, which says whose working copy this is, is damaged ({exc})",
            f"Delete {folder}: it is made anew, and only what was not uploaded yet is lost",
        ) from exc


def told_place(folder: Path) -> str:
    """Where a folder is for people and notes: its url, or its absolute path."""
    return url_of(folder) or str(folder.resolve())


def folder_at(place: str) -> Path:
    """The folder of what `told_place` said."""
    return folder_of(place) if is_url(place) else Path(place)


def work_root() -> Path:
    """$CGTOOL_WORK, or `work` in the user's cache folder."""
    override = os.environ.get("CGTOOL_WORK")
    if override:
        return Path(override).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("cgtool") / "work"


def without_secrets(url: str) -> str:
    """A url without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _package(known: dict[str, str]) -> str:
    return known.get("class", "fsspec").partition(".")[0]
