"""What travels over /api/v1, as pydantic models; the OpenAPI page is made from them."""

from __future__ import annotations

from datetime import datetime
from math import isnan
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from annotator import suggestions, types
from annotator.own_changes import OwnChange
from annotator.settings import Workspace
from annotator.web.source_words import SOURCES

MAX_CELLS = 5_000
"""Most cells in one decision of a page; larger changes are imports."""

State = Literal[-1, 0, 1]
Key = Annotated[
    str,
    Field(
        min_length=8,
        max_length=100,
        description="Idempotency key: repeating a request with the same key changes nothing "
        "and answers the same.",
        examples=["5f0c1d0e-6c0b-4a59-a6d4-3b3f6c2f0a11"],
    ),
]


class ErrorBody(BaseModel):
    """Body of every answer that is not a success."""

    error: str = Field(description="For the person: what was wrong, what was expected.")
    kind: str = Field(description="InvalidInput, NotFound, Conflict, …")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": "there is no image 7", "kind": "NotFound"}]}
    )


class NewUser(BaseModel):
    """A name to work under."""

    name: str = Field(min_length=1, max_length=200, examples=["ana"])


class UserOut(BaseModel):
    """A person."""

    id: int
    name: str


class CategoryOut(BaseModel):
    """A category and how many of its cells are known."""

    id: int
    name: str
    present: int
    absent: int


class NewCategories(BaseModel):
    """Names to add, in this order."""

    names: list[str] = Field(min_length=1, max_length=10_000, examples=[["cup", "dining table"]])


class ReasonOut(BaseModel):
    """Why a category is suggested: `ist`, `cst` or `classifier`, in plain words."""

    source: str
    text: str


class SuggestionOut(BaseModel):
    """What the model says of one category of one picture."""

    category: int
    name: str
    probability: float | None = Field(
        description="That it is present, 0-1; null in a blind question."
    )
    threshold: float | None = Field(description="From here on the model would say present.")
    above: bool
    source: str
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, s: suggestions.Suggestion) -> Self:
        """From the service's suggestion."""
        return cls(
            category=s.category_id,
            name=s.name,
            probability=None if isnan(s.probability) else s.probability,
            threshold=None if isnan(s.threshold) else s.threshold,
            above=s.above,
            source=s.source,
            reasons=[ReasonOut(source=r.source, text=r.text) for r in s.reasons],
        )


class KnownOut(BaseModel):
    """A decided cell: state 1 present, -1 absent."""

    category: int
    name: str
    state: Literal[-1, 1]
    source: str
    user: str | None
    at: datetime


class ImageOut(BaseModel):
    """What is known and suggested for one picture. A higher revision is newer."""

    id: int
    file_name: str
    width: int
    height: int
    revision: int
    cells_known: int
    cells_total: int
    known: list[KnownOut]
    suggestions: list[SuggestionOut] = Field(description="Most probable first.")
    model_version: int | None
    again: list[SuggestionOut] | None = Field(
        description="Decided cells that the evidence contradicts, most contradicted first, with "
        "what speaks against the decision; null but in the queue `look-again`."
    )

    @classmethod
    def of(cls, image: types.ImageState) -> Self:
        """From the service's state."""
        return cls(
            id=image.id,
            file_name=image.file_name,
            width=image.width,
            height=image.height,
            revision=image.revision,
            cells_known=image.cells_known,
            cells_total=image.cells_total,
            known=[
                KnownOut(
                    category=c.category_id,
                    name=c.name,
                    state=1 if c.state > 0 else -1,
                    source=c.source,
                    user=c.user,
                    at=c.at,
                )
                for c in image.known
            ],
            suggestions=[SuggestionOut.of(s) for s in image.suggestions],
            model_version=image.model_version_id,
            again=None if image.again is None else [SuggestionOut.of(s) for s in image.again],
        )


class QueuePageOut(BaseModel):
    """The next pictures of a queue."""

    images: list[ImageOut]
    position: int = Field(description="Number of the first one in this person's pass, from 1.")
    total: int = Field(description="Pictures in this pass.")
    blind: bool = Field(description="Show neither what the model says nor what is known.")


class QueueOut(BaseModel):
    """A queue that can be chosen."""

    name: str
    words: str = Field(description="For the person who chooses.")
    waiting: int = Field(description="Pictures that still have something to decide in it.")
    blind: bool


class CellIn(BaseModel):
    """One cell: state 1 present, -1 absent, 0 unknown again."""

    image: int
    category: int
    state: State


class DecisionIn(BaseModel):
    """Cells decided together; undone together."""

    key: Key
    cells: list[CellIn] = Field(min_length=1, max_length=MAX_CELLS)
    source: str = Field(default="focus", pattern="^[a-z][a-z_-]{0,39}$")
    model_version: int | None = Field(
        default=None, description="Whose suggestions were on screen; kept as provenance."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "5f0c1d0e-6c0b-4a59-a6d4-3b3f6c2f0a11",
                    "source": "focus",
                    "model_version": 7,
                    "cells": [{"image": 12, "category": 3, "state": 1}],
                }
            ]
        }
    )


class DecisionOut(BaseModel):
    """The pictures as they are now."""

    event: int
    repeated: bool = Field(description="The same request had been carried out before.")
    images: list[ImageOut]


