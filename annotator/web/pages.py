"""The Gradio shell: tabs, where the labelling pages are mounted, and Progress, Model and Data.

Text that people wrote (names of categories, files, users) goes into components that show plain
text; never into `gr.HTML`, Markdown or a toast, which would insert or even execute it.
"""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from annotator.service import AnnotationService
from annotator.settings import Workspace
from annotator.web.completion_page import make_standing
from annotator.web.contracts_page import make_contracts
from annotator.web.data_page import make_data_page
from annotator.web.downloads import Downloads
from annotator.web.live import switch_timers
from annotator.web.model_page import make_model_page
from annotator.web.progress_page import make_progress_page

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.blue,
    neutral_hue=gr.themes.colors.slate,
    # The system's fonts: nothing is loaded from elsewhere.
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)


def make_pages(
    workspace: Workspace,
    service: AnnotationService,
    downloads: Downloads,
    static: str,
    trainer: Callable[[], str] = lambda: "",
) -> gr.Blocks:
    """All pages.

    Args:
        workspace: what is shown.
        service: carries out what the pages ask for.
        downloads: where files that people export are kept for them.
        static: address of the folder of modules and style sheets.
        trainer: state of the trainer's process in one line; empty if this server runs none.
    """
    pages: gr.Blocks = gr.Blocks(analytics_enabled=False, title="Annotator", fill_width=True)
    with pages:
        _mount(static, "header", elem_id="annotator-header")
        with gr.Tabs(elem_id="annotator-tabs"):
            with gr.Tab("Focus", id="focus") as focus:
                _mount(static, "focus", elem_id="annotator-focus")
            with gr.Tab("Sweep", id="sweep") as sweep:
                _mount(static, "sweep", elem_id="annotator-sweep")
            with gr.Tab("Browse", id="browse") as browse:
                _mount(static, "browse", elem_id="annotator-browse")
            timers = {}
            with gr.Tab("Progress", id="progress") as progress, gr.Column(elem_classes="page"):
                timers["progress"] = make_progress_page(
                    service,
                    progress,
                    [lambda: make_standing(service), lambda: make_contracts(service)],
                )
            with gr.Tab("Model", id="model") as model, gr.Column(elem_classes="page"):
                timers["model"] = make_model_page(workspace, service, model, trainer)
            with gr.Tab("Data", id="data") as data, gr.Column(elem_classes="page"):
                timers["data"] = make_data_page(workspace, service, downloads, data)
        switch_timers((focus, sweep, browse, progress, model, data), timers)
    return pages


def _mount(static: str, part: str, *, elem_id: str) -> gr.HTML:
    """A place where a module draws its part of the page."""
    # A whole address: Chromium keeps the compiled line for a tab, and with it the place that a path
    # was relative to, so a second server opened in the same tab would ask the first for its pages.
    module = f"new URL('{static}/js/app.js', location.origin).href"
    return gr.HTML(
        "",
        elem_id=elem_id,
        apply_default_css=False,
        js_on_load=f"import({module}).then((app) => app.mount(element, '{part}'))",
    )
