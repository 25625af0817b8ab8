"""Pictures as cameras, scanners and the web make them: shown upright, still, in colour."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import NotFound
from annotator.images import ScannedImage, scan_image
from annotator.web.pictures import LONG_SIDE, Picture, full_picture, screen_picture


def shown(picture: Picture) -> Image.Image:
    """What a browser decodes."""
    content = picture.content if picture.file is None else picture.file.read_bytes()
    assert content is not None
    return Image.open(io.BytesIO(content))


def plain(path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 30, 30)).save(path, "JPEG")


def one_pixel(path: Path) -> None:
    Image.new("RGB", (1, 1), (200, 30, 30)).save(path, "PNG")


def cmyk(path: Path) -> None:
    Image.new("CMYK", (40, 30), (0, 220, 220, 30)).save(path, "JPEG")


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30), (200, 30, 30)).save(path, "JPEG", exif=exif)


def sixteen_bits(path: Path) -> None:
    Image.fromarray(np.full((30, 40), 40_000, np.uint16)).save(path, "PNG")


def grey_and_clear(path: Path) -> None:
    Image.new("LA", (40, 30), (90, 128)).save(path, "PNG")


def palette(path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 30, 30)).convert("P").save(path, "PNG")


def moving(path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), (c, 30, 30)) for c in (200, 0)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=100)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (plain, (40, 30)),
        (one_pixel, (1, 1)),
        (cmyk, (40, 30)),
        (turned, (30, 40)),
        (sixteen_bits, (40, 30)),
        (grey_and_clear, (40, 30)),
        (palette, (40, 30)),
        (moving, (40, 30)),
    ],
)
def test_each_kind_is_scanned_and_shown(
    tmp_path: Path, make: Callable[[Path], None], size: tuple[int, int]
) -> None:
    path = tmp_path / "picture.png"
    make(path)
    scanned = scan_image(path, tmp_path, lambda sha: tmp_path / f"{sha}.thumbnail")
    assert isinstance(scanned, ScannedImage)
    assert (scanned.width, scanned.height) == size
    screen = shown(screen_picture(path))
    assert screen.size == size
    assert not getattr(shown(full_picture(path)), "is_animated", False)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    sixteen_bits(path)
    value = shown(screen_picture(path)).convert("L").getpixel((5, 5))
    assert value == pytest.approx(40_000 / 256, abs=3)


def test_a_60_megapixel_photograph_becomes_one_for_the_screen(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.new("RGB", (9504, 6336), (90, 120, 60)).save(path, "JPEG", quality=40)
    assert max(shown(screen_picture(path)).size) == LONG_SIDE
    assert full_picture(path).file == path


def test_a_file_that_vanished_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.jpg is missing \(put it back"):
        screen_picture(tmp_path / "gone.jpg")
