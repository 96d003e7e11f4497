"""What `cgtool stats` takes and refuses: a bad table gets a message with what is wrong and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, TableError
from cityguessr_data.stats.data import read_data
from cityguessr_data.stats.places import Gazetteer
from cityguessr_data.stats.report import measure
from tests.support_out import random_rows, write_out

GAZETTEER = Gazetteer.load(None)


def _csv(folder: Path, text: str) -> Path:
    path = folder / "counts.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("Tokyo,-1", "count: expected 0 or more, got -1"),
        ("Tokyo,1.5", "count: expected a whole number without separators, up to 2**53, got 1.5"),
        ("Tokyo,1.000", "count: expected a whole number without separators, up to 2**53, got 1.000"),
        ('Tokyo,"1,000"', "count: expected a number, got '1,000' (leave out thousands separators)"),
        ("Tokyo,many", "count: expected a number, got 'many'"),
        ("Tokyo,nan", "count: expected a number, got 'nan'"),
        ("Tokyo,inf", "count: expected a number, got 'inf'"),
        ("Tokyo,", "count: expected a number, got ''"),
        (",5", "the city has no name"),
        ("Tokyo,5,7", "expected 2 cells, got 3 (quote a cell that holds a comma)"),
    ],
)
def test_faults_of_a_counts_table_have_their_line(tmp_path: Path, row: str, fault: str) -> None:
    with pytest.raises(TableError) as caught:
        read_data(_csv(tmp_path, f"city,count\nParis,3\n{row}\n"), GAZETTEER)
    assert (3, fault) in caught.value.faults


def test_a_city_twice_is_a_fault_in_any_spelling(tmp_path: Path) -> None:
    table = _csv(tmp_path, "city,count\nMalmö,3\nParis,4\nMalmo,5\nmalm,6\n")
    with pytest.raises(TableError) as caught:
        read_data(table, GAZETTEER)
    assert caught.value.faults == ((4, "city 'Malmo' stands in line 2 too"), (5, "city 'malm' stands in line 2 too"))


def test_two_cities_of_one_name_in_two_countries_are_two(tmp_path: Path) -> None:
    table = _csv(tmp_path, "city,state,country,continent,count\nLondon,,,,3\nLondon,Ontario,Canada,North America,4\n")
    stats = measure(table)
    city, country = stats.levels["city"], stats.levels["country"]
    assert city is not None and country is not None
    assert [(c.name, c.n_clips, c.lat is None) for c in city.classes] == [("London", 4, True), ("London", 3, False)]
    assert [c.name for c in country.classes] == ["Canada", "England"]


def test_all_counts_zero_and_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="1 fault") as caught:
        read_data(_csv(tmp_path, "city,count\nParis,0\n"), GAZETTEER)
    assert caught.value.faults == ((2, "every count is 0: there is nothing to measure"),)
    with pytest.raises(TableError) as caught:
        read_data(_csv(tmp_path, "city,count\n"), GAZETTEER)
    assert caught.value.faults == ((1, "the table has no rows"),)
    with pytest.raises(TableError):
        read_data(_csv(tmp_path, ""), GAZETTEER)


def test_a_count_of_zero_is_a_class_and_said(tmp_path: Path) -> None:
    stats = measure(_csv(tmp_path, "city,count\nParis,4\nLyon,0\n"))
    city = stats.levels["city"]
    assert city is not None and city.n_classes == 2
    assert city.gini.value == 0.5  # (n - 1) / n
    assert stats.notes == ("1 of 2 cities have a count of 0; they count as classes",)


def test_unknown_columns_are_named_not_swallowed(tmp_path: Path) -> None:
    assert measure(_csv(tmp_path, "City,mood,COUNT\nParis,fine,4\n")).notes == ("columns not used: mood",)
    with pytest.raises(InputError, match="neither the columns city and count nor clip_id and city; it has town, n"):
        read_data(_csv(tmp_path, "town,n\nParis,4\n"), GAZETTEER)


def test_one_class_only(tmp_path: Path) -> None:
    city = measure(_csv(tmp_path, "city,count\nParis,4\n")).levels["city"]
    assert city is not None
    assert (city.gini.value, city.gini.low, city.gini.high) == (0.0, None, None)
    assert (city.effective_classes.value, city.top10_share.value) == (pytest.approx(1.0), pytest.approx(0.1))


def test_a_city_outside_the_taxonomy_blanks_the_levels_above_it(tmp_path: Path) -> None:
    stats = measure(_csv(tmp_path, "city,count\nParis,4\nAtlantis,3\n"))
    assert stats.levels["city"] is not None
    assert [stats.levels[level] for level in ("state", "country", "continent")] == [None] * 3  # type: ignore[index]
    assert stats.blank["country"] == (
        "1 of 2 cities has no country: Atlantis is not in the taxonomy, where the nearest is Atlanta"
    )
    given = _csv(tmp_path, "city,country,continent,count\nParis,,,4\nAtlantis,Poseidonia,Ocean,3\n")
    levels = measure(given).levels
    assert levels["state"] is None and levels["country"] is not None and levels["continent"] is not None
    assert {c.name for c in levels["country"].classes} == {"France", "Poseidonia"}


def test_cities_of_both_shipped_taxonomies_are_known(tmp_path: Path) -> None:
    """Trondheim is in MSLS alone; the coverage counts the 166."""
    stats = measure(_csv(tmp_path, "city,count\nLondon,4\nTrondheim,3\n"))
    assert stats.levels["continent"] is not None
    assert (stats.size.cities_of_taxonomy, stats.size.taxonomy_cities) == (1, 166)


def test_coordinates_of_the_table_win(tmp_path: Path) -> None:
    city = measure(_csv(tmp_path, "city,count,lat,lon\nParis,4,1.5,2.5\nLyon,3,,\n")).levels["city"]
    assert city is not None
    assert [(c.lat, c.lon) for c in city.classes] == [(1.5, 2.5), pytest.approx((45.75, 4.85), abs=0.1)]
    with pytest.raises(TableError) as caught:
        read_data(_csv(tmp_path, "city,count,lat,lon\nParis,4,95,2\nLyon,3,1,\n"), GAZETTEER)
    assert caught.value.faults == (
        (2, "lat, lon: expected -90 to 90, got 95"),
        (3, "lat and lon are given both or neither"),
    )


def test_parquet_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.parquet"
    pq.write_table(pa.table({"city": ["Paris", "Lyon"], "count": [3, 1]}), path)
    assert measure(path).size.n_clips == 4
    pq.write_table(pa.table({"city": ["Paris", "Lyon"], "count": [3.5, 1.0]}), path)
    with pytest.raises(TableError):
        measure(path)


def test_a_clips_table_alone(tmp_path: Path) -> None:
    rows = random_rows(seed=3)
    out = write_out(tmp_path / "set", rows)
    whole, alone = measure(out), measure(out / "manifests" / "clips.parquet")
    assert alone.kind == "clips" and alone.name == "clips"
    assert alone.levels == whole.levels and alone.scenes == whole.scenes
    assert (alone.faces, alone.duplicates) == (None, None)
    assert alone.blank["faces"] == "a clips table has no frames and faces: name the output directory"
    as_csv = tmp_path / "clips.csv"
    columns = ("clip_id", "video_id", "city", "state", "country", "continent", "n_sampled")
    lines = [",".join(columns), *(",".join(str(row[c]) for c in columns) for row in rows["clips"])]
    as_csv.write_text("\n".join(lines))
    assert measure(as_csv).levels == whole.levels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"city": None}, "1 of 3 clips have no city"),
        ({"city": "  "}, "1 of 3 clips have no city"),
        ({"clip_id": "v1_00000"}, "clip_id v1_00000 stands there twice"),
    ],
)
def test_bad_clips_tables(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = [{"clip_id": f"v{i}_00000", "city": "Paris"} for i in range(3)]
    rows[2] |= change
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "clips.parquet")
    with pytest.raises(InputError, match=message):
        measure(tmp_path / "clips.parquet")


def test_more_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "clips.parquet"
    pq.write_table(pa.table({"clip_id": ["a"], "city": ["Paris"], "n_frames": ["many"]}), path)
    with pytest.raises(InputError, match="column n_frames should be int32, but is string"):
        measure(path)
    pq.write_table(pa.table({"clip_id": pa.array([], pa.string()), "city": pa.array([], pa.string())}), path)
    with pytest.raises(InputError, match="has no clips"):
        measure(path)
    path.write_bytes(b"PAR1 and then nothing of the kind")
    with pytest.raises(InputError, match="cannot read"):
        measure(path)
    with pytest.raises(InputError, match="there is no "):
        measure(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="is no data set"):
        measure(tmp_path)


def test_an_output_directory_before_its_first_clip(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"name": "x"}))
    with pytest.raises(InputError, match="has no clips table yet"):
        measure(tmp_path)


def test_videos_committed_but_not_in_the_manifests_are_told(tmp_path: Path) -> None:
    """Only those that have clips: a dropped video has an empty part."""
    out = write_out(tmp_path / "set", random_rows(seed=3))
    parts = out / "parts" / "clips"
    parts.mkdir(parents=True)
    clips = pq.read_table(out / "manifests" / "clips.parquet")
    for name, n in (("v00", 1), ("late", 1), ("dropped", 0)):
        pq.write_table(clips.slice(0, n), parts / f"{name}.parquet")
    note = "clips of 1 more videos are committed but not in the manifests: run the build again"
    assert measure(out).notes == (note,)


def test_rows_that_fill_in_different_levels_are_one_city(tmp_path: Path) -> None:
    rows = [
        {"clip_id": "a_00000", "video_id": "a", "city": "London", "state": None, "country": None},
        {"clip_id": "b_00000", "video_id": "b", "city": "London", "state": "Greater_London", "country": None},
        {"clip_id": "b_00001", "video_id": "b", "city": "London", "state": None, "country": "England"},
    ]
    path = tmp_path / "clips.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    stats = measure(path)
    city = stats.levels["city"]
    assert city is not None and [(c.name, c.n_clips, c.n_videos) for c in city.classes] == [("London", 3, 2)]
    assert stats.provenance is not None and stats.provenance.one_video_cities == ()


def test_a_level_that_contradicts_the_taxonomy_is_the_reason(tmp_path: Path) -> None:
    stats = measure(_csv(tmp_path, "city,state,count\nLondon,LDN,3\nTokyo,,2\n"))
    assert stats.levels["state"] is not None and stats.levels["country"] is None
    why = "1 of 2 cities has no country: the taxonomy's London is in Greater_London, the table says LDN"
    assert stats.blank["country"] == why


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("clips", "n_sampled", -5, "column n_sampled is negative"),
        ("clips", "video_id", "drop", "has no column video_id"),
        ("videos", "status", "drop", "has no column status"),
        ("frames", "clip_id", "drop", "has no column clip_id"),
        ("frames", "clip_id", None, "column clip_id is null in some rows"),
        ("frames", "n_faces", -1, "column n_faces is negative"),
        ("faces", "origin", "drop", "has no column origin"),
        ("faces", "blurred", None, "column blurred is null in some rows"),
        ("faces", "score", float("nan"), "column score is no number in some rows"),
        ("faces", "y1", float("inf"), "column y1 is no number in some rows"),
    ],
)
def test_broken_tables_of_a_directory_are_named(
    tmp_path: Path, table: str, column: str, value: Any, message: str
) -> None:
    out = write_out(tmp_path / "set", random_rows(seed=3))
    path = out / "manifests" / f"{table}.parquet"
    whole = pq.read_table(path)
    at = whole.column_names.index(column)
    if value == "drop":
        broken = whole.remove_column(at)
    else:
        values = whole[column].to_pylist()
        broken = whole.set_column(at, column, pa.array([value, *values[1:]], whole.schema.field(column).type))
    pq.write_table(broken, path)
    with pytest.raises(InputError, match=message):
        measure(out)


@pytest.mark.parametrize("content", ["[1, 2]", "not json"])
def test_a_broken_dataset_json(tmp_path: Path, content: str) -> None:
    out = write_out(tmp_path / "set", random_rows(seed=3))
    (out / "dataset.json").write_text(content)
    with pytest.raises(InputError, match=r"dataset.json cannot be read"):
        measure(out)


@pytest.mark.parametrize("config", [None, 3, {"anonymise": "x"}, {"anonymise": {"conf": "high", "blur": 4}}])
def test_a_configuration_of_another_kind_gives_the_papers_threshold(tmp_path: Path, config: Any) -> None:
    out = write_out(tmp_path / "set", random_rows(seed=3))
    (out / "dataset.json").write_text(json.dumps({"name": "x", "config": config}))
    assert read_data(out, GAZETTEER).conf == 0.5


def test_frame_rates_that_are_none_are_unknown(tmp_path: Path) -> None:
    rows = random_rows(seed=3)
    odd = [0.0, -30.0, float("inf"), float("nan")]
    for row, fps in zip(rows["clips"], odd, strict=False):
        row["fps"] = fps
    stats = measure(write_out(tmp_path / "set", rows))
    assert stats.footage is not None and stats.footage.fps["unknown"] == 4
    assert stats.footage.clip_s is not None and stats.footage.clip_s.n_unknown == 4
    assert stats.size.hours is None


def test_cities_that_look_alike_are_told(tmp_path: Path) -> None:
    path = tmp_path / "clips.parquet"
    pq.write_table(pa.table({"clip_id": ["a", "b"], "city": ["New York", "New_York"]}), path)
    assert "New York and New_York look like one city; they are counted as two" in measure(path).notes


def test_the_threshold_is_the_builds(tmp_path: Path) -> None:
    out = write_out(tmp_path / "set", random_rows(seed=3), conf=0.3)
    assert read_data(out, GAZETTEER).conf == 0.3
    strict = {"name": "x", "config": {"anonymise": {"conf": None, "blur": {"mode": "strict"}}}}
    (out / "dataset.json").write_text(json.dumps(strict))
    assert read_data(out, GAZETTEER).conf == 0.2


def test_scene_shares_are_checked(tmp_path: Path) -> None:
    rows = random_rows(seed=3)
    rows["clips"][0]["scene_soft"] = [0.5] * 16
    with pytest.raises(InputError, match="does not sum to 1"):
        measure(write_out(tmp_path / "a", rows))
    rows["clips"][0]["scene_soft"] = [1.0]
    with pytest.raises(InputError, match="is not 16 shares"):
        measure(write_out(tmp_path / "b", rows))
