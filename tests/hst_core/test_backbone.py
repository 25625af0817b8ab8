"""One contract for every backbone family, and what is special about each."""

from __future__ import annotations

import importlib.util
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch

from hst_core import backbone as backbones
from hst_core.backbone import Backbone, BackboneError, build_backbone

FAMILIES = [
    "tiny",
    "efficientnet-lite0",
    "resnet18",
    "convnext_tiny",
    "swin_t",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "densenet121",
    "timm:resnet10t",
    "timm:vit_tiny_patch16_224",
]
SIDE = 64


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    name: str = request.param
    if name.startswith("timm:") and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    torch.manual_seed(0)
    return build_backbone(name, weights="random")


def pictures(backbone: Backbone, count: int = 2) -> torch.Tensor:
    side = 224 if "vit" in backbone.name else SIDE
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)


class TestContract:
    def test_map_has_the_announced_channels_and_stride(self, backbone: Backbone) -> None:
        pixels = pictures(backbone)
        side = pixels.shape[-1] // backbone.stride
        assert backbone(pixels).shape == (2, backbone.channels, side, side)

    def test_name_and_input_size_are_told(self, backbone: Backbone) -> None:
        assert backbone.name in FAMILIES
        assert backbone.input_size % 2 == 0

    def test_pictures_of_a_batch_do_not_influence_each_other(self, backbone: Backbone) -> None:
        pixels = pictures(backbone)
        torch.testing.assert_close(backbone(pixels)[1:], backbone(pixels[1:]), atol=1e-3, rtol=1e-3)

    def test_uint8_and_float_pixels_give_the_same_map(self, backbone: Backbone) -> None:
        pixels = pictures(backbone, 1)
        torch.testing.assert_close(backbone(pixels), backbone(pixels.float()))

    def test_everything_is_frozen_at_first(self, backbone: Backbone) -> None:
        assert not any(p.requires_grad for p in backbone.parameters())
        assert not any(module.training for module in backbone.train().trunk.modules())
        backbone.eval()

    def test_only_the_last_stage_learns_when_tuned(self, backbone: Backbone) -> None:
        backbone.tune_last_stage().train()
        try:
            last = {id(p) for p in backbone.last_stage_parameters()}
            learning = {id(p) for p in backbone.parameters() if p.requires_grad}
            assert learning == last
            assert len(last) < len(list(backbone.parameters())) or backbone.name == "tiny"
            assert bool(last) != (backbone.name == "tiny")
        finally:
            backbone.freeze().eval()

    def test_gradient_reaches_every_tuned_parameter(self, backbone: Backbone) -> None:
        if backbone.name == "tiny":
            pytest.skip("tiny has no parameters")
        backbone.tune_last_stage()
        try:
            backbone(pictures(backbone)).square().mean().backward()
            assert all(p.grad is not None for p in backbone.last_stage_parameters())
            assert all(p.grad is None for p in backbone.parameters() if not p.requires_grad)
        finally:
            backbone.zero_grad()
            backbone.freeze().eval()


def test_lite_comes_with_its_weights() -> None:
    network = build_backbone("efficientnet-lite0")
    grey = torch.full((1, 3, 224, 224), 127.0)
    assert network(grey).shape == (1, 1280, 7, 7)
    assert network(grey).max() <= 6  # ReLU6


def test_lite_accepts_odd_sizes() -> None:
    network = build_backbone("efficientnet-lite0", weights="random")
    assert network(torch.zeros(1, 3, 75, 101)).shape == (1, 1280, 3, 4)


def test_tiny_is_the_same_every_time_and_tells_colours_and_places_apart() -> None:
    red_above = torch.zeros(1, 3, 64, 64)
    red_above[:, 0, :32] = 255
    red_below = red_above.flip(2)
    blue_above = red_above.flip(1)
    vectors = [
        build_backbone("tiny")(picture).mean((2, 3))
        for picture in (red_above, red_above, red_below, blue_above)
    ]
    torch.testing.assert_close(vectors[0], vectors[1])
    assert (vectors[0] - vectors[2]).abs().max() > 0.1
    assert (vectors[0] - vectors[3]).abs().max() > 0.1


def test_tiny_shares_each_colour_out_completely() -> None:
    features = build_backbone("tiny")(torch.rand(2, 3, 64, 64) * 255)
    torch.testing.assert_close(features[:, :27].sum(1), torch.ones(2, 8, 8))


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    from torchvision.models import get_model

    torch.manual_seed(3)
    saved = get_model("resnet18", weights=None)
    torch.save(saved.state_dict(), tmp_path / "w.pth")
    network = build_backbone("resnet18", weights=tmp_path / "w.pth")
    stem = network.state_dict()["trunk.stages.conv1.weight"]
    torch.testing.assert_close(stem, saved.conv1.weight.detach())


def test_weights_of_another_number_of_classes_fit(tmp_path: Path) -> None:
    from torchvision.models import get_model

    torch.save(get_model("resnet18", num_classes=7).state_dict(), tmp_path / "w.pth")
    assert build_backbone("resnet18", weights=tmp_path / "w.pth").channels == 512


def test_a_missing_norm_of_the_features_is_noticed() -> None:
    """ConvNeXt keeps it in the classifier, which otherwise may be missing."""
    from torchvision.models import convnext_tiny

    network = convnext_tiny(num_classes=1)
    state = {k: v for k, v in network.state_dict().items() if k != "classifier.0.weight"}
    with pytest.raises(BackboneError, match=r"1 of .* first classifier\.0\.weight"):
        backbones._load_state(network, state, "convnext_tiny")


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"other": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(BackboneError, match=r"do not fit resnet18: .*check that the file"):
        build_backbone("resnet18", weights=tmp_path / "w.pth")


def test_a_file_that_is_no_state_dict_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"not weights")
    with pytest.raises(BackboneError, match="cannot be read as a state dict"):
        build_backbone("efficientnet-lite0", weights=tmp_path / "w.pth")


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"gone\.pth does not exist"):
        build_backbone("efficientnet-lite0", weights=tmp_path / "gone.pth")


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(BackboneError, match=r"efficientnet-lite0.*resnet50.*got 'resnet9000'"):
        build_backbone("resnet9000")


def test_unknown_weights_list_the_published_ones() -> None:
    with pytest.raises(BackboneError, match="IMAGENET1K_V1, IMAGENET1K_V2, got 'IMAGENET22K'"):
        build_backbone("resnet50", weights="IMAGENET22K")


def test_an_unknown_timm_network_is_refused() -> None:
    pytest.importorskip("timm")
    with pytest.raises(BackboneError, match="timm has no network 'nothing_net'"):
        build_backbone("timm:nothing_net")


def test_tiny_refuses_weights() -> None:
    with pytest.raises(BackboneError, match="tiny has no weights"):
        build_backbone("tiny", weights="IMAGENET1K_V1")


class UnreachableEntry:
    """A torchvision weights entry whose server cannot be reached."""

    name = "IMAGENET1K_V1"
    url = "https://example.org/resnet50.pth"

    def get_state_dict(self, **_: Any) -> dict[str, torch.Tensor]:
        raise urllib.error.URLError("no route to host")


def test_a_failed_download_names_the_next_step() -> None:
    with pytest.raises(
        BackboneError, match=r"fetch https://example.org/resnet50.pth .* as weights"
    ):
        backbones._download("resnet50", UnreachableEntry())
