"""Pictures as a browser can show them: upright, sRGB, JPEG, not larger than a screen."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

from annotator.errors import NotFound

LONG_SIDE = 2048
"""Pixels of the longer side that the page gets at first."""

QUALITY = 90
SHOWN_BY_BROWSERS = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "avif": "image/avif",
}
_ORIENTATION = 0x0112
_PLAIN_MODES = ("RGB", "L")


@dataclass(frozen=True)
class Picture:
    """What a picture route answers: either bytes, or a file that can be sent as it is."""

    media_type: str
    content: bytes | None = None
    file: Path | None = None


def screen_picture(path: Path) -> Picture:
    """The picture for the page: a JPEG whose long side is at most `LONG_SIDE`.

    A JPEG that is upright, sRGB and small enough is sent as it is.

    Raises:
        NotFound: if the file is gone or cannot be decoded any more.
    """
    try:
        with Image.open(path) as image:
            if _fits_as_it_is(image):
                return Picture("image/jpeg", file=path)
            if image.format == "JPEG":
                # The decoder itself scales by 2, 4 or 8, which makes large photographs cheap.
                image.draft(None, (LONG_SIDE, LONG_SIDE))
            return Picture("image/jpeg", content=_encode(image, LONG_SIDE))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _gone(path, error) from None


def full_picture(path: Path) -> Picture:
    """The picture in all its pixels, for enlarging: the file itself if browsers can show it.

    Raises:
        NotFound: if the file is gone or cannot be decoded any more.
    """
    try:
        with Image.open(path) as image:
            media_type = SHOWN_BY_BROWSERS.get((image.format or "").lower())
            # Browsers turn by EXIF and convert by profile themselves, but not CMYK reliably; and
            # of an animation only the first picture was labelled.
            moving = getattr(image, "is_animated", False)
            if media_type is not None and image.mode != "CMYK" and not moving:
                return Picture(media_type, file=path)
            return Picture("image/jpeg", content=_encode(image, None))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _gone(path, error) from None


def _fits_as_it_is(image: Image.Image) -> bool:
    return (
        image.format == "JPEG"
        and image.mode in _PLAIN_MODES
        and max(image.size) <= LONG_SIDE
        and image.getexif().get(_ORIENTATION, 1) == 1
        and not image.info.get("icc_profile")
    )


def _encode(image: Image.Image, long_side: int | None) -> bytes:
    profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if long_side is not None and max(upright.size) > long_side:
        if upright.mode in ("1", "P"):
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.thumbnail((long_side, long_side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    out = io.BytesIO()
    _to_srgb(upright, profile).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB; a broken profile is ignored, transparency becomes white."""
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
            if converted is not None:
                return converted
        except ImageCms.PyCMSError:
            pass  # the numbers are shown without it, which is what viewers do
    if image.mode.startswith("I"):  # 16-bit grey is scaled, convert() would clip it
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _gone(path: Path, error: Exception) -> NotFound:
    what = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
    return NotFound(f"the picture file {path.name} {what} (put it back where it was)")
