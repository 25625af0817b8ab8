"""Scores of one model version on disk: a folder of plain numpy files, opened as memory maps.

The worker writes such a folder, everything else reads it. It holds what suggestions need so that
they can be computed from numpy alone: no model, no torch. All matrices have one row per picture
of the fit and one column per category of the fit, in the order of `image_ids` and `category_ids`.

A folder appears under its final name complete or not at all: files are written to a temporary
name, synced, and the folder renamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from annotator.errors import WorkspaceError
from hst_core.files import partial_of, sync_file, sync_folder

FORMAT = 1
COOCCURRENCE = "cooccurrence"  # the stack's name for the residual co-occurrence, which is live
PAIRS = "pairs"  # the stack's name for the network's pair probabilities, live as well
NEIGHBOURS_IN_REASONS = 20  # the k of the neighbour vote (reference §11)

FloatArray = NDArray[np.floating[Any]]


class SourceFacts(Protocol):
    """One source of the stack as the method reports it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def weight(self) -> float: ...  # noqa: D102
    @property
    def kept(self) -> bool: ...  # noqa: D102
    @property
    def loss_with(self) -> float: ...  # noqa: D102
    @property
    def loss_without(self) -> float: ...  # noqa: D102


class FittedScores(Protocol):
    """What the fast tier hands over; N pictures, C categories, K neighbours, M exemplars."""

    @property
    def probability(self) -> FloatArray:
        """[N, C] calibrated, with the labels known at fit time, out of fold where known."""

    @property
    def picture_logit(self) -> FloatArray:
        """[N, C] stack logit before calibration, without the live sources."""

    @property
    def reference(self) -> FloatArray:
        """[N, C] probability against which a known label speaks in IST."""

    @property
    def sources(self) -> Mapping[str, FloatArray]:
        """Raw values [N, C] of the stored sources by name."""

    @property
    def cooccurrence(self) -> FloatArray:
        """[C, C] V of the residual co-occurrence, symmetric, zero diagonal."""

    @property
    def stack(self) -> Sequence[SourceFacts]:
        """Weight and worth of every source."""

    @property
    def calibration(self) -> FloatArray:
        """[2, C]: final logit = calibration[0] * stack logit + calibration[1]."""

    @property
    def threshold(self) -> FloatArray:
        """[C] learned on the calibrated probability (reference §5)."""

    @property
    def neighbours(self) -> NDArray[np.integer[Any]]:
        """[N, K] rows of the nearest pictures, nearest first, -1 where there is none."""

    @property
    def neighbour_similarity(self) -> FloatArray:
        """[N, K] cosine to them."""

    @property
    def exemplars(self) -> NDArray[np.integer[Any]]:
        """[C, M] rows of known-present pictures nearest to the prototypes, -1 where none."""


@dataclass(frozen=True)
class PairScores:
    """Pair probabilities of the network, which follow the labels known now like IST (reference §3).

    Attributes:
        probability: uint8 [N, C (C - 1) / 2] in steps of 1/255, row-major upper triangle.
        offset: [C] usual log odds of the evidence; only what lies above it speaks.
    """

    probability: NDArray[np.uint8]
    offset: NDArray[np.float32]


@dataclass(frozen=True)
class SourceWeight:
    """Weight of one source in the stack.

    Attributes:
        kind: ``classifier``, ``cst``, ``ist`` or ``prior``.
        weight: factor of its value in the stack logit; 0 if it is not kept.
        loss_with: out-of-fold log loss of the stack with this source, in nats per known cell.
        loss_without: the same without it.
    """

    name: str
    kind: str
    weight: float
    kept: bool
    loss_with: float
    loss_without: float


