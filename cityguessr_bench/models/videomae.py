"""The backbone: VideoMAE's encoder of the transformers library, and the clip's feature from it (paper 4.2).

The feature is the mean over tokens of the last hidden state, without a norm (released code). Releases of transformers
differ in two things that are evened out here, so that parameters and saved states are the same under each: some give
the key projection a bias, and all keep the position code outside the module's state, on the CPU.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import AutoModel, VideoMAEConfig

from .config import ModelConfig


class VideoMAEBackbone(nn.Module):
    """ViT with joint space-time attention; 21.88 M parameters (21,879,168) for ViT-S, with random weights."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        auto: Any = AutoModel  # its methods have no types
        self.videomae = auto.from_config(videomae_config(config), attn_implementation=config.attention)
        _drop_key_biases(self.videomae)
        _keep_positions_on_device(self.videomae.embeddings)
        if config.checkpointing:
            recompute_activations(self.videomae)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised clips (B, T, 3, H, W), T a multiple of the tubelet -> features (B, hidden)."""
        tokens: Tensor = self.videomae(pixels).last_hidden_state
        return tokens.mean(dim=1)


def videomae_config(config: ModelConfig) -> VideoMAEConfig:
    """The library's configuration of our geometry; what we do not set is its default, as in the published files."""
    return VideoMAEConfig(
        image_size=config.size_px,
        patch_size=config.patch_px,
        num_frames=config.backbone_frames,
        tubelet_size=config.tubelet,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        use_mean_pooling=not config.final_norm,  # the library leaves its own final norm out where this is set
    )


def recompute_activations(videomae: Any) -> None:
    """Each layer's activations are made again in the backward pass. The switch was renamed in transformers 5."""
    new, old = "activation_checkpointing_enable", "gradient_checkpointing_enable"
    getattr(videomae, new if hasattr(videomae, new) else old)({"use_reentrant": False})


def _drop_key_biases(videomae: nn.Module) -> None:
    """VideoMAE has no key bias: it adds the same to every score of one query, which softmax takes out again."""
    for name, part in videomae.named_modules():
        if name.endswith("attention.attention.key") and isinstance(part, nn.Linear):
            part.register_parameter("bias", None)


def _keep_positions_on_device(embeddings: nn.Module) -> None:
    """The sine table as a buffer: else every forward pass copies it from the CPU and waits for the device."""
    table = vars(embeddings).get("position_embeddings")
    if isinstance(table, Tensor):
        del embeddings.position_embeddings
        embeddings.register_buffer("position_embeddings", table, persistent=False)
