"""The worker: reads pictures, fits the model, writes scores; the only importer of `hst_core`.

It runs as a process of its own (docs/adr/0002) and polls the label database. One round of its loop
obeys commands, then does the first of these that is due: fit, read pictures, wait. Nothing it
writes can be seen half done: scores, then checkpoint, then the row in `model_version` that puts
both in force.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from annotator.attention_maps import FOLDER as ATTENTION_FOLDER
from annotator.attention_maps import AttentionFolder, AttentionMap, NoAttention
from annotator.db.engine import Database
from annotator.errors import AnnotatorError, WorkspaceError
from annotator.scores import PairScores, ScoreFolder, prune, remove_partial
from annotator.settings import Workspace
from annotator.training.log_lines import LogLines
from annotator.training.machine import memory_bytes
from annotator.training.records import (
    PAUSE,
    RESUME,
    STOP,
    TRAIN,
    Activity,
    Marks,
    Picture,
    Records,
    Snapshot,
)
from annotator.training.schedule import Change, DeepRule, Fitted, RefitRule
from annotator.training.supervisor import EXIT_WORKSPACE_IN_USE
from annotator.types import Job, ModelVersion
from annotator.wording import counted
from hst_core import checkpoint
from hst_core.activation import activation_map
from hst_core.backbone import Backbone
from hst_core.checkpoint import Checkpoint, CheckpointError
from hst_core.deep_tier import LOGIT, PAIRS, PROTOTYPES, DeepEvidence, DeepTier, DeepTierConfig
from hst_core.fast_tier import WAITS_FOR_BOTH, FastTier, FastTierConfig, FastTierScores
from hst_core.features import (
    FeatureStore,
    FeatureStoreError,
    UnreadablePictureError,
    extract,
    feature_maps,
    load_backbones,
)
from hst_core.inputs import CachedFeatures
from hst_core.metrics import mean_average_precision
from hst_core.neighbours import NeighbourGraph
from hst_core.stopping import Stopped
from hst_core.trainer import EpochRecord
from hst_core.windows import WindowCoordinates

VERSIONS_KEPT = 3
POLL_SECONDS = 0.5
MISSING_FILE_RETRY_SECONDS = 300.0
_SHOWN_UNREADABLE = 100
_HARD_EXIT_SECONDS = 15.0
_MAPS_AT_ONCE = 4  # a tenth of a second each; more would hold up a fit

WAITS_FOR_READABLE_LABELS = f"{WAITS_FOR_BOTH} in some category, on pictures that can be read"

Tell = Callable[[str, float], None]
"""Called with what is being done and the share done, 0-1."""


@dataclass(frozen=True)
class TrainReport:
    """What one run in the foreground did.

    Attributes:
        version: id of the new model version, None if there is none.
        waiting: what is missing for a model, None if there is one.
        images: pictures that the model saw.
        known_cells: decided cells of these.
        unreadable: (path, reason) of pictures that could not be read.
        seconds: that the fit took.
        note: something worth knowing, such as a checkpoint that could not be used.
    """

    version: int | None
    waiting: str | None
    images: int
    known_cells: int
    unreadable: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Fit:
    """One fit, before it is written."""

    tier: FastTier
    scores: FastTierScores
    snapshot: Snapshot
    image_ids: NDArray[np.int64]
    labels: NDArray[np.int8]
    pairs: PairScores | None = None
    kind: str = "fast"

    @property
    def known(self) -> int:
        """Number of known cells it was fitted on."""
        return int(np.count_nonzero(self.labels))

    def metrics(self) -> dict[str, Any]:
        """Figures of the fit; quality from cells whose label the evidence had not seen."""
        modelled = np.ones(self.labels.shape[1], dtype=bool)
        modelled[[index for index, _ in self.tier.waiting]] = False
        cells = (self.labels != 0) & modelled
        present = self.labels[cells] == 1
        p = np.clip(self.scores.probability[cells].astype(np.float64), 1e-7, 1 - 1e-7)
        loss = -np.where(present, np.log(p), np.log1p(-p)).mean()
        precision = mean_average_precision(self.scores.probability, np.where(cells, self.labels, 0))
        return {
            "known_cells": self.known,
            "images": int((self.image_ids >= 0).sum()),
            "category_ids": self.snapshot.category_ids.tolist(),
            "categories_waiting": len(self.tier.waiting),
            "log_loss": float(loss),
            **({} if precision is None else {"map": precision}),
        }


class Learner:
    """Features, neighbours and both tiers of one workspace; knows nothing of the database."""

    def __init__(self, workspace: Workspace, deep: DeepTierConfig | None = None) -> None:
        self._workspace = workspace
        self._deep_config = deep or DeepTierConfig()
        self._set_name = workspace.settings.feature_set
        self._folder = workspace.features / self._set_name
        self.features = FeatureStore.open(self._folder, self._set_name)
        self._device = _choose_device(workspace.settings.device)
        self._backbones: dict[str, Backbone] | None = None
        self._graph: NeighbourGraph | None = None
        self._previous: FastTier | None = None
        self._previous_categories: tuple[int, ...] = ()
        self._deep: DeepEvidence | None = None
        self._deep_categories: tuple[int, ...] = ()

    def read(
        self,
        pictures: Sequence[Picture],
        tell: Callable[[int, int], None],
        should_stop: Callable[[], bool],
    ) -> list[tuple[str, str]]:
        """Compute features of pictures that have none; returns (hash, reason) of the unreadable."""
        report = extract(
            self.features,
            [(p.sha256, self._workspace.image_path(p.path)) for p in pictures],
            device=self._device,
            backbones=self._networks(),
            progress=tell,
            should_stop=should_stop,
        )
        return [(image_hash, reason) for image_hash, _, reason in report.unreadable]

    def look(self, picture: Picture, category_id: int) -> NDArray[np.float32] | NoAttention:
        """Where the last fit looks for a category in a picture, 0-1 [rows, columns]."""
        tier = self._previous
        if tier is None or category_id not in self._previous_categories:
            return NoAttention("the model is being fitted anew", again=True)
        try:
            path = self._workspace.image_path(picture.path)
            features = self.features.feature_set
            maps = feature_maps(features, self._networks(), path, device=self._device)
        except UnreadablePictureError as error:
            return NoAttention(f"the picture cannot be read: {error}", again=False)
        except OSError as error:
            text = f"the picture's file cannot be opened: {error.strerror or error}"
            return NoAttention(text, again=False)
        column = self._previous_categories.index(category_id)
        classifier = tier.channel_classifier(column)
        return activation_map(classifier, features, maps, tier.picture_weights).shown()

    def _networks(self) -> dict[str, Backbone]:
        """The backbones, loaded when they are first needed."""
        if self._backbones is None:
            self._backbones = load_backbones(self.features.feature_set, self._device)
        return self._backbones

    def labels(self, snapshot: Snapshot) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Image id and labels of each row of the features; -1 where it left the project."""
        rows = self.features.rows([sha256 for _, sha256 in snapshot.images])
        ids = np.array([image_id for image_id, _ in snapshot.images], dtype=np.int64)
        image_ids = np.full(len(self.features), -1, dtype=np.int64)
        image_ids[rows[rows >= 0]] = ids[rows >= 0]
        return image_ids, snapshot.matrix(image_ids)

    def fit(
        self,
        snapshot: Snapshot,
        image_ids: NDArray[np.int64],
        labels: NDArray[np.int8],
        tell: Tell,
        should_stop: Callable[[], bool],
    ) -> Fit:
        """Fit the fast tier, from the last fit where that is possible.

        Raises:
            Stopped: if ``should_stop`` says so; the last fit stays in force.
        """
        graph = self._neighbours(tell, should_stop)
        deep = self._usable_deep(snapshot)
        extra = deep.sources(_network_inputs(graph), labels, should_stop) if deep else []
        tier = FastTier.fit(
            None,
            labels,
            config=FastTierConfig(seed=self._workspace.settings.seed),
            neighbours=graph,
            windows=self._windows(graph, tell, should_stop),
            previous=self._usable_previous(snapshot),
            extra_sources=extra,
            progress=lambda share, message: tell(message, share),
            should_stop=should_stop,
        )
        scores = tier.scores()
        pairs = _pair_scores(deep, scores) if deep else None
        return Fit(tier, scores, snapshot, image_ids, labels, pairs)

    def deepen(
        self,
        fit: Fit,
        tell: Tell,
        should_stop: Callable[[], bool],
        on_epoch: Callable[[int, EpochRecord], None] | None = None,
    ) -> Fit:
        """Train the networks on what a fit of the fast tier knows, and fuse what they say.

        Args:
            fit: of the fast tier.
            tell: told what is being done.
            should_stop: asked before every step.
            on_epoch: told the number of a network and what each epoch did.

        Raises:
            Stopped: if ``should_stop`` says so; the networks trained before stay.
        """
        graph = self._neighbours(tell, should_stop)
        inputs = _network_inputs(graph)
        before = self._usable_deep(fit.snapshot)
        fitted = DeepTier.fit(
            inputs,
            fit.labels,
            fit.tier.folds,
            fit.scores.sources["base"],
            config=self._deep_config,
            previous=before.tier if before else None,
            device=self._device,
            progress=lambda share, message: tell(message, share),
            on_epoch=on_epoch,
            should_stop=should_stop,
        )
        self._deep = DeepEvidence.after_fit(fitted, inputs, fit.labels, should_stop)
        self._deep_categories = tuple(fit.snapshot.category_ids.tolist())
        fused = self.fit(fit.snapshot, fit.image_ids, fit.labels, tell, should_stop)
        return replace(fused, kind="deep")

    def remember(self, fit: Fit) -> None:
        """Start the next fit from this one. Only its parameters are kept, not its scores."""
        self._previous = FastTier.from_state_dict(fit.tier.state_dict())
        self._previous_categories = tuple(fit.snapshot.category_ids.tolist())

    def forget(self) -> None:
        """Start the next fit from scratch."""
        self._previous, self._previous_categories = None, ()
        self._deep, self._deep_categories = None, ()

    def checkpoint(self, fit: Fit, version: int) -> Checkpoint:
        """Everything of a fit that the next process needs."""
        hashes = self.features.hashes
        rows = [[hashes[i] for i in nearest if i >= 0] for nearest in fit.scores.exemplars.tolist()]
        tiers = {"fast": fit.tier.state_dict()}
        if self._deep is not None:
            categories = list(self._deep_categories)
            tiers["deep"] = {"categories": categories, **self._deep.state_dict()}
        return Checkpoint(
            model_version=version,
            event_id=fit.snapshot.event_id,
            feature_set=self._set_name,
            category_ids=tuple(fit.snapshot.category_ids.tolist()),
            category_names=fit.snapshot.category_names,
            thresholds=tuple(fit.scores.threshold.tolist()),
            exemplars=tuple(tuple(nearest) for nearest in rows),
            config={"images": len(fit.labels), "rows": self._row_digest(len(fit.labels))},
            tiers=tiers,
        )

    def restore(self, path: Path) -> str:
        """Start the next fit from a checkpoint; returns why not, empty if it will."""
        try:
            saved = checkpoint.load(path)
            if saved.feature_set != self._set_name:
                return f"the checkpoint is of {saved.feature_set} features: fitted from scratch"
            if saved.config.get("rows") != self._row_digest(int(saved.config.get("images", -1))):
                return "the features were computed anew: fitted from scratch"
            self._previous = FastTier.from_state_dict(saved.tiers["fast"])
            deep = saved.tiers.get("deep")
            if deep is not None:
                self._deep = DeepEvidence.from_state_dict(deep)
                self._deep_categories = tuple(int(c) for c in deep["categories"])
        except (CheckpointError, ValueError, KeyError, TypeError) as error:
            return f"the last checkpoint could not be used ({error}): fitted from scratch"
        self._previous_categories = saved.category_ids
        return ""

    @property
    def note(self) -> str:
        """Something worth knowing about the features; empty if there is nothing."""
        if not self.features.outdated:
            return ""
        return (
            f"the features were read by an older version, as {self._set_name} was then (to read "
            f"all pictures anew, stop the server and remove the folder {self._folder})"
        )

    @property
    def device(self) -> str:
        """What it computes on, as a person would say it."""
        if self._device == "cpu":
            return f"CPU, {counted(torch.get_num_threads(), 'thread')}"
        return torch.cuda.get_device_name(self._device)

    @property
    def has_gpu(self) -> bool:
        """Whether networks and features are computed on a GPU."""
        return self._device != "cpu"

    @property
    def deep_known(self) -> int:
        """Known cells that the networks were trained on, 0 without any."""
        return self._deep.known_cells if self._deep else 0

    def _usable_previous(self, snapshot: Snapshot) -> FastTier | None:
        """The last fit if categories were only appended since: columns keep their place."""
        now = tuple(snapshot.category_ids.tolist())
        before = self._previous_categories
        return self._previous if now[: len(before)] == before else None

    def _usable_deep(self, snapshot: Snapshot) -> DeepEvidence | None:
        """The networks' evidence if categories were only appended since; else they are dropped."""
        now = tuple(snapshot.category_ids.tolist())
        before = self._deep_categories
        if now[: len(before)] != before:
            self._deep, self._deep_categories = None, ()
        return self._deep

    def _neighbours(self, tell: Tell, should_stop: Callable[[], bool]) -> NeighbourGraph:
        """The neighbour graph of all features; kept, extended, and saved beside them."""
        tell("comparing pictures", 0.0)
        vectors = self.features.matrix()  # stays on disk
        if self._graph is None:
            self._graph = _load_graph(self._folder, vectors)
        graph = self._graph
        if graph is not None and len(graph) == len(vectors):
            return graph

        def share(done: int, total: int) -> None:
            tell("comparing pictures", done / max(1, total))

        if graph is None or graph.outgrown():
            self._deep = None  # it reads coordinates that are about to change
            graph = NeighbourGraph.build(vectors, progress=share, should_stop=should_stop)
        if len(graph) < len(vectors):
            graph.extend(vectors[len(graph) :], progress=share, should_stop=should_stop)
        graph.save(self._folder)
        self._graph = graph
        return graph

    def _windows(
        self, graph: NeighbourGraph, tell: Tell, should_stop: Callable[[], bool]
    ) -> WindowCoordinates | None:
        """The windows of all pictures in the graph's space; kept beside the features."""
        vectors = self.features.window_matrix()
        if vectors is None:
            return None

        def share(done: int, total: int) -> None:
            tell("comparing parts of pictures", done / max(1, total))

        return WindowCoordinates.kept_in(
            self._folder, graph.space, vectors[: len(graph)],
            progress=share, should_stop=should_stop,
        )  # fmt: skip

    def _row_digest(self, count: int) -> str:
        """Identifies the order of the first rows: a state is about rows, not about hashes."""
        if not 0 <= count <= len(self.features):
            return ""
        return hashlib.sha256("".join(self.features.hashes[:count]).encode()).hexdigest()


