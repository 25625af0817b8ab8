"""Reads what a request is about to show: pictures, decisions, categories and scores in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from annotator.db import model_work, offers, store
from annotator.open_scores import OpenScores
from annotator.scores import ScoreFolder
from annotator.types import ImageState
from annotator.views import View

SUGGESTIONS_SHOWN = 24
"""Suggestions in the state of a picture unless asked otherwise."""

FULL_STATES = 8
"""Pictures up to which an answer carries whole states."""


class ViewReader:
    """Makes the views of requests, all on the scores that are in force. Thread-safe.

    Args:
        open_scores: of the workspace.
    """

    def __init__(self, open_scores: OpenScores) -> None:
        self._open_scores = open_scores

    def scores(self, connection: Connection, version: int | None = None) -> ScoreFolder | None:
        """Scores of this version if they are still there, else of the newest; None before any."""
        newest = model_work.ready_versions(connection)
        return self._open_scores.newest(newest if version is None else [version, *newest])

    def view(
        self,
        connection: Connection,
        image_ids: Sequence[int],
        version: int | None = None,
        *,
        cells: bool = True,
    ) -> View:
        """Read what a request on these pictures needs.

        Args:
            connection: of a transaction.
            image_ids: of the pictures; those that do not exist are missing in the view.
            version: of the model whose scores are preferred, else the newest.
            cells: whether decisions are read; without them there are no states.
        """
        categories = store.categories(connection)
        return View(
            categories=categories,
            images=store.images(connection, image_ids),
            known=store.known_cells(connection, image_ids, categories) if cells else None,
            scores=self.scores(connection, version),
        )

    def states(self, connection: Connection, image_ids: Sequence[int]) -> tuple[ImageState, ...]:
        """State of each picture as it is shown, by the newest scores."""
        return self.view(connection, image_ids).states(image_ids, SUGGESTIONS_SHOWN)


def offer_shown(connection: Connection, states: Iterable[ImageState]) -> None:
    """Note the suggestions that these states carry to a person; see `offers.offer`."""
    for state in states:
        if state.model_version_id is not None:
            offers.offer(connection, state.id, state.model_version_id, state.suggestions)
