"""Pictures as they are meant to be seen, in the square sizes that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError


class UnreadablePictureError(Exception):
    """The bytes of a file are no picture, or only a part of one."""


def read_picture(path: Path, sizes: Sequence[int]) -> dict[int, npt.NDArray[np.uint8]]:
    """Read a picture as it is meant to be seen, resized to squares.

    The whole picture is kept and its proportions are not. Orientation tags are obeyed,
    transparency is laid on white, deeper than 8 bits is scaled to 8.

    Args:
        path: any file that Pillow reads; of an animation the first frame is taken.
        sizes: sides in pixels.

    Returns:
        For each side an RGB array [side, side, 3].

    Raises:
        UnreadablePictureError: if the content is broken, cut off, no picture, or larger than Pillow
            allows (``PIL.Image.MAX_IMAGE_PIXELS``, twice that before it refuses: 179 megapixels).
        OSError: if the file itself cannot be opened.
    """
    largest = max(sizes)
    with path.open("rb") as file:
        try:
            with Image.open(file) as picture:
                # A JPEG is decoded at 1/2, 1/4 or 1/8 as long as that is no smaller than needed.
                picture.draft("RGB", (largest, largest))
                orientation = picture.getexif().get(0x0112, 1)
                colour = _to_rgb(picture)
                squares = {side: _square(colour, side) for side in sizes}
        except MemoryError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadablePictureError("no picture format that can be read") from error
        except Exception as error:
            # Decoders raise OSError, SyntaxError, ValueError, struct.error and more; an OSError
            # with a number comes from the file system and says nothing of the content.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise UnreadablePictureError(f"broken picture: {error}") from error
    return {side: _turn(square, orientation) for side, square in squares.items()}


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        picture.load()
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return _deep_to_rgb(picture)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return picture.convert("RGB")


def _deep_to_rgb(picture: Image.Image) -> Image.Image:
    """Scale 12, 16 and 32 bit greyscale to 8 bits by the smallest usual range that holds it."""
    values = np.nan_to_num(np.asarray(picture).astype(np.float32))
    top = float(values.max(initial=0))
    range_ = next((r for r in (1.0, 255.0, 4095.0, 65535.0) if top <= r), top)
    if picture.mode != "F" and range_ == 1.0:
        range_ = 255.0
    grey = np.clip(values * (255 / range_), 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _square(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BILINEAR, reducing_gap=3.0)


def _turn(square: Image.Image, orientation: int) -> npt.NDArray[np.uint8]:
    """Obey the orientation tag; on a square this can come after resizing, which is cheaper."""
    if orientation != 1:
        exif = square.getexif()
        exif[0x0112] = orientation
        square = ImageOps.exif_transpose(square)
    return np.array(square)
