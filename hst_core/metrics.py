"""How good scores are: average precision, F1, and the measures of label completion (reference §8).

Everything works on numpy arrays. Label matrices hold -1 absent, 0 not counted (unknown, or an
object marked as difficult), 1 present. Equal scores are one step of the ranking: no measure depends
on the order in which tied cells happen to be listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int
from numpy.typing import NDArray

#: Which average precision: mean precision at the positives; the same with the precision raised to
#: its best at any higher recall; or that curve read at the recalls 0, .1, …, 1 (VOC 2007).
APKind = Literal["plain", "interpolated", "eleven_point"]


class PrecisionRecall(NamedTuple):
    """Precision and recall at every distinct score, highest score first."""

    precision: Float64[np.ndarray, " steps"]
    recall: Float64[np.ndarray, " steps"]
    thresholds: Float[np.ndarray, " steps"]


def precision_recall(
    scores: Float[np.ndarray, " cells"], positive: Bool[np.ndarray, " cells"]
) -> PrecisionRecall:
    """Walk down the ranking; tied scores are taken together.

    Raises:
        ValueError: if a score is not a number or there is no positive cell.
    """
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite, got {scores[~np.isfinite(scores)][0]}")
    if not positive.any():
        raise ValueError("precision and recall need at least one positive cell, got none")
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last_of_step = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    found = np.cumsum(positive[order], dtype=np.float64)[last_of_step]
    return PrecisionRecall(found / (last_of_step + 1), found / found[-1], ordered[last_of_step])


def average_precision(
    scores: Float[np.ndarray, " cells"],
    positive: Bool[np.ndarray, " cells"],
    kind: APKind = "plain",
) -> float | None:
    """Return the average precision in [0, 1] of one ranking, None without a positive cell."""
    if not positive.any():
        return None
    curve = precision_recall(scores, positive)
    gained = np.diff(curve.recall, prepend=0.0)
    if kind == "plain":
        return float(gained @ curve.precision)
    best_to_come = np.maximum.accumulate(curve.precision[::-1])[::-1]
    if kind == "interpolated":
        return float(gained @ best_to_come)
    if kind == "eleven_point":
        # A recall of 3/10 must count for the grid point .3 although .3 > 3/10 in floating point.
        at = np.searchsorted(curve.recall, np.linspace(0.0, 1.0, 11) - 1e-9)
        return float(best_to_come[at].mean())
    raise ValueError(f"kind must be 'plain', 'interpolated' or 'eleven_point', got {kind!r}")


def average_precisions(
    scores: Float[np.ndarray, "images categories"],
    labels: Int[np.ndarray, "images categories"],
    kind: APKind = "plain",
) -> dict[int, float]:
    """Return the average precision of each category that has a positive cell, by its index."""
    values = {}
    for category in range(labels.shape[1]):
        counted = labels[:, category] != 0
        value = average_precision(scores[counted, category], labels[counted, category] == 1, kind)
        if value is not None:
            values[category] = value
    return values


def mean_average_precision(
    scores: Float[np.ndarray, "images categories"],
    labels: Int[np.ndarray, "images categories"],
    kind: APKind = "plain",
) -> float | None:
    """Return mAP in [0, 1] over the categories that have a positive cell, None if none has."""
    values = average_precisions(scores, labels, kind)
    return float(np.mean(list(values.values()))) if values else None


@dataclass(frozen=True)
class F1Scores:
    """Precision, recall and F1 at a threshold, all in [0, 1] (reference §8).

    The overall figures pool all cells. The per-category ones are means over the categories that
    have a positive cell; a category for which nothing is predicted counts with precision 0.
    """

    overall_precision: float
    overall_recall: float
    overall_f1: float
    category_precision: float
    category_recall: float
    category_f1: float


def f1_scores(
    probabilities: Float[np.ndarray, "images categories"],
    labels: Int[np.ndarray, "images categories"],
    threshold: float | Float[np.ndarray, " categories"] = 0.5,
) -> F1Scores:
    """Compute OP, OR, OF1, CP, CR and CF1; a cell is predicted present at p >= threshold."""
    predicted = (probabilities >= threshold) & (labels != 0)
    positive = labels == 1
    hits = (predicted & positive).sum(axis=0, dtype=np.float64)
    counted = positive.any(axis=0)
    precision = _ratio(hits, predicted.sum(axis=0))[counted]
    recall = _ratio(hits, positive.sum(axis=0))[counted]
    op, overall_recall = (
        float(_ratio(hits.sum(), predicted.sum())),
        float(_ratio(hits.sum(), positive.sum())),
    )
    cp = float(precision.mean()) if counted.any() else 0.0
    cr = float(recall.mean()) if counted.any() else 0.0
    return F1Scores(op, overall_recall, _harmonic(op, overall_recall), cp, cr, _harmonic(cp, cr))


def recall_at_precision(
    scores: Float[np.ndarray, " cells"], positive: Bool[np.ndarray, " cells"], precision: float
) -> float:
    """Return the largest recall of a threshold whose precision reaches the given one; 0 if none."""
    if not positive.any():
        return 0.0
    curve = precision_recall(scores, positive)
    reached = curve.recall[curve.precision >= precision]
    return float(reached.max()) if reached.size else 0.0


def share_decidable(
    probabilities: Float[np.ndarray, " cells"],
    positive: Bool[np.ndarray, " cells"],
    error: float,
) -> float:
    """Return the share of cells that can be decided with at most ``error`` of them wrong.

    Cells are decided in order of confidence, the distance of the probability from one half, as
    present above and absent below it. An oracle stops at the last point where the errors so far
    are within the bound, so this is what perfect knowledge of the error rate would allow, not a
    threshold that a user may rely on (that is reference §12).
    """
    if not probabilities.size:
        return 0.0
    confidence = np.abs(probabilities - 0.5)
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(((probabilities >= 0.5) != positive)[order])
    ordered = confidence[order]
    end_of_step = np.append(ordered[1:] != ordered[:-1], True)
    allowed = end_of_step & (wrong <= error * np.arange(1, len(order) + 1))
    return float((np.flatnonzero(allowed)[-1] + 1) / len(order)) if allowed.any() else 0.0


@dataclass(frozen=True)
class CompletionMetrics:
    """Label completion: quality on the unknown cells of the images being labelled (reference §8).

    Attributes:
        cells: unknown cells whose truth is known to the measurement.
        mean_ap: mAP over categories, in [0, 1]; None if no such cell is positive.
        pooled_ap: average precision of all these cells in one ranking; None likewise.
        recall_at_precision: recall of the pooled ranking at the stated precision.
        pseudo_precision: precision of the cells at or above their category's threshold; 0 if none.
        pseudo_recall: their recall.
        decidable: share of the cells that can be decided at the stated error (an oracle's).
    """

    cells: int
    mean_ap: float | None
    pooled_ap: float | None
    recall_at_precision: float
    pseudo_precision: float
    pseudo_recall: float
    decidable: float


def completion_metrics(
    probabilities: Float[np.ndarray, "images categories"],
    truth: Int[np.ndarray, "images categories"],
    known: Bool[np.ndarray, "images categories"],
    *,
    threshold: float | Float[np.ndarray, " categories"] = 0.5,
    precision: float = 0.95,
    error: float = 0.01,
) -> CompletionMetrics:
    """Measure probabilities on the cells that were not ``known``.

    Args:
        probabilities: calibrated, comparable between categories.
        truth: the full labels; 0 where even they are silent.
        known: cells the model was given.
        threshold: learned thresholds for the pseudo labels.
        precision: at which the recall is stated.
        error: at which the share of decidable cells is stated.
    """
    counted = ~known & (truth != 0)
    unknown_truth: NDArray[np.int8] = np.where(counted, truth, 0).astype(np.int8)
    scores, positive = probabilities[counted], truth[counted] == 1
    reached = (probabilities >= threshold)[counted]
    hits = (reached & positive).sum(dtype=np.float64)
    return CompletionMetrics(
        cells=int(counted.sum()),
        mean_ap=mean_average_precision(probabilities, unknown_truth),
        pooled_ap=average_precision(scores, positive),
        recall_at_precision=recall_at_precision(scores, positive, precision),
        pseudo_precision=float(_ratio(hits, reached.sum())),
        pseudo_recall=float(_ratio(hits, positive.sum())),
        decidable=share_decidable(scores, positive, error),
    )


def _ratio(
    part: NDArray[np.float64] | np.float64, whole: NDArray[np.integer] | np.integer
) -> NDArray[np.float64]:
    """Divide, with 0 / 0 = 0."""
    return np.asarray(part / np.maximum(whole, 1))


def _harmonic(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b > 0 else 0.0
