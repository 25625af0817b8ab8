"""Pooled features of pictures: extracted once, kept by content hash (reference §11).

A *feature set* is a list of blocks, each one backbone at one input size with one kind of pooling;
an image's vector is the blocks side by side. Vectors are stored as they are pooled. Blocks differ
in scale, so whoever fits a model on them standardises each block over its own images;
``FeatureSet.slices`` says where each block lies. Statistics do not belong into the store: they
would change with every image that is added.

A set can ask for *windows* too: the same vector of overlapping parts of the picture, pooled from
the same maps, so that they cost room and no time. What is small in a picture fills a window.

The files are those of a :class:`~hst_core.row_store.RowStore`, ``rows`` for the whole pictures and
``windows`` beside them.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hst_core.backbone import Backbone, build_backbone
from hst_core.inference import optimise
from hst_core.row_store import ROWS, FeatureStoreError, RowStore

__all__ = [
    "FEATURE_SETS",
    "ExtractReport",
    "FeatureBlock",
    "FeatureMapStore",
    "FeatureSet",
    "FeatureStore",
    "FeatureStoreError",
    "Pooling",
    "Precision",
    "RowStore",
    "StoredMaps",
    "UnreadablePictureError",
    "extract",
    "extract_maps",
    "feature_maps",
    "feature_set_named",
    "load_backbones",
    "pool",
    "pool_windows",
    "read_picture",
    "window_of",
]

Pooling = Literal["mean", "max"]
WINDOWS = "windows"
"""Name of the matrix of window vectors in a store."""


# --- feature sets ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureBlock:
    """One backbone at one input size with one kind of pooling.

    Attributes:
        backbone: a name of ``hst_core.backbone``.
        input_size: side in pixels; the whole picture is resized to this square, nothing is cut.
        pooling: over the locations of the feature map.
        channels: length of the block, D0 of the backbone.
    """

    backbone: str
    input_size: int
    pooling: Pooling
    channels: int


@dataclass(frozen=True)
class FeatureSet:
    """Blocks that together make an image's vector.

    Attributes:
        name: of the set.
        blocks: in the order of the vector.
        windows: windows along each side of a picture, each half as wide and as high as the
            picture; 0 for none.
    """

    name: str
    blocks: tuple[FeatureBlock, ...]
    windows: int = 0

    @property
    def dim(self) -> int:
        """Length of an image's vector."""
        return sum(block.channels for block in self.blocks)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each block lies in a vector; standardise each of them on its own."""
        ends = np.cumsum([block.channels for block in self.blocks]).tolist()
        return tuple(slice(end - b.channels, end) for b, end in zip(self.blocks, ends, strict=True))

    @property
    def window_count(self) -> int:
        """Number of windows of a picture."""
        return self.windows**2

    @property
    def passes(self) -> dict[tuple[str, int], list[int]]:
        """Give the forward passes needed, (backbone, input size), each with its block numbers."""
        passes: dict[tuple[str, int], list[int]] = {}
        for number, block in enumerate(self.blocks):
            passes.setdefault((block.backbone, block.input_size), []).append(number)
        return passes

    def described(self) -> dict[str, Any]:
        """Say what the set is in plain values; without windows, as before there were any."""
        found = asdict(self)
        if not self.windows:
            del found["windows"]
        return found

    @classmethod
    def from_description(cls, found: Mapping[str, Any]) -> FeatureSet:
        """Read what :meth:`described` gave."""
        blocks = tuple(FeatureBlock(**block) for block in found["blocks"])
        return cls(str(found["name"]), blocks, int(found.get("windows", 0)))


def _lite(number: int, size: int, pooling: Pooling = "mean") -> FeatureBlock:
    return FeatureBlock(f"efficientnet-lite{number}", size, pooling, 1280)


FEATURE_SETS: dict[str, FeatureSet] = {
    feature_set.name: feature_set
    for feature_set in (
        FeatureSet("fast", (_lite(0, 224),), windows=3),
        FeatureSet("balanced", (_lite(2, 352),), windows=3),
        FeatureSet("best", (_lite(2, 480),), windows=3),
        FeatureSet(
            "tiny",
            (FeatureBlock("tiny", 64, "mean", 128), FeatureBlock("tiny", 64, "max", 128)),
            windows=3,
        ),
    )
}


def feature_set_named(name: str) -> FeatureSet:
    """Look up one of ``FEATURE_SETS``.

    Raises:
        FeatureStoreError: if there is none of this name.
    """
    if name not in FEATURE_SETS:
        raise FeatureStoreError(
            f"feature set must be one of {', '.join(FEATURE_SETS)}, got {name!r}"
        )
    return FEATURE_SETS[name]


# --- stores ---------------------------------------------------------------------------------------


class FeatureStore(RowStore):
    """Pooled vectors of one feature set, of whole pictures and of their windows."""

    def __init__(self, folder: Path, feature_set: FeatureSet) -> None:
        self.feature_set = feature_set
        windows = (feature_set.window_count, feature_set.dim)
        super().__init__(
            folder,
            {"feature_set": feature_set.described()},
            (feature_set.dim,),
            {WINDOWS: windows} if feature_set.windows else None,
        )

    @classmethod
    def open(cls, folder: Path | str, feature_set: str | FeatureSet) -> FeatureStore:
        """Open the store in ``folder``, or make it.

        Args:
            folder: where it is.
            feature_set: a set, or the name of one. A store that was made when the set of this
                name was another one goes on with what it holds (:meth:`outdated`).

        Raises:
            FeatureStoreError: if the folder holds another feature set.
        """
        if isinstance(feature_set, str):
            feature_set = _stored_set(Path(folder), feature_set) or feature_set_named(feature_set)
        return cls(Path(folder), feature_set)

    @property
    def outdated(self) -> bool:
        """Whether the set of this name has changed since the store was made."""
        return FEATURE_SETS.get(self.feature_set.name, self.feature_set) != self.feature_set

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.feature_set.dim

    def vectors(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Copy vectors out of the store, [n, dim]."""
        return self.take(rows).astype(np.float32)

    def windows(self, rows: npt.ArrayLike) -> npt.NDArray[np.float16] | None:
        """Copy window vectors out of the store, [n, windows, dim]; None in a set without them."""
        return self.take(rows, WINDOWS) if self.feature_set.windows else None

    def window_matrix(self) -> npt.NDArray[np.float16] | None:
        """Give the window vectors as a view of the file, [N, windows, dim]; None without any."""
        return self.matrix(WINDOWS) if self.feature_set.windows else None


