"""IST evidence of the fast tier: what the known labels of an image say beyond its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int8
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from hst_core.linear import LogisticProblem, minimise
from hst_core.stopping import ShouldStop


def residuals(
    labels: Int8[np.ndarray, "images categories"],
    reference: Float32[np.ndarray, "images categories"],
) -> Float32[np.ndarray, "images categories"]:
    """Return y - p of the known cells, y in {0, 1}; 0 where nothing is known."""
    return np.where(labels == 0, 0.0, (labels == 1) - reference).astype(np.float32)


@dataclass(frozen=True)
class ResidualCooccurrence:
    """``logit_i += sum_j V_ij (y_j - p_j)`` over the known j of the image (reference §11).

    A label that the picture already promised changes little; one that surprises says which other
    labels are more or less likely than the picture alone suggests. V is symmetric with a zero
    diagonal, so a cell never speaks about itself.

    Attributes:
        matrix: V.
        fold_matrices: V fitted without the images of each fold.
        image_folds: fold of each image.
        l2: strength chosen out of fold.
    """

    matrix: Float32[np.ndarray, "categories categories"]
    fold_matrices: Float32[np.ndarray, "folds categories categories"]
    image_folds: Int8[np.ndarray, " images"]
    l2: float

    @classmethod
    def fit(
        cls,
        labels: Int8[np.ndarray, "images categories"],
        reference: Float32[np.ndarray, "images categories"],
        offset: Float32[np.ndarray, "images categories"],
        *,
        number_of_folds: int = 5,
        l2: tuple[float, ...] = (1.0, 3.0, 10.0, 30.0, 100.0),
        most_images: int = 20_000,
        seed: int = 0,
        previous: ResidualCooccurrence | None = None,
        should_stop: ShouldStop | None = None,
    ) -> ResidualCooccurrence:
        """Fit V on the known cells of images that have at least two.

        Folds are over images: within one image every cell is input for the others, so a fit has
        not seen a cell only if it has seen nothing of its image.

        Args:
            labels: -1, 0 or 1.
            reference: p_j, for known cells from a fit that had not seen the cell.
            offset: log odds from the picture, likewise.
            number_of_folds: at least 2.
            l2: strengths to choose from.
            most_images: a sample of this many images stands for more of them.
            seed: of the folds and the sample.
            previous: start from this fit; it may have fewer categories.
            should_stop: asked before every step.
        """
        image_folds = fold_of_images(len(labels), number_of_folds, seed)
        rows = np.flatnonzero(np.count_nonzero(labels, axis=1) >= 2)
        if len(rows) > most_images:
            rows = np.random.default_rng(seed).choice(rows, most_images, replace=False)
        data = _Data.gather(labels[rows], reference[rows], offset[rows], image_folds[rows])
        categories = labels.shape[1]
        start = torch.zeros(number_of_folds + 1, categories, categories)
        if previous is not None and len(previous.fold_matrices) == number_of_folds:
            old = len(previous.matrix)
            start[0, :old, :old] = torch.from_numpy(previous.matrix)
            start[1:, :old, :old] = torch.from_numpy(previous.fold_matrices)
            # What no label bears out any more is gone, not merely nearly so.
            silent = torch.from_numpy(~labels.any(axis=0))
            start[:, silent] = 0.0
            start[:, :, silent] = 0.0
        best: tuple[float, float, Tensor] | None = None
        for strength in sorted(l2, reverse=True):
            start = torch.stack(
                [
                    _solve(data, fold, strength, start[1 + fold], should_stop)
                    for fold in range(-1, number_of_folds)
                ]
            )
            loss = _out_of_fold_loss(data, start)
            if best is not None and loss > best[0]:
                break
            best = (loss, strength, start)
        if best is None:
            raise ValueError("l2 must name at least one strength, got none")
        matrices = best[2].numpy()
        return cls(matrices[0], matrices[1:], image_folds, best[1])

    def transfer(
        self,
        labels: Int8[np.ndarray, "images categories"],
        reference: Float32[np.ndarray, "images categories"],
    ) -> Float32[np.ndarray, "images categories"]:
        """Return the evidence for every cell of the fitted images, known cells out of fold."""
        surprise = residuals(labels, reference)
        evidence = surprise @ self.matrix
        for fold, matrix in enumerate(self.fold_matrices):
            rows = np.flatnonzero((self.image_folds == fold) & (labels != 0).any(axis=1))
            held = surprise[rows] @ matrix
            evidence[rows] = np.where(labels[rows] != 0, held, evidence[rows])
        result: NDArray[np.float32] = evidence.astype(np.float32)
        return result


def enough_labels(
    labels: Int8[np.ndarray, "images categories"], fewest: int
) -> Int8[np.ndarray, "images categories"]:
    """Return the labels without those of categories that have fewer than ``fewest`` of a state.

    Whatever else a single present picture shows would pass for a law: V is held by one strength of
    L2 and trusted with one weight, both chosen by categories with many labels. Such a category is
    neither judged by the others nor speaks about them.
    """
    present, absent = (labels == 1).sum(axis=0), (labels == -1).sum(axis=0)
    kept = labels.copy()
    kept[:, np.minimum(present, absent) < fewest] = 0
    return kept


def fold_of_images(images: int, number_of_folds: int, seed: int) -> NDArray[np.int8]:
    """Assign images to folds; the fold of an image does not change when others are appended."""
    scrambled = (np.arange(images, dtype=np.uint64) + np.uint64(seed)) * np.uint64(
        0x9E3779B97F4A7C15
    )
    return ((scrambled >> np.uint64(32)) % np.uint64(number_of_folds)).astype(np.int8)


class _Data(NamedTuple):
    """Images to fit V on; one with fewer than two known cells has nothing to teach it."""

    surprise: Tensor
    target: Tensor
    known: Tensor
    offset: Tensor
    fold: Tensor

    @classmethod
    def gather(
        cls,
        labels: NDArray[np.int8],
        reference: NDArray[np.float32],
        offset: NDArray[np.float32],
        image_folds: NDArray[np.int8],
    ) -> _Data:
        return cls(
            torch.from_numpy(residuals(labels, reference)),
            torch.from_numpy((labels == 1).astype(np.float32)),
            torch.from_numpy((labels != 0).astype(np.float32)),
            torch.from_numpy(offset),
            torch.from_numpy(image_folds),
        )


def _solve(
    data: _Data, without: int, l2: float, start: Tensor, should_stop: ShouldStop | None
) -> Tensor:
    """Fit V on all images but those of one fold (-1: on all)."""
    rows = data.fold != without
    surprise, known = data.surprise[rows], data.known[rows]
    categories = start.shape[0]
    off_diagonal = 1.0 - torch.eye(categories)

    def forward(parameters: Tensor) -> Tensor:
        return (surprise @ parameters.view(categories, categories)).view(-1, 1)

    def adjoint(residual: Tensor) -> Tensor:
        gradient = surprise.T @ residual.view(-1, categories)
        # The parameters are kept symmetric with a zero diagonal by projecting the gradient.
        return ((gradient + gradient.T) / 2 * off_diagonal).reshape(-1, 1)

    spread = torch.sigmoid(data.offset[rows])
    spread = known * spread * (1 - spread)
    curvature = surprise.square().T @ spread
    curvature = (curvature + curvature.T) / 2 + l2
    problem = LogisticProblem(
        forward=forward,
        adjoint=adjoint,
        targets=data.target[rows].reshape(-1, 1),
        weights=known.reshape(-1, 1),
        penalty=torch.full((categories**2, 1), l2),
        curvature=curvature.reshape(-1, 1),
        offset=data.offset[rows].reshape(-1, 1),
    )
    solved = minimise(problem, start.reshape(-1, 1), should_stop=should_stop)
    return solved.view(categories, categories)


def _out_of_fold_loss(data: _Data, matrices: Tensor) -> float:
    total = 0.0
    for fold, matrix in enumerate(matrices[1:]):
        rows = data.fold == fold
        logits = data.offset[rows] + data.surprise[rows] @ matrix
        terms = softplus(logits) - data.target[rows] * logits
        total += float((data.known[rows] * terms).sum())
    return total
