"""Speed of the network: pair head against the plain formulation, training step, prototypes.

    python benchmarks/core_ist.py                    the table: C = 20, 80, 200, 10 % and 50 % known
    python benchmarks/core_ist.py --categories 80    fewer rows
    python benchmarks/core_ist.py --device cuda
    python benchmarks/core_ist.py --clock cpu        CPU seconds, on a machine that is not idle

The plain formulation concatenates the features of all pairs and runs the paper's fully connected
stack over them (HST Eq. 3): same weights, same losses. Both are measured in the same process, one
after the other, at the paper's sizes (1024 channels, 512 and 1024 units). Times are the fastest of
a few runs; memory is the peak above what was in use before. The machine should do nothing else,
or ``--clock cpu`` count what one thread computes instead of what the wall clock shows.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from device_option import add_device, described
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional

from hst_core.config import ModelConfig
from hst_core.cst import spherical_kmeans
from hst_core.ist import IntraImageTransfer, leave_one_out, pair_index, pair_targets
from hst_core.losses import asymmetric_pair_loss, partial_bce
from hst_core.model import HST

CHANNELS = 1024
HEADS = ("what", "n", "plain", "ours", "faster", "plain", "ours", "smaller")
#: Images per step: as many as the plain formulation can hold in a few GiB.
BATCH = {20: 16, 80: 4, 200: 1}


@dataclass(frozen=True)
class Run:
    """How to measure: where, how often, and what a second is."""

    device: str = "cpu"
    repeats: int = 3
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True)
class Cost:
    """What one call costs: seconds, and MiB above what was in use before."""

    seconds: float
    mebibytes: float


@dataclass(frozen=True)
class Row:
    """One line of the table; ``plain`` is what ``ours`` is compared with, per ``images``."""

    what: str
    images: int
    plain: Cost
    ours: Cost

    @property
    def cells(self) -> list[str]:
        """The line as text."""
        times = [f"{1000 * cost.seconds:,.1f} ms" for cost in (self.plain, self.ours)]
        sizes = [f"{cost.mebibytes:,.0f} MiB" for cost in (self.plain, self.ours)]
        faster = self.plain.seconds / self.ours.seconds
        smaller = self.plain.mebibytes / max(1.0, self.ours.mebibytes)
        return [self.what, str(self.images), *times, f"{faster:.1f}", *sizes, f"{smaller:.1f}"]


def plain_pair_logits(module: IntraImageTransfer, features: Tensor) -> Tensor:
    """All pairs by concatenation; [batch, pairs]."""
    first, second = pair_index(module.categories, features.device)
    pairs = torch.cat([module.project(features[:, first]), module.project(features[:, second])], 2)
    weight = torch.cat([module.first.weight, module.second.weight], dim=1)
    hidden = torch.relu(functional.linear(pairs, weight, module.second.bias))
    if module.per_pair:
        return (hidden * module.vectors).sum(dim=2) + module.bias
    return hidden @ module.vectors + module.bias


def drawn_labels(images: int, categories: int, known: float, seed: int = 0) -> Tensor:
    """About three present categories per image, each cell known with the given probability."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.rand(images, categories, generator=generator) < 3 / categories
    seen = torch.rand(images, categories, generator=generator) < known
    labels = (torch.where(present, 1, -1) * seen).to(torch.int8)
    labels[:, 0] = 1  # without a known positive there would be no evidence to compute
    return labels


