"""The recipes for clusters, as far as they can be checked without one: what reads them reads them, and the commands in
them are this project's."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cgtool.app import app

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "examples" / "cluster"
DOCUMENT = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
SCRIPTS = sorted(path.name for path in CLUSTER.glob("*.sh"))
LINES = sorted(set(re.findall(r"^    (?:ray job submit .*? -- |torchrun .*? -m )?(cgtool .*)$", DOCUMENT, re.M)))


def parsed(words: list[str]) -> dict[str, Any]:
    """The arguments of a cgtool command line, read by its own parser and not carried out."""
    words = [word for word in words[1:] if word != "--"]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        with command.make_context("cgtool", words[:1], resilient_parsing=True) as context:
            name, command, _ = command.resolve_command(context, words)
        assert command is not None, name
        words = words[1:]
    with command.make_context("cgtool", list(words)) as context:
        assert not context.args
        return dict(context.params)


@pytest.mark.parametrize("line", LINES)
def test_commands_of_the_document_can_be_read(line: str) -> None:
    parsed(shlex.split(line))


def test_the_document_s_commands_are_found() -> None:
    assert len(LINES) >= 5
    assert any("bench train" in line for line in LINES)
    for link in re.findall(r"\]\(([^)#:]+)\)", DOCUMENT):
        assert (ROOT / "docs" / link).exists(), link


def test_the_autoscaler_s_file_fits_the_schema_that_ray_ships() -> None:
    ray = pytest.importorskip("ray")
    import jsonschema

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    config = yaml.safe_load((CLUSTER / "autoscaler.yaml").read_text())
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config | {"head_nod": "head"}, schema)
    assert config["head_node_type"] in config["available_node_types"]
    assert config["available_node_types"]["head"]["resources"] == {"CPU": 0}


def test_ray_s_own_reader_of_rayclusters_finds_the_workers() -> None:
    pytest.importorskip("ray")
    from ray.autoscaler._private.kuberay import autoscaling_config

    cluster = yaml.safe_load((CLUSTER / "kuberay.yaml").read_text())
    read = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    types = read["available_node_types"]
    assert types[read["head_node_type"]]["resources"]["CPU"] == 0
    assert types["processors"]["resources"] == {"CPU": 8, "memory": 24 << 30}
    assert (types["processors"]["min_workers"], types["processors"]["max_workers"]) == (0, 20)
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    for container in (c for group in groups for c in group["template"]["spec"]["containers"]):
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert container["image"] == groups[0]["template"]["spec"]["containers"][0]["image"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_bash(name: str) -> None:
    done = subprocess.run(["bash", "-n", CLUSTER / name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def run_with_stand_ins(folder: Path, script: str, *args: str) -> list[list[str]]:
    """What a script calls: programs of the cluster and ours are stand-ins that note their words, srun runs what it is
    given."""
    log = folder / "log"
    note = f'printf "%s\\0" "$(basename "$0")" "$@" >> {log}; echo >> {log}\n'
    for name in ("ray", "cgtool", "torchrun"):
        (folder / name).write_text(f"#!/bin/sh\n{note}")
    with (folder / "cgtool").open("a") as f:
        f.write("sleep 1\n")  # a build takes longer than it takes to start what stands in for nodes
    (folder / "scontrol").write_text("#!/bin/sh\nprintf 'one\\ntwo\\nthree\\n'\n")
    (folder / "srun").write_text('#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n')
    for path in folder.iterdir():
        path.chmod(0o755)
    job = {
        "SLURM_JOB_NODELIST": "x", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "16", "SLURM_GPUS_ON_NODE": "4",
        "SLURM_JOB_ID": "7", "PATH": f"{folder}:{os.environ['PATH']}",
    }  # fmt: skip
    done = subprocess.run(
        [shutil.which("bash") or "bash", CLUSTER / script, *args],
        env=os.environ | job, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [line.split("\0")[:-1] for line in log.read_text().split("\n")[:-1]]


def test_the_build_s_script_starts_a_head_then_workers_and_builds(tmp_path: Path) -> None:
    called = run_with_stand_ins(tmp_path, "slurm_build.sh", "my table.csv", "out", "--samples", "5")
    (build,) = (words for words in called if words[0] == "cgtool")
    options = parsed(build)
    assert (str(options["sources"]), options["engine"], options["address"]) == ("my table.csv", "ray", "one:6379")
    assert options["samples"] == 5
    starts = [words for words in called if words[:2] == ["ray", "start"]]
    assert sorted("--head" in words for words in starts) == [False, True]
    from click.testing import CliRunner

    scripts = pytest.importorskip("ray.scripts.scripts")
    told = CliRunner().invoke(scripts.cli, ["start", "--help"]).output
    assert not [w for words in starts for w in words if w.startswith("--") and w.partition("=")[0] not in told]


def test_the_training_s_script_calls_torchrun_with_options_that_it_has(tmp_path: Path) -> None:
    from torch.distributed.run import get_args_parser

    ((program, *words),) = run_with_stand_ins(
        tmp_path, "slurm_train.sh", "pack", "run", "video", "--model", "cityguessr"
    )
    assert program == "torchrun"
    read = get_args_parser().parse_args(words)
    assert (read.nnodes, read.nproc_per_node, read.rdzv_endpoint, read.rdzv_id) == ("3", "4", "one:29500", "7")
    assert (read.module, read.training_script) == (True, "cgtool")
    options = parsed(["cgtool", *read.training_script_args])
    assert {name: str(options[name]) for name in ("data", "run", "split", "model")} == {
        "data": "pack", "run": "run", "split": "video", "model": "cityguessr",
    }  # fmt: skip
