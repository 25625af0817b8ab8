"""Pages that keep themselves up to date while they are looked at.

Events go past Gradio's queue: one request and its answer, however many people look on. In the
queue, an event that comes while another one ends can wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""How every event of these pages is answered."""


@dataclass(frozen=True)
class Part:
    """A part of a page that is refreshed with it.

    Attributes:
        inputs: components whose values ``read`` takes.
        outputs: what it shows.
        read: gives the values of ``outputs`` as they are now.
    """

    inputs: Sequence[Any]
    outputs: Sequence[Any]
    read: Callable[..., Sequence[Any]]


def keep_fresh(
    tab: gr.Tab,
    refresh: Callable[..., Any],
    outputs: Sequence[Any],
    *,
    inputs: Sequence[Any] = (),
    seconds: float,
) -> gr.Timer:
    """Refresh a page when its tab is opened, and every few seconds while the timer is active.

    Args:
        tab: of the page.
        refresh: takes the values of ``inputs``, gives those of ``outputs``.
        outputs: what it shows.
        inputs: what people chose on the page.
        seconds: between two looks.

    Returns:
        The timer, for `switch_timers`.
    """
    timer = gr.Timer(seconds, active=False)
    for when in (timer.tick, tab.select):
        when(refresh, inputs=list(inputs), outputs=list(outputs), **QUIET)
    return timer


def switch_timers(tabs: Sequence[gr.Tab], timers: Mapping[str, gr.Timer]) -> None:
    """Let only the timer of the tab that is open run.

    Args:
        tabs: all of them.
        timers: by the id of the tab.
    """
    for tab in tabs:
        states = [name == tab.id for name in timers]

        def switch(states: list[bool] = states) -> list[gr.Timer]:
            return [gr.Timer(active=state) for state in states]

        tab.select(switch, outputs=list(timers.values()), **QUIET)
