"""Looks at the machine before a build does: what is installed, missing or too old, and the command that mends it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Literal

from .vision.weights import cache_folder, list_weights

State = Literal["ok", "warn", "missing"]
OLD_YTDLP_DAYS = 90
"""Sites change: a yt-dlp older than this often fails on YouTube."""
_JS_RUNTIMES = {"deno": (2, 0), "node": (20, 0), "qjs": (0, 0), "bun": (1, 0)}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    state: State
    found: str
    mend: str = ""
    """A command, or what to do; empty where nothing is needed."""
    needed: bool = True
    """Without it `cgtool demo` cannot run."""


def examine(folder: Path = Path()) -> list[Finding]:
    """Look at everything a build needs. `folder` is where data would be written."""
    findings = [_python(), *_packages(), _cv2_wheels(), _ytdlp_age(), _js_runtime(), _ffmpeg(), _cuda(), _openvino()]
    findings += [_review_page(), _ray()]
    return [*findings, *_weights(), _disk("data", folder), _disk("weights cache", cache_folder())]


def _python() -> Finding:
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))  # pip refuses to install into an older one


def _packages() -> Iterator[Finding]:
    """The packages that pyproject.toml asks for, without extras."""
    from packaging.requirements import Requirement

    for line in metadata.requires("cgtool") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        mend = f'pip install "{requirement.name}{requirement.specifier}"'
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield Finding(requirement.name, "missing", "not installed", mend)
            continue
        fits = requirement.specifier.contains(version, prereleases=True)
        yield Finding(requirement.name, "ok" if fits else "missing", version, "" if fits else mend)


def _cv2_wheels() -> Finding:
    wheels = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
    here = [name for name in wheels if _installed(name)]
    if len(here) > 1:
        mend = f"pip uninstall -y {' '.join(here)} && pip install opencv-python-headless"
        return Finding("cv2", "warn", f"several wheels own it: {', '.join(here)}", mend)
    return Finding("cv2", "ok", f"one wheel: {', '.join(here)}") if here else Finding("cv2", "missing", "no wheel")


def _ytdlp_age() -> Finding:
    if not _installed("yt-dlp"):
        return Finding("yt-dlp release", "missing", "not installed", "pip install yt-dlp")
    version = metadata.version("yt-dlp")
    year, month, day = (int(part) for part in version.split(".")[:3])
    age = (date.today() - date(year, month, day)).days
    if age > OLD_YTDLP_DAYS:
        return Finding("yt-dlp release", "warn", f"{age} days old", "pip install -U yt-dlp yt-dlp-ejs", needed=False)
    return Finding("yt-dlp release", "ok", f"{age} days old")


def _js_runtime() -> Finding:
    """YouTube's player needs one; other sites do not."""
    for name, least in _JS_RUNTIMES.items():
        path = shutil.which(name)
        if path:
            version = _first_line([path, "--version"])
            digits = "".join(c if c.isdigit() or c == "." else " " for c in version).split()
            parts = tuple(int(p) for p in (digits or ["0"])[0].split(".")[:2] if p)
            if parts >= least:
                return Finding("JS runtime", "ok", f"{name} {version}")
    return Finding("JS runtime", "warn", "none: YouTube will fail", "pip install deno", needed=False)


def _ffmpeg() -> Finding:
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as exc:
        return Finding("ffmpeg", "missing", str(exc), "pip install imageio-ffmpeg")
    return Finding("ffmpeg", "ok", " ".join(_first_line([path, "-version"]).split()[:3]))


def _cuda() -> Finding:
    try:
        import torch
    except ImportError as exc:
        return Finding("GPU", "missing", f"torch does not import: {exc}", "pip install torch torchvision")
    if torch.cuda.is_available():
        return Finding("GPU", "ok", torch.cuda.get_device_name(0), needed=False)
    return Finding("GPU", "warn", f"none; models run on {os.cpu_count()} CPU cores", needed=False)


def _review_page() -> Finding:
    lacking = [name for name in ("starlette", "uvicorn") if not _installed(name)]
    if lacking:
        told = f"not installed: {' and '.join(lacking)}, without which `cgtool review` has no page"
        return Finding("review page", "warn", told, 'pip install "cgtool[review]"', needed=False)
    return Finding("review page", "ok", f"starlette {metadata.version('starlette')}", needed=False)


def _ray() -> Finding:
    """Only --engine ray needs it; nothing imports it here."""
    if not _installed("ray"):
        told = "not installed, without which `--engine ray` cannot use a cluster"
        return Finding("ray", "warn", told, 'pip install "cgtool[ray]"', needed=False)
    return Finding("ray", "ok", metadata.version("ray"), needed=False)


def _openvino() -> Finding:
    try:
        return Finding("openvino", "ok", metadata.version("openvino"), needed=False)
    except metadata.PackageNotFoundError:
        told = "not installed; on a processor models run in ONNX Runtime, which is slower"
        return Finding("openvino", "warn", told, 'pip install "cgtool[openvino]"', needed=False)


def _weights() -> Iterator[Finding]:
    for found in list_weights():
        mend = f"cgtool weights pull {found.name}"
        if found.state == "missing":
            yield Finding(found.name, "warn", "not here", mend, needed=False)
        elif found.state == "wrong digest":
            yield Finding(found.name, "missing", f"wrong digest: {found.path}", f"rm '{found.path}' && {mend}", False)
        else:
            yield Finding(found.name, "ok", found.state)


def _disk(what: str, folder: Path) -> Finding:
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    state: State = "ok" if free_gb >= 5 and os.access(existing, os.W_OK) else "warn"
    told = f"{free_gb:.0f} GB free" if os.access(existing, os.W_OK) else "not writable"
    return Finding(f"disk for {what}", state, told, "" if state == "ok" else "choose another disk with --out", False)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return (done.stdout or done.stderr).strip().partition("\n")[0]
