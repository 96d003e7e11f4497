"""The training cache against frames read and resized here: same clips, same pixels; resumable, loud when damaged."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cityguessr_bench.pack.layout import PackConfig, shard_name
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.pack.sampling import saved_positions
from cityguessr_bench.pack.write import pack, plan_pack
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.schemas import CLIPS
from cityguessr_data.core.types import LEVELS
from tests.support_out import random_rows, write_out
from tests.support_runs import write_small_out

SMALL = PackConfig(n_frames=4, size_px=32)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of ten frames a clip with real JPEGs: smooth pictures, each of its own colours."""
    rows = random_rows(seed=8, n_videos=6)
    folder = write_out(tmp_path_factory.mktemp("data") / "set", rows)
    rng = np.random.default_rng(0)
    for row in rows["frames"]:
        path = folder / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        rough = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(rough, (96, 64), interpolation=cv2.INTER_CUBIC))
    return folder


def _frames(out: Path, clip_id: str) -> list[str]:
    table = pq.read_table(out / "manifests" / "frames.parquet").to_pylist()
    return [row["path"] for row in sorted(table, key=lambda row: row["position"]) if row["clip_id"] == clip_id]


def test_the_released_code_takes_these_frames() -> None:
    """As listed in the study of the released code, counted from 1."""
    expected = (1, 13, 18, 22, 27, 31, 36, 40, 45, 5, 54, 59, 63, 68, 72, 77)
    assert saved_positions(100, 16, "authors") == tuple(n - 1 for n in expected)
    with pytest.raises(ValueError, match="16"):
        saved_positions(100, 15, "authors")


@given(st.integers(1, 120), st.data())
def test_uniform_positions_are_spread_and_in_order(n_saved: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, n_saved))
    positions = saved_positions(n_saved, n)
    assert len(positions) == n and positions[0] == 0 and positions[-1] < n_saved
    gaps = {b - a for a, b in zip(positions, (*positions[1:], n_saved), strict=True)}
    assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("format", ["uint8", "jpeg"])
def test_a_pack_holds_every_clip_as_pillow_reads_it(out: Path, tmp_path: Path, format: str) -> None:
    config = PackConfig(n_frames=4, size_px=32, format=format, jpeg_quality=95)  # type: ignore[arg-type]
    done = pack(out, tmp_path / "p", config)
    clips = pq.read_table(out / "manifests" / "clips.parquet")
    found = Pack.open(tmp_path / "p")
    assert (len(found), done.n_clips) == (clips.num_rows, clips.num_rows)
    assert found.clip_ids == tuple(clips["clip_id"].to_pylist())
    for place, clip_id in enumerate(found.clip_ids[:6]):
        paths = _frames(out, clip_id)
        for t, position in enumerate((0, 2, 5, 7)):  # i * 10 // 4
            picture = Image.open(out / paths[position]).convert("RGB").resize((32, 32), Image.Resampling.BOX)
            expected = np.asarray(picture, np.int64).transpose(2, 0, 1)
            assert np.abs(found.clip(place)[t].astype(np.int64) - expected).mean() < 4
        assert found.clip(place).dtype == np.uint8 and found.clip(place).shape == (4, 3, 32, 32)
    for level_at, level in enumerate(LEVELS):
        names = [found.classes.names[level][label] for label in found.labels[:, level_at]]
        assert names == clips[level].to_pylist()
    soft = clips["scene_soft"].to_pylist()
    for place, row in enumerate(soft):
        assert np.isnan(found.scene_soft[place]).all() if row is None else found.scene_soft[place].tolist() == row
    videos = {v["video_id"]: v["channel"] for v in pq.read_table(out / "manifests" / "videos.parquet").to_pylist()}
    assert found.index["channel"].to_pylist() == [videos[v] for v in clips["video_id"].to_pylist()]


