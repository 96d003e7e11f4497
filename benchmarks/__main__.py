"""Runs benchmarks and writes what they found: python -m benchmarks [NAME...] [--size tiny] [--doc FILE]

Each runs in a process of its own, so that none finds the memory, threads or caches of another. `--size tiny` is for
seeing that they work: seconds each, and figures that mean nothing, so it writes nowhere unless told.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from .document import put

Size = Literal["full", "tiny"]
ROOT = Path(__file__).resolve().parent.parent

NAMES = ("build_limit", "build_plain", "recall", "deface", "memory", "train", "loader", "evaluation", "growth")
"""In the order of the document. Each is a module with `measure(size, scratch) -> Section`."""
APART = {"scale": "docs/scale.md"}
"""Run only where they are named, for they take hours and 25 GB of disk; each has a document of its own."""


def main() -> int:
    """Run what was asked for; the exit code is 1 where one failed."""
    parser = argparse.ArgumentParser(description="What docs/benchmarks.md tells, measured.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}, which all run without; {', '.join(APART)}"
    )
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--doc", type=Path, help="[docs/benchmarks.md, of scale docs/scale.md; with --size tiny none]")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := set(args.names) - {*NAMES, *APART}:
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join((*NAMES, *APART))}")
    if args.here:
        own = ROOT / APART.get(args.names[0], "docs/benchmarks.md")
        run_one(args.names[0], args.size, args.doc or (own if args.size == "full" else None))
        return 0
    failed = []
    for name in args.names or NAMES:
        command = [sys.executable, "-m", "benchmarks", name, "--size", args.size, "--here"]
        command += ["--doc", str(args.doc.resolve())] if args.doc else []
        sys.stderr.write(f"benchmark {name} ({args.size})\n")
        if subprocess.run(command, cwd=ROOT).returncode:
            failed.append(name)
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return 1 if failed else 0


def run_one(name: str, size: Size, doc: Path | None) -> None:
    """Run one benchmark in this process."""
    module = importlib.import_module(f"benchmarks.{name}")
    with tempfile.TemporaryDirectory(prefix="cgtool-bench-") as scratch:
        section = module.measure(size, Path(scratch))
    for headline in section.headlines:
        sys.stdout.write(
            f"{headline.name}: {headline.value}" + (f" (target {headline.target})" if headline.target else "") + "\n"
        )
    sys.stdout.write(section.body.strip() + "\n")
    if doc:
        put(doc, name, section)


if __name__ == "__main__":
    sys.exit(main())
