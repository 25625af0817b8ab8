"""Extraction: pictures through a network into a store, each once, whatever happens on the way."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from hst_core.backbone import Backbone
from hst_core.feature_stores import FeatureMapStore, FeatureStore
from hst_core.forward import (
    FeatureMaps,
    Forward,
    PooledVectors,
    Precision,
    Rows,
    load_backbones,
    prepared,
)
from hst_core.pictures import UnreadablePictureError
from hst_core.row_store import ROWS, RowStore

#: Pictures per forward pass: few enough on a CPU that a layer's output stays near its cache.
CPU_BATCH = 4
GPU_BATCH = 64
#: More lanes would wait for Python's lock; with more cores, each lane uses several.
MAX_LANES = 8

_Picture = dict[int, npt.NDArray[np.uint8]]


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

    def prepare() -> Forward:
        networks = backbones or load_backbones(store.feature_set, device)
        return PooledVectors(store.feature_set, networks, torch.device(device), precision)

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

    def prepare() -> Forward:
        network = prepared(backbone, device)
        return FeatureMaps(store.input_size, network, torch.device(device), precision)

    return _fill(store, todo, prepare, batch_size, workers, progress, should_stop)


def stream(
    run: Forward,
    images: Sequence[tuple[str, Path]],
    *,
    batch_size: int | None = None,
    workers: int | None = None,
) -> Generator[tuple[list[str], Rows | None, list[Failure]], None, None]:
    """Yield the rows of pictures that need not be stored, in order, batch by batch.

    Args:
        run: from pixels to rows.
        images: (sha256 of the file's bytes, path).
        batch_size: as for ``extract``.
        workers: as for ``extract``.

    Yields:
        Hashes of the pictures that could be read; their rows, None if there are none; and those
        that could not be read.
    """
    with _calm():
        batches = _pipeline(run, images, batch_size, workers)
        try:
            for batch in batches:
                yield batch.hashes, batch.rows, batch.failures
        finally:
            batches.close()


# -- the pipeline


@dataclass(frozen=True)
class Failure:
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
    rows: Rows | None
    failures: list[Failure]


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
    prepare: Callable[[], Forward],
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
    with _calm():
        batches = _pipeline(prepare(), todo.images, batch_size, workers)
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
            pending.flush()
    return ExtractReport(extracted, todo.present, unreadable, finished < len(todo.images))


@contextmanager
def _calm() -> Iterator[None]:
    """Keep large pictures from warning, and the lanes' threads from becoming every thread's."""
    threads = torch.get_num_threads()
    with warnings.catch_warnings():
        # A picture of 100 megapixels is read and no reason for a warning. The filter is set here,
        # since only one thread may change filters.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


class _Pending:
    """Collects finished rows, so that the disk is waited for once per many batches."""

    def __init__(self, store: RowStore, at_least: int = 64) -> None:
        self.store = store
        self.at_least = at_least
        self.hashes: list[str] = []
        self.rows: list[Rows] = []

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
    run: Forward,
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
            decoded = [decoders.submit(_read, run, *item) for item in group]
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


def _cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(run: Forward, image_hash: str, path: Path) -> _Picture | Failure:
    try:
        return run.read(path)
    except UnreadablePictureError as error:
        return Failure(image_hash, path, str(error), permanent=True)
    except MemoryError:
        return Failure(image_hash, path, "not enough memory to decode it", permanent=False)
    except OSError as error:
        reason = f"file cannot be read: {error.strerror or error}"
        return Failure(image_hash, path, reason, permanent=False)


def _forward_batch(
    run: Forward,
    group: Sequence[tuple[str, Path]],
    decoded: Sequence[Future[_Picture | Failure]],
) -> _Batch:
    results = [future.result() for future in decoded]
    failures = [result for result in results if isinstance(result, Failure)]
    pictures = [result for result in results if not isinstance(result, Failure)]
    hashes = [
        image_hash
        for (image_hash, _), result in zip(group, results, strict=True)
        if not isinstance(result, Failure)
    ]
    return _Batch(hashes, _rows_of(run, pictures) if pictures else None, failures)


def _rows_of(run: Forward, pictures: Sequence[_Picture]) -> Rows:
    """Run pictures of one shape together; the rows come in the order of the pictures."""
    together: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for number, picture in enumerate(pictures):
        together.setdefault(tuple(array.shape for array in picture.values()), []).append(number)
    found = [
        run({side: np.stack([pictures[n][side] for n in numbers]) for side in run.sizes})
        for numbers in together.values()
    ]
    place = np.argsort(np.concatenate(list(together.values())))
    return {name: np.concatenate([rows[name] for rows in found])[place] for name in found[0]}
