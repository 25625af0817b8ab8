"""Charts as Plotly figures for `gr.Plot`, readable in light and dark.

Figures are written as plain data: plotly.js comes with Gradio, and importing Plotly's Python half
would cost the server a second at its start. Colours of text, lines and grounds are left to the
style sheet, which knows the theme; those of the data are readable on both.

Plotly reads a subset of HTML in every text. Names of categories and people pass `plain` first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gradio.components.plot import PlotData

PRESENT, ABSENT, UNKNOWN = "#3d9a61", "#8b95a7", "rgba(128,140,160,.22)"
BLUE, ORANGE = "#4a7be0", "#d9822b"
COLOURS = (BLUE, "#2a9a8d", ORANGE, "#8d68d6", "#cf5590", "#6b8e23", "#b06a3b")
OTHERS = "#8b95a7"
"""Colour of what is summed up as "others"."""

LONGEST_IN_LEGEND = 40
"""Letters of a name in a legend; a longer one would take the room of the chart."""

_FONT = {"family": "system-ui, sans-serif", "size": 13}


def plain(text: str, longest: int | None = None) -> str:
    """Text that Plotly shows letter by letter; cut after ``longest`` letters."""
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    # An invisible joiner before it keeps `$…$` from ever being read as a formula.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("$", "\u2060$")


def figure(
    data: Sequence[Mapping[str, Any]],
    *,
    height: int,
    legend: bool = True,
    x: Mapping[str, Any] | None = None,
    y: Mapping[str, Any] | None = None,
    **layout: Any,
) -> PlotData:
    """A chart with the look that all charts share.

    Args:
        data: traces.
        height: pixels.
        legend: show which colour is what.
        x: of the horizontal axis.
        y: of the vertical axis.
        layout: anything else of the layout.
    """
    axis = {"automargin": True, "zeroline": False, "fixedrange": True, "ticks": ""}
    content = {
        "data": list(data),
        "layout": {
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8, "pad": 4},
            "font": _FONT,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(COLOURS),
            "showlegend": legend,
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1,
                "yanchor": "bottom",
                "traceorder": "normal",
            },
            "hoverlabel": {"font": _FONT, "align": "left", "namelength": -1},
            "hovermode": "x unified",
            "dragmode": False,
            "xaxis": {**axis, "showgrid": False, **(x or {})},
            "yaxis": {**axis, "rangemode": "tozero", **(y or {})},
            **layout,
        },
        "config": {"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
    }
    return PlotData(type="plotly", plot=json.dumps(content, allow_nan=False))


def area(name: str, x: Sequence[Any], y: Sequence[Any], colour: str) -> dict[str, Any]:
    """One layer of a stack of areas."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(name, LONGEST_IN_LEGEND),
        "x": list(x),
        "y": list(y),
        "stackgroup": "one",
        "line": {"width": 0.5, "color": colour, "shape": "hv"},
        "fillcolor": colour,
        "hovertemplate": "%{y:,}",
    }


def line(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, **options: Any
) -> dict[str, Any]:
    """A line with points."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(name, LONGEST_IN_LEGEND),
        "x": list(x),
        "y": list(y),
        "line": {"width": 2, "color": colour},
        "marker": {"size": 6, "color": colour},
        **options,
    }


def bars(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, **options: Any
) -> dict[str, Any]:
    """Bars, one per value of x; of y if ``orientation`` is "h"."""
    return {
        "type": "bar",
        "name": plain(name, LONGEST_IN_LEGEND),
        "x": list(x),
        "y": list(y),
        "marker": {"color": colour, "line": {"width": 0}},
        **options,
    }


def keep_few(
    values: Mapping[str, Sequence[int]], most: int = len(COLOURS)
) -> dict[str, tuple[list[int], str]]:
    """Series by name with a colour each; those that are too many are summed up as "others"."""
    names = list(values)
    shown = names if len(names) <= most else names[: most - 1]
    kept = {
        name: (list(values[name]), colour) for name, colour in zip(shown, COLOURS, strict=False)
    }
    rest = [values[name] for name in names[len(shown) :]]
    if rest:
        sums = [sum(column) for column in zip(*rest, strict=True)]
        kept[f"{len(rest):,} others"] = (sums, OTHERS)
    return kept
