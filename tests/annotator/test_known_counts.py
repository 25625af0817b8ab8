"""Pictures by the number of their known cells, followed from the event log.

That the counts are right after every step of every other test is asserted by `Project.check`.
"""

from __future__ import annotations

import numpy as np
import pytest
from label_project import Project, scanned

from annotator.known_counts import KnownCounts, Pictures


def test_below_counts_pictures_with_fewer_known_cells() -> None:
    pictures = Pictures(np.array([4, 0, 2, 1]))
    assert [pictures.below(k) for k in range(6)] == [0, 4, 4, 6, 7, 7]
    assert pictures.total == 7


@pytest.mark.parametrize("most_cells", [0, 1000])
def test_counts_follow_decisions_undo_and_new_pictures(project: Project, most_cells: int) -> None:
    counts = KnownCounts(project.service.database, most_cells=most_cells)
    untouched = counts.now().below(1)
    project.decide(project.ana, (1, 1, 1), (2, 1, -1))
    assert counts.now().below(1) == untouched - 2
    project.decide(project.bo, (2, 2, 1))
    assert counts.now().by_known.tolist() == [untouched - 2, 1, 1]
    project.undo(project.ana)
    assert counts.now().by_known.tolist() == [untouched - 1, 1]
    project.service.add_images(scanned([100, 101, 102], project.workspace.path))
    assert counts.now().total == untouched + 3
