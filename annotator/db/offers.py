"""SQL of suggestions: what was handed out, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, update

from annotator.db import schema as t
from annotator.db.cells import Cells
from annotator.db.statements import many
from annotator.suggestions import Suggestion
from annotator.types import StoredSuggestion

OFFERED, ACCEPTED, REJECTED, WITHDRAWN = "offered", "accepted", "rejected", "withdrawn"


def offer(
    connection: Connection, image_id: int, version: int, suggestions: Iterable[Suggestion]
) -> None:
    """Note what is suggested for a picture now; earlier open suggestions no longer stand."""
    of_image = {"image": image_id, "version": version}
    connection.execute(_REPLACE_OFFERS, of_image)
    connection.execute(_WITHDRAW_OLDER, of_image)
    rows = [_suggestion_row(image_id, version, s) for s in suggestions if s.source != "prior"]
    many(connection, _ADD_SUGGESTION, rows)


_REPLACE_OFFERS = delete(t.suggestion).where(
    t.suggestion.c.image_id == bindparam("image"),
    t.suggestion.c.model_version_id == bindparam("version"),
    t.suggestion.c.status.in_((OFFERED, WITHDRAWN)),
)
_WITHDRAW_OLDER = (
    update(t.suggestion)
    .where(
        t.suggestion.c.image_id == bindparam("image"),
        t.suggestion.c.model_version_id != bindparam("version"),
        t.suggestion.c.status == OFFERED,
    )
    .values(status=WITHDRAWN)
)
_ADD_SUGGESTION = insert(t.suggestion)


def _suggestion_row(image_id: int, version: int, suggestion: Suggestion) -> dict[str, Any]:
    reasons = [
        {
            "source": reason.source,
            "text": reason.text,
            "contribution": round(reason.contribution, 4),
            "category_ids": list(reason.category_ids),
            "image_count": reason.image_count,
        }
        for reason in suggestion.reasons
    ]
    return {
        "image_id": image_id,
        "category_id": suggestion.category_id,
        "model_version_id": version,
        "source": suggestion.source,
        "score": suggestion.probability,
        "threshold": suggestion.threshold,
        "status": OFFERED,
        "reasons": reasons,
        "event_id": None,
    }


def answer_suggestions(connection: Connection, cells: Cells, event_id: int) -> None:
    """Note what was decided about suggested cells: accepted, rejected, or withdrawn if unknown."""
    status = {1: ACCEPTED, -1: REJECTED, 0: WITHDRAWN}
    triples = zip(*(cells[n].tolist() for n in ("image", "category", "after")), strict=True)
    answers = [{"i": i, "c": c, "s": status[s], "e": event_id} for i, c, s in triples]
    many(connection, _ANSWER, answers)


_ANSWER = (
    update(t.suggestion)
    .where(
        t.suggestion.c.image_id == bindparam("i"),
        t.suggestion.c.category_id == bindparam("c"),
        t.suggestion.c.status != WITHDRAWN,
    )
    .values(status=bindparam("s"), event_id=bindparam("e"))
)


def reopen_suggestions(connection: Connection, cells: Cells, undone: int) -> None:
    """Take the answers of an undone event back; ``cells`` are those of the event that undoes."""
    status = {1: ACCEPTED, -1: REJECTED, 0: OFFERED}
    names = ("image", "category", "after", "after_event")
    rows = zip(*(cells[n].tolist() for n in names), strict=True)
    answers = [
        {"i": i, "c": c, "s": status[s], "e": e or None, "undone": undone} for i, c, s, e in rows
    ]
    many(connection, _REOPEN, answers)


_REOPEN = (
    update(t.suggestion)
    .where(
        t.suggestion.c.image_id == bindparam("i"),
        t.suggestion.c.category_id == bindparam("c"),
        t.suggestion.c.event_id == bindparam("undone"),
    )
    .values(status=bindparam("s"), event_id=bindparam("e"))
)


def withdraw_decided_suggestions(connection: Connection, event_id: int) -> None:
    """Close open suggestions whose cells a bulk event has decided: nobody answered them."""
    c, d = t.suggestion.c, t.decision.c
    same_cell = and_(d.image_id == c.image_id, d.category_id == c.category_id)
    made_now = select(d.state).where(same_cell, d.event_id == event_id).exists()
    connection.execute(
        update(t.suggestion)
        .where(c.status == OFFERED, made_now)
        .values(status=WITHDRAWN, event_id=event_id)
    )


def reopen_withdrawn_suggestions(connection: Connection, event_id: int) -> None:
    """Take `withdraw_decided_suggestions` back."""
    connection.execute(
        update(t.suggestion)
        .where(t.suggestion.c.event_id == event_id)
        .values(status=OFFERED, event_id=None)
    )


def suggestion_rows(connection: Connection, image_id: int) -> list[StoredSuggestion]:
    """All stored suggestions of a picture, oldest model version first."""
    c = t.suggestion.c
    rows = connection.execute(
        select(t.suggestion)
        .where(c.image_id == image_id)
        .order_by(c.model_version_id, c.score.desc(), c.category_id)
    )
    return [StoredSuggestion(*row) for row in rows]
