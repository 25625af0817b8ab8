"""Tables as all pages show them: text alone, whatever is in a cell, and nothing to edit."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr


def table(
    headers: Sequence[str],
    label: str,
    *,
    widths: Sequence[str | int] | None = None,
    height: int = 300,
    wrap: bool = False,
    numbers: Sequence[int] = (),
) -> gr.Dataframe:
    """An empty table inside the current Gradio context.

    Args:
        headers: of the columns.
        label: what a screen reader calls it.
        widths: of the columns, like ``"34%"`` or pixels; None shares the room out by content.
        height: pixels from which on it scrolls.
        wrap: break long text into lines instead of cutting it off.
        numbers: columns, from 0, whose text stands on the right, below one another.
    """
    return gr.Dataframe(
        headers=list(headers),
        datatype="str",
        interactive=False,
        label=label,
        show_label=False,
        column_widths=None if widths is None else list(widths),
        max_height=height,
        wrap=wrap,
        buttons=[],
        elem_classes=[f"number-{column + 1}" for column in numbers],
    )
