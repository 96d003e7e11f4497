"""What is measured on and beside: random packs, pictures of a street film's size, and the plain loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cityguessr_bench.pack.layout import PackConfig
from cityguessr_bench.speed.material import random_pack, street_sized_frames, write_pack
from cityguessr_bench.speed.ours import make_job
from cityguessr_bench.speed.plain import Plain, PlainClips, plain_batches
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.types import LEVELS
from tests.support_runs import small_config


def test_a_random_pack_is_a_pack_of_the_papers_cities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = PackConfig(4, 16)
    monkeypatch.setattr("cityguessr_bench.pack.layout._SHARD_BYTES", config.clip_bytes * 50)
    pack = random_pack(tmp_path / "p", config, 170)
    assert len(pack) == 170 and sorted(p.name for p in (tmp_path / "p" / "shards").iterdir())[-1] == "00003.npy"
    assert [pack.classes.sizes[level] for level in LEVELS] == [166, 157, 91, 6]
    clips = np.stack([pack.clip(place) for place in range(170)])  # every sum is right
    assert clips.shape == (170, 4, 3, 16, 16) and 126 < clips.mean() < 129
    assert len({clip.tobytes() for clip in clips}) == 170
    assert pack.has_scenes.all() and np.allclose(pack.scene_soft.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(InputError, match="clips are made as uint8, not as jpeg"):
        random_pack(tmp_path / "q", PackConfig(4, 16, format="jpeg"), 3)


def test_given_clips_come_back_whatever_their_order_in_memory(tmp_path: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (3, 2, 16, 16, 3), dtype=np.uint8).transpose(0, 1, 4, 2, 3)
    pack = write_pack(tmp_path, PackConfig(2, 16), clips)
    assert all(np.array_equal(pack.clip(place), clip) for place, clip in enumerate(clips))


def test_pictures_are_as_large_and_rough_as_street_films(tmp_path: Path) -> None:
    paths = street_sized_frames(tmp_path, 2)
    assert paths[0].read_bytes() != paths[1].read_bytes()
    for path in paths:
        assert 150e3 < path.stat().st_size < 300e3
        with Image.open(path) as picture:
            assert (picture.size, picture.format, picture.mode) == ((1280, 720), "JPEG", "RGB")


def test_plain_clips_are_frames_in_order_squeezed_and_scaled(tmp_path: Path) -> None:
    paths = []
    for n in range(5):  # plain colours: whatever resizes them, they stay
        paths.append(tmp_path / f"{n}.png")
        Image.new("RGB", (64, 36), (50 * n, 255, 0)).save(paths[-1])
    labels = np.arange(12, dtype=np.int32).reshape(3, 4)
    pixels, at, scenes = next(plain_batches(PlainClips(paths, 3, 8, labels, 365), 4))
    assert pixels.shape == (4, 3, 3, 8, 8) and pixels.dtype == torch.float32
    for clip in range(4):
        for frame in range(3):
            expected = [50 * ((3 * clip + frame) % 5) / 255, 1.0, 0.0]
            assert pixels[clip, frame, :, 4, 4].tolist() == pytest.approx(expected)
    assert at.tolist() == [*labels.tolist(), labels[0].tolist()]
    assert scenes.shape == (4, 365) and torch.allclose(scenes.sum(dim=1), torch.ones(4))


def test_the_plain_loop_trains_a_network_of_its_own(tmp_path: Path) -> None:
    config = small_config(network={"tla": True})
    pack = random_pack(tmp_path / "p", config.data.pack, 8)
    job = make_job(tmp_path / "r", config, pack)
    plain = Plain(job, street_sized_frames(tmp_path / "f", 1), torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in plain.model.state_dict().items()}
    for name, tensor in job.model.state_dict().items():
        assert torch.equal(tensor, before[name])  # the same start
    found = plain.advance(2)
    assert (found.n_steps, found.n_clips) == (2, 14) and 0 < found.waiting_s < found.wall_s
    changed = [name for name, tensor in plain.model.state_dict().items() if not torch.equal(tensor, before[name])]
    assert {name.partition(".")[0] for name in changed} >= {"backbone", "heads", "ffn_s", "ffn_t"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in job.model.state_dict().items())
