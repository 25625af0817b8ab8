"""What the Model page says and lists: the state of the trainer, versions, sources, thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gradio.components.plot import PlotData

from annotator.settings import Workspace
from annotator.types import Category, Job, ModelVersion, Status
from annotator.web.charts import BLUE, COLOURS, ORANGE, figure, line
from annotator.wording import moment

_SOURCES = {
    "base": "the picture alone",
    "windows": "the most telling part of the picture",
    "neighbours": "similar pictures",
    "prototypes": "typical pictures of the category",
    "cooccurrence": "other labels of the picture",
    "prior": "how common the category is",
    "network": "the network",
    "network prototypes": "typical pictures, as the network sees them",
    "pairs": "pairs of labels, as the network sees them",
    "fine-tuned": "the picture alone, by networks fine-tuned on your labels",
}
_KINDS = {"fast": "fast tier", "deep": "deep tier"}

Rows = list[list[str]]


@dataclass(frozen=True)
class Situation:
    """How the trainer fares, for the top of the page.

    Attributes:
        tone: ``good``, ``busy``, ``wait`` or ``bad``; colours the line.
        title: in a few words, ours alone.
        text: what it is about; may repeat what the system or a file said.
        step: what to do next, ours alone; empty if there is nothing to do.
        share: of the present step, 0-1; None where nothing is counted.
    """

    tone: str
    title: str
    text: str
    step: str = ""
    share: float | None = None


def situation(status: Status, trainer: str) -> Situation:
    """Say how the trainer fares.

    Args:
        status: of the project, with the worker's own job.
        trainer: state of its process in one line; empty if this server runs none.
    """
    job = status.job
    if not status.images:
        step = "Add a folder of pictures: annotator add images FOLDER"
        return Situation("wait", "No pictures yet", "There is nothing to learn from.", step)
    if not status.categories:
        step = "Add the names of what you look for on the Data page."
        return Situation("wait", "No categories yet", "There is nothing to learn.", step)
    if job is None or job.status != "running":
        return _not_running(job, trainer)
    if not status.worker_alive:
        return Situation(
            "bad",
            "The trainer does not answer",
            f"Its last sign of life came while it was {job.message or 'starting'}.",
            "Wait a minute: if it has died, it is started again. Else restart annotator serve.",
        )
    return _running(status, job)


def _not_running(job: Job | None, trainer: str) -> Situation:
    restart = "It is started with annotator serve; annotator train learns once without the pages."
    if job is not None and job.status == "failed":
        step = (
            "It is tried again by itself. If it fails again, the log below says more."
            if trainer
            else "Mend the cause, then restart annotator serve. The log below says more."
        )
        reason = job.reason or job.message or "It left no reason."
        return Situation("bad", "Training failed", f"{_upper(reason)}. {_upper(trainer)}", step)
    if trainer:
        return Situation("busy", "The trainer starts", _upper(trainer))
    if job is None:
        return Situation("wait", "The trainer has not run yet", "No model is learned.", restart)
    return Situation("wait", "The trainer is not running", f"Last: {job.message}", restart)


def _running(status: Status, job: Job) -> Situation:
    activity = str(job.config.get("activity", ""))
    share = job.progress if 0 < job.progress < 1 else None
    text = _upper(job.message)
    if activity == "paused":
        return Situation(
            "wait", "Paused", "Nothing is learned meanwhile.", "Press Resume to go on."
        )
    if activity == "learning":
        return Situation("busy", "Learning", text, share=share)
    if activity == "reading":
        return Situation("busy", "Reading pictures", text, "You can label meanwhile.", share)
    if status.model_version is None:
        step = "Decide a few cells on Focus, some present and some absent."
        return Situation("wait", "No model yet", text, step)
    return Situation("good", "Up to date", text)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def facts(status: Status, workspace: Workspace) -> Rows:
    """Pairs of what and how much: version, quality, features, device, memory."""
    found: Rows = []
    version, job = status.model_version, status.job
    if version is not None:
        metrics = version.metrics
        found.append(["Version in force", f"{version.id}, made {moment(version.created_at)}"])
        found.append(
            [
                "Learned from",
                f"{_count(metrics, 'known_cells')} known cells of "
                f"{_count(metrics, 'images')} pictures",
            ]
        )
        if "map" in metrics:
            quality = f"{100 * metrics['map']:.1f} % on cells it had not seen"
            found.append(["Mean average precision", quality])
        if metrics.get("categories_waiting"):
            waiting = (
                f"{_count(metrics, 'categories_waiting')}, each needs one present and one absent"
            )
            found.append(["Categories without a model", waiting])
        if metrics.get("unreadable"):
            found.append(["Pictures that cannot be read", _count(metrics, "unreadable")])
        if metrics.get("note"):
            found.append(["Note", str(metrics["note"])])
    found.append(["Features", workspace.settings.feature_set])
    if job is not None and job.config.get("device"):
        found.append(["Device", str(job.config["device"])])
    if job is not None and job.status == "running" and job.config.get("memory"):
        memory = f"{job.config['memory'] / 1e9:.2f} GB"
        if job.config.get("device_memory"):
            memory += f", and {job.config['device_memory'] / 1e9:.2f} GB on the GPU"
        found.append(["Memory of the trainer", memory])
    return found


def versions_table(versions: Sequence[ModelVersion]) -> Rows:
    """All versions, newest first, each with what changed since the one before it."""
    ready = [version for version in versions if version.status == "ready"]
    before = {later.id: earlier for later, earlier in pairwise(ready)}
    return [_version_row(version, before.get(version.id)) for version in versions]


def _version_row(version: ModelVersion, before: ModelVersion | None) -> list[str]:
    made = moment(version.created_at)
    if version.status != "ready":
        state = {"writing": "being written", "failed": "given up"}.get(version.status, "?")
        return [str(version.id), made, state, "", "", "", ""]
    now, then = version.metrics, before.metrics if before else {}
    return [
        str(version.id),
        made,
        _KINDS.get(version.kind, version.kind),
        _with_change(now, then, "known_cells", "{:,.0f}", "{:+,.0f}"),
        _with_change(now, then, "log_loss", "{:.3f}", "{:+.3f}"),
        _with_change(now, then, "map", "{:.1f} %", "{:+.1f}", 100),
        f"{float(now['seconds']):.1f}" if now.get("seconds") is not None else "",
    ]


VERSION_COLUMNS = ["Version", "Made", "Kind", "Known cells", "Log loss", "mAP", "Seconds"]


def _with_change(
    now: Mapping[str, Any],
    then: Mapping[str, Any],
    name: str,
    form: str,
    change: str,
    scale: float = 1,
) -> str:
    if now.get(name) is None:
        return ""
    value = float(now[name]) * scale
    text = form.format(value)
    if then.get(name) is None:
        return text
    difference = change.format(value - float(then[name]) * scale).replace("-", "\u2212")
    return f"{text}  ({difference})"


def sources_table(version: ModelVersion | None) -> Rows:
    """The sources of evidence of a version, those kept first, and what each is worth."""
    sources = [] if version is None else version.sources
    return [
        [
            _SOURCES.get(str(source["name"]), str(source["name"])),
            "yes" if source["kept"] else "no",
            f"{source['weight']:.2f}" if source["kept"] else "",
            _worth(source),
        ]
        for source in sorted(sources, key=lambda one: not one["kept"])
    ]


def _worth(source: Mapping[str, Any]) -> str:
    """What a source does to the error, and why it is kept or left out in spite of that."""
    change = float(source["loss_with"]) - float(source["loss_without"])
    size = f"{abs(change):.4f}" if abs(change) >= 0.00005 else "less than 0.0001"
    text = f"{size} {'lower' if change < 0 else 'higher'} with it"
    if source["name"] == "base":
        return f"{text}; always kept, the others add to it"
    if not source["kept"] and change < 0:
        return f"{text}, but it would count against what it says"
    if source["kept"] and change > 0:
        return f"{text}; kept, as it usually helps"
    return text


SOURCE_COLUMNS = ["Source", "Kept", "Weight", "Error on cells that the fit had not seen"]


def thresholds_table(categories: Sequence[Category], thresholds: Mapping[int, float]) -> Rows:
    """From which probability on each category is suggested present."""
    if not thresholds:
        return []
    return [
        [
            c.name,
            f"{100 * thresholds[c.id]:.0f} %" if c.id in thresholds else "no model yet",
            f"{c.present:,}",
            f"{c.absent:,}",
        ]
        for c in categories
    ]


THRESHOLD_COLUMNS = ["Category", "Suggested present from", "Present", "Absent"]


def quality_chart(versions: Sequence[ModelVersion], name: str) -> PlotData | None:
    """A figure of the fit over the versions; None with fewer than two."""
    found = [
        v for v in reversed(versions) if v.status == "ready" and v.metrics.get(name) is not None
    ]
    if len(found) < 2:
        return None
    scale, colour = (100, BLUE) if name == "map" else (1, ORANGE)
    told = [
        f"version {v.id} ({_KINDS.get(v.kind, v.kind)})<br>{_count(v.metrics, 'known_cells')} "
        "known cells"
        for v in found
    ]
    values = [round(float(v.metrics[name]) * scale, 4) for v in found]
    form = "%{y:.1f} %" if name == "map" else "%{y:.3f}"
    drawn = line(
        name,
        [v.id for v in found],
        values,
        colour,
        customdata=told,
        hovertemplate=f"{form}<br>%{{customdata}}<extra></extra>",
    )
    return figure(
        [drawn],
        height=220,
        legend=False,
        x={"title": {"text": "version"}, "tickformat": ",d", "dtick": max(1, len(found) // 8)},
        y={"rangemode": "normal", "ticksuffix": " %" if name == "map" else ""},
        hovermode="closest",
    )


def training_chart(
    job: Job | None, versions: Sequence[ModelVersion]
) -> tuple[PlotData | None, str]:
    """Loss and validation per epoch of the networks, and which training it is, in words.

    The one that runs now, else that of the newest version with networks.
    """
    curve: Sequence[Mapping[str, Any]] = []
    said = ""
    if job is not None and job.status == "running" and job.config.get("curve"):
        curve, said = job.config["curve"], "Training now; a point is an epoch."
    else:
        for version in versions:
            if version.metrics.get("curve"):
                curve = version.metrics["curve"]
                said = f"Of version {version.id}; a point is an epoch."
                break
    if not curve:
        return None, ""
    data = []
    for network in sorted({int(point["network"]) for point in curve}):
        points = [point for point in curve if int(point["network"]) == network]
        colour = COLOURS[(network - 1) % len(COLOURS)]
        epochs = [point["epoch"] for point in points]
        name = f"Network {network}"
        data.append(
            line(
                name,
                epochs,
                [point["validation"] for point in points],
                colour,
                hovertemplate=f"network {network}, epoch %{{x}}<br>held-out cells: %{{y:.3f}}"
                "<extra></extra>",
            )
        )
        data.append(
            line(
                name,
                epochs,
                [point["loss"] for point in points],
                colour,
                mode="lines",
                line={"width": 1.5, "color": colour, "dash": "dot"},
                yaxis="y2",
                showlegend=False,
                hovertemplate=f"network {network}, epoch %{{x}}<br>training objective: %{{y:.3f}}"
                "<extra></extra>",
            )
        )
    return (
        figure(
            data,
            height=280,
            x={"title": {"text": "epoch"}, "dtick": 1, "tickformat": ",d"},
            y={"title": {"text": "log loss, held-out cells"}, "rangemode": "normal"},
            yaxis2={
                "title": {"text": "training objective (dotted)"},
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
                "zeroline": False,
                "fixedrange": True,
                "automargin": True,
            },
            hovermode="closest",
        ),
        said,
    )


def _count(metrics: Mapping[str, Any], name: str) -> str:
    return f"{int(metrics.get(name, 0)):,}"
