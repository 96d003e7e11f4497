"""How far off: the curve of errors, the shares within the usual limits, and the GeoScore."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cityguessr_data.stats.page.blocks import Cell, Chart, Plot, Row, Section, Table, num, text
from cityguessr_data.stats.page.drawing import page_spec
from cityguessr_data.stats.page.words import interval, many, number, percent
from cityguessr_data.stats.results import Interval

from ...classes import Classes
from ...distance import WITHIN_KM, errors_km
from ...hierarchy import Mode, predict
from ...predictions import Predictions
from ...results import SHOWN_FIRST, DistanceScores, Estimate, Results
from ..charts.error_curve import Curve, error_curve, keys
from ..show import bounds, drawn, honest, name
from .accuracy import shown_prior

_CITIES: dict[Mode, str] = {SHOWN_FIRST: "codependent, independent", "none": "none, trace"}
"""Two ways to decide on a city, each of two modes."""
_PLACES = {1: "street", 25: "city", 200: "region", 750: "country", 2500: "continent"}


def distance(results: Results, predictions: Predictions, classes: Classes) -> Section:
    """The section."""
    title, intro = "Distance", "How far the predicted city lies from the true one, from centre to centre."
    found = {mode: scores for mode in _CITIES if (scores := results.modes[mode].distances) is not None}
    if not found:
        return Section("distance", title, intro, (), ("no clip has coordinates of both its cities.",))
    return Section(
        "distance",
        title,
        f"{intro} In brackets: 95\u00a0% intervals over {drawn(results)}.",
        (_curve(results, predictions, classes, found), _table(found)),
    )


def _curve(results: Results, predictions: Predictions, classes: Classes, found: dict[Mode, DistanceScores]) -> Plot:
    truth = predictions.truth["city"]
    curves = [
        Curve(
            _CITIES[mode],
            _known(
                errors_km(classes.coordinates, predict(predictions.log_probs, classes.parents, mode)["city"], truth)
            ),
            {limit: scores.within[limit].value for limit in WITHIN_KM},
        )
        for mode, scores in found.items()
    ]
    guess = shown_prior(results)["city"].label
    km = _known(errors_km(classes.coordinates, np.full_like(truth, guess), truth))
    if len(km):
        curves.append(Curve(f"always {name(results, 'city', guess, 40)}", km, {}))
    first = next(iter(found.values()))
    said = ", ".join(f"{percent(first.within[limit].value)} within {limit:,} km" for limit in WITHIN_KM)
    rows = tuple(
        Row(
            (
                num(limit, f"{limit:,}"),
                *(num(share := float((curve.km <= limit).mean()), percent(share)) for curve in curves),
            )
        )
        for limit in WITHIN_KM
    )
    columns = (("Within km", True), *((curve.label, True) for curve in curves))
    return Plot(
        "Share of clips within a distance",
        "The sooner a curve is at the top, the better. It starts at the share of right cities. Click a name to bring "
        "out its curve.",
        (Chart("errors", page_spec(error_curve(curves, WITHIN_KM), f"Cumulative curve of errors. {said}.", 320)),),
        Table("Share of clips within a distance", columns, rows),
        facts=f"Median error {number(first.median_km, 0)} km, mean {_km(first.mean_km)} km; "
        f"GeoScore {_points(first.geoscore)} of 5,000.",
        legend=keys(curves),
        toggles=True,
    )


def _table(found: dict[Mode, DistanceScores]) -> Table:
    rows = [
        Row(
            (
                text(f"Within {limit:,} km ({_PLACES[limit]})"),
                *(_share(scores.within[limit]) for scores in found.values()),
            )
        )
        for limit in WITHIN_KM
    ]
    rows.append(Row((text("Mean error, km"), *(num(s.mean_km.value, _km(s.mean_km)) for s in found.values()))))
    rows.append(Row((text("Median error, km"), *(num(s.median_km, number(s.median_km, 0)) for s in found.values()))))
    rows.append(Row((text("GeoScore"), *(num(s.geoscore.value, _points(s.geoscore)) for s in found.values()))))
    rows.append(Row((text("Clips"), *(num(s.n, f"{s.n:,}") for s in found.values()))))
    columns = (("Measure", False), *((_CITIES[mode], True) for mode in found))
    return Table("Errors", columns, tuple(rows), _note(next(iter(found.values()))), wide=False)


def _note(scores: DistanceScores) -> str:
    said = "All places are city centres: within 1 km is city accuracy. GeoScore: 5,000 exp(−d / 1,492.7 km), its mean."
    if scores.n_truth_unknown:
        said += f" {many(scores.n_truth_unknown, 'clip is', 'clips are')} left out: the true city has no coordinates."
    if scores.n_predicted_unknown:
        n = many(scores.n_predicted_unknown, "clip is", "clips are")
        said += (
            f" {n} left out because the predicted city has none; these are wrong, so the figures are a touch too good."
        )
    return said


def _share(estimate: Estimate) -> Cell:
    return num(estimate.value, interval(honest(estimate), 1, in_percent=True))


def _km(estimate: Estimate) -> str:
    return _plain(honest(estimate))


def _points(estimate: Estimate) -> str:
    return _plain(honest(estimate))


def _plain(found: Interval) -> str:
    return f"{number(found.value, 0)} ({bounds(found, 0, 1)})"


def _known(km: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known: npt.NDArray[np.float64] = km[~np.isnan(km)]
    return known
