"""Pictures as they are meant to be seen, in the sizes that a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError


class UnreadablePictureError(Exception):
    """The bytes of a file are no picture, or only a part of one."""


#: Longer pictures are squeezed to this proportion of their sides.
MOST_LENGTHY = 2.0


def read_picture(
    path: Path, sizes: Sequence[int], step: int = 0
) -> dict[int, npt.NDArray[np.uint8]]:
    """Read a picture as it is meant to be seen, resized for a network; nothing is cut off.

    Orientation tags are obeyed, transparency is laid on white, deeper than 8 bits is scaled to 8.

    Args:
        path: any file that Pillow reads; of an animation the first frame is taken.
        sizes: sides in pixels.
        step: as of :func:`input_shape`.

    Returns:
        For each side an RGB array [rows, columns, 3].

    Raises:
        UnreadablePictureError: if the content is broken, cut off, no picture, or larger than Pillow
            allows (``PIL.Image.MAX_IMAGE_PIXELS``, twice that before it refuses: 179 megapixels).
        OSError: if the file itself cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with Image.open(file) as picture:
                orientation = picture.getexif().get(0x0112, 1)
                # What is stored may lie on its side; proportions are kept as it lies.
                shapes = {side: input_shape(*picture.size, side, step) for side in sizes}
                # A JPEG is decoded at 1/2, 1/4 or 1/8 as long as that is no smaller than needed.
                picture.draft("RGB", shapes[max(sizes)])
                colour = _to_rgb(picture)
                resized = {side: _resized(colour, shape) for side, shape in shapes.items()}
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
    return {side: _turn(picture, orientation) for side, picture in resized.items()}


def input_shape(columns: int, rows: int, side: int, step: int) -> tuple[int, int]:
    """Return the columns and rows that a network gets of a picture.

    Args:
        columns: of the picture, in pixels.
        rows: of the picture.
        side: of a square with about as many pixels as the result.
        step: the result keeps the proportions of the picture, up to `MOST_LENGTHY`, as far as
            multiples of this many pixels can; 0 for the square itself.
    """
    if not step:
        return side, side
    proportion = min(max(columns / rows, 1 / MOST_LENGTHY), MOST_LENGTHY) ** 0.5
    wanted = side * proportion, side / proportion
    across, down = (max(1, round(length / step)) * step for length in wanted)
    return across, down


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


def _resized(picture: Image.Image, shape: tuple[int, int]) -> Image.Image:
    return picture.resize(shape, Image.Resampling.BILINEAR, reducing_gap=3.0)


def _turn(picture: Image.Image, orientation: int) -> npt.NDArray[np.uint8]:
    """Obey the orientation tag; after resizing this is cheaper."""
    if orientation != 1:
        exif = picture.getexif()
        exif[0x0112] = orientation
        picture = ImageOps.exif_transpose(picture)
    return np.array(picture)
