"""Cached features: the encoders against the library's own models, the published names, and packs of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, Dinov2Model

from cityguessr_bench.data import make_pack, open_pack
from cityguessr_bench.loader import ScoringBatches
from cityguessr_bench.models.image_encoders import KNOWN, canonical, load_image_encoder
from cityguessr_bench.pack import features
from cityguessr_bench.pack.layout import PackConfig
from cityguessr_bench.pack.pace import Pace
from cityguessr_bench.pack.read import Pack
from cityguessr_data.core.errors import InputError, MachineError, WeightsError
from tests.support_features import (
    CLIP_MEAN,
    CLIP_STD,
    SIZE_PX,
    clip_state,
    dinov2_state,
    feature_config,
    make_feature_pack,
    write_clip,
    write_dinov2,
)
from tests.support_runs import write_small_out

Array = npt.NDArray[Any]
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 3, SIZE_PX, SIZE_PX), dtype=np.uint8)


def _theirs(folder: Path, kind: str, frames: Array) -> Array:
    """What the library's own model gives, pixels shifted and scaled by the published numbers."""
    mean, std = (CLIP_MEAN, CLIP_STD) if kind == "clip" else ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    pixels = (torch.from_numpy(frames) / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    library: Any = CLIPModel if kind == "clip" else Dinov2Model
    model = library.from_pretrained(folder).eval()
    with torch.no_grad():
        answer = model.get_image_features(pixels) if kind == "clip" else model(pixels)
    vectors = answer if isinstance(answer, torch.Tensor) else answer.pooler_output  # a tensor in older releases
    return vectors.numpy()  # type: ignore[no-any-return]


def _write(folder: Path, kind: str, state: dict[str, torch.Tensor] | None = None, **prepared: Any) -> Path:
    return (write_clip if kind == "clip" else write_dinov2)(folder, state, **prepared)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("encoder") / "clip")


@pytest.mark.parametrize(("kind", "dim"), [("clip", 6), ("dinov2", 8)])
def test_vectors_are_the_librarys(tmp_path: Path, kind: str, dim: int) -> None:
    folder = _write(tmp_path / kind, kind)
    encoder = load_image_encoder(str(folder), "cpu")
    found = encoder.encode(FRAMES)
    expected = _theirs(folder, kind, FRAMES)
    assert (encoder.dim, encoder.size_px, found.dtype, found.shape) == (dim, SIZE_PX, np.float32, (5, dim))
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-5) and np.abs(expected).max() > 0.1
    assert np.ptp(expected, axis=0).max() > 0.01  # frames differ, so a mix of them would be seen
    with pytest.raises(ValueError, match="expected uint8 frames"):
        encoder.encode(FRAMES[:, :, :14])


@pytest.mark.parametrize("kind", ["clip", "dinov2"])
def test_a_tensor_that_is_missing_left_over_or_misshapen(tmp_path: Path, kind: str) -> None:
    whole = clip_state() if kind == "clip" else dinov2_state()
    weight = "vision_model.post_layernorm.weight" if kind == "clip" else "layernorm.weight"
    deep = "vision_model.encoder.layers.1.mlp.fc2.bias" if kind == "clip" else "encoder.layer.1.mlp.fc2.bias"
    more = "vision_model.more" if kind == "clip" else "more"
    for words, state in (
        (f"{deep} missing", {name: t for name, t in whole.items() if name != deep}),
        (f"{more} unexpected", {**whole, more: torch.zeros(2)}),
        (f"{weight} of another shape", {**whole, weight: torch.zeros(3)}),
    ):
        folder = _write(tmp_path / words.replace(" ", "-"), kind, state)
        with pytest.raises(WeightsError, match=words) as raised:
            load_image_encoder(str(folder), "cpu").encode(FRAMES)
        assert KNOWN[kind] in raised.value.hint


def test_the_pictures_half_of_clip_alone_will_do(tmp_path: Path) -> None:
    """Without text, without the table of positions that early releases saved, in half precision, as a pickle."""
    state = {n: t for n, t in clip_state().items() if n.startswith("vis") and "position_ids" not in n}
    folder = write_clip(tmp_path / "half", {name: t.half() for name, t in state.items()})
    halved = load_image_encoder(str(folder), "cpu").encode(FRAMES)
    whole = load_image_encoder(str(write_clip(tmp_path / "whole")), "cpu").encode(FRAMES)
    assert 0 < np.abs(halved - whole).max() < 0.01
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert (load_image_encoder(str(folder), "cpu").encode(FRAMES) == halved).all()


