"""Speed of feature extraction from files, against the bare network on decoded pixels.

    python benchmarks/core_features.py --images DIR
    python benchmarks/core_features.py --images DIR --sets fast balanced --device cuda

*from files* is ``extract`` into a store on disk: reading, decoding, resizing, network, pooling,
writing. *bare* is what a caller of the backbone would write: its forward pass in torch's default
way, on batches that are already decoded and in memory. *lanes* is the forward pass as ``extract``
runs it (optimised network, one batch per core), also on decoded pixels. Shares are of throughput:
100 % means that reading, decoding and storing cost nothing on top. Each figure is the median of a
few rounds, in which the three take turns. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from device_option import add_device, described
from rich.console import Console
from rich.table import Table
from torch import Tensor

from hst_core.backbone import Backbone, build_backbone
from hst_core.extraction import CPU_BATCH, GPU_BATCH, MAX_LANES
from hst_core.features import (
    FEATURE_SETS,
    WINDOWS,
    FeatureSet,
    FeatureStore,
    extract,
    load_backbones,
    read_picture,
)

HEADS = ("set", "length", "n", "files", "bare", "lanes", "decode", "of bare", "of lanes")
#: The bare network gets a batch size that suits it.
BARE_BATCH = 8


@dataclass(frozen=True)
class Row:
    """One feature set; milliseconds per image."""

    feature_set: str
    dim: int
    images: int
    files: float
    bare: float
    lanes: float
    decode: float

    @property
    def cells(self) -> list[str]:
        """The line as text."""
        return [
            self.feature_set,
            f"{self.dim:,}",
            f"{self.images:,}",
            *(f"{ms:.1f} ms" for ms in (self.files, self.bare, self.lanes, self.decode)),
            f"{self.bare / self.files:.0%}",
            f"{self.lanes / self.files:.0%}",
        ]


def find_pictures(folder: Path, count: int) -> list[tuple[str, Path]]:
    """Give the first ``count`` JPEG files of a folder with their hashes."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        raise SystemExit(f"--images must hold JPEG files, found none in {folder}")
    return [(hashlib.sha256(p.read_bytes()).hexdigest(), p) for p in paths[:count]]


def milliseconds(call: Callable[[], object], images: int, device: str) -> float:
    """Wall time of one call per image."""
    start = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start) / images


def decoded_batches(paths: Sequence[Path], size: int, batch: int, device: str) -> list[Tensor]:
    """Decode pictures into batches [batch, 3, size, size], uint8, channels last, on the device."""
    squares = np.stack([read_picture(path, [size])[size] for path in paths])
    pixels = torch.from_numpy(squares).permute(0, 3, 1, 2).to(device)
    return [pixels[i : i + batch] for i in range(0, len(paths), batch)]


def run_bare(network: Backbone, batches: Sequence[Tensor], device: str) -> None:
    """Run forward passes one after the other, as anybody would."""
    with torch.inference_mode():
        for pixels in batches:
            network(pixels.to(device))


def run_lanes(network: Backbone, batches: Sequence[Tensor], device: str) -> None:
    """Run forward passes as ``extract`` does, one lane per core."""
    cores = os.cpu_count() or 1
    lanes = min(cores, MAX_LANES) if device == "cpu" else 1

    def forward(pixels: Tensor) -> None:
        with torch.inference_mode():
            network(pixels).mean((2, 3))

    threads = torch.get_num_threads()
    share = (max(1, cores // lanes),)
    with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=share) as pool:
        list(pool.map(forward, batches))
    torch.set_num_threads(threads)


def measure(
    feature_set: FeatureSet, pictures: Sequence[tuple[str, Path]], device: str, rounds: int
) -> Row:
    """Measure one feature set; the three ways take turns."""
    paths = [path for _, path in pictures]
    networks = load_backbones(feature_set, device)
    plain = {name: build_backbone(name).to(device) for name in networks}
    times: dict[str, list[float]] = {"files": [], "bare": [], "lanes": [], "decode": []}
    count = len(pictures)

    def from_files() -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            FeatureStore.open(folder, feature_set) as store,
        ):
            extract(store, pictures, device=device, backbones=networks)

    extract_some = pictures[: min(32, count)]
    with tempfile.TemporaryDirectory() as folder:  # warm up: weights in order, files in memory
        extract(FeatureStore.open(folder, feature_set), extract_some, device=device)
    for _ in range(rounds):
        times["files"].append(milliseconds(from_files, count, device))
        bare = lanes = decode = 0.0
        for name, size in feature_set.passes:
            few = GPU_BATCH if device != "cpu" else BARE_BATCH
            batches = decoded_batches(paths, size, few, device)
            bare += milliseconds(lambda: run_bare(plain[name], batches, device), count, device)  # noqa: B023
            few = GPU_BATCH if device != "cpu" else CPU_BATCH
            batches = decoded_batches(paths, size, few, device)
            lanes += milliseconds(lambda: run_lanes(networks[name], batches, device), count, device)  # noqa: B023
        sizes = [size for _, size in feature_set.passes]
        decode += milliseconds(lambda: [read_picture(p, sizes) for p in paths], count, device)  # noqa: B023
        for key, value in (("bare", bare), ("lanes", lanes), ("decode", decode)):
            times[key].append(value)
    medians = {key: statistics.median(values) for key, values in times.items()}
    return Row(feature_set.name, feature_set.dim, count, **medians)


def store_rows(count: int = 100_000) -> Iterator[tuple[str, float]]:
    """Measure opening a large store, finding all its hashes, and reading some of its vectors."""
    feature_set = FEATURE_SETS["tiny"]
    hashes = [secrets.token_hex(32) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        with FeatureStore.open(folder, feature_set) as store:
            for start in range(0, count, 10_000):
                some = hashes[start : start + 10_000]
                whole = np.zeros((len(some), feature_set.dim), np.float16)
                beside = np.zeros(
                    (len(some), feature_set.window_count, feature_set.dim), np.float16
                )
                store.append(some, whole, {WINDOWS: beside})
        start_time = time.perf_counter()
        store = FeatureStore.open(folder, feature_set)
        opened = time.perf_counter()
        rows = store.rows(hashes)
        found = time.perf_counter()
        store.vectors(rows)
        read = time.perf_counter()
    yield f"open a store of {count:,}", opened - start_time
    yield f"rows() of {count:,} hashes", found - opened
    yield f"vectors() of {count:,} rows x {feature_set.dim}", read - found


def rows(
    pictures: Sequence[tuple[str, Path]],
    sets: Sequence[str] = ("fast", "balanced", "best"),
    device: str = "cpu",
    rounds: int = 3,
) -> Iterator[Row]:
    """All lines of the table, as they are measured."""
    for name in sets:
        yield measure(FEATURE_SETS[name], pictures, device, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of JPEG photographs")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--sets", nargs="+", default=["fast", "balanced", "best"])
    add_device(parser)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    table = Table(*HEADS, title=f"features, {described(args.device)}")
    for row in rows(find_pictures(args.images, args.count), args.sets, args.device, args.rounds):
        table.add_row(*row.cells)
    console = Console(width=110)
    console.print(table)
    for what, seconds in store_rows():
        console.print(f"{what}: {1000 * seconds:.0f} ms")


if __name__ == "__main__":
    main()