@dataclass(frozen=True)
class FittedModel:
    """What holds for all pictures of one model version.

    Attributes:
        category_ids: [C] the columns.
        sources: names of the stored sources, the first axis of `typical_values`.
        typical_logit: [C] mean stack logit over the pictures, before calibration.
        typical_values: [S, C] mean of each stored source: a source speaks by how far it is off.
        prior: [C] smoothed share of present among the known cells of the category.
        waiting: category id -> what this category waits for, in plain words; it has no model.
        exemplars: [C, M] image ids, -1 where there is none.
        pair_offset: [C] see `PairScores`; zeros without a network.
    """

    version: int
    category_ids: NDArray[np.int64]
    sources: tuple[str, ...]
    stack: tuple[SourceWeight, ...]
    cooccurrence: NDArray[np.float32]
    calibration: NDArray[np.float32]
    threshold: NDArray[np.float32]
    typical_logit: NDArray[np.float32]
    typical_values: NDArray[np.float32]
    prior: NDArray[np.float32]
    waiting: Mapping[int, str]
    exemplars: NDArray[np.int64]
    pair_offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @cached_property
    def has_model(self) -> NDArray[np.bool_]:
        """[C] False where the category still waits for labels."""
        return ~np.isin(self.category_ids, list(self.waiting))

    @cached_property
    def ist_weight(self) -> float:
        """Weight of the residual co-occurrence in the stack logit, 0 if it was not kept."""
        return self._weight(COOCCURRENCE)

    @cached_property
    def pair_weight(self) -> float:
        """Weight of the network's pair evidence, 0 if there is none or it was not kept."""
        return self._weight(PAIRS)

    def _weight(self, name: str) -> float:
        return sum(s.weight for s in self.stack if s.name == name and s.kept)


@dataclass(frozen=True)
class ImageScores:
    """One row: what the model says of one picture, before the labels known now.

    Attributes:
        scored: False for a picture the model has not seen; then only `model` has meaning.
        values: [S, C] raw values of the stored sources.
        fitted_labels: int8 [C] what was known when the model was fitted.
        neighbours: [K] image ids, nearest first, without gaps.
        neighbour_similarity: [K] cosine.
        neighbour_present: [C] how many of the 20 nearest were known present at the fit.
        pairs: [C, C] probability that both are in this picture, symmetric, zero diagonal; None
            without a network.
    """

    image_id: int
    scored: bool
    model: FittedModel
    probability: NDArray[np.float32]
    picture_logit: NDArray[np.float32]
    reference: NDArray[np.float32]
    values: NDArray[np.float32]
    fitted_labels: NDArray[np.int8]
    neighbours: NDArray[np.int64]
    neighbour_similarity: NDArray[np.float32]
    neighbour_present: NDArray[np.int64]
    pairs: NDArray[np.float32] | None = None


