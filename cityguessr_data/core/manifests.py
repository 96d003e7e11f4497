"""Finds the files of manifests/ (taxonomies, templates, class lists): inside an installed wheel, or in a checkout."""

from __future__ import annotations

from pathlib import Path

from .errors import MachineError

_PACKAGE = Path(__file__).resolve().parent.parent


def manifest_path(name: str) -> Path:
    """The path of `manifests/<name>`, e.g. `taxonomies/cityguessr166.csv`.

    Raises:
        MachineError: the file is in neither place; the installation is broken.
    """
    for root in (_PACKAGE / "manifests", _PACKAGE.parent / "manifests"):
        if (root / name).exists():
            return root / name
    raise MachineError(f"manifests/{name} is missing from this installation", "Reinstall cgtool with pip")
