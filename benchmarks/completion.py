"""What completing a label set costs: policies of `annotator simulate` at equal total error.

python benchmarks/completion.py --images DIR --labels FILE.csv [--split train] [--quick]

plays every policy with three seeds from 10 % known and prints human answers and seconds per picture
until 1 % and 0.5 % of all cells are wrong, which for most policies only the truth can tell. `tool`
plays the tool as it is used and ends with a contract that promises this error, so its figures have
everything in them. Features and finished games are kept in --cache and used again: an interrupted
run goes on where it stopped, and --policies and --seeds may be run piece by piece.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from annotator.simulation.play import Game, games_of
from annotator.simulation.policies import POLICIES
from annotator.simulation.projects import Source, play_all
from annotator.simulation.report import FINISHED, TARGETS

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
    parser.add_argument("--targets", type=float, nargs="+", default=list(TARGETS))
    parser.add_argument("--error-rate", type=float, default=0.0, help="of the annotator")
    parser.add_argument("--per-round", type=float, default=0.25, help="answers per picture")
    parser.add_argument("--cache", type=Path, help="folder to keep features and courses in")
    parser.add_argument("--quick", action="store_true", help="one seed, three policies, few rounds")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.per_round = options.seeds[:1], 2 * options.per_round
        options.policies = ["base", "stack", "tool"]
    setting = Game("stack", 0, options.known, options.error_rate, options.per_round)
    games = games_of(options.policies, options.seeds, options.targets, setting)
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
    ended = Table(*FINISHED, title="ended with a contract; answers and seconds per picture, all in")
    for row in done.finished:
        ended.add_row(*row)
    console.print(ended)


def tell(message: str, share: float) -> None:
    if share == 0.0 and any(word in message for word in ("wrong", "blind", "answered")):
        console.print(f"[dim]{message}[/dim]")


if __name__ == "__main__":
    main()