class FeatureMapStore(RowStore):
    """Feature maps of one backbone at one input size, [D0, H * W] each, for the deep tier.

    A map takes about 100 times the room of a vector, so this store is made only where the network
    is trained.
    """

    def __init__(self, folder: Path, backbone: str, input_size: int, channels: int, side: int):
        self.backbone = backbone
        self.input_size = input_size
        self.side = side
        description = {"backbone": backbone, "input_size": input_size}
        super().__init__(folder, description, (channels, side * side))

    @classmethod
    def open(
        cls, folder: Path | str, backbone: Backbone, input_size: int | None = None
    ) -> FeatureMapStore:
        """Open the store of this backbone's maps in ``folder``, or make it.

        Args:
            folder: where it is.
            backbone: gives the maps' shape by one forward pass of a black picture.
            input_size: side in pixels, the backbone's own by default.
        """
        size = input_size or backbone.input_size
        device = backbone.mean.device
        with torch.inference_mode():
            shape = backbone(torch.zeros(1, 3, size, size, device=device)).shape
        return cls(Path(folder), backbone.name, size, int(shape[1]), int(shape[2]))

    def maps(self, rows: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Copy maps out of the store, [n, D0, H * W], locations row by row."""
        return self.take(rows)


class StoredMaps:
    """Feature maps of chosen images, read from disk when they are asked for.

    Args:
        store: holds them.
        rows: [n] of the images in it, in the order wanted.
    """

    def __init__(self, store: FeatureMapStore, rows: npt.NDArray[np.int64]) -> None:
        self._store, self._rows = store, rows

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def __getitem__(self, index: npt.NDArray[np.intp]) -> npt.NDArray[np.float16]:
        """Return maps [n, channels, rows, columns]."""
        maps = self._store.maps(self._rows[index])
        return maps.reshape(*maps.shape[:2], self._store.side, self._store.side)

    def part(self, which: slice) -> StoredMaps:
        """Some of the images."""
        return StoredMaps(self._store, self._rows[which])


def _stored_set(folder: Path, name: str) -> FeatureSet | None:
    """Return the set of this name that a store was made with; None if there is no such store."""
    try:
        found = json.loads((folder / "store.json").read_text(encoding="utf-8"))["feature_set"]
        return FeatureSet.from_description(found) if found["name"] == name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # opening it says what is wrong


# --- pictures -------------------------------------------------------------------------------------


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


# --- extraction -----------------------------------------------------------------------------------

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class ExtractReport:
    """What an extraction did.

    Attributes:
        extracted: images whose features were added.
        present: images that had features already.
        unreadable: (hash, path, reason) of images that gave none.
        stopped: whether ``should_stop`` ended it before all images were done.
    """

    extracted: int
    present: int
    unreadable: list[tuple[str, Path, str]] = field(default_factory=list)
    stopped: bool = False


def load_backbones(feature_set: FeatureSet, device: str = "cpu") -> dict[str, Backbone]:
    """Build the backbones of a feature set, ready for fast inference; pass them to ``extract``."""
    names = {block.backbone for block in feature_set.blocks}
    return {name: _prepare(build_backbone(name), device) for name in sorted(names)}


def extract(
    store: FeatureStore,
    images: Sequence[tuple[str, Path]],
    *,
    device: str = "cpu",
    batch_size: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    backbones: Mapping[str, Backbone] | None = None,
    precision: Precision = "auto",
) -> ExtractReport:
    """Add the features of those images that have none yet.

    Pictures are decoded by threads while others go through the network. On a CPU each core runs
    its own batch on one thread, so no core waits for another; on a GPU one batch at a time runs
    there from pinned memory. What is finished is stored every few batches: a kill loses seconds of
    work, and the next call goes on from there.

    Args:
        store: grows in the order of ``images``.
        images: (sha256 of the file's bytes, path).
        device: "cpu" or "cuda", also "cuda:1".
        batch_size: pictures per forward pass; by default what was measured best.
        workers: decoding threads; by default one per core.
        progress: called with (images done or present, all images) after each batch.
        should_stop: asked after each batch; what is finished is stored.
        backbones: as made by ``load_backbones``, to keep weights in memory between calls.
        precision: "auto" takes bfloat16 where the processor has instructions for it.

    Raises:
        FeatureStoreError: if the store cannot be written.
    """
    todo = _what_to_do(store, images)

    def prepare() -> _Forward:
        networks = backbones or load_backbones(store.feature_set, device)
        return _PooledVectors(store.feature_set, networks, torch.device(device), precision)

    return _fill(store, todo, prepare, batch_size, workers, progress, should_stop)


def extract_maps(
    store: FeatureMapStore,
    images: Sequence[tuple[str, Path]],
    backbone: Backbone,
    *,
    device: str = "cpu",
    batch_size: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    precision: Precision = "auto",
) -> ExtractReport:
    """Add the feature maps of those images that have none yet; arguments as for ``extract``."""
    todo = _what_to_do(store, images)

    def prepare() -> _Forward:
        network = _prepare(backbone, device)
        return _Maps(store.input_size, network, torch.device(device), precision)

    return _fill(store, todo, prepare, batch_size, workers, progress, should_stop)


def feature_maps(
    feature_set: FeatureSet,
    backbones: Mapping[str, Backbone],
    path: Path,
    *,
    device: str = "cpu",
    precision: Precision = "auto",
) -> dict[tuple[str, int], Float[Tensor, "channels rows columns"]]:
    """Compute the feature maps of one picture that its vector is pooled from.

    Args:
        feature_set: whose maps.
        backbones: as made by ``load_backbones``.
        path: of the picture.
        device: where the backbones are.
        precision: as for ``extract``.

    Returns:
        By (backbone, input size); float32.

    Raises:
        UnreadablePictureError: if the content is no picture.
        OSError: if the file cannot be opened.
    """
    forward = _PooledVectors(feature_set, backbones, torch.device(device), precision)
    squares = {side: square[None] for side, square in read_picture(path, forward.sizes).items()}
    with torch.inference_mode():
        return {key: found[0] for key, found in forward.maps_of(squares).items()}


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 instructions; without them it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    return flags.exists() and bool({"avx512_bf16", "amx_bf16"} & set(flags.read_text().split()))


def pool(
    features: Float[Tensor, "batch channels rows columns"], pooling: Pooling
) -> Float[Tensor, "batch channels"]:
    """Reduce a feature map to one vector by the mean or the maximum over its locations."""
    return features.mean((2, 3)) if pooling == "mean" else features.amax((2, 3))


def pool_windows(
    features: Float[Tensor, "batch channels rows columns"], pooling: Pooling, along: int
) -> Float[Tensor, "batch windows channels"]:
    """Pool ``along`` x ``along`` overlapping windows of half the side, row by row of the picture.

    They are spread evenly from edge to edge, in whole locations of the map.
    """
    places = [(row, column) for row in range(along) for column in range(along)]
    bands = [window_of(features.shape[2:], along, place) for place in places]
    return torch.stack([pool(features[:, :, r, c], pooling) for r, c in bands], dim=1)


def window_of(shape: Sequence[int], along: int, place: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a map [rows, columns] that one window has."""
    return _bands(shape[0], along)[place[0]], _bands(shape[1], along)[place[1]]


def _bands(side: int, along: int) -> list[slice]:
    """Where windows of half of ``side`` locations lie along it."""
    width = (side + 1) // 2
    starts = np.linspace(0, side - width, along).round().astype(int).tolist()
    return [slice(start, start + width) for start in starts]


def _prepare(backbone: Backbone, device: str) -> Backbone:
    prepared = optimise(backbone).to(device)
    # Depthwise convolutions are several times faster with channels last, on CPU and GPU.
    return prepared.to(memory_format=torch.channels_last)


# -- the network's side

_Rows = dict[str, npt.NDArray[np.float16]]
"""Rows of some images, by the name of the matrix they belong to."""


class _Forward:
    """Equal squares in, float16 rows of every matrix out; subclasses say what a row is."""

    def __init__(self, device: torch.device, precision: Precision, sizes: Sequence[int]) -> None:
        self.device = device
        self.sizes = sizes
        self.bfloat16 = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))

    def __call__(self, squares: Mapping[int, npt.NDArray[np.uint8]]) -> _Rows:
        """Turn {side: [n, side, side, 3]} into {matrix: [n, *row_shape]}."""
        with torch.inference_mode():
            pixels = {side: self._to_device(array) for side, array in squares.items()}
            limit = torch.finfo(torch.float16).max
            return {
                name: np.asarray(rows.clamp(-limit, limit).half().cpu().numpy())
                for name, rows in self.rows_of(pixels).items()
            }

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        """Compute the rows of one batch from {side: [n, 3, side, side]}."""
        raise NotImplementedError

    def feature_map(self, network: Backbone, pixels: Tensor) -> Tensor:
        """Run one backbone; float32 out, whatever it computed in."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features: Tensor = network(pixels)
        return features.float()

    def _to_device(self, array: npt.NDArray[np.uint8]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        # [n, side, side, 3] read as [n, 3, side, side] is channels-last already.
        return tensor.permute(0, 3, 1, 2)


class _PooledVectors(_Forward):
    """The vectors of a feature set."""

    def __init__(
        self,
        feature_set: FeatureSet,
        networks: Mapping[str, Backbone],
        device: torch.device,
        precision: Precision,
    ) -> None:
        for block in feature_set.blocks:
            found = networks[block.backbone].channels
            if found != block.channels:
                raise FeatureStoreError(
                    f"{block.backbone} has {found} channels, feature set {feature_set.name} says "
                    f"{block.channels} (correct the block)"
                )
        super().__init__(device, precision, sorted({size for _, size in feature_set.passes}))
        self.feature_set = feature_set
        self.networks = networks

    def maps_of(
        self, squares: Mapping[int, npt.NDArray[np.uint8]]
    ) -> dict[tuple[str, int], Tensor]:
        """Run every pass on {side: [n, side, side, 3]}."""
        return {
            (name, size): self.feature_map(self.networks[name], self._to_device(squares[size]))
            for name, size in self.feature_set.passes
        }

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        blocks = self.feature_set.blocks
        whole: dict[int, Tensor] = {}
        windows: dict[int, Tensor] = {}
        for (name, size), numbers in self.feature_set.passes.items():
            features = self.feature_map(self.networks[name], pixels[size])
            for number in numbers:
                pooling = blocks[number].pooling
                whole[number] = pool(features, pooling)
                if self.feature_set.windows:
                    windows[number] = pool_windows(features, pooling, self.feature_set.windows)
        found = {ROWS: torch.cat([whole[number] for number in range(len(blocks))], 1)}
        if windows:
            found[WINDOWS] = torch.cat([windows[number] for number in range(len(blocks))], 2)
        return found


class _Maps(_Forward):
    """The feature maps of one backbone."""

    def __init__(
        self, input_size: int, network: Backbone, device: torch.device, precision: Precision
    ) -> None:
        super().__init__(device, precision, [input_size])
        self.network = network

    def rows_of(self, pixels: Mapping[int, Tensor]) -> dict[str, Tensor]:
        return {ROWS: self.feature_map(self.network, pixels[self.sizes[0]]).flatten(2)}


# -- the pipeline

_Squares = dict[int, npt.NDArray[np.uint8]]


@dataclass(frozen=True)
class _Failure:
    """A picture that gave no row; ``permanent`` if its content is to blame."""

    image_hash: str
    path: Path
    reason: str
    permanent: bool


@dataclass(frozen=True)
class _Todo:
    """What of a request is left after leaving out what the store knows."""

    images: list[tuple[str, Path]]
    total: int
    present: int
    unreadable: list[tuple[str, Path, str]]


@dataclass(frozen=True)
class _Batch:
    hashes: list[str]
    rows: _Rows | None
    failures: list[_Failure]


def _what_to_do(store: RowStore, images: Sequence[tuple[str, Path]]) -> _Todo:
    """Leave out what is stored, what is known to be unreadable, and copies of the same content."""
    left: dict[str, Path] = {}
    unreadable: list[tuple[str, Path, str]] = []
    present = 0
    for image_hash, path in images:
        if image_hash in store:
            present += 1
        elif image_hash in store.unreadable:
            unreadable.append((image_hash, path, store.unreadable[image_hash]))
        else:
            left.setdefault(image_hash, path)
    return _Todo(list(left.items()), len(images), present, unreadable)


def _fill(
    store: RowStore,
    todo: _Todo,
    prepare: Callable[[], _Forward],
    batch_size: int | None,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
    should_stop: Callable[[], bool] | None,
) -> ExtractReport:
    """Run the pipeline into the store and account for every image."""
    tell = progress or (lambda done, total: None)
    stop = should_stop or (lambda: False)
    known = todo.total - len(todo.images)
    tell(known, todo.total)
    if not todo.images or stop():
        return ExtractReport(0, todo.present, todo.unreadable, stopped=bool(todo.images))
    unreadable = list(todo.unreadable)
    extracted = finished = 0
    pending = _Pending(store)
    threads = torch.get_num_threads()
    batches = _pipeline(prepare(), todo.images, batch_size, workers)
    with warnings.catch_warnings():
        # A picture of 100 megapixels is read and no reason for a warning. The filter is set here,
        # since only one thread may change filters.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            for batch in batches:
                pending.add(batch)
                unreadable += [(f.image_hash, f.path, f.reason) for f in batch.failures]
                extracted += len(batch.hashes)
                finished += len(batch.hashes) + len(batch.failures)
                tell(known + finished, todo.total)
                if stop():
                    break
        finally:
            batches.close()
            # The lanes' setting would otherwise be the default of every later thread.
            torch.set_num_threads(threads)
            pending.flush()
    return ExtractReport(extracted, todo.present, unreadable, finished < len(todo.images))


class _Pending:
    """Collects finished rows, so that the disk is waited for once per many batches."""

    def __init__(self, store: RowStore, at_least: int = 64) -> None:
        self.store = store
        self.at_least = at_least
        self.hashes: list[str] = []
        self.rows: list[_Rows] = []

    def add(self, batch: _Batch) -> None:
        for failure in batch.failures:
            if failure.permanent:
                self.store.report_unreadable(failure.image_hash, failure.reason)
        if batch.rows is not None:
            self.hashes.extend(batch.hashes)
            self.rows.append(batch.rows)
        if len(self.hashes) >= self.at_least:
            self.flush()

    def flush(self) -> None:
        hashes, rows = self.hashes, self.rows
        self.hashes, self.rows = [], []
        if hashes:
            beside = {name: np.concatenate([some[name] for some in rows]) for name in rows[0]}
            self.store.append(hashes, beside.pop(ROWS), beside)


def _pipeline(
    run: _Forward,
    images: Sequence[tuple[str, Path]],
    batch_size: int | None,
    workers: int | None,
) -> Generator[_Batch, None, None]:
    """Yield batches in order; decoding and forward passes run ahead in threads."""
    on_cpu = run.device.type == "cpu"
    cores = _cores()
    lanes = min(cores, MAX_LANES) if on_cpu else 1
    size = batch_size or (CPU_BATCH if on_cpu else GPU_BATCH)
    groups = iter([images[i : i + size] for i in range(0, len(images), size)])
    decoders = ThreadPoolExecutor(workers or cores, "decode")
    share = max(1, cores // lanes)
    forward = ThreadPoolExecutor(lanes, "forward", torch.set_num_threads, (share,))
    ahead: deque[Future[_Batch]] = deque()

    def submit() -> None:
        group = next(groups, None)
        if group is not None:
            decoded = [decoders.submit(_read, run.sizes, *item) for item in group]
            ahead.append(forward.submit(_forward_batch, run, group, decoded))

    try:
        for _ in range(2 * lanes + 1):
            submit()
        while ahead:
            batch = ahead.popleft().result()
            submit()
            yield batch
    finally:
        # Whatever has not begun is dropped, so that stopping takes one batch at most.
        forward.shutdown(wait=False, cancel_futures=True)
        decoders.shutdown(cancel_futures=True)
        forward.shutdown()


#: Pictures per forward pass: few enough on a CPU that a layer's output stays near its cache.
CPU_BATCH = 4
GPU_BATCH = 64
#: More lanes would wait for Python's lock; with more cores, each lane uses several.
MAX_LANES = 8


def _cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(sizes: Sequence[int], image_hash: str, path: Path) -> _Squares | _Failure:
    try:
        return read_picture(path, sizes)
    except UnreadablePictureError as error:
        return _Failure(image_hash, path, str(error), permanent=True)
    except MemoryError:
        return _Failure(image_hash, path, "not enough memory to decode it", permanent=False)
    except OSError as error:
        reason = f"file cannot be read: {error.strerror or error}"
        return _Failure(image_hash, path, reason, permanent=False)


def _forward_batch(
    run: _Forward,
    group: Sequence[tuple[str, Path]],
    decoded: Sequence[Future[_Squares | _Failure]],
) -> _Batch:
    results = [future.result() for future in decoded]
    failures = [result for result in results if isinstance(result, _Failure)]
    squares = [result for result in results if not isinstance(result, _Failure)]
    hashes = [
        image_hash
        for (image_hash, _), result in zip(group, results, strict=True)
        if not isinstance(result, _Failure)
    ]
    if not squares:
        return _Batch([], None, failures)
    stacked = {side: np.stack([square[side] for square in squares]) for side in run.sizes}
    return _Batch(hashes, run(stacked), failures)
