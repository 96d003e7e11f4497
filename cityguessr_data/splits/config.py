"""What a split is asked to be, checked on construction."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from ..core.errors import InputError

Rule = Literal["clip", "video", "channel"]
RULES: tuple[Rule, ...] = get_args(Rule)
DEFAULT_TEST = 0.2
MAX_FOLDS = 100
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class SplitConfig:
    """One split, or the K splits of K folds.

    Raises:
        InputError: a value that cannot be; the message says which.
    """

    by: Rule
    """What is never divided: `clip` (the paper's random split), `video` or `channel` (no source on both sides)."""
    name: str | None = None
    """Of the file in OUT/splits; None: `by-clip`, `by-video`, `by-channel`. Folds add `-fold0` and so on."""
    test: float | None = None
    """Share of the test part, within (0, 1); None: 0.2, and 1/K with folds, which take no other."""
    val: float = 0.0
    """Share of the validation part, of all clips; 0: there is none."""
    folds: int | None = None
    """K splits, each source in the test part of one of them; None: one split."""
    seed: int = 0
    replace: bool = False
    """Replace a split of this name that has other content."""

    def __post_init__(self) -> None:
        if self.by not in RULES:
            raise InputError(f"a split is by {', '.join(RULES)}, not by {self.by!r}", "Choose one with --by")
        if self.name is not None and not _NAME.fullmatch(self.name):
            raise InputError(
                f"{self.name!r} is not a plain file name", "Choose a --name of letters, digits, '.', '_' and '-'"
            )
        if self.folds is not None and not 2 <= self.folds <= MAX_FOLDS:
            raise InputError(f"{self.folds} folds are not possible", f"Choose 2 to {MAX_FOLDS} with --folds")
        if self.folds is not None and self.test is not None:
            raise InputError("with --folds the test share is one over the folds", "Leave out --test")
        if not (math.isfinite(self.test_share) and 0 < self.test_share < 1):
            raise InputError(f"a test share of {self.test_share:g} is not within (0, 1)", "Choose e.g. --test 0.2")
        if not (math.isfinite(self.val) and 0 <= self.val < 1 and self.test_share + self.val < 1):
            raise InputError(
                f"a val share of {self.val:g} beside {self.test_share:g} for test leaves nothing to train on",
                "Choose a --val of 0 or more that leaves a part for train",
            )

    @property
    def test_share(self) -> float:
        """The wanted share of clips in the test part."""
        if self.folds is not None:
            return 1 / self.folds
        return DEFAULT_TEST if self.test is None else self.test

    @property
    def base_name(self) -> str:
        """The name without a fold."""
        return self.name or f"by-{self.by}"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the files that this makes."""
        return (self.base_name,) if self.folds is None else tuple(self.fold_name(fold) for fold in range(self.folds))

    def fold_name(self, fold: int) -> str:
        """The name of one fold's file."""
        return f"{self.base_name}-fold{fold}"
