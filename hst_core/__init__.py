"""Heterogeneous semantic transfer for multi-label recognition with partial labels.

The public names are loaded when they are first used, so that ``import hst_core`` and ``hst --help``
do not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hst_core.config import Config, LossConfig, ModelConfig, TrainConfig
    from hst_core.deep_tier import DeepTier, DeepTierConfig
    from hst_core.fast_tier import FastTier, FastTierConfig
    from hst_core.features import FeatureStore, extract
    from hst_core.inputs import CachedFeatures, Photographs
    from hst_core.labels import LabelState
    from hst_core.model import HST, HSTOutput
    from hst_core.trainer import Trainer, TrainingSet

_HOME = {
    "CachedFeatures": "inputs",
    "Config": "config",
    "DeepTier": "deep_tier",
    "DeepTierConfig": "deep_tier",
    "FastTier": "fast_tier",
    "FastTierConfig": "fast_tier",
    "FeatureStore": "features",
    "HST": "model",
    "HSTOutput": "model",
    "LabelState": "labels",
    "LossConfig": "config",
    "ModelConfig": "config",
    "Photographs": "inputs",
    "TrainConfig": "config",
    "Trainer": "trainer",
    "TrainingSet": "trainer",
    "extract": "features",
}

__all__ = [
    "HST",
    "CachedFeatures",
    "Config",
    "DeepTier",
    "DeepTierConfig",
    "FastTier",
    "FastTierConfig",
    "FeatureStore",
    "HSTOutput",
    "LabelState",
    "LossConfig",
    "ModelConfig",
    "Photographs",
    "TrainConfig",
    "Trainer",
    "TrainingSet",
    "extract",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hst_core' has no attribute {name!r}")
    return getattr(import_module(f"hst_core.{_HOME[name]}"), name)
