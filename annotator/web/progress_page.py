"""The Progress page: how far the labels are, how fast, by whom, and how right suggestions were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import gradio as gr

from annotator.service import AnnotationService
from annotator.web.live import QUIET, Part, keep_fresh
from annotator.web.progress_charts import (
    CATEGORIES_SHOWN,
    SORTS,
    category_chart,
    known_chart,
    matching,
    precision_chart,
    rate_chart,
    sentence,
)

REFRESH_SECONDS = 5.0
ALL = 0
"""Stands for all categories in the choice of one."""


def make_progress_page(
    service: AnnotationService, tab: gr.Tab, parts: Sequence[Callable[[], Part]] = ()
) -> gr.Timer:
    """Build the page inside the current Gradio context.

    Args:
        service: counts everything.
        tab: refreshed when it is opened, and every few seconds while it is.
        parts: build further parts, shown below the summary.

    Returns:
        The page's timer.
    """
    said = gr.HTML(elem_classes="summary", apply_default_css=False)
    built = [part() for part in parts]
    with gr.Column(elem_classes="card"):
        with gr.Row(elem_classes="card-head"):
            gr.Markdown("## Known cells over time")
            by = gr.Radio(
                [("By source", "source"), ("By person", "person")],
                value="source",
                label="Known cells",
                show_label=False,
                container=False,
                elem_classes="switch",
            )
        known, no_known = _chart("Nothing is known yet. Decide the first cells on Focus.")
    with gr.Column(elem_classes="card"):
        with gr.Row(elem_classes="card-head"):
            gr.Markdown("## Decisions per minute")
            span = gr.Radio(
                [("Last hour", "hour"), ("Last day", "day"), ("Last 30 days", "month")],
                value="hour",
                label="Decisions per minute",
                show_label=False,
                container=False,
                elem_classes="switch",
            )
        rate, no_rate = _chart("Nobody has decided anything in this time.")
    with gr.Column(elem_classes="card"):
        with gr.Row(elem_classes="card-head"):
            gr.Markdown("## Categories")
            sort = gr.Dropdown(
                list(SORTS), value=next(iter(SORTS)), label="Order", min_width=180, filterable=False
            )
            text = gr.Textbox(
                label="Only names with", placeholder="all", max_lines=1, min_width=160
            )
        shown = gr.HTML(apply_default_css=False, elem_classes="note")
        states, no_states = _chart("There are no pictures or no categories yet.")
        more = gr.Button(f"Show {CATEGORIES_SHOWN} more", size="sm", visible=False)
    with gr.Column(elem_classes="card"):
        with gr.Row(elem_classes="card-head"):
            gr.Markdown("## How often suggestions were right")
            category = gr.Dropdown(
                [("All categories", ALL)], value=ALL, label="Category", min_width=220
            )
        gr.HTML(
            "<p>Of the cells that somebody decided after the model had given them a probability: "
            "the share it had right, with the 95 % interval. The cells were not drawn at random, "
            "so this is no estimate for those that wait.</p>",
            apply_default_css=False,
            elem_classes="note",
        )
        right, no_right = _chart(
            "No suggestion has been answered yet. The model suggests once some cells are present "
            "and some absent."
        )
    count, seen = gr.State(CATEGORIES_SHOWN), gr.State("")
    # Not the choice itself: after a restart of the server Gradio refuses what was chosen.
    of = gr.State(ALL)

    def refresh(
        by_: Any, span_: str, sort_: str, text_: str, category_: int, count_: int, seen_: str,
        *chosen_: Any,
    ) -> list[Any]:  # fmt: skip
        now = datetime.now().astimezone()
        status = service.status()
        version = status.model_version.id if status.model_version else 0
        asked = (by_, span_, sort_, text_, category_, count_)
        # A proposal is no event, but its questions wait.
        waiting = service.completion.waiting()
        stamp = repr((status.event_id, status.images, version, waiting, f"{now:%H:%M}", asked))
        if stamp == seen_:
            return [gr.skip()] * len(outputs)
        activity = service.activity()
        people = {user.id: user.name for user in service.users()}
        categories = service.categories()
        listed = matching(categories, status.images, sort_, text_)
        ids = {c.id for c in categories}
        chosen = category_ if category_ in ids else ALL
        answers = precision_chart(
            service.answers(), service.model_versions(), chosen or None, service.thresholds()
        )
        return [
            f"<p>{sentence(status, activity, now)}</p>",
            *_shown(known_chart(activity, by_, people, now)),
            *_shown(rate_chart(activity, span_, people, now)),
            *_shown(category_chart(listed[:count_], status.images)),
            _told(min(count_, len(listed)), len(listed), len(categories)),
            gr.Button(visible=len(listed) > count_),
            gr.Dropdown(
                [("All categories", ALL), *((c.name, c.id) for c in categories)], value=chosen
            ),
            chosen,
            *_shown(answers),
            stamp,
            *_read_all(built, chosen_),
        ]

    inputs = [by, span, sort, text, of, count, seen,
              *(one for part in built for one in part.inputs)]  # fmt: skip
    outputs = [
        said, known, no_known, rate, no_rate, states, no_states, shown, more, category, of, right,
        no_right, seen, *(one for part in built for one in part.outputs),
    ]  # fmt: skip
    timer = keep_fresh(tab, refresh, outputs, inputs=inputs, seconds=REFRESH_SECONDS)
    for choice in (by, span, sort, text):
        choice.input(refresh, inputs=inputs, outputs=outputs, **QUIET)
    category.input(lambda one: one, inputs=category, outputs=of, **QUIET).then(
        refresh, inputs=inputs, outputs=outputs, **QUIET
    )
    more.click(lambda n: n + CATEGORIES_SHOWN, inputs=count, outputs=count, **QUIET).then(
        refresh, inputs=inputs, outputs=outputs, **QUIET
    )
    return timer


def _read_all(parts: Sequence[Part], values: Sequence[Any]) -> list[Any]:
    """What all parts show, each from its own share of the values."""
    shown: list[Any] = []
    start = 0
    for part in parts:
        end = start + len(part.inputs)
        shown += part.read(*values[start:end])
        start = end
    return shown


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
