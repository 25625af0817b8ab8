"""/api/v1: what the labelling pages, scripts and tests use. One function per route.

Routes are plain functions, so the server runs them in its threads: the service may wait for the
database without holding up other requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from threading import BoundedSemaphore
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Header, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from annotator.errors import AnnotatorError, Conflict, InvalidInput, NotFound
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import CellChange, UndoResult
from annotator.web.downloads import Downloads
from annotator.web.models import (
    CategoryCountsOut,
    CategoryOut,
    ChangeOut,
    DecisionIn,
    DecisionOut,
    ErrorBody,
    EvidenceOut,
    ExportIn,
    ExportOut,
    ImageOut,
    NewCategories,
    NewUser,
    QueueOut,
    QueuePageOut,
    StatusOut,
    UndoIn,
    UndoOut,
    UserOut,
)
from annotator.web.pictures import Picture, full_picture, screen_picture
from annotator.web.thumbnails import Thumbnails

PREFIX = "/api/v1"
MAX_AHEAD = 20
MOST_THUMBNAILS = 200
BYTES = "application/octet-stream"
MOVED = 421
"""HTTP "misdirected request": the page belongs to another workspace than the one served."""

_IMMUTABLE = "private, max-age=31536000, immutable"
_IN_ONE_PIECE = 4 << 20  # bytes
_DECODERS = 2  # pictures decoded at once; a photograph of 60 megapixels takes 180 MB

User = Annotated[
    int, Header(alias="X-Annotator-User", description="Id of the person, from POST /users.", ge=1)
]


def workspace_identity(workspace: Workspace) -> str:
    """Short id of a workspace: another folder, or the same one made anew, has another.

    Pages keep unsent decisions and cached pictures under it, so that a second workspace on the
    same address never gets those of the first.
    """
    made = (workspace.path / "workspace.toml").stat().st_mtime_ns
    return sha256(f"{workspace.path}\n{workspace.database_url}\n{made}".encode()).hexdigest()[:16]


def make_router(
    service: AnnotationService,
    workspace: Workspace,
    downloads: Downloads,
    trainer: Callable[[], str],
) -> APIRouter:
    """All routes.

    Args:
        service: carries out every request.
        workspace: for names, and where pictures and thumbnails are.
        downloads: keeps exported files until they are fetched.
        trainer: the state of the trainer's process in one line.
    """
    identity = workspace_identity(workspace)
    decoders = BoundedSemaphore(_DECODERS)
    thumbnails = Thumbnails(workspace, service, decoders)
    router = APIRouter(
        prefix=PREFIX,
        responses={
            code: {"model": ErrorBody, "description": text}
            for code, text in (
                (404, "NotFound: no such image, category or user"),
                (409, "Conflict: contradicts what is stored"),
                (422, "InvalidInput: a value is wrong"),
            )
        },
    )

    @router.get("/status", response_model=StatusOut)
    def status(request: Request) -> Response:
        """Workspace, counts, newest model version, what the trainer does."""
        check_workspace(request, identity)
        return _written(StatusOut.of(service.status(), workspace, identity, trainer()))

    @router.get("/categories")
    def categories() -> list[CategoryOut]:
        """All categories in list order."""
        return [
            CategoryOut(id=c.id, name=c.name, present=c.present, absent=c.absent)
            for c in service.categories()
        ]

    @router.post("/categories")
    def add_categories(body: NewCategories, user: User) -> list[CategoryOut]:
        """Add categories; their cells are unknown. Answers with the new ones."""
        return [
            CategoryOut(id=c.id, name=c.name, present=c.present, absent=c.absent)
            for c in service.add_categories(body.names, user_id=user)
        ]

    @router.post("/users")
    def ensure_user(body: NewUser) -> UserOut:
        """The person of this name, made if there is none."""
        user = service.ensure_user(body.name)
        return UserOut(id=user.id, name=user.name)

    @router.get("/queues")
    def queues() -> list[QueueOut]:
        """The queues there are, in the order in which to offer them."""
        return [QueueOut(**vars(queue)) for queue in service.queues()]

    @router.get("/queues/{queue}/next", response_model=QueuePageOut)
    def next_images(
        queue: str,
        user: User,
        count: Annotated[int, Query(ge=1, le=MAX_AHEAD)] = 1,
        after: Annotated[int | None, Query(description="Continue behind this image.")] = None,
    ) -> Response:
        """The next pictures to look at."""
        page = service.next_images(user, queue, count=count, after=after)
        return _written(
            QueuePageOut(
                images=[ImageOut.of(image) for image in page.images],
                position=page.position + 1,
                total=page.total,
                blind=page.blind,
            )
        )

    @router.get("/images/{image}")
    def image_state(image: int) -> ImageOut:
        """What is known and suggested for one picture."""
        return ImageOut.of(service.image_state(image))

    @router.get("/images/{image}/categories/{category}/evidence", response_model=EvidenceOut)
    def evidence(image: int, category: int, model_version: int | None = None) -> Response:
        """Why: everything that speaks for and against one cell, by that version or the newest."""
        found = service.evidence(image, category, model_version_id=model_version)
        return _written(EvidenceOut.of(found))

    @router.get("/images/{image}/picture", response_class=Response)
    def picture(
        image: int,
        request: Request,
        size: Literal["screen", "original"] = "screen",
        w: Annotated[str, Query(description="Workspace id; makes the answer cacheable.")] = "",
    ) -> Response:
        """The picture, upright; `screen` is a JPEG of at most 2048 pixels."""
        row = service.image(image)
        headers = _cache_headers(f"{row.sha256}-{size}", w == identity)
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        path = workspace.image_path(row.path)
        with decoders:
            found = screen_picture(path) if size == "screen" else full_picture(path)
        return _picture_response(found, headers)

    @router.get("/images/{image}/thumbnail", response_class=Response)
    def thumbnail(
        image: int,
        request: Request,
        w: Annotated[str, Query(description="Workspace id; makes the answer cacheable.")] = "",
    ) -> Response:
        """A small JPEG from the workspace's cache, made again if it was lost."""
        headers = _cache_headers(thumbnails.hash(image), w == identity)
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(thumbnails.read(image), media_type="image/jpeg", headers=headers)

    @router.get("/thumbnails", response_class=Response)
    def thumbnails_of(
        images: Annotated[str, Query(description="Ids: 3,17", pattern=r"^\d{1,15}(,\d{1,15})*$")],
        w: Annotated[str, Query(description="Workspace id; makes the answer cacheable.")] = "",
    ) -> Response:
        """Many small JPEGs at once, each after its length in four bytes, most significant first.

        A length of 0: it cannot be had this quickly; ask for it alone.
        """
        wanted = [int(number) for number in images.split(",")]
        if len(wanted) > MOST_THUMBNAILS:
            raise InvalidInput(f"{len(wanted)} thumbnails are too many (at most {MOST_THUMBNAILS})")
        content, complete = thumbnails.together(wanted)
        headers = {"Cache-Control": _cache_control(w == identity and complete)}
        return Response(content, headers=headers, media_type=BYTES)

    @router.post("/decisions", response_model=DecisionOut)
    def decide(body: DecisionIn, user: User, request: Request) -> Response:
        """Decide cells, or make them unknown again. On disk before the answer begins."""
        check_workspace(request, identity)
        decided = service.decided(
            user,
            [CellChange(c.image, c.category, c.state) for c in body.cells],
            key=body.key,
            source=body.source,
            model_version_id=body.model_version,
        )

        def answer() -> DecisionOut:
            result = decided.result()
            return DecisionOut(
                event=result.event_id,
                repeated=result.repeated,
                images=[ImageOut.of(image) for image in result.images],
            )

        return _saved(answer)

    @router.get("/undo")
    def last_change(user: User) -> ChangeOut | None:
        """What undo takes back if no change is named; null if there is nothing left."""
        newest = service.own_changes.newest(user)
        return None if newest is None else ChangeOut.of(newest)

    @router.post("/undo", response_model=UndoOut)
    def undo(body: UndoIn, user: User, request: Request) -> Response:
        """Take back a change of the caller, a batch as one. On disk before the answer begins."""
        check_workspace(request, identity)
        event = body.event if body.of is None else service.own_changes.event_of(user, body.of)
        taken_back = service.taken_back(user, key=body.key, event_id=event)

        def answer() -> UndoOut:
            result = taken_back.result()
            change = ChangeOut.of(service.own_changes.told(result.undone_event_id))
            return UndoOut(
                event=result.event_id,
                undone=result.undone_event_id,
                repeated=result.repeated,
                summary=_undo_text(result, change),
                left=result.left_count,
                images=[ImageOut.of(image) for image in result.images],
            )

        return _saved(answer)

    @router.post("/exports")
    def export(body: ExportIn) -> ExportOut:
        """Write all labels to a file, read it back, compare, and keep it to be fetched."""
        download, exported = downloads.export(service, body.format)
        return ExportOut(
            address=f"{PREFIX}/exports/{download.token}",
            name=download.name,
            images=exported.images,
            categories=[
                CategoryCountsOut(
                    name=c.name, present=c.file[0], absent=c.file[1], unknown=c.file[2]
                )
                for c in exported.categories
            ],
        )

    @router.get("/exports/{token}", response_class=FileResponse)
    def fetch_export(token: str) -> FileResponse:
        """The file of an export."""
        download = downloads.get(token)
        return FileResponse(download.path, filename=download.name)

    return router


