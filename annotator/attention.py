"""Asking the worker where the model looks in a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from annotator.attention_maps import (
    ATTENTION,
    FOLDER,
    AttentionFolder,
    AttentionMap,
    NoAttention,
)
from annotator.checks import require
from annotator.db import store
from annotator.db.engine import Database
from annotator.scores import ScoreFolder
from annotator.settings import Workspace
from annotator.worker_jobs import is_alive, request_job, waiting_job

_REFUSAL_HOLDS_SECONDS = 30.0  # after that, a picture that could not be opened is tried again


@dataclass(frozen=True)
class Attention:
    """The use case of one request.

    Attributes:
        newest: gives the scores in force.
        clock: gives the time, aware.
    """

    workspace: Workspace
    database: Database
    newest: Callable[[Connection], ScoreFolder | None]
    clock: Callable[[], datetime]

    def find(self, image_id: int, category_id: int) -> AttentionMap | NoAttention:
        """The map of the model in force; asks the worker for it if it is not there yet.

        Raises:
            NotFound: if there is no such picture or category.
        """
        config = {"image": image_id, "category": category_id}
        with self.database.reading() as connection:
            require(store.image(connection, image_id), "image", image_id)
            categories = {category.id for category in store.categories(connection)}
            require(category_id if category_id in categories else None, "category", category_id)
            scores = self.newest(connection)
            alive = is_alive(connection, self.clock())
            asked = waiting_job(connection, ATTENTION, config) is not None
        refusal = _no_model(scores, category_id)
        if scores is None or refusal is not None:
            return NoAttention(refusal or "", again=False)
        folder = AttentionFolder(self.workspace.path / FOLDER)
        found = folder.get(scores.version, image_id, category_id)
        if found is not None:
            answer, age = found
            if isinstance(answer, AttentionMap) or age < _REFUSAL_HOLDS_SECONDS:
                return answer
        if not alive:
            # It may be starting: with the server, or after it was killed.
            return NoAttention("the trainer does not run; the map comes when it does", again=True)
        if not asked:
            with self.database.writing() as connection:
                request_job(connection, ATTENTION, config, self.clock())
        return NoAttention("the trainer is working it out", again=True)


def _no_model(scores: ScoreFolder | None, category_id: int) -> str | None:
    """Why the model in force cannot look for a category; None if it can."""
    if scores is None:
        return "the model has not been trained yet"
    if scores.column(category_id) < 0:
        return "the model has not seen this category yet"
    waiting = scores.model.waiting.get(category_id)
    return None if waiting is None else f"this category has no model yet: it {waiting}"
