"""The Model page: what the trainer does and on what, how good each version is, and its log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

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
    doing = _Doing(service)
    with gr.Column(elem_classes="card"):
        gr.Markdown("## The model")
        known = table(
            ["What", "Value"], "Facts of the model", widths=["34%", "66%"], height=_TALL, wrap=True
        )
    learned: list[_Card] = [_Quality(), _Training(), _Versions(), _Sources(), _Thresholds()]
    with gr.Accordion("Log of the trainer", open=False, elem_classes="card"):
        log = gr.Textbox(
            show_label=False, label="Log of the trainer", interactive=False, container=False,
            lines=8, max_lines=16, elem_classes="log",
        )  # fmt: skip
    seen = gr.State("")

    def refresh(seen_: str) -> list[Any]:
        now = _Now(service, service.status())
        top = [
            *doing.read(situation(now.status, trainer()), now.status),
            facts(now.status, workspace),
            log_text(workspace),
        ]
        # What changes only with a version is sent only then: charts and tables keep their place.
        stamp = now.stamp()
        if stamp == seen_:
            return [*top, *[gr.skip()] * (len(outputs) - len(top))]
        return [*top, *(value for card in learned for value in card.read(now)), stamp]

    outputs = [*doing.outputs, known, log, *(one for card in learned for one in card.outputs), seen]
    return keep_fresh(tab, refresh, outputs, inputs=[seen], seconds=REFRESH_SECONDS)


class _Now:
    """What the cards have in common at one moment."""

    def __init__(self, service: AnnotationService, status: Status) -> None:
        self.service, self.status = service, status
        self.version = status.model_version
        self.versions = service.model_versions()
        self.drawn, self.told = training_chart(status.job, self.versions)

    def stamp(self) -> str:
        """Differs when a version or a training has something new to show."""
        version = self.version and self.version.id
        shown = (len(self.versions), self.status.known, self.told, len(str(self.drawn)))
        return repr((version, *shown))


class _Card(Protocol):
    """A card: built by its constructor inside the current Gradio context."""

    outputs: list[Any]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""


class _Doing:
    """What the trainer does, and the buttons that tell it what to do."""

    def __init__(self, service: AnnotationService) -> None:
        with gr.Column(elem_classes="card"):
            title = gr.HTML(apply_default_css=False, elem_classes="situation")
            said = gr.Textbox(
                show_label=False, label="What the trainer does", interactive=False,
                container=False, lines=1, max_lines=4, elem_classes="plain",
            )  # fmt: skip
            step = gr.HTML(apply_default_css=False, elem_classes="note")
            with gr.Row(elem_classes="buttons"):
                train = gr.Button("Train now", scale=0, min_width=120)
                pause = gr.Button("Pause", scale=0, min_width=120)
                resume = gr.Button("Resume", scale=0, min_width=120, visible=False)
        self.outputs: list[Any] = [title, said, step, train, pause, resume]
        for button, command, answer in (
            (train, "train", "Asked to train now."),
            (pause, "pause", "Asked to pause."),
            (resume, "resume", "Asked to go on."),
        ):
            button.click(_command(service, command, answer), outputs=said, **QUIET)

    def read(self, now: Situation, status: Status) -> list[Any]:
        """Values of the outputs."""
        activity = str(status.job.config.get("activity", "")) if status.job else ""
        running = status.worker_alive
        return [
            heading(now),
            gr.Textbox(now.text, visible=bool(now.text)),
            gr.HTML(f"<p>{now.step}</p>", visible=bool(now.step)),
            gr.Button(interactive=running),
            gr.Button(interactive=running, visible=activity != "paused"),
            gr.Button(visible=activity == "paused"),
        ]


class _Quality:
    """Log loss and mean average precision of each version."""

    def __init__(self) -> None:
        with gr.Row():
            loss = _chart_card(
                "Log loss", "On known cells that the version had not seen; lower is better."
            )
            quality = _chart_card("Mean average precision", "On the same cells; higher is better.")
        self.outputs: list[Any] = [*loss, *quality]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""
        values: list[Any] = []
        for name in ("log_loss", "map"):
            drawn = quality_chart(now.versions, name)
            values += [drawn, gr.Column(visible=drawn is not None)]
        return values


class _Training:
    """Curves of the networks, live while they train."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card", visible=False) as card:
            gr.Markdown("## Training of the networks")
            which = gr.HTML(apply_default_css=False, elem_classes="note")
            curve = gr.Plot(show_label=False, container=False, elem_classes="chart")
        self.outputs: list[Any] = [which, curve, card]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""
        return [f"<p>{now.told}</p>", now.drawn, gr.Column(visible=now.drawn is not None)]


class _Versions:
    """Every version with what changed since the one before."""

    def __init__(self) -> None:
        with _table_card(
            "Versions",
            "In brackets the change since the version before. The newest three are kept on disk.",
        ) as card:
            rows = table(
                VERSION_COLUMNS, "Versions", height=_TALL, wrap=True, numbers=[3, 4, 5, 6],
                widths=["9%", "20%", "13%", "15%", "16%", "15%", "12%"],
            )  # fmt: skip
        self.outputs: list[Any] = [rows, card]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""
        return [versions_table(now.versions), gr.Column(visible=bool(now.versions))]


class _Sources:
    """What evidence the version in force uses."""

    def __init__(self) -> None:
        with _table_card(
            "Sources of evidence",
            "A source is kept if it lowers the error, the mean log loss on known cells that the "
            "fit had not seen, or usually does. One that would have to count against what it says "
            "is left out.",
        ) as card:
            rows = table(
                SOURCE_COLUMNS, "Sources of evidence", widths=["30%", "9%", "11%", "50%"],
                height=_TALL, wrap=True, numbers=[2],
            )  # fmt: skip
        self.outputs: list[Any] = [rows, card]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""
        there = now.version is not None and bool(now.version.sources)
        return [sources_table(now.version), gr.Column(visible=there)]


class _Thresholds:
    """From where on each category is suggested present."""

    def __init__(self) -> None:
        with _table_card(
            "Thresholds",
            "Learned per category, so that as many known cells as possible fall on the right side.",
        ) as card:
            rows = table(
                THRESHOLD_COLUMNS, "Thresholds", widths=["52%", "24%", "12%", "12%"],
                height=_TALL, wrap=True, numbers=[1, 2, 3],
            )  # fmt: skip
        self.outputs: list[Any] = [rows, card]

    def read(self, now: _Now) -> list[Any]:
        """Values of the outputs."""
        rows = thresholds_table(now.service.categories(), now.service.thresholds())
        return [rows, gr.Column(visible=now.version is not None)]


@contextmanager
def _table_card(title: str, note: str) -> Iterator[gr.Column]:
    """A card for a table, hidden until there is something to show."""
    with gr.Column(elem_classes="card", visible=False) as card:
        gr.Markdown(f"## {title}")
        gr.HTML(f"<p>{note}</p>", apply_default_css=False, elem_classes="note")
        yield card


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
