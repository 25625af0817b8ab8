"""What the worker has noticed of the project: what is new, and which pictures are to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotator.training.records import Marks, Picture, Records
from hst_core.fast_tier import WAITS_FOR_BOTH
from hst_core.features import FeatureStore

MISSING_FILE_RETRY_SECONDS = 300.0
WAITS_FOR_READABLE_LABELS = f"{WAITS_FOR_BOTH} in some category, on pictures that can be read"

_SHOWN_UNREADABLE = 100


class ProjectWatch:
    """Follows events, categories and pictures.

    Args:
        records: of the label database.
        features: that are there already.
        clock: seconds that only grow.

    Attributes:
        marks: signs of change as they were when last looked at.
        changed_at: when an event or category was last noticed, by the clock.
        todo: pictures whose features are still to be computed, those with labels first.
        unreadable: hash -> reason; the content is at fault and will not be tried again.
        missing: hash -> picture; tried again now and then, or when asked to train.
    """

    def __init__(
        self, records: Records, features: FeatureStore, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._features = features
        self._clock = clock
        self._seen = 0  # largest image id that was looked at
        self._missing_at = 0.0
        self.marks = Marks()
        self.changed_at = 0.0
        self.todo: list[Picture] = []
        self.unreadable: dict[str, str] = {}
        self.missing: dict[str, Picture] = {}

    def look(self) -> None:
        """Notice new events, categories and pictures."""
        now, before = self._clock(), self.marks
        marks = self._records.marks()
        if (marks.event_id, marks.category_ids) != (before.event_id, before.category_ids):
            self.changed_at = now
        self.marks = marks
        if marks.newest_image_id > self._seen:
            self._add(self._records.pictures(after=self._seen))
            self._seen = marks.newest_image_id
        if self.missing and now - self._missing_at > MISSING_FILE_RETRY_SECONDS:
            self.retry_missing()

    def _add(self, pictures: Sequence[Picture]) -> None:
        known = self._features.unreadable
        self.unreadable |= {p.sha256: known[p.sha256] for p in pictures if p.sha256 in known}
        fresh = [
            p
            for p in pictures
            if p.sha256 not in self._features and p.sha256 not in self.unreadable
        ]
        # Pictures with labels teach, so they come first.
        self.todo = sorted(self.todo + fresh, key=lambda p: (p.known == 0, p.id))

    def retry_missing(self) -> None:
        """Try the pictures again whose files could not be opened."""
        again = list(self.missing.values())
        self.missing.clear()
        self._add(again)

    def note_read(self, failures: Iterable[tuple[str, str]]) -> None:
        """Take what was read off the list.

        Args:
            failures: (hash, reason) of pictures that gave no features.
        """
        by_hash = {p.sha256: p for p in self.todo}
        for image_hash, reason in failures:
            if image_hash in self._features.unreadable:
                self.unreadable[image_hash] = reason
            else:
                self.missing[image_hash] = by_hash[image_hash]
                self._missing_at = self._clock()
        done = {*self._features.unreadable, *self.missing}
        self.todo = [
            p for p in self.todo if p.sha256 not in self._features and p.sha256 not in done
        ]

    @property
    def unread_count(self) -> int:
        """Pictures that gave no features."""
        return len(self.unreadable) + len(self.missing)

    def told(self) -> dict[str, Any]:
        """The pictures that gave no features, for the job row."""
        shown = list(self.unreadable.items())[:_SHOWN_UNREADABLE]
        return {
            "unreadable": [{"sha256": sha, "reason": reason} for sha, reason in shown],
            "unreadable_count": len(self.unreadable),
            "missing_count": len(self.missing),
        }

    def unread_paths(self) -> tuple[tuple[str, str], ...]:
        """(path, reason) of all pictures that gave no features."""
        paths = {p.sha256: p.path for p in self._records.pictures()}
        unreadable = [(paths.get(h, h), reason) for h, reason in self.unreadable.items()]
        missing = [(p.path, "the file cannot be opened") for p in self.missing.values()]
        return (*unreadable, *missing)

    def waits_for(self) -> str | None:
        """What is missing for a model, in plain words; None if nothing seems to be."""
        marks = self.marks
        if marks.newest_image_id == 0:
            return "no pictures yet (add a folder of pictures)"
        if not marks.category_ids:
            return "no categories yet (add the names of what to look for)"
        if marks.known_cells == 0:
            return "no labels yet (mark some cells present and some absent)"
        if not marks.trainable:
            return f"{WAITS_FOR_BOTH} in some category"
        return None


def waits_for_labels(labels: NDArray[np.int8]) -> str | None:
    """What the labels of the pictures that could be read lack; None if a model can be fitted.

    Args:
        labels: [N, C] of the pictures that have features.
    """
    both = (labels == 1).any(axis=0) & (labels == -1).any(axis=0)
    return None if both.any() else WAITS_FOR_READABLE_LABELS
