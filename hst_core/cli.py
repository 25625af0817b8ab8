"""``hst``: prepare, train and evaluate the network on a folder of photographs with labels."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

app = typer.Typer(
    help="Train and measure HST on a folder of photographs with partial labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

RunFolder = Annotated[Path, typer.Argument(help="Folder of the run.")]
Device = Annotated[str, typer.Option(help="cpu, cuda or cuda:1; auto takes a GPU if there is one.")]


@app.command()
def prepare(
    run: RunFolder,
    images: Annotated[Path, typer.Option(help="Folder of the photographs.")],
    labels: Annotated[Path, typer.Option(help="CSV: one row per image, one column per category.")],
    config: Annotated[Path | None, typer.Option(help="TOML with [model], [loss], [train].")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change one setting: train.epochs=5.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Make a run folder: settings, known-label mask, cached features. Safe to call again."""
    from hst_core.config import Config
    from hst_core.runs import DataConfig, Run

    with _plain_errors():
        overrides = set_ or []
        about_data = [text for text in overrides if text.startswith("data.")]
        settings = (Config.load(config) if config else Config()).replace(
            *[text for text in overrides if text not in about_data]
        )
        data = DataConfig(images=str(images.resolve()), labels=str(labels.resolve()))
        made = Run.create(run, _replace(data, about_data), settings)
        with _bar("reading pictures") as advance:
            made.prepare(device=_device(device), progress=advance)
    typer.echo(f"prepared {run}; next: hst train {run}")


@app.command()
def train(run: RunFolder, device: Device = "auto") -> None:
    """Train, or go on after the last finished epoch; under torchrun all processes take part."""
    from hst_core.runs import Run

    with _plain_errors(), _world(_device(device)) as (world, place):
        loaded = Run.load(run)
        stop = _stop_on_interrupt()
        with _bar("training", hidden=world.rank > 0) as advance:
            history = loaded.train(
                device=place,
                world=world,
                on_step=lambda s: advance((s.epoch - 1) * s.steps + s.step, s.epochs * s.steps),
                should_stop=stop,
            )
    if world.rank == 0:
        best = f", best on held-out labels: {history.best_epoch}" if history.best_epoch else ""
        typer.echo(f"trained {len(history.epochs)} epochs{best}; next: hst evaluate {run}")


@app.command()
def evaluate(run: RunFolder, device: Device = "auto") -> None:
    """Measure the network on the test images and on the unknown cells of the training images."""
    from hst_core.runs import Run

    with _plain_errors():
        metrics = Run.load(run).evaluate(device=_device(device))
    table = Table("measure", "value")
    for name, value in _named(asdict(metrics)):
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:.4f}")
    Console().print(table)


def _named(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float | int]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _named(value, f"{name} ")
        elif value is not None:
            yield prefix + name.replace("_", " "), value


def _replace(data: Any, overrides: list[str]) -> Any:
    """Apply ``data.key=value`` texts with the checks that the file's values get."""
    import tomllib

    from hst_core.config import read_section, section_to_dict
    from hst_core.runs import DataConfig

    content = section_to_dict(data)
    for text in overrides:
        name, _, value = text.removeprefix("data.").partition("=")
        try:
            content[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            content[name] = value
    return read_section(DataConfig, content, "data")


def _device(name: str) -> str:
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


@contextmanager
def _world(device: str) -> Iterator[tuple[Any, str]]:
    """Join the processes that torchrun started, if it did; give this one its device."""
    import torch
    import torch.distributed as dist

    from hst_core.trainer import World

    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(), device
        return
    on_gpu = device.startswith("cuda")
    place = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else device
    if on_gpu:
        torch.cuda.set_device(place)  # else every process would also open the first device
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size()), place
    finally:
        dist.destroy_process_group()


def _stop_on_interrupt() -> Any:
    """End after the present step at the first Ctrl-C or SIGTERM; finished epochs are on disk."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))
    return lambda: bool(asked)


@contextmanager
def _bar(what: str, *, hidden: bool = False) -> Iterator[Any]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=hidden,
    )
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Say what is wrong in one sentence instead of a traceback."""
    from hst_core.stopping import Stopped

    try:
        yield
    except Stopped:
        console.print("stopped; the same command goes on after the last finished epoch")
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:
        console.print(f"[red]Error:[/red] {_plain(str(error))}", highlight=False)
        raise typer.Exit(1) from None


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def main() -> None:
    """Entry point of the ``hst`` command."""
    app()


if __name__ == "__main__":
    main()
