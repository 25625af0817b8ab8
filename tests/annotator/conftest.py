"""Fixtures of the label database's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_project import Project, empty_database, make_project
from postgres_server import PostgresServer


@pytest.fixture(scope="session")
def empty_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty label database to copy."""
    return empty_database(tmp_path_factory.mktemp("empty") / "labels.db")


@pytest.fixture
def project(tmp_path: Path, empty_labels: Path) -> Iterator[Project]:
    """A small project on SQLite."""
    project = make_project(tmp_path / "workspace", template=empty_labels)
    yield project
    project.check()
    project.service.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of these tests' own."""
    server = PostgresServer.start()
    if server is None:
        pytest.skip("PostgreSQL 15 server programs or psycopg are not installed")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_project(
    request: pytest.FixtureRequest, tmp_path: Path, empty_labels: Path
) -> Iterator[Project]:
    """A small project, once on SQLite and once on PostgreSQL."""
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_label_database()
    project = make_project(tmp_path / "workspace", url=url, template=empty_labels)
    yield project
    project.check()
    project.service.close()
