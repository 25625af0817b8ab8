"""The label database is made by migrations, opened again, and refused when it is not ours."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres_server import PostgresServer
from sqlalchemy import create_engine, insert, select, text

import annotator.db
from annotator.db import schema, store
from annotator.db.engine import Database
from annotator.errors import WorkspaceError


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def migrations() -> Config:
    config = Config()
    config.set_main_option("path_separator", "os")
    folder = Path(next(iter(annotator.db.__path__))) / "migrations"
    config.set_main_option("script_location", str(folder))
    return config


def first_version(address: str) -> None:
    """A database as the first version of the program left it, with some data."""
    engine = create_engine(address)
    config = migrations()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for statement in (
            "INSERT INTO category (id, name, name_key, position, added_at, present) "
            "VALUES (1, 'cup', 'cup', 1, '2026-01-02', 1)",
            "INSERT INTO image (id, sha256, path, file_name, width, height, bytes, format, "
            "added_at, known) VALUES (1, 'ab', 'a.jpg', 'a.jpg', 4, 3, 9, 'jpeg', '2026-01-02', 1)",
            "INSERT INTO event (id, kind, source, at, cell_count, summary) "
            "VALUES (1, 'decide', 'focus', '2026-01-02', 1, '{}')",
            "INSERT INTO decision (image_id, category_id, state, event_id) VALUES (1, 1, 1, 1)",
        ):
            connection.execute(text(statement))
    engine.dispose()


def check_first_version_is_kept(address: str) -> None:
    first_version(address)
    with Database.open(address) as database:
        assert differences(database) == []
        with database.reading() as connection:
            assert connection.execute(select(schema.decision)).all() == [(1, 1, 1, None, 1)]
            assert store.categories(connection)[0].present == 1
        with database.writing() as connection:
            at = datetime(2026, 1, 3, tzinfo=UTC)
            user = store.add_user(connection, "ana", at)
            connection.execute(insert(schema.flag).values(image_id=1, user_id=user, at=at))
            assert connection.execute(select(schema.flag)).one() == (1, 1, user, "", at, None, None)


def differences(database: Database) -> list[object]:
    with database.reading() as connection:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, schema.metadata))


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    with Database.create(url(tmp_path / "labels.db")) as database:
        assert differences(database) == []


def test_migrations_lead_to_the_schema_on_postgresql(postgres: PostgresServer) -> None:
    address = postgres.new_database()
    with Database.create(address) as database:
        assert differences(database) == []
    Database.open(address).close()


def test_data_of_the_first_version_is_kept(tmp_path: Path) -> None:
    check_first_version_is_kept(url(tmp_path / "labels.db"))


def test_data_of_the_first_version_is_kept_on_postgresql(postgres: PostgresServer) -> None:
    check_first_version_is_kept(postgres.new_database())


def test_the_program_knows_its_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrations()).get_current_head() == schema.REVISION


def test_creating_what_is_there_keeps_it(tmp_path: Path) -> None:
    for _ in range(2):
        with Database.create(url(tmp_path / "labels.db")) as database, database.writing() as c:
            c.execute(schema.visit.delete())
    Database.open(url(tmp_path / "labels.db")).close()


def test_two_programs_creating_at_once_both_succeed(tmp_path: Path) -> None:
    errors: list[Exception] = []

    def create() -> None:
        try:
            Database.create(url(tmp_path / "labels.db")).close()
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_folder_names_are_no_url_syntax(tmp_path: Path) -> None:
    folder = tmp_path / "100 % & what?#ü"
    folder.mkdir()
    Database.create(url(folder / "labels.db")).close()
    assert (folder / "labels.db").is_file()


def test_a_database_of_a_newer_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with Database.create(url(path)) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    before = path.read_bytes()
    with pytest.raises(WorkspaceError, match=r"newer program.*'0999'.*install a newer"):
        Database.open(url(path))
    with pytest.raises(WorkspaceError, match="newer program"):
        Database.create(url(path))
    assert path.read_bytes() == before


def test_a_missing_database_is_not_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="there is no label database"):
        Database.open(url(tmp_path / "labels.db"))
    assert not (tmp_path / "labels.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    path.write_text("this is not a database, whatever its name says, " * 50)
    with pytest.raises(WorkspaceError, match="cannot be opened"):
        Database.open(url(path))
    assert path.read_text().startswith("this is not")


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "labels.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipe (name TEXT)")
    connection.close()
    for way in (Database.open, Database.create):
        with pytest.raises(WorkspaceError, match="not a label database"):
            way(url(path))
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [("recipe",)]


def test_an_empty_file_is_not_taken_for_a_database(tmp_path: Path) -> None:
    (tmp_path / "labels.db").touch()
    with pytest.raises(WorkspaceError, match="not a label database"):
        Database.open(url(tmp_path / "labels.db"))


@pytest.mark.parametrize("address", ["nonsense", "", "unheardof://host/name"])
def test_a_malformed_address_is_explained(address: str) -> None:
    with pytest.raises(WorkspaceError, match=r"SQLAlchemy URL|driver"):
        Database.open(address)


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    address = f"postgresql+psycopg://me:secret@/labels?host={tmp_path}"
    with pytest.raises(WorkspaceError, match="cannot be opened") as caught:
        Database.open(address)
    assert "secret" not in str(caught.value)
