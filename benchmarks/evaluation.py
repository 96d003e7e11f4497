"""Seconds from predictions.parquet to all numbers of an evaluation, its page and the rows of a table: row "evaluation".

Predictions as many as the paper's test clips are made (big_predictions.py), and `cgtool bench evaluate` is run on them
as a user would, in a process of its own: its start, imports and the reading of the file are in the seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

from cityguessr_bench.intervals import N_RESAMPLES
from cityguessr_data.core.timing import ROUNDS

from . import big_predictions
from .document import Headline, Section, table
from .processes import CGTOOL, ProcessCost, processes_in_turns

TARGET_S = 20.0
ASKED = 1_000
"""Draws that the target is of."""
_WITH_DRAWS = """
import sys
import cityguessr_bench.intervals as intervals
intervals.N_RESAMPLES = int(sys.argv.pop(1))
from cgtool.app import main
main()
"""
_TABLE = """
import sys
from pathlib import Path
from cityguessr_bench.classes import Classes
from cityguessr_bench.predictions import Predictions
from cityguessr_bench.tables.compare import Measures, accuracies
folders = [Path(folder) for folder in sys.argv[1:]]
classes = Classes.read(folders[0] / "taxonomy.parquet")
runs = [Predictions.read(folder / "predictions.parquet", classes) for folder in folders]
measures = Measures(runs[0].video_ids)
rows = [accuracies([run], classes, measures) for run in runs]
for row in rows[1:]:
    for key in row:
        measures.difference(row[key], rows[0][key])
"""


def measure(size: Literal["full", "tiny"], scratch: Path) -> Section:
    """Make the predictions, run the commands in turns."""
    n_clips, n_videos = (big_predictions.N_CLIPS, big_predictions.N_VIDEOS) if size == "full" else (400, 170)
    n_rows = 3 if size == "full" else 2
    folders = [scratch / f"row{i}" for i in range(n_rows)]
    for model, folder in enumerate(folders):
        big_predictions.make(folder, n_clips, n_videos, model)
    command = ["bench", "evaluate", "--predictions", str(folders[0] / "predictions.parquet")]
    drawn, asked = f"numbers, {N_RESAMPLES:,} draws", f"numbers, {ASKED:,} draws"
    none, page = "numbers, 2 draws", f"numbers and page, {N_RESAMPLES:,} draws"
    rows = f"{n_rows} rows of a table, {N_RESAMPLES:,} draws"
    with_draws = [sys.executable, "-c", _WITH_DRAWS]
    costs = processes_in_turns(
        {
            drawn: [*CGTOOL, *command, "--json"],
            page: [*CGTOOL, *command, "--html", str(scratch / "page.html")],
            asked: [*with_draws, str(ASKED), *command, "--json"],
            none: [*with_draws, "2", *command, "--json"],
            rows: [sys.executable, "-c", _TABLE, *map(str, folders)],
        },
        rounds=ROUNDS if size == "full" else 1,
    )
    made = f"{n_clips:,} clips of {n_videos:,} source videos, 166 cities, 157 states, 91 countries, 6 continents"
    full = size == "full"
    return Section(
        "Evaluation",
        [
            Headline(
                f"evaluation, {n_clips:,} clips x 4 modes",
                f"{costs[drawn].wall_s:.1f} s with {N_RESAMPLES:,} draws, {costs[asked].wall_s:.1f} s with {ASKED:,}",
                f"under {TARGET_S:.0f} s with {ASKED:,}",
                costs[asked].wall_s < TARGET_S if full else None,
            )
        ],
        f"""
Made-up predictions of {made}; each cost is of a whole process from its start, median of {ROUNDS if full else 1}.
The command always draws {N_RESAMPLES:,} resamples for each interval, over clips and over source videos, never fewer;
the four modes are scored in threads. With other numbers of draws the same command was run with that constant changed.

{_costs(costs)}

What bounds it: of the CPU seconds of the first line, {_share(costs[drawn], costs[none])} go into drawing. The rows of a
table are those of runs that differ in their predictions: read, scored under the four modes at four levels with
intervals over videos, and each compared with the first, clip by clip; there one core draws.
""",
    )


def _costs(costs: dict[str, ProcessCost]) -> str:
    rows = [
        (name, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_bytes / 2**20:.0f}")
        for name, cost in costs.items()
    ]
    return table(("", "wall s", "CPU s", "peak MiB"), rows)


def _share(whole: ProcessCost, without: ProcessCost) -> str:
    return f"{max(0.0, 1 - without.cpu_s / whole.cpu_s):.0%}"
