"""What every request passes first: host check, no writes from other sites, safe headers.

A label server listens on this computer, where any web page that is open in the same browser can
reach it. Three things keep such pages out: the `Host` must be a name of this computer (a page that
lets its own name point here is refused), writes must come from our own pages or from programs
(JSON, a header of ours, no foreign `Origin`), and answers may not be embedded elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CLIENT_HEADER = "x-annotator-client"
"""Any value. Pages of other sites cannot send it without asking, and are not allowed to."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
    "cross-origin-resource-policy": "same-origin",
}
# Gradio serves files of the working folder, which may be the workspace. Nothing of ours needs it.
_NEVER = ("/gradio_api/file", "/gradio_api/proxy", "/gradio_api/stream", "/file", "/proxy")


class Guard:
    """ASGI middleware.

    Args:
        app: what lies behind.
        hosts: names under which the server may be addressed; None: any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may not pass, hand on all others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send, *refusal)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return 403, f"this server is not called {host} (open it as localhost)"
        path: str = scope["path"]
        if path.startswith(_NEVER):
            return 404, "no files are served here"
        if scope["method"] in _SAFE:
            return None
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, f"a page of {origin} may not write here"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "a page of another site may not write here"
        if path.startswith("/api/"):
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return 415, f"the body must be application/json, got {kind or 'nothing'}"
            if CLIENT_HEADER not in headers:
                return 403, "the header X-Annotator-Client is missing (send it with any value)"
        return None


def _name(host: str) -> str:
    """Host without port: "[::1]:7860" -> "::1"."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text, "kind": "Refused"}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": body})
