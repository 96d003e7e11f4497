"""No file that somebody else made runs code: pickles of every kind are refused, and nothing that could is called."""

from __future__ import annotations

import ast
import io
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cityguessr_bench.checkpoints import read_training_state
from cityguessr_bench.pack.shard import RawShard
from cityguessr_bench.text_targets import _read
from cityguessr_data.core.errors import CgtoolError, WeightsError
from cityguessr_data.vision.weights import load_state_dict

ROOT = Path(__file__).parents[2]
PACKAGES = ("cgtool", "cityguessr_data", "cityguessr_bench")

NEVER = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "cPickle.load", "marshal.load", "marshal.loads", "shelve.open", "dill.load", "joblib.load", "yaml.load",
    "yaml.unsafe_load", "yaml.full_load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter",
    "pd.read_pickle", "pandas.read_pickle", "runpy.run_path", "shutil.unpack_archive", "code.interact",
}  # fmt: skip
NEVER_METHODS = {"extractall", "read_pickle"}
MUST_SAY = {"torch.load": ("weights_only", True)}
"""Calls that are safe only with that word, whatever the library's default is in the version installed."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """(file:line, dotted name, call) of every call in the packages."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", ast.unparse(node.func), node


def test_the_code_calls_nothing_that_runs_what_it_reads() -> None:
    found, n = [], 0
    for place, name, call in calls():
        n += 1
        words = {word.arg: word.value for word in call.keywords}
        if name in NEVER or name.rpartition(".")[2] in NEVER_METHODS:
            found.append(f"{place} {name}")
        if name in MUST_SAY:
            word, value = MUST_SAY[name]
            said = words.get(word)
            if not (isinstance(said, ast.Constant) and said.value is value):
                found.append(f"{place} {name} without {word}={value}")
        for word in ("trust_remote_code", "shell", "allow_pickle"):  # none of them is numpy's or anybody's default
            if word in words and getattr(words[word], "value", None) is not False:
                found.append(f"{place} {name}({word}=...)")
    assert not found and n > 5000, found


def test_the_search_finds_what_it_looks_for() -> None:
    """Of each kind one, so that an empty answer means something."""
    source = "eval(x); torch.load(f); np.load(f, allow_pickle=True); tar.extractall(); run(c, shell=True); yaml.load(x)"
    names = {ast.unparse(n.func) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)}
    assert names & NEVER == {"eval", "yaml.load"} and "torch.load" in names & set(MUST_SAY)
    assert {n.rpartition(".")[2] for n in names} & NEVER_METHODS == {"extractall"}


class Harmful:
    """A pickle of it makes a file where it is read."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.canary,)


def pickled(harm: Harmful, kind: str) -> bytes:
    """In each form in which such files come."""
    content = io.BytesIO()
    if kind == "pickle":
        content.write(pickle.dumps(harm, protocol=2))
    elif kind == "torch":
        torch.save({"state_dict": harm}, content)
    elif kind == "old torch":
        torch.save({"state_dict": harm}, content, _use_new_zipfile_serialization=False)
    else:
        np.save(content, np.array([harm], object), allow_pickle=True)
    return content.getvalue()


def weights(path: Path) -> None:
    load_state_dict(path)


def training_state(path: Path) -> None:
    folder = path.parent / "checkpoint"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / "state.pt")
    read_training_state(folder)


def safetensors(path: Path) -> None:
    from cityguessr_bench.models.hub_folder import read_state

    shutil.copy(path, path.with_suffix(".safetensors"))
    read_state(path.with_suffix(".safetensors"))


def text_targets(path: Path) -> None:
    if _read(path, 1) is None:  # what is broken is computed again
        raise WeightsError("refused")


def shard(path: Path) -> None:
    try:
        RawShard(path, (1,), np.dtype(np.float32))
    except (OSError, ValueError, EOFError, AttributeError) as exc:  # its reader's caller says so in words
        raise WeightsError("refused") from exc


READERS: dict[str, Callable[[Path], None]] = {
    "weights": weights,
    "optimiser state of a checkpoint": training_state,
    "tensors of a hub folder": safetensors,
    "text targets": text_targets,
    "shard of a pack": shard,
}


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch", "numpy"])
@pytest.mark.parametrize("reader", READERS)
def test_a_harmful_pickle_is_refused_wherever_it_lies(tmp_path: Path, kind: str, reader: str) -> None:
    canary, file = tmp_path / "harmed", tmp_path / "a.pth"
    file.write_bytes(pickled(Harmful(canary), kind))
    with pytest.raises(CgtoolError):
        READERS[reader](file)
    assert not canary.exists()


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch", "numpy"])
def test_the_pickles_are_harmful(tmp_path: Path, kind: str) -> None:
    """Or the test above would mean nothing."""
    canary, content = tmp_path / "harmed", io.BytesIO()
    content = io.BytesIO(pickled(Harmful(canary), kind))
    if kind == "pickle":
        pickle.load(content)
    elif kind == "numpy":
        np.load(content, allow_pickle=True)
    else:
        torch.load(content, weights_only=False)
    assert canary.exists()
