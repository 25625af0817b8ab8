"""What completing a label set costs: policies of `annotator simulate` at equal total error.

python benchmarks/completion.py --images DIR --labels FILE.csv [--split train] [--quick]

plays every policy with three seeds from 10 % known and prints human answers and seconds per picture
until 1 % and 0.5 % of all cells are wrong. Features are kept in --cache and used again.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from annotator.simulation.play import Game
from annotator.simulation.policies import POLICIES
from annotator.simulation.projects import Source, play_all
from annotator.simulation.report import TARGETS

console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--split", default="", help="only this split of the label file")
    parser.add_argument("--feature-set", default="balanced")
    parser.add_argument("--ignore", nargs="*", default=["split", "source", "width", "height"])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=list(POLICIES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--known", type=float, default=0.1)
    parser.add_argument("--per-round", type=float, default=0.25, help="answers per picture")
    parser.add_argument("--cache", type=Path, help="folder to keep features and courses in")
    parser.add_argument("--quick", action="store_true", help="one seed, three policies, few rounds")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.per_round = options.seeds[:1], 2 * options.per_round
        options.policies = ["base-once", "base", "stack"]
    games = [
        Game(policy, seed, options.known, per_round=options.per_round)
        for policy in options.policies
        for seed in options.seeds
    ]
    source = Source(
        options.images, options.labels, options.feature_set, tuple(options.ignore), options.split
    )
    with tempfile.TemporaryDirectory() as folder:
        done = play_all(source, games, options.cache or Path(folder), tell)
    title = (
        f"{done.images:,} pictures, {done.cells:,} cells, {options.known:.0%} known; asking "
        f"everything: {done.exhaustive:.1f} answers a picture; "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )
    table = Table("policy", "seeds", title=title)
    for target in TARGETS:
        table.add_column(f"answers at {target:.1%} wrong", justify="right")
        table.add_column("seconds", justify="right")
    for row in done.rows:
        table.add_row(*row)
    console.print(table)


def tell(message: str, share: float) -> None:
    if share == 0.0 and "wrong" in message:
        console.print(f"[dim]{message}[/dim]")


if __name__ == "__main__":
    main()
