"""Networks with random weights that behave like trained ones where speed and exactness are measured.

Drawn weights alone do not: batch norms that have seen nothing let numbers grow from layer to layer, and half of all
anchors would be faces. So the norms get the statistics of real frames, and the last layers a scale and a bias with
which a frame has about as many candidates as a street has.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from cityguessr_data.vision.retinaface.net import Backbone

_HIGHEST_LOGIT = 9.0
"""Of the surest anchor: a score of 0.9999. Much higher ones all round to 1, and NMS could take either of two."""


def write_retinaface(backbone: Backbone, rgb: npt.NDArray[np.uint8], to: Path, n_over_half: int = 40) -> None:
    """Write a state dict of RetinaFace, the same at every call with the same frames on the same machine.

    Args:
        rgb: (B, H, W, 3) uint8; the batch norms' statistics are theirs.
        n_over_half: so many anchors of all frames together, per frame, get a score over 0.5, before NMS.
    """
    import torch
    from torch import nn

    from cityguessr_data.vision.retinaface.net import RetinaFace
    from cityguessr_data.vision.retinaface.preprocess import NORMALISATIONS, as_network_input

    images = as_network_input(torch.from_numpy(rgb), NORMALISATIONS[backbone])
    with torch.random.fork_rng(devices=()), torch.no_grad():
        torch.manual_seed(0)
        network = RetinaFace(backbone).train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the statistics of what it sees, not a moving mean
        network(images)
        logits = network.eval()(images)[1]
        margin = logits[..., 1] - logits[..., 0]
        highest = margin.flatten().topk(n_over_half * len(rgb)).values
        least = float(highest[-1])
        factor = _HIGHEST_LOGIT / (float(highest[0]) - least)
        for head in network.class_heads:
            assert isinstance(head, nn.Conv2d) and head.bias is not None
            head.weight *= factor
            head.bias *= factor
            head.bias[1::2] -= factor * least  # background, face, background, face
    torch.save(network.state_dict(), to)


def write_resnet18(to: Path) -> None:
    """Write a state dict of torchvision's ResNet-18 with 365 classes, as it is drawn."""
    import torch
    from torchvision.models import resnet18

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        torch.save(resnet18(num_classes=365).state_dict(), to)
