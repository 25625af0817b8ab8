"""Working with a workspace: the tool, the model and what they say."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annotator.cli.program import app
from annotator.cli.shared import (
    HERE,
    FeatureSet,
    OverwriteOption,
    WorkspaceOption,
    open_workspace,
    service_of,
)
from annotator.wording import counted

if TYPE_CHECKING:
    from annotator.settings import Workspace


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """Open the workspace in the browser, with the model learning beside it; Ctrl-C ends it."""
    _serve(open_workspace(workspace), host, port, open)


@app.command()
def status(workspace: WorkspaceOption = HERE) -> None:
    """Show how far the labels are and what the model is doing."""
    from annotator.console import say, table

    with service_of(workspace) as service:
        now = service.status()
        categories = service.categories()
        opened = service.workspace
    share = now.known / now.cells if now.cells else 0.0
    say(f"{opened.settings.name or opened.path.name}: {opened.path}", "bold")
    say(f"Pictures    {now.images:,}, {now.images_open:,} with something left to decide")
    say(
        f"Cells       {now.known:,} of {now.cells:,} known ({share:.1%}): "
        f"{now.present:,} present, {now.absent:,} absent"
    )
    model = now.model_version
    said = "none yet (annotator train, or annotator serve)"
    if model is not None:
        said = f"version {model.id} ({model.kind}), {model.created_at:%Y-%m-%d %H:%M} UTC"
    say(f"Model       {said}")
    server, worker = opened.holder("server"), opened.holder("worker")
    say(f"Server      {f'{server.address} (process {server.pid})' if server else 'not running'}")
    job = f": {now.job.message}" if worker and now.job and now.job.message else ""
    say(f"Trainer     {f'process {worker.pid}{job}' if worker else 'not running'}")
    if categories:
        say("")
        rows = [
            (c.name, *(f"{n:,}" for n in (c.present, c.absent, now.images - c.present - c.absent)))
            for c in categories
        ]
        table(["Category", "Present", "Absent", "Unknown"], rows)


@app.command()
def train(workspace: WorkspaceOption = HERE) -> None:
    """Learn from the labels as they are now; the new version is in force at the end."""
    opened = open_workspace(workspace)
    if opened.holder("worker"):
        _train_in_the_server(opened)
        return
    from annotator.console import activity, listed, say, warn

    with activity() as tell:
        tell("starting", 0.0)
        from annotator.training.supervisor import PATIENT_THREADS

        os.environ.update(PATIENT_THREADS | os.environ)
        from annotator.training.worker import run_once  # torch: seconds

        report = run_once(opened, tell)
    listed("Could not be read", [f"{path}: {reason}" for path, reason in report.unreadable])
    if report.note:
        warn(report.note)
    if report.version is None:
        say(f"No model yet: {report.waiting}.")
        return
    say(
        f"Version {report.version} has learned from {report.known_cells:,} known cells of "
        f"{counted(report.images, 'picture')} in {report.seconds:.1f} s."
    )


@app.command()
def suggest(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV to write.", show_default="standard output"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many per picture.")] = 10,
    min_probability: Annotated[
        float, typer.Option(min=0, max=1, help="Leave out what is less probable.")
    ] = 0.0,
    overwrite: OverwriteOption = False,
    workspace: WorkspaceOption = HERE,
) -> None:
    """List what the model suggests for undecided cells, with the reasons."""
    from annotator.console import counting, say, warn
    from annotator.exchange import export_suggestions

    with service_of(workspace) as service:
        version = service.status().model_version
        if version is None:
            warn("There is no model yet, so only frequencies are known (run annotator train).")
        elif not service.has_scores():
            warn(
                f"The scores of model version {version.id} cannot be read, so only frequencies are "
                "known (run annotator train)."
            )
        with counting("asking about pictures") as progress:
            count = export_suggestions(
                service,
                out or sys.stdout,
                limit=limit,
                min_probability=min_probability,
                overwrite=overwrite,
                progress=progress,
            )
    say(counted(count, "suggestion") + (f" written to {out}." if out else "."), stderr=out is None)


@app.command()
def demo(
    images: Annotated[
        int | None, typer.Option(help="How many pictures to draw.", show_default="400")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed, other pictures.", show_default="0")
    ] = None,
    known: Annotated[
        float | None, typer.Option(help="Share of cells known at the start.", show_default="0.1")
    ] = None,
    feature_set: Annotated[
        FeatureSet | None,
        typer.Option(help="How pictures are described to the model.", show_default="fast"),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open it afterwards, or only make it.")
    ] = True,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    open: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser.")
    ] = False,
    workspace: Annotated[
        Path,
        typer.Option("--workspace", "-w", metavar="FOLDER", help="Where to make it."),
    ] = Path("demo"),
) -> None:
    """Draw pictures, decide a part of their cells, and open the tool on them."""
    from dataclasses import replace

    from annotator.console import counting, say
    from annotator.demo import Demo, existing_demo, make_demo

    asked = {"images": images, "seed": seed, "known": known, "feature_set": feature_set}
    given = {name: value for name, value in asked.items() if value is not None}
    wanted: Demo = replace(existing_demo(workspace) or Demo(), **given)  # type: ignore[arg-type]
    made = make_demo(workspace, wanted, counting)
    say(f"The demo workspace is {made.path} ({counted(wanted.images, 'picture')}).")
    if serve:
        _serve(made, host, port, open)


def _serve(workspace: Workspace, host: str, port: int, open_browser: bool) -> None:
    from annotator.console import say

    holder = workspace.holder("server")
    if holder is None:  # else the error is there at once, without importing the web
        say("Starting …", "dim", stderr=True)
    else:
        workspace.lock("server").release()
    from annotator.web.app import run_server

    try:
        run_server(
            workspace,
            host,
            port,
            open_browser=open_browser,
            ready=lambda address: say(f"Open {address} in a browser; Ctrl-C stops.", "bold"),
        )
    except KeyboardInterrupt:  # the way to end it
        say("Stopped; every decision is saved.", stderr=True)


def _train_in_the_server(workspace: Workspace) -> None:
    """Ask the worker that runs already, and follow what it does."""
    import time

    from annotator.console import activity, say
    from annotator.errors import WorkspaceError
    from annotator.service import AnnotationService

    with AnnotationService(workspace) as service, activity() as tell:
        asked = service.request_job("train")
        while True:
            (job,) = [job for job in service.jobs(kind="train") if job.id == asked.id] or [asked]
            if job.status not in ("waiting", "running"):
                break
            worker = next(iter(service.jobs(kind="worker", status="running", limit=1)), None)
            if worker is not None:
                tell(worker.message, worker.progress)
            elif workspace.holder("worker") is None:
                raise WorkspaceError("the trainer has ended (run annotator train again)")
            time.sleep(0.3)
    if job.status == "failed":
        raise WorkspaceError(f"the trainer failed: {job.reason}")
    say(f"The running trainer is done: {job.message}.")
