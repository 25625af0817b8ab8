"""Frozen backbones made fast: the same maps in about half of the time.

Three things cost time in a network of small convolutions on a CPU: batch norm and ReLU6 as passes
over memory of their own, copies made to pad each depthwise convolution, and weights that are
brought into the order of the processor's kernels at every call. All three are avoided here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hst_core.backbone import Backbone, LiteTrunk
from hst_core.last_stage import LiteBefore


def optimise(backbone: Backbone) -> Backbone:
    """Give a frozen copy that computes the same maps faster; the backbone itself is unchanged.

    The copy is compared with the backbone on random pixels, because convolutions and norms are
    paired by the order they are registered in, which in a foreign network may not be the order
    they run in. Where the maps differ the backbone is returned as it is.
    """
    folded = fold_batch_norm(backbone)
    if isinstance(folded.trunk, LiteTrunk):
        network = cast(Any, folded.trunk.network)
        trunk = FusedLite(network._conv_stem, network._blocks, network._conv_head)
    elif isinstance(folded.trunk, LiteBefore):
        trunk = FusedLite(folded.trunk.stem, folded.trunk.blocks)
    else:
        return folded
    fused = Backbone(
        folded.name,
        trunk,
        [],
        input_size=folded.input_size,
        channels=folded.channels,
        stride=folded.stride,
        mean=folded.mean.flatten().tolist(),
        std=folded.std.flatten().tolist(),
    ).eval()
    return fused if _agree(fused, backbone) else folded


def fold_batch_norm(backbone: Backbone) -> Backbone:
    """Give a frozen copy with each batch norm folded into the convolution before it.

    Returns the backbone itself if there is nothing to fold, or if folding changes its maps.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules()):
        return backbone
    folded = copy.deepcopy(backbone).freeze()
    folded.eval()
    for module in folded.trunk.modules():
        _fold_children(module)
    return folded if _agree(folded, backbone) else backbone


def _fold_children(module: nn.Module) -> None:
    previous: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if (
            previous is not None
            and type(child) is nn.BatchNorm2d
            and isinstance(previous[1], nn.Conv2d)
            and previous[1].out_channels == child.num_features
        ):
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        previous = (name, child)


def _agree(one: Backbone, other: Backbone) -> bool:
    """Compare two backbones on random pixels, to a thousandth of the largest value."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 3, other.input_size, other.input_size)
    pixels = torch.randint(0, 256, shape, generator=generator).to(other.mean.device)
    was_training = other.training
    with torch.inference_mode():
        expected = other.eval()(pixels)
        error = (one(pixels) - expected).abs().max()
    other.train(was_training)
    return bool(error <= 1e-3 * expected.abs().max())


class FusedLite(nn.Module):
    """EfficientNet-Lite as a list of fused convolutions and skip connections.

    Args:
        stem: first convolution.
        blocks: some of the network's, from the first on.
        head: last convolution, if its turn comes.
    """

    def __init__(self, stem: Any, blocks: Iterable[Any], head: Any = None) -> None:
        super().__init__()
        blocks = list(blocks)
        self.stem = FusedConvolution(stem, relu6=True)
        self.blocks = nn.ModuleList(nn.Sequential(*_fused_block(block)) for block in blocks)
        self.skips = [_has_skip(block) for block in blocks]
        self.head = nn.Identity() if head is None else FusedConvolution(head, relu6=True)

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the feature map of normalised pixels."""
        features: Tensor = self.stem(pixels)
        for block, skip in zip(self.blocks, self.skips, strict=True):
            features = block(features).add_(features) if skip else block(features)
        result: Tensor = self.head(features)
        return result


def _fused_block(block: Any) -> list[nn.Module]:
    expand = getattr(block, "_expand_conv", None)
    convolutions = [FusedConvolution(expand, relu6=True)] if expand is not None else []
    convolutions.append(FusedConvolution(block._depthwise_conv, relu6=True))
    convolutions.append(FusedConvolution(block._project_conv, relu6=False))
    return [*convolutions]