def _as_answer(
    found: NDArray[np.float32] | NoAttention, version: int
) -> AttentionMap | NoAttention:
    """What is kept of a map: three digits of each value."""
    if isinstance(found, NoAttention):
        return found
    rows, columns = found.shape
    values = tuple(round(value, 3) for value in found.flatten().tolist())
    return AttentionMap(rows, columns, values, version)


def _network_inputs(graph: NeighbourGraph) -> CachedFeatures:
    """What the networks read: the graph's coordinates, each of about unit variance."""
    coordinates = graph.coordinates.numpy()
    return CachedFeatures(coordinates * np.float32(coordinates.shape[1] ** 0.5))


def _pair_scores(deep: DeepEvidence, scores: FastTierScores) -> PairScores | None:
    """Pair probabilities to store, if the stack makes use of them."""
    categories = len(scores.threshold)
    found = deep.all_pairs(categories)
    if found is None or not any(s.name == PAIRS and s.kept for s in scores.stack):
        return None
    offset = np.zeros(categories, dtype=np.float32)
    offset[: len(deep.tier.pair_offset)] = deep.tier.pair_offset
    return PairScores(found, offset)


@dataclass
class _Project:
    """What the loop knows of the project.

    Attributes:
        todo: pictures whose features are still to be computed, those with labels first.
        seen: largest image id that was looked at.
        unreadable: hash -> reason; the content is at fault and will not be tried again.
        missing: hash -> reason; tried again now and then, or when asked to train.
    """

    marks: Marks = field(default_factory=Marks)
    todo: list[Picture] = field(default_factory=list)
    seen: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    missing: dict[str, Picture] = field(default_factory=dict)
    missing_at: float = 0.0
    changed_at: float = 0.0


