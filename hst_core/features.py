"""Pooled features of pictures: extracted once, kept by content hash (reference §11).

A *feature set* is a list of blocks, each one backbone at one input size with one kind of pooling;
an image's vector is the blocks side by side. Vectors are stored as they are pooled. Blocks differ
in scale, so whoever fits a model on them standardises each block over its own images;
``FeatureSet.slices`` says where each block lies. Statistics do not belong into the store: they
would change with every image that is added.

A store is a folder: ``store.json`` says what it holds, ``rows.f16`` is the float16 matrix and
``index.sha256`` the 32-byte content hash of each row. Both only ever grow, rows before hashes, and
the number of whole hashes is the number of rows. A process killed at any moment therefore leaves
at most rows without a hash, which the next writer overwrites.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hst_core.backbone import Backbone, build_backbone, fold_batch_norm

try:  # file locks exist on POSIX only; elsewhere a second writer is not noticed
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

Pooling = Literal["mean", "max"]
FORMAT = 1


class FeatureStoreError(ValueError):
    """A store cannot be used as asked; the text says why and what to do next."""


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
    """Blocks that together make an image's vector."""

    name: str
    blocks: tuple[FeatureBlock, ...]

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
    def passes(self) -> dict[tuple[str, int], list[int]]:
        """Give the forward passes needed, (backbone, input size), each with its block numbers."""
        passes: dict[tuple[str, int], list[int]] = {}
        for number, block in enumerate(self.blocks):
            passes.setdefault((block.backbone, block.input_size), []).append(number)
        return passes


def _lite(number: int, size: int, pooling: Pooling = "mean") -> FeatureBlock:
    return FeatureBlock(f"efficientnet-lite{number}", size, pooling, 1280)


