"""The feature store under kills and wrong use, reading of odd pictures, and extraction."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from hst_core.backbone import build_backbone
from hst_core.features import (
    FEATURE_SETS,
    FeatureBlock,
    FeatureMapStore,
    FeatureSet,
    FeatureStore,
    FeatureStoreError,
    Precision,
    UnreadablePictureError,
    extract,
    extract_maps,
    load_backbones,
    read_picture,
)
from hst_core.pictures import input_shape
from hst_core.pooling import pool, pool_windows

TINY = FEATURE_SETS["tiny"]
WINDOWED = FeatureSet("small", (FeatureBlock("tiny", 64, "mean", 3),), windows=2)
SMALL = FeatureSet("small", (FeatureBlock("tiny", 64, "mean", 3),))


def fake_hash(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def fake_rows(start: int, count: int, dim: int = 3) -> npt.NDArray[np.float32]:
    return np.arange(start * dim, (start + count) * dim, dtype=np.float32).reshape(count, dim)


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def pictures(tmp_path: Path) -> list[tuple[str, Path]]:
    """Twelve drawn pictures of different sizes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = []
    for number in range(12):
        picture = Image.new("RGB", (80 + number, 60), (20 * number, 100, 255 - 20 * number))
        ImageDraw.Draw(picture).ellipse((10, 10, 20 + number, 40), fill="red")
        paths.append(folder / f"{number:02}.jpg")
        picture.save(paths[-1])
    return [(hash_file(path), path) for path in paths]


# --- feature sets


def test_blocks_lie_side_by_side_in_a_vector() -> None:
    assert TINY.slices[0] == slice(0, TINY.blocks[0].channels)
    assert [s.stop for s in TINY.slices][:-1] == [s.start for s in TINY.slices][1:]
    assert TINY.slices[-1].stop == TINY.dim


def test_two_poolings_of_one_map_need_one_pass() -> None:
    assert TINY.passes == {("tiny", 64): [0, 1]}


@pytest.mark.parametrize("name", sorted(FEATURE_SETS))
def test_blocks_have_the_channels_of_their_backbone(name: str) -> None:
    for block in FEATURE_SETS[name].blocks:
        assert build_backbone(block.backbone, weights="random").channels == block.channels


def test_an_unknown_feature_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureStoreError, match=r"one of fast, balanced, best, tiny, got 'huge'"):
        FeatureStore.open(tmp_path, "huge")


def test_pooling_reduces_over_locations() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 6.0]]]])
    assert pool(features, "mean").item() == 3
    assert pool(features, "max").item() == 6


# --- store


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path / "a" / "b", SMALL)
    assert len(store) == 0
    assert store.matrix().shape == (0, 3)
    assert store.rows([fake_hash(0)]).tolist() == [-1]
    assert store.vectors(store.rows([])).shape == (0, 3)


def test_what_was_appended_is_found_by_its_hash(tmp_path: Path) -> None:
    with FeatureStore.open(tmp_path, SMALL) as store:
        store.append([fake_hash(1), fake_hash(2)], fake_rows(1, 2))
        store.append([fake_hash(3)], fake_rows(3, 1))
    again = FeatureStore.open(tmp_path, SMALL)
    for opened in (store, again):
        assert opened.rows([fake_hash(3), fake_hash(9), fake_hash(1)]).tolist() == [2, -1, 0]
        np.testing.assert_array_equal(opened.vectors([2, 0]), fake_rows(1, 3)[[2, 0]])
        assert opened.vectors([0]).dtype == np.float32
    assert again.hashes == (fake_hash(1), fake_hash(2), fake_hash(3))


def test_a_view_taken_earlier_survives_growth(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path, SMALL)
    store.append([fake_hash(0)], fake_rows(0, 1))
    view = store.matrix()
    store.append([fake_hash(1)], fake_rows(1, 1))
    np.testing.assert_array_equal(view, fake_rows(0, 1))
    assert store.matrix().shape == (2, 3)


