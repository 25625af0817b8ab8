"""The project in numbers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from annotator.db import model_work, store
from annotator.known_counts import Pictures
from annotator.types import Status
from annotator.worker_jobs import is_alive


def project_status(connection: Connection, pictures: Pictures, now: datetime) -> Status:
    """Count what there is, and say which model version is in force and what the worker does.

    Args:
        connection: of a reading transaction.
        pictures: by the number of their known cells.
        now: aware.
    """
    categories = store.categories(connection)
    versions = model_work.ready_versions(connection, 1)
    jobs = model_work.jobs(connection, kind="worker", limit=1)
    present = sum(category.present for category in categories)
    absent = sum(category.absent for category in categories)
    return Status(
        images=pictures.total,
        images_open=pictures.below(len(categories)),
        images_untouched=pictures.below(1),
        users=store.count_users(connection),
        categories=len(categories),
        cells=pictures.total * len(categories),
        known=present + absent,
        present=present,
        absent=absent,
        event_id=store.newest_event_id(connection),
        model_version=model_work.model_version(connection, versions[0]) if versions else None,
        job=jobs[0] if jobs else None,
        worker_alive=is_alive(connection, now),
    )
