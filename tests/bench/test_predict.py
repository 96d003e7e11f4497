"""Prediction of whole videos: which frames, which clips, what is averaged, what is lost when one fails."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cityguessr_bench.hierarchy import MODES, Mode
from cityguessr_bench.hierarchy import predict as predicted
from cityguessr_bench.inference import load_model, log_probs
from cityguessr_bench.pack.layout import PackConfig
from cityguessr_bench.pack.read import Pack
from cityguessr_bench.pack.write import pack
from cityguessr_bench.predict.answer import answer
from cityguessr_bench.predict.as_json import to_json
from cityguessr_bench.predict.clips import ClipReader, ClipRule, wanted_frames
from cityguessr_bench.predict.guesses import averaged, guesses, meaning, remarks
from cityguessr_bench.predict.page import page
from cityguessr_bench.predict.results import Failure, VideoPrediction
from cityguessr_bench.run_config import DataConfig
from cityguessr_bench.run_dir import RunDir
from cityguessr_data.core.errors import InputError, MediaError
from cityguessr_data.core.types import LEVELS, Level
from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.media.download import Downloader
from cityguessr_data.media.download_config import DownloadConfig
from tests.support_build import SHORT, cgtool, write_sources
from tests.support_predict import DATA, classes_of, film, random_run
from tests.support_server import Server, Status, links_page
from tests.support_video import ffmpeg, numbered_video, read_number

CLASSES = classes_of()
CODED = DataConfig(frames=4, stored_frames=8, size_px=64)
"""Frames large enough to read their number off."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return random_run(tmp_path_factory.mktemp("run") / "r")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1700 frames: two clips of 850."""
    return film(tmp_path_factory.mktemp("film") / "long.mp4", 1700)


