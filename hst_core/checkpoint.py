"""One file per model version with everything needed to go on: weights, names, thresholds, config.

A checkpoint appears complete or not at all (temporary file, fsync, rename), is loaded with
``weights_only`` (no code runs), and is refused with a reason if it is truncated, altered, foreign
or of a later format.
"""

from __future__ import annotations

import platform
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from hst_core.files import remove_partial, replacing

KIND = "hst checkpoint"
FORMAT = 1
_ARRAY = "__ndarray__"


class CheckpointError(ValueError):
    """A file is no usable checkpoint; the text says why."""


@dataclass(frozen=True)
class Checkpoint:
    """What one model version knows.

    Attributes:
        model_version: its number.
        event_id: newest decision event that the labels contained.
        feature_set: name of the features it was fitted on.
        category_ids: [C] in the order of every category axis in ``tiers``.
        category_names: [C] as they were called then.
        thresholds: [C] learned on calibrated probabilities (reference §5).
        exemplars: per category the content hashes of the images nearest to its prototypes;
            hashes, since row numbers mean nothing outside the project.
        config: settings of the fit, JSON-able.
        tiers: "fast", "deep", "tuned" -> state of that tier: tensors, numpy arrays and JSON-able
            values, with weights and prototypes.
        versions: of the programs that wrote it; filled in by `save`.
    """

    model_version: int
    event_id: int
    feature_set: str
    category_ids: tuple[int, ...]
    category_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    exemplars: tuple[tuple[str, ...], ...]
    config: Mapping[str, Any]
    tiers: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, str] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint so that a crash leaves either the old file or the whole new one.

    Raises:
        ValueError: if the category axes disagree in length.
    """
    lengths = {
        name: len(getattr(checkpoint, name))
        for name in ("category_ids", "category_names", "thresholds", "exemplars")
    }
    if len(set(lengths.values())) > 1:
        raise ValueError(f"a checkpoint needs one entry per category everywhere, got {lengths}")
    content = {f.name: _encode(getattr(checkpoint, f.name)) for f in fields(checkpoint)}
    content |= {"kind": KIND, "format": FORMAT, "versions": _versions()}
    with replacing(path) as file:
        torch.save(content, file)


def load(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU.

    Raises:
        CheckpointError: if the file is missing, truncated, altered, not a checkpoint, or newer
            than this program.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise CheckpointError(f"{path} is not a checkpoint of this program")
    if content.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} has format {content.get('format')}, this program reads {FORMAT} "
            f"(it was written by {content.get('versions')})"
        )
    values = {name: value for name, value in content.items() if name not in ("kind", "format")}
    names = {f.name for f in fields(Checkpoint)}
    if set(values) != names:
        raise CheckpointError(f"{path} lacks or adds entries: {sorted(set(values) ^ names)}")
    return Checkpoint(**{name: _decode(value) for name, value in values.items()})


def path_of(folder: Path, model_version: int) -> Path:
    """Where the checkpoint of a model version lies."""
    return folder / f"{model_version}.pt"


def prune(folder: Path, keep: Iterable[int]) -> list[Path]:
    """Remove unfinished files and all checkpoints but those in ``keep``; returns the removed."""
    if not folder.is_dir():
        return []
    kept = {path_of(folder, version) for version in keep}
    old = [p for p in folder.glob("*.pt") if p.stem.isdigit() and p not in kept]
    for path in old:
        path.unlink(missing_ok=True)
    return old + remove_partial(folder)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist")
    try:
        # torch does not compare the checksums that it writes.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"{path} is damaged: wrong checksum in {damaged}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is truncated or not a checkpoint: {error}") from error
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be loaded as plain weights: {reason}") from error


def _encode(value: Any) -> Any:
    """Numpy arrays as tagged tensors: `weights_only` loading admits tensors and plain values."""
    if isinstance(value, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(value))}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, Mapping):
        return {key: _encode(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_encode(entry) for entry in value)
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_ARRAY}:
            return value[_ARRAY].numpy()
        return {key: _decode(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_decode(entry) for entry in value)
    return value


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": str(np.__version__),
    }
