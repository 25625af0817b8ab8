"""The Model page: what the trainer does, what the newest version is, how its sources fare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr

from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.types import Job, ModelVersion

_REFRESH_SECONDS = 2.0

_SOURCES = {
    "base": "the picture alone",
    "neighbours": "similar pictures",
    "prototypes": "typical pictures of the category",
    "cooccurrence": "other labels of the picture",
    "prior": "how common the category is",
}


def make_model_page(
    workspace: Workspace, service: AnnotationService, tab: gr.Tab, others: Sequence[gr.Tab]
) -> None:
    """Build the page inside the current Gradio context.

    Args:
        workspace: for the feature set.
        service: says what there is, and passes commands to the trainer.
        tab: refreshed when it is opened, and every few seconds while it is.
        others: tabs that end the refreshing when they are opened.
    """
    doing = gr.Textbox(label="Doing", interactive=False, lines=1, max_lines=3)
    with gr.Row():
        train = gr.Button("Train now", scale=0, min_width=120)
        pause = gr.Button("Pause", scale=0, min_width=120)
        resume = gr.Button("Resume", scale=0, min_width=120)
    facts = gr.Dataframe(
        headers=["The newest version", ""],
        datatype="str",
        interactive=False,
        column_widths=["34%", "66%"],
        show_row_numbers=False,
    )
    sources = gr.Dataframe(
        headers=["Source", "Used", "Weight", "Error with it", "Error without it"],
        datatype="str",
        interactive=False,
        wrap=True,
    )
    gr.Markdown(
        "Error is the mean log loss on known cells that the fit had not seen, with the source and "
        "without it; lower is better."
    )

    def refresh() -> tuple[str, list[list[str]], list[list[str]]]:
        version = service.status().model_version
        jobs = service.jobs(kind="worker", limit=1)
        return _doing(jobs), _facts(version, workspace), _sources(version)

    shown = [doing, facts, sources]
    timer = gr.Timer(_REFRESH_SECONDS, active=False)
    # Without Gradio's queue: one request and its answer, however many people look on.
    timer.tick(
        refresh, outputs=shown, show_progress="hidden", queue=False, api_visibility="private"
    )
    tab.select(
        refresh, outputs=shown, show_progress="hidden", queue=False, api_visibility="private"
    )
    tab.select(
        lambda: gr.Timer(active=True),
        outputs=timer,
        show_progress="hidden",
        queue=False,
        api_visibility="private",
    )
    for other in others:
        other.select(
            lambda: gr.Timer(active=False),
            outputs=timer,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )
    for button, command, said in (
        (train, "train", "Asked to train now"),
        (pause, "pause", "Asked to pause"),
        (resume, "resume", "Asked to go on"),
    ):
        button.click(
            _command(service, command, said),
            outputs=doing,
            show_progress="hidden",
            queue=False,
            api_visibility="private",
        )


def _command(service: AnnotationService, command: str, said: str) -> Callable[[], str]:
    def ask() -> str:
        service.request_job(command)
        return said

    return ask


def _doing(jobs: Sequence[Job]) -> str:
    if not jobs:
        return "The trainer has not run yet."
    job = jobs[0]
    if job.status != "running":
        return f"The trainer is not running: {job.reason or job.message}"
    text = job.message[:1].upper() + job.message[1:]
    share = f" ({100 * job.progress:.0f} %)" if 0 < job.progress < 1 else ""
    return f"{text}{share}"


def _facts(version: ModelVersion | None, workspace: Workspace) -> list[list[str]]:
    if version is None:
        return [["Version", "none yet"], ["Features", workspace.settings.feature_set]]
    metrics = version.metrics
    made = version.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    facts = [
        ["Version", f"{version.id}, made {made}"],
        [
            "Learned from",
            f"{_count(metrics, 'known_cells')} known cells of {_count(metrics, 'images')} pictures",
        ],
        ["Features", version.feature_set],
    ]
    if "map" in metrics:
        facts.append(
            ["Mean average precision", f"{100 * metrics['map']:.1f} % on cells it had not seen"]
        )
    if metrics.get("seconds") is not None:
        facts.append(["Time for the fit", f"{metrics['seconds']:.1f} s"])
    if metrics.get("categories_waiting"):
        facts.append(
            [
                "Categories without a model",
                f"{_count(metrics, 'categories_waiting')}, "
                "they wait for one present and one absent label",
            ]
        )
    if metrics.get("unreadable"):
        facts.append(["Pictures that cannot be read", _count(metrics, "unreadable")])
    if metrics.get("note"):
        facts.append(["Note", str(metrics["note"])])
    return facts


def _count(metrics: Mapping[str, Any], name: str) -> str:
    return f"{int(metrics.get(name, 0)):,}"


def _sources(version: ModelVersion | None) -> list[list[str]]:
    return [
        [
            _SOURCES.get(str(source["name"]), str(source["name"])),
            "yes" if source["kept"] else "no",
            f"{source['weight']:.2f}",
            f"{source['loss_with']:.3f}",
            f"{source['loss_without']:.3f}",
        ]
        for source in ([] if version is None else version.sources)
    ]
