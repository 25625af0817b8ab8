"""How long the order of each queue and the draw of blind questions take in a large project.

    python benchmarks/queues.py                       100,000 pictures x 80 categories

Random scores of the right shapes and types, one process; the machine should do nothing else
meanwhile. What a person waits for is the first line that concerns their queue, once per model
version: later pages follow the order that was worked out.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from annotator import queues
from annotator.answer_values import answer_values, coverage, most_valuable
from annotator.completion import finishing
from annotator.completion.planning import plan
from annotator.completion.pools import Pool, unknown_cells

NEAREST = 40


@dataclass(frozen=True)
class Large:
    """Arrays of a large project, as a score folder holds them."""

    ids: NDArray[np.int64]
    probability: NDArray[np.float16]
    labels: NDArray[np.int8]
    neighbours: NDArray[np.int32]
    similarity: NDArray[np.float32]
    cooccurrence: NDArray[np.float32]
    prior: NDArray[np.float64]

    @classmethod
    def make(cls, images: int, categories: int, known: float) -> Large:
        """Random values; one picture in ten has a near-duplicate."""
        rng = np.random.default_rng(0)
        shape = (images, categories)
        probability = rng.beta(0.1, 2.0, shape).astype(np.float16)
        labels = np.where(rng.random(shape) < probability, 1, -1).astype(np.int8)
        near = rng.integers(0, images, (images, NEAREST)).astype(np.int32)
        similarity = -np.sort(-rng.uniform(0.3, 0.9, near.shape).astype(np.float32), axis=1)
        near[1::20, 0], similarity[1::20, 0] = np.arange(images)[1::20] - 1, 0.97
        both = rng.normal(0, 0.3, (categories, categories)).astype(np.float32)
        return cls(
            ids=np.arange(1, images + 1),
            probability=probability,
            labels=labels * (rng.random(shape) < known),
            neighbours=near,
            similarity=similarity,
            cooccurrence=both + both.T,
            prior=rng.uniform(0.001, 0.2, categories),
        )

    def pool(self) -> Pool:
        """All unknown cells."""
        columns = np.arange(1, self.labels.shape[1] + 1)
        return unknown_cells(self.probability, self.labels != 0, self.ids, columns)

    def valuable(self) -> NDArray[np.int64]:
        """Order of the queue."""
        near = self.neighbours, self.similarity
        value = answer_values(self.probability, self.labels, *near, self.cooccurrence, self.prior)
        return most_valuable(self.ids, value, *near)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--categories", type=int, default=80)
    parser.add_argument("--known", type=float, default=0.1)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    large = Large.make(options.images, options.categories, options.known)
    pool = large.pool()
    table = Table("what", "seconds, median", title=(
        f"{options.images:,} pictures x {options.categories} categories, {len(pool):,} unknown "
        f"cells; {platform.machine()}, {os.cpu_count()} cores"
    ))  # fmt: skip
    for what, work in steps(large, pool):
        table.add_row(what, median(work, options.repeat))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.add_row("peak memory of this process, MiB", f"{memory:,.0f}")
    Console().print(table)


def steps(large: Large, pool: Pool) -> list[tuple[str, Callable[[], Any]]]:
    """What is timed, by name."""
    nobody = np.zeros(0, dtype=np.int64)
    allowed = int(0.01 * large.labels.size)
    shown = large.ids, large.probability, large.labels
    return [
        ("queue uncertain", lambda: queues.uncertain(*shown)),
        ("queue valuable", large.valuable),
        (
            "queue valuable before any model: coverage",
            lambda: coverage(large.ids, large.neighbours, large.similarity),
        ),
        ("freeze the unknown cells", large.pool),
        (
            "plan a contract: accept",
            lambda: plan("accept", pool.score, target=0.02, confidence=0.95),
        ),
        (
            "plan a contract: finish",
            lambda: finishing.plan(pool.score, allowed=allowed, confidence=0.95),
        ),
        (
            "draw a thousand blind questions by risk",
            lambda: finishing.draw(pool, nobody, allowed=allowed, seed=1, number=0, count=1_000),
        ),
    ]


def median(work: Callable[[], Any], repeat: int) -> str:
    """Seconds of a piece of work in words."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return f"{np.median(seconds):.2f}"


if __name__ == "__main__":
    main()