def test_folders_that_are_no_encoder(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip", crop_size=14)
    with pytest.raises(WeightsError, match=r"frames of 14 px, which do not fit its config\.json"):
        load_image_encoder(str(folder))
    with pytest.raises(WeightsError, match="image_std is None"):
        load_image_encoder(str(write_clip(tmp_path / "std", image_std=None)))
    with pytest.raises(WeightsError, match="states no square"):
        load_image_encoder(str(write_clip(tmp_path / "wide", crop_size={"height": 28, "width": 14})))
    with pytest.raises(WeightsError, match="do not fit"):
        load_image_encoder(str(write_dinov2(tmp_path / "odd", crop_size=30)))
    (folder / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(WeightsError, match="'vit' model, which is no image encoder known here"):
        load_image_encoder(str(folder))
    (folder / "preprocessor_config.json").unlink()
    shutil.copy(write_clip(tmp_path / "whole") / "config.json", folder)
    with pytest.raises(WeightsError, match=r"preprocessor_config\.json cannot be read"):
        load_image_encoder(str(folder))
    with pytest.raises(InputError, match="there is no precision 'int8'"):
        load_image_encoder(str(tmp_path / "whole"), precision="int8")


def test_names_and_digests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short names stand for the published ones; every byte of the three files is in the digest."""
    assert canonical("clip") == "openai/clip-vit-large-patch14" and canonical("dinov2") == "facebook/dinov2-large"
    folder = write_clip(tmp_path / "clip-vit-large-patch14")
    monkeypatch.setenv("CGTOOL_WEIGHTS", str(tmp_path))
    first = load_image_encoder("clip")
    assert (first.name, first.folder) == ("openai/clip-vit-large-patch14", folder)
    monkeypatch.chdir(tmp_path)
    assert canonical("clip-vit-large-patch14") == str(folder)
    digests = {first.digest, load_image_encoder(str(write_clip(folder, clip_state(seed=1)))).digest}
    digests |= {load_image_encoder(str(write_clip(folder, resample=2))).digest}
    assert len(digests) == 3
    assert load_image_encoder(str(write_clip(folder))).digest == first.digest


def test_a_pack_holds_the_librarys_vector_of_every_frame(tmp_path: Path, encoder: Path) -> None:
    """Frames are read and squeezed here; the model's are the library's."""
    pack = Pack.open(make_feature_pack(tmp_path, encoder))
    assert pack.config.format == "features" and (pack.config.feature_dim, pack.config.size_px) == (6, SIZE_PX)
    assert pack.config.encoder_digest == load_image_encoder(str(encoder)).digest
    rows = pq.read_table(tmp_path / "out" / "manifests" / "frames.parquet").to_pylist()
    for place in (0, 11, 23):
        paths = {row["position"]: row["path"] for row in rows if row["clip_id"] == pack.clip_ids[place]}
        pictures = [cv2.imread(str(tmp_path / "out" / paths[position])) for position in (0, 2, 4, 6)]
        squeezed = [cv2.resize(p, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)[:, :, ::-1] for p in pictures]
        frames = np.ascontiguousarray(np.stack(squeezed).transpose(0, 3, 1, 2))
        found = pack.clip(place)
        assert (found.dtype, found.shape) == (np.float16, (4, 6))
        assert np.allclose(found, _theirs(encoder, "clip", frames), rtol=1e-3, atol=1e-4)
    shards = list((tmp_path / "features" / "shards").glob("*.npy"))
    assert len(shards) == 1 and np.load(shards[0]).nbytes == 24 * 4 * 6 * 2
    batch = ScoringBatches(pack, np.array([3, 1]), feature_config(encoder).data, 7).read(0)
    assert batch.clips.dtype == torch.float16 and (batch.clips.numpy() == [pack.clip(3), pack.clip(1)]).all()


def test_a_pack_of_features_says_its_bytes_and_resumes(
    tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of 5 clips; stopped after two, the same call makes the other three, and the bytes are the same."""
    monkeypatch.setattr("cityguessr_bench.pack.layout._FEATURE_CLIPS", 5)
    monkeypatch.setattr(features, "FRAMES_AT_ONCE", 8)  # two clips at once, so that a shard ends in half a batch
    out = write_small_out(tmp_path / "out")
    wanted, said = feature_config(encoder).data.pack, list[str]()

    def stop(n_done: int, _n: int) -> None:
        if n_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_pack(out, tmp_path / "p", wanted, 1, said.append, stop)
    assert f"to {tmp_path / 'p'}: 1.2 kB; " in said[0]  # 24 clips of 4 vectors of 6 numbers of 2 bytes
    assert "frames/s on cpu in fp32; about " in said[1] and len(said) == 2
    resumed, whole = make_pack(out, tmp_path / "p", wanted, 1), make_pack(out, tmp_path / "q", wanted, 2)
    assert (resumed.n_shards_made, whole.n_shards_made) == (3, 5)
    for path in (tmp_path / "q" / "shards").glob("*.npy"):
        assert path.read_bytes() == (tmp_path / "p" / "shards" / path.name).read_bytes()
    clips = [Pack.open(tmp_path / "q").clip(place) for place in range(24)]
    monkeypatch.setattr("cityguessr_bench.pack.layout._FEATURE_CLIPS", 256)
    monkeypatch.setattr(features, "FRAMES_AT_ONCE", 64)
    make_pack(out, tmp_path / "r", wanted, 1)
    assert np.abs(np.array(clips) - [Pack.open(tmp_path / "r").clip(place) for place in range(24)]).max() < 1e-3
    shard = tmp_path / "r" / "shards" / "00000.npy"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(InputError, match=r"00000\.npy is damaged"):
        Pack.open(tmp_path / "r").clip(23)


def test_features_that_are_no_numbers(tmp_path: Path) -> None:
    """A projection so long that float16 cannot hold the vector."""
    state = clip_state()
    state["visual_projection.weight"] *= 1e6
    with pytest.raises(MachineError, match=r"numbers that are none, or too large, for 24 clips") as raised:
        make_feature_pack(tmp_path, write_clip(tmp_path / "clip", state))
    assert "--precision fp32" in raised.value.hint
    assert not (tmp_path / "features" / "pack.json").exists()


def test_another_encoder_or_pixels_are_refused(tmp_path: Path, encoder: Path) -> None:
    pack = make_feature_pack(tmp_path, encoder)
    data = feature_config(encoder).data
    assert len(open_pack(pack, data)) == 24
    assert len(open_pack(pack, feature_config(encoder, data={"size_px": 64}).data)) == 24  # the encoder has its own
    other = feature_config("dinov2").data
    with pytest.raises(InputError) as raised:
        open_pack(pack, other)
    assert f"holds features of {encoder}" in str(raised.value)
    assert "the run wants features of facebook/dinov2-large" in str(raised.value)
    with pytest.raises(InputError, match="the run wants frames"):
        open_pack(pack, feature_config("", data={"features": ""}).data)
    with pytest.raises(InputError, match=r"data\.stored_frames=4, and the run wants 2"):
        open_pack(pack, feature_config(encoder, data={"frames": 2, "stored_frames": 2}).data)
    pixels = tmp_path / "pixels"
    make_pack(tmp_path / "out", pixels, PackConfig(4, 16), 1)
    with pytest.raises(InputError, match="holds frames, and the run wants features of"):
        open_pack(pixels, data)
    with pytest.raises(InputError, match="holds a pack of other clips or another preset"):
        make_pack(tmp_path / "out", pack, feature_config(write_dinov2(tmp_path / "dino")).data.pack, 1)


def test_a_changed_encoder_is_another_pack(tmp_path: Path) -> None:
    """Of an output directory the pack lies beside, and its name has the encoder's digest."""
    folder = write_clip(tmp_path / "my clip")
    write_small_out(tmp_path / "out")
    first = open_pack(tmp_path / "out", feature_config(folder).data)
    assert first.folder.name == f"out.pack-4-my_clip-{first.config.encoder_digest[:8]}"
    save_file(clip_state(seed=3), folder / "model.safetensors")
    second = open_pack(tmp_path / "out", feature_config(folder).data)
    assert second.folder != first.folder and second.fingerprint != first.fingerprint
    assert np.abs(first.clip(0).astype(np.float32) - second.clip(0)).max() > 0.05


def test_the_fingerprint_of_a_pack_of_pixels_is_what_it_was() -> None:
    """Runs of before have it in their records."""
    assert PackConfig(4, 16).decisive == {
        "n_frames": 4,
        "size_px": 16,
        "sampling": "uniform",
        "format": "uint8",
        "jpeg_quality": 90,
    }
    with pytest.raises(ValueError, match="expected an encoder with the format features"):
        PackConfig(4, 16, format="features")


def test_pace_is_said_once_and_without_the_first_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 clips a batch; the first takes 100 s, each of the others 5 s: 4 clips of 2 frames in 5 s."""
    now, said = [0.0], list[str]()
    monkeypatch.setattr("cityguessr_bench.pack.pace.time.monotonic", lambda: now[0])
    pace = Pace(1000, 2, 256, lambda: "cpu", said.append)
    for batch in range(20):
        now[0] += 100 if batch == 0 else 5
        pace.clips(4)
        assert len(said) == (batch >= 4)
    assert said == ["encoding: 1.6 frames/s on cpu; about 20 min to go"]  # 980 clips at 0.8 a second
