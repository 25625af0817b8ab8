"""The loop of the worker: it obeys commands, then does the first that is due.

Due is, in this order: a fit, reading pictures, training the deep tier, asking what it fine-tuned
about the pictures that are left; else it waits. New work goes first: a decision that makes a fit
due ends what takes longer.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from annotator.attention_maps import FOLDER as ATTENTION_FOLDER
from annotator.attention_maps import AttentionFolder
from annotator.db.engine import Database
from annotator.settings import Workspace
from annotator.training.attention_requests import answer_attention
from annotator.training.learner import Fit, Learner, device_memory
from annotator.training.machine import memory_bytes
from annotator.training.picture_features import Tell
from annotator.training.project_watch import (
    WAITS_FOR_READABLE_LABELS,
    ProjectWatch,
    waits_for_labels,
)
from annotator.training.records import PAUSE, RESUME, STOP, TRAIN, Activity, Marks, Records
from annotator.training.schedule import Change, DeepRule, Fitted, RefitRule
from annotator.training.versions import Versions
from annotator.types import Job
from hst_core.deep_tier import LOGIT, PAIRS, PROTOTYPES, DeepTierConfig
from hst_core.features import FeatureStoreError
from hst_core.stopping import Stopped
from hst_core.trainer import EpochRecord
from hst_core.tuning import TUNED, TuningConfig

POLL_SECONDS = 0.5
#: After a failure for which the disk is to blame, the deep tier is tried again after this.
_DEEP_RETRY_SECONDS = 600.0


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


class Worker:
    """The loop of one worker on one workspace, whose worker lock the caller holds.

    Args:
        workspace: to work on.
        database: its label database.
        rule: when a fit is due.
        deep_rule: when the deep tier is trained.
        deep: how its networks on frozen features are.
        tuning: how its last stages are.
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
        tuning: TuningConfig | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._workspace = workspace
        self._records = Records(database, clock)
        self._learner = Learner(workspace, deep, tuning)
        self._attention = AttentionFolder(workspace.path / ATTENTION_FOLDER)
        self._rule = rule or RefitRule()
        self._deep_rule = deep_rule or DeepRule()
        self._deep_known = 0
        self._deep_failed_at = -math.inf
        self._asked_to_stop = should_stop
        self._tell = tell or (lambda message, share: None)
        self._clock = clock
        self._project = ProjectWatch(self._records, self._learner.features.store, clock)
        self._versions = Versions(workspace, self._records, self._learner, self._attention)
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
        """Read all pictures, fit once, train the deep tier if that is due, and report."""
        with self:
            self._project.look()
            while self._project.todo and not self._should_stop():
                self._read(until=self._should_stop)
            fit = None if self._should_stop() else self._learn()
            if fit is not None and self._deep_due(math.inf):
                self._deepen(until=self._interrupted)
                while self._scoring_due(math.inf) and self._score_rest(until=self._interrupted):
                    pass
            return self._report(fit)

    def __enter__(self) -> Worker:
        self._records.begin()
        try:
            self._paused = self._records.was_paused()
            self._note = self._versions.recover()
            self._deep_known = self._learner.deep_known
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._learner.features.store.close()
        if error is None:
            self._records.end("done", self._last_word())
        elif isinstance(error, KeyboardInterrupt):
            self._records.end("stopped", "stopped from the keyboard")
        else:
            self._records.end("failed", f"{type(error).__name__}: {error}")

    def step(self) -> bool:
        """One round; False if there was nothing to do."""
        self._obey()
        self._project.look()
        if self._paused and not self._orders:
            self._say("paused", "paused", 0.0)
            return False
        if self._due():
            self._learn()
            return True
        if self._project.todo:
            self._read(until=lambda: self._interrupted() or self._due())
            return True
        quiet = self._clock() - self._project.changed_at
        if self._deep_due(quiet):
            return self._deepen()
        if self._scoring_due(quiet):
            return self._score_rest()
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
                self._project.retry_missing()
                continue
            self._paused = {PAUSE: True, RESUME: False}.get(job.kind, self._paused)
            self._stopping = self._stopping or job.kind == STOP
            self._abort = self._abort or job.kind in (PAUSE, STOP)
            self._records.answer([job], "done")
            if job.kind == PAUSE:
                self._orders = self._answer(self._orders, "paused", done=False)
        newest = self._versions.newest
        answer_attention(self._records, self._learner, self._attention, newest)

    def _interrupted(self) -> bool:
        """Whether the present step should end early; looks at commands now and then."""
        self._records.beat()
        if self._clock() - self._looked_at >= POLL_SECONDS:
            self._obey()
        return self._should_stop() or self._abort

    def _should_stop(self) -> bool:
        return self._stopping or self._asked_to_stop()

    def _due(self) -> bool:
        if not self._orders:
            tried = (self._project.marks, len(self._learner.features))
            if self._project.waits_for() is not None or self._tried == tried:
                return False  # it would lead to nothing
        return self._rule.due(self._fitted(), self._change())

    def _deep_due(self, quiet: float) -> bool:
        """Whether to train the deep tier; ``quiet`` are the seconds since a change of cells."""
        switch = self._workspace.settings.deep_tier
        if switch == "off" or self._project.waits_for() is not None:
            return False
        if self._clock() - self._deep_failed_at < _DEEP_RETRY_SECONDS:
            return False
        return self._versions.newest is not None and self._deep_rule.due(
            self._fitted().known_cells,
            self._deep_known,
            quiet,
            on=switch in ("on", "all"),
            fast_device=self._learner.has_gpu,
            helped=not self._kept().isdisjoint((LOGIT, PROTOTYPES, PAIRS, TUNED)),
        )

    def _scoring_due(self, quiet: float) -> bool:
        """Whether pictures are left to ask the fine-tuned stages about, and it is of use."""
        if self._workspace.settings.deep_tier == "off" or TUNED not in self._kept():
            return False
        return quiet >= self._deep_rule.pause and self._learner.deep_left > 0

    def _kept(self) -> set[str]:
        """Sources that the stack of the version in force makes use of."""
        newest = self._versions.newest
        return set() if newest is None else {s["name"] for s in newest.sources if s["kept"]}

    def _fitted(self) -> Fitted:
        """What the version in force was fitted on; nothing, if nothing is left of it but scores."""
        name, newest = self._workspace.settings.feature_set, self._versions.newest
        if newest is None or newest.feature_set != name or not self._learner.has_fit:
            return Fitted()
        return Fitted(
            int(newest.metrics.get("known_cells", 0)),
            int(newest.metrics.get("rows", 0)),
            # Training the networks took long, but the next fit of the fast tier will not.
            float(newest.metrics.get("seconds", 0.0)) if newest.kind == "fast" else 0.0,
        )

    def _change(self) -> Change:
        project, version, now = self._project, self._versions.newest, self._clock()
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
                self._project.look()
                if until():
                    enough.set()

        self._project.note_read(
            self._learner.features.read(self._project.todo, tell, enough.is_set)
        )

    def _learn(self) -> Fit | None:
        """Fit and put the new version in force; None if something is missing or it was stopped."""
        self._abort = False
        orders, self._orders = self._orders, []  # those that come in from now on get the next fit
        started, marks = self._clock(), self._project.marks
        rows = len(self._learner.features)
        snapshot = self._records.snapshot()
        image_ids, labels = self._learner.labels(snapshot)
        waiting = self._project.waits_for() or waits_for_labels(labels)
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
        finally:
            if had_networks and not self._learner.deep_known:
                self._deep_known = 0  # a category is gone, or all was compared anew
        version = self._publish(fit, started)
        self._answer(orders, f"version {version} is ready", done=True)
        return fit

    def _deepen(self, until: Callable[[], bool] | None = None) -> bool:
        """Train the deep tier and put what it adds in force; False if it was stopped.

        New work goes first: a decision ends the training, which goes on when it is quiet.
        """
        self._abort = False
        started = self._clock()
        should_stop = until or self._new_work_since(started)
        snapshot = self._records.snapshot()
        image_ids, labels = self._learner.labels(snapshot)
        if waits_for_labels(labels) is not None:
            self._deep_known = self._fitted().known_cells
            return False
        pictures, known_before = self._records.pictures(), self._learner.deep_known
        try:
            fit = self._learner.fit(snapshot, image_ids, labels, self._tell_fit, should_stop)
            fit = self._learner.deepen(fit, pictures, self._tell_fit, should_stop, self._note_epoch)
        except Stopped:
            self._curve = []
            # It may have been the fit after the training that was stopped.
            if self._learner.deep_known != known_before:
                self._deep_known = self._learner.deep_known
            return False
        except FeatureStoreError as error:
            # Suggestions go on without it.
            self._note = f"the deep tier was not trained: {error}"
            self._deep_failed_at = self._clock()
            return False
        # A training that was taken up again knows what it began with.
        self._deep_known = self._learner.deep_known or fit.known
        self._publish(fit, started)
        return True

    def _score_rest(self, until: Callable[[], bool] | None = None) -> bool:
        """Ask the fine-tuned stages about pictures that are left; False if that gave no version."""
        self._abort = False
        started = self._clock()
        should_stop = until or self._new_work_since(started)
        pictures = self._records.pictures()
        if not self._learner.score_rest(pictures, self._tell_fit, should_stop):
            return False
        snapshot = self._records.snapshot()
        image_ids, labels = self._learner.labels(snapshot)
        if waits_for_labels(labels) is not None:
            return False
        try:
            fit = self._learner.fit(snapshot, image_ids, labels, self._tell_fit, should_stop)
        except Stopped:
            return False
        self._publish(replace(fit, kind="deep"), started)
        return True

    def _new_work_since(self, started: float) -> Callable[[], bool]:
        """What ends work that can wait: commands, decisions and new pictures."""

        def should_stop() -> bool:
            looked = self._looked_at
            if self._interrupted():
                return True
            if self._looked_at != looked:
                self._project.look()
            return self._project.changed_at > started or bool(self._project.todo)

        return should_stop

    def _publish(self, fit: Fit, started: float) -> int:
        """Write scores, then the checkpoint, then the row that puts them in force; its id."""
        version = self._versions.write(fit, self._tell_fit)
        self._learner.remember(fit)
        facts = {
            "seconds": self._clock() - started,
            "unreadable": self._project.unread_count,
            "note": "; ".join(note for note in (self._note, self._learner.note) if note),
            **({"curve": self._curve} if self._curve else {}),
        }
        self._curve = []
        self._tell_fit("putting the new version in force", 0.99)
        self._versions.put_in_force(version, fit, facts)
        self._note = ""
        self._fitted_at = self._clock()
        return version

    def _rest(self) -> None:
        """Say what is being waited for, or what there is."""
        if self._project.waits_for() is not None or self._versions.newest is None:
            self._say("waiting", self._last_word(), 0.0)
        else:
            self._say("idle", self._last_word(), 1.0)

    def _last_word(self) -> str:
        waiting, newest = self._project.waits_for(), self._versions.newest
        if waiting is None and newest is not None:
            known = int(newest.metrics.get("known_cells", 0))
            images = int(newest.metrics.get("images", 0))
            return f"version {newest.id} learned from {known:,} cells of {images:,} pictures"
        return f"waiting: {waiting or WAITS_FOR_READABLE_LABELS}"

    def _report(self, fit: Fit | None) -> TrainReport:
        unreadable, newest = self._project.unread_paths(), self._versions.newest
        if fit is None or newest is None:
            missing = self._project.waits_for() or WAITS_FOR_READABLE_LABELS
            waiting = "stopped as asked" if self._should_stop() else missing
            return TrainReport(None, waiting, len(self._learner.features), 0, unreadable)
        return TrainReport(
            version=newest.id,
            waiting=None,
            images=int(newest.metrics["images"]),
            known_cells=fit.known,
            unreadable=unreadable,
            seconds=float(newest.metrics["seconds"]),
            note=str(newest.metrics["note"]),
        )

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
        return {
            **self._project.told(),
            "note": self._note,
            "device": self._learner.device,
            "memory": memory_bytes(),
            "device_memory": device_memory(),
            **({"curve": self._curve} if self._curve else {}),
        }

    def _answer(self, orders: list[Job], message: str, *, done: bool) -> list[Job]:
        """Close orders with what came of them; returns those that are left: none."""
        self._records.answer(orders, message, "done" if done else "stopped")
        return []


def _rounded(value: float | None) -> float | None:
    """A figure for a chart; nothing where it is no number, which JSON cannot hold."""
    return None if value is None or not math.isfinite(value) else round(value, 5)
