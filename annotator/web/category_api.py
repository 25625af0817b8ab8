"""/api/v1/categories: rename, merge, remove and move, each one event that can be taken back."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from annotator.category_changes import CategoryChange
from annotator.service import AnnotationService
from annotator.web.api import PREFIX, User
from annotator.web.models import CategoryOut, Key

OnConflict = Literal["present", "absent", "keep", "unknown"]


class RenameIn(BaseModel):
    """Another name for a category."""

    key: Key
    name: str = Field(min_length=1, max_length=200, examples=["mug"])


class MergeIn(BaseModel):
    """Which category stays, and what cells become that contradict each other."""

    key: Key
    into: int
    on_conflict: OnConflict = "keep"


class MoveIn(BaseModel):
    """Place in the list, from 1."""

    key: Key
    place: int = Field(ge=1)


class RemoveIn(BaseModel):
    """Remove with all known cells."""

    key: Key


class TakeBackIn(BaseModel):
    """Take an event back, whosever it is."""

    key: Key


class MergePreviewOut(BaseModel):
    """What a merge would do, in cells."""

    carried: int = Field(description="Known here, unknown there.")
    equal: int
    present_absent: int = Field(description="Present here, absent there.")
    absent_present: int
    proposals: int = Field(description="Proposed contracts over several categories that end.")


class RemovalPreviewOut(BaseModel):
    """Known cells that would become unknown, and open suggestions that would go."""

    present: int
    absent: int
    suggestions: int
    proposals: int = Field(description="Proposed contracts over several categories that end.")


class CategoryChangeOut(BaseModel):
    """What was changed; `event` can be taken back."""

    event: int
    repeated: bool
    cells: int
    categories: list[CategoryOut]

    @classmethod
    def of(cls, change: CategoryChange) -> Self:
        """From the service's change."""
        return cls(
            event=change.event_id,
            repeated=change.repeated,
            cells=change.cells,
            categories=[
                CategoryOut(id=c.id, name=c.name, present=c.present, absent=c.absent)
                for c in change.categories
            ],
        )


class TakenBackOut(BaseModel):
    """What was taken back, in cells."""

    event: int
    cells: int
    left: int = Field(description="Cells left alone, as they were changed since.")


def make_category_router(service: AnnotationService) -> APIRouter:
    """Routes of category changes.

    Args:
        service: carries out every request.
    """
    router = APIRouter(prefix=PREFIX)
    changes = service.category_changes

    @router.get("/categories/{category}/merge")
    def preview_merge(
        category: int, into: Annotated[int, Query(description="The category that stays.")]
    ) -> MergePreviewOut:
        """Count what a merge would do; nothing is changed."""
        found = changes.preview_merge(category, into)
        return MergePreviewOut(
            carried=found.carried,
            equal=found.equal,
            present_absent=found.present_absent,
            absent_present=found.absent_present,
            proposals=found.proposals,
        )

    @router.post("/categories/{category}/merge")
    def merge(category: int, body: MergeIn, user: User) -> CategoryChangeOut:
        """Carry the known cells over into another category and remove this one."""
        return CategoryChangeOut.of(
            changes.merge(user, category, body.into, on_conflict=body.on_conflict, key=body.key)
        )

    @router.get("/categories/{category}/remove")
    def preview_removal(category: int) -> RemovalPreviewOut:
        """Count what removing would make unknown; nothing is changed."""
        return RemovalPreviewOut(**vars(changes.preview_removal(category)))

    @router.post("/categories/{category}/remove")
    def remove(category: int, body: RemoveIn, user: User) -> CategoryChangeOut:
        """Remove a category; its cells become unknown."""
        return CategoryChangeOut.of(changes.remove(user, category, key=body.key))

    @router.post("/categories/{category}/rename")
    def rename(category: int, body: RenameIn, user: User) -> CategoryChangeOut:
        """Give a category another name; its cells stay."""
        return CategoryChangeOut.of(changes.rename(user, category, body.name, key=body.key))

    @router.post("/categories/{category}/move")
    def move(category: int, body: MoveIn, user: User) -> CategoryChangeOut:
        """Move a category to another place of the list."""
        return CategoryChangeOut.of(changes.move(user, category, body.place, key=body.key))

    @router.post("/events/{event}/undo")
    def take_back(event: int, body: TakeBackIn, user: User) -> TakenBackOut:
        """Take one event back: a change of categories, an import, a batch."""
        done = service.undo(user, key=body.key, event_id=event)
        return TakenBackOut(event=done.event_id, cells=done.cells, left=done.left_count)

    return router
