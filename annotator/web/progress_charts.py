"""What the Progress page draws and says, from what the service counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from gradio.components.plot import PlotData

from annotator.precision import (
    FEWEST,
    Answers,
    Pooled,
    Precision,
    Share,
    pool_versions,
    precision,
)
from annotator.progress import (
    Activity,
    By,
    as_time,
    day_start,
    decided_per_minute,
    decided_since,
    known_over_time,
)
from annotator.types import Category, ModelVersion, Status
from annotator.web.charts import (
    ABSENT,
    BLUE,
    ORANGE,
    PRESENT,
    UNKNOWN,
    area,
    bars,
    figure,
    keep_few,
    line,
    plain,
)
from annotator.web.source_words import SOURCES

SPANS = {"hour": (60, 60), "day": (24 * 60, 96), "month": (30 * 24 * 60, 30)}
"""Choice -> minutes back and bins."""

SORTS: dict[str, Callable[[Category, int], tuple[Any, ...]]] = {
    "Most left to decide": lambda c, images: (c.present + c.absent - images, c.position),
    "Fewest present": lambda c, images: (c.present, c.position),
    "Most present": lambda c, images: (-c.present, c.position),
    "As in the list": lambda c, images: (c.position, c.id),
    "By name": lambda c, images: (c.name.casefold(), c.id),
}
CATEGORIES_SHOWN = 25


def share(part: int, whole: int) -> str:
    """Per cent with a digit, "24.6 %"; never 0 or 100 for what is not all or nothing."""
    if not whole:
        return "0 %"
    value = 100 * part / whole
    if 0 < value < 0.1:
        return "less than 0.1 %"
    if 99.9 < value < 100:
        return "more than 99.9 %"
    return f"{value:.1f} %".replace(".0 %", " %")


def sentence(status: Status, activity: Activity, now: datetime) -> str:
    """Where the project stands, in words; there is nothing in it that a person typed."""
    if not status.cells:
        return "There are no pictures yet." if not status.images else "There are no categories yet."
    text = (
        f"{status.known:,} of {status.cells:,} cells known ({share(status.known, status.cells)})."
    )
    decided, people = decided_since(activity, day_start(now))
    if not decided:
        return f"{text} Nothing decided by hand today yet."
    who = "person" if people == 1 else "people"
    return f"{text} {decided:,} decided by hand today by {people:,} {who}."


def known_chart(
    activity: Activity, by: By, people: Mapping[int, str], now: datetime
) -> PlotData | None:
    """Known cells over time, stacked by source or person; None before anything happened."""
    series = known_over_time(activity, by, now)
    if not series.values:
        return None
    times = [as_time(minute, now).isoformat() for minute in series.minutes.tolist()]
    named = {
        (SOURCES.get(str(key), str(key)) if by == "source" else _person(int(key), people)): values
        for key, values in series.values.items()
    }
    above = {name: values.tolist() for name, values in named.items() if (values >= 0).all()}
    below = {name: values.tolist() for name, values in named.items() if name not in above}
    data = [area(name, times, values, colour) for name, (values, colour) in keep_few(above).items()]
    # What takes away more than it adds cannot be stacked; it hangs below the axis.
    data += [
        line(
            name, times, values, ORANGE,
            mode="lines", fill="tozeroy", hovertemplate="%{y:,}",
        )
        for name, values in below.items()
    ]  # fmt: skip
    if len(named) > 1:
        total = np.sum(list(named.values()), axis=0).tolist()
        hidden = {"width": 0, "color": "rgba(0,0,0,0)"}
        data.append(
            line("All", times, total, BLUE, mode="lines", line=hidden, showlegend=False,
                 hovertemplate="%{y:,}")
        )  # fmt: skip
    return figure(
        data,
        height=300,
        legend=True,
        x={"type": "date", "hoverformat": "%d %b %Y, %H:%M"},
        y={"tickformat": ",d"},
    )


def rate_chart(
    activity: Activity, span: str, people: Mapping[int, str], now: datetime
) -> PlotData | None:
    """Decisions per minute by person; None if there were none in that time."""
    minutes, bins = SPANS[span]
    series = decided_per_minute(activity, now, minutes, bins)
    if not series.values:
        return None
    width = minutes // bins
    times = [as_time(minute, now).isoformat() for minute in series.minutes.tolist()]
    named = {_person(int(key), people): values.tolist() for key, values in series.values.items()}
    data = [
        bars(
            name,
            times,
            [value / width for value in values],
            colour,
            customdata=values,
            hovertemplate="%{y:,.3~r} a minute (%{customdata:,} cells)",
        )
        for name, (values, colour) in keep_few(named).items()
    ]
    return figure(
        data,
        height=240,
        x={"type": "date", "range": [times[0], now.isoformat()], "hoverformat": "%d %b, %H:%M"},
        y={"tickformat": ",~r"},
        barmode="stack",
        bargap=0.15,
    )


def matching(categories: Sequence[Category], images: int, sort: str, text: str) -> list[Category]:
    """Categories whose name contains the text, in the order asked for."""
    key = SORTS.get(sort, SORTS["As in the list"])
    wanted = text.strip().casefold()
    found = [c for c in categories if wanted in c.name.casefold()]
    return sorted(found, key=lambda category: key(category, images))


def category_chart(categories: Sequence[Category], images: int) -> PlotData | None:
    """Present, absent and unknown cells per category as stacked bars; None without any."""
    if not categories or not images:
        return None
    rows = list(range(len(categories)))
    whole = [plain(category.name) for category in categories]
    states = (
        ("Present", PRESENT, [c.present for c in categories]),
        ("Absent", ABSENT, [c.absent for c in categories]),
        ("Unknown", UNKNOWN, [images - c.present - c.absent for c in categories]),
    )
    data = [
        bars(
            name,
            values,
            rows,
            colour,
            orientation="h",
            customdata=[
                [full, share(value, images)] for full, value in zip(whole, values, strict=True)
            ],
            hovertemplate=f"%{{customdata[0]}}<br>{name.lower()}: %{{x:,}} of {images:,} "
            "(%{customdata[1]})<extra></extra>",
        )
        for name, colour, values in states
    ]
    return figure(
        data,
        height=70 + 26 * len(categories),
        x={"tickformat": ",d", "range": [0, images], "showgrid": True},
        y={
            "tickvals": rows,
            "ticktext": [plain(category.name, 26) for category in categories],
            "autorange": "reversed",
            "range": [len(rows) - 0.5, -0.5],
            "showgrid": False,
        },
        barmode="stack",
        bargap=0.3,
        hovermode="closest",
    )


def precision_chart(
    answers: Answers,
    versions: Sequence[ModelVersion],
    category_id: int | None,
    thresholds: Mapping[int, float],
) -> PlotData | None:
    """How often suggestions were right by model version, with the exact interval around it.

    Versions with few answers stand together; what is too little even so is drawn hollow.
    """
    found = [
        p
        for p in precision(
            _of_category(answers, category_id), by_category=False, by_version=True,
            thresholds=thresholds,
        )
        if p.version_id
    ]  # fmt: skip
    made = {version.id: version for version in versions}
    data = []
    for name, colour, shares in (
        ("Suggested present", PRESENT, [(p.version_id or 0, p.present) for p in found]),
        ("Suggested absent", ABSENT, [(p.version_id or 0, p.absent) for p in found]),
    ):
        data += _precision_points(name, colour, pool_versions(shares), made)
    if not data:
        return None
    return figure(
        data,
        height=280,
        x={"title": {"text": "model version"}, "tickformat": ",d", "dtick": _step(found)},
        y={"range": [0, 106], "ticksuffix": " %", "dtick": 20},
        hovermode="closest",
    )


def precision_words(
    answers: Answers, category_id: int | None, thresholds: Mapping[int, float]
) -> str:
    """The same over all versions, in words without any name; "" without any answer."""
    answers = _of_category(answers, category_id)
    named = answers.where(answers.version_ids > 0)
    found = precision(named, by_category=False, thresholds=thresholds)
    told = [
        f"{side}: {_share_words(one)}."
        for all_ in found
        for side, one in (("Suggested present", all_.present), ("Suggested absent", all_.absent))
        if one.total
    ]
    return " ".join(told)


def _share_words(one: Share) -> str:
    """Such as "19 of 20 right (95 %, interval 75 to 100 %)"; few answers without per cents."""
    counts = f"{one.right:,} of {one.total:,} right"
    if one.total < FEWEST:
        return f"{counts}, too few to tell"
    low, high = one.interval()
    return (
        f"{counts} ({share(one.right, one.total)}, interval {100 * low:.0f} to {100 * high:.0f} %)"
    )


def _of_category(answers: Answers, category_id: int | None) -> Answers:
    if category_id is None:
        return answers
    return answers.where(answers.category_ids == category_id)


def _step(found: Sequence[Precision]) -> int:
    """Versions between two marks of the axis."""
    ids = [one.version_id or 0 for one in found]
    return max(1, (max(ids) - min(ids)) // 12)


def _precision_points(
    name: str, colour: str, groups: Sequence[Pooled], made: Mapping[int, ModelVersion]
) -> list[dict[str, object]]:
    """Points for what tells something, as wide as their versions, and hollow ones for the rest."""
    told, few = [g for g in groups if g.tells], [g for g in groups if not g.tells]
    traces = []
    if told:
        traces.append(_points(name, colour, told, made, marker={"size": 8, "color": colour}))
    if few:
        hollow = {"size": 8, "color": colour, "symbol": "circle-open", "line": {"width": 1.5}}
        title = f"{name}, fewer than {FEWEST} answers"
        traces.append(_points(title, colour, few, made, marker=hollow, opacity=0.6))
    return traces


def _points(
    name: str,
    colour: str,
    groups: Sequence[Pooled],
    made: Mapping[int, ModelVersion],
    **options: Any,
) -> dict[str, object]:
    y = [100 * (one.share.value or 0.0) for one in groups]
    ends = [one.share.interval() for one in groups]
    bar = {"type": "data", "color": colour}
    return line(
        name,
        [(one.first + one.last) / 2 for one in groups],
        y,
        colour,
        customdata=[f"{_versions(one, made)}<br>{_share_words(one.share)}" for one in groups],
        hovertemplate=f"%{{customdata}}<extra>{name.split(',')[0]}</extra>",
        error_y=bar
        | {
            "symmetric": False,
            "array": [100 * high - value for (_, high), value in zip(ends, y, strict=True)],
            "arrayminus": [value - 100 * low for (low, _), value in zip(ends, y, strict=True)],
            "thickness": 1,
            "width": 3,
        },
        error_x=bar
        | {"array": [(one.last - one.first) / 2 for one in groups], "thickness": 2, "width": 0},
        mode="markers",
        **options,
    )


def _versions(one: Pooled, made: Mapping[int, ModelVersion]) -> str:
    if one.first == one.last:
        return f"version {one.last}{_kind(made.get(one.last))}"
    return f"versions {one.first} to {one.last}"


def _kind(version: ModelVersion | None) -> str:
    return "" if version is None or version.kind == "fast" else f" ({version.kind})"


def _person(user_id: int, people: Mapping[int, str]) -> str:
    return people.get(user_id, "no person") if user_id else "no person"
