"""What one request sees: some pictures with their decisions, the categories and the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.scores import ImageScores, ScoreFolder, smoothed_prior
from annotator.suggestions import (
    CellEvidence,
    Suggestion,
    explain,
    judge,
    probabilities,
    probability_of,
    rank,
    rank_by_prior,
)
from annotator.types import Category, Image, ImageState, KnownCell

# A structured array of `annotator.db.cells`; this module only reads its columns by name.
Cells = NDArray[np.void]


@dataclass
class View:
    """Read once per request; `apply` keeps it true when the request changes something.

    Attributes:
        categories: in list order.
        images: by id.
        known: decided cells by image id, in the order of the categories; None if they were not
            read, then there are no states and suggestions either.
        scores: of the model version to suggest from, None before the first.
    """

    categories: Sequence[Category]
    images: dict[int, Image]
    known: dict[int, tuple[KnownCell, ...]] | None
    scores: ScoreFolder | None

    def __post_init__(self) -> None:
        """Index the categories."""
        self.column = {category.id: i for i, category in enumerate(self.categories)}
        self._rows: dict[int, ImageScores] = {}

    def _row(self, scores: ScoreFolder, image_id: int) -> ImageScores:
        if image_id not in self._rows:
            self._rows[image_id] = scores.image(image_id)
        return self._rows[image_id]

    def labels(self, image_id: int) -> NDArray[np.int8]:
        """States of one picture in the order of the categories [C]."""
        labels = np.zeros(len(self.categories), dtype=np.int8)
        for cell in self._known(image_id):
            labels[self.column[cell.category_id]] = cell.state
        return labels

    def _known(self, image_id: int) -> tuple[KnownCell, ...]:
        if self.known is None:
            raise RuntimeError("the decisions of this view were not read")
        return self.known.get(image_id, ())

    def prior(self) -> NDArray[np.float32]:
        """Smoothed share of present among the known cells of each category [C]."""
        counts = np.array([(c.present, c.absent) for c in self.categories], dtype=np.int64)
        return smoothed_prior(*counts.reshape(-1, 2).T)

    def states(self, image_ids: Sequence[int], limit: int) -> tuple[ImageState, ...]:
        """State of each picture with at most ``limit`` suggestions."""
        return tuple(self._state(self.images[image_id], limit) for image_id in image_ids)

    def _state(self, image: Image, limit: int) -> ImageState:
        known = self._known(image.id)
        return ImageState(
            id=image.id,
            file_name=image.file_name,
            width=image.width,
            height=image.height,
            revision=image.revision,
            cells_known=len(known),
            cells_total=len(self.categories),
            known=known,
            suggestions=self.suggestions(image.id, limit),
            model_version_id=None if self.scores is None else self.scores.version,
        )

    def suggestions(self, image_id: int, limit: int) -> tuple[Suggestion, ...]:
        """Suggestions for one picture under the labels known now, most probable first.

        Before anything at all is known there is nothing to suggest.
        """
        if not any(category.present or category.absent for category in self.categories):
            return ()
        prior, labels = self.prior(), self.labels(image_id)
        if self.scores is None:
            return tuple(rank_by_prior(prior, labels, self.categories, limit=limit))
        row = self._row(self.scores, image_id)
        return tuple(rank(row, labels, self.categories, prior=prior, limit=limit))

    def opinions(self, image_id: int, category_ids: Sequence[int]) -> tuple[Suggestion, ...]:
        """What the model says of decided cells of one picture; see `suggestions.judge`."""
        if self.scores is None:
            return ()
        row = self._row(self.scores, image_id)
        return tuple(judge(row, self.labels(image_id), self.categories, category_ids))

    def evidence(
        self, image_id: int, category_id: int, neighbour_states: Mapping[int, int]
    ) -> CellEvidence:
        """All that speaks for and against one cell."""
        place = self.column[category_id]
        prior = float(self.prior()[place])
        if self.scores is None:
            return _no_evidence(self.categories[place], prior)
        return explain(
            self._row(self.scores, image_id),
            self.labels(image_id),
            self.categories,
            category_id,
            neighbour_states,
            prior=prior,
        )

    def scores_of(self, cells: Cells) -> NDArray[np.float32]:
        """Probability of each cell under the labels known now, NaN without a model [n]."""
        result = np.full(len(cells), np.nan, dtype=np.float32)
        if self.scores is None:
            return result
        columns = np.array([self.column[c] for c in cells["category"].tolist()], dtype=np.int64)
        for image_id in np.unique(cells["image"]).tolist():
            mine = cells["image"] == image_id
            row = self._row(self.scores, image_id)
            result[mine] = probabilities(row, self.labels(image_id), self.categories)[columns[mine]]
        return result

    def stored_scores_of(self, cells: Cells) -> NDArray[np.float32]:
        """Probability of each cell as of the fit: quick for many pictures at once [n]."""
        result = np.full(len(cells), np.nan, dtype=np.float32)
        if self.scores is None:
            return result
        folder = self.scores
        rows = folder.rows(cells["image"].astype(np.int64))
        columns = np.array([folder.column(c) for c in cells["category"].tolist()], dtype=np.int64)
        there = (rows >= 0) & (columns >= 0)
        result[there] = folder.probability[rows[there], columns[there]]
        return result

    def live_scores_of(self, cells: Cells, decisions: Cells) -> NDArray[np.float32]:
        """As `scores_of` without the decisions of this view, for a page of pictures [n].

        Args:
            cells: any cells.
            decisions: rows of the decision table of their pictures, before they change.
        """
        result = self.stored_scores_of(cells)
        folder = self.scores
        if folder is None:
            return result
        for image_id in np.unique(cells["image"]).tolist():
            row = folder.row(image_id)
            if row < 0:
                continue
            labels = np.zeros(len(folder.category_ids), dtype=np.int8)
            mine = decisions[decisions["image"] == image_id]
            columns = np.array([folder.column(c) for c in mine["category"].tolist()], np.int64)
            labels[columns[columns >= 0]] = mine["state"][columns >= 0]
            if np.array_equal(labels, folder.labels[row]):
                continue  # nothing to add to what was computed at the fit
            evidence = folder.image(image_id)
            for place in np.flatnonzero(cells["image"] == image_id).tolist():
                column = folder.column(int(cells["category"][place]))
                if column >= 0 and folder.model.has_model[column]:
                    result[place] = probability_of(evidence, labels, column)
        return result

    def apply(self, changes: Cells, *, source: str, user: str | None, at: datetime) -> None:
        """Bring the view up to date with a new event whose changes were written.

        Args:
            changes: of new decisions, each cell once, with what was there before.
            source: of the event.
            user: its name.
            at: its time.
        """
        for image_id in np.unique(changes["image"]).tolist():
            image = self.images[image_id]
            self.images[image_id] = replace(image, revision=image.revision + 1)
        if self.known is None:
            return
        self._apply_counts(changes)
        for image_id in np.unique(changes["image"]).tolist():
            cells = {cell.category_id: cell for cell in self._known(image_id)}
            for change in changes[changes["image"] == image_id]:
                category_id = int(change["category"])
                cells.pop(category_id, None)
                if change["after"]:
                    cells[category_id] = KnownCell(
                        category_id=category_id,
                        name=self.categories[self.column[category_id]].name,
                        state=int(change["after"]),
                        source=source,
                        user=user,
                        at=at,
                        score=_score(change["after_score"]),
                        event_id=int(change["after_event"]),
                    )
            order = sorted(cells.values(), key=lambda cell: self.column[cell.category_id])
            self.known[image_id] = tuple(order)
            self.images[image_id] = replace(self.images[image_id], known=len(order))

    def _apply_counts(self, changes: Cells) -> None:
        counts = {category.id: [category.present, category.absent] for category in self.categories}
        for name, way in (("before", -1), ("after", 1)):
            for state, place in ((1, 0), (-1, 1)):
                for category_id in changes["category"][changes[name] == state].tolist():
                    counts[category_id][place] += way
        self.categories = [
            replace(category, present=present, absent=absent)
            if (present, absent) != (category.present, category.absent)
            else category
            for category in self.categories
            for present, absent in [counts[category.id]]
        ]


def _score(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _no_evidence(category: Category, prior: float) -> CellEvidence:
    """What can be said of a cell before the first model version: how common the category is."""
    return CellEvidence(
        category_id=category.id,
        name=category.name,
        probability=prior,
        threshold=0.5,
        start=float(np.log(prior / (1 - prior))),
        sources=(),
        terms=(),
        neighbours=(),
        exemplars=(),
        waiting="the model has not been trained yet",
    )
