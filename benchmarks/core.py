"""Speed of the method: one command for all of it.

    python benchmarks/core.py --images DIR
    python benchmarks/core.py --only projects
    python benchmarks/core.py --images DIR --device cuda

Three tables, each printed when it is complete; their modules also run alone:
`core_project.py`   fits, refits, the worker's round and scoring, what the tool lives on;
`core_ist.py`       pair head and whole training step against the plain formulation;
`core_features.py`  feature extraction against the bare backbone, which needs photographs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import core_features
import core_ist
import core_project
from device_option import add_device, described
from rich.console import Console
from rich.table import Table

PARTS = ("projects", "pairs", "features")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, help="folder of JPEG photographs, for extraction")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--categories", type=int, nargs="+", default=[20, 80, 200])
    parser.add_argument("--large", type=int, default=100_000, help="images of the large project")
    add_device(parser)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if "features" in options.only and options.images is None:
        parser.error("extraction needs --images DIR (or leave it out: --only projects pairs)")
    console = Console(width=120)
    console.print(described(options.device))
    if "projects" in options.only:
        table = Table(*core_project.HEADS, title="Projects")
        for line in core_project.rows(options.large, options.device, options.repeats):
            table.add_row(*line)
        console.print(table)
    if "pairs" in options.only:
        run = core_ist.Run(options.device, options.repeats)
        table = Table(*core_ist.HEADS, title="Pair head and network")
        for pair_row in core_ist.rows(tuple(options.categories), run=run):
            table.add_row(*pair_row.cells)
        console.print(table)
    if "features" in options.only:
        table = Table(*core_features.HEADS, title="Features, per picture")
        pictures = core_features.find_pictures(options.images, 300)
        for feature_row in core_features.rows(pictures, device=options.device):
            table.add_row(*feature_row.cells)
        console.print(table)


if __name__ == "__main__":
    main()
