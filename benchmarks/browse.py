"""Speed of the browser of pictures: one command, one table.

    python benchmarks/browse.py                       118,000 pictures x 80 categories
    python benchmarks/browse.py --images 5000 --times 5

Filters and orders are timed as the page asks for them (`Browser.search`), and the same question as
one SQL statement over the label database where it can be asked in SQL. Medians with the slowest.
The machine should do nothing else meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from database import prepared
from rich.console import Console
from rich.table import Table
from sqlalchemy import text

from annotator.browse import Browser
from annotator.browse_decisions import Selection
from annotator.browsing import (
    All,
    Condition,
    Decided,
    KnownBetween,
    LabelIs,
    NameContains,
    Not,
    Order,
    ScoreBetween,
)
from annotator.look_alikes import near_duplicates
from annotator.open_scores import OpenScores
from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import CellChange

CUP, FORK = 3, 7
UNKNOWN = LabelIs(CUP, frozenset({0}))
PRESENT = LabelIs(FORK, frozenset({1}))

# What a person asks, and the same in SQL; None: SQL knows nothing of scores.
QUESTIONS: tuple[tuple[str, Condition | None, Order, str | None], ...] = (
    ("all, by id", None, Order(), "SELECT id FROM image ORDER BY id"),
    (
        "one label unknown, by id",
        UNKNOWN,
        Order(),
        "SELECT id FROM image i WHERE NOT EXISTS (SELECT 1 FROM decision d "
        f"WHERE d.image_id = i.id AND d.category_id = {CUP}) ORDER BY id",
    ),
    (
        "one present, one unknown, by name",
        All((UNKNOWN, PRESENT)),
        Order("name"),
        "SELECT i.id FROM image i JOIN decision f ON f.image_id = i.id "
        f"AND f.category_id = {FORK} AND f.state = 1 WHERE NOT EXISTS (SELECT 1 FROM decision d "
        f"WHERE d.image_id = i.id AND d.category_id = {CUP}) ORDER BY lower(i.file_name), i.id",
    ),
    (
        "any cell by one source, last decided first",
        Decided(sources=frozenset({"benchmark"})),
        Order("changed", descending=True),
        "SELECT d.image_id FROM decision d JOIN event e ON e.id = d.event_id "
        "WHERE e.source = 'benchmark' GROUP BY d.image_id ORDER BY max(e.at) DESC, d.image_id",
    ),
    (
        "5 to 10 known, least known first",
        KnownBetween(5, 10),
        Order("known"),
        "SELECT id FROM image WHERE known BETWEEN 5 AND 10 ORDER BY known, id",
    ),
    (
        "name contains, by name",
        NameContains("007"),
        Order("name"),
        "SELECT id FROM image WHERE file_name LIKE '%007%' ORDER BY lower(file_name), id",
    ),
    (
        "score range, by probability",
        ScoreBetween(CUP, 0.2, 0.8),
        Order("probability", True, CUP),
        None,
    ),
    (
        "untouched left out, by uncertainty",
        Not(KnownBetween(0, 0)),
        Order("uncertainty", True),
        None,
    ),
    (
        "five conditions, by probability",
        All((
            UNKNOWN,
            ScoreBetween(CUP, 0.05, 0.9),
            KnownBetween(2, 40),
            NameContains("1"),
            Decided(sources=frozenset({"benchmark"})),
        )),
        Order("probability", True, CUP),
        None,
    ),
)  # fmt: skip


def timed(times: int, call: Callable[[], object]) -> list[float]:
    """Seconds of each call."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def shown(seconds: list[float]) -> tuple[str, str]:
    """Median and slowest in words."""
    return tuple(
        f"{s * 1000:.1f} ms" if s < 1 else f"{s:.2f} s"
        for s in (statistics.median(seconds), max(seconds))
    )  # type: ignore[return-value]


def measure(service: AnnotationService, table: Table, times: int) -> None:
    browser = Browser(service.database, OpenScores(service.workspace.scores), service._clock)
    first = timed(1, lambda: browser.search(None, Order()))
    table.add_row("first list of a new server: reads all", *shown(first), "", "")
    first = timed(1, lambda: browser.search(None, Order("uncertainty")))
    table.add_row("first order by uncertainty of a model version", *shown(first), "", "")
    for what, condition, order, sql in QUESTIONS:
        browser.search(condition, order)
        ours = timed(times, lambda c=condition, o=order: browser.search(c, o))  # type: ignore[misc]
        base = ("", "")
        if sql is not None:
            with service.database.reading() as connection:
                statement = text(sql)
                base = shown(timed(times, lambda: connection.execute(statement).all()))  # noqa: B023
        table.add_row(what, *shown(ours), *base)
    user = service.ensure_user("ana").id
    keys = iter(range(10**6))

    def after_a_click() -> None:
        service.decide(user, [CellChange(5, CUP, 1)], key=f"click-{next(keys)}")
        start = time.perf_counter()
        browser.search(UNKNOWN, Order("uncertainty", True))
        clicks.append(time.perf_counter() - start)

    clicks: list[float] = []
    for _ in range(times):
        after_a_click()
    table.add_row("unknown by uncertainty after a click", *shown(clicks), "", "")
    found = browser.search(None, Order())
    table.add_row(
        "window of 120 tiles",
        *shown(timed(times, lambda: browser.window(found.name, found.total // 2, 120, CUP))),
        "", "",
    )  # fmt: skip
    measure_bulk(service, browser, table, user)


def measure_bulk(service: AnnotationService, browser: Browser, table: Table, user: int) -> None:
    found = browser.search(None, Order())
    everything = Selection(found.name, ((0, found.total),), whole=True)
    previews = timed(3, lambda: browser.preview(everything, FORK))
    table.add_row("count a selection of all", *shown(previews), "", "")
    check = browser.preview(everything, FORK).check
    options = {"check": check, "overwrite": True, "key": "bulk"}
    table.add_row(
        "decide one category in all pictures",
        *shown(timed(1, lambda: browser.decide(user, everything, FORK, 1, **options))),  # type: ignore[arg-type]
        "", "",
    )  # fmt: skip
    table.add_row("undo it", *shown(timed(1, lambda: service.undo(user, key="undo-bulk"))), "", "")
    table.add_row(
        "list after it", *shown(timed(1, lambda: browser.search(UNKNOWN, Order()))), "", ""
    )
    rng = np.random.default_rng(4)
    neighbours = rng.integers(0, found.total, (found.total, 100), dtype=np.int32)
    falling = -np.sort(-(rng.random((found.total, 100), dtype=np.float32) ** 200), axis=1)
    groups = timed(3, lambda: near_duplicates(neighbours, falling, 0.9))
    table.add_row("group near-duplicates, 100 neighbours each", *shown(groups), "", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=118_000)
    parser.add_argument("--categories", type=int, default=80)
    parser.add_argument("--known", type=float, default=0.1, help="share of cells known")
    parser.add_argument("--times", type=int, default=20)
    args = parser.parse_args()
    table = Table(
        title=f"{args.images:,} pictures x {args.categories} categories, {args.known:.0%} known, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}"
    )
    for name in ("what", "median", "slowest", "SQL median", "SQL slowest"):
        table.add_column(name, justify="left" if name == "what" else "right")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "browse")
        with AnnotationService.create(workspace) as service:
            prepared(service, args.images, args.categories, args.known)
            measure(service, table, args.times)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