class Worker:
    """The loop of one worker on one workspace, whose worker lock the caller holds.

    Args:
        workspace: to work on.
        database: its label database.
        rule: when a fit is due.
        deep_rule: when the network is trained.
        deep: how.
        should_stop: asked often; the worker ends between two steps.
        tell: told everything that the job row is told.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        workspace: Workspace,
        database: Database,
        *,
        rule: RefitRule | None = None,
        deep_rule: DeepRule | None = None,
        deep: DeepTierConfig | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace
        self._records = Records(database, clock)
        self._learner = Learner(workspace, deep)
        self._attention = AttentionFolder(workspace.path / ATTENTION_FOLDER)
        self._rule = rule or RefitRule()
        self._deep_rule = deep_rule or DeepRule()
        self._deep_known = 0
        self._asked_to_stop = should_stop
        self._tell = tell or (lambda message, share: None)
        self._clock = clock
        self._project = _Project()
        self._version: ModelVersion | None = None
        self._fitted_at = -float("inf")
        self._looked_at = -float("inf")
        self._orders: list[Job] = []
        self._paused = self._stopping = self._abort = False
        self._tried: tuple[Marks, int] | None = None
        self._note = ""
        self._curve: list[dict[str, float | int | None]] = []

    # -- life

    def run(self) -> None:
        """Work until asked to stop."""
        with self:
            while not self._should_stop():
                if not self.step():
                    time.sleep(POLL_SECONDS)

    def run_once(self) -> TrainReport:
        """Read all pictures, fit once, and report."""
        with self:
            self._look()
            while self._project.todo and not self._should_stop():
                self._read(until=self._should_stop)
            fit = None if self._should_stop() else self._learn()
            return self._report(fit)

    def __enter__(self) -> Worker:
        self._records.begin()
        try:
            self._paused = self._records.was_paused()
            self._recover()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._learner.features.close()
        if error is None:
            self._records.end("done", self._last_word())
        elif isinstance(error, KeyboardInterrupt):
            self._records.end("stopped", "stopped from the keyboard")
        else:
            self._records.end("failed", f"{type(error).__name__}: {error}")

    def step(self) -> bool:
        """One round; False if there was nothing to do."""
        self._obey()
        self._look()
        if self._paused and not self._orders:
            self._say("paused", "paused", 0.0)
            return False
        if self._due():
            self._learn()
            return True
        if self._project.todo:
            self._read(until=lambda: self._interrupted() or self._due())
            return True
        if self._deep_due():
            return self._deepen()
        self._rest()
        return False

    # -- what is due

    def _obey(self) -> None:
        """Carry out commands; those to train are answered when a fit has ended."""
        self._looked_at = self._clock()
        for job in self._records.commands():
            if job.kind == TRAIN:
                self._records.take([job])
                self._orders.append(job)
                self._retry_missing()
                continue
            self._paused = {PAUSE: True, RESUME: False}.get(job.kind, self._paused)
            self._stopping = self._stopping or job.kind == STOP
            self._abort = self._abort or job.kind in (PAUSE, STOP)
            self._records.answer([job], "done")
            if job.kind == PAUSE:
                self._orders = self._answer(self._orders, "paused", done=False)
        self._show_attention()

    def _show_attention(self) -> None:
        """Work out where the model looks for those who asked, also in the middle of a fit."""
        wanted = self._records.attention_wanted()[:_MAPS_AT_ONCE]
        for job in wanted:
            image_id, category_id = int(job.config["image"]), int(job.config["category"])
            picture = self._records.picture(image_id)
            if picture is None or self._version is None:
                continue
            version = self._version.id
            found = self._learner.look(picture, category_id)
            self._attention.put(version, image_id, category_id, _as_answer(found, version))
        if wanted:
            self._records.attention_answered(wanted)

    def _interrupted(self) -> bool:
        """Whether the present step should end early; looks at commands now and then."""
        self._records.beat()
        if self._clock() - self._looked_at >= POLL_SECONDS:
            self._obey()
        return self._should_stop() or self._abort

    def _should_stop(self) -> bool:
        return self._stopping or self._asked_to_stop()

    def _look(self) -> None:
        """Notice new events, categories and pictures."""
        project, now = self._project, self._clock()
        marks = self._records.marks()
        before = project.marks
        if (marks.event_id, marks.category_ids) != (before.event_id, before.category_ids):
            project.changed_at = now
        project.marks = marks
        if marks.newest_image_id > project.seen:
            self._add_todo(self._records.pictures(after=project.seen))
            project.seen = marks.newest_image_id
        if project.missing and now - project.missing_at > MISSING_FILE_RETRY_SECONDS:
            self._retry_missing()

    def _add_todo(self, pictures: Sequence[Picture]) -> None:
        features, project = self._learner.features, self._project
        project.unreadable.update(
            (p.sha256, features.unreadable[p.sha256])
            for p in pictures
            if p.sha256 in features.unreadable
        )
        fresh = [
            p for p in pictures if p.sha256 not in features and p.sha256 not in project.unreadable
        ]
        # Pictures with labels teach, so they come first.
        project.todo = sorted(project.todo + fresh, key=lambda p: (p.known == 0, p.id))

    def _retry_missing(self) -> None:
        again = list(self._project.missing.values())
        self._project.missing.clear()
        self._add_todo(again)

    def _due(self) -> bool:
        if not self._orders:
            tried = (self._project.marks, len(self._learner.features))
            if self._waits_for() is not None or self._tried == tried:
                return False  # it would lead to nothing
        return self._rule.due(self._fitted(), self._change())

    def _deep_due(self) -> bool:
        switch = self._workspace.settings.deep_tier
        if switch == "off" or self._version is None or self._waits_for() is not None:
            return False
        kept = {source["name"] for source in self._version.sources if source["kept"]}
        return self._deep_rule.due(
            self._fitted().known_cells,
            self._deep_known,
            self._clock() - self._project.changed_at,
            on=switch == "on",
            fast_device=self._learner.has_gpu,
            helped=not kept.isdisjoint((LOGIT, PROTOTYPES, PAIRS)),
        )

    def _fitted(self) -> Fitted:
        """What the version in force was fitted on; nothing, if it was of other features."""
        name = self._workspace.settings.feature_set
        if self._version is None or self._version.feature_set != name:
            return Fitted()
        metrics = self._version.metrics
        return Fitted(
            int(metrics.get("known_cells", 0)),
            int(metrics.get("rows", 0)),
            # Training the networks took long, but the next fit of the fast tier will not.
            float(metrics.get("seconds", 0.0)) if self._version.kind == "fast" else 0.0,
        )

    def _change(self) -> Change:
        project, version, now = self._project, self._version, self._clock()
        event_id = version.event_id if version else 0
        before = set(version.metrics.get("category_ids", ())) if version else set()
        new_event = project.marks.event_id != event_id
        return Change(
            cells=self._records.changed_cells_after(event_id) if new_event else 0,
            images=len(self._learner.features) - self._fitted().images,
            categories=len(before ^ set(project.marks.category_ids)),
            unread=len(project.todo),
            seconds_since_cell=now - project.changed_at,
            seconds_since_fit=now - self._fitted_at,
            asked=bool(self._orders),
        )

    # -- steps

    def _read(self, until: Callable[[], bool]) -> None:
        """Compute features until all are there or something else is due."""
        self._abort = False
        project, features = self._project, self._learner.features
        before, total = len(features), len(features) + len(project.todo)
        # `extract` asks from several threads whether to stop; only this one may look around.
        enough = threading.Event()
        looked = self._clock()

        def tell(done: int, _: int) -> None:
            nonlocal looked
            share = (before + done) / max(1, total)
            self._say("reading", f"reading pictures: {before + done:,} of {total:,}", share)
            if self._clock() - looked >= POLL_SECONDS:
                looked = self._clock()
                self._look()
                if until():
                    enough.set()

        by_hash = {p.sha256: p for p in project.todo}
        for image_hash, reason in self._learner.read(project.todo, tell, enough.is_set):
            if image_hash in features.unreadable:
                project.unreadable[image_hash] = reason
            else:
                project.missing[image_hash] = by_hash[image_hash]
                project.missing_at = self._clock()
        done = {*features.unreadable, *project.missing}
        project.todo = [
            p for p in project.todo if p.sha256 not in features and p.sha256 not in done
        ]

    def _learn(self) -> Fit | None:
        """Fit and put the new version in force; None if something is missing or it was stopped."""
        self._abort = False
        orders, self._orders = self._orders, []  # those that come in from now on get the next fit
        started, marks = self._clock(), self._project.marks
        rows = len(self._learner.features)
        snapshot = self._records.snapshot()
        image_ids, labels = self._learner.labels(snapshot)
        waiting = self._waits_for() or _waits_for_labels(labels)
        if waiting is not None:
            self._tried = (marks, rows)
            self._answer(orders, f"waiting: {waiting}", done=False)
            return None
        had_networks = self._learner.deep_known > 0
        try:
            fit = self._learner.fit(snapshot, image_ids, labels, self._tell_fit, self._interrupted)
        except Stopped:
            self._answer(orders, "stopped as asked", done=False)
            return None
        if had_networks and not self._learner.deep_known:
            self._deep_known = 0  # a category is gone, so others are to be trained
        version = self._publish(fit, started)
        self._answer(orders, f"version {version} is ready", done=True)
        return fit

    def _deepen(self) -> bool:
        """Train the networks and put what they add in force; False if it was stopped.

        New work goes first: a decision that makes a fit due ends the training, which then starts
        again when it is quiet.
        """
        self._abort = False
        started = self._clock()
        snapshot = self._records.snapshot()
        image_ids, labels = self._learner.labels(snapshot)
        if _waits_for_labels(labels) is not None:
            self._deep_known = self._fitted().known_cells
            return False

        def should_stop() -> bool:
            looked = self._looked_at
            if self._interrupted():
                return True
            if self._looked_at != looked:
                self._look()
            return self._project.changed_at > started or bool(self._project.todo)

        try:
            fit = self._learner.fit(snapshot, image_ids, labels, self._tell_fit, should_stop)
            fit = self._learner.deepen(fit, self._tell_fit, should_stop, self._note_epoch)
        except Stopped:
            self._curve = []
            return False
        self._deep_known = fit.known
        self._publish(fit, started)
        return True

    def _publish(self, fit: Fit, started: float) -> int:
        """Write scores, then the checkpoint, then the row that puts them in force; its id."""
        name = self._workspace.settings.feature_set
        version = self._records.reserve_version(fit.snapshot.event_id, name, fit.kind)
        self._tell_fit("writing scores", 0.92)
        try:
            self._write(fit, version)
        except OSError as error:
            raise WorkspaceError(
                f"version {version} cannot be written to {self._workspace.path}: {error} "
                "(free some space; the last version stays in force)"
            ) from error
        self._learner.remember(fit)
        metrics = fit.metrics() | {
            "rows": len(fit.labels),
            "seconds": self._clock() - started,
            "unreadable": len(self._project.unreadable) + len(self._project.missing),
            "note": "; ".join(note for note in (self._note, self._learner.note) if note),
            **({"curve": self._curve} if self._curve else {}),
        }
        self._curve = []
        self._tell_fit("putting the new version in force", 0.99)
        self._records.commit_version(version, metrics, [asdict(s) for s in fit.scores.stack])
        self._note = ""
        self._version = self._records.newest_version()
        self._fitted_at = self._clock()
        self._prune()
        return version

    def _write(self, fit: Fit, version: int) -> None:
        ids = fit.snapshot.category_ids
        ScoreFolder.write(
            self._workspace.scores / str(version),
            fit.scores,
            labels=fit.labels,
            image_ids=fit.image_ids,
            category_ids=ids,
            event_id=fit.snapshot.event_id,
            feature_set=self._workspace.settings.feature_set,
            waiting={int(ids[index]): text for index, text in fit.tier.waiting},
            pairs=fit.pairs,
        )
        self._tell_fit("writing the checkpoint", 0.96)
        path = checkpoint.path_of(self._workspace.models, version)
        checkpoint.save(path, self._learner.checkpoint(fit, version))

    def _rest(self) -> None:
        """Say what is being waited for, or what there is."""
        if self._waits_for() is not None or self._version is None:
            self._say("waiting", self._last_word(), 0.0)
        else:
            self._say("idle", self._last_word(), 1.0)

    def _last_word(self) -> str:
        waiting = self._waits_for()
        if waiting is None and self._version is not None:
            known = int(self._version.metrics.get("known_cells", 0))
            images = int(self._version.metrics.get("images", 0))
            return f"version {self._version.id} learned from {known:,} cells of {images:,} pictures"
        return f"waiting: {waiting or WAITS_FOR_READABLE_LABELS}"

    def _waits_for(self) -> str | None:
        """What is missing for a model, in plain words; None if nothing seems to be."""
        marks = self._project.marks
        if marks.newest_image_id == 0:
            return "no pictures yet (add a folder of pictures)"
        if not marks.category_ids:
            return "no categories yet (add the names of what to look for)"
        if marks.known_cells == 0:
            return "no labels yet (mark some cells present and some absent)"
        if not marks.trainable:
            return f"{WAITS_FOR_BOTH} in some category"
        return None

    def _report(self, fit: Fit | None) -> TrainReport:
        project, features = self._project, self._learner.features
        paths = {p.sha256: p.path for p in self._records.pictures()}
        unreadable = [(paths.get(h, h), reason) for h, reason in project.unreadable.items()]
        unreadable += [(p.path, "the file cannot be opened") for p in project.missing.values()]
        if fit is None or self._version is None:
            missing = self._waits_for() or WAITS_FOR_READABLE_LABELS
            waiting = "stopped as asked" if self._should_stop() else missing
            return TrainReport(None, waiting, len(features), 0, tuple(unreadable))
        metrics = self._version.metrics
        return TrainReport(
            version=self._version.id,
            waiting=None,
            images=int(metrics["images"]),
            known_cells=fit.known,
            unreadable=tuple(unreadable),
            seconds=float(metrics["seconds"]),
            note=str(metrics["note"]),
        )

    # -- recovery and order on disk

    def _recover(self) -> None:
        """Remove what a killed worker left half done, and find the newest version that is whole."""
        self._records.fail_unfinished_versions()
        remove_partial(self._workspace.scores)
        while (version := self._records.newest_version()) is not None:
            try:
                ScoreFolder.open(self._workspace.scores / version.folder)
            except WorkspaceError as error:
                self._note = f"version {version.id} was given up: {error}"
                self._records.fail_version(version.id)
                continue
            self._version = version
            path = checkpoint.path_of(self._workspace.models, version.id)
            self._note = self._learner.restore(path)
            self._deep_known = self._learner.deep_known
            break
        self._prune()

    def _prune(self) -> None:
        keep = self._records.ready_versions(VERSIONS_KEPT)
        prune(self._workspace.scores, keep)
        checkpoint.prune(self._workspace.models, keep)
        self._attention.keep_versions(keep)

    # -- words

    def _tell_fit(self, message: str, share: float) -> None:
        self._say("learning", f"learning: {message}", share)

    def _say(self, activity: Activity, message: str, share: float) -> None:
        self._tell(message, share)
        self._records.say(activity, message, share, self._details())

    def _note_epoch(self, network: int, epoch: EpochRecord) -> None:
        """Keep what the page draws while the networks are trained, and their version after that."""
        self._curve.append(
            {
                "network": network + 1,
                "epoch": epoch.epoch,
                "loss": _rounded(epoch.losses.get("total")),
                "validation": _rounded(epoch.validation),
            }
        )

    def _details(self) -> dict[str, Any]:
        """What the job row carries besides the message."""
        project = self._project
        unreadable = [
            {"sha256": image_hash, "reason": reason}
            for image_hash, reason in list(project.unreadable.items())[:_SHOWN_UNREADABLE]
        ]
        return {
            "unreadable": unreadable,
            "unreadable_count": len(project.unreadable),
            "missing_count": len(project.missing),
            "note": self._note,
            "device": self._learner.device,
            "memory": memory_bytes(),
            "device_memory": _device_memory(),
            **({"curve": self._curve} if self._curve else {}),
        }

    def _answer(self, orders: list[Job], message: str, *, done: bool) -> list[Job]:
        """Close orders with what came of them; returns those that are left: none."""
        self._records.answer(orders, message, "done" if done else "stopped")
        return []


def run_once(
    workspace: Workspace,
    progress: Tell | None = None,
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainReport:
    """Train in the foreground: read all pictures, fit once, put the version in force.

    Args:
        workspace: to train.
        progress: told what is being done and the share done, 0-1.
        should_stop: asked often; what is finished by then stays.

    Raises:
        WorkspaceError: if another worker, such as that of a running server, trains the workspace.
    """
    with (
        _in_plain_words(),
        workspace.lock("worker"),
        Database.open(workspace.database_url) as database,
    ):
        return Worker(workspace, database, tell=progress, should_stop=should_stop).run_once()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a process: ``python -m annotator.training.worker WORKSPACE [--supervised]``."""
    parser = argparse.ArgumentParser(prog="python -m annotator.training.worker")
    parser.add_argument("workspace", type=Path)
    parser.add_argument(
        "--supervised", action="store_true", help="end when standard input is closed"
    )
    options = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    if options.supervised:
        _obey_supervisor(stopping)
    try:
        workspace = Workspace.open(options.workspace)
        lock = workspace.lock("worker")
    except WorkspaceError as error:
        print(error, file=sys.stderr)
        return EXIT_WORKSPACE_IN_USE
    try:
        with _in_plain_words(), lock, Database.open(workspace.database_url) as database:
            log = LogLines(lambda line: print(line, flush=True))
            Worker(workspace, database, should_stop=stopping.is_set, tell=log).run()
    except AnnotatorError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _obey_supervisor(stopping: threading.Event) -> None:
    """End when the supervisor closes our input or dies."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held here, would abort Python's own shutdown.
        while os.read(0, 4096):
            pass
        stopping.set()
        # A long step in native code may not ask; nothing that is written can be half done.
        time.sleep(_HARD_EXIT_SECONDS)
        os._exit(1)

    # Ctrl-C in the terminal reaches both processes; the server decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=watch, name="supervisor-watch", daemon=True).start()


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Errors of the method that a person can mend become errors of the tool."""
    try:
        yield
    except FeatureStoreError as error:
        raise WorkspaceError(str(error)) from error


