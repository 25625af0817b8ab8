"""Thumbnails as pages ask for them: sixty at once, while the same server takes decisions.

So one costs little: the content hash of a picture never changes and is remembered, and a file of a
few kilobytes is sent in one piece instead of being streamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from annotator.images import make_thumbnail
from annotator.service import AnnotationService
from annotator.settings import Workspace

_REMEMBERED = 100_000  # hashes; 15 MB
_END = b"\xff\xd9"  # of a JPEG


class Thumbnails:
    """The workspace's cache of thumbnails; one that was lost is made again. Thread-safe.

    Args:
        workspace: where they are.
        service: knows the pictures.
        decoders: entered while a picture is decoded.
    """

    def __init__(
        self,
        workspace: Workspace,
        service: AnnotationService,
        decoders: AbstractContextManager[object],
    ) -> None:
        self._workspace = workspace
        self._service = service
        self._decoders = decoders
        self._hashes: dict[int, str] = {}

    def hash(self, image_id: int) -> str:
        """Content hash of a picture.

        Raises:
            NotFound: if there is no such picture.
        """
        self._remember([image_id])
        return self._hashes.get(image_id) or self._service.image(image_id).sha256

    def _remember(self, image_ids: Sequence[int]) -> None:
        unknown = [image_id for image_id in image_ids if image_id not in self._hashes]
        if unknown:
            if len(self._hashes) > _REMEMBERED:
                self._hashes = {}
            found = self._service.images(unknown)
            self._hashes |= {image_id: image.sha256 for image_id, image in found.items()}

    def together(self, image_ids: Sequence[int]) -> tuple[bytes, bool]:
        """Many of them, and whether all are there.

        Each comes after its length in four bytes; of length 0 if it is not there, or not whole.
        """
        self._remember(image_ids)
        hashes = self._hashes
        pieces, complete = [], True
        for image_id in image_ids:
            try:
                content = _whole(self._workspace.thumbnail(hashes[image_id]))
            except (OSError, KeyError):
                content = b""  # asked for alone it is made, or its error is told
            complete = complete and bool(content)
            pieces += [len(content).to_bytes(4, "big"), content]
        return b"".join(pieces), complete

    def read(self, image_id: int) -> bytes:
        """The JPEG.

        Raises:
            NotFound: if there is no such picture.
            InvalidInput: if it has to be made and the picture cannot be read any more.
        """
        path = self._workspace.thumbnail(self.hash(image_id))
        try:
            content = _whole(path)
        except FileNotFoundError:
            content = b""
        if not content:
            with self._decoders:
                picture = self._service.image(image_id).path
                make_thumbnail(self._workspace.image_path(picture), path)
            content = path.read_bytes()
        return content


def _whole(path: Path) -> bytes:
    """The file; empty if it was cut off, as when the disk was full."""
    content = path.read_bytes()
    return content if content.endswith(_END) else b""
