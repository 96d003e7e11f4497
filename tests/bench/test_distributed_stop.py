"""SIGTERM that reaches one of two processes alone: both stop at the same place, save once, and go on together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cityguessr_bench import checkpoints
from tests.bench.test_distributed import ROOT, free_port
from tests.support_runs import make_small_pack, small_config

CONFIG = small_config()
"""6 steps, 3 an epoch; the watched part is two batches, one a process."""
SCRIPT = """
import os, signal, sys
from pathlib import Path
from cityguessr_bench.train import loop, run
from tests.bench.test_distributed_stop import CONFIG

def heard(name, at_step):
    method = getattr(loop.Trainer, name)
    def asked(self, *args):
        if os.environ["RANK"] == "1" and self.progress.step == at_step:
            os.kill(os.getpid(), signal.SIGTERM)
        return method(self, *args)
    setattr(loop.Trainer, name, asked)
    return lambda: setattr(loop.Trainer, name, method)

for name, at_step in (("step", 1), ("end_epoch", 3), ("end_epoch", 99)):
    back = heard(name, at_step)
    try:
        run.train(run.TrainRequest(Path(sys.argv[1]), Path(sys.argv[2]), "v", CONFIG, resume=True, device="cpu"))
    except KeyboardInterrupt:
        pass
    back()
    if os.environ["RANK"] == "0":
        print(*sorted(path.name for path in Path(sys.argv[2], "checkpoints").iterdir()), flush=True)
"""


def test_one_process_is_asked_and_both_stop(tmp_path: Path) -> None:
    """In the second step; then while the first epoch is scored; then they are let end."""
    pack = make_small_pack(tmp_path)
    (tmp_path / "script.py").write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launch += ["--master_port", str(free_port()), str(tmp_path / "script.py"), str(pack), str(tmp_path / "run")]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(launch, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second, end = done.stdout.splitlines()
    assert (first, second) == ("00000002-0000", "00000003-0000")
    assert checkpoints.weights_of(tmp_path / "run" / "checkpoints", "last").parent.name == "00000006-0002" in end
