"""Find pictures in a folder, identify them by content, make thumbnails, tell which are unreadable.

A picture is known by the SHA-256 of its file, so renaming or copying it makes no second picture.
Each file is read once: the same bytes are hashed, decoded (which finds truncated files) and made
small. Sizes are those a viewer shows, after the EXIF orientation.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from annotator.errors import InvalidInput
from annotator.settings import FOLDERS, SETTINGS_FILE
from hst_core.files import replacing

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif")
)
THUMBNAIL_PIXELS = 320
_QUEUED_PER_WORKER = 8
_ORIENTATION = 0x0112
_TURNED_BY_A_QUARTER = (5, 6, 7, 8)

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True)
class ScannedImage:
    """One readable picture.

    Attributes:
        sha256: of the file, 64 hexadecimal digits.
        path: absolute.
        file_name: path below the scanned folder, with ``/``; what import files name it by.
        width: pixels as shown, after EXIF orientation.
        height: pixels as shown, after EXIF orientation.
        bytes: size of the file.
        format: as the content says, not the suffix: ``jpeg``, ``png``, …
    """

    sha256: str
    path: Path
    file_name: str
    width: int
    height: int
    bytes: int
    format: str


@dataclass(frozen=True)
class UnreadableImage:
    """A file with the suffix of a picture that cannot be decoded.

    Attributes:
        path: absolute.
        file_name: path below the scanned folder.
        reason: in plain words.
    """

    path: Path
    file_name: str
    reason: str


def find_images(folder: Path) -> list[Path]:
    """List the picture files below a folder by suffix, sorted; hidden ones are left out.

    Links are followed, each folder once. Folders that the tool itself keeps in a workspace
    (thumbnails, features, …) are left out, so a workspace may lie among the pictures.

    Raises:
        InvalidInput: if the folder is missing, is a file, or holds no picture.
    """
    folder = folder.expanduser().resolve()  # one spelling of a place, however it is named
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InvalidInput(f"the picture folder {folder} {what} (name a folder with pictures)")
    found: list[Path] = []
    visited: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        own = FOLDERS if SETTINGS_FILE in names else ()
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in own)
        found += [
            Path(parent, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]
    if not found:
        raise InvalidInput(
            f"the picture folder {folder} holds no pictures "
            f"(looked for {', '.join(sorted(SUFFIXES))}, also in its subfolders)"
        )
    return sorted(found)


def scan_images(
    paths: Sequence[Path],
    folder: Path,
    thumbnail: Callable[[str], Path] | None = None,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Iterator[ScannedImage | UnreadableImage]:
    """Read pictures in parallel and yield them in the order of `paths`; none is fatal.

    Args:
        paths: as from `find_images`.
        folder: what file names are relative to.
        thumbnail: where the thumbnail of a content hash belongs, as `Workspace.thumbnail`; None:
            make none. A picture whose thumbnail is there is not decoded again.
        workers: threads; None: one per core. Decoding and hashing run outside Python's lock.
        progress: called with (done, total) after each picture.
    """
    folder = folder.expanduser().resolve()
    count = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(count) as pool:
        pending: deque[Future[ScannedImage | UnreadableImage]] = deque()
        remaining = iter(paths)
        try:
            for done in range(1, len(paths) + 1):
                # A window of work, so that memory does not grow with the folder.
                while len(pending) < count * _QUEUED_PER_WORKER:
                    path = next(remaining, None)
                    if path is None:
                        break
                    pending.append(pool.submit(scan_image, path, folder, thumbnail))
                yield pending.popleft().result()
                if progress:
                    progress(done, len(paths))
        finally:
            for future in pending:
                future.cancel()


def scan_image(
    path: Path, folder: Path, thumbnail: Callable[[str], Path] | None = None
) -> ScannedImage | UnreadableImage:
    """Read one picture, write its thumbnail if it is missing; see `scan_images`."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
    try:
        name.encode()
        content = path.read_bytes()
        if not content:
            return UnreadableImage(path, name, "the file is empty")
        sha256 = hashlib.sha256(content).hexdigest()
        with Image.open(io.BytesIO(content)) as image:
            kind = (image.format or "unknown").lower()
            width, height = image.size
            if _orientation(image) in _TURNED_BY_A_QUARTER:
                width, height = height, width
            target = thumbnail(sha256) if thumbnail else None
            if target is None:
                image.load()
            elif not target.exists() or not target.stat().st_size:
                _write_thumbnail(image, target)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow raises SyntaxError for broken PNG chunks, ValueError for odd headers.
        return UnreadableImage(path, name, _reason(error))
    return ScannedImage(sha256, path, name, width, height, len(content), kind)


def make_thumbnail(image_path: Path, target: Path) -> None:
    """Write the thumbnail of a picture, for one that was lost.

    Raises:
        InvalidInput: if the picture is gone or cannot be decoded.
    """
    try:
        with Image.open(image_path) as image:
            _write_thumbnail(image, target)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidInput(
            f"cannot read the picture {image_path}: {_reason(error)} (put the file back)"
        ) from None


def _write_thumbnail(image: Image.Image, target: Path) -> None:
    """Decode at reduced size, turn upright, save as JPEG under a final name at once."""
    orientation = _orientation(image)
    size = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    if image.mode in ("1", "P"):  # a palette cannot be averaged
        image = _flatten(image)
    image.thumbnail(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    small = _flatten(image)
    if orientation != 1:
        small.getexif()[_ORIENTATION] = orientation
        small = ImageOps.exif_transpose(small)
    # Two threads may meet the same content under two names. It can be made again any time.
    with replacing(target, durable=False) as file:
        small.save(file, "JPEG", quality=82)


def _flatten(image: Image.Image) -> Image.Image:
    """RGB copy; transparency becomes white, 16-bit grey is scaled instead of clipped."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except (ValueError, TypeError, SyntaxError, OSError):  # broken EXIF is no reason to refuse
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "its name is not valid UTF-8 (rename it)"
    if isinstance(error, UnidentifiedImageError):
        return "it is not a picture, whatever its name says"
    if isinstance(error, Image.DecompressionBombError):
        return "it has more pixels than can be decoded safely"
    if isinstance(error, FileNotFoundError):
        return "the file is missing"
    if isinstance(error, PermissionError):
        return "it may not be read"
    if "truncated" in str(error).lower():
        return "the file is truncated"
    return f"it cannot be decoded ({error})"
