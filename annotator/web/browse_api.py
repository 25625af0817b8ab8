"""/api/v1/browse: lists of pictures by filter and order, deciding a selection, look-alikes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from annotator.browse import MAX_WINDOW
from annotator.look_alikes import CUT, LOWEST_CUT
from annotator.service import AnnotationService
from annotator.web.api import PREFIX, User, check_workspace
from annotator.web.browse_models import (
    BulkIn,
    BulkOut,
    ChoicesOut,
    CountOut,
    GroupOut,
    GroupPageOut,
    ListIn,
    ListOut,
    NowOut,
    PlaceOut,
    SelectionIn,
    TileOut,
    WindowOut,
)


def make_browse_router(service: AnnotationService, identity: str) -> APIRouter:
    """The routes.

    Args:
        service: carries out every request.
        identity: of the workspace served.
    """
    router = APIRouter(prefix=f"{PREFIX}/browse")
    _add_lists(router, service, identity)
    _add_deciding(router, service, identity)
    _add_look_alikes(router, service)
    return router


def _add_lists(router: APIRouter, service: AnnotationService, identity: str) -> None:
    """Pictures by filter and order."""
    browser = service.browser

    @router.get("/choices")
    def choices() -> ChoicesOut:
        """People, sources and categories that filters can name."""
        return ChoicesOut.of(browser.choices())

    @router.post("/lists")
    def make_list(body: ListIn, request: Request) -> ListOut:
        """Find pictures and keep them as a list, in order."""
        check_workspace(request, identity)
        where = None if body.where is None else body.where.condition()
        return ListOut.of_found(browser.search(where, body.sort.order()))

    @router.get("/lists/{name}")
    def window(
        name: str,
        start: Annotated[int, Query(ge=0)] = 0,
        count: Annotated[int, Query(ge=1, le=MAX_WINDOW)] = 100,
        category: Annotated[
            int | None, Query(description="Whose state and probability to tell.")
        ] = None,
    ) -> WindowOut:
        """Some pictures of a list, as they are now."""
        found = browser.window(name, start, count, category)
        return WindowOut(
            start=start,
            pictures=[TileOut.of(tile) for tile in found.tiles],
            event=found.event_id,
            model_version=found.model_version_id,
        )

    @router.get("/lists/{name}/now")
    def now(name: str) -> NowOut:
        """Whether a list that is asked for anew would be another one."""
        total, same = browser.now(name)
        return NowOut(total=total, same=same)

    @router.get("/lists/{name}/place")
    def place(name: str, image: int) -> PlaceOut:
        """Where a picture stands in a list."""
        return PlaceOut(place=browser.place(name, image))


def _add_deciding(router: APIRouter, service: AnnotationService, identity: str) -> None:
    """Deciding a selection of a list."""
    browser = service.browser

    @router.post("/lists/{name}/count")
    def count(name: str, body: SelectionIn, request: Request) -> CountOut:
        """What deciding this selection would meet."""
        check_workspace(request, identity)
        return CountOut(**vars(browser.preview(body.selection(name), body.category)))

    @router.post("/lists/{name}/decisions")
    def decide(name: str, body: BulkIn, user: User, request: Request) -> BulkOut:
        """Decide a selection that was counted. On disk before the answer; one undo."""
        check_workspace(request, identity)
        result = browser.decide(
            user,
            body.selection(name),
            body.category,
            body.state,
            check=body.check,
            overwrite=body.overwrite,
            key=body.key,
        )
        return BulkOut.of(result)


def _add_look_alikes(router: APIRouter, service: AnnotationService) -> None:
    """Pictures that look alike."""

    @router.get("/near-duplicates")
    def near_duplicates(
        cut: Annotated[float, Query(ge=LOWEST_CUT, le=1, description="Lowest cosine.")] = CUT,
        start: Annotated[int, Query(ge=0)] = 0,
        count: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> GroupPageOut:
        """Groups of pictures that look alike, those with differing labels first."""
        page = service.browser.near_duplicates(cut=cut, start=start, count=count)
        places = {c.id: (place, c) for place, c in enumerate(service.categories())}
        return GroupPageOut(
            groups=[GroupOut.of(group, places) for group in page.groups],
            total=page.total,
            pictures=page.images,
            differing=page.differing,
            cut=page.cut,
            model_version=page.model_version_id,
        )
