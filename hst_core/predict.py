"""Score images with a trained network: classifier, IST pairs, CST similarity, attention maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int8, UInt8
from numpy.typing import NDArray

from hst_core.cst import CrossImageTransfer
from hst_core.inputs import Inputs
from hst_core.ist import IntraImageTransfer
from hst_core.model import HST, HSTOutput
from hst_core.stopping import ShouldStop, check_stop


@dataclass(frozen=True)
class NetworkScores:
    """What the network says of images.

    Attributes:
        logits: of the classifier.
        ist: evidence from the known labels of the same image, leave-one-out; 0 where not valid.
        ist_valid: cells whose image has another known positive.
        cst: similarity to the prototypes; 0 where not valid.
        cst_valid: categories that have prototypes.
    """

    logits: Float32[np.ndarray, "images categories"]
    ist: Float32[np.ndarray, "images categories"]
    ist_valid: Bool[np.ndarray, "images categories"]
    cst: Float32[np.ndarray, "images categories"]
    cst_valid: Bool[np.ndarray, " categories"]


def outputs(
    model: HST,
    inputs: Inputs,
    rows: NDArray[np.intp],
    *,
    base_logits: Float32[np.ndarray, "images categories"] | None = None,
    with_attention: bool = False,
    with_pairs: bool = False,
    batch_size: int | None = None,
    precision: str = "float32",
    should_stop: ShouldStop | None = None,
) -> Iterator[tuple[NDArray[np.intp], HSTOutput]]:
    """Run the network over images in evaluation mode, batch by batch.

    Args:
        model: on the device to compute on.
        inputs: of all images.
        rows: which images, in the order wanted.
        base_logits: see :meth:`~hst_core.model.HST.forward`; of all images.
        with_attention: ask for attention maps.
        with_pairs: ask for the logits of all pairs.
        batch_size: images at once; by default what was measured best.
        precision: ``float32``, or ``bf16`` for autocast.
        should_stop: asked before each batch.

    Yields:
        Rows of the batch, and the output for them.
    """
    device = next(model.parameters()).device
    was_training = model.training
    if batch_size is None:
        batch_size = images_at_once(model.categories, device)
    model.eval()
    try:
        for start in range(0, len(rows), batch_size):
            check_stop(should_stop)
            part = rows[start : start + batch_size]
            loaded = {name: value.to(device) for name, value in inputs.load(part, None).items()}
            base = None
            if base_logits is not None:
                base = torch.from_numpy(base_logits[part]).to(device)
            with torch.no_grad(), autocast(device, precision):
                output = model(
                    **loaded,
                    base_logits=base,
                    with_attention=with_attention,
                    with_pairs=with_pairs,
                )
            yield part, output
    finally:
        model.train(was_training)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Compute in bfloat16 where that is safe, or, with ``float32``, as the tensors are."""
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def images_at_once(categories: int, device: torch.device) -> int:
    """Return how many images a forward pass takes for the least time per image.

    Every category has its own features, so on a CPU their number decides what fits its cache.
    """
    return 128 if device.type != "cpu" else min(128, max(1, 2560 // max(1, categories)))


def score(
    model: HST,
    inputs: Inputs,
    labels: Int8[np.ndarray, "images categories"],
    *,
    base_logits: Float32[np.ndarray, "images categories"] | None = None,
    batch_size: int | None = None,
    precision: str = "float32",
    should_stop: ShouldStop | None = None,
) -> NetworkScores:
    """Score all images, with the labels known for them as evidence of IST.

    Memory is bounded by the result, four matrices [images, categories].
    """
    count, categories = labels.shape
    shape = (count, categories)
    logits, ist, cst = (np.zeros(shape, dtype=np.float32) for _ in range(3))
    ist_valid = np.zeros(shape, dtype=bool)
    cst_valid = np.zeros(categories, dtype=bool)
    if isinstance(model.cst, CrossImageTransfer):
        cst_valid = model.cst.prototypes.valid.cpu().numpy()
    for rows, output in outputs(
        model,
        inputs,
        np.arange(count),
        base_logits=base_logits,
        batch_size=batch_size,
        precision=precision,
        should_stop=should_stop,
    ):
        features = output.category_features
        known = torch.from_numpy(labels[rows]).to(features.device)
        logits[rows] = output.logits.float().cpu().numpy()
        if model.ist is not None:
            found = model.ist.transfer(features, known)
            ist[rows] = found.scores.float().cpu().numpy()
            ist_valid[rows] = found.valid.cpu().numpy()
        if isinstance(model.cst, CrossImageTransfer):
            cst[rows] = model.cst.transfer(features, known).scores.float().cpu().numpy()
    return NetworkScores(logits, ist, ist_valid, cst, cst_valid)


def pair_probabilities(
    model: HST,
    inputs: Inputs,
    rows: NDArray[np.intp],
    *,
    batch_size: int = 32,
    precision: str = "float32",
    should_stop: ShouldStop | None = None,
) -> UInt8[np.ndarray, "images pairs"]:
    """Return p_ij of chosen images in steps of 1/255, pairs in row-major upper-triangle order.

    Raises:
        ValueError: if the network has no pair head.
    """
    if not isinstance(model.ist, IntraImageTransfer):
        raise ValueError(f"model.ist is {model.config.ist!r}: there is no pair head to ask")
    pairs = model.categories * (model.categories - 1) // 2
    found = np.zeros((len(rows), pairs), dtype=np.uint8)
    done = 0
    for part, output in outputs(
        model,
        inputs,
        rows,
        with_pairs=True,
        batch_size=batch_size,
        precision=precision,
        should_stop=should_stop,
    ):
        if output.pair_logits is not None:
            steps = (torch.sigmoid(output.pair_logits.float()) * 255).round()
            found[done : done + len(part)] = steps.to(torch.uint8).cpu().numpy()
        done += len(part)
    return found


def attention_maps(
    model: HST,
    inputs: Inputs,
    rows: NDArray[np.intp],
    *,
    batch_size: int = 32,
    should_stop: ShouldStop | None = None,
) -> Float32[np.ndarray, "images categories rows columns"]:
    """Return where the network looked for each category; largest value 1 per map."""
    found: list[NDArray[np.float32]] = []
    for _, output in outputs(
        model, inputs, rows, with_attention=True, batch_size=batch_size, should_stop=should_stop
    ):
        if output.attention is not None:
            attention = output.attention.float()
            found.append((attention / attention.amax((2, 3), keepdim=True)).cpu().numpy())
    return np.concatenate(found)