def pair_rows(categories: int, known: float, run: Run) -> Iterator[Row]:
    """Training step of the pair head, evidence, and all pairs."""
    images = BATCH.get(categories, max(1, 1280 // categories))
    torch.manual_seed(0)
    module = IntraImageTransfer(categories, CHANNELS).to(run.device)
    features = torch.randn(images, categories, CHANNELS, device=run.device)
    labels = drawn_labels(images, categories, known).to(run.device)

    def backward(loss: Tensor) -> None:
        torch.autograd.backward(loss)
        module.zero_grad()

    def plain_step() -> None:
        logits = plain_pair_logits(module, features.detach().requires_grad_())
        backward(asymmetric_pair_loss(logits, pair_targets(labels)))

    def our_step() -> None:
        backward(module.loss(features.detach().requires_grad_(), labels))

    @torch.no_grad()
    def plain_evidence() -> None:
        leave_one_out(torch.sigmoid(plain_pair_logits(module, features)), labels)

    @torch.no_grad()
    def plain_pairs() -> None:
        plain_pair_logits(module, features)

    @torch.no_grad()
    def our_pairs() -> None:
        module(features)

    name = f"C = {categories}, {known:.0%} known"
    yield compare(f"IST step, {name}", images, plain_step, our_step, run)
    yield compare(
        f"IST evidence, {name}",
        images,
        plain_evidence,
        lambda: module.transfer(features, labels),
        run,
    )
    if known < 0.5:  # all pairs cost the same whatever is known
        yield compare(f"all pairs, C = {categories}", images, plain_pairs, our_pairs, run)


def step_row(categories: int, known: float, run: Run) -> Row:
    """The whole training step of the paper's network on cached 7x7 maps."""
    images = BATCH.get(categories, max(1, 1280 // categories))
    model = HST(ModelConfig(), categories, 1280).to(run.device)
    maps = torch.randn(images, 1280, 7, 7, device=run.device)
    labels = drawn_labels(images, categories, known).to(run.device)
    assert isinstance(model.ist, IntraImageTransfer)
    assert model.cst is not None
    ist, cst = model.ist, model.cst
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-5)

    def step(pair_loss: Callable[[Tensor], Tensor], evidence: Callable[[Tensor], object]) -> None:
        output = model(maps)
        loss = 3 * partial_bce(output.logits, labels) + 10 * pair_loss(output.category_features)
        loss = loss + 0.05 * cst.loss(output.category_features, labels)
        with torch.no_grad():
            evidence(output.category_features)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()

    def plain() -> None:
        step(
            lambda f: asymmetric_pair_loss(plain_pair_logits(ist, f), pair_targets(labels)),
            lambda f: leave_one_out(torch.sigmoid(plain_pair_logits(ist, f)), labels),
        )

    def ours() -> None:
        step(lambda f: ist.loss(f, labels), lambda f: ist.transfer(f, labels))

    name = f"whole training step, C = {categories}, {known:.0%} known"
    return compare(name, images, plain, ours, run)


def kmeans_row(examples: int, run: Run) -> Row:
    """Ten prototypes of one category; ``plain`` is scikit-learn with one start."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(6, 1280, generator=generator) / 2
    chosen = torch.randint(0, 6, (examples,), generator=generator)
    noise = torch.randn(examples, 1280, generator=generator)
    vectors = functional.normalize((centres[chosen] + noise).relu(), dim=1)
    table, moved = vectors.numpy(), vectors.to(run.device)
    return compare(
        f"k-means, {examples:,} examples (plain: scikit-learn)",
        examples,
        lambda: KMeans(10, n_init=1, random_state=0, max_iter=30).fit(table),
        lambda: spherical_kmeans(moved, 10, torch.Generator().manual_seed(0)),
        run,
    )


def compare(
    what: str,
    images: int,
    plain: Callable[[], object],
    ours: Callable[[], object],
    run: Run,
) -> Row:
    """Measure both, one after the other."""
    return Row(what, images, cost_of(plain, run), cost_of(ours, run))


def cost_of(call: Callable[[], object], run: Run) -> Cost:
    """Fastest of some runs after one to warm up, and the peak memory of that one."""
    gc.collect()
    before = _reset_peak(run.device)
    call()
    mebibytes = (_peak(run.device) - before) / 2**20
    times = []
    for _ in range(run.repeats):
        start = run.clock()
        call()
        if run.device != "cpu":
            torch.cuda.synchronize()
        times.append(run.clock() - start)
        if sum(times) > 30:
            break
    return Cost(min(times), mebibytes)


def _reset_peak(device: str) -> int:
    """Start a new peak; returns the bytes in use now."""
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    # What an earlier call freed stays with the process and would hide what this one takes.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: sets VmHWM to VmRSS
    return _peak(device)


def _peak(device: str) -> int:
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def rows(
    categories: tuple[int, ...] = (20, 80, 200),
    known: tuple[float, ...] = (0.1, 0.5),
    run: Run | None = None,
) -> Iterator[Row]:
    """All lines of the table, as they are measured."""
    run = run or Run()
    for number in categories:
        for share in known:
            yield from pair_rows(number, share, run)
    for number in categories[:2]:
        yield step_row(number, known[0], run)
    for examples in (100, 20_000):
        yield kmeans_row(examples, run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--categories", type=int, nargs="+", default=[20, 80, 200])
    parser.add_argument("--known", type=float, nargs="+", default=[0.1, 0.5])
    add_device(parser)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    args = parser.parse_args()
    where = described(args.device)
    run = Run(args.device, args.repeats)
    if args.clock == "cpu":
        torch.set_num_threads(1)
        run = Run(args.device, args.repeats, time.process_time)
        where = f"CPU seconds of one thread, {where}"
    table = Table(*HEADS, title=f"pair head and network, {where}")
    for row in rows(tuple(args.categories), tuple(args.known), run):
        table.add_row(*row.cells)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
