"""The cards of the Progress page, each with a chart and what can be chosen for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

import gradio as gr

from annotator.progress import Activity
from annotator.service import AnnotationService
from annotator.types import Category, Status
from annotator.web.live import QUIET
from annotator.web.progress_charts import (
    CATEGORIES_SHOWN,
    SORTS,
    category_chart,
    known_chart,
    matching,
    precision_chart,
    precision_words,
    rate_chart,
)

ALL = 0
"""Stands for all categories in the choice of one."""

Refresh = Mapping[str, Any]
"""Arguments of an event that reads the whole page again."""


class Card(Protocol):
    """A card: built by its constructor inside the current Gradio context.

    Attributes:
        inputs: what was chosen for it.
        outputs: what it shows.
    """

    inputs: list[Any]
    outputs: list[Any]

    def read(self, now: Now, *chosen: Any) -> list[Any]:
        """Values of the outputs, from those of the inputs."""

    def connect(self, again: Refresh) -> None:
        """Answer a choice by reading again."""


class Now:
    """What the cards have in common at one moment; read when first asked for."""

    def __init__(self, service: AnnotationService) -> None:
        self.service = service
        self.at = datetime.now().astimezone()
        self.status: Status = service.status()

    def stamp(self) -> tuple[object, ...]:
        """Differs when there is something new to show."""
        version = self.status.model_version.id if self.status.model_version else 0
        # A proposal is no event, but its questions wait.
        waiting = self.service.completion.waiting()
        return (self.status.event_id, self.status.images, version, waiting, f"{self.at:%H:%M}")

    @cached_property
    def activity(self) -> Activity:
        """Decisions by minute."""
        return self.service.activity()

    @cached_property
    def people(self) -> dict[int, str]:
        """Names by id."""
        return {user.id: user.name for user in self.service.users()}

    @cached_property
    def categories(self) -> list[Category]:
        """All of them, counted."""
        return list(self.service.categories())


class KnownCard:
    """Known cells over time."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card"):
            with gr.Row(elem_classes="card-head"):
                gr.Markdown("## Known cells over time")
                self.by = _switch(
                    "Known cells", [("By source", "source"), ("By person", "person")], "source"
                )
            chart = _chart("Nothing is known yet. Decide the first cells on Focus.")
        self.inputs: list[Any] = [self.by]
        self.outputs: list[Any] = [*chart]

    def read(self, now: Now, *chosen: Any) -> list[Any]:
        """Values of the outputs."""
        return [*_shown(known_chart(now.activity, chosen[0], now.people, now.at))]

    def connect(self, again: Refresh) -> None:
        """Answer a choice."""
        self.by.input(**again)


class RateCard:
    """Decisions per minute."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card"):
            with gr.Row(elem_classes="card-head"):
                gr.Markdown("## Decisions per minute")
                self.span = _switch(
                    "Decisions per minute",
                    [("Last hour", "hour"), ("Last day", "day"), ("Last 30 days", "month")],
                    "hour",
                )
            chart = _chart("Nobody has decided anything in this time.")
        self.inputs: list[Any] = [self.span]
        self.outputs: list[Any] = [*chart]

    def read(self, now: Now, *chosen: Any) -> list[Any]:
        """Values of the outputs."""
        return [*_shown(rate_chart(now.activity, chosen[0], now.people, now.at))]

    def connect(self, again: Refresh) -> None:
        """Answer a choice."""
        self.span.input(**again)


class CategoriesCard:
    """Present, absent and unknown cells of each category."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card"):
            with gr.Row(elem_classes="card-head"):
                gr.Markdown("## Categories")
                self.sort = gr.Dropdown(
                    list(SORTS), value=next(iter(SORTS)), label="Order", min_width=180,
                    filterable=False,
                )  # fmt: skip
                self.text = gr.Textbox(
                    label="Only names with", placeholder="all", max_lines=1, min_width=160
                )
            shown = gr.HTML(apply_default_css=False, elem_classes="note")
            chart = _chart("There are no pictures or no categories yet.")
            self.more = gr.Button(f"Show {CATEGORIES_SHOWN} more", size="sm", visible=False)
        self.count = gr.State(CATEGORIES_SHOWN)
        self.inputs: list[Any] = [self.sort, self.text, self.count]
        self.outputs: list[Any] = [*chart, shown, self.more]

    def read(self, now: Now, *chosen: Any) -> list[Any]:
        """Values of the outputs."""
        sort, text, count = chosen
        images = now.status.images
        listed = matching(now.categories, images, sort, text)
        return [
            *_shown(category_chart(listed[:count], images)),
            _told(min(count, len(listed)), len(listed), len(now.categories)),
            gr.Button(visible=len(listed) > count),
        ]

    def connect(self, again: Refresh) -> None:
        """Answer a choice."""
        self.sort.input(**again)
        self.text.input(**again)
        longer = self.more.click(
            lambda n: n + CATEGORIES_SHOWN, inputs=self.count, outputs=self.count, **QUIET
        )
        longer.then(**again)