def test_a_hash_is_stored_once(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path, SMALL)
    store.append([fake_hash(0), fake_hash(0)], fake_rows(0, 2))
    store.append([fake_hash(1), fake_hash(0)], fake_rows(2, 2))
    assert store.hashes == (fake_hash(0), fake_hash(1))
    assert (tmp_path / "rows.f16").stat().st_size == 2 * 3 * 2


def test_values_beyond_float16_are_cut(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path, SMALL)
    store.append([fake_hash(0)], [[1e9, -1e9, 0]])
    assert np.isfinite(store.vectors([0])).all()


@pytest.mark.parametrize(
    ("hashes", "rows", "text"),
    [
        (["abc"], [[1, 2, 3]], r"64 hexadecimal digits .* got 'abc'"),
        ([fake_hash(0)], [[1, 2]], r"rows must be \(1, 3\) for 1 hashes, got \(1, 2\)"),
        ([fake_hash(0)], [[1, 2, np.nan]], r"finite, got NaN .*nothing was stored"),
    ],
)
def test_wrong_rows_are_refused_and_nothing_is_stored(
    tmp_path: Path, hashes: list[str], rows: list[list[float]], text: str
) -> None:
    store = FeatureStore.open(tmp_path, SMALL)
    with pytest.raises(FeatureStoreError, match=text):
        store.append(hashes, rows)
    assert len(FeatureStore.open(tmp_path, SMALL)) == 0


def test_rows_that_are_not_there_cannot_be_taken(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path, SMALL)
    store.append([fake_hash(0)], fake_rows(0, 1))
    with pytest.raises(IndexError, match=r"rows must be 0 to 0, got -1 to 0 .*leave those out"):
        store.vectors([-1, 0])


def test_a_store_of_another_feature_set_is_refused(tmp_path: Path) -> None:
    FeatureStore.open(tmp_path, SMALL)
    other = replace(SMALL, blocks=(FeatureBlock("tiny", 96, "mean", 3),))
    with pytest.raises(FeatureStoreError, match=r"holds .* feature_set .*another folder"):
        FeatureStore.open(tmp_path, other)


def test_a_broken_description_is_reported(tmp_path: Path) -> None:
    FeatureStore.open(tmp_path, SMALL)
    (tmp_path / "store.json").write_text("{")
    with pytest.raises(FeatureStoreError, match=r"not readable .*remove the folder"):
        FeatureStore.open(tmp_path, SMALL)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(FeatureStoreError, match=r"cannot be kept in .*taken"):
        FeatureStore.open(tmp_path / "taken", SMALL)


def test_a_folder_that_is_no_longer_there_is_named(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path / "store", SMALL)
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(FeatureStoreError, match=r"cannot be written to .*store"):
        store.append([fake_hash(0)], fake_rows(0, 1))
    with pytest.raises(FeatureStoreError, match=r"cannot be written to .*store"):
        store.report_unreadable(fake_hash(0), "no picture")


def test_a_second_writer_is_refused_and_reading_goes_on(tmp_path: Path) -> None:
    first, second = (FeatureStore.open(tmp_path, SMALL) for _ in range(2))
    first.append([fake_hash(0)], fake_rows(0, 1))
    with pytest.raises(FeatureStoreError, match="another process is writing"):
        second.append([fake_hash(1)], fake_rows(1, 1))
    second.refresh()
    assert second.rows([fake_hash(0)]).tolist() == [0]
    first.close()
    second.append([fake_hash(1)], fake_rows(1, 1))
    assert len(second) == 2


def test_a_writer_takes_in_what_a_former_one_added(tmp_path: Path) -> None:
    late = FeatureStore.open(tmp_path, SMALL)
    with FeatureStore.open(tmp_path, SMALL) as early:
        early.append([fake_hash(0)], fake_rows(0, 1))
    late.append([fake_hash(0), fake_hash(1)], fake_rows(0, 2))
    np.testing.assert_array_equal(late.vectors([0, 1]), fake_rows(0, 2))