class UndoIn(BaseModel):
    """Take a change back: the one that is named, else the caller's newest that stands."""

    key: Key
    of: Key | None = Field(default=None, description="Key of the caller's request that made it.")
    event: int | None = Field(default=None, ge=1, description="Or its event, whosever it is.")

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if self.of is not None and self.event is not None:
            raise ValueError("name the change by `of` or by `event`, not by both")
        return self


class ChangeOut(BaseModel):
    """A change that can be taken back."""

    event: int
    where: str = Field(examples=["Sweep"])
    at: datetime
    text: str = Field(examples=["dog: 58 present, 2 absent"])

    @classmethod
    def of(cls, change: OwnChange) -> Self:
        """As it is told to a person."""
        where = SOURCES.get(change.source, change.source)
        return cls(event=change.event_id, where=where, at=change.at, text=change.text)


class UndoOut(BaseModel):
    """What was taken back."""

    event: int
    undone: int
    repeated: bool
    summary: str = Field(examples=["Taken back: cup present in kitchen.jpg (Focus)"])
    left: int = Field(description="Cells left alone, as somebody else has changed them since.")
    images: list[ImageOut]


class SourceOut(BaseModel):
    """What one source of evidence says; contribution in logits."""

    name: str
    kind: str
    weight: float
    value: float
    contribution: float


class TermOut(BaseModel):
    """A known label of this picture that speaks for (> 0) or against (< 0), in logits."""

    category: int
    name: str
    state: int
    contribution: float


class NearOut(BaseModel):
    """A similar picture whose label in this category is known."""

    image: int
    similarity: float
    state: int


class EvidenceOut(BaseModel):
    """All that speaks for and against one cell; `start` plus all contributions is its logit."""

    category: int
    name: str
    probability: float
    threshold: float
    start: float
    sources: list[SourceOut]
    terms: list[TermOut]
    neighbours: list[NearOut]
    exemplars: list[int] = Field(description="Typical pictures labelled with this category.")
    waiting: str | None = Field(description="What the category waits for, if it has no model.")

    @classmethod
    def of(cls, e: suggestions.CellEvidence) -> Self:
        """From the service's evidence."""
        return cls(
            category=e.category_id,
            name=e.name,
            probability=e.probability,
            threshold=e.threshold,
            start=e.start,
            sources=[SourceOut(**vars(s)) for s in e.sources],
            terms=[
                TermOut(
                    category=t.category_id, name=t.name, state=t.state, contribution=t.contribution
                )
                for t in e.terms
            ],
            neighbours=[
                NearOut(image=n.image_id, similarity=n.similarity, state=n.state)
                for n in e.neighbours
            ],
            exemplars=list(e.exemplars),
            waiting=e.waiting,
        )


class ExportIn(BaseModel):
    """Which file to make."""

    format: Literal["coco", "csv"] = "coco"


class CategoryCountsOut(BaseModel):
    """Cells of one category, the same in the database and in the file read back."""

    name: str
    present: int
    absent: int
    unknown: int


class ExportOut(BaseModel):
    """A file to fetch from `address`, and what is in it."""

    address: str
    name: str
    images: int
    categories: list[CategoryCountsOut]


class WorkspaceOut(BaseModel):
    """Which workspace is served here; the id guards against a page that is older."""

    id: str
    name: str


class CountsOut(BaseModel):
    """The project in numbers."""

    images: int
    categories: int
    cells: int
    known: int
    present: int
    absent: int
    images_open: int
    images_untouched: int


class ModelOut(BaseModel):
    """The newest model version that is ready; `number` is what people see."""

    id: int
    number: int
    kind: str
    created_at: datetime
    metrics: dict[str, Any]
    sources: list[dict[str, Any]]


class JobOut(BaseModel):
    """What the trainer does; `activity` is learning, reading, waiting, idle, paused, starting."""

    kind: str
    status: str
    activity: str
    progress: float
    message: str
    reason: str


class StatusOut(BaseModel):
    """Everything that the header shows."""

    workspace: WorkspaceOut
    counts: CountsOut
    event: int
    model: ModelOut | None
    job: JobOut | None
    worker_alive: bool
    trainer: str = Field(description="The trainer's process in one line; empty if none is run.")

    @classmethod
    def of(
        cls,
        status: types.Status,
        workspace: Workspace,
        identity: str,
        trainer: str,
    ) -> Self:
        """From the service's status."""
        version, job = status.model_version, status.job
        return cls(
            workspace=WorkspaceOut(
                id=identity, name=workspace.settings.name or workspace.path.name
            ),
            counts=CountsOut(**{name: getattr(status, name) for name in CountsOut.model_fields}),
            event=status.event_id,
            model=None
            if version is None
            else ModelOut(
                id=version.id,
                number=version.id,
                kind=version.kind,
                created_at=version.created_at,
                metrics={k: v for k, v in version.metrics.items() if k != "curve"},
                sources=[dict(source) for source in version.sources],
            ),
            job=None
            if job is None
            else JobOut(
                kind=job.kind,
                status=job.status,
                activity=str(job.config.get("activity", "")),
                progress=job.progress,
                message=job.message,
                reason=job.reason,
            ),
            worker_alive=status.worker_alive,
            trainer=trainer,
        )