FEATURE_SETS: dict[str, FeatureSet] = {
    feature_set.name: feature_set
    for feature_set in (
        FeatureSet("fast", (_lite(0, 224),)),
        FeatureSet("balanced", (_lite(2, 260),)),
        FeatureSet("best", (_lite(0, 224), _lite(0, 352), _lite(0, 352, "max"), _lite(2, 260))),
        FeatureSet(
            "tiny", (FeatureBlock("tiny", 64, "mean", 128), FeatureBlock("tiny", 64, "max", 128))
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

_HASH = re.compile(r"[0-9a-f]{64}")
_HASH_BYTES = 32


class RowStore:
    """Float16 rows of one shape, found by content hash, safe against a kill at any moment.

    One process may write; any number may read, and ``refresh`` shows them what was added.
    """

    def __init__(
        self, folder: Path, description: Mapping[str, Any], row_shape: tuple[int, ...]
    ) -> None:
        self.folder = folder
        self.row_shape = row_shape
        self._row_bytes = 2 * int(np.prod(row_shape))
        self._row_of: dict[str, int] = {}
        self._hashes: list[str] = []
        self._memory: npt.NDArray[np.float16] | None = None
        self._lock: IO[bytes] | None = None
        self.unreadable: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._check_description({"format": FORMAT, "row_shape": list(row_shape), **description})
        self.refresh()

    # -- reading

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, image_hash: str) -> bool:
        return image_hash in self._row_of

    @property
    def hashes(self) -> tuple[str, ...]:
        """Content hash of each row, in row order."""
        return tuple(self._hashes)

    def rows(self, hashes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Find the row of each hash, -1 where there is none; any number in one call."""
        find = self._row_of.get
        return np.fromiter((find(h, -1) for h in hashes), dtype=np.int64, count=len(hashes))

    def take(self, rows: npt.ArrayLike) -> npt.NDArray[np.float16]:
        """Copy rows out of the file, [n, *row_shape].

        Raises:
            IndexError: if a row is not in the store, -1 included.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(
                f"rows must be 0 to {len(self) - 1}, got {wanted.min()} to {wanted.max()} "
                "(rows() gives -1 for images without features: leave those out)"
            )
        return self.matrix()[wanted]

    def matrix(self) -> npt.NDArray[np.float16]:
        """Give all rows as a read-only view of the file, [N, *row_shape]."""
        if self._memory is None or len(self._memory) != len(self):
            shape = (len(self), *self.row_shape)
            if len(self) == 0:
                self._memory = np.zeros(shape, np.float16)
            else:
                self._memory = np.memmap(self._rows_file, np.float16, mode="r", shape=shape)
        return self._memory

    def refresh(self) -> None:
        """See what another process has added since."""
        start = len(self._hashes)
        with self._index_file.open("ab+") as index:
            index.seek(start * _HASH_BYTES)
            added = index.read()
        rows_on_disk = self._rows_file.stat().st_size // self._row_bytes
        count = min(len(added) // _HASH_BYTES, rows_on_disk - start)
        for row in range(count):
            digest = added[row * _HASH_BYTES : (row + 1) * _HASH_BYTES]
            # A power cut can leave zeros at the end of a file that had just grown.
            if not any(digest):
                break
            self._remember(digest.hex())
        self._read_unreadable()

    # -- writing

    def append(self, hashes: Sequence[str], rows: npt.ArrayLike) -> None:
        """Add rows; returns when they are on disk. Hashes already present are left as they are.

        Args:
            hashes: sha256 of each image's bytes, 64 hexadecimal digits.
            rows: [n, *row_shape], finite; stored as float16, values beyond its range are cut.

        Raises:
            FeatureStoreError: for wrong shapes, hashes or values, if another process writes to the
                store, or if the disk is full.
        """
        values = np.asarray(rows)
        if values.shape != (len(hashes), *self.row_shape):
            raise FeatureStoreError(
                f"rows must be {(len(hashes), *self.row_shape)} for {len(hashes)} hashes, "
                f"got {values.shape}"
            )
        wrong = next((h for h in hashes if not _HASH.fullmatch(h)), None)
        if wrong is not None:
            raise FeatureStoreError(
                f"hashes must be 64 hexadecimal digits in lower case (sha256), got {wrong!r}"
            )
        if not np.isfinite(values).all():
            raise FeatureStoreError("rows must be finite, got NaN or infinity (nothing was stored)")
        fresh = {h: i for i, h in enumerate(hashes) if h not in self._row_of}
        if not fresh:
            return
        limit = np.finfo(np.float16).max
        chosen = np.clip(values[list(fresh.values())], -limit, limit).astype(np.float16)
        self._acquire()
        start = len(self._hashes)
        try:
            # Rows first: a hash must never be on disk before what it points to.
            _write_at(self._rows_file, start * self._row_bytes, chosen.tobytes())
            digests = bytes.fromhex("".join(fresh))
            _write_at(self._index_file, start * _HASH_BYTES, digests)
        except OSError as error:
            raise FeatureStoreError(
                f"features cannot be written to {self.folder} ({error}); free some space and start "
                "again: what was stored before is intact"
            ) from error
        for image_hash in fresh:
            self._remember(image_hash)

    def report_unreadable(self, image_hash: str, reason: str) -> None:
        """Remember that the content of this hash is no readable picture, so nobody tries again."""
        if image_hash in self.unreadable:
            return
        self._acquire()
        self.unreadable[image_hash] = reason
        line = json.dumps({"hash": image_hash, "reason": reason}) + "\n"
        with self._unreadable_file.open("a", encoding="utf-8") as file:
            file.write(line)

    def close(self) -> None:
        """Give up the right to write; reading stays possible."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside

    @property
    def _rows_file(self) -> Path:
        return self.folder / "rows.f16"

    @property
    def _index_file(self) -> Path:
        return self.folder / "index.sha256"

    @property
    def _unreadable_file(self) -> Path:
        return self.folder / "unreadable.jsonl"

    def _remember(self, image_hash: str) -> None:
        self._row_of[image_hash] = len(self._hashes)
        self._hashes.append(image_hash)

    def _check_description(self, description: dict[str, Any]) -> None:
        path = self.folder / "store.json"
        if not path.exists():
            self._rows_file.touch()
            self._index_file.touch()
            _write_atomically(path, json.dumps(description, indent=1))
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FeatureStoreError(
                f"{path} is not readable ({error}); remove the folder to extract again"
            ) from error
        self._rows_file.touch()
        for key, value in json.loads(json.dumps(description)).items():
            if found.get(key) != value:
                raise FeatureStoreError(
                    f"{self.folder} holds features with {key} {found.get(key)!r}, asked for "
                    f"{value!r} (use another folder, or remove this one to extract again)"
                )

    def _read_unreadable(self) -> None:
        if not self._unreadable_file.exists():
            return
        for line in self._unreadable_file.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a process that was killed
            self.unreadable[entry["hash"]] = entry["reason"]

    def _acquire(self) -> None:
        """Become the writer, and take in what a former one has left."""
        if self._lock is not None:
            return
        lock = (self.folder / "lock").open("ab")
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.close()
                raise FeatureStoreError(
                    f"another process is writing features to {self.folder} (wait for it or stop it)"
                ) from error
        self._lock = lock
        known = len(self._hashes)
        self.refresh()
        if len(self._hashes) != known:
            self._memory = None


class FeatureStore(RowStore):
    """Pooled vectors of one feature set."""

    def __init__(self, folder: Path, feature_set: FeatureSet) -> None:
        self.feature_set = feature_set
        super().__init__(folder, {"feature_set": asdict(feature_set)}, (feature_set.dim,))

    @classmethod
    def open(cls, folder: Path | str, feature_set: str | FeatureSet) -> FeatureStore:
        """Open the store in ``folder``, or make it.

        Raises:
            FeatureStoreError: if the folder holds another feature set.
        """
        if isinstance(feature_set, str):
            feature_set = feature_set_named(feature_set)
        return cls(Path(folder), feature_set)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.feature_set.dim

    def vectors(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Copy vectors out of the store, [n, dim]."""
        return self.take(rows).astype(np.float32)


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
    def open(cls, folder: Path | str, backbone: Backbone, input_size: int | None = None) -> Self:
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


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Write at ``offset``, drop what lies behind, and wait until it is on disk."""
    with path.open("r+b", buffering=0) as file:
        file.truncate(offset)
        file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _write_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


# --- pictures -------------------------------------------------------------------------------------

MAX_PIXELS = 400_000_000


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
        UnreadablePictureError: if the content is broken, cut off, no picture, or too large.
        OSError: if the file itself cannot be opened.
    """
    largest = max(sizes)
    with path.open("rb") as file, warnings.catch_warnings():
        # Pillow warns of pictures beyond 89 megapixels; the limit here is MAX_PIXELS.
        warnings.simplefilter("ignore")
        try:
            with Image.open(file) as picture:
                _check_size(picture)
                # A JPEG is decoded at 1/2, 1/4 or 1/8 as long as that is no smaller than needed.
                picture.draft("RGB", (largest, largest))
                upright = picture.getexif().get(0x0112, 1)
                squares = {
                    side: _square(colour, side)
                    for colour in (_to_rgb(picture),)
                    for side in sorted(sizes, reverse=True)
                }
        except UnreadablePictureError:
            raise
        except UnidentifiedImageError as error:
            raise UnreadablePictureError("no picture format that can be read") from error
        except (Exception, Image.DecompressionBombError) as error:
            # Decoders raise OSError, SyntaxError, ValueError, struct.error and more.
            raise UnreadablePictureError(f"broken picture: {error}") from error
    return {side: _turn(square, upright) for side, square in squares.items()}


def _check_size(picture: Image.Image) -> None:
    pixels = picture.width * picture.height
    if pixels > MAX_PIXELS:
        raise UnreadablePictureError(
            f"{picture.width} x {picture.height} pixels are more than the {MAX_PIXELS:,} allowed"
        )


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
    if orientation not in (None, 1):
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
        stopped: whether it ended because ``should_stop`` said so.
    """

    extracted: int
    present: int
    unreadable: list[tuple[str, Path, str]] = field(default_factory=list)
    stopped: bool = False


def load_backbones(feature_set: FeatureSet, device: str = "cpu") -> dict[str, Backbone]:
    """Build the backbones of a feature set, ready for fast inference; pass them to ``extract``."""
    names = {block.backbone for block in feature_set.blocks}
    return {name: _prepare(build_backbone(name), device) for name in sorted(names)}


def _prepare(backbone: Backbone, device: str) -> Backbone:
    prepared = fold_batch_norm(backbone).to(device)
    # Depthwise convolutions are several times faster with channels last, on CPU and GPU.
    return prepared.to(memory_format=torch.channels_last)


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
    its own batch on one thread, which wastes nothing on waiting for each other; on a GPU one batch
    at a time runs there from pinned memory. What is finished is stored every few batches, so a
    kill loses seconds of work and the next call goes on from there.

    Args:
        store: grows in the order of ``images``.
        images: (sha256 of the file's bytes, path).
        device: "cpu" or "cuda", also "cuda:1".
        batch_size: pictures per forward pass; by default what was measured best.
        workers: decoding threads; by default one per core.
        progress: called with (images done or present, all images) after each batch.
        should_stop: asked before each batch; what is finished is stored.
        backbones: as made by ``load_backbones``, to keep weights in memory between calls.
        precision: "auto" takes bfloat16 where the processor has instructions for it.

    Raises:
        FeatureStoreError: if the store cannot be written.
    """
    stop = should_stop or (lambda: False)
    todo, report = _what_to_do(store, images)
    done = len(images) - len(todo)
    tell = progress or (lambda finished, total: None)
    tell(done, len(images))
    if not todo or stop():
        return _with(report, stopped=bool(todo))
    networks = backbones or load_backbones(store.feature_set, device)
    run = _Forward(store.feature_set, networks, torch.device(device), precision)
    extracted = 0
    unreadable = list(report.unreadable)
    pending = _Pending(store)
    stopped = False
    threads = torch.get_num_threads()
    results = _pipeline(run, todo, batch_size, workers, stop)
    try:
        for batch in results:
            pending.add(batch.hashes, batch.vectors)
            for image_hash, path, reason, permanent in batch.failed:
                unreadable.append((image_hash, path, reason))
                if permanent:
                    store.report_unreadable(image_hash, reason)
            extracted += len(batch.hashes)
            done += len(batch.hashes) + len(batch.failed)
            tell(done, len(images))
            if stop():
                stopped = True
                break
    finally:
        results.close()
        # The lanes' setting would otherwise be the default of every later thread.
        torch.set_num_threads(threads)
        pending.flush()
    stopped = stopped or extracted + len(unreadable) - len(report.unreadable) < len(todo)
    return ExtractReport(extracted, report.present, unreadable, stopped)


def _with(report: ExtractReport, *, stopped: bool) -> ExtractReport:
    return ExtractReport(report.extracted, report.present, report.unreadable, stopped)


def _what_to_do(
    store: RowStore, images: Sequence[tuple[str, Path]]
) -> tuple[list[tuple[str, Path]], ExtractReport]:
    """Leave out what is stored, what is known to be unreadable, and copies of the same content."""
    todo: dict[str, Path] = {}
    unreadable: list[tuple[str, Path, str]] = []
    present = 0
    for image_hash, path in images:
        if image_hash in store:
            present += 1
        elif image_hash in store.unreadable:
            unreadable.append((image_hash, path, store.unreadable[image_hash]))
        else:
            todo.setdefault(image_hash, path)
    return list(todo.items()), ExtractReport(0, present, unreadable)


class _Pending:
    """Collects finished rows, so that the disk is waited for once per many batches."""

    def __init__(self, store: RowStore, at_least: int = 64) -> None:
        self.store = store
        self.at_least = at_least
        self.hashes: list[str] = []
        self.rows: list[npt.NDArray[np.float16]] = []

    def add(self, hashes: Sequence[str], rows: npt.NDArray[np.float16]) -> None:
        self.hashes.extend(hashes)
        if len(hashes):
            self.rows.append(rows)
        if len(self.hashes) >= self.at_least:
            self.flush()

    def flush(self) -> None:
        if self.hashes:
            self.store.append(self.hashes, np.concatenate(self.rows))
        self.hashes, self.rows = [], []


@dataclass(frozen=True)
class _Batch:
    hashes: list[str]
    vectors: npt.NDArray[np.float16]
    failed: list[tuple[str, Path, str, bool]]


class _Forward:
    """The network side: equal squares in, pooled float16 vectors out."""

    def __init__(
        self,
        feature_set: FeatureSet,
        networks: Mapping[str, Backbone],
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.feature_set = feature_set
        self.networks = networks
        self.device = device
        self.sizes = sorted({size for _, size in feature_set.passes})
        self.bfloat16 = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))

    def __call__(self, squares: Mapping[int, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float16]:
        """Turn {side: [n, side, side, 3]} into vectors [n, dim]."""
        with torch.inference_mode():
            pixels = {side: self._to_device(array) for side, array in squares.items()}
            parts: list[Tensor | None] = [None] * len(self.feature_set.blocks)
            for (name, size), numbers in self.feature_set.passes.items():
                features = self.feature_map(name, pixels[size])
                for number in numbers:
                    parts[number] = pool(features, self.feature_set.blocks[number].pooling)
            vectors = torch.cat([part for part in parts if part is not None], 1)
            limit = torch.finfo(torch.float16).max
            return np.asarray(vectors.clamp(-limit, limit).half().cpu().numpy())

    def feature_map(self, name: str, pixels: Tensor) -> Tensor:
        """Run one backbone; float32 out, whatever it computed in."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            features: Tensor = self.networks[name](pixels)
        return features.float()

    def _to_device(self, array: npt.NDArray[np.uint8]) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        # [n, side, side, 3] read as [n, 3, side, side] is already channels-last.
        return tensor.permute(0, 3, 1, 2)


def pool(
    features: Float[Tensor, "batch channels rows columns"], pooling: Pooling
) -> Float[Tensor, "batch channels"]:
    """Reduce a feature map to one vector by the mean or the maximum over its locations."""
    return features.mean((2, 3)) if pooling == "mean" else features.amax((2, 3))


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the processor has bfloat16 instructions; without them it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        return False
    words = set(flags.read_text().split())
    return bool(words & {"avx512_bf16", "amx_bf16"})


def _pipeline(
    run: _Forward,
    todo: Sequence[tuple[str, Path]],
    batch_size: int | None,
    workers: int | None,
    stop: Callable[[], bool],
) -> Generator[_Batch, None, None]:
    """Yield batches in order; decoding and forward passes run ahead in threads."""
    on_cpu = run.device.type == "cpu"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    lanes = (cores or 1) if on_cpu else 1
    size = batch_size or (4 if on_cpu else 64)
    groups = [todo[i : i + size] for i in range(0, len(todo), size)]
    with (
        ThreadPoolExecutor(workers or cores, "decode") as decoders,
        ThreadPoolExecutor(lanes, "forward", _one_thread if on_cpu else None) as forward,
    ):
        ahead: deque[Future[_Batch]] = deque()
        waiting = iter(groups)

        def submit() -> None:
            group = next(waiting, None)
            if group is not None:
                decoded = [decoders.submit(_read, run.sizes, *item) for item in group]
                ahead.append(forward.submit(_forward_batch, run, group, decoded, stop))

        try:
            for _ in range(2 * lanes + 1):
                submit()
            while ahead:
                batch = ahead.popleft().result()
                submit()
                yield batch
        finally:
            for future in ahead:
                future.cancel()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _read(
    sizes: Sequence[int], image_hash: str, path: Path
) -> dict[int, npt.NDArray[np.uint8]] | tuple[str, bool]:
    """Read one picture; for a failure give the reason and whether its content is to blame."""
    try:
        return read_picture(path, sizes)
    except UnreadablePictureError as error:
        return str(error), True
    except OSError as error:
        return f"file cannot be opened: {error.strerror or error}", False


def _forward_batch(
    run: _Forward,
    group: Sequence[tuple[str, Path]],
    decoded: Sequence[Future[dict[int, npt.NDArray[np.uint8]] | tuple[str, bool]]],
    stop: Callable[[], bool],
) -> _Batch:
    squares: list[dict[int, npt.NDArray[np.uint8]]] = []
    hashes: list[str] = []
    failed: list[tuple[str, Path, str, bool]] = []
    for (image_hash, path), future in zip(group, decoded, strict=True):
        result = future.result()
        if isinstance(result, dict):
            squares.append(result)
            hashes.append(image_hash)
        else:
            failed.append((image_hash, path, *result))
    if not squares or stop():
        return _Batch([], np.zeros((0, run.feature_set.dim), np.float16), failed)
    stacked = {side: np.stack([square[side] for square in squares]) for side in run.sizes}
    return _Batch(hashes, run(stacked), failed)
