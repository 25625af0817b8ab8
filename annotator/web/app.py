"""The web application: FastAPI with /api/v1 and the modules of the pages, Gradio mounted on it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import Scope

from annotator.errors import AnnotatorError, WorkspaceError
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.training.supervisor import Supervisor
from annotator.web.api import PREFIX, install_error_bodies, make_router, workspace_identity
from annotator.web.attention_api import make_attention_router
from annotator.web.browse_api import make_browse_router
from annotator.web.category_api import make_category_router
from annotator.web.contracts_api import make_contracts_router
from annotator.web.downloads import Downloads
from annotator.web.focus_api import make_focus_router
from annotator.web.guard import LOOPBACK, Guard
from annotator.web.quick_import import importing_without
from annotator.web.still_page import StillPage
from annotator.web.sweep_api import make_sweep_router

STATIC = Path(__file__).parent / "static"
_GRACE_SECONDS = 2
_PREPARED_AFTER_SECONDS = 5.0  # the first page has been opened by then
_SWITCH_SECONDS = 0.0005
"""How long a thread waits for the interpreter while another one computes. An answer waits several
times; with Python's 5 ms a click would wait most of its time for somebody else's page."""
_QUEUE_LOOK_SECONDS = 0.1
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class _Forever(StaticFiles):
    """Files whose address contains a digest of all of them, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def create_app(
    workspace: Workspace,
    service: AnnotationService,
    *,
    trainer: Callable[[], str] = lambda: "",
    hosts: Collection[str] | None = LOOPBACK,
) -> FastAPI:
    """The whole application on one workspace.

    Args:
        workspace: for its name, its pictures and thumbnails.
        service: carries out every request; closed by the caller.
        trainer: the state of the trainer's process in one line.
        hosts: names under which it may be addressed; None: any.
    """
    downloads = Downloads()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with downloads:
            yield

    app = FastAPI(
        title="hst-annotator",
        lifespan=lifespan,
        version=version("hst-annotator"),
        description="Labels of a workspace, cell by cell: one image x one category is present (1), "
        "absent (-1) or unknown (0). Writes need the header `X-Annotator-Client` (any value) and "
        "a JSON body; the caller is named by `X-Annotator-User`.",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    install_error_bodies(app)
    app.include_router(make_router(service, workspace, downloads, trainer))
    app.include_router(make_attention_router(service))
    app.include_router(make_category_router(service))
    app.include_router(make_contracts_router(service))
    app.include_router(make_focus_router(service, workspace_identity(workspace)))
    app.include_router(make_browse_router(service, workspace_identity(workspace)))
    app.include_router(make_sweep_router(service, workspace_identity(workspace)))

    # Everything else belongs to Gradio's page; a mistyped API address shall not look like one.
    @app.api_route("/api/{rest:path}", methods=list(_METHODS), include_in_schema=False)
    def unknown(rest: str) -> JSONResponse:
        text = f"there is no /api/{rest} (see {PREFIX}/openapi.json)"
        return JSONResponse({"error": text, "kind": "NotFound"}, status_code=404)

    # Where programs look for a description; Gradio would describe its own inner workings there.
    @app.get("/openapi.json", include_in_schema=False)
    def described() -> RedirectResponse:
        return RedirectResponse(f"{PREFIX}/openapi.json")

    static = f"/static/{_digest(STATIC)}"
    app.mount(static, _Forever(directory=STATIC))
    pages = import_pages()
    make = partial(pages.make_pages, workspace, service, downloads, static, trainer)
    _in_event_loop(lambda: _mount_pages(app, pages, make, static, blocked=workspace.path))
    app.add_middleware(StillPage)
    app.add_middleware(Guard, hosts=hosts)
    return app


def import_pages() -> ModuleType:
    """The module of the pages, and with it Gradio, which takes longer than all else to start."""
    with importing_without("gradio.component_meta", "create_or_modify_pyi"):
        from annotator.web import pages
    return pages


def _mount_pages(
    app: FastAPI, pages: ModuleType, make: Callable[[], Any], static: str, *, blocked: Path
) -> None:
    import gradio

    blocks = make()
    sheets = "".join(
        f'<link rel="stylesheet" href="{static}/css/{sheet.name}">'
        for sheet in sorted((STATIC / "css").glob("*.css"))
    )
    gradio.mount_gradio_app(
        app,
        blocks,
        path="/",
        ssr_mode=False,
        footer_links=[],
        run_history=False,
        theme=pages.THEME,
        head=sheets,
        blocked_paths=[str(blocked)],
    )
    # Left alone it looks for events a thousand times a second: a twelfth of a core for nothing,
    # and a wait for the interpreter in the middle of every click. These are its own values on
    # Windows; none of our events goes through the queue (see `live`).
    blocks._queue.sleep_when_free = _QUEUE_LOOK_SECONDS
    blocks._queue.progress_update_sleep_when_free = _QUEUE_LOOK_SECONDS


def _in_event_loop(make: Callable[[], None]) -> None:
    """Call something while an event loop runs; Gradio opens loops and leaks them without one."""

    async def call() -> None:
        make()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(call())
    else:
        make()


def run_server(
    workspace: Workspace,
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    open_browser: bool = False,
    train: bool = True,
    ready: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve a workspace until interrupted.

    Args:
        workspace: claimed for this process while it is served.
        host: address to listen on; beyond this computer only if it is not a loopback address.
        port: 0 takes a free one.
        open_browser: open the page when it can be used.
        train: run the trainer beside the server.
        ready: called with the address once requests are answered.

    Raises:
        WorkspaceError: if the workspace is served already or the address is taken.
        KeyboardInterrupt: when it was asked to end, by Ctrl-C or SIGTERM, and everything is closed.
    """
    with ExitStack() as stack:
        lock = stack.enter_context(workspace.lock("server"))
        listener = stack.enter_context(_listen(host, port))
        address = f"http://{_shown(host)}:{listener.getsockname()[1]}"
        lock.set_address(address)
        service = stack.enter_context(AnnotationService(workspace))
        trainer: Callable[[], str] = lambda: ""  # noqa: E731
        if train:
            supervisor = Supervisor(workspace.path, on_death=service.worker_died)
            stack.callback(supervisor.stop)
            trainer = lambda: supervisor.state().sentence()  # noqa: E731
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH_SECONDS)
        hosts = LOOPBACK if host in LOOPBACK else None
        app = create_app(workspace, service, trainer=trainer, hosts=hosts)

        prepared = threading.Timer(_PREPARED_AFTER_SECONDS, _prepare, (service,))
        prepared.daemon = True

        def started() -> None:
            if train:  # not sooner: its own start takes a core for seconds
                supervisor.start()
            prepared.start()
            stack.callback(_end, prepared)
            ready(address)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        if threading.current_thread() is threading.main_thread():
            # Also when asked to end by a signal, the trainer is stopped and files are removed. The
            # shell lets its background jobs ignore Ctrl-C; uvicorn hears it all the same.
            for number in (signal.SIGINT, signal.SIGTERM):
                stack.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, signal.default_int_handler)
        _Server(app, started).run(sockets=[listener])


def _prepare(service: AnnotationService) -> None:
    # Whoever asks for what cannot be read is told then.
    with suppress(AnnotatorError):
        service.prepare()


def _end(timer: threading.Timer) -> None:
    timer.cancel()
    timer.join()


class _Server(uvicorn.Server):
    """Tells when requests are really answered."""

    def __init__(self, app: FastAPI, started: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level=logging.WARNING,
                access_log=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._tell = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP so that asyncio sends at once what is small; without it each answer waits 40 ms
    # for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise WorkspaceError(
            f"cannot listen on {host} port {port}: {error.strerror} "
            "(choose another with --port, or 0 for any free one)"
        ) from None
    listener.listen(100)
    return listener


def _shown(host: str) -> str:
    """The host as a person types it."""
    if host in ("0.0.0.0", "::"):
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _digest(folder: Path) -> str:
    """Short hash of names and contents of all files below a folder."""
    content = sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:12]
