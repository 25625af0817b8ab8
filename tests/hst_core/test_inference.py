"""Optimised backbones compute the maps of the originals, whatever the family and the size."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hst_core.backbone import Backbone, build_backbone
from hst_core.inference import FusedConvolution, FusedLite, fold_batch_norm, optimise
from hst_core.last_stage import split


def randomise_batch_norm(module: nn.Module) -> None:
    """Fresh batch norms do nothing, so folding them would prove nothing."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)


def picture(*size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator)


def assert_same_map(one: Backbone, other: Backbone, pixels: torch.Tensor) -> None:
    with torch.inference_mode():
        expected = other(pixels)
        found = one(pixels)
    largest = float(expected.abs().max())
    torch.testing.assert_close(found, expected, atol=1e-3 * largest, rtol=0)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_folded_batch_norms_leave_the_map_as_it_was(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name, weights="random")
    randomise_batch_norm(backbone)
    folded = optimise(backbone)
    assert folded is not backbone
    assert_same_map(folded, backbone, picture(64, 64))


@pytest.fixture(scope="module")
def lite() -> Backbone:
    return build_backbone("efficientnet-lite0")


@pytest.fixture(scope="module")
def fused(lite: Backbone) -> Backbone:
    return optimise(lite)


@pytest.mark.parametrize("size", [(64, 64), (65, 65), (98, 98), (66, 67), (35, 96), (1, 1)])
def test_fused_lite_pads_every_size_like_the_original(
    lite: Backbone, fused: Backbone, size: tuple[int, int]
) -> None:
    assert isinstance(fused.trunk, FusedLite)
    assert_same_map(fused, lite, picture(*size))


def test_fused_lite_takes_channels_last(lite: Backbone, fused: Backbone) -> None:
    pixels = picture(64, 64).to(memory_format=torch.channels_last)
    assert_same_map(fused.to(memory_format=torch.channels_last), lite, pixels)


def test_fused_lite_works_under_autocast(lite: Backbone, fused: Backbone) -> None:
    """Then the plain operations run, which autocast knows."""
    pixels = picture(32, 32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found, expected = fused(pixels), lite(pixels)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().mean() < 0.05 * expected.abs().mean() + 0.05


def test_what_lies_before_the_last_stage_is_fused_too(lite: Backbone) -> None:
    before, _ = split(lite)
    fused = optimise(before)
    assert isinstance(fused.trunk, FusedLite)
    assert_same_map(fused, before, picture(66, 67))


def test_fused_lite_keeps_what_the_backbone_tells(lite: Backbone, fused: Backbone) -> None:
    for attribute in ("name", "input_size", "channels", "stride"):
        assert getattr(fused, attribute) == getattr(lite, attribute)
    assert not fused.training


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [7, 8])
def test_same_padding_puts_the_odd_pixel_at_the_end(kernel: int, stride: int, size: int) -> None:
    generator = torch.Generator().manual_seed(2)
    convolution = nn.Conv2d(4, 4, kernel, stride, groups=4)
    features = torch.randn(1, 4, size, size, generator=generator)
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    ends = (total // 2, total - total // 2)
    expected = convolution(nn.functional.pad(features, ends + ends)).clamp(0, 6)
    with torch.inference_mode():
        found = FusedConvolution(convolution, relu6=True)(features)
    torch.testing.assert_close(found, expected.detach())


def test_a_convolution_without_bias_is_refused() -> None:
    with pytest.raises(ValueError, match="must have a bias"):
        FusedConvolution(nn.Conv2d(3, 3, 3, bias=False), relu6=False)


def test_optimising_leaves_the_original_alone(lite: Backbone, fused: Backbone) -> None:
    assert any(isinstance(module, nn.BatchNorm2d) for module in lite.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())


def test_optimising_twice_changes_nothing(fused: Backbone) -> None:
    assert optimise(fused) is fused


def test_a_backbone_without_batch_norm_is_returned_as_it_is() -> None:
    tiny = build_backbone("tiny")
    assert optimise(tiny) is tiny


class SwappedOrder(nn.Module):
    """Registered as convolution then norm, run as norm then convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.conv(self.norm(pixels))
        return result


def test_folding_gives_up_where_the_order_differs() -> None:
    network = Backbone("swapped", SwappedOrder(), [], input_size=64, channels=3, stride=1).eval()
    randomise_batch_norm(network)
    assert fold_batch_norm(network) is network