@given(data=st.data())
def test_any_cut_of_the_files_leaves_a_readable_prefix(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Rows are written before hashes, so a kill leaves any length of rows, then of hashes."""
    folder = tmp_path_factory.mktemp("store")
    with FeatureStore.open(folder, SMALL) as store:
        store.append([fake_hash(i) for i in range(4)], fake_rows(0, 4))
    rows_left = data.draw(st.integers(0, 4 * 6))
    hashes_left = data.draw(st.integers(0, 4 * 32))
    os.truncate(folder / "rows.f16", rows_left)
    os.truncate(folder / "index.sha256", hashes_left)
    count = min(rows_left // 6, hashes_left // 32)
    with FeatureStore.open(folder, SMALL) as store:
        assert len(store) == count
        np.testing.assert_array_equal(store.matrix(), fake_rows(0, count))
        store.append([fake_hash(i) for i in range(5)], fake_rows(0, 5))
    np.testing.assert_array_equal(FeatureStore.open(folder, SMALL).matrix(), fake_rows(0, 5))


@pytest.mark.parametrize("bytes_left", [0, 23, 24, 47, 48])
def test_a_row_counts_only_with_its_windows(tmp_path: Path, bytes_left: int) -> None:
    rows, beside = fake_rows(0, 2), fake_rows(0, 8).reshape(2, 4, 3)
    with FeatureStore.open(tmp_path, WINDOWED) as store:
        store.append([fake_hash(0), fake_hash(1)], rows, {"windows": beside})
    os.truncate(tmp_path / "windows.f16", bytes_left)
    with FeatureStore.open(tmp_path, WINDOWED) as store:
        assert len(store) == bytes_left // 24
        store.append([fake_hash(0), fake_hash(1)], rows, {"windows": beside})
        np.testing.assert_array_equal(store.vectors([0, 1]), rows)
        np.testing.assert_array_equal(store.window_matrix(), beside)


def test_rows_without_their_windows_are_refused(tmp_path: Path) -> None:
    store = FeatureStore.open(tmp_path, WINDOWED)
    with pytest.raises(FeatureStoreError, match=r"windows must be \(1, 4, 3\) .* got none"):
        store.append([fake_hash(0)], fake_rows(0, 1))
    assert len(store) == 0


def test_a_store_goes_on_with_the_set_it_was_made_with(tmp_path: Path) -> None:
    """Sets change between versions of the program; features that were read stay of use."""
    blocks = (FeatureBlock("tiny", 64, "mean", 3), FeatureBlock("tiny", 96, "max", 2))
    before = FeatureSet("balanced", blocks)
    with FeatureStore.open(tmp_path, before) as store:
        store.append([fake_hash(0)], fake_rows(0, 1, 5))
    again = FeatureStore.open(tmp_path, "balanced")
    assert again.feature_set == before
    assert again.outdated
    assert again.window_matrix() is None
    np.testing.assert_array_equal(again.vectors([0]), fake_rows(0, 1, 5))
    assert not FeatureStore.open(tmp_path / "new", "balanced").outdated


def test_zeros_left_by_a_power_cut_are_no_hashes(tmp_path: Path) -> None:
    with FeatureStore.open(tmp_path, SMALL) as store:
        store.append([fake_hash(0)], fake_rows(0, 1))
    with (tmp_path / "index.sha256").open("ab") as file:
        file.write(bytes(64))
    with (tmp_path / "rows.f16").open("ab") as file:
        file.write(bytes(12))
    assert len(FeatureStore.open(tmp_path, SMALL)) == 1


def test_a_writer_killed_at_any_moment_leaves_a_good_store(tmp_path: Path) -> None:
    script = """
        import hashlib, sys
        from pathlib import Path
        import numpy as np
        from hst_core.features import FeatureBlock, FeatureSet, FeatureStore
        small = FeatureSet("small", (FeatureBlock("tiny", 64, "mean", 3),))
        store = FeatureStore.open(Path(sys.argv[1]), small)
        for i in range(len(store), 10**9, 2):
            hashes = [hashlib.sha256(str(j).encode()).hexdigest() for j in (i, i + 1)]
            store.append(hashes, np.full((2, 3), i % 1000) + [[0], [1]])
            print(i, flush=True)
        """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
        reported = [int(line) for line in process.stdout if line.endswith("\n")]
    with FeatureStore.open(tmp_path, SMALL) as store:
        assert len(store) >= max(reported) + 2
        expected = [j % 2 + (j - j % 2) % 1000 for j in range(len(store))]
        np.testing.assert_array_equal(store.matrix()[:, 0], expected)
        assert store.rows([fake_hash(j) for j in range(len(store))]).tolist() == list(
            range(len(store))
        )


# --- reading pictures


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


Colour = str | float | tuple[int, ...]


def two_halves(mode: str, left: Colour, right: Colour, size: int = 40) -> Image.Image:
    picture = Image.new(mode, (size, size), left)
    picture.paste(right, (size // 2, 0, size, size))
    return picture


def corners(path: Path, side: int = 20) -> tuple[list[int], list[int]]:
    """Colours at the middle of the left and of the right edge."""
    array = read_picture(path, [side])[side]
    assert array.shape == (side, side, 3)
    assert array.dtype == np.uint8
    return array[side // 2, 1].tolist(), array[side // 2, -2].tolist()


def near(found: list[int], expected: tuple[int, int, int], tolerance: int = 12) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, expected, strict=True))


WHITE, BLACK, RED, BLUE = (255,) * 3, (0,) * 3, (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize(
    ("name", "picture", "left", "right"),
    [
        ("rgb.jpg", two_halves("RGB", "red", "blue"), RED, BLUE),
        ("grey.jpg", two_halves("L", 0, 255), BLACK, WHITE),
        ("cmyk.jpg", two_halves("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), WHITE, BLACK),
        ("bits.png", two_halves("1", 0, 1), BLACK, WHITE),
        ("palette.png", two_halves("RGB", "red", "blue").convert("P"), RED, BLUE),
        ("alpha.png", two_halves("RGBA", (255, 0, 0, 255), (0, 0, 0, 0)), RED, WHITE),
        ("grey_alpha.png", two_halves("LA", (0, 255), (0, 0)), BLACK, WHITE),
        ("deep.png", two_halves("I;16", 0, 65535), BLACK, WHITE),
        ("deep.tif", two_halves("I;16", 0, 4095), BLACK, WHITE),
        ("float.tif", two_halves("F", 0.0, 1.0), BLACK, WHITE),
        ("integer.tif", two_halves("I", 0, 255), BLACK, WHITE),
        ("moving.gif", two_halves("RGB", "red", "blue"), RED, BLUE),
        ("modern.webp", two_halves("RGB", "red", "blue"), RED, BLUE),
    ],
)
def test_every_kind_of_picture_gives_its_colours(
    tmp_path: Path,
    name: str,
    picture: Image.Image,
    left: tuple[int, int, int],
    right: tuple[int, int, int],
) -> None:
    found = corners(save(tmp_path / name, picture))
    assert near(found[0], left)
    assert near(found[1], right)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags_are_obeyed(tmp_path: Path, orientation: int) -> None:
    """The stored picture is turned back so that all eight must look the same."""
    upright = Image.new("RGB", (60, 40), "white")
    upright.paste("red", (0, 0, 30, 20))
    undo = {
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    stored = upright
    for operation in undo.get(orientation, []):
        stored = stored.transpose(operation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "turned.jpg", stored, exif=exif, quality=95)
    square = read_picture(path, [20])[20]
    assert near(square[4, 4].tolist(), RED)
    for row, column in ((4, 15), (15, 4), (15, 15)):
        assert near(square[row, column].tolist(), WHITE)


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    assert corners(save(tmp_path / "dot.png", Image.new("RGB", (1, 1), "red"))) == (
        [255, 0, 0],
        [255, 0, 0],
    )


def test_a_large_photograph_is_read_reduced(tmp_path: Path) -> None:
    """60 megapixels; a warning about its size would be an error here."""
    path = save(tmp_path / "large.jpg", two_halves("L", 0, 255).resize((10_000, 6_000)))
    assert corners(path, 32) == ([0, 0, 0], [255, 255, 255])


def test_several_sizes_come_from_one_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (50, 70)))
    assert {k: v.shape for k, v in read_picture(path, [8, 16]).items()} == {
        8: (8, 8, 3),
        16: (16, 16, 3),
    }


@given(
    columns=st.integers(1, 20_000),
    rows=st.integers(1, 20_000),
    side=st.sampled_from([64, 224, 352, 480]),
)
def test_a_network_gets_a_picture_of_nearly_its_proportions(
    columns: int, rows: int, side: int
) -> None:
    across, down = input_shape(columns, rows, side, 32)
    assert across % 32 == 0
    assert down % 32 == 0
    wanted = min(max(columns / rows, 0.5), 2.0) ** 0.5
    assert abs(across - side * wanted) <= 16 + 1e-9
    assert abs(down - side / wanted) <= 16 + 1e-9


def test_a_picture_on_its_side_keeps_the_proportions_it_is_seen_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (80, 40))
    path = save(tmp_path / "lying.jpg", lying, exif=exif)
    assert read_picture(path, [64], 8)[64].shape == (88, 48, 3)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "empty.jpg", "text.jpg"])
def test_broken_files_are_called_unreadable(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    if name.startswith("cut"):
        save(path, Image.fromarray(noise))
        path.write_bytes(path.read_bytes()[:3000])
    else:
        path.write_text("" if name == "empty.jpg" else "I am a letter")
    with pytest.raises(UnreadablePictureError):
        read_picture(path, [20])


# --- extraction


def test_vectors_are_the_pooled_maps_of_the_resized_picture(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")
    extract(store, pictures)
    backbone = build_backbone("tiny")
    for image_hash, path in pictures[::5]:
        square = torch.from_numpy(read_picture(path, [64], 8)[64]).permute(2, 0, 1)[None]
        features = backbone(square)
        expected = torch.cat([pool(features, "mean"), pool(features, "max")], 1)
        found = store.vectors(store.rows([image_hash]))
        np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)


def test_pictures_of_many_shapes_in_one_batch_keep_their_rows(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    shapes = [(90, 60), (60, 90), (90, 60), (50, 50), (60, 90), (90, 45)]
    images = []
    for number, (rows, columns) in enumerate(shapes):
        part = Image.fromarray(noise[:rows, :columns]).rotate(90 * number)
        images.append((fake_hash(number), save(tmp_path / f"{number}.png", part)))
    with FeatureStore.open(tmp_path / "store", "tiny") as store:
        extract(store, images, batch_size=6, workers=1)
        together = store.vectors(store.rows([name for name, _ in images]))
    for number, image in enumerate(images):
        with FeatureStore.open(tmp_path / f"only-{number}", "tiny") as alone:
            extract(alone, [image])
            np.testing.assert_allclose(together[number], alone.vectors([0])[0], atol=2e-3)


def test_windows_are_pooled_from_the_same_maps(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")
    extract(store, pictures, batch_size=5)
    image_hash, path = pictures[7]
    square = torch.from_numpy(read_picture(path, [64], 8)[64]).permute(2, 0, 1)[None]
    features = build_backbone("tiny")(square)
    expected = torch.cat([pool_windows(features, way, 3)[0] for way in ("mean", "max")], 1)
    found = store.windows(store.rows([image_hash]))
    assert found is not None
    np.testing.assert_allclose(found[0], expected.numpy(), atol=2e-3)


def test_rows_come_in_the_order_of_the_images(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")
    report = extract(store, pictures, batch_size=5, workers=3)
    assert report.extracted == len(pictures)
    assert not report.stopped
    assert store.hashes == tuple(h for h, _ in pictures)


def test_batch_size_and_workers_do_not_change_the_vectors(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    stores = [FeatureStore.open(tmp_path / str(n), "tiny") for n in range(2)]
    extract(stores[0], pictures, batch_size=1, workers=1)
    extract(stores[1], pictures, batch_size=7, workers=4)
    np.testing.assert_allclose(stores[0].matrix(), stores[1].matrix(), atol=1e-3)


def test_what_is_present_is_skipped(tmp_path: Path, pictures: list[tuple[str, Path]]) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")
    extract(store, pictures[:7])
    report = extract(store, pictures)
    assert (report.present, report.extracted) == (7, 5)
    assert extract(store, pictures).present == 12


def test_copies_of_a_picture_are_extracted_once(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")
    told: list[tuple[int, int]] = []
    report = extract(store, [*pictures, *pictures], progress=lambda *p: told.append(p))
    assert report.extracted == len(store) == 12
    assert told[-1] == (24, 24)


def test_progress_counts_every_image_once(tmp_path: Path, pictures: list[tuple[str, Path]]) -> None:
    pictures[3][1].write_text("no picture")
    store = FeatureStore.open(tmp_path / "store", "tiny")
    told: list[tuple[int, int]] = []
    extract(store, pictures, batch_size=4, progress=lambda *p: told.append(p))
    assert told == [(0, 12), (4, 12), (8, 12), (12, 12)]


def test_unreadable_files_are_reported_and_the_rest_is_extracted(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    pictures[2][1].write_text("no picture")
    pictures[5][1].unlink()
    store = FeatureStore.open(tmp_path / "store", "tiny")
    report = extract(store, pictures)
    assert report.extracted == 10
    assert [(path.name, reason) for _, path, reason in report.unreadable] == [
        ("02.jpg", "no picture format that can be read"),
        ("05.jpg", "file cannot be read: No such file or directory"),
    ]


def test_broken_content_is_not_tried_again_but_a_missing_file_is(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    content = pictures[5][1].read_bytes()
    pictures[2][1].write_text("no picture")
    pictures[5][1].unlink()
    with FeatureStore.open(tmp_path / "store", "tiny") as store:
        extract(store, pictures)
    pictures[5][1].write_bytes(content)
    store = FeatureStore.open(tmp_path / "store", "tiny")
    assert list(store.unreadable) == [pictures[2][0]]
    report = extract(store, pictures)
    assert report.extracted == 1
    assert [path.name for _, path, _ in report.unreadable] == ["02.jpg"]


def test_a_batch_of_unreadable_files_alone_is_no_trouble(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    for _, path in pictures:
        path.write_text("no picture")
    report = extract(FeatureStore.open(tmp_path / "store", "tiny"), pictures)
    assert (report.extracted, len(report.unreadable), report.stopped) == (0, 12, False)


def stop_after(asked: int) -> Callable[[], bool]:
    calls = iter(range(10**6))
    return lambda: next(calls) >= asked


@pytest.mark.parametrize("asked", [0, 1, 4, 9])
def test_a_stopped_extraction_keeps_a_prefix_and_goes_on_later(
    tmp_path: Path, pictures: list[tuple[str, Path]], asked: int
) -> None:
    with FeatureStore.open(tmp_path / "store", "tiny") as store:
        report = extract(store, pictures, batch_size=1, should_stop=stop_after(asked))
        assert report.stopped
        assert report.extracted == len(store) < 12
        assert store.hashes == tuple(h for h, _ in pictures)[: len(store)]
    store = FeatureStore.open(tmp_path / "store", "tiny")
    assert not extract(store, pictures).stopped
    assert store.hashes == tuple(h for h, _ in pictures)


def test_an_error_of_a_callback_loses_nothing_finished(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", "tiny")

    def fail(done: int, _: int) -> None:
        if done >= 6:
            raise RuntimeError("display closed")

    with pytest.raises(RuntimeError, match="display closed"):
        extract(store, pictures, batch_size=3, progress=fail)
    assert len(FeatureStore.open(tmp_path / "store", "tiny")) == 6


def test_the_number_of_torch_threads_is_left_as_it_was(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    before = torch.get_num_threads()
    extract(FeatureStore.open(tmp_path / "store", "tiny"), pictures)
    assert torch.get_num_threads() == before


def test_backbones_can_be_kept_between_calls(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    kept = load_backbones(TINY)
    store = FeatureStore.open(tmp_path / "store", "tiny")
    extract(store, pictures[:3], backbones=kept)
    extract(store, pictures, backbones=kept)
    assert len(store) == 12


def test_a_block_of_other_length_than_the_backbone_gives_is_refused(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    store = FeatureStore.open(tmp_path / "store", SMALL)
    with pytest.raises(FeatureStoreError, match=r"tiny has 128 channels, .* says 3"):
        extract(store, pictures)


def test_bfloat16_keeps_the_direction_of_the_vectors(
    tmp_path: Path, pictures: list[tuple[str, Path]]
) -> None:
    small = FeatureSet("small", (FeatureBlock("efficientnet-lite0", 64, "mean", 1280),))
    stores = []
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    for precision in precisions:
        stores.append(FeatureStore.open(tmp_path / precision, small))
        extract(stores[-1], pictures[:2], precision=precision)
    exact, rounded = (store.vectors([0, 1]) for store in stores)
    norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(rounded, axis=1)
    assert ((exact * rounded).sum(1) / norms > 0.98).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_vectors(tmp_path: Path, pictures: list[tuple[str, Path]]) -> None:
    stores = [FeatureStore.open(tmp_path / device, "fast") for device in ("cpu", "cuda")]
    for store, device in zip(stores, ("cpu", "cuda"), strict=True):
        extract(store, pictures, device=device)
    one, other = (store.vectors(range(12)) for store in stores)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    assert ((one * other).sum(1) / norms > 0.999).all()


# --- feature maps


def test_maps_are_stored_row_by_row(tmp_path: Path, pictures: list[tuple[str, Path]]) -> None:
    backbone = build_backbone("tiny")
    store = FeatureMapStore.open(tmp_path / "maps", backbone)
    report = extract_maps(store, pictures, backbone)
    assert report.extracted == 12
    square = torch.from_numpy(read_picture(pictures[4][1], [64])[64]).permute(2, 0, 1)[None]
    found = store.maps(store.rows([pictures[4][0]]))
    assert found.shape == (1, 128, 64)
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, backbone(square).flatten(2), atol=2e-3)


def test_a_store_of_other_maps_is_refused(tmp_path: Path) -> None:
    backbone = build_backbone("tiny")
    FeatureMapStore.open(tmp_path / "maps", backbone)
    with pytest.raises(FeatureStoreError, match=r"input_size 64, asked for 96|row_shape"):
        FeatureMapStore.open(tmp_path / "maps", backbone, 96)


def test_a_store_of_vectors_is_no_store_of_maps(tmp_path: Path) -> None:
    FeatureStore.open(tmp_path, "tiny")
    with pytest.raises(FeatureStoreError, match="row_shape"):
        FeatureMapStore.open(tmp_path, build_backbone("tiny"))


def test_the_description_is_plain_json(tmp_path: Path) -> None:
    FeatureStore.open(tmp_path, "tiny")
    described = json.loads((tmp_path / "store.json").read_text())
    assert described["feature_set"]["blocks"][1]["pooling"] == "max"
    assert described["feature_set"]["windows"] == 3
