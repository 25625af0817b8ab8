"""Answering those who ask where the model looks, also in the middle of a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from annotator.attention_maps import AttentionFolder, AttentionMap, NoAttention
from annotator.training.learner import Learner
from annotator.training.records import Records
from annotator.types import ModelVersion

_MAPS_AT_ONCE = 4  # a tenth of a second each; more would hold up a fit


def answer_attention(
    records: Records, learner: Learner, folder: AttentionFolder, version: ModelVersion | None
) -> None:
    """Work out some of the maps that are asked for, and keep them where the server looks.

    Args:
        records: of the label database.
        learner: whose last fit is in force.
        folder: takes the maps.
        version: in force; before the first one nothing can be said.
    """
    wanted = records.attention_wanted()[:_MAPS_AT_ONCE]
    for job in wanted:
        image_id, category_id = int(job.config["image"]), int(job.config["category"])
        picture = records.picture(image_id)
        if picture is None or version is None:
            continue
        found = learner.look(picture, category_id)
        folder.put(version.id, image_id, category_id, _as_answer(found, version.id))
    if wanted:
        records.attention_answered(wanted)


def _as_answer(
    found: NDArray[np.float32] | NoAttention, version: int
) -> AttentionMap | NoAttention:
    """What is kept of a map: three digits of each value."""
    if isinstance(found, NoAttention):
        return found
    rows, columns = found.shape
    values = tuple(round(value, 3) for value in found.flatten().tolist())
    return AttentionMap(rows, columns, values, version)
