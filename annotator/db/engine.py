"""Opens the label database: SQLite by default, any SQLAlchemy URL otherwise.

Writers are serial. On SQLite each begins with BEGIN IMMEDIATE (a plain BEGIN that reads first and
writes later fails with "database is locked" as soon as two meet); on PostgreSQL each takes one
advisory lock, so that event ids become visible in their order there too.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from annotator.db import schema
from annotator.errors import Conflict, InvalidInput, WorkspaceError

BUSY_SECONDS = 60.0
"""How long a writer waits for another one; a bulk import holds the lock for its whole length."""

CONNECTIONS = 64
"""Most connections of one process at once: more than a server has threads."""

_KEPT_OPEN = 16  # of these, once they were needed
_WRITER_LOCK = 0x1ABE1
_OUT_OF_RANGE = "22003"  # how PostgreSQL calls a number that does not fit its column
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """A label database with its current schema; thread-safe. Also a context manager."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Threads of one process queue here, in order and without polling.
        self._writer = threading.Lock()

    @classmethod
    def create(cls, url: str) -> Database:
        """Make the tables, or open the database if it is there already.

        Raises:
            WorkspaceError: as `open`.
        """
        return cls._prepared(url, new=True)

    @classmethod
    def open(cls, url: str, *, connections: int = CONNECTIONS) -> Database:
        """Open an existing database and bring an older one up to date.

        Args:
            url: where it is.
            connections: most that are open at once; whoever wants one more waits.

        Raises:
            WorkspaceError: if it is missing, not a label database, damaged, cannot be reached, or
                made by a newer program.
        """
        return cls._prepared(url, new=False, connections=connections)

    @classmethod
    def _prepared(cls, url: str, *, new: bool, connections: int = CONNECTIONS) -> Database:
        parsed = _parse(url)
        shown = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            path = Path(parsed.database or "")
            shown = str(path)
            if not new and not path.is_file():
                raise WorkspaceError(
                    f"there is no label database at {path} (restore it from a backup, or make a "
                    "new workspace with `annotator init`)"
                )
        engine = _engine(parsed, connections)
        database = cls(engine)
        try:
            database._bring_up_to_date(shown, new=new)
        except DBAPIError as error:
            engine.dispose()
            raise WorkspaceError(
                f"the label database {shown} cannot be opened: {error.orig} "
                "(check that it is a label database and that it can be read and written)"
            ) from error
        except WorkspaceError:
            engine.dispose()
            raise
        return database

    def _bring_up_to_date(self, shown: str, *, new: bool) -> None:
        with self.reading() as connection:
            current = _revision(connection)
            foreign = current is None and bool(inspect(connection).get_table_names())
        if current == schema.REVISION:
            return
        if foreign or (current is None and not new):
            raise WorkspaceError(
                f"{shown} is not a label database: it has no migration mark "
                "(name another database, or remove it and make a new workspace)"
            )
        with self.writing() as connection:
            # Another process may have been quicker.
            current = _revision(connection)
            if current != schema.REVISION:
                _migrate(connection, current, shown)

    @property
    def dialect(self) -> str:
        """Kind of database: ``sqlite``, ``postgresql``, …."""
        return self._engine.dialect.name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of the data; never waits for a writer on SQLite."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is alone in writing; committed at the end, durable on return.

        Raises:
            Conflict: if another process kept the database for longer than `BUSY_SECONDS`.
        """
        with self._writer, self._engine.connect() as connection:
            connection = connection.execution_options(writer=True)
            if self.dialect == "postgresql":
                # The view must begin after the lock was had, not before it was waited for.
                connection = connection.execution_options(isolation_level="READ COMMITTED")
            try:
                transaction = connection.begin()
            except OperationalError as error:
                raise Conflict(
                    f"another program has been writing for {BUSY_SECONDS:.0f} seconds; nothing was "
                    f"changed ({error.orig}; try again when it is done)"
                ) from error
            with transaction:
                yield connection

    def checkpoint(self) -> None:
        """Bring what is in SQLite's write-ahead file into the database and empty that file."""
        if self.dialect == "sqlite":
            raw = self._engine.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                raw.close()

    def close(self) -> None:
        """Give all connections back; open ones end with their use."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_writer(connection: Connection) -> bool:
    """Whether it is of a writing transaction, which sees all that was ever committed."""
    return bool(connection.get_execution_options().get("writer", False))


def _parse(url: str) -> URL:
    # A plain path is taken as it stands, so that `?` and `%` in folder names are no syntax.
    if url.startswith("sqlite:///"):
        return URL.create("sqlite", database=url.removeprefix("sqlite:///"))
    try:
        return make_url(url)
    except ArgumentError:
        raise WorkspaceError(
            "the database setting is not an SQLAlchemy URL (like postgresql+psycopg://user@host/db)"
        ) from None


def _engine(url: URL, connections: int) -> Engine:
    kept = min(_KEPT_OPEN, connections)
    pool = {"pool_size": kept, "max_overflow": connections - kept}
    try:
        if url.get_backend_name() != "sqlite":
            engine = create_engine(
                url, isolation_level="REPEATABLE READ", pool_pre_ping=True, **pool
            )
        else:
            connect = {"timeout": BUSY_SECONDS, "check_same_thread": False}
            engine = create_engine(url, connect_args=connect, **pool)
            event.listen(engine, "connect", _set_up_sqlite)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise WorkspaceError(
            f"the driver of {url.render_as_string(hide_password=True)} is missing: {error} "
            "(for PostgreSQL: pip install 'hst-annotator[postgres]')"
        ) from error
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _refuse_huge_numbers)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions by itself: `_begin` decides which kind.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")  # NORMAL may lose a commit at a power cut
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.execute("PRAGMA cache_size = -32768")
    cursor.execute("PRAGMA journal_size_limit = 67108864")
    cursor.close()


def _refuse_huge_numbers(context: ExceptionContext) -> InvalidInput | None:
    """Turn a number that fits no column, such as a mistyped id, into a refusal."""
    error = context.original_exception
    if isinstance(error, OverflowError) or getattr(error, "sqlstate", None) == _OUT_OF_RANGE:
        return InvalidInput("a number is too large for the label database (check the ids)")
    return None


def _begin(connection: Connection) -> None:
    writer = is_writer(connection)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")
    elif connection.dialect.name == "postgresql" and writer:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def _revision(connection: Connection) -> str | None:
    """Migration mark of the database, None if it has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _migrate(connection: Connection, current: str | None, shown: str) -> None:
    # Imported here: Alembic takes a quarter of a second and a current database needs none of it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise WorkspaceError(
            f"{shown} was made by a newer program: its schema is {current!r}, this program knows "
            f"{schema.REVISION!r} at most (install a newer hst-annotator)"
        )
    command.upgrade(config, "head")
