"""Model versions on disk: written whole, put in force, given up if damaged, removed when old."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from annotator.attention_maps import AttentionFolder
from annotator.completion import pools
from annotator.errors import WorkspaceError
from annotator.scores import ScoreFolder, prune
from annotator.settings import Workspace
from annotator.training.learner import Fit, Learner
from annotator.training.picture_features import Tell
from annotator.training.records import Records
from annotator.types import ModelVersion
from hst_core import checkpoint
from hst_core.files import remove_partial

VERSIONS_KEPT = 3
_DAY = 24 * 3600.0


class Versions:
    """The versions of one workspace. Nothing of them can be seen half done.

    Scores come first, then the checkpoint, then the row in `model_version` that puts both in
    force.

    Args:
        workspace: where they are written.
        records: of the label database.
        learner: whose fits they hold.
        attention: maps of a version go with it.
    """

    def __init__(
        self, workspace: Workspace, records: Records, learner: Learner, attention: AttentionFolder
    ) -> None:
        self._workspace = workspace
        self._records = records
        self._learner = learner
        self._attention = attention
        self.newest: ModelVersion | None = None
        # All that the worker alone writes to: it holds the lock of the workspace.
        features = workspace.features / workspace.settings.feature_set
        self._written_to = workspace.scores, workspace.models, features, attention.folder

    def write(self, fit: Fit, tell: Tell) -> int:
        """Write the files of a new version; returns its id.

        Raises:
            WorkspaceError: if they cannot be written; the last version stays in force.
        """
        name = self._workspace.settings.feature_set
        version = self._records.reserve_version(fit.snapshot.event_id, name, fit.kind)
        tell("writing scores", 0.92)
        try:
            self._write_scores(fit, version)
            tell("writing the checkpoint", 0.96)
            path = checkpoint.path_of(self._workspace.models, version)
            checkpoint.save(path, self._learner.checkpoint(fit, version))
        except OSError as error:
            raise WorkspaceError(
                f"version {version} cannot be written to {self._workspace.path}: {error} "
                "(free some space; the last version stays in force)"
            ) from error
        return version

    def _write_scores(self, fit: Fit, version: int) -> None:
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

    def put_in_force(self, version: int, fit: Fit, facts: Mapping[str, Any]) -> None:
        """Commit the row of a version whose files are there, and remove what is too old.

        Args:
            version: as `write` returned it.
            fit: that it holds.
            facts: kept with the figures of the fit, as JSON.
        """
        metrics = fit.metrics() | dict(facts)
        self._records.commit_version(version, metrics, [asdict(s) for s in fit.scores.stack])
        self.newest = self._records.newest_version()
        self._prune()

    def recover(self) -> str:
        """Remove what a killed worker left half done, and find the newest version that is whole.

        Returns:
            What is worth knowing of it, empty if there is nothing.
        """
        notes, workspace = [], self._workspace
        self._records.fail_unfinished_versions()
        for folder in self._written_to:
            remove_partial(folder)
        # Here other programs may be writing, but none of them for a day.
        for folder in (
            workspace.path,
            workspace.path / pools.FOLDER,
            *workspace.thumbnails.glob("*"),
        ):
            remove_partial(folder, idle=_DAY)
        while (version := self._records.newest_version()) is not None:
            try:
                ScoreFolder.open(self._workspace.scores / version.folder)
            except WorkspaceError as error:
                notes.append(f"version {version.id} was given up: {error}")
                self._records.fail_version(version.id)
                continue
            self.newest = version
            kept = checkpoint.path_of(self._workspace.models, version.id)
            notes.append(self._learner.restore(kept))
            break
        self._prune()
        return "; ".join(note for note in notes if note)

    def _prune(self) -> None:
        keep = self._records.ready_versions(VERSIONS_KEPT)
        prune(self._workspace.scores, keep)
        checkpoint.prune(self._workspace.models, keep)
        self._attention.keep_versions(keep)