def _choose_device(wanted: str) -> str:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise WorkspaceError(
            f"device is {wanted!r} in the settings but torch finds no CUDA device "
            '(set device = "auto" in workspace.toml, or install a torch with CUDA)'
        )
    return "cuda"


def _load_graph(folder: Path, vectors: NDArray[np.float16]) -> NeighbourGraph | None:
    """The saved neighbour graph, extended to all features; None if there is none that fits."""
    try:
        return NeighbourGraph.load(folder, vectors)
    except FileNotFoundError:
        return None
    except (ValueError, RuntimeError, KeyError, EOFError, UnpicklingError) as error:
        # It can be computed anew from the features, so a damaged one is not worth stopping for.
        print(f"neighbours in {folder} are computed anew: {error}", file=sys.stderr)
        return None


def _device_memory() -> int | None:
    """Bytes that torch has taken of the GPU, None while it uses none."""
    used: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.memory_reserved() if used else None


def _rounded(value: float | None) -> float | None:
    """A figure for a chart; nothing where it is no number, which JSON cannot hold."""
    return None if value is None or not math.isfinite(value) else round(value, 5)


def _waits_for_labels(labels: NDArray[np.int8]) -> str | None:
    """What the labels of the pictures that could be read lack; None if a model can be fitted."""
    both = (labels == 1).any(axis=0) & (labels == -1).any(axis=0)
    return None if both.any() else WAITS_FOR_READABLE_LABELS


if __name__ == "__main__":
    sys.exit(main())
