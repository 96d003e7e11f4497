"""Random text encoders: the same in every process, read off as their family is, and different for different names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cityguessr_bench.models import random_text
from cityguessr_bench.models.random_text import FAMILIES, WIDTH, random_encoder
from cityguessr_bench.models.text_encoders import load_text_encoder
from cityguessr_bench.text_targets import text_targets
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS

TEXTS = ["Rio", "Abu Dhabi", "São Paulo", "a longer name of a city by the sea", "Rio"]
_TELL = """
import hashlib, sys, torch
from cityguessr_bench.models.text_encoders import load_text_encoder
torch.set_num_threads(1)
torch.manual_seed(int(sys.argv[1]))
for family in ("clip", "bert", "gpt2", "opt"):
    encoder = load_text_encoder(f"random-{family}")
    vectors = encoder.encode(["Rio", "São Paulo"])
    print(family, encoder.digest, hashlib.sha256(vectors.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_vector_is_read_off_as_the_family_s_is(family: str) -> None:
    """Every text by itself, its bytes and tokens written out by hand, against the batch."""
    _, model = random_encoder(family)
    start, end = 257, 258
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            own = list(text.encode())
            ids = {"clip": [start, *own, end], "bert": [start, *own, end], "gpt2": own, "opt": [start, *own]}[family]
            answer = model(torch.tensor([ids]))
            if family == "clip":
                expected.append(answer.text_embeds[0])
            else:
                tokens = answer.last_hidden_state[0]
                expected.append(tokens.mean(0) if family == "bert" else tokens[-1])
    found = load_text_encoder(f"random-{family}").encode(TEXTS)
    assert (found.dtype, found.shape) == (np.float32, (5, WIDTH))
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_names_differ_and_a_name_is_itself(family: str) -> None:
    vectors = load_text_encoder(f"random-{family}").encode(TEXTS)
    apart = np.linalg.norm(vectors[:, None] - vectors[None], axis=-1)
    length = np.linalg.norm(vectors, axis=1).mean()
    assert apart[0, 4] < 1e-5 * length
    assert apart[:4, :4][~np.eye(4, dtype=bool)].min() > 0.1 * length


def test_two_processes_agree_to_the_bit() -> None:
    root = Path(__file__).parents[2]
    told = [
        subprocess.check_output([sys.executable, "-c", _TELL, seed], text=True, cwd=root, timeout=120)
        for seed in ("1", "2")
    ]
    assert told[0] == told[1]
    assert len({line.split()[1] for line in told[0].splitlines()}) == len({*told[0].splitlines()}) == 4


def test_nothing_is_drawn_from_the_global_generator() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_text_encoder("random-gpt2").encode(["Rio"])
    assert torch.rand(1) == expected


def test_the_digest_follows_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = {load_text_encoder(f"random-{family}").digest for family in FAMILIES}
    assert len(digests) == 4
    monkeypatch.setattr(random_text, "_SPREAD", 0.3)
    assert load_text_encoder("random-bert").digest not in digests


def test_they_serve_as_text_targets(tmp_path: Path) -> None:
    classes = SimpleNamespace(
        names=dict.fromkeys(LEVELS, ("Rio", "Lima")),
        parents={level: np.array([0, 1], np.int32) for level in LEVELS[:3]},
    )
    encoder = load_text_encoder("random-opt")
    found = text_targets(classes, encoder, "all", tmp_path)
    np.testing.assert_allclose(found, encoder.encode(["Rio", "Lima"]), rtol=0, atol=1e-5)
    assert len(list(tmp_path.glob("text-*.npy"))) == 1


def test_another_family_is_named() -> None:
    with pytest.raises(InputError, match=r"no text encoder random-t5\. Give one of: random-clip, random-bert"):
        load_text_encoder("random-t5")
