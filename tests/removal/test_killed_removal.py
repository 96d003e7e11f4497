"""A removal that is killed between any two changes to the disk is finished by the next command, whichever it is.

Every ninth change here; `make torture`, which sets CGTOOL_KILLS, tries them all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cityguessr_data.pipeline import finish_removals
from cityguessr_data.publish.ledger import note_export
from cityguessr_data.removal.remove import remove
from cityguessr_data.run.store import Store
from cityguessr_data.run.take_out import is_unsettled
from cityguessr_data.status import read_status
from tests.support_removal import Killed, killed_at, rows, write_by_hand
from tests.support_tar import frame_bytes, members, to_tar

ALL = "CGTOOL_KILLS" in os.environ
EVERY = 1 if ALL else 9


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with OUT and CACHE, to be copied by `fresh`."""
    return write_by_hand(tmp_path_factory.mktemp("written") / "template").parent


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process alone is killed here: what it has written is there, whether the disk has it or not."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def some(first: int, n_changes: int, every: int = EVERY) -> range:
    """The changes before which to kill."""
    return range(0 if ALL else first, n_changes, every)


def state(root: Path) -> dict[str, Any]:
    """Every file below OUT and CACHE with what it says, but for times, dates of removal, and the lock.

    Two notes hold nothing but sizes and time stamps of files: which parts the manifests and the preview were made from.
    """
    notes = ("lock", "plan.json", "assembled.parquet", "preview.json")
    found: dict[str, Any] = {}
    for path in sorted((root / "out").rglob("*")) + sorted((root / "cache").rglob("*")):
        name = str(path.relative_to(root))
        if path.is_dir() or path.name in notes or path.name.startswith("probe."):
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            rows = [{k: v for k, v in row.items() if k != "removed_at"} for row in table.to_pylist()]
            found[name] = (rows, table.schema.metadata)
        else:
            found[name] = path.read_bytes()
    return found


def again(root: Path, what: tuple[str, str]) -> None:
    remove(root / "out", what[0], what[1], "why")  # type: ignore[arg-type]


def as_a_build_begins(root: Path, what: tuple[str, str]) -> None:
    store = Store(root / "out")
    with store.locked():
        store.recover()
        finish_removals(store)
    again(root, what)  # killed before the tombstone was there, nothing has happened yet