def install_error_bodies(app: FastAPI) -> None:
    """Make every refusal JSON `{error, kind}` with a text for the person."""

    @app.exception_handler(AnnotatorError)
    async def ours(_: Request, error: AnnotatorError) -> JSONResponse:
        kinds = ((NotFound, 404), (Conflict, 409), (InvalidInput, 422))
        code = next((code for kind, code in kinds if isinstance(error, kind)), 503)
        return _error(code, str(error), type(error).__name__)

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        return _error(422, "; ".join(_field(e) for e in error.errors()), "InvalidInput")

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        kind = "OtherWorkspace" if error.status_code == MOVED else "Refused"
        return _error(error.status_code, str(error.detail), kind)

    @app.exception_handler(OperationalError)
    async def busy(_: Request, error: OperationalError) -> JSONResponse:
        # The page keeps what it wanted to save and asks again.
        text = f"the label database does not answer: {error.orig} (it is tried again)"
        return _error(503, text, "Busy")


def check_workspace(request: Request, identity: str) -> None:
    """Refuse a page that belongs to another workspace: ids mean something else there.

    Raises:
        HTTPException: 421.
    """
    named = request.headers.get("x-annotator-workspace")
    if named is not None and named != identity:
        raise HTTPException(
            MOVED,
            "another workspace is served at this address now (reload the page; what was not "
            "saved stays in this browser until the former workspace is served here again)",
        )


