"""SQL of the worker's part: model versions, and the jobs that ask for them and tell of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select, update

from annotator.db import schema as t
from annotator.db.statements import added, chunks
from annotator.types import Job, ModelVersion

READY, WRITING = "ready", "writing"
"""Status of a version whose files are whole, and of one whose files are not there yet."""


def add_model_version(connection: Connection, **values: Any) -> int:
    """Reserve a version before its files are written (status ``writing``); returns its id."""
    values = {"status": WRITING, "folder": "", "metrics": {}, "sources": [], **values}
    return added(connection, t.model_version, **values)


def set_model_version(connection: Connection, version_id: int, **values: Any) -> None:
    """Change columns of a version, such as its status when its files are complete."""
    connection.execute(
        update(t.model_version).where(t.model_version.c.id == version_id).values(**values)
    )


def model_version(connection: Connection, version_id: int) -> ModelVersion | None:
    """One version."""
    row = connection.execute(_MODEL_VERSION, {"id": version_id}).first()
    return None if row is None else ModelVersion(*row)


_MODEL_VERSION = select(t.model_version).where(t.model_version.c.id == bindparam("id"))


def ready_versions(connection: Connection, limit: int = 5) -> list[int]:
    """Ids of the newest complete versions, newest first."""
    return list(connection.scalars(_READY_VERSIONS, {"limit": limit}))


_READY_VERSIONS = (
    select(t.model_version.c.id)
    .where(t.model_version.c.status == READY)
    .order_by(t.model_version.c.id.desc())
    .limit(bindparam("limit"))
)


def model_versions(connection: Connection, limit: int = 50) -> list[ModelVersion]:
    """The newest versions whatever their status, newest first."""
    statement = select(t.model_version).order_by(t.model_version.c.id.desc()).limit(limit)
    return [ModelVersion(*row) for row in connection.execute(statement)]


def add_job(connection: Connection, **values: Any) -> int:
    """Add a job; returns its id."""
    return added(connection, t.job, **values)


def set_job(connection: Connection, job_id: int, **values: Any) -> None:
    """Change columns of a job."""
    connection.execute(update(t.job).where(t.job.c.id == job_id).values(**values))


def jobs(
    connection: Connection,
    *,
    kind: str | None = None,
    status: str | None = None,
    limit: int = 20,
) -> list[Job]:
    """The newest jobs, newest first."""
    asked = {"kind": kind, "status": status}
    given = {name: value for name, value in asked.items() if value is not None}
    rows = connection.execute(_JOBS[tuple(given)], {**given, "limit": limit})
    return [Job(*row) for row in rows]


_JOBS: dict[tuple[str, ...], Select[Any]] = {
    names: select(t.job)
    .where(*(t.job.c[name] == bindparam(name) for name in names))
    .order_by(t.job.c.id.desc())
    .limit(bindparam("limit"))
    for names in ((), ("kind",), ("status",), ("kind", "status"))
}


def remove_jobs(connection: Connection, job_ids: Iterable[int]) -> None:
    """Remove jobs that nobody will ask about again."""
    for some in chunks(job_ids):
        connection.execute(delete(t.job).where(t.job.c.id.in_(some)))


def fail_jobs_of(connection: Connection, pid: int | None, reason: str, at: datetime) -> int:
    """Mark running jobs of a dead process as failed, of any process if None; returns how many."""
    c = t.job.c
    mine = () if pid is None else (c.pid == pid,)
    changed = connection.execute(
        update(t.job)
        .where(c.status == "running", *mine)
        .values(status="failed", reason=reason, finished_at=at)
    )
    return changed.rowcount