def fresh(template: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(template, to)
    plan = to / "out" / ".cgtool" / "plan.json"
    plan.write_text(plan.read_text().replace(f'"{template}/', f'"{to}/'))
    return to


@pytest.mark.parametrize(
    ("what", "next_command", "first"),
    [
        (("clip", "a_00008"), again, 0),
        (("clip", "a_00008"), as_a_build_begins, 4),
        (("video", "a"), again, 2),
        (("video", "a"), as_a_build_begins, 6),
    ],
)
def test_every_kill_is_made_good(
    tmp_path: Path,
    template: Path,
    what: tuple[str, str],
    next_command: Callable[[Path, tuple[str, str]], None],
    first: int,
) -> None:
    root = fresh(template, tmp_path / "undisturbed")
    with killed_at(10**6) as changes:
        again(root, what)
    wanted = state(root)
    assert "out/CHANGELOG.md" in wanted and not any("clips/a/a_00008" in name for name in wanted)
    assert len(changes) > 20
    for step in some(first, len(changes)):
        root = fresh(template, tmp_path / "killed")
        with pytest.raises(Killed), killed_at(step):
            again(root, what)
        next_command(root, what)
        found = state(root)
        assert set(found) == set(wanted), f"killed before change {step}: {changes[step]}"
        assert found == wanted, f"killed before change {step}: {changes[step]}"


@pytest.mark.parametrize("linked", [False, True])
def test_every_kill_is_made_good_in_tars(tmp_path: Path, template: Path, linked: bool) -> None:
    what, tars = ("clip", "a_00008"), fresh(template, tmp_path / "template")
    to_tar(tars / "out")

    def begun(to: Path) -> Path:
        tar, real = fresh(tars, to) / "out" / "clips" / "a.tar", to / "out" / "real.tar"
        if linked:
            tar.rename(real)
            tar.symlink_to(real)
        return to

    root = begun(tmp_path / "undisturbed")
    with killed_at(10**6) as changes:
        again(root, what)
    wanted = frames_in_tars(root)
    assert len(wanted) == 24 and len(changes) > 20 and not (root / "out" / "real.tar").exists()
    for step in some(4 * linked, len(changes)):
        root = begun(tmp_path / "killed")
        with pytest.raises(Killed), killed_at(step):
            again(root, what)
        again(root, what)
        assert frames_in_tars(root) == wanted, f"killed before change {step}: {changes[step]}"
        assert not (root / "out" / "real.tar").exists() and not (root / "out" / "clips" / "a.tar").is_symlink()


def frames_in_tars(root: Path) -> dict[str, bytes]:
    """Path of every row of the frames table -> its bytes; and no tar has more."""
    out = root / "out"
    found = {row["path"]: frame_bytes(out, row["path"]) for row in rows(out, "frames")}
    assert sorted(found) == sorted(
        f"clips/{path.name}#{name}" for path in (out / "clips").iterdir() for name in members(path)
    )
    return found


def test_after_every_kill_the_exports_that_hold_it_are_told(tmp_path: Path, template: Path) -> None:
    exported = fresh(template, tmp_path / "template")
    store = Store(exported / "out")
    for name, held in (("with", ["a_00008"]), ("without", ["b_00007"])):
        note_export(store, to="links", dest=tmp_path / name, version="0.1.0", clips=held, made_at="2026-01-02")
    root = fresh(exported, tmp_path / "undisturbed")
    with killed_at(10**6) as changes:
        again(root, ("clip", "a_00008"))
    for step in some(2, len(changes), 2 * EVERY):
        root = fresh(exported, tmp_path / "killed")
        with pytest.raises(Killed), killed_at(step):
            again(root, ("clip", "a_00008"))
        told = [
            remove(root / "out", "clip", "a_00008").exports,
            remove(root / "out", "clip", "a_00008").exports,
            read_status(root / "out").outdated_exports,
        ]
        assert [[one.dest for one in exports] for exports in told] == [[str(tmp_path / "with")]] * 3, changes[step]
    note_export(store, to="links", dest=tmp_path / "with", version="0.2.0", clips=["b_00007"], made_at="2026-01-03")
    assert read_status(store.out).outdated_exports == ()


@pytest.mark.parametrize("what", [("clip", "a_00008"), ("video", "a")])
def test_what_came_back_is_seen_and_goes_again(tmp_path: Path, template: Path, what: tuple[str, str]) -> None:
    root = fresh(template, tmp_path / "now")
    again(root, what)
    out, before = root / "out", template / "out"
    store, wanted = Store(out), state(root)
    assert not is_unsettled(store)
    for name in ("videos", "frames", "faces", "clips"):
        shutil.copy(before / "parts" / name / "a.parquet", store.part(name, "a"))
    shutil.copytree(before / "clips" / "a", out / "clips" / "a", dirs_exist_ok=True)
    assert is_unsettled(store)
    would_go = remove(out, *what, dry_run=True).taken.clip_ids  # type: ignore[arg-type]
    done = remove(out, *what)  # type: ignore[arg-type]
    assert done.already is not None and "a_00008" in done.taken.clip_ids == would_go
    assert not is_unsettled(store) and state(root) == wanted


def test_without_tombstones_no_part_is_read(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = template / "out"
    monkeypatch.setattr(Store, "parts", lambda store, table: [] if table == "tombstones" else pytest.fail(table))
    assert not is_unsettled(Store(out))


def test_a_real_kill(tmp_path: Path, template: Path) -> None:
    again(fresh(template, tmp_path / "undisturbed"), ("video", "a"))
    for step in (4, 12, 20) if ALL else (12,):
        root = fresh(template, tmp_path / "killed")
        code = (
            "import os, signal, tests.support_removal as s\n"
            "class Dies(BaseException):\n"
            "    def __init__(self): os.kill(os.getpid(), signal.SIGKILL)\n"
            "s.Killed = Dies\n"
            "from cityguessr_data.removal.remove import remove\nfrom pathlib import Path\n"
            f"with s.killed_at({step}): remove(Path({str(root / 'out')!r}), 'video', 'a', 'why')\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env=os.environ)
        assert done.returncode == -signal.SIGKILL, done.stderr
        again(root, ("video", "a"))
        assert state(root) == state(tmp_path / "undisturbed")
