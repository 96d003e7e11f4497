"""The four classifiers H1 to H4: one linear layer a level on the clip's feature (paper 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from cityguessr_data.core.types import LEVELS, Level


class HierarchyHeads(nn.Module):
    """Linear(hidden, C_level) for each level; 161,700 parameters for 384 and 166/157/91/6."""

    def __init__(self, hidden: int, classes: Mapping[Level, int]) -> None:
        super().__init__()
        self.by_level = nn.ModuleDict({level: nn.Linear(hidden, classes[level]) for level in LEVELS})

    def forward(self, features: Tensor) -> dict[Level, Tensor]:
        """Features (B, hidden) -> raw logits PV_H (B, C_level) by level, city first."""
        return {level: self.by_level[level](features) for level in LEVELS}
