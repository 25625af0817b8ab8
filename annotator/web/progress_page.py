"""The Progress page: how far the labels are, how fast, by whom, and how right suggestions were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from annotator.service import AnnotationService
from annotator.web.live import QUIET, Part, keep_fresh
from annotator.web.progress_cards import (
    Card,
    CategoriesCard,
    KnownCard,
    Now,
    RateCard,
    RightCard,
)
from annotator.web.progress_charts import sentence

REFRESH_SECONDS = 5.0


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
    cards: list[Card] = [KnownCard(), RateCard(), CategoriesCard(), RightCard()]
    choices = [choice for card in cards for choice in card.inputs]
    seen = gr.State("")

    def refresh(seen_: str, *chosen: Any) -> list[Any]:
        now = Now(service)
        mine, theirs = chosen[: len(choices)], chosen[len(choices) :]
        stamp = repr((now.stamp(), mine))
        if stamp == seen_:
            return [gr.skip()] * len(outputs)
        return [
            f"<p>{sentence(now.status, now.activity, now.at)}</p>",
            *_read_all(cards, mine, now),
            stamp,
            *_read_all(built, theirs),
        ]

    inputs = [seen, *choices, *(one for part in built for one in part.inputs)]
    outputs = [
        said, *(one for card in cards for one in card.outputs), seen,
        *(one for part in built for one in part.outputs),
    ]  # fmt: skip
    again: dict[str, Any] = {"fn": refresh, "inputs": inputs, "outputs": outputs, **QUIET}
    for card in cards:
        card.connect(again)
    return keep_fresh(tab, refresh, outputs, inputs=inputs, seconds=REFRESH_SECONDS)


def _read_all(parts: Sequence[Any], values: Sequence[Any], *first: Any) -> list[Any]:
    """What all parts show, each from what they share and its own share of the values."""
    shown: list[Any] = []
    start = 0
    for part in parts:
        end = start + len(part.inputs)
        shown += part.read(*first, *values[start:end])
        start = end
    return shown
