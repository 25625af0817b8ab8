"""Asking the worker for something, and whether there is one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from annotator.db import model_work
from annotator.types import Job

WORKER_SILENCE = timedelta(seconds=15)
"""Without a sign of life for this long, the worker counts as gone."""

_MOST_WAITING = 1_000


def request_job(connection: Connection, kind: str, config: Mapping[str, Any], at: datetime) -> Job:
    """Ask for something; an equal request that still waits is not doubled.

    Args:
        connection: of a writing transaction.
        kind: of the job.
        config: what is asked, as JSON.
        at: when.
    """
    waiting = waiting_job(connection, kind, config)
    if waiting is not None:
        return waiting
    model_work.add_job(connection, kind=kind, status="waiting", config=dict(config), created_at=at)
    return model_work.jobs(connection, kind=kind, limit=1)[0]


def waiting_job(connection: Connection, kind: str, config: Mapping[str, Any]) -> Job | None:
    """The equal request that the worker has not taken yet, None if there is none."""
    jobs = model_work.jobs(connection, kind=kind, status="waiting", limit=_MOST_WAITING)
    return next((job for job in jobs if dict(job.config) == dict(config)), None)


def is_alive(connection: Connection, now: datetime) -> bool:
    """Whether a worker gave a sign of life a moment ago."""
    running = model_work.jobs(connection, status="running")
    return any(j.heartbeat is not None and j.heartbeat > now - WORKER_SILENCE for j in running)
