"""Parquet shards that `datasets` opens offline, every frame byte for byte, and a card that tells the truth."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.publish import huggingface
from cityguessr_data.publish.markup import yaml_text
from tests.support_export import CLIPS, FRAMES, frames_of, reviewed, rows, run_export, write_set, write_split

datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = reviewed(tmp_path_factory.mktemp("set") / "out", extra={"walk": {'an/odd "колонка".': "x"}})
    write_split(
        made, "mine", {"walk_00000": "train", "walk_00001": "test", "home_00000": "train", "drive_00000": "train"}
    )
    return made


@pytest.fixture(scope="module")
def exported(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("x") / "hub"
    run_export(out, "huggingface", dest, contact="Data desk <removal@example.org>")
    return dest


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """datasets.load_dataset without a network or a user's cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return lambda *args: datasets.load_dataset(*map(str, args), cache_dir=str(tmp_path / "cache"))


def test_it_loads_and_every_frame_is_the_one_of_the_data_set(out: Path, exported: Path, load: Any) -> None:
    found = load(exported)
    assert set(found) == {"train"} and found["train"].num_rows == 5
    train = found["train"]
    assert train.features["frames"] == datasets.List(datasets.Image())
    frames = frames_of(out)
    raw = train.cast_column("frames", datasets.List(datasets.Image(decode=False)))
    for row in raw:
        assert [frame["bytes"] for frame in row["frames"]] == frames[row["clip_id"]]
        assert [frame["path"] for frame in row["frames"]] == [
            f"{row['clip_id']}.{p + 1:03d}.jpg" for p in range(FRAMES)
        ]
    picture = train[0]["frames"][0]
    assert picture.size == (64, 48) and picture.tobytes() == _decoded(frames["drive_00000"][0])
    clips = {row["clip_id"]: row for row in rows(out / "manifests" / "clips.parquet")}
    tables = rows(out / "manifests" / "frames.parquet")
    for row in raw:
        wanted = {name: value for name, value in clips[row["clip_id"]].items() if name != "frames_uri"}
        assert {name: row[name] for name in wanted} == wanted
        of_clip = [frame for frame in tables if frame["clip_id"] == row["clip_id"]]
        for name, source in (("frame_index",) * 2, ("timestamp_s",) * 2, ("frame_sha256", "sha256")):
            assert row[name] == [frame[source] for frame in of_clip]


def _decoded(jpeg: bytes) -> bytes:
    from PIL import Image

    return Image.open(io.BytesIO(jpeg)).tobytes()


def test_the_other_tables_load_by_their_names(out: Path, exported: Path, load: Any) -> None:
    videos = load(exported, "videos")["train"].to_list()
    assert {row["video_id"]: row["url"] for row in videos} == {
        "walk": "https://a.example.com/walk.mp4",
        "drive": "https://www.b.example.com/drive.mp4",
        "home": "local:home.mp4",
    }
    assert "reason" not in videos[0]
    assert [row['an/odd "колонка".'] for row in videos if row["video_id"] == "walk"] == ["x"]
    faces = load(exported, "faces")["train"].to_list()
    assert faces == [row for row in rows(out / "manifests" / "faces.parquet") if row["blurred"]] and len(faces) == 2


def test_parts_of_a_split_are_those_of_the_hub(out: Path, tmp_path: Path, load: Any) -> None:
    run_export(out, "huggingface", tmp_path / "x", split="mine")
    found = load(tmp_path / "x")
    assert {part: found[part]["clip_id"] for part in found} == {
        "train": ["drive_00000", "home_00000", "walk_00000"],
        "test": ["walk_00001"],
        "unassigned": ["walk_00002"],
    }