def _has_skip(block: Any) -> bool:
    same_size = block._depthwise_conv.stride[0] == 1
    return bool(same_size and block._project_conv.out_channels == _inputs_of(block))


def _inputs_of(block: Any) -> int:
    first = getattr(block, "_expand_conv", block._depthwise_conv)
    return int(first.in_channels)


class FusedConvolution(nn.Module):
    """A convolution with TensorFlow's "same" padding and, optionally, ReLU6, as one operation.

    "Same" padding of a stride-2 convolution is one more at the end than at the start, which no
    convolution offers; the usual way is a padded copy. Here the kernel is set into a larger one,
    with zeros before and after, for which symmetric padding gives the same result.
    """

    def __init__(self, convolution: nn.Conv2d, *, relu6: bool) -> None:
        super().__init__()
        if convolution.bias is None:
            raise ValueError("convolution must have a bias (fold the batch norm after it first)")
        weight = convolution.weight.detach()
        self.kernel = convolution.kernel_size[0]
        self.stride = convolution.stride[0]
        self.groups = convolution.groups
        self.relu6 = relu6
        self.register_buffer("bias", convolution.bias.detach().clone(), persistent=False)
        layout = torch.channels_last
        self.register_buffer("even", weight.clone(memory_format=layout), persistent=False)
        self.register_buffer("uneven", self._set_in(weight, layout), persistent=False)
        self._packed: dict[bool, Tensor] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Convolve, add the bias and, if asked for, clamp to 0-6."""
        uneven = self._is_uneven(features.shape[-2])
        if uneven != self._is_uneven(features.shape[-1]):
            features = self._pad(features)
            return self._convolve(features, cast(Tensor, self.even), 0)
        weight = cast(Tensor, self.uneven if uneven else self.even)
        padding = weight.shape[-1] // 2
        if self._can_fuse(features):
            return self._fused(features, uneven, weight, padding)
        return self._convolve(features, weight, padding)

    def _is_uneven(self, size: int) -> bool:
        """Whether "same" padding of this many pixels differs between start and end."""
        return self._total_padding(size) % 2 == 1

    def _total_padding(self, size: int) -> int:
        outputs = -(-size // self.stride)
        return max((outputs - 1) * self.stride + self.kernel - size, 0)

    def _set_in(self, weight: Tensor, layout: torch.memory_format) -> Tensor:
        """Set a k x k kernel into (k + 2) x (k + 2), one further from the start."""
        if self.stride == 1:
            return weight.new_zeros(0)
        larger = functional.pad(weight, (2, 0, 2, 0))
        return larger.contiguous(memory_format=layout)

    def _pad(self, features: Tensor) -> Tensor:
        amounts: list[int] = []
        for size in (features.shape[-1], features.shape[-2]):
            total = self._total_padding(size)
            amounts += [total // 2, total - total // 2]
        return functional.pad(features, amounts)

    def _convolve(self, features: Tensor, weight: Tensor, padding: int) -> Tensor:
        result = functional.conv2d(
            features, weight, cast(Tensor, self.bias), self.stride, padding, 1, self.groups
        )
        return result.clamp_(0, 6) if self.relu6 else result

    def _can_fuse(self, features: Tensor) -> bool:
        return (
            features.device.type == "cpu"
            and features.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        )

    def _fused(self, features: Tensor, uneven: bool, weight: Tensor, padding: int) -> Tensor:
        """Call what torch's own compiler calls for a convolution followed by a clamp."""
        pad, stride, dilation = [padding] * 2, [self.stride] * 2, [1, 1]
        packed = self._packed.get(uneven)
        if packed is None:
            # The order of the weights fits this size best and is right for every other.
            packed = torch.ops.mkldnn._reorder_convolution_weight(
                weight, pad, stride, dilation, self.groups, list(features.shape)
            )
            self._packed[uneven] = packed
        activation = ("hardtanh", [0.0, 6.0]) if self.relu6 else ("none", [])
        result: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features, packed, self.bias, pad, stride, dilation, self.groups, *activation, ""
        )
        return result
