"""The places that a reviewer may give to a clip: those of the data set first, then those of a taxonomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.taxonomy import Taxonomy
from ..core.taxonomy_checks import spelling_key
from ..core.types import LEVELS, Place
from ..run.store import Store, read_part


@dataclass(frozen=True)
class Places:
    """What is known of cities by name. Picklable."""

    own: Mapping[str, Place]
    """Spelling key -> place of the data set's clips."""
    taxonomy: Taxonomy

    @classmethod
    def of(cls, store: Store, taxonomy: Path | None = None) -> Places:
        """Those of a data set and of a taxonomy file (None: cityguessr166).

        Raises:
            InputError, TableError: the taxonomy file is not fit.
        """
        columns = [*LEVELS, *(f"{level}_label" for level in LEVELS)]
        own: dict[str, Place] = {}
        for path in store.parts("clips"):
            rows = read_part(path, columns).group_by(columns).aggregate([]).to_pylist()  # each place once
            own |= {spelling_key(row["city"]): Place(**row) for row in rows}
        return cls(own, Taxonomy.load(taxonomy) if taxonomy else Taxonomy.named("cityguessr166"))

    def names(self) -> list[str]:
        """Every city once, those of the data set first."""
        mine = sorted(place.city for place in self.own.values())
        return list(dict.fromkeys([*mine, *sorted(self.taxonomy.names("city"))]))

    def find(self, city: str) -> Place:
        """The place of a city, in any tolerated spelling.

        Raises:
            InputError: it is not known; the message names the nearest that are.
        """
        return self.own.get(spelling_key(city)) or self.taxonomy.place(city)
