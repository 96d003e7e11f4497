"""`python -m cityguessr_data.synthetic OUT --cities 12 --videos 5 --clips 4`: writes a synthetic world to a folder."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from cityguessr_data.core.errors import CgtoolError

from .config import SyntheticConfig
from .world import write_world


def main(arguments: list[str] | None = None) -> int:
    """Parse, write the world, name its sources table on stdout; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cityguessr_data.synthetic", description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the videos, sources.csv and truth.parquet")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    for field in fields(SyntheticConfig):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=int, default=field.default, help=f"(default: {field.default})")
    options = vars(parser.parse_args(arguments))
    out, workers = options.pop("out"), options.pop("workers")
    try:
        sources = write_world(SyntheticConfig(**options), out, workers)
    except CgtoolError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    sys.stdout.write(f"{sources}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