def test_scene_labels_that_come_later_arrive_by_packing_again(tmp_path: Path) -> None:
    """Of the 365 categories each has the share of the clip's frames; the pixels are not packed anew."""
    write_small_out(tmp_path / "out", scenes=(False,))
    config = PackConfig(4, 16)
    pack(tmp_path / "out", tmp_path / "p", config)
    before = Pack.open(tmp_path / "p")
    assert np.isnan(before.scene_soft_365).all() and not before.has_scenes.any()
    frames = pq.read_table(tmp_path / "out" / "manifests" / "frames.parquet")
    categories = [(i * i) % 7 + (i // 50) for i in range(frames.num_rows)]
    at = frames.column_names.index("scene_top1")
    labelled = frames.set_column(at, frames.schema.field(at), pa.array([*categories[:-1], None], pa.int16()))
    pq.write_table(labelled, tmp_path / "out" / "manifests" / "frames.parquet")
    done = pack(tmp_path / "out", tmp_path / "p", config)
    after = Pack.open(tmp_path / "p")
    assert done.n_shards_made == 0 and after.fingerprint != before.fingerprint
    by_clip: dict[str, list[int]] = {}
    for clip_id, category in zip(frames["clip_id"].to_pylist(), categories, strict=True):
        by_clip.setdefault(clip_id, []).append(category)
    for clip_id, shares in zip(after.clip_ids[:-1], after.scene_soft_365, strict=False):
        own = by_clip[clip_id]
        assert shares == pytest.approx([own.count(k) / len(own) for k in range(365)])
    assert np.isnan(after.scene_soft_365[-1]).all()  # one of its frames has no label


def test_it_resumes_and_never_mixes(out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped after two shards, the same call makes the others; the result is that of an undisturbed run."""
    monkeypatch.setattr("cityguessr_bench.pack.layout._SHARD_BYTES", SMALL.clip_bytes * 3)

    def stop(n_done: int, _n: int) -> None:
        if n_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(out, tmp_path / "p", SMALL, on_shard=stop)
    with pytest.raises(InputError, match="is not finished"):
        Pack.open(tmp_path / "p")
    resumed, whole = pack(out, tmp_path / "p", SMALL), pack(out, tmp_path / "q", SMALL)
    assert resumed.n_shards_made == whole.n_shards - 2 and whole.n_shards_made == whole.n_shards > 3
    for path in (tmp_path / "q").rglob("*.npy"):
        assert path.read_bytes() == (tmp_path / "p" / path.relative_to(tmp_path / "q")).read_bytes()
    assert pack(out, tmp_path / "p", SMALL).n_shards_made == 0
    with pytest.raises(InputError, match="another preset"):
        pack(out, tmp_path / "p", PackConfig(n_frames=5, size_px=32))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    with pytest.raises(InputError, match="is not empty and is no pack"):
        pack(out, tmp_path / "full", SMALL)
    (tmp_path / "p" / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"plan\.json is damaged"):
        pack(out, tmp_path / "p", SMALL)


def test_a_missing_frame_stops_with_its_path(out: Path, tmp_path: Path) -> None:
    clip_id = pq.read_table(out / "manifests" / "clips.parquet")["clip_id"][3].as_py()
    path = out / _frames(out, clip_id)[0]
    content = path.read_bytes()
    try:
        path.unlink()
        with pytest.raises(InputError, match=f"the frame {path} is missing"):
            pack(out, tmp_path / "p", SMALL)
        path.write_bytes(b"no picture")
        with pytest.raises(InputError, match=f"the frame {path} is no picture"):
            pack(out, tmp_path / "p", SMALL)
    finally:
        path.write_bytes(content)


def test_a_clip_without_a_frame_row_stops(tmp_path: Path) -> None:
    rows = random_rows(seed=8, n_videos=2)
    gone = rows["frames"][0]
    rows["frames"] = rows["frames"][1:]
    with pytest.raises(InputError, match=f"clip {gone['clip_id']} has no frame 0"):
        plan_pack(write_out(tmp_path / "set", rows), SMALL)


@pytest.mark.parametrize("format", ["uint8", "jpeg"])
def test_a_damaged_shard_is_named_and_made_anew(out: Path, tmp_path: Path, format: str) -> None:
    config = PackConfig(n_frames=4, size_px=32, format=format)  # type: ignore[arg-type]
    pack(out, tmp_path / "p", config)
    shard = tmp_path / "p" / shard_name(0, config.format)
    whole = shard.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    damaged = Pack.open(tmp_path / "p")
    with pytest.raises(InputError, match=f"the shard {shard} is damaged.*Delete that file"):
        for place in range(len(damaged)):
            damaged.clip(place)
    shard.unlink()
    with pytest.raises(InputError, match=f"the shard {shard} is missing"):
        Pack.open(tmp_path / "p")
    assert pack(out, tmp_path / "p", config).n_shards_made == 1  # as the error says
    assert shard.read_bytes() == whole
    mended = Pack.open(tmp_path / "p")
    for place in range(len(mended)):
        mended.clip(place)


def test_it_travels_to_worker_processes(out: Path, tmp_path: Path) -> None:
    pack(out, tmp_path / "p", SMALL)
    opened = Pack.open(tmp_path / "p")
    first = opened.clip(0)
    assert np.array_equal(pickle.loads(pickle.dumps(opened)).clip(0), first)


def test_unblurred_frames_are_not_packed_under_their_data_set(tmp_path: Path) -> None:
    out = write_small_out(tmp_path / "out")
    table = out / "manifests/clips.parquet"
    clips = pq.read_table(table)
    place = clips.schema.get_field_index("blur")

    def blurred(name: str | None) -> None:
        pq.write_table(clips.set_column(place, "blur", pa.array([name] * len(clips), pa.string())), table)

    config = PackConfig(n_frames=2, size_px=8)
    blurred(None)
    (tmp_path / "link").symlink_to(out)
    for to in (out / "pack", tmp_path / "link/pack"):
        with pytest.raises(InputError, match="are not anonymised"):
            pack(out, to, config)
        assert not to.exists()
    pack(out, tmp_path / "pack", config)
    blurred("paper")
    pack(out, out / "pack", config)


def test_the_bytes_are_known_before(out: Path, tmp_path: Path) -> None:
    plan = plan_pack(out, SMALL)
    made = pack(out, tmp_path / "p", SMALL)
    assert abs(made.n_bytes - plan.n_bytes) < 1_000  # headers and sums
    assert 68_269 * PackConfig(n_frames=16, size_px=224).clip_bytes == pytest.approx(164e9, rel=0.01)


def test_other_folders_are_no_packs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no pack"):
        Pack.open(tmp_path)
    (tmp_path / "pack.json").write_text(json.dumps({"version": "0"}))
    with pytest.raises(InputError, match="version 0"):
        Pack.open(tmp_path)
    with pytest.raises(InputError, match="is no data set"):
        pack(tmp_path, tmp_path / "p", SMALL)
    (tmp_path / "set" / "manifests").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([], CLIPS), tmp_path / "set" / "manifests" / "clips.parquet")
    with pytest.raises(InputError, match="has no clips"):
        pack(tmp_path / "set", tmp_path / "p", SMALL)


def test_notes_of_another_release_or_damaged_ones_are_told_and_made_anew(out: Path, tmp_path: Path) -> None:
    pack(out, tmp_path / "p", SMALL)
    note = tmp_path / "p" / "pack.json"
    whole = json.loads(note.read_text())
    for key in ("pixels", "config", "name"):
        note.write_text(json.dumps({k: v for k, v in whole.items() if k != key}))
        with pytest.raises(InputError, match=f"pack.json is damaged, or of another release: '{key}'"):
            Pack.open(tmp_path / "p")
    note.write_text(json.dumps({**whole, "config": {**whole["config"], "colours": 3}}))
    with pytest.raises(InputError, match="of another release"):
        Pack.open(tmp_path / "p")
    note.write_text("[]")
    with pytest.raises(InputError, match="it is no object"):
        Pack.open(tmp_path / "p")
    assert pack(out, tmp_path / "p", SMALL).n_shards_made == 0
    assert json.loads(note.read_text()) == whole
