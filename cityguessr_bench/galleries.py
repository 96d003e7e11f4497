"""Which clips are shown as examples: by a rule that anyone can follow, not by eye.

The paper shows random samples by the finest level that is right (Fig. 6 to 10) and by where the true city stands among
the guesses (supplementary Fig. 1). Here a hash stands for chance, so that the same predictions give the same page, and
cities take turns, so that a big one does not fill it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cityguessr_data.core.types import LEVELS, Level

from .classes import Classes
from .distance import great_circle_km
from .hierarchy import Floats, Ints
from .predictions import Predictions
from .results import FOUND, RANKS, TOP_K, Found, Gallery, Guess, Rank, Sample

N_SAMPLES = 6
SAMPLE_RULE = (
    f"At most {N_SAMPLES} clips of a kind: its cities take turns in the order of the SHA-256 of their names, and each "
    "gives the clip whose id has the lowest SHA-256."
)


def galleries(
    predictions: Predictions, classes: Classes, top: Mapping[Level, Ints], city_probabilities: Floats
) -> tuple[dict[Found, Gallery], dict[Rank, Gallery]]:
    """Clips by the finest level that is right, and by where the true city stands.

    Args:
        top: (N, K) guesses by level under a traced mode, the best first; of the city all of them.
        city_probabilities: (N, cities) under the same mode.
    """
    truth, n = predictions.truth, len(predictions)
    finest = np.full(n, len(LEVELS))
    for place, level in reversed(list(enumerate(LEVELS))):
        finest[top[level][:, 0] == truth[level]] = place
    rank = 1 + np.argmax(top["city"] == truth["city"][:, None], axis=1)

    def sample(row: int) -> Sample:
        cities = top["city"][row, :TOP_K]
        km = great_circle_km(classes.coordinates[cities], classes.coordinates[truth["city"][row]])
        return Sample(
            clip_id=predictions.clip_ids[row],
            video_id=predictions.video_ids[row],
            found=FOUND[finest[row]],
            rank=int(rank[row]),
            truth={level: int(truth[level][row]) for level in LEVELS},
            predicted={level: int(top[level][row, 0]) for level in LEVELS},
            guesses=tuple(
                Guess(int(city), float(city_probabilities[row, city]), None if np.isnan(d) else float(d))
                for city, d in zip(cities, km, strict=True)
            ),
        )

    def gallery(kind: npt.NDArray[np.bool_]) -> Gallery:
        rows = np.flatnonzero(kind)
        city_names = [classes.names["city"][truth["city"][row]] for row in rows]
        chosen = pick([predictions.clip_ids[row] for row in rows], city_names, N_SAMPLES)
        return Gallery(len(rows), tuple(sample(int(rows[i])) for i in chosen))

    stands: dict[Rank, npt.NDArray[np.bool_]] = dict(
        zip(RANKS, (rank == 1, (rank > 1) & (rank <= TOP_K), rank > TOP_K), strict=True)
    )
    return (
        {found: gallery(finest == place) for place, found in enumerate(FOUND)},
        {name: gallery(kind) for name, kind in stands.items()},
    )


def pick(clip_ids: Sequence[str], cities: Sequence[str], n: int) -> list[int]:
    """At most `n` places in a list of clips, by SAMPLE_RULE.

    Args:
        clip_ids, cities: of the clips, as many.
    Returns:
        Places, the first to be shown first; they do not depend on the order of the clips.
    """
    by_clip = sorted(range(len(clip_ids)), key=lambda i: _hash(clip_ids[i]))
    given: Counter[str] = Counter()
    turns: list[tuple[int, str, int]] = []
    for i in by_clip:
        turns.append((given[cities[i]], _hash(cities[i]), i))
        given[cities[i]] += 1
    return [i for _, _, i in sorted(turns)][:n]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
