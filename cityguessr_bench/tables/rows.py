"""The rows of the paper's tables: which model, with which ablations, and where the paper's numbers for it stand.

Table 1 has no runs (table1.py). A row that stands in several tables is one run: it has the same settings in each.
docs/tables.md lists every row with its command, and a test keeps the two together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cityguessr_data.core.errors import InputError

from .. import ablations
from ..hierarchy import Mode
from ..models import find_model
from ..run_config import RANDOM, NetworkConfig, RunConfig, TextConfig, TrainConfig


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    key: str
    """Of the row, as in --row and in manifests/published/results.csv."""
    name: str
    """As the paper calls it."""
    model: str
    ablations: tuple[str, ...] = ()
    mode: Mode | None = None
    """Of Table 4, whose rows are evaluation modes of one run; None: every mode is shown."""
    n_scenes: int = 0
    """Classes of the scene labels that the row cannot do without; 0: it needs none."""


@dataclass(frozen=True)
class TableSpec:
    """One table."""

    number: str
    title: str
    rows: tuple[Row, ...]
    reference: str | None = None
    """Key of the row that the others are compared with."""
    metrics: tuple[str, ...] = ("top1",)
    note: str = ""
    """What a reader must know of this table."""

    def find(self, keys: tuple[str, ...]) -> tuple[Row, ...]:
        """The rows of these keys in the table's order; all where none is given.

        Raises:
            InputError: no such row.
        """
        known = [row.key for row in self.rows]
        if unknown := [key for key in keys if key not in known]:
            raise InputError(f"table {self.number} has no row {unknown[0]!r}", f"It has: {', '.join(known)}")
        return tuple(row for row in self.rows if not keys or row.key in keys)


_SCENES_TLA = ("scenes-soft", "tla-all")
_VIDEOMAE = Row("videomae", "VideoMAE", "videomae")
_OURS = Row("ours", "Ours", "cityguessr", _SCENES_TLA, n_scenes=16)
_SOFT = ("scenes-soft", "tla-none")
_RANDOM_FRAME = ("frame-random",)


def _text(key: str, name: str) -> Row:
    return Row(key, name, "cityguessr", (*_SCENES_TLA, f"text-{key}"), n_scenes=16)


def _mode(key: str, name: str, mode: Mode) -> Row:
    return Row(key, name, "cityguessr", _SCENES_TLA, mode, 16)


TABLES: dict[str, TableSpec] = {
    table.number: table
    for table in (
        TableSpec(
            "2",
            "Image and video backbones",
            (
                Row("mae-first", "MAE, first frame", "mae", ("frame-first",)),
                Row("mae-middle", "MAE, mid frame", "mae", ("frame-middle",)),
                Row("mae-last", "MAE, last frame", "mae", ("frame-last",)),
                Row("mae-random", "MAE, random frame", "mae", _RANDOM_FRAME),
                _VIDEOMAE,
            ),
            "videomae",
            note="The paper compares backbones of one size; no ViT-S MAE is public, so at full size MAE here is ViT-B",
        ),
        TableSpec(
            "3",
            "Scene recognition and TextLabel Alignment (TLA)",
            (
                Row("none", "no scenes, no TLA", "videomae"),
                Row("majority", "majority scenes", "cityguessr", ("scenes-majority", "tla-none"), n_scenes=16),
                Row("soft", "soft scenes", "cityguessr", _SOFT, n_scenes=16),
                Row("tla-city", "soft, TLA city", "cityguessr", ("scenes-soft", "tla-city"), n_scenes=16),
                Row("tla-all", "soft, TLA all", "cityguessr", _SCENES_TLA, n_scenes=16),
            ),
            "none",
        ),
        TableSpec(
            "4",
            "Hierarchical evaluation",
            (
                _mode("without", "w/o hierarchical", "none"),
                _mode("independent", "Independent", "independent"),
                _mode("codependent", "Codependent", "codependent"),
                _mode("trace", "Trace", "trace"),
            ),
            "without",
            note="Trace is not in the paper: it is what its released code calls codependent, without products",
        ),
        TableSpec(
            "5",
            "State of the art",
            (
                Row("planet", "PlaNet", "mae", _RANDOM_FRAME),
                Row("isns", "ISNs", "isns", _RANDOM_FRAME, n_scenes=16),
                Row("geodecoder", "GeoDecoder", "geodecoder", _RANDOM_FRAME, n_scenes=16),
                Row("timesformer", "TimeSformer", "timesformer"),
                _VIDEOMAE,
                _OURS,
            ),
            "ours",
            note="The paper's row PlaNet has the numbers of its row MAE, random frame (Table 2): here it is that run",
        ),
        TableSpec("6", "Mapillary (MSLS)", (_VIDEOMAE, _OURS), "videomae"),
        TableSpec(
            "s1",
            "Number of scenes, without TLA",
            (
                Row("16", "16 scenes", "cityguessr", _SOFT, n_scenes=16),
                Row("365", "365 scenes", "cityguessr", ("scenes-365", "tla-none"), n_scenes=365),
            ),
            "16",
        ),
        TableSpec(
            "s2",
            "Text encoders",
            (
                Row("without", "w/o TLA", "cityguessr", _SOFT, n_scenes=16),
                _text("opt", "OPT"),
                _text("bert", "BERT"),
                _text("gpt2", "GPT-2"),
                _text("clip", "CLIP"),
            ),
            "without",
        ),
        TableSpec("s3", "Top-5", (_OURS,), None, ("top1", "top5")),
    )
}


def find_table(number: str) -> TableSpec:
    """The table of that number.

    Raises:
        InputError: there is none.
    """
    if number not in TABLES:
        raise InputError(f"there is no table {number!r}", f"Give one of: 1, {', '.join(TABLES)}")
    return TABLES[number]


def settings_of(row: Row, base: RunConfig, seed: int) -> RunConfig:
    """All settings of a row's run. What the row is about wins over `base`.

    Args:
        base: a preset with what --set changed in it.
    Raises:
        InputError: no such model, or settings that do not fit together.
    """
    entry, source = find_model(row.model), f"the model {row.model}"
    config = base.changed({"model": row.model, **entry.settings}, source)
    if base.network.weights != RANDOM:
        config = config.changed(entry.full_size, source)
    config = ablations.apply(config, row.ablations).changed({"train": {"seed": seed}}, "--seeds")
    return _without_idle(config)


def overruled(row: Row, base: RunConfig, given: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Settings of --set that the row does not follow because they are what it is about, with its own values."""
    entry = find_model(row.model)
    own: dict[tuple[str, str], Any] = {}
    config = base.changed({"model": row.model, **entry.settings}, row.model)
    sources = [entry.settings, entry.full_size if base.network.weights != RANDOM else {}]
    for settings in (*sources, *(ablations.ablation(name, config) for name in row.ablations)):
        own |= {(section, name): value for section, values in settings.items() for name, value in values.items()}
    return tuple(
        (f"{section}.{name}={asked}", own[section, name])
        for section, values in given.items()
        if isinstance(values, Mapping)
        for name, asked in values.items()
        if own.get((section, name), asked) != asked
    )


def _without_idle(config: RunConfig) -> RunConfig:
    """Settings of a branch that is off, put back to their defaults: they decide nothing, and one run is one folder."""
    network, train, text = config.network, config.train, config.text
    if not network.tla:
        text, usual = TextConfig(), NetworkConfig()
        network = dataclasses.replace(network, ffn_t_layers=usual.ffn_t_layers)
        train = dataclasses.replace(train, tla_reduction=TrainConfig().tla_reduction)
    if not network.scenes:
        network = dataclasses.replace(network, n_scenes=NetworkConfig().n_scenes)
        train = dataclasses.replace(train, scene_target=TrainConfig().scene_target)
    return dataclasses.replace(config, network=network, train=train, text=text)
