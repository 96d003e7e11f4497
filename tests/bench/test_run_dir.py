"""A run's folder, its checkpoints and its data: what is refused, and in which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from cityguessr_bench import checkpoints
from cityguessr_bench.checkpoints import Progress
from cityguessr_bench.classes import Classes
from cityguessr_bench.data import fold_names, make_pack, open_data, open_pack, read_split
from cityguessr_bench.inference import load_model, predict_part
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.run_dir import RunDir, fold_folders
from cityguessr_data.core.errors import DiskFullError, InputError, WeightsError
from tests.support_runs import make_small_run, small_config, write_small_out, write_split


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with out, pack and run."""
    folder = tmp_path_factory.mktemp("made")
    make_small_run(folder)
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be broken."""
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def test_what_was_written_is_read(made: Path) -> None:
    run = RunDir.open(made / "run")
    assert run.config == small_config()
    assert run.classes.digest == Classes.read(made / "pack" / "taxonomy.parquet").digest
    assert (run.model_config.n_city, run.model_config.hidden, run.model_config.scenes) == (4, 12, True)
    assert run.data_folder == made / "pack" and run.split == "v"
    assert run.record["split"]["parts"] == {"train": 16, "test": 8}
    assert run.record["scenes"] == {"on": True, "why": "", "n_without": 0}
    assert run.record["versions"]["torch"] == torch.__version__.split("+")[0]


def test_what_is_no_run_is_refused(made: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run"):
        RunDir.open(tmp_path)
    shutil.copytree(run, tmp_path / "folds" / "fold0")
    shutil.copytree(run, tmp_path / "folds" / "fold10")
    shutil.copytree(run, tmp_path / "folds" / "fold2")
    assert [path.name for path in fold_folders(tmp_path / "folds")] == ["fold0", "fold2", "fold10"]
    with pytest.raises(InputError, match="holds 3 folds"):
        RunDir.open(tmp_path / "folds")
    about = json.loads((run / "config.json").read_text())
    for broken, words in (
        ({**about, "version": "0"}, "version 0"),
        ({**about, "config": {"train": {"lr": -1.0}}}, "train.lr must be over 0"),
        ({**about, "model": {"n_city": 0}}, "damaged"),
        ({"version": "1"}, "damaged"),
    ):
        (run / "config.json").write_text(json.dumps(broken))
        with pytest.raises(InputError, match=words):
            RunDir.open(run)


def test_a_taxonomy_of_another_run_is_refused(run: Path) -> None:
    table = Classes.read(run / "taxonomy.parquet")
    names = {**table.names, "city": tuple(reversed(table.names["city"]))}
    Classes(names, table.parents, table.coordinates).write(run / "taxonomy.parquet")
    with pytest.raises(InputError, match="is not the one that the run was trained with"):
        RunDir.open(run)


def test_weights_of_another_taxonomy_or_network_are_refused(made: Path, run: Path, tmp_path: Path) -> None:
    weights = checkpoints.weights_of(run / "checkpoints", "last")
    from safetensors.torch import load_file, save_file

    state = load_file(weights)
    save_file({**state, "heads.by_level.city.weight": torch.zeros(9, 12)}, weights)
    with pytest.raises(InputError, match=r"of another taxonomy: heads.by_level.city.weight is \(9, 12\).*\(4, 12\)"):
        load_model(RunDir.open(run), "last")
    save_file({name: t for name, t in state.items() if not name.startswith("ffn_s")}, weights)
    with pytest.raises(InputError, match=r"of another network: ffn_s.* is nothing"):
        load_model(RunDir.open(run), "last")
    weights.write_bytes(b"broken")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_model(RunDir.open(run), "last")


def test_predictions_are_those_of_the_network(made: Path) -> None:
    """Every clip of the part, its truth by name, and log softmax of what the network says of it alone."""
    run, pack = RunDir.open(made / "run"), Pack.open(made / "pack")
    found = predict_part(run, "test", device="cpu", batch=3).checked(run.classes)
    places = read_split(pack, "v").parts["test"]
    assert found.clip_ids == tuple(pack.clip_ids[place] for place in places)
    assert found.video_ids[0] == found.clip_ids[0][:-6] and found.channels[0] == "channel 2"
    model = load_model(run)
    assert not model.training
    for row, place in enumerate(places.tolist()):
        with torch.inference_mode():
            scores = model(torch.from_numpy(pack.clip(place))[None])
        for at, level in enumerate(run.classes.names):
            logits = scores.logits[level][0].double().numpy()
            expected = logits - np.log(np.exp(logits).sum())
            np.testing.assert_allclose(found.log_probs[level][row], expected, atol=1e-5)
            assert found.truth[level][row] == pack.labels[place, at]


def test_last_and_best(made: Path, tmp_path: Path) -> None:
    folder, weights = tmp_path / "checkpoints", {"w": torch.arange(3.0)}
    with pytest.raises(InputError, match="has no checkpoint yet"):
        checkpoints.weights_of(folder, "last")
    checkpoints.save(folder, Progress(5, 0), weights, {"optimiser": {}})
    with pytest.raises(InputError, match="has no best checkpoint"):
        checkpoints.weights_of(folder, "best")
    best = Progress(8, 1, "00000008-0001", 0.5, 1)
    (folder / ".00000009-0001.1.partial").mkdir()  # of a run that was killed while it wrote
    checkpoints.save(folder, best, weights, {"optimiser": {"t": torch.ones(2)}})
    later = Progress(16, 2, "00000008-0001", 0.5, 1)
    for progress in (Progress(12, 1, "00000008-0001", 0.5, 1), later):
        checkpoints.save(folder, progress, {"w": torch.zeros(3)}, {})
    assert sorted(path.name for path in folder.iterdir()) == ["00000008-0001", "00000016-0002"]
    assert checkpoints.weights_of(folder, "best").parent.name == "00000008-0001"
    newest = checkpoints.last(folder)
    assert newest is not None and checkpoints.read_progress(newest) == later
    assert torch.equal(checkpoints.read_training_state(folder / "00000008-0001")["optimiser"]["t"], torch.ones(2))
    (newest / "state.pt").write_bytes(b"x")
    with pytest.raises(WeightsError, match="cannot be read"):
        checkpoints.read_training_state(newest)


def test_an_output_directory_is_packed_first(tmp_path: Path) -> None:
    write_small_out(tmp_path / "out")
    said: list[str] = []
    pack, parts = open_data(tmp_path / "out", small_config().data, "v", said.append)
    assert pack.folder == tmp_path / "out.pack-4x16"
    n_bytes = 24 * 4 * 3 * 16 * 16
    assert said[0].startswith(f"packing {tmp_path / 'out'} to {pack.folder}: {n_bytes / 1000:.1f} kB")
    assert {part: len(places) for part, places in parts.items()} == {"train": 16, "test": 8}
    said.clear()
    write_split(tmp_path / "out", "later", dict.fromkeys(pack.clip_ids, "train"))
    assert len(open_data(tmp_path / "out", small_config().data, "later", said.append)[1]["train"]) == 24
    assert said == []


def test_a_pack_of_other_settings_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data.size_px=16, and the run wants 32"):
        open_pack(made / "pack", small_config(data={"size_px": 32}).data)
    with pytest.raises(InputError, match=r"data.stored_frames=4, and the run wants 8"):
        open_pack(made / "pack", small_config(data={"stored_frames": 8}).data)
    for path, words in ((tmp_path / "nothing", "there is no folder"), (tmp_path, "is no pack")):
        with pytest.raises(InputError, match=words):
            open_pack(path, small_config().data)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small_out(tmp_path / "out")
    usage = shutil.disk_usage(tmp_path)._replace(free=70_000)
    monkeypatch.setattr("cityguessr_bench.data.shutil.disk_usage", lambda _: usage)
    with pytest.raises(DiskFullError, match=r"takes 73.7 kB, and the disk of .* has 70.0 kB free"):
        make_pack(tmp_path / "out", tmp_path / "pack", small_config().data.pack)
    assert not (tmp_path / "pack").exists()


def test_splits_that_do_not_fit_are_refused(made: Path, tmp_path: Path) -> None:
    pack = Pack.open(made / "pack")
    ids = pack.clip_ids
    whole = dict.fromkeys(ids, "train")
    for parts, words in (
        (dict.fromkeys(ids[1:], "train"), rf"1 clips of the pack have no part \(first: {ids[0]}\)"),
        ({**whole, "gone": "test", "too": "test"}, "2 parts are of clips that the pack does not have"),
        ({**whole, ids[0]: "holdout"}, "'holdout' is no part"),
    ):
        with pytest.raises(InputError, match=words):
            read_split(pack, write_split(tmp_path, "bad", parts))
    with pytest.raises(InputError, match="has no split other; it has v"):
        read_split(pack, "other")
    with pytest.raises(InputError, match="there is no file"):
        read_split(pack, tmp_path / "none.parquet")
    by_path = read_split(pack, write_split(tmp_path, "mine", whole))
    assert by_path.name == "mine" and by_path.file == tmp_path / "splits" / "mine.parquet"
    assert by_path.digest != read_split(pack, "v").digest


def test_folds_by_the_name_of_all(made: Path, tmp_path: Path) -> None:
    pack_folder = Path(shutil.copytree(made / "pack", tmp_path / "pack"))
    pack = Pack.open(pack_folder)
    assert fold_names(pack, "v") == ("v",) and fold_names(pack, "k") == ("k",)
    for fold in (0, 1, 3):
        write_split(pack_folder, f"k-fold{fold}", dict.fromkeys(pack.clip_ids, "train"))
    assert fold_names(pack, "k") == ("k-fold0", "k-fold1")
    assert fold_names(pack, "k-fold3") == ("k-fold3",)


def test_a_split_that_has_changed_since_is_refused(made: Path, tmp_path: Path) -> None:
    run = RunDir.open(made / "run")
    moved = Path(shutil.copytree(made / "pack", tmp_path / "pack"))
    before = predict_part(run, "test", device="cpu")
    again = predict_part(run, "test", moved, device="cpu")
    assert again.clip_ids == before.clip_ids
    write_split(
        moved, "v", dict.fromkeys(before.clip_ids, "test") | dict.fromkeys(_others(run, before.clip_ids), "test")
    )
    with pytest.raises(InputError, match="has changed since"):
        predict_part(run, "test", moved, device="cpu")
    with pytest.raises(InputError, match="has no part val"):
        predict_part(run, "val", device="cpu")


def _others(run: RunDir, ids: tuple[str, ...]) -> list[str]:
    return [clip for clip in Pack.open(run.data_folder).clip_ids if clip not in ids]
