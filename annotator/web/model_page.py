"""The Model page: what the trainer does and on what, how good each version is, and its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.training.supervisor import log_tail
from annotator.types import Status
from annotator.web.live import QUIET, keep_fresh
from annotator.web.model_words import (
    SOURCE_COLUMNS,
    THRESHOLD_COLUMNS,
    VERSION_COLUMNS,
    Situation,
    facts,
    quality_chart,
    situation,
    sources_table,
    thresholds_table,
    training_chart,
    versions_table,
)
from annotator.web.tables import table

REFRESH_SECONDS = 2.0
_LOG_LINES = 60
_TALL = 910


def make_model_page(
    workspace: Workspace,
    service: AnnotationService,
    tab: gr.Tab,
    trainer: Callable[[], str] = lambda: "",
) -> gr.Timer:
    """Build the page inside the current Gradio context.

    Args:
        workspace: for the feature set, and where the trainer's log is.
        service: says what there is, and passes commands to the trainer.
        tab: refreshed when it is opened, and every few seconds while it is.
        trainer: state of the trainer's process in one line; empty if this server runs none.

    Returns:
        The page's timer.
    """
    with gr.Column(elem_classes="card"):
        title = gr.HTML(apply_default_css=False, elem_classes="situation")
        said = gr.Textbox(
            show_label=False, label="What the trainer does", interactive=False, container=False,
            lines=1, max_lines=4, elem_classes="plain",
        )  # fmt: skip
        step = gr.HTML(apply_default_css=False, elem_classes="note")
        with gr.Row(elem_classes="buttons"):
            train = gr.Button("Train now", scale=0, min_width=120)
            pause = gr.Button("Pause", scale=0, min_width=120)
            resume = gr.Button("Resume", scale=0, min_width=120, visible=False)
    with gr.Column(elem_classes="card"):
        gr.Markdown("## The model")
        known = table(
            ["What", "Value"], "Facts of the model", widths=["34%", "66%"], height=_TALL, wrap=True
        )
    with gr.Row():
        loss, loss_card = _chart_card(
            "Log loss", "On known cells that the version had not seen; lower is better."
        )
        quality, quality_card = _chart_card(
            "Mean average precision", "On the same cells; higher is better."
        )
    with gr.Column(elem_classes="card", visible=False) as curve_card:
        gr.Markdown("## Training of the networks")
        which = gr.HTML(apply_default_css=False, elem_classes="note")
        curve = gr.Plot(show_label=False, container=False, elem_classes="chart")
    with gr.Column(elem_classes="card", visible=False) as versions_card:
        gr.Markdown("## Versions")
        gr.HTML(
            "<p>In brackets the change since the version before. The newest three are kept on "
            "disk.</p>",
            apply_default_css=False,
            elem_classes="note",
        )
        versions = table(
            VERSION_COLUMNS, "Versions", widths=["9%", "20%", "13%", "15%", "16%", "15%", "12%"],
            height=_TALL, wrap=True, numbers=[3, 4, 5, 6],
        )  # fmt: skip
    with gr.Column(elem_classes="card", visible=False) as sources_card:
        gr.Markdown("## Sources of evidence")
        gr.HTML(
            "<p>A source is kept if it lowers the error, the mean log loss on known cells that the "
            "fit had not seen. One that would have to count against what it says is left out.</p>",
            apply_default_css=False,
            elem_classes="note",
        )
        sources = table(
            SOURCE_COLUMNS, "Sources of evidence", widths=["30%", "9%", "11%", "50%"], height=_TALL,
            wrap=True, numbers=[2],
        )  # fmt: skip
    with gr.Column(elem_classes="card", visible=False) as thresholds_card:
        gr.Markdown("## Thresholds")
        gr.HTML(
            "<p>Learned per category, so that as many known cells as possible fall on the right "
            "side.</p>",
            apply_default_css=False,
            elem_classes="note",
        )
        thresholds = table(
            THRESHOLD_COLUMNS, "Thresholds", widths=["52%", "24%", "12%", "12%"], height=_TALL,
            wrap=True, numbers=[1, 2, 3],
        )  # fmt: skip
    with gr.Accordion("Log of the trainer", open=False, elem_classes="card"):
        log = gr.Textbox(
            show_label=False, label="Log of the trainer", interactive=False, container=False,
            lines=8, max_lines=16, elem_classes="log",
        )  # fmt: skip

    seen = gr.State("")

    def refresh(seen_: str) -> list[Any]:
        status = service.status()
        now = situation(status, trainer())
        version = status.model_version
        top = [*_top(now, status), log_text(workspace)]
        all_versions = service.model_versions()
        drawn, told = training_chart(status.job, all_versions)
        # What changes only with a version is sent only then: charts and tables keep their place.
        stamp = repr(
            (version and version.id, len(all_versions), status.known, told, len(str(drawn)))
        )
        if stamp == seen_:
            return [*top, *[gr.skip()] * (len(outputs) - len(top))]
        losses, precisions = (quality_chart(all_versions, name) for name in ("log_loss", "map"))
        return [
            *top,
            losses,
            gr.Column(visible=losses is not None),
            precisions,
            gr.Column(visible=precisions is not None),
            f"<p>{told}</p>",
            drawn,
            gr.Column(visible=drawn is not None),
            versions_table(all_versions),
            gr.Column(visible=bool(all_versions)),
            sources_table(version),
            gr.Column(visible=version is not None and bool(version.sources)),
            thresholds_table(service.categories(), service.thresholds()),
            gr.Column(visible=version is not None),
            stamp,
        ]

    def _top(now: Situation, status: Status) -> list[Any]:
        activity = str(status.job.config.get("activity", "")) if status.job else ""
        running = status.worker_alive
        return [
            heading(now),
            gr.Textbox(now.text, visible=bool(now.text)),
            gr.HTML(f"<p>{now.step}</p>", visible=bool(now.step)),
            gr.Button(interactive=running),
            gr.Button(interactive=running, visible=activity != "paused"),
            gr.Button(visible=activity == "paused"),
            facts(status, workspace),
        ]

    outputs = [
        title, said, step, train, pause, resume, known, log,
        loss, loss_card, quality, quality_card, which, curve, curve_card,
        versions, versions_card, sources, sources_card, thresholds, thresholds_card, seen,
    ]  # fmt: skip
    for button, command, answer in (
        (train, "train", "Asked to train now."),
        (pause, "pause", "Asked to pause."),
        (resume, "resume", "Asked to go on."),
    ):
        button.click(_command(service, command, answer), outputs=said, **QUIET)
    return keep_fresh(tab, refresh, outputs, inputs=[seen], seconds=REFRESH_SECONDS)


def heading(now: Situation) -> str:
    """Title and progress bar; numbers and words of ours alone."""
    bar = ""
    if now.share is not None:
        percent = round(100 * now.share)
        bar = (
            f'<progress max="100" value="{percent}" aria-label="Progress">{percent} %</progress>'
            f'<span class="share">{percent} %</span>'
        )
    return f'<h2 class="state" data-tone="{now.tone}">{now.title}</h2>{bar}'


def log_text(workspace: Workspace) -> str:
    """End of the trainer's log."""
    return "\n".join(log_tail(workspace.path, _LOG_LINES)) or "Nothing has been written yet."


def _chart_card(title: str, note: str) -> tuple[gr.Plot, gr.Column]:
    with gr.Column(elem_classes="card", visible=False) as card:
        gr.Markdown(f"## {title}")
        gr.HTML(f"<p>{note}</p>", apply_default_css=False, elem_classes="note")
        plot = gr.Plot(show_label=False, container=False, elem_classes="chart")
    return plot, card


def _command(service: AnnotationService, command: str, said: str) -> Callable[[], str]:
    def ask() -> str:
        service.request_job(command)
        return said

    return ask