class ScoreFolder:
    """An open score folder. Reading touches only the pages that are asked for; thread-safe."""

    def __init__(self, folder: Path, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]):
        self.folder = folder
        self.meta = meta
        self._arrays = arrays
        self._row_order: NDArray[np.int64] = np.asarray(arrays["image_order"])
        self._sorted_ids: NDArray[np.int64] = np.asarray(arrays["image_ids"])[self._row_order]
        self._columns = {int(c): i for i, c in enumerate(arrays["category_ids"])}

    @classmethod
    def open(cls, folder: Path) -> ScoreFolder:
        """Map an existing folder; milliseconds whatever its size.

        Raises:
            WorkspaceError: if it is missing, incomplete or of another format.
        """
        try:
            meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            if meta["format"] != FORMAT:
                raise WorkspaceError(
                    f"scores in {folder} have format {meta['format']}, this program reads {FORMAT} "
                    "(train again to write them anew)"
                )
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in meta["files"]
            }
        except (OSError, ValueError, KeyError) as error:
            raise WorkspaceError(
                f"scores in {folder} cannot be read: {error} (train again to write them anew)"
            ) from error
        return cls(folder, meta, arrays)

    @classmethod
    def write(
        cls,
        folder: Path,
        scores: FittedScores,
        *,
        labels: NDArray[np.int8],
        image_ids: NDArray[np.int64],
        category_ids: NDArray[np.int64],
        event_id: int,
        feature_set: str,
        waiting: Mapping[int, str],
        pairs: PairScores | None = None,
    ) -> ScoreFolder:
        """Write the scores of one model version and open them.

        Args:
            folder: final place, named after the model version (an integer); must not exist.
            scores: what the fit gave.
            labels: int8 [N, C] as used in the fit.
            image_ids: [N] row -> image id, in any order; -1 for a picture no longer in the project.
            category_ids: [C] column -> category id.
            event_id: newest event the labels contain.
            feature_set: name of the features the fit used.
            waiting: category id -> what it waits for.
            pairs: pair probabilities of a network, if it has any.

        Raises:
            ValueError: if shapes disagree or a label could speak for itself.
        """
        _check(scores, labels, image_ids, category_ids)
        arrays = _arrays(scores, labels, image_ids, category_ids)
        if pairs is not None:
            arrays |= {"pairs": pairs.probability, "pair_offset": _float32(pairs.offset)}
        meta = {
            "format": FORMAT,
            "version": int(folder.name),
            "event_id": int(event_id),
            "feature_set": feature_set,
            "images": len(image_ids),
            "categories": len(category_ids),
            "sources": list(scores.sources),
            "stack": [asdict(_source_weight(s)) for s in scores.stack],
            "waiting": {str(k): v for k, v in waiting.items()},
            "files": list(arrays),
        }
        partial = partial_of(folder)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for name, array in arrays.items():
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                sync_file(file)
        with (partial / "meta.json").open("w", encoding="utf-8") as text:
            json.dump(meta, text, indent=1)
            sync_file(text)
        sync_folder(partial)
        partial.rename(folder)
        sync_folder(folder.parent)
        return cls.open(folder)

    @property
    def version(self) -> int:
        """Id of the model version."""
        return int(self.meta["version"])

    @property
    def event_id(self) -> int:
        """Newest event whose decisions the model has seen."""
        return int(self.meta["event_id"])

    @property
    def image_ids(self) -> NDArray[np.int64]:
        """[N] image id of each row, -1 for pictures no longer in the project."""
        return self._arrays["image_ids"]

    @property
    def category_ids(self) -> NDArray[np.int64]:
        """[C] category id of each column."""
        return self._arrays["category_ids"]

    @property
    def probability(self) -> NDArray[np.float16]:
        """[N, C] probability of present, with the labels known at fit time."""
        return self._arrays["probability"]

    def source(self, name: str) -> NDArray[np.float16]:
        """[N, C] raw values of one stored source, such as ``base``."""
        return self._arrays[f"source_{name}"]

    @property
    def labels(self) -> NDArray[np.int8]:
        """[N, C] what was known at the fit: -1 absent, 0 unknown, 1 present."""
        return self._arrays["labels"]

    @property
    def neighbours(self) -> NDArray[np.int32]:
        """[N, K] rows of the nearest pictures, nearest first, -1 where there is none."""
        return self._arrays["neighbours"]

    @property
    def neighbour_similarity(self) -> NDArray[np.floating[Any]]:
        """[N, K] cosine to them."""
        return self._arrays["neighbour_similarity"]

    def row(self, image_id: int) -> int:
        """Row of a picture, -1 if the model has not seen it."""
        return int(self.rows(np.array([image_id]))[0])

    def rows(self, image_ids: NDArray[np.int64] | Sequence[int]) -> NDArray[np.int64]:
        """Rows of several pictures, -1 where the model has not seen one."""
        wanted = np.asarray(image_ids, dtype=np.int64)
        if not len(self._sorted_ids):
            return np.full(len(wanted), -1, dtype=np.int64)
        place = np.searchsorted(self._sorted_ids, wanted).clip(max=len(self._sorted_ids) - 1)
        found = (self._sorted_ids[place] == wanted) & (wanted >= 0)
        return np.where(found, self._row_order[place], -1)

    def column(self, category_id: int) -> int:
        """Column of a category, -1 if the model does not have it."""
        return self._columns.get(category_id, -1)

    @cached_property
    def model(self) -> FittedModel:
        """What holds for all pictures."""
        typical = np.asarray(self._arrays["typical"])
        return FittedModel(
            version=self.version,
            category_ids=np.asarray(self.category_ids),
            sources=tuple(self.meta["sources"]),
            stack=tuple(SourceWeight(**s) for s in self.meta["stack"]),
            cooccurrence=np.asarray(self._arrays["cooccurrence"]),
            calibration=np.asarray(self._arrays["calibration"]),
            threshold=np.asarray(self._arrays["threshold"]),
            typical_logit=typical[0],
            typical_values=typical[1:],
            prior=np.asarray(self._arrays["prior"]),
            waiting={int(k): str(v) for k, v in self.meta["waiting"].items()},
            exemplars=_image_ids(self.image_ids, self._arrays["exemplars"]),
            pair_offset=np.asarray(
                self._arrays.get("pair_offset", np.zeros(len(self.category_ids), np.float32))
            ),
        )

    def thresholds(self) -> dict[int, float]:
        """Where each category that has a model is called present, 0-1 by category id."""
        values = zip(self.category_ids.tolist(), self.model.threshold.tolist(), strict=True)
        with_model = zip(values, self.model.has_model, strict=True)
        return {ident: value for (ident, value), modelled in with_model if modelled}

    def image(self, image_id: int) -> ImageScores:
        """Everything stored of one picture, as float32; `scored` tells whether there is any."""
        row = self.row(image_id)
        scored = row >= 0
        columns = len(self.category_ids)

        def read(name: str) -> NDArray[np.float32]:
            return _float32(self._arrays[name][row] if scored else np.zeros(columns))

        near = np.zeros(0, dtype=np.int64)
        similarity = np.zeros(0, dtype=np.float32)
        if scored:
            near = _image_ids(self.image_ids, self._arrays["neighbours"][row])
            similarity = _float32(self._arrays["neighbour_similarity"][row])
        values = [read(f"source_{name}") for name in self.model.sources]
        return ImageScores(
            image_id=image_id,
            scored=scored,
            model=self.model,
            probability=read("probability"),
            picture_logit=read("picture_logit"),
            reference=read("reference"),
            values=np.array(values, dtype=np.float32).reshape(len(values), columns),
            fitted_labels=read("labels").astype(np.int8),
            neighbours=near[near >= 0],
            neighbour_similarity=similarity[near >= 0],
            neighbour_present=read("neighbour_present").astype(np.int64),
            pairs=self._pairs(row),
        )

    def _pairs(self, row: int) -> NDArray[np.float32] | None:
        """Pair probabilities of a row as a symmetric matrix."""
        if row < 0 or "pairs" not in self._arrays:
            return None
        count = len(self.category_ids)
        matrix = np.zeros((count, count), dtype=np.float32)
        matrix[np.triu_indices(count, 1)] = self._arrays["pairs"][row] / np.float32(255)
        return matrix + matrix.T


