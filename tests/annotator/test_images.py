"""Scanning folders: by content, upright sizes, unreadable files reported, nothing fatal."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import InvalidInput
from annotator.images import (
    ScannedImage,
    UnreadableImage,
    find_images,
    make_thumbnail,
    scan_image,
    scan_images,
)
from annotator.settings import Workspace


def picture(path: Path, size: tuple[int, int] = (60, 40), *, seed: int = 0, **save: object) -> Path:
    """Write a picture of noise; the suffix gives the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **save)  # type: ignore[arg-type]
    return path


def scan(folder: Path, workspace: Workspace | None = None) -> list[ScannedImage | UnreadableImage]:
    thumbnail = workspace.thumbnail if workspace else None
    return list(scan_images(find_images(folder), folder, thumbnail, workers=2))


def test_a_picture_is_described_by_content_and_relative_name(tmp_path: Path) -> None:
    file = picture(tmp_path / "sub" / "a.JPG")
    (image,) = scan(tmp_path)
    assert image == ScannedImage(
        hashlib.sha256(file.read_bytes()).hexdigest(),
        file, "sub/a.JPG", 60, 40, file.stat().st_size, "jpeg",
    )  # fmt: skip


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    for number in range(40):
        picture(tmp_path / f"{number:02}.png", (8, 8), seed=number)
    calls: list[tuple[int, int]] = []
    images = scan_images(
        find_images(tmp_path), tmp_path, workers=3, progress=lambda *done: calls.append(done)
    )
    assert [image.file_name for image in images] == [f"{number:02}.png" for number in range(40)]
    assert calls == [(number, 40) for number in range(1, 41)]


def test_size_and_thumbnail_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:, :400] = 255  # left half white: the top half once upright
    (tmp_path / "p").mkdir()
    Image.fromarray(pixels).save(tmp_path / "p" / "a.jpg", exif=exif)
    workspace = Workspace.create(tmp_path / "w")
    (image,) = scan(tmp_path / "p", workspace)
    assert isinstance(image, ScannedImage)
    assert (image.width, image.height) == (400, 800)
    with Image.open(workspace.thumbnail(image.sha256)) as small:
        assert small.size == (160, 320)
        assert np.asarray(small)[:100].min() > 250
        assert np.asarray(small)[-100:].max() < 5
        assert "exif" not in small.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_has_a_thumbnail(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    grey = Image.fromarray(np.full((500, 400), 51400, np.uint16))
    image = grey if mode == "I;16" else Image.new("RGB", (400, 500), (200, 200, 200)).convert(mode)
    (tmp_path / "p").mkdir()
    image.save(tmp_path / "p" / f"a.{suffix}")
    workspace = Workspace.create(tmp_path / "w")
    (scanned,) = scan(tmp_path / "p", workspace)
    assert isinstance(scanned, ScannedImage)
    with Image.open(workspace.thumbnail(scanned.sha256)) as small:
        assert small.size == (256, 320)
        assert abs(float(np.asarray(small.convert("L")).mean()) - 200) < 6


def test_transparent_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "a.png")
    make_thumbnail(tmp_path / "a.png", tmp_path / "small" / "a.jpg")
    with Image.open(tmp_path / "small" / "a.jpg") as small:
        assert np.asarray(small).min() > 250


def test_unreadable_files_are_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    good = picture(tmp_path / "good.jpg", (300, 200))
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:3000])
    (tmp_path / "text.jpg").write_text("this is a letter")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    png = bytearray(picture(tmp_path / "good.png").read_bytes())
    png[37:41] = b"????"  # the name of the chunk with the pixels
    (tmp_path / "broken.png").write_bytes(png)
    reasons = {i.file_name: i.reason for i in scan(tmp_path) if isinstance(i, UnreadableImage)}
    assert reasons.pop("broken.png")
    assert reasons == {
        "cut.jpg": "the file is truncated",
        "text.jpg": "it is not a picture, whatever its name says",
        "empty.png": "the file is empty",
        "gone.png": "the file is missing",
    }
    assert [i.file_name for i in scan(tmp_path) if isinstance(i, ScannedImage)] == [
        "good.jpg",
        "good.png",
    ]


def test_a_truncated_file_leaves_no_thumbnail(tmp_path: Path) -> None:
    good = picture(tmp_path / "p" / "good.jpg", (300, 200))
    (tmp_path / "p" / "cut.jpg").write_bytes(good.read_bytes()[:3000])
    good.unlink()
    workspace = Workspace.create(tmp_path / "w")
    scan(tmp_path / "p", workspace)
    assert [p for p in workspace.thumbnails.rglob("*") if p.is_file()] == []


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / "a\udcff.png")
    (image,) = scan(tmp_path)
    assert isinstance(image, UnreadableImage)
    assert image.reason == "its name is not valid UTF-8 (rename it)"


def test_the_same_content_under_two_names_has_one_hash(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_bytes(picture(tmp_path / "a.jpg").read_bytes())
    first, second = scan(tmp_path, Workspace.create(tmp_path / "w"))
    assert isinstance(first, ScannedImage)
    assert isinstance(second, ScannedImage)
    assert first.sha256 == second.sha256


def test_hidden_files_and_the_tools_own_folders_are_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "._a.jpg")
    picture(tmp_path / ".trash" / "b.jpg")
    workspace = Workspace.create(tmp_path)
    scan(tmp_path, workspace)
    assert [p.name for p in find_images(tmp_path)] == ["a.jpg"]


def test_a_folder_is_the_same_however_it_is_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = picture(tmp_path / "p" / "a.jpg")
    (tmp_path / "link").symlink_to(tmp_path / "p", target_is_directory=True)
    monkeypatch.chdir(tmp_path / "p")
    for folder in (Path(), Path("../p"), tmp_path / "link"):
        (image,) = scan(folder)
        assert (image.path, image.file_name) == (file, "a.jpg")


def test_a_link_in_a_circle_is_followed_once(tmp_path: Path) -> None:
    picture(tmp_path / "sub" / "a.jpg")
    (tmp_path / "sub" / "up").symlink_to(tmp_path, target_is_directory=True)
    assert len(find_images(tmp_path)) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "does not exist"),
        ("empty", r"holds no pictures \(looked for .avif, .bmp, "),
        ("file", "is a file, not a folder"),
    ],
)
def test_a_folder_without_pictures_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=message):
        find_images(tmp_path / name)


def test_stopping_early_leaves_no_work_behind(tmp_path: Path) -> None:
    for number in range(30):
        picture(tmp_path / f"{number:02}.png", (8, 8))
    images = scan_images(find_images(tmp_path), tmp_path, workers=1)
    assert next(images).file_name == "00.png"
    images.close()  # type: ignore[attr-defined]


def test_a_lost_thumbnail_of_a_lost_picture_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="the file is missing"):
        make_thumbnail(tmp_path / "a.jpg", tmp_path / "b.jpg")


def test_a_single_picture_is_named_without_its_folder_when_outside(tmp_path: Path) -> None:
    image = scan_image(picture(tmp_path / "a" / "x.png"), tmp_path / "b")
    assert image.file_name == "x.png"