def test_row_groups_are_small_enough_for_a_reader(
    out: Path, tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))
    sizes = {clip: sum(map(len, jpegs)) for clip, jpegs in frames_of(out).items()}
    monkeypatch.setattr(huggingface, "GROUP_BYTES", 2 * max(sizes.values()))
    run_export(out, "huggingface", tmp_path / "x")
    with pq.ParquetFile(tmp_path / "x" / "data" / "train-00000-of-00001.parquet") as file:
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        column = next(
            file.metadata.row_group(0).column(i)
            for i in range(file.metadata.num_columns)
            if file.metadata.row_group(0).column(i).path_in_schema.endswith("bytes")
        )
    assert groups == [2, 2, 1]
    assert column.statistics is None and column.compression == "UNCOMPRESSED"
    assert load(tmp_path / "x")["train"]["clip_id"] == list(CLIPS)


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    yaml = pytest.importorskip("yaml")
    _, front, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_the_card_says_what_it_is(exported: Path) -> None:
    front, text = card_of(exported)
    assert front["pretty_name"] == "small streets" and front["license"] == "other"
    assert front["size_categories"] == ["n<1K"] and "video-classification" in front["task_categories"]
    assert [config["config_name"] for config in front["configs"]] == ["clips", "videos", "faces"]
    line = " ".join(text.split())
    for said in (
        "Version 1.2.0. 5 clips (20 frames) of 3 source videos, from 3 cities, 3 states, 3 countries, 2 continents; "
        "2 minutes of footage",
        "Write to Data desk \\<removal@example.org\\> with the link of the video",
        "| a.example.com | 1 |", "| b.example.com | 1 |", "| files of the publisher | 1 |",
        "| CC-BY-4.0 | 1 |", "| mine | 1 |", "| not stated | 1 |",
        "| Cities | 3 | Tokyo (3) |", "| Continents | 2 | Asia (3) | Europe (2) |",
        "of 1 test clip, 100 % have their source video",
        "RetinaFace (mobilenet0.25; `net_0.25.onnx`, SHA-256 " + "ab" * 32,
        "found with a score of 0.5 and over were blurred, unless a reviewer said that they are none",
        "a Gaussian of 63 px with a sigma of 21 px",
        "The review is finished", "How many faces were missed was not measured",
        "No detector finds every face", "0.86 at 120 px", "It must not be used for",
        "The pictures belong to whoever filmed them",
    ):  # fmt: skip
        assert said in line.replace("\u00a0", " "), said
    for figure in ("lorenz", "map"):
        assert f"(figures/{figure}.png)" in text
        assert (exported / "figures" / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_the_card_of_an_unreviewed_set_says_so_and_names_who_is_not_to_be_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))
    out = write_set(tmp_path / "out")
    result = run_export(out, "huggingface", tmp_path / "x", allow_unreviewed=True)
    text = " ".join((tmp_path / "x" / "README.md").read_text().split()).replace("\u00a0", " ")
    assert "**Exported without a finished review.** 0 of the 1 clip with a blurred face were looked at" in text
    assert "No contact was given" in text and any("--contact" in note for note in result.notes)


def test_names_from_outside_are_text_and_no_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))
    out = reviewed(tmp_path / "out")
    part = out / "parts" / "videos" / "walk.parquet"
    table = pq.read_table(part)
    bad = "CC | <script>x</script> [a](http://evil.example) `b`\n# head\n---"
    at = table.column_names.index("license")
    pq.write_table(table.set_column(at, table.schema.field(at), [[bad]]), part)
    run_export(out, "huggingface", tmp_path / "x")
    front, text = card_of(tmp_path / "x")
    assert front["pretty_name"] == "small streets"
    (row,) = [line for line in text.splitlines() if "evil" in line]
    assert row == r"| CC \| \<script\>x\</script\> \[a\](http://evil.example) \`b\` \# head --- | 1 |"


def _without(out: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    for part in (out / "parts" / table).iterdir():
        pq.write_table(change(pq.read_table(part)), part)


def test_a_table_without_a_row_is_neither_written_nor_named(
    tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No detection at all; and, as of imported clips, no source video: `datasets` refuses to open an empty table."""
    monkeypatch.setattr("cityguessr_data.publish.card.draw", lambda _stats: iter(()))
    out = write_set(tmp_path / "out")
    _without(out, "faces", lambda table: table.slice(0, 0))
    run_export(out, "huggingface", tmp_path / "x")
    front, text = card_of(tmp_path / "x")
    assert [config["config_name"] for config in front["configs"]] == ["clips", "videos"]
    assert '"videos")' in text and '"faces")' not in text
    assert [path.name for path in (tmp_path / "x" / "tables").iterdir()] == ["videos.parquet"]
    assert load(tmp_path / "x", "videos")["train"].num_rows == 3 and load(tmp_path / "x")["train"].num_rows == 5

    def sourceless(table: pa.Table) -> pa.Table:
        at = table.column_names.index("video_id")
        return table.set_column(at, table.schema.field(at), pa.nulls(table.num_rows, pa.string()))

    _without(out, "clips", sourceless)
    run_export(out, "huggingface", tmp_path / "y")
    front, text = card_of(tmp_path / "y")
    assert [config["config_name"] for config in front["configs"]] == ["clips"] and not (tmp_path / "y/tables").exists()
    assert load(tmp_path / "y")["train"].num_rows == 5


@pytest.mark.parametrize(
    "name", ["no", "2024", "a: b", 'say "x" \\ y', "🚶 Łódź", "tab\there", "\x7f\x85\u2028\ufeff", "#", ""]
)
def test_any_name_is_a_string_of_yaml(name: str) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(f"name: {yaml_text(name)}\nnext: 1\n") == {"name": name, "next": 1}