def random_log_probs(n: int, seed: int) -> dict[Level, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = {level: rng.normal(0, 3, (n, CLASSES.sizes[level])) for level in LEVELS}
    return {level: x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for level, x in logits.items()}


def ask(
    run: RunDir,
    cache: Path,
    *sources: object,
    keep: bool = True,
    private: bool = True,
    mode: Mode = "codependent",
    k: int = 5,
) -> list[VideoPrediction | Failure]:
    downloader = Downloader(DownloadConfig(cache=cache, allow_private_hosts=private, rate_per_hour=1e6, backoff_s=0.01))
    model = load_model(run)
    return list(answer([str(s) for s in sources], run, model, downloader, keep=keep, mode=mode, k=k))


def numbers(clip: np.ndarray) -> list[int]:
    return [read_number(frame.transpose(1, 2, 0)) for frame in clip]


# what is averaged, and what a probability is of


def test_codependent_probabilities_by_hand() -> None:
    """Two clips; every product and every sum written out in plain Python."""
    scores = random_log_probs(2, seed=1)
    mean = {level: [sum(math.exp(row[c]) for row in scores[level]) / 2 for c in range(CLASSES.sizes[level])]
            for level in LEVELS}  # fmt: skip
    product = []
    for path in CLASSES.paths.tolist():
        product.append(math.prod(mean[level][label] for level, label in zip(LEVELS, path, strict=True)))
    share = [p / sum(product) for p in product]
    found = guesses(scores, CLASSES, "codependent", k=99)
    assert {g.label: g.probability for g in found["city"]} == pytest.approx(dict(enumerate(share)))
    for at, level in enumerate(LEVELS):
        of_place: dict[int, float] = {}
        for city, path in enumerate(CLASSES.paths.tolist()):
            of_place[path[at]] = of_place.get(path[at], 0) + share[city]
        assert {g.label: g.probability for g in found[level]} == pytest.approx(of_place)
    best = max(range(len(share)), key=lambda city: share[city])
    assert [found[level][0].label for level in LEVELS] == CLASSES.paths[best].tolist()
    assert found["city"][0].within == tuple(found[level][0].name for level in LEVELS[1:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from(MODES))
def test_of_every_mode(seed: int, n_clips: int, mode: Mode) -> None:
    """Shares sum to 1; one clip gets what `evaluate` gives it; the order of clips does not matter."""
    scores = random_log_probs(n_clips, seed)
    found = guesses(scores, CLASSES, mode, k=99)
    for level in LEVELS:
        assert sum(g.probability for g in found[level]) == pytest.approx(1)
        if mode in ("none", "independent") or level == "city":
            shares = [g.probability for g in found[level]]
            assert shares == sorted(shares, reverse=True)
    turned = guesses({level: scores[level][::-1] for level in LEVELS}, CLASSES, mode, k=99)
    for level in LEVELS:
        assert {g.label: g.probability for g in found[level]} == pytest.approx(
            {g.label: g.probability for g in turned[level]}
        )
    first = {level: scores[level][:1] for level in LEVELS}
    alone = predicted(first, CLASSES.parents, mode)
    assert all(guesses(first, CLASSES, mode)[level][0].label == alone[level][0] for level in LEVELS)
    if mode in ("codependent", "trace"):  # the first places lie in each other
        assert found["city"][0].within == tuple(found[level][0].name for level in LEVELS[1:])


def test_the_mean_has_no_veto() -> None:
    """A clip whose city head is sure of another city cannot rule out what two clips say."""
    certain = {level: np.full((3, CLASSES.sizes[level]), -100.0) for level in LEVELS}
    for clip, city in enumerate((0, 0, 1)):
        for level, label in zip(LEVELS, CLASSES.paths[city], strict=True):
            certain[level][clip, label] = 0.0
    means = averaged(certain)
    assert np.exp(means["city"][0, :2]) == pytest.approx([2 / 3, 1 / 3])
    assert guesses(certain, CLASSES, "codependent")["city"][0].label == 0


def test_a_country_of_more_probability_that_does_not_come_first_is_told() -> None:
    """London and Manchester 0.3 each, Nairobi 0.4: Kenya comes first, England has more."""
    names = CLASSES.names["city"]
    share = dict.fromkeys(names, 1e-6) | {"London": 0.3, "Manchester": 0.3, "Nairobi": 0.4}
    scores = {level: np.log(np.full((1, CLASSES.sizes[level]), 1 / CLASSES.sizes[level])) for level in LEVELS}
    scores["city"] = np.log(np.array([[share[name] for name in names]]))
    found = guesses(scores, CLASSES, "trace")
    assert [g.name for g in found["country"][:2]] == ["Kenya", "England"]
    assert [round(g.probability, 3) for g in found["country"][:2]] == [0.4, 0.6]
    told = remarks(scores, CLASSES, "trace")
    assert any("England have more, 60.0% to 40.0%" in words and "Kenya stands first" in words for words in told)
    assert remarks(scores, CLASSES, "none") == ()
    assert set(meaning("trace")) == set(LEVELS)


# which frames


@pytest.mark.parametrize("n", [100, 800, 850, 900])
def test_the_frames_are_those_of_a_pack(n: int) -> None:
    """Of a clip's 100 saved frames 16 are stored, and of these every second is taken; by the formulas of the docs."""
    data = DataConfig(frames=8, stored_frames=16)
    saved = [p * n // 100 for p in range(100)]
    stored = [saved[i * 100 // 16] for i in range(16)]
    assert wanted_frames(n, ClipRule(), data) == tuple(stored[::2])


def test_the_released_code_s_order_of_frames_is_kept() -> None:
    """1.jpg to 100.jpg sorted as text, every fifth of the first 80: the clip jumps to and fro."""
    data = DataConfig(frames=16, stored_frames=16, sampling="authors")
    expected = (1, 13, 18, 22, 27, 31, 36, 40, 45, 5, 54, 59, 63, 68, 72, 77)
    assert wanted_frames(900, ClipRule(), data) == tuple((name - 1) * 9 for name in expected)


def test_two_clips_of_850_frames_and_their_pixels(long_film: Path) -> None:
    reader = ClipReader(long_film, CODED)
    clips = list(reader)
    assert [(c.start_frame, c.end_frame) for c in reader.taken] == [(0, 850), (850, 1700)]
    assert reader.taken[1].start_s == pytest.approx(850 / 30)
    stored = [(i * 100 // 8) * 850 // 100 for i in range(8)]
    assert [numbers(clip) for clip in clips] == [stored[::2], [850 + n for n in stored[::2]]]
    assert clips[0].shape == (4, 3, 64, 64) and clips[0].dtype == np.uint8
    source = next(f.rgb for f in decode(long_film, [850], 851, reader.index))
    shown = cv2.resize(source, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.array_equal(clips[1][0].transpose(1, 2, 0), shown)
    assert reader.notes == []


def test_the_authors_frames_come_in_their_order_although_decoded_in_order(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "v.mp4", 100)
    data = DataConfig(frames=16, stored_frames=16, sampling="authors", size_px=64)
    (clip,) = ClipReader(path, data)
    assert numbers(clip)[:4] == [0, 12, 17, 21] and numbers(clip)[9] == 4


def test_a_short_video_is_taken_whole_and_a_shorter_one_is_refused(tmp_path: Path) -> None:
    reader = ClipReader(numbered_video(tmp_path / "short.mp4", 60), CODED)
    (clip,) = reader
    assert reader.taken[0].n_frames == 60
    assert numbers(clip) == [(i * 60 // 8) for i in range(0, 8, 2)]
    assert reader.notes == ["its 60 frames are fewer than a clip's 800: taken whole"]
    with pytest.raises(MediaError, match=r"tiny\.mp4 has clips of 7 frames; the run's model needs 8 or more"):
        ClipReader(numbered_video(tmp_path / "tiny.mp4", 7), CODED)
    authors = DataConfig(frames=16, stored_frames=16, sampling="authors", size_px=64)
    with pytest.raises(MediaError, match="60 frames; the run's model needs 76 or more"):
        ClipReader(tmp_path / "short.mp4", authors)
    with pytest.raises(InputError, match="5 samples of a clip are too few"):
        ClipReader(tmp_path / "short.mp4", CODED, ClipRule(20, 25, 5))


@pytest.mark.parametrize("turn", [0, 90])
def test_an_upright_film_is_looked_at_upright(tmp_path: Path, turn: int) -> None:
    """A telephone's film: stored lying, with a flag that turns it. The stored picture is the shown one turned back."""
    stored = film(tmp_path / "stored.mp4", 40, size=(96, 48))
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", turn, "-i", stored, "-c", "copy", turned)
    shown = tmp_path / "shown.mp4"  # ffmpeg turns while it encodes: an independent answer
    ffmpeg("-i", turned, "-c:v", "libx264", "-crf", "1", "-preset", "ultrafast", shown)
    reader, other = ClipReader(turned, DATA), ClipReader(shown, DATA)
    (one,), (two,) = reader, other
    assert (reader.index.info.width, reader.index.info.height) == ((48, 96) if turn else (96, 48))
    assert np.abs(one.astype(int) - two.astype(int)).mean() < 2


@pytest.mark.parametrize(
    ("rule", "taken"), [((40, 45), [(0, 44), (44, 88)]), ((30, 40), [(0, 35), (35, 70), (70, 100)])]
)
def test_where_decoding_breaks_a_clip_counts_if_it_is_long_enough(
    tmp_path: Path, rule: tuple[int, int], taken: list[tuple[int, int]]
) -> None:
    """A stream whose picture size changes after frame 100: as in a build, the clip under way needs the least length."""
    raw = ("-c:v", "libx264", "-bf", "0", "-bsf:v", "h264_mp4toannexb", "-f", "h264")
    first = numbered_video(tmp_path / "a.h264", 100, args=raw)
    second = numbered_video(tmp_path / "b.h264", 79, size=(96, 64), args=raw)
    path = tmp_path / "both.h264"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    reader = ClipReader(path, CODED, ClipRule(*rule))
    clips = list(reader)
    assert [(c.start_frame, c.end_frame) for c in reader.taken] == taken
    start, end = taken[-1]
    assert numbers(clips[-1])[0] == start and max(numbers(clips[-1])) < end
    assert "100 frames" in reader.notes[-1] and f"{len(taken)} of {len(reader.planned)} clips" in reader.notes[-1]


# answers


def test_a_video_s_answer_is_the_mean_of_its_clips(run: RunDir, long_film: Path, tmp_path: Path) -> None:
    """Frames chosen, model called and mean taken here."""
    (told,) = ask(run, tmp_path, long_film, mode="none", k=99)
    assert isinstance(told, VideoPrediction)
    index = index_video(long_film)
    model, seen = load_model(run), []
    for start in (0, 850):
        wanted = [start + (i * 100 // 8) * 850 // 100 for i in range(0, 8, 2)]
        frames = [f.rgb for f in decode(long_film, wanted, start + 850, index)]
        small = [cv2.resize(rgb, (48, 48), interpolation=cv2.INTER_AREA) for rgb in frames]
        clip = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2)[None]
        with torch.no_grad():
            logits = model(clip).logits
        seen.append({level: torch.softmax(logits[level][0], 0).numpy() for level in LEVELS})
    assert np.abs(seen[0]["city"] - seen[1]["city"]).max() > 0.02  # the clips differ, so the mean is none of them
    for level in LEVELS:
        mean = (seen[0][level] + seen[1][level]) / 2
        assert {g.label: g.probability for g in told.levels[level]} == pytest.approx(dict(enumerate(mean)), abs=1e-5)
    assert (told.n_frames, [c.n_frames for c in told.clips]) == (1700, [850, 850])
    assert told.video_id == "local_long" and told.source == str(long_film)


def test_a_run_of_half_precision_is_asked_as_it_is_evaluated(run: RunDir, long_film: Path, tmp_path: Path) -> None:
    """On a CPU both compute in float32."""
    config = run.config.changed({"train": {"precision": "bf16"}}, "test")
    assert ask(dataclasses.replace(run, config=config), tmp_path, long_film) == ask(run, tmp_path, long_film)


def test_one_that_fails_loses_none_of_the_others(run: RunDir, tmp_path: Path) -> None:
    good = numbered_video(tmp_path / "good.mp4", 40)
    (tmp_path / "corrupt.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    short = numbered_video(tmp_path / "short.mp4", 3)
    sources = (tmp_path / "corrupt.mp4", good, tmp_path / "gone.mp4", short, tmp_path, tmp_path / "list.mp4", good)
    told = ask(run, tmp_path / "cache", *sources, "file:///etc/passwd", "a\0b")
    assert [type(t) is VideoPrediction for t in told] == [False, True, False, False, False, False, True, False, False]
    failures = [t for t in told if isinstance(t, Failure)]
    assert [f.error_class for f in failures] == [
        "bad-media", "not-found", "bad-media", "not-found", "bad-media", "link", "not-found",
    ]  # fmt: skip
    assert all("\n" not in f.message and f.source for f in failures)
    assert told[1] == told[6]
    assert {p.name for p in tmp_path.rglob("*")} == {"good.mp4", "corrupt.mp4", "list.mp4", "short.mp4"}  # no frame


def test_links_playlists_and_what_is_gone(run: RunDir, tmp_path: Path) -> None:
    folder = tmp_path / "www"
    folder.mkdir()
    numbered_video(folder / "a.mp4", 40)
    film(folder / "b.mp4", 40)
    cache = tmp_path / "cache"
    with Server(folder) as server:
        server.always("/gone.mp4", Status(404))
        feed = server.page("/list", links_page(server.url("/a.mp4"), server.url("/gone.mp4"), server.url("/b.mp4")),
                           "application/rss+xml")  # fmt: skip
        told = ask(run, cache, server.url("/a.mp4"), feed, keep=False)
        assert [type(t).__name__ for t in told] == ["VideoPrediction", "VideoPrediction", "Failure", "VideoPrediction"]
        assert [t.source for t in told] == [server.url("/a.mp4"), feed, feed, feed]
        assert told[2].video_id == "generic_gone"
        assert not list(cache.rglob("*.mp4"))  # looked at and removed
        (local,) = ask(run, cache, folder / "a.mp4")
        assert isinstance(local, VideoPrediction) and isinstance(told[0], VideoPrediction)
        assert told[0].levels == local.levels and (folder / "a.mp4").is_file()
        ask(run, cache, server.url("/a.mp4"), keep=True)
        asked = server.count()
        assert len(list(cache.rglob("*.mp4"))) == 1
        ask(run, cache, server.url("/a.mp4"), keep=True)
        assert server.count() == asked  # out of the cache
        (refused,) = ask(run, tmp_path / "other", server.url("/b.mp4"), private=False)
        assert isinstance(refused, Failure) and "--allow-private-hosts" in refused.message + refused.hint
        assert server.count() == asked


def test_json_and_page_hold_the_answer_and_no_markup_from_outside(run: RunDir, tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "x<script>alert(1)<.mp4", 40)
    told = ask(run, tmp_path / "cache", path, tmp_path / "<b>gone")
    videos = [t for t in told if isinstance(t, VideoPrediction)]
    failures = [t for t in told if isinstance(t, Failure)]
    value = json.loads(json.dumps(to_json(run.folder, "cityguessr", "last", "codependent", videos, failures, 1)))
    assert set(value) == {
        "run", "model", "weights", "mode", "averaged", "probability", "videos", "failures", "exit_code",
    }  # fmt: skip
    best = value["videos"][0]["levels"]["city"][0]
    assert set(best) == {"label", "name", "within", "probability", "lat", "lon"} and best["lat"] is not None
    html = page(run.folder, "cityguessr", "last", "codependent", videos, failures)
    assert "<script>alert" not in html and "<b>gone" not in html
    assert "x&lt;script&gt;alert(1)&lt;" in html and "&lt;b&gt;gone" in html
    before_scripts = html.partition("<script")[0]
    assert "data:" not in before_scripts.partition("<body>")[2] and "<img" not in before_scripts  # no frame
    assert html == page(run.folder, "cityguessr", "last", "codependent", videos, failures)


def test_real_films(run: RunDir, assets: Path, tmp_path: Path) -> None:
    films = [assets / "videos" / name for name in ("london_guide_480p_9s.mp4", "new_york_636x788_12s.mp4")]
    told = ask(run, tmp_path, *films)
    for video, path in zip(told, films, strict=True):
        assert isinstance(video, VideoPrediction)
        assert video.n_frames == index_video(path).info.n_frames == video.clips[0].n_frames
        assert sum(g.probability for g in video.levels["continent"]) == pytest.approx(1)


def through_jpeg(rgb: np.ndarray) -> np.ndarray:
    """A picture after JPEG at quality 95 with halved colour, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=95, subsampling=2)
    return np.asarray(Image.open(buffer))


def test_build_and_pack_give_what_predict_gives_but_for_jpeg(tmp_path: Path, detector_weights: Path) -> None:
    """The way of `evaluate` (build, pack, model) against that of `predict`, on a film without faces.

    JPEG at quality 95 moves the pixels of this film, which is all edges, by under 2 of 255 on average, and the loud
    heads' probabilities by under 0.1. Once the frames have gone through Pillow's JPEG, pixels agree to 0.1 on average
    and probabilities to 0.005, where the film's two clips differ by 0.3: JPEG explains all of the difference.
    """
    source = film(tmp_path / "walk.mp4", 52)
    table = write_sources(tmp_path / "s.csv", [{"url": "walk.mp4", "city": "Tokyo"}])
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT)
    assert done.returncode == 0, done.stderr
    data = DataConfig(frames=2, stored_frames=4, size_px=48)
    pack(tmp_path / "out", tmp_path / "pack", PackConfig(4, 48))
    packed = Pack.open(tmp_path / "pack")
    theirs = np.stack([packed.clip(i)[::2] for i in range(len(packed))])
    reader = ClipReader(source, data, ClipRule(20, 25, 5))
    ours = np.stack(list(reader))
    assert [c.n_frames for c in reader.taken] == [25, 25] and theirs.shape == ours.shape
    wanted = [start + (i * 5 // 4) * 25 // 5 for start in (0, 25) for i in (0, 2)]
    frames = [through_jpeg(f.rgb) for f in decode(source, wanted, 50, reader.index)]
    small = [cv2.resize(rgb, (48, 48), interpolation=cv2.INTER_AREA).transpose(2, 0, 1) for rgb in frames]
    as_saved = np.stack(small).reshape(theirs.shape)
    assert 0 < np.abs(theirs.astype(int) - ours.astype(int)).mean() < 2
    assert np.abs(theirs.astype(int) - as_saved.astype(int)).mean() < 0.1
    model = load_model(random_run(tmp_path / "run", data))
    said = [log_probs(model, [(torch.from_numpy(clips), None)]) for clips in (theirs, ours, as_saved)]
    for level in LEVELS:
        saved, straight, again = (np.exp(scores[level]) for scores in said)
        assert np.abs(saved - straight).max() < 0.1
        assert np.abs(saved - again).max() < 0.005
    assert np.abs(np.diff(np.exp(said[0]["city"]), axis=0)).max() > 0.3
