"""/api/v1/sweep: pages of one category, and which categories are worth a page.

An accepted page goes to `POST /decisions` with the source `sweep`; `POST /undo` takes it back.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from annotator import sweeping
from annotator.precision import Share
from annotator.service import AnnotationService
from annotator.web.api import PREFIX, User, check_workspace

MOST_WITHOUT = 5_000
"""Most pictures that a page can be told to leave out."""

SideName = Literal["present", "absent", "both"]


class ShareOut(BaseModel):
    """How many past suggestions were right, with the exact 95 % interval of that share."""

    right: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, share: Share) -> Self:
        """From the service's share."""
        low, high = share.interval()
        return cls(right=share.right, total=share.total, low=low, high=high)


class SweepCategoryOut(BaseModel):
    """A category and what a page of it promises."""

    id: int
    name: str
    unknown: int = Field(description="Undecided cells, with and without a suggestion.")
    present: int = Field(description="Undecided cells suggested present.")
    absent: int = Field(description="Undecided cells suggested absent.")
    share: ShareOut = Field(description="Past suggestions of the side that was asked for.")
    verdict: Literal["good", "open", "unmeasured", "below"] = Field(
        description="`below`: even the upper end of the interval is below the minimum; better "
        "asked in Focus. `open`: the interval reaches it, the share does not."
    )
    waits_for: str = Field(description="Why the model has no suggestion; empty if it can have.")


class SweepListOut(BaseModel):
    """All categories, the most useful first."""

    categories: list[SweepCategoryOut]
    model_version: int | None
    minimum: float = Field(description="Share of right suggestions this person asks for, 0-1.")

    @classmethod
    def of(cls, found: sweeping.SweepList) -> Self:
        """From the service's list."""
        return cls(
            categories=[
                SweepCategoryOut(
                    id=one.id,
                    name=one.name,
                    unknown=one.unknown,
                    present=one.present,
                    absent=one.absent,
                    share=ShareOut.of(one.share),
                    verdict=one.verdict,
                    waits_for=one.waits_for,
                )
                for one in found.categories
            ],
            model_version=found.model_version_id,
            minimum=found.minimum,
        )


class TileOut(BaseModel):
    """One cell: probability of present, and 1 present or -1 absent as suggested."""

    image: int
    file_name: str
    probability: float
    suggested: Literal[-1, 1]


class SweepPageOut(BaseModel):
    """Tiles of one category, this person's alone for ten minutes."""

    category: int
    name: str
    side: SideName
    model_version: int | None
    threshold: float | None
    tiles: list[TileOut]
    present: int = Field(description="Undecided cells suggested present, these tiles included.")
    absent: int = Field(description="Undecided cells suggested absent, these tiles included.")
    elsewhere: int = Field(description="Undecided cells that other people have on their pages.")
    waits_for: str

    @classmethod
    def of(cls, page: sweeping.SweepPage) -> Self:
        """From the service's page."""
        return cls(
            category=page.category_id,
            name=page.name,
            side=page.side,  # type: ignore[arg-type]
            model_version=page.model_version_id,
            threshold=page.threshold,
            tiles=[
                TileOut(
                    image=tile.image_id,
                    file_name=tile.file_name,
                    probability=tile.probability,
                    suggested=1 if tile.suggested > 0 else -1,
                )
                for tile in page.tiles
            ],
            present=page.present,
            absent=page.absent,
            elsewhere=page.elsewhere,
            waits_for=page.waits_for,
        )


class ReleaseIn(BaseModel):
    """Tiles that are given back undecided."""

    images: list[int] = Field(max_length=MOST_WITHOUT)


class MinimumIn(BaseModel):
    """Share of right suggestions below which categories are pointed to Focus."""

    minimum: float = Field(ge=0, le=1, examples=[0.95])


def make_sweep_router(service: AnnotationService, identity: str) -> APIRouter:
    """The routes of the Sweep page.

    Args:
        service: carries out every request.
        identity: of the workspace, against pages of another one.
    """
    router = APIRouter(prefix=f"{PREFIX}/sweep")
    sweep = service.sweeping

    @router.get("/categories")
    def categories(user: User, request: Request, side: SideName = "present") -> SweepListOut:
        """Which categories are worth a page, the most useful first."""
        check_workspace(request, identity)
        return SweepListOut.of(sweep.categories(user, side))

    @router.get("/categories/{category}/page")
    def page(
        category: int,
        user: User,
        request: Request,
        side: SideName = "present",
        count: Annotated[int, Query(ge=1, le=sweeping.MOST_TILES)] = 60,
        without: Annotated[
            str,
            Query(description="Images left out: 3,17", pattern=r"^(\d{1,15}(,\d{1,15})*)?$"),
        ] = "",
    ) -> SweepPageOut:
        """The next tiles, surest suggestions first."""
        check_workspace(request, identity)
        left_out = [int(number) for number in without.split(",") if number][:MOST_WITHOUT]
        return SweepPageOut.of(sweep.page(user, category, side, count=count, without=left_out))

    @router.post("/categories/{category}/release")
    def release(category: int, body: ReleaseIn, user: User, request: Request) -> ReleaseIn:
        """Give tiles back that were left without a decision."""
        check_workspace(request, identity)
        sweep.release(user, category, body.images)
        return body

    @router.post("/minimum")
    def set_minimum(body: MinimumIn, user: User, request: Request) -> MinimumIn:
        """Set the caller's minimum precision."""
        check_workspace(request, identity)
        sweep.set_minimum(user, body.minimum)
        return body

    return router