def prune(scores: Path, keep: Iterable[int]) -> list[Path]:
    """Remove the score folders of all versions but those in ``keep``; returns the removed."""
    kept = {str(version) for version in keep}
    if not scores.is_dir():
        return []
    old = [f for f in scores.iterdir() if f.is_dir() and f.name.isdigit() and f.name not in kept]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    return old


def _check(
    scores: FittedScores,
    labels: NDArray[np.int8],
    image_ids: NDArray[np.int64],
    category_ids: NDArray[np.int64],
) -> None:
    shape = (len(image_ids), len(category_ids))
    matrices = {"probability": scores.probability, "labels": labels, **scores.sources}
    for name, matrix in matrices.items():
        if matrix.shape != shape:
            raise ValueError(
                f"{name} must be [{shape[0]} images, {shape[1]} categories], got {matrix.shape}"
            )
    if np.diagonal(scores.cooccurrence).any():
        raise ValueError("cooccurrence must have a zero diagonal: no label speaks for itself")


def _arrays(
    scores: FittedScores,
    labels: NDArray[np.int8],
    image_ids: NDArray[np.int64],
    category_ids: NDArray[np.int64],
) -> dict[str, NDArray[Any]]:
    """All files of a folder by name."""
    sources = scores.sources
    means = [scores.picture_logit, *sources.values()]
    columns = len(category_ids)
    # A neighbour that has left the project must be shown to nobody.
    gone = np.append(image_ids < 0, False)  # the last entry is row -1, "no neighbour"
    neighbours = np.where(gone[scores.neighbours], -1, scores.neighbours).astype(np.int32)
    exemplars = np.where(gone[scores.exemplars], -1, scores.exemplars).astype(np.int32)
    return {
        "image_ids": image_ids.astype(np.int64),
        "image_order": np.argsort(image_ids, kind="stable").astype(np.int64),
        "category_ids": category_ids.astype(np.int64),
        "labels": labels.astype(np.int8),
        "probability": _half(scores.probability),
        "picture_logit": _half(scores.picture_logit),
        "reference": _half(scores.reference),
        **{f"source_{name}": _half(value) for name, value in sources.items()},
        "typical": np.array(
            [m.mean(axis=0, dtype=np.float64) if len(m) else np.zeros(columns) for m in means],
            dtype=np.float32,
        ).reshape(len(means), columns),
        "prior": smoothed_prior((labels == 1).sum(axis=0), (labels == -1).sum(axis=0)),
        "cooccurrence": _float32(scores.cooccurrence),
        "calibration": _float32(scores.calibration),
        "threshold": _float32(scores.threshold),
        "neighbours": neighbours,
        "neighbour_similarity": _half(scores.neighbour_similarity),
        "neighbour_present": _count_present(neighbours[:, :NEIGHBOURS_IN_REASONS], labels),
        "exemplars": exemplars,
    }


