"""The table of links: no pixels, exact spans, numbers of clips; and the options that rebuild it."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import pytest

from cgtool.options import build_config, read_config_file
from cityguessr_data.core.errors import InputError
from cityguessr_data.core.sources import read_sources
from cityguessr_data.core.taxonomy import Taxonomy
from tests.support_export import frames_of, reviewed, rows, run_export, state_of


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_a_row_a_clip_with_its_labels_span_and_digests(tmp_path: Path) -> None:
    extra = {"walk": {"rank": "7, first", "source_sha256": "old", "clip_sha256": "old | older"}}
    out = reviewed(tmp_path / "out", extra=extra)
    result = run_export(out, "links", tmp_path / "x")
    assert result.left_out == {"of a local file or of none": ["home_00000"]}
    assert result.counts["clips"] == 4 and result.counts["videos"] == 2
    table = table_of(tmp_path / "x" / "links.csv")
    assert [(row["video_id"], row["clip_index"]) for row in table] == [
        ("drive", "0"), ("walk", "0"), ("walk", "1"), ("walk", "2"),
    ]  # fmt: skip
    clips = {row["clip_id"]: row for row in rows(out / "manifests" / "clips.parquet")}
    frames = frames_of(out)
    for row in table:
        clip = clips[f"{row['video_id']}_{int(row['clip_index']):05d}"]
        for name in ("city", "state", "country", "continent"):
            assert row[name] == clip[name]
        assert (float(row["start_s"]), float(row["end_s"])) == (clip["start_s"], clip["end_s"]), "to the last bit"
        digests = [hashlib.sha256(jpeg).hexdigest() for jpeg in frames[clip["clip_id"]]]
        assert row["clip_sha256"] == hashlib.sha256("".join(d + "\n" for d in digests).encode()).hexdigest()
        assert row["source_sha256"] == "5" * 64
    assert (table[1]["url"], table[1]["license"], table[1]["rank"]) == (
        "https://a.example.com/walk.mp4", "CC-BY-4.0", "7, first",
    )  # fmt: skip
    assert table[0]["license"] == table[0]["rank"] == ""
    assert list(table[0]).count("clip_sha256") == 1


def test_the_files_are_good_input_of_a_build(tmp_path: Path) -> None:
    run_export(reviewed(tmp_path / "out"), "links", tmp_path / "x")
    found = read_sources(tmp_path / "x" / "links.csv", Taxonomy.named("cityguessr166"))
    assert [(row.video_id, row.clip_index) for row in found] == [("drive", 0), ("walk", 0), ("walk", 1), ("walk", 2)]
    config = build_config(tmp_path / "x" / "links.csv", tmp_path / "new", {}, tmp_path / "x" / "build.toml")
    assert (config.clip.min_frames, config.clip.max_frames, config.clip.samples) == (800, 900, 4)
    assert (config.anonymise.threshold, config.anonymise.detector.name) == (0.5, "mobilenet0.25")
    assert (config.anonymise.blur.mode, config.anonymise.blur.kernel_px, config.scenes.model) == ("paper", 63, "off")


def test_every_option_that_determines_a_result_comes_back(tmp_path: Path) -> None:
    """What dataset.json records of a build with other options is what a build from build.toml records."""
    from cityguessr_data.build_config import Models
    from cityguessr_data.build_record import recorded_config
    from cityguessr_data.publish.link_options import build_toml

    flags = {
        "clip_frames": "20-25", "samples": 5, "conf": 0.35, "nms": 0.25, "blur": "strict", "blur_kernel": 31,
        "blur_sigma": 9.5, "detector": "mobilenet0.25", "detector_size": 640, "detector_scale": 1.5, "jpeg_quality": 90,
        "scene_model": "off", "scene_parents": "first", "min_duration": 2.5, "max_duration": 99.0, "min_height": 48,
        "precision": "fp32", "detector_backend": "pypi",
    }  # fmt: skip
    models = Models(Path("net"), {})
    told = recorded_config(build_config(tmp_path / "s.csv", tmp_path / "a", flags, None), models, {})
    (tmp_path / "b.toml").write_text(build_toml(told, "links.csv", "b.toml", private=False))
    again = recorded_config(build_config(tmp_path / "s.csv", tmp_path / "b", {}, tmp_path / "b.toml"), models, {})
    assert again == told
    assert set(read_config_file(tmp_path / "b.toml")) == set(flags)


def test_a_name_cannot_write_options(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    note = json.loads((out / "dataset.json").read_text())
    (out / "dataset.json").write_text(json.dumps(note | {"name": 'x\nconf = 0.9\n"'}))
    run_export(out, "links", tmp_path / "x")
    assert tomllib.loads((tmp_path / "x" / "build.toml").read_text())["conf"] == 0.5


def test_a_single_file_has_its_options_beside_it(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    result = run_export(out, "links", folder / "streets.csv")
    assert sorted(path.name for path in folder.iterdir()) == ["streets.csv", "streets.md", "streets.toml", "thesis.txt"]
    assert list(result.files) == ["streets.csv", "streets.toml", "streets.md"] and not result.was_done
    before = state_of(folder)
    assert run_export(out, "links", folder / "streets.csv").was_done and state_of(folder) == before
    run_export(out, "links", tmp_path / "x")
    assert table_of(tmp_path / "x" / "links.csv") == table_of(folder / "streets.csv")
    (folder / "streets.csv").write_text("url,city\n")
    with pytest.raises(InputError, match="holds something else"):
        run_export(out, "links", folder / "streets.csv")
    assert (folder / "streets.csv").read_text() == "url,city\n"


def test_a_set_without_a_link_has_nothing_to_share(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out")
    for name in ("walk", "drive"):
        for table in ("clips", "frames", "faces", "videos"):
            (out / "parts" / table / f"{name}.parquet").unlink()
    shutil.rmtree(out / "parts" / "decisions")
    with pytest.raises(InputError, match=r"no clip of .* has a link: 1 of a local file"):
        run_export(out, "links", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_links_into_a_private_network_are_told(tmp_path: Path) -> None:
    out = reviewed(tmp_path / "out", extra={"walk": {"url": "http://192.168.1.4/walk.mp4"}})
    result = run_export(out, "links", tmp_path / "x")
    assert any("private network" in note for note in result.notes)
    command = "cgtool build-dataset links.csv --config build.toml --out OUT --allow-private-hosts\n"
    for name in ("build.toml", "README.md"):
        assert command in (tmp_path / "x" / name).read_text()
    assert result.private_links


def test_links_that_everybody_can_follow_need_no_such_option(tmp_path: Path) -> None:
    result = run_export(reviewed(tmp_path / "out"), "links", tmp_path / "x")
    assert not result.private_links and not any("private network" in note for note in result.notes)
    for name in ("build.toml", "README.md"):
        text = (tmp_path / "x" / name).read_text()
        assert "cgtool build-dataset links.csv --config build.toml --out OUT\n" in text and "private" not in text
