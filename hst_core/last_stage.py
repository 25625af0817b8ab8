"""A backbone in two parts, so that its last stage can learn where the whole would cost too much.

What lies before the last stage is frozen: its output is computed once per picture and cached like
any feature map. An epoch of fine-tuning then costs the last stage alone, about a tenth of the
network's forward pass, forwards and backwards.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hst_core.backbone import Backbone, BackboneError, ChannelsFirst, LiteTrunk, SequentialTrunk


class LastStage(nn.Module):
    """The part of a backbone that learns: activations in, feature map out.

    Norms keep the statistics and the scale they were trained with: a few hundred labelled pictures
    say too little to estimate them anew.

    Args:
        stages: run one after the other.
        channels: of the feature map.
    """

    def __init__(self, stages: nn.Module, channels: int) -> None:
        super().__init__()
        # On two cores a step takes two thirds of the time with channels last.
        self.stages = stages.to(memory_format=torch.channels_last)
        self.channels = channels
        self.requires_grad_(True)
        for norm in self._norms():
            norm.requires_grad_(False)

    def forward(
        self, activations: Float[Tensor, "batch inputs height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Finish the forward pass."""
        features: Tensor = self.stages(activations.contiguous(memory_format=torch.channels_last))
        return features

    def train(self, mode: bool = True) -> LastStage:
        """Set training mode on everything but the norms."""
        super().train(mode)
        for norm in self._norms():
            norm.eval()
        return self

    def _norms(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]


def split(backbone: Backbone) -> tuple[Backbone, LastStage]:
    """Cut a backbone before its last stage.

    Args:
        backbone: EfficientNet-Lite, or of a family whose stages follow one another (ResNet,
            ConvNeXt, MobileNet, DenseNet); its modules are shared with the parts.

    Returns:
        The frozen part, a backbone of its own with the activations as its map; and the last stage.
        One after the other they compute the map of the whole.

    Raises:
        BackboneError: for a backbone that cannot be cut.
    """
    if isinstance(backbone.trunk, LiteTrunk):
        before, after = _split_lite(backbone)
    else:
        before, after = _split_stages(backbone)
    size = backbone.input_size
    with torch.inference_mode():
        pixels = torch.zeros(1, 3, size, size, device=backbone.mean.device)
        shape = before((pixels - backbone.mean) / backbone.std).shape
    frozen = Backbone(
        f"{backbone.name}-before-last-stage",
        before,
        [],
        input_size=size,
        channels=int(shape[1]),
        stride=size // int(shape[2]),
        mean=backbone.mean.flatten().tolist(),
        std=backbone.std.flatten().tolist(),
    )
    return frozen.eval(), LastStage(after, backbone.channels).eval()


class LiteBefore(nn.Module):
    """EfficientNet-Lite up to its last stage."""

    def __init__(self, network: Any, blocks: int) -> None:
        super().__init__()
        self.stem, self.norm, self.relu = network._conv_stem, network._bn0, network._swish
        self.blocks = nn.Sequential(*network._blocks[:blocks])

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the activations of normalised pixels."""
        features: Tensor = self.blocks(self.relu(self.norm(self.stem(pixels))))
        return features


class _LiteAfter(nn.Module):
    """The blocks of the last resolution, and the head."""

    def __init__(self, network: Any, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*network._blocks[blocks:])
        self.head, self.norm, self.relu = network._conv_head, network._bn1, network._swish

    def forward(self, activations: Tensor) -> Tensor:
        features: Tensor = self.relu(self.norm(self.head(self.blocks(activations))))
        return features


def _split_lite(backbone: Backbone) -> tuple[nn.Module, nn.Module]:
    network = cast(Any, backbone.trunk).network
    last = {id(module) for module in backbone.last_stage()}
    first = next(i for i, block in enumerate(network._blocks) if id(block) in last)
    return LiteBefore(network, first), _LiteAfter(network, first)


def _split_stages(backbone: Backbone) -> tuple[nn.Module, nn.Module]:
    trunk = backbone.trunk
    last = {id(module) for module in backbone.last_stage()}
    if isinstance(trunk, SequentialTrunk) and isinstance(trunk.stages, nn.Sequential):
        # A trunk that is turned at its end keeps its channels last before.
        turned = any(isinstance(module, ChannelsFirst) for module in trunk.finish.modules())
        stages = list(trunk.stages.children())
        first = next((i for i, stage in enumerate(stages) if id(stage) in last), 0)
        if first > 0 and not turned:
            after = SequentialTrunk(nn.Sequential(*stages[first:]), trunk.finish)
            return nn.Sequential(*stages[:first]), after
    raise BackboneError(
        f"{backbone.name} cannot be cut before its last stage (use efficientnet-lite0, resnet50, "
        "convnext_tiny or mobilenet_v3_small, or fine-tune it as a whole with hst train)"
    )