def smoothed_prior(
    present: NDArray[np.integer[Any]], absent: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """Share of present cells per category [C], drawn to the share over all categories.

    A category with few known cells is as likely as the average one: two cells' worth of it.
    Without any known cell anywhere that average is .1.
    """
    overall = (present.sum() + 0.2) / (present.sum() + absent.sum() + 2.0)
    return np.asarray((present + 2.0 * overall) / (present + absent + 2.0), dtype=np.float32)


def _count_present(
    neighbours: NDArray[np.int32], labels: NDArray[np.int8], chunk: int = 8192
) -> NDArray[np.uint8]:
    """[N, C] how many of each row's neighbours are known present; -1 counts for nothing."""
    padded = np.vstack([labels == 1, np.zeros((1, labels.shape[1]), dtype=bool)])
    counts = np.zeros(labels.shape, dtype=np.uint8)
    for start in range(0, len(neighbours), chunk):
        part = neighbours[start : start + chunk]
        for nearest in part.T:
            counts[start : start + len(part)] += padded[nearest]
    return counts


def _half(values: FloatArray) -> NDArray[np.float16]:
    limit = float(np.finfo(np.float16).max)
    return np.asarray(np.clip(values, -limit, limit), dtype=np.float16)


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)


def _image_ids(image_ids: NDArray[np.int64], rows: NDArray[np.int32]) -> NDArray[np.int64]:
    if not len(image_ids):
        return np.full(rows.shape, -1, dtype=np.int64)
    return np.where(rows >= 0, image_ids[rows], -1)


def _source_weight(facts: SourceFacts) -> SourceWeight:
    return SourceWeight(
        name=facts.name,
        kind=facts.kind,
        weight=float(facts.weight) if facts.kept else 0.0,
        kept=bool(facts.kept),
        loss_with=float(facts.loss_with),
        loss_without=float(facts.loss_without),
    )