def _cache_headers(tag: str, forever: bool) -> dict[str, str]:
    return {"ETag": f'"{tag}"', "Cache-Control": _cache_control(forever)}


def _cache_control(forever: bool) -> str:
    # Ids start at 1 in every workspace, so an address without the workspace may not be kept.
    return _IMMUTABLE if forever else "private, no-cache"


def _written(answer: BaseModel) -> Response:
    """An answer that a person waits for, as JSON.

    It is written in the thread that made it. Left to FastAPI it would be checked once more, in a
    second thread, and written where all requests are accepted.
    """
    return Response(answer.model_dump_json(by_alias=True), media_type="application/json")


def _saved(answer: Callable[[], BaseModel]) -> Response:
    """Says at once that a change is on disk; its answer follows when it is worked out.

    The page takes the first line as the acknowledgement. Where the rest does not come, it asks
    again with the same key.
    """

    async def content() -> AsyncIterator[bytes]:
        yield await run_in_threadpool(lambda: answer().model_dump_json(by_alias=True).encode())

    return StreamingResponse(content(), media_type="application/json")


def _picture_response(picture: Picture, headers: dict[str, str]) -> Response:
    content = picture.content
    if picture.file is not None:
        if picture.file.stat().st_size > _IN_ONE_PIECE:
            return FileResponse(picture.file, media_type=picture.media_type, headers=headers)
        content = picture.file.read_bytes()  # a stream asks a thread for each of its steps
    return Response(content, media_type=picture.media_type, headers=headers)


def _undo_text(result: UndoResult, change: ChangeOut) -> str:
    text = f"Taken back: {change.text} ({change.where})"
    if result.left_count:
        text += f"; {result.left_count:,} left alone, changed by somebody else since"
    return text


def _field(error: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in error["loc"] if part not in ("body", "query", "path"))
    return f"{where or 'body'}: {error['msg']}, got {error.get('input')!r:.100}"


def _error(code: int, text: str, kind: str) -> JSONResponse:
    return JSONResponse({"error": text, "kind": kind}, status_code=code)
