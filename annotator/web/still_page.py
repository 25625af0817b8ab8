"""Keeps the page still while nobody does anything.

Gradio 6.31 counts the seconds of its loader in every frame, and goes on when the loader is gone:
sixty frames a second for as long as the page is open, a tenth of a core in the browser. Its module
keeps the browser's function from when it is read, so ours must be there before.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Seconds that are counted are shown nowhere on our pages: their events hide the progress.
_SCRIPT = b"""<script>(() => {
  const ask = requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (draw) =>
    String(new Error().stack).includes("/statustracker") ? 0 : ask(draw);
})();</script>"""
_HEAD = b"<head>"


class StillPage:
    """ASGI middleware that puts a script before all others of the page at ``/``."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def send_whole(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body":
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            body = body.replace(_HEAD, _HEAD + _SCRIPT, 1)
            MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        # Uncompressed, so that there is a place for it.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, send_whole)
