"""What runs on a GPU machine, which has ten packages and what these need themselves.

They are torch, torchvision, transformers, accelerate, safetensors, pyarrow, numpy, typer, rich and cv2. A process in
which every other installed package is hidden packs, trains and predicts. Our own code may name these ten only; what
they need (filelock, packaging, pillow ...) is theirs to import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support_runs import small_assignments, write_small_out

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import builtins, re, sys
from importlib import metadata
from pathlib import Path

OURS = ("cgtool", "cityguessr_data", "cityguessr_bench")
NAMED = {"torch", "torchvision", "transformers", "accelerate", "safetensors", "pyarrow", "numpy", "typer", "rich",
         "cv2"}
HIDDEN = {"av", "yt_dlp", "imageio_ffmpeg", "ffmpeg", "scipy", "altair", "vl_convert", "platformdirs", "onnx",
          "onnxruntime", "tensorboard", "sklearn", "pandas", "jinja2"}

needed, left = set(), ["torch", "torchvision", "transformers", "accelerate", "safetensors", "pyarrow", "numpy", "typer",
                       "rich", "opencv-python-headless"]
while left:
    name = re.sub(r"[-_.]+", "-", left.pop()).lower()
    if name in needed:
        continue
    needed.add(name)
    try:
        requires = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        continue
    left += [re.match(r"[\\w.-]+", r)[0] for r in requires if "extra ==" not in r]
owners = metadata.packages_distributions()
hidden = HIDDEN | {
    module for module, names in owners.items()
    if module not in OURS and not any(re.sub(r"[-_.]+", "-", n).lower() in needed for n in names)
}

class Hiding:  # a finder that does not find what is hidden
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
named = builtins.__import__

def watched(name, globals=None, locals=None, fromlist=(), level=0):
    importer = ((globals or {}).get("__name__") or "").partition(".")[0]
    top = name.partition(".")[0]
    if importer in OURS and not level and top not in NAMED and top not in OURS and top not in sys.stdlib_module_names:
        raise ModuleNotFoundError(f"our own code names {name}, in {globals['__name__']}")
    return named(name, globals, locals, fromlist, level)

builtins.__import__ = watched

for gone in ("scipy", "av", "pandas"):
    try:
        __import__(gone)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{gone} is not hidden")

folder = Path(sys.argv[1])
import typer
from cgtool.commands import bench_train
app = typer.Typer()
app.command("pack")(bench_train.pack)
app.command("train")(bench_train.train)

def run(*args):
    try:
        app([str(arg) for arg in args])
    except SystemExit as ended:
        assert not ended.code, (args, ended.code)

small = sys.argv[2:]
run("pack", folder / "out", "--to", folder / "pack", *small)
run("train", folder / "pack", "--run", folder / "run", "--split", "v", "--device", "cpu", *small)
from cityguessr_bench.inference import predict_part
from cityguessr_bench.run_dir import RunDir
found = predict_part(RunDir.open(folder / "run"), "test", device="cpu")
found.write(folder / "run" / "predictions.parquet", RunDir.open(folder / "run").classes)
print(len(found), "tensorboard" in sys.modules)
"""


def test_pack_train_and_predict_there(tmp_path: Path) -> None:
    write_small_out(tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), *small_assignments(train={"epochs": 1})],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "8 False"
    assert "TensorBoard is not installed" in done.stderr
