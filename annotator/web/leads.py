"""Buttons on Progress, Model and Data that lead to another page."""

from __future__ import annotations

import json

import gradio as gr

from annotator.web.live import QUIET

_MARK = "annotator-lead"


def make_mark() -> gr.HTML:
    """A place in the page, never seen, that says which category a button leads to."""
    return gr.HTML(mark(0), elem_id=_MARK, apply_default_css=False)


def mark(category_id: int) -> str:
    """What stands there: a number of ours."""
    return f'<span hidden data-category="{category_id}"></span>'


def leads_to_category(button: gr.Button, page: str) -> None:
    """Let a button open a page for the category that stands in the mark.

    Args:
        button: of ours.
        page: the word on its tab.
    """
    category = f"Number(document.querySelector('#{_MARK} [data-category]')?.dataset.category)"
    detail = f"{{ tab: {json.dumps(page)}, category: {category} }}"
    event = f"new CustomEvent('annotator-open', {{ detail: {detail} }})"
    button.click(None, js=f"() => {{ document.dispatchEvent({event}); }}", **QUIET)


def leads_to(button: gr.Button, page: str, queue: str = "") -> None:
    """Let a button open a page in the browser alone; `static/js/app.js` listens.

    Args:
        button: of ours.
        page: the word on its tab.
        queue: of Focus; empty: as it was left.
    """
    detail = json.dumps({"tab": page, "queue": queue})
    event = f"new CustomEvent('annotator-open', {{ detail: {detail} }})"
    button.click(None, js=f"() => {{ document.dispatchEvent({event}); }}", **QUIET)


def shows(button: gr.Button, element: str) -> None:
    """Let a button move the page to one of its parts, and the focus to its first field.

    Args:
        button: of ours.
        element: id of the part.
    """
    button.click(None, js=_move(element, "input, button"), **QUIET)


def _move(element: str, field: str) -> str:
    return (
        "() => { const part = document.getElementById("
        f"{json.dumps(element)}); part?.scrollIntoView(); "
        f"part?.querySelector({json.dumps(field)})?.focus(); }}"
    )
