"""What `remove` meets: links, damaged tables, words that steer, and what an interrupted removal left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cityguessr_data.core.errors import InputError
from cityguessr_data.pipeline import finish_removals
from cityguessr_data.removal.remove import one_line, remove
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import is_unsettled
from cityguessr_data.status import read_status
from tests.support_imported import state_of
from tests.support_inline import cgtool_inline
from tests.support_removal import Killed, killed_at, rows, write_by_hand
from tests.support_tar import frame_bytes, members, to_tar


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return write_by_hand(tmp_path)


def behind_link(folder: Path, real: Path) -> None:
    real.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, real)
    folder.symlink_to(real)


def jpegs(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.jpg")}


@pytest.mark.parametrize("step", [8, 14, 30])
def test_what_was_interrupted_is_told_when_it_is_finished(out: Path, step: int) -> None:
    assert not read_status(out).removal_unfinished
    with pytest.raises(Killed), killed_at(step):
        remove(out, "video", "a")
    assert read_status(out).removal_unfinished
    assert "removal" in cgtool_inline("status", out).stdout and "not finished" in cgtool_inline("status", out).stdout
    left = jpegs(out / "clips" / "a") and not list((out / ".cgtool" / "ready").glob("*"))
    told = cgtool_inline("remove", out, "--video", "a" if step < 20 else "b")  # another removal finishes it too
    assert told.returncode == 0, told.stderr
    assert "the interrupted removal: " in told.stdout
    assert ("18 frames of 3 clips were left" if left else "all frames were gone already") in told.stdout
    assert bool(left) == (step < 20)
    assert not read_status(out).removal_unfinished and "not finished" not in cgtool_inline("status", out).stdout
    assert "finished" not in cgtool_inline("remove", out, "--video", "a").stdout


@pytest.mark.parametrize("junk", [b"", b"junk" * 40])
def test_a_damaged_part_stops_everything_and_a_damaged_manifest_is_mended(out: Path, junk: bytes) -> None:
    remove(out, "clip", "a_00008")
    manifest = out / "manifests" / "tombstones.parquet"
    manifest.write_bytes(junk)
    remove(out, "clip", "a_00007")
    assert {row["id"] for row in rows(out, "tombstones")} == {"a_00007", "a_00008"}
    [part] = (out / "parts" / "tombstones").glob("*a_00008*")
    for content in (junk, None):
        if content is None:
            pq.write_table(pa.table({"id": ["a_00008"]}), part)
        else:
            part.write_bytes(content)
        before = state_of(out)
        for command in (
            lambda: remove(out, "clip", "a_00009"),
            lambda: remove(out, "clip", "a_00008"),
            lambda: finish_removals(Store(out)),
            lambda: read_status(out),
        ):
            with pytest.raises(InputError, match=r"Restore it from a copy") as told:
                command()
            assert str(part) in told.value.message
        assert state_of(out) == before


def test_a_reason_is_one_plain_line(out: Path) -> None:
    said = "\x1b[31mred\x1b[0m \x1b]0;title\x07and\nlines\u202e <img src=x> [a](http://b)"
    done = remove(out, "clip", "a_00008", said)
    assert done.tombstones[0].reason == "red and lines <img src=x> [a](http://b)"
    assert "Reason: red and lines &lt;img src=x&gt; \\[a\\](http://b)." in (out / "CHANGELOG.md").read_text()
    assert one_line("é" * 500) == "é" * 500
    before = state_of(out)
    with pytest.raises(InputError, match="501 characters"):
        remove(out, "clip", "a_00007", "é" * 501)
    assert state_of(out) == before


@pytest.mark.parametrize("wanted", ["", " ", "x" * 4000])
def test_an_empty_or_endless_id_is_not_echoed(out: Path, wanted: str) -> None:
    for kind in ("--video", "--channel", "--clip"):
        done = cgtool_inline("remove", out, kind, wanted)
        assert done.returncode == 2 and len(done.stderr) < 300 + len(str(out)), done.stderr
        assert ("no video is named" in done.stderr) == (kind == "--video" and not wanted.strip())


def test_frames_behind_a_link_that_lie_inside_go_and_the_others_stay(out: Path) -> None:
    real = out / "elsewhere" / "a"
    behind_link(out / "clips" / "a", real)
    assert remove(out, "clip", "a_00008").outside == ()
    assert {name.partition("/")[0] for name in jpegs(real)} == {"a_00007", "a_00009"} and len(jpegs(real)) == 12
    assert not (real / "a_00008").exists()
    assert all((out / row["path"]).is_file() for row in rows(out, "frames"))
    moved = Path(shutil.move(out, out.with_name("moved")))  # links inside it go with it
    plan = moved / ".cgtool" / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"out": str(moved)}))
    assert all((moved / row["path"]).is_file() for row in rows(moved, "frames"))
    remove(moved, "video", "a")
    assert {Path(name).parent.parent for name in jpegs(moved) - {"preview.jpg"}} == {Path("clips/b")}


@pytest.mark.parametrize("name", ["a", "a/a_00008"])
def test_frames_behind_a_link_outside_stay_and_are_told(out: Path, tmp_path: Path, name: str) -> None:
    real = tmp_path / "disk" / name
    behind_link(out / "clips" / name, real)
    lies = real if name != "a" else real / "a_00008"
    before = state_of(tmp_path / "disk")
    dry = cgtool_inline("remove", out, "--clip", "a_00008", "--dry-run", "--json")
    assert dry.returncode == 0 and json.loads(dry.stdout)["outside"] == 6
    done = cgtool_inline("remove", out, "--clip", "a_00008")
    assert done.returncode == 1 and "6 frames of these clips lie behind links" in done.stderr
    assert str(lies) in done.stderr
    assert not (out / "clips" / "a" / "a_00008").is_symlink()
    assert all((out / row["path"]).is_file() for row in rows(out, "frames"))
    told = json.loads(cgtool_inline("remove", out, "--video", "a", "--json").stdout)
    n_more = 12 if name == "a" else 0  # of the clips that stayed, which lay there too
    assert (told["outside"], told["exit_code"], len(told["outside_folders"])) == (n_more, n_more // 12, n_more // 6)
    assert state_of(tmp_path / "disk") == before


def test_a_link_to_a_clip_that_stays_takes_nothing_of_it(out: Path) -> None:
    for name, real in (("a/a_00008", "a/a_00007"), ("a/a_00009", "b/b_00007")):
        shutil.rmtree(out / "clips" / name)
        (out / "clips" / name).symlink_to(out / "clips" / real)
    for clip_id in ("a_00008", "a_00009"):
        assert len(remove(out, "clip", clip_id).outside) == 6
    assert all((out / row["path"]).is_file() for row in rows(out, "frames"))


def test_a_link_that_leads_nowhere_is_refused(out: Path, tmp_path: Path) -> None:
    behind_link(out / "clips" / "a", tmp_path / "disk" / "a")
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    before = state_of(out)
    with pytest.raises(InputError, match="which is not there"):
        remove(out, "video", "a")
    assert state_of(out) == before and not is_unsettled(Store(out))
    (tmp_path / "unmounted").rename(tmp_path / "disk")
    assert len(remove(out, "video", "a").outside) == 18


def sound(out: Path) -> bool:
    """Whether every frame of the tables has its bytes."""
    return all(
        hashlib.sha256(frame_bytes(out, row["path"])).hexdigest() == row["sha256"] for row in rows(out, "frames")
    )


def test_what_goes_of_a_tar_behind_a_link_inside_is_gone_and_the_others_stay(out: Path) -> None:
    tar, real = to_tar(out) / "clips" / "a.tar", out / "elsewhere" / "x.tar"
    behind_link(tar, real)
    gone = {name: jpeg for name, jpeg in members(real).items() if name.startswith("a_00008.")}
    assert remove(out, "clip", "a_00008").outside == ()
    assert not tar.is_symlink() and not real.exists() and sound(out)
    assert not set(gone) & set(members(tar)) and len(members(tar)) == 12
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert not any(jpeg in everything for jpeg in gone.values())
    behind_link(tar, real)
    remove(out, "video", "a")
    assert not tar.is_symlink() and not tar.exists() and not real.exists() and sound(out)


@pytest.mark.parametrize("kind", ["clip", "video"])
def test_a_tar_behind_a_link_outside_stays_and_is_told(out: Path, tmp_path: Path, kind: str) -> None:
    tar, real = to_tar(out) / "clips" / "a.tar", tmp_path / "disk" / "a.tar"
    behind_link(tar, real)
    before = state_of(real.parent)
    done = cgtool_inline("remove", out, f"--{kind}", "a_00008" if kind == "clip" else "a")
    assert done.returncode == 1 and "1 tar of these clips lie behind links" in done.stderr, done.stderr
    assert str(real) in "".join(done.stderr.split())
    assert not tar.is_symlink() and tar.exists() == (kind == "clip") and sound(out)
    assert state_of(real.parent) == before


def test_a_link_to_the_tar_of_another_video_takes_nothing_of_it(out: Path) -> None:
    clips = to_tar(out) / "clips"
    before = (clips / "b.tar").read_bytes()
    (clips / "a.tar").unlink()
    (clips / "a.tar").symlink_to(clips / "b.tar")
    assert remove(out, "video", "a").outside == (clips / "b.tar",)
    assert (clips / "b.tar").read_bytes() == before and not (clips / "a.tar").is_symlink() and sound(out)


def test_a_tar_that_came_back_is_seen_and_goes_again(out: Path) -> None:
    tar = to_tar(out) / "clips" / "a.tar"
    content = tar.read_bytes()
    remove(out, "video", "a")
    assert not tar.exists() and not is_unsettled(Store(out))
    tar.write_bytes(content)
    assert is_unsettled(Store(out))
    remove(out, "video", "a")
    assert not tar.exists() and not is_unsettled(Store(out))


def test_a_tar_that_is_cut_is_no_reason_to_keep_what_must_go(out: Path) -> None:
    tar = to_tar(out) / "clips" / "a.tar"
    whole = members(tar)
    with tarfile.open(tar) as opened:
        end = opened.getmember("a_00009.002.jpg").offset_data + 5
    os.truncate(tar, end)
    remove(out, "clip", "a_00008")
    left = [name for name in whole if name.startswith("a_00007.")] + ["a_00009.001.jpg"]
    assert members(tar) == {name: whole[name] for name in left}
    tar.write_bytes(b"no tar at all")
    remove(out, "clip", "a_00009")
    assert not tar.exists() and {row["clip_id"] for row in rows(out, "clips")} == {"a_00007", "b_00007", "b_00008"}


def test_a_channel_of_ones_own_table_is_explained(out: Path) -> None:
    part = out / "parts" / "videos" / "a.parquet"
    pq.write_table(pq.read_table(part).append_column("source_Channel", pa.array(["My walks"])), part)
    with pytest.raises(InputError, match=r"your own column is source_channel: remove its videos by --video \(a\)"):
        remove(out, "channel", "My walks")
    with pytest.raises(InputError, match="It has none"):
        remove(out, "channel", "My walk")


def test_places_before_a_review_go_with_their_clip(out: Path) -> None:
    places = out / ".cgtool" / "review" / "places" / "a.parquet"
    places.parent.mkdir(parents=True)
    clips = pq.read_table(out / "parts" / "clips" / "a.parquet")
    pq.write_table(clips.select(["clip_id", "city", "city_label"]), places)
    remove(out, "clip", "a_00008")
    assert pq.read_table(places)["clip_id"].to_pylist() == ["a_00007", "a_00009"]
    remove(out, "video", "a")
    assert not places.exists()
