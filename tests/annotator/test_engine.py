"""Transactions: durable, serial, all or nothing, and readers do not wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from postgres_server import PostgresServer
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from annotator.db import schema, store
from annotator.db.engine import Database
from annotator.errors import InvalidInput

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.create(f"sqlite:///{tmp_path / 'labels.db'}") as database:
        yield database


def names(connection: Connection) -> list[str]:
    return [user.name for user in store.users(connection)]


def test_sqlite_is_set_up_to_lose_nothing(database: Database) -> None:
    with database.reading() as connection:
        facts = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert facts == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 60_000,
    }


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def begin_and_fail() -> None:
        with database.writing() as connection:
            store.add_user(connection, "ana", NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        begin_and_fail()
    with database.writing() as connection:
        assert names(connection) == []


def test_readers_see_the_state_before_a_write_and_do_not_wait(database: Database) -> None:
    with database.writing() as writer:
        store.add_user(writer, "ana", NOW)
        with database.reading() as reader:
            assert names(reader) == []
    with database.reading() as reader:
        assert names(reader) == ["ana"]


def test_a_reader_keeps_its_view_while_others_write(database: Database) -> None:
    with database.reading() as reader:
        assert names(reader) == []
        with database.writing() as writer:
            store.add_user(writer, "ana", NOW)
        assert names(reader) == []


def test_a_row_that_names_nothing_is_refused(database: Database) -> None:
    row = {"image_id": 1, "category_id": 1, "state": 1, "event_id": 1}
    with pytest.raises(IntegrityError), database.writing() as connection:
        connection.execute(insert(schema.decision), row)


@pytest.mark.parametrize("ident", [2**63, -(2**63) - 1, 2**70])
def test_a_number_that_fits_no_column_is_refused_and_the_connection_stays_good(
    database: Database, ident: int
) -> None:
    def begin_and_fail() -> None:
        with database.writing() as connection:
            store.add_user(connection, "ana", NOW)
            store.user(connection, ident)

    with pytest.raises(InvalidInput, match="too large"):
        begin_and_fail()
    with database.writing() as connection:
        assert names(connection) == []


def test_times_come_back_aware_and_equal(database: Database) -> None:
    with database.writing() as connection:
        store.add_user(connection, "ana", NOW)
        assert store.users(connection)[0].created_at == NOW


def test_a_time_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="zone"), database.writing() as connection:
        store.add_user(connection, "ana", datetime(2026, 1, 1))


def count_up(database: Database, times: int) -> None:
    """Read, then write: what a plain BEGIN loses to "database is locked"."""
    for _ in range(times):
        with database.writing() as connection:
            there = store.user_named(connection, "counter")
            number = int(there.settings["number"]) if there else 0
            ident = there.id if there else store.add_user(connection, "counter", NOW)
            store.set_user_settings(connection, ident, {"number": number + 1})


def run_together(jobs: list[threading.Thread]) -> None:
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_writers_of_several_connections_are_serial(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.new_database()
    databases = [Database.create(url) for _ in range(2)]
    jobs = [threading.Thread(target=count_up, args=(databases[i % 2], 10)) for i in range(4)]
    run_together(jobs)
    with databases[0].reading() as connection:
        counter = store.user_named(connection, "counter")
    assert counter is not None
    assert counter.settings == {"number": 40}
    for database in databases:
        database.close()


def test_a_used_id_is_never_given_again(database: Database) -> None:
    with database.writing() as connection:
        first = store.add_user(connection, "ana", NOW)
        connection.execute(schema.user.delete())
        assert store.add_user(connection, "bo", NOW) > first


def test_a_checkpoint_empties_the_write_ahead_file(tmp_path: Path) -> None:
    with Database.create(f"sqlite:///{tmp_path / 'labels.db'}") as database:
        with database.writing() as connection:
            connection.execute(select(1))
            store.add_user(connection, "ana", NOW)
        database.checkpoint()
        assert (tmp_path / "labels.db-wal").stat().st_size == 0
