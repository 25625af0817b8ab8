"""Import and export through the command line: one command, one table.

    python benchmarks/exchange.py                    118,287 pictures, 354,679 labels, 80 categories
    python benchmarks/exchange.py --images 5000 --labels 15000

The numbers are those of COCO 2017 train; pictures have rows but no files. Each step is a process of
its own, so its peak memory is its own too. `COCO(file)` of pycocotools on the same file is the
yardstick that makes runs on busy or slower machines comparable.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from annotator.images import ScannedImage
from annotator.service import AnnotationService
from annotator.settings import Workspace

PYCOCOTOOLS = "from pycocotools.coco import COCO; COCO(sys.argv[1])"
ANNOTATOR = "from annotator.cli import main; main()"


@dataclass(frozen=True)
class Step:
    """One process: seconds on the wall and on the processors, peak memory in MiB."""

    name: str
    wall: float
    cpu: float
    peak: int


def run(name: str, code: str, *arguments: object) -> Step:
    """Run Python code with arguments and measure the process."""
    command = [sys.executable, "-c", f"import sys; {code}", *map(str, arguments)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed with exit code {process.returncode}")
    return Step(name, wall, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


def write_coco(path: Path, images: int, labels: int, categories: int) -> None:
    """Image-level annotations at random cells, as other tools write them."""
    cells = np.random.default_rng(0).choice(images * categories, labels, replace=False)
    cells.sort()
    content = {
        "info": {},
        "images": [
            {"id": i, "file_name": f"{i:012}.jpg", "width": 640, "height": 480}
            for i in range(images)
        ],
        "annotations": [
            {"id": n, "image_id": c // categories, "category_id": c % categories + 1}
            | {"iscrowd": 0, "area": 307200}
            for n, c in enumerate(cells.tolist(), start=1)
        ],
        "categories": [{"id": c, "name": f"category {c}"} for c in range(1, categories + 1)],
    }
    path.write_text(json.dumps(content), encoding="ascii")


def make_workspace(path: Path, images: int) -> Path:
    """A workspace with rows of pictures that have no files."""
    with AnnotationService.create(Workspace.create(path)) as service:
        service.add_images(
            ScannedImage(f"{i:064x}", Path(f"/p/{i:012}.jpg"), f"{i:012}.jpg", 640, 480, 1, "jpeg")
            for i in range(images)
        )
    return path


def measure(folder: Path, images: int, labels: int, categories: int) -> list[Step]:
    """All steps, in the order in which a project would take them."""
    plain, out, rows = folder / "plain.json", folder / "out.json", folder / "out.csv"
    write_coco(plain, images, labels, categories)
    steps = [run("COCO(file), the yardstick", PYCOCOTOOLS, plain)]
    for unlisted, other in (("unknown", "a"), ("absent", "b")):
        workspace = make_workspace(folder / unlisted, images)
        fresh = make_workspace(folder / other, images)
        for name, *arguments in (
            (f"import coco, unlisted {unlisted}", "import", "coco", plain, "--unlisted", unlisted),
            ("  export coco", "export", "coco", out, "--overwrite"),
            ("  export csv", "export", "csv", rows, "--overwrite"),
        ):
            steps.append(run(name, ANNOTATOR, *arguments, "-w", workspace))
        again = ("import", "coco", out, "--unlisted", "unknown", "-w", fresh)
        steps.append(run("  import that coco elsewhere", ANNOTATOR, *again))
        steps.append(run("  import that csv on top", ANNOTATOR, "import", "csv", rows, "-w", fresh))
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--labels", type=int, default=354_679)
    parser.add_argument("--categories", type=int, default=80)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        steps = measure(Path(folder), options.images, options.labels, options.categories)
    table = Table(
        title=f"{options.images:,} pictures, {options.labels:,} labels, {options.categories} "
        f"categories; {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        box=None,
    )
    for column in ("step", "seconds", "processor s", "x yardstick", "peak MiB"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in steps:
        ratio = f"{step.cpu / steps[0].cpu:.1f}"
        table.add_row(step.name, f"{step.wall:.1f}", f"{step.cpu:.1f}", ratio, f"{step.peak:,}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