class RightCard:
    """How often suggestions were right."""

    def __init__(self) -> None:
        with gr.Column(elem_classes="card"):
            with gr.Row(elem_classes="card-head"):
                gr.Markdown("## How often suggestions were right")
                self.category = gr.Dropdown(
                    [("All categories", ALL)], value=ALL, label="Category", min_width=220
                )
            gr.HTML(
                "<p>Of the cells that somebody decided after the model had given them a "
                "probability: the share it had right, with the 95 % interval. Versions with few "
                "answers stand together. The cells were not drawn at random, so this is no "
                "estimate for those that wait.</p>",
                apply_default_css=False,
                elem_classes="note",
            )
            told = gr.HTML(apply_default_css=False)
            chart = _chart(
                "No suggestion has been answered yet. The model suggests once some cells are "
                "present and some absent."
            )
        # Not the choice itself: after a restart of the server Gradio refuses what was chosen.
        self.of = gr.State(ALL)
        self.inputs: list[Any] = [self.of]
        self.outputs: list[Any] = [self.category, self.of, told, *chart]

    def read(self, now: Now, *chosen: Any) -> list[Any]:
        """Values of the outputs."""
        service, names = now.service, [(c.name, c.id) for c in now.categories]
        of = chosen[0] if chosen[0] in {ident for _, ident in names} else ALL
        answers, thresholds = service.answers(), service.thresholds()
        words = precision_words(answers, of or None, thresholds)
        drawn = precision_chart(answers, service.model_versions(), of or None, thresholds)
        return [
            gr.Dropdown([("All categories", ALL), *names], value=of),
            of,
            gr.HTML(f"<p>{words}</p>", visible=bool(words)),
            *_shown(drawn),
        ]

    def connect(self, again: Refresh) -> None:
        """Answer a choice."""
        taken = self.category.input(lambda one: one, inputs=self.category, outputs=self.of, **QUIET)
        taken.then(**again)


def _switch(label: str, choices: list[tuple[str, str]], value: str) -> gr.Radio:
    """A choice of few in the head of a card."""
    return gr.Radio(
        choices, value=value, label=label, show_label=False, container=False,
        elem_classes="switch",
    )  # fmt: skip


def _chart(empty: str) -> tuple[gr.Plot, gr.HTML]:
    """A chart, and what stands in its place while there is nothing to draw."""
    plot = gr.Plot(show_label=False, container=False, visible=False, elem_classes="chart")
    return plot, gr.HTML(f"<p>{empty}</p>", elem_classes="empty", apply_default_css=False)


def _shown(chart: Any) -> tuple[gr.Plot, gr.HTML]:
    """Either the chart or the sentence."""
    return gr.Plot(chart, visible=chart is not None), gr.HTML(visible=chart is None)


def _told(shown: int, matching_: int, all_: int) -> str:
    if not all_:
        return ""
    if not matching_:
        return "<p>No category has that in its name.</p>"
    if shown == all_:
        return f"<p>All {all_:,} categories; numbers on hover.</p>" if all_ > 1 else ""
    return f"<p>{shown:,} of {matching_:,} categories; numbers on hover.</p>"
