"""Speed of the label database through the service: one command, one table.

    python benchmarks/database.py                       100,000 pictures x 80 categories
    python benchmarks/database.py --images 2000 --import-images 2000
    python benchmarks/database.py --database postgresql+psycopg://user@/name

Everything goes through AnnotationService on a real file, commits included; times are medians with
the 95th percentile. The machine should do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from made_scores import MadeScores, add_version, weight
from rich.console import Console
from rich.table import Table

from annotator.images import ScannedImage
from annotator.service import AnnotationService, CellBatch, CellChange
from annotator.settings import Settings, Workspace


def random_scores(images: int, categories: int, rng: np.random.Generator) -> MadeScores:
    """Random values of the shapes that a fit leaves."""
    shape = (images, categories)
    logit = rng.normal(-2, 2, shape).astype(np.float32)
    both = rng.normal(0, 0.3, (categories, categories)).astype(np.float32)
    both += both.T
    np.fill_diagonal(both, 0)
    values = {name: logit + rng.normal(0, 1, shape) for name in ("base", "neighbours")}
    kinds = (("base", "classifier"), ("neighbours", "cst"), ("cooccurrence", "ist"))
    return MadeScores.of(
        1 / (1 + np.exp(-logit)),
        sources={name: value.astype(np.float32) for name, value in values.items()},
        cooccurrence=both,
        stack=[weight(name, kind, 0.7) for name, kind in kinds],
        neighbours=rng.integers(0, images, (images, 100), dtype=np.int32),
        neighbour_similarity=rng.random((images, 100), dtype=np.float32),
        exemplars=rng.integers(0, images, (categories, 8), dtype=np.int32),
    )


class Report:
    """The one table."""

    def __init__(self, title: str) -> None:
        self._table = Table(title=title)
        for name in ("what", "times", "median", "95 %", "note"):
            self._table.add_column(name, justify="left" if name in ("what", "note") else "right")

    def time(self, what: str, times: int, call: Callable[[int], object], note: str = "") -> None:
        """Time ``call(0)``, ``call(1)``, … one by one."""
        seconds = []
        for i in range(times):
            start = time.perf_counter()
            call(i)
            seconds.append(time.perf_counter() - start)
        self.add(what, seconds, note)

    def add(self, what: str, seconds: list[float], note: str = "") -> None:
        """Add a row; without times only its note."""
        if not seconds:
            self._table.add_row(what, "", "", "", note)
            return
        late = sorted(seconds)[int(0.95 * (len(seconds) - 1))]
        self._table.add_row(
            what, str(len(seconds)), _shown(statistics.median(seconds)), _shown(late), note
        )

    def show(self) -> None:
        """Print it."""
        Console(width=120).print(self._table)


def _shown(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 1 else f"{seconds:.1f} s"


def scanned(images: int) -> Iterator[ScannedImage]:
    for i in range(images):
        name = f"{i:07d}.jpg"
        yield ScannedImage(f"{i:064x}", Path("/pictures") / name, name, 640, 480, 100_000, "jpeg")


def everything(first: int, images: int, categories: int, seed: int) -> Iterator[CellBatch]:
    """All cells of the images, 3 % of them present, a thousand images at a time."""
    rng = np.random.default_rng(seed)
    columns = np.arange(1, categories + 1)
    for start in range(first, first + images, 1000):
        ids = np.arange(start, min(start + 1000, first + images))
        present = rng.random((len(ids), categories)) < 0.03
        yield CellBatch(
            np.repeat(ids, categories),
            np.tile(columns, len(ids)),
            np.where(present, 1, -1).astype(np.int8).ravel(),
        )


def prepared(
    service: AnnotationService,
    images: int,
    categories: int,
    known: float,
    pictures: Iterable[ScannedImage] | None = None,
) -> None:
    """Pictures, categories, a share of the cells known, and scores as of a first model version."""
    service.add_categories([f"category {i}" for i in range(1, categories + 1)])
    service.add_images(scanned(images) if pictures is None else pictures)
    rng = np.random.default_rng(0)

    def some() -> Iterator[CellBatch]:
        for batch in everything(1, images, categories, 1):
            chosen = rng.random(len(batch)) < known
            yield CellBatch(
                batch.image_ids[chosen], batch.category_ids[chosen], batch.states[chosen]
            )

    service.import_decisions(some(), source="benchmark")
    add_version(service, random_scores(images, categories, rng))


def measure_clicks(
    service: AnnotationService, report: Report, images: int, categories: int
) -> None:
    user = service.ensure_user("ana").id
    rng = np.random.default_rng(2)
    some = rng.integers(1, images + 1, 1000).tolist()

    def decide(i: int) -> None:
        cell = CellChange(some[i], int(rng.integers(1, categories + 1)), 1)
        service.decide(user, [cell], key=f"one-{i}")

    def page(i: int) -> None:
        chosen = rng.choice(np.arange(1, images + 1), 60, replace=False).tolist()
        service.decide(
            user, [CellChange(image, 1 + i % categories, -1) for image in chosen], key=f"page-{i}"
        )

    report.time("decide one cell", 300, decide, "commit, new suggestions stored and returned")
    report.time("undo one cell", 100, lambda i: service.undo(user, key=f"undo-{i}"))
    report.time("decide a page of 60", 50, page, "one category, 60 pictures")
    report.time("undo a page of 60", 50, lambda i: service.undo(user, key=f"undo-page-{i}"))
    report.time("image_state", 300, lambda i: service.image_state(some[i]))
    report.time("evidence", 100, lambda i: service.evidence(some[i], 1 + i % categories))
    report.time("status", 20, lambda i: service.status())


def measure_queues(service: AnnotationService, report: Report) -> None:
    for queue in ("uncertain", "unlabelled", "random", "look-again"):
        user = service.ensure_user(f"user of {queue}").id
        start = time.perf_counter()
        shown = [image.id for image in service.next_images(user, queue, count=5).images]
        report.add(
            f"first of {queue}, 5 pictures", [time.perf_counter() - start], "orders the queue"
        )
        seconds = []
        for _ in range(100 if shown else 0):
            start = time.perf_counter()
            page = service.next_images(user, queue, count=5, after=shown[0])
            seconds.append(time.perf_counter() - start)
            shown = [image.id for image in page.images]
        if seconds:
            report.add(f"next of {queue}, 5 ahead", seconds)


def measure_bulk(service: AnnotationService, report: Report, images: int, categories: int) -> None:
    user = service.ensure_user("ana").id
    cells = images * categories

    def note(seconds: float) -> str:
        return f"{cells:,} cells, {cells / seconds / 1e6:.2f} million a second"

    def timed(what: str, call: Callable[[], object]) -> None:
        start = time.perf_counter()
        call()
        seconds = time.perf_counter() - start
        report.add(what, [seconds], note(seconds))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timed(
        "import everything",
        lambda: service.import_decisions(everything(1, images, categories, 3), user_id=user),
    )
    timed("read all decisions as a matrix", service.labels)

    def export() -> None:
        with service.export() as export:
            for image in export.images():
                image.states.sum()

    timed("go through the export", export)
    timed(
        "import it again, overwriting",
        lambda: service.import_decisions(
            everything(1, images, categories, 4), user_id=user, conflict="overwrite"
        ),
    )
    timed("undo that import", lambda: service.undo(user, key="undo-overwrite"))
    timed("undo the first import", lambda: service.undo(user, key="undo-import"))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report.add("peak memory, MB", [], f"{before / 1024:.0f} before, {after / 1024:.0f} after")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--categories", type=int, default=80)
    parser.add_argument("--known", type=float, default=0.1, help="share of cells known at first")
    parser.add_argument("--import-images", type=int, default=118_287, help="0: no bulk part")
    parser.add_argument("--database", default="", help="URL; default: SQLite in a new folder")
    args = parser.parse_args()
    title = (
        f"{args.images:,} pictures x {args.categories} categories, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, "
        + (args.database.partition(":")[0] or f"SQLite {sqlite3.sqlite_version}")
    )
    report = Report(title)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database=args.database)
        workspace = Workspace.create(Path(folder) / "clicks", settings)
        with AnnotationService.create(workspace) as service:
            prepared(service, args.images, args.categories, args.known)
            measure_clicks(service, report, args.images, args.categories)
            measure_queues(service, report)
        start = time.perf_counter()
        AnnotationService(workspace).close()
        report.add("open the workspace again", [time.perf_counter() - start])
    if args.import_images and not args.database:
        with tempfile.TemporaryDirectory() as folder:
            workspace = Workspace.create(Path(folder) / "bulk")
            with AnnotationService.create(workspace) as service:
                service.add_categories([f"category {i}" for i in range(1, args.categories + 1)])
                service.add_images(scanned(args.import_images))
                measure_bulk(service, report, args.import_images, args.categories)
                size = (workspace.path / "labels.db").stat().st_size
                report.add("size of labels.db", [], f"{size / 2**20:.0f} MB at the end")
    report.show()


if __name__ == "__main__":
    main()
