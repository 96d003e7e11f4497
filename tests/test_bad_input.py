"""Every way a build can be given something unfit: one line, what to do, the right exit code, nothing committed lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support_build import SHORT, cgtool, result_of, tree_digest, write_sources
from tests.support_inline import cgtool_inline
from tests.support_server import Server, Status
from tests.support_video import ffmpeg, numbered_video

TOKYO = {"city": "Tokyo"}


def refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    """Exit code 2, the message first, nothing on stdout."""
    assert done.returncode == 2, done.stderr
    for text in said:
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


def test_a_missing_table(tmp_path: Path) -> None:
    done = cgtool("build-dataset", tmp_path / "none.csv", "--out", tmp_path / "out", *SHORT)
    refused(done, "none.csv")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_malformed_table_is_told_whole_with_lines(tmp_path: Path) -> None:
    table = tmp_path / "sources.csv"
    table.write_text(
        "url,city,start_s\n"
        "http://example.com/a.mp4,Tokio,0\n"
        "file:///etc/passwd,Tokyo,0\n"
        "http://127.0.0.1/x.mp4,Tokyo,0\n"
        "nowhere.mp4,Tokyo,-1\n"
    )
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *SHORT)
    refused(
        done, "line 2: unknown city 'Tokio'; the nearest known are Tokyo", "line 3: url: file:", "line 4:", "line 5:"
    )
    assert "--allow-private-hosts" in done.stderr
    assert not (tmp_path / "out").exists()


def test_missing_weights_name_the_command(tmp_path: Path, face_film: Path) -> None:
    shutil.copy(face_film, tmp_path / "a.mp4")
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    nowhere = {"CGTOOL_WEIGHTS": str(tmp_path), "CGTOOL_CACHE": str(tmp_path)}
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", env=nowhere)
    refused(done, "cgtool weights pull retinaface-resnet50", "--detector")
    assert not (tmp_path / "out").exists()


def test_missing_scene_weights_name_the_command_and_off(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    shutil.copy(face_film, tmp_path / "a.mp4")
    shutil.copy(detector_weights, tmp_path)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    env = {"CGTOOL_WEIGHTS": str(tmp_path), "CGTOOL_CACHE": str(tmp_path)}
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT[:-2], env=env)
    refused(done, "cgtool weights pull places365-resnet18", "or off")


def test_a_wrong_digest(tmp_path: Path, face_film: Path, detector_weights: Path) -> None:
    shutil.copy(face_film, tmp_path / "a.mp4")
    content = bytearray(detector_weights.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / detector_weights.name).write_bytes(content)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    env = {"CGTOOL_WEIGHTS": str(tmp_path), "CGTOOL_CACHE": str(tmp_path)}
    done = cgtool("build-dataset", table, "--out", tmp_path / "out", *SHORT, env=env)
    refused(done, "is not the file it should be", "SHA-256")


def test_an_unwritable_out(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 30)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    (tmp_path / "file").touch()
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "file" / "out", *SHORT)
    refused(done, "cannot be written", "--out")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--blur", "light"), "paper or strict"),
        (("--conf", "1.5"), "--conf"),
        (("--clip-frames", "900-800"), "--clip-frames"),
        (("--samples", "1000"), "--samples"),
        (("--blur-kernel", "62"), "odd"),
        (("--workers", "0"), "--workers"),
        (("--rate", "0"), "--rate"),
        (("--detector", "yolo"), "resnet50"),
        (("--scene-model", "vgg"), "resnet18"),
        (("--cookies", "none.txt"), "--cookies"),
        (("--proxy", "ftp://x"), "proxy"),
        (("--config", "none.toml"), "none.toml"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    numbered_video(tmp_path / "a.mp4", 3)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    options = [value for pair in zip(SHORT[::2], SHORT[1::2], strict=True) if pair[0] not in args for value in pair]
    done = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *options, *args)
    refused(done, said)
    assert done.stderr.count("\n") == 1


def test_a_cache_inside_out_is_refused(tmp_path: Path) -> None:
    table = write_sources(tmp_path / "sources.csv", [{"url": "http://example.com/a.mp4", **TOKYO}])
    done = cgtool_inline(
        "build-dataset", table, "--out", tmp_path / "out", "--cache", tmp_path / "out" / "cache", *SHORT
    )
    refused(done, "unblurred", "--cache")


def test_a_config_file(tmp_path: Path, detector_weights: Path) -> None:
    table = write_sources(tmp_path / "sources.csv", [{"url": "http://example.com/a.mp4", **TOKYO}])
    config = tmp_path / "build.toml"
    config.write_text('detectr = "mobilenet0.25"\n')
    refused(
        cgtool_inline("build-dataset", table, "--out", tmp_path / "out", "--config", config), "'detectr'", "'detector'"
    )
    config.write_text('conf = "high"\n')
    refused(cgtool_inline("build-dataset", table, "--out", tmp_path / "out", "--config", config), "conf is 'high'")
    config.write_text(
        'detector = "mobilenet0.25"\nscene-model = "off"\nsamples = 10\nclip-frames = "20-25"\nrate = 100\n'
    )
    dry = cgtool_inline("build-dataset", table, "--out", tmp_path / "out", "--config", config, "--dry-run", "--json")
    assert result_of(dry)["hours_at_rate"] == pytest.approx(0.01)
    # 15 minutes at 30 fps: 27,000 // 20 clips of 10 samples; the flag wins over the file
    assert result_of(dry)["frames"] == 13_500
    dry = cgtool_inline(
        "build-dataset", table, "--out", tmp_path / "o", "--config", config, "--samples", 5, "--dry-run", "--json"
    )
    assert result_of(dry)["frames"] == 6_750


@pytest.fixture(scope="module")
def bad_world(tmp_path_factory: pytest.TempPathFactory, face_film: Path) -> Iterator[tuple[Path, Server, Path]]:
    """One good video among everything that can be wrong with one."""
    folder = tmp_path_factory.mktemp("bad")
    web = folder / "web"
    web.mkdir()
    shutil.copy(face_film, web / "good.mp4")
    faststart = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "12", "-g", "10", "-movflags", "+faststart")
    whole = numbered_video(folder / "whole.mp4", 200, args=(*faststart, "-pix_fmt", "yuv420p"))
    (folder / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    (web / "page.mp4").write_text("<!doctype html><html><body>Sorry</body></html>")
    ffmpeg("-f", "lavfi", "-i", "sine=duration=2", "-c:a", "aac", folder / "sound.m4a")
    ffmpeg(
        "-f", "lavfi", "-i", "color=red:s=64x64:d=0", "-movflags", "+empty_moov", "-c:v", "libx264", folder / "none.mp4"
    )
    numbered_video(folder / "ten.mp4", 10)
    (folder / "list.mp4").write_text("ffconcat version 1.0\nfile 'good.mp4'\n")
    with Server(web) as server:
        server.always("/busy.mp4", Status(503))
        rows = [{"url": server.url(f"/{n}.mp4"), "video_id": n, **TOKYO} for n in ("good", "page", "gone", "busy")]
        rows += [{"url": f"{n}", "video_id": Path(n).stem, **TOKYO} for n in ("cut.mp4", "sound.m4a", "none.mp4")]
        rows += [{"url": f"{n}.mp4", "video_id": n, **TOKYO} for n in ("ten", "list")]
        rows += [{"url": "http://127.0.0.1:9/x.mp4", "video_id": "unreachable", **TOKYO}]
        yield write_sources(folder / "sources.csv", rows), server, folder / "out"


def test_every_bad_video_has_its_class_and_the_good_ones_are_kept(
    bad_world: tuple[Path, Server, Path], detector_weights: Path
) -> None:
    table, server, out = bad_world
    args = ("build-dataset", table, "--out", out, *SHORT, "--allow-private-hosts", "--rate", 36000)
    done = cgtool_inline(*args)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    videos = {row["video_id"]: row for row in pq.read_table(out / "manifests" / "videos.parquet").to_pylist()}
    assert {v: (row["status"], (row["reason"] or "").partition(":")[0]) for v, row in videos.items()} == {
        "good": ("done", ""),
        "cut": ("done", "bad-media"),
        "page": ("failed", "bad-media"),
        "gone": ("failed", "removed"),
        "busy": ("failed", "network"),
        "unreachable": ("failed", "network"),
        "sound": ("failed", "bad-media"),
        "none": ("failed", "bad-media"),
        "ten": ("dropped", "too-short"),
        "list": ("failed", "bad-media"),
    }
    assert videos["good"]["n_clips"] == 3
    assert videos["cut"]["n_clips"] >= 3
    attempts = pq.read_table(out / "manifests" / "attempts.parquet").to_pylist()
    cut = [row for row in attempts if row["video_id"] == "cut" and row["status"] == "failed"]
    assert [(row["stage"], row["error_class"]) for row in cut] == [("clip", "bad-media")]
    for video in ("busy", "unreachable"):
        assert f"{video}: network" in done.stderr
    assert "--retry-failed" in done.stderr

    # A plain second run asks nobody; --retry-failed asks only for what may come back, and completes it.
    digests, asked = tree_digest(out), server.count()
    again = cgtool_inline(*args)
    assert again.returncode == 1
    assert server.count() == asked
    assert "busy: network" in again.stderr
    shutil.copy(server.folder / "good.mp4", server.folder / "busy.mp4")
    server.plan("/busy.mp4")
    server.always("/busy.mp4", None)
    gone, page = server.count("/gone.mp4"), server.count("/page.mp4")
    retried = cgtool_inline(*args, "--retry-failed", "--json")
    assert retried.returncode == 1
    assert {f["video_id"] for f in result_of(retried)["run"]["failed"]} == {"unreachable"}
    assert (server.count("/gone.mp4"), server.count("/page.mp4")) == (gone, page)
    now = tree_digest(out)
    assert digests.items() <= now.items()
    assert len(now) == len(digests) + 15
    status = result_of(cgtool_inline("status", out, "--json"))
    assert [f["video_id"] for f in status["retryable"]] == ["unreachable"]
    assert sorted(f["video_id"] for f in status["gone"]) == ["gone", "list", "none", "page", "sound"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_the_run_and_keeps_what_is_committed(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        for i in range(4):
            shutil.copy(face_film, tmp_path / f"v{i}.mp4")
        table = write_sources(tmp_path / "sources.csv", [{"url": f"v{i}.mp4", **TOKYO} for i in range(4)])
        args = ("build-dataset", table, "--out", disk / "out", "--cache", tmp_path / "cache", *SHORT)
        done = cgtool_inline(*args)
        assert done.returncode == 3, done.stderr
        assert "no space left" in done.stderr
        assert "Traceback" not in done.stderr
        kept = tree_digest(disk / "out")
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        done = cgtool_inline(*args)
        assert done.returncode == 0, done.stderr
        assert kept.items() <= tree_digest(disk / "out").items()
        assert len(tree_digest(disk / "out")) == 60
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_cache_and_an_out_never_lie_in_one_another(tmp_path: Path, face_film: Path, detector_weights: Path) -> None:
    shutil.copy(face_film, tmp_path / "a.mp4")
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    for out, cache in (("c/clips", "c"), ("c/out", "c"), ("c", "c/deep/cache"), ("same", "same")):
        done = cgtool_inline(
            "build-dataset", table, "--out", tmp_path / out, "--cache", tmp_path / cache, "--keep-clips", *SHORT
        )
        refused(done, "unblurred")
        assert not list(tmp_path.rglob("*_0*.mp4"))
    assert cgtool_inline("build-dataset", table, "--out", tmp_path / "other", *SHORT).returncode == 0
    done = cgtool_inline(
        "build-dataset", table, "--out", tmp_path / "new", "--cache", tmp_path / "other", "--keep-clips", *SHORT
    )
    refused(done, "unblurred")
    (tmp_path / "tricky").mkdir()
    (tmp_path / "tricky" / "clips").symlink_to(tmp_path / "other" / "clips")
    done = cgtool_inline(
        "build-dataset", table, "--out", tmp_path / "new", "--cache", tmp_path / "tricky", "--keep-clips", *SHORT
    )
    refused(done, "unblurred")


def test_a_mended_local_file_is_tried_again_and_a_replaced_one_is_built_anew(
    tmp_path: Path, face_film: Path, detector_weights: Path
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not yet")
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    args = ("build-dataset", table, "--out", tmp_path / "out", *SHORT, "--json")
    assert [f["error_class"] for f in result_of(cgtool_inline(*args))["run"]["failed"]] == ["bad-media"]
    shutil.copy(face_film, tmp_path / "a.mp4")
    assert result_of(cgtool_inline(*args))["run"]["clips"] == 3
    numbered_video(tmp_path / "a.mp4", 45)
    assert result_of(cgtool_inline(*args))["run"]["clips"] == 2
    assert len(tree_digest(tmp_path / "out")) == 10


def test_what_a_dying_run_left_undone_is_done_by_the_next(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 45)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    args = ("build-dataset", table, "--out", tmp_path / "out", *SHORT)
    assert cgtool_inline(*args).returncode == 0
    for name in ("preview.html", "manifests/frames.parquet"):
        (tmp_path / "out" / name).unlink()
        assert cgtool_inline(*args).returncode == 0
        assert (tmp_path / "out" / name).exists()


def test_a_refused_plan_does_not_bind_out_to_its_configuration(tmp_path: Path, detector_weights: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        numbered_video(tmp_path / folder / "a.mp4", 45)
    rows = [{"url": f"{folder}/a.mp4", **TOKYO} for folder in ("one", "two")]
    table = write_sources(tmp_path / "sources.csv", rows)
    refused(cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *SHORT), "local_a", "video_id")
    write_sources(tmp_path / "sources.csv", rows[:1])
    assert cgtool_inline("build-dataset", table, "--out", tmp_path / "out", *SHORT, "--blur", "strict").returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="needs a place that nobody can write to")
def test_an_unwritable_cache_is_told_before_anything_starts(tmp_path: Path, detector_weights: Path) -> None:
    numbered_video(tmp_path / "a.mp4", 45)
    table = write_sources(tmp_path / "sources.csv", [{"url": "a.mp4", **TOKYO}])
    (tmp_path / "file").touch()
    done = cgtool_inline(
        "build-dataset", table, "--out", tmp_path / "out", "--cache", tmp_path / "file" / "c", "--keep-clips", *SHORT
    )
    refused(done, "cache", "--cache")
