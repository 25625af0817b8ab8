"""Tables of the label database.

A cell, one image x one category, is present (+1), absent (-1) or unknown; **no row in `decision` is
unknown** (docs/adr/0001). Decisions are a projection of the event log (docs/adr/0003): each row
names the event that made it, and who, when and by which model follows from that event.

Counts that are asked for all the time (known cells of an image, present and absent cells of a
category) are kept beside what they count and change in the same transaction.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

from annotator.names import NAME_LENGTH

REVISION = "0002"
"""Newest migration this program knows; a test compares it with the migrations folder."""


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC times; stored without zone, so every database orders and compares them alike."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn into naive UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"times must carry a zone, got {value!r} (use datetime.now(UTC))")
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def _id() -> Column[int]:
    """Key that grows and is never given twice, so whoever polls by id misses nothing."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


def _key(name: str, target: str, **options: Any) -> Column[int]:
    return Column(name, BigInteger, ForeignKey(target), **options)


user = Table(
    "user",
    metadata,
    _id(),
    Column("name", String(NAME_LENGTH), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("settings", JSON, nullable=False, server_default=text("'{}'")),
    sqlite_autoincrement=True,
)

image = Table(
    "image",
    metadata,
    _id(),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("format", String(20), nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("revision", Integer, nullable=False, server_default=text("0")),
    Column("known", Integer, nullable=False, server_default=text("0")),
    Index(None, "known"),
    sqlite_autoincrement=True,
)

category = Table(
    "category",
    metadata,
    _id(),
    Column("name", String(NAME_LENGTH), nullable=False, unique=True),
    # The name with case and compatibility forms folded: names with equal keys look alike.
    Column("name_key", Text, nullable=False, unique=True),
    Column("position", Integer, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("present", Integer, nullable=False, server_default=text("0")),
    Column("absent", Integer, nullable=False, server_default=text("0")),
    sqlite_autoincrement=True,
)

model_version = Table(
    "model_version",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("event_id", BigInteger, nullable=False),
    Column("feature_set", String(100), nullable=False),
    Column("folder", Text, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("sources", JSON, nullable=False),
    sqlite_autoincrement=True,
)

event = Table(
    "event",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),
    _key("user_id", "user.id"),
    Column("source", String(40), nullable=False),
    _key("model_version_id", "model_version.id"),
    Column("at", UtcDateTime, nullable=False),
    Column("idempotency_key", String(200), unique=True),
    Column("request_digest", String(64)),
    _key("undoes_event_id", "event.id", unique=True),
    _key("undone_by_event_id", "event.id"),
    Column("cell_count", Integer, nullable=False),
    Column("summary", JSON, nullable=False),
    # Where undo looks for the newest event of a user, however long the log is.
    Index("ix_event_user_id_id", "user_id", "id"),
    sqlite_autoincrement=True,
)

event_cells = Table(
    "event_cells",
    metadata,
    _key("event_id", "event.id", primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("cells", LargeBinary, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    _key("image_id", "image.id", primary_key=True),
    _key("category_id", "category.id", primary_key=True),
    Column("state", SmallInteger, nullable=False),
    Column("score", Float),
    _key("event_id", "event.id", nullable=False),
    sqlite_with_rowid=False,
)

suggestion = Table(
    "suggestion",
    metadata,
    _key("image_id", "image.id", primary_key=True),
    _key("category_id", "category.id", primary_key=True),
    _key("model_version_id", "model_version.id", primary_key=True),
    Column("source", String(20), nullable=False),
    Column("score", Float, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("status", String(20), nullable=False),
    Column("reasons", JSON, nullable=False),
    # The event that answered it; undoing that event opens the suggestion again.
    _key("event_id", "event.id", index=True),
    sqlite_with_rowid=False,
)

job = Table(
    "job",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),
    Column("status", String(20), nullable=False, index=True),
    Column("config", JSON, nullable=False),
    Column("progress", Float, nullable=False, server_default=text("0")),
    Column("message", Text, nullable=False, server_default=text("''")),
    Column("reason", Text, nullable=False, server_default=text("''")),
    Column("pid", Integer),
    Column("heartbeat", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    sqlite_autoincrement=True,
)

visit = Table(
    "visit",
    metadata,
    _key("user_id", "user.id", primary_key=True),
    Column("queue", String(20), primary_key=True),
    _key("image_id", "image.id", primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    sqlite_with_rowid=False,
)

lease = Table(
    "lease",
    metadata,
    _key("image_id", "image.id", primary_key=True, autoincrement=False),
    _key("user_id", "user.id", nullable=False),
    Column("queue", String(20), nullable=False),
    # Order in which the images were handed out to this user.
    Column("place", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Index(None, "user_id", "queue"),
)

flag = Table(
    "flag",
    metadata,
    _id(),
    _key("image_id", "image.id", nullable=False, index=True),
    _key("user_id", "user.id", nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("at", UtcDateTime, nullable=False),
    # A flag is closed, not removed: what was noted stays readable.
    Column("closed_at", UtcDateTime),
    _key("closed_by", "user.id"),
    sqlite_autoincrement=True,
)

contract = Table(
    "contract",
    metadata,
    _id(),
    Column("kind", String(20), nullable=False),
    # NULL covers every category (pooled).
    _key("category_id", "category.id"),
    Column("target", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("status", String(20), nullable=False, index=True),
    # Set once the blind answers are in; NULL where nothing could be proved.
    Column("threshold", Float),
    Column("cells", Integer, nullable=False, server_default=text("0")),
    Column("bound", Float, nullable=False, server_default=text("1")),
    _key("user_id", "user.id"),
    _key("model_version_id", "model_version.id"),
    # The event that decided its cells, and the one that took them back.
    _key("event_id", "event.id", index=True),
    _key("withdrawn_event_id", "event.id"),
    Column("created_at", UtcDateTime, nullable=False),
    Column("note", Text, nullable=False, server_default=text("''")),
    Column("config", JSON, nullable=False),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _key("contract_id", "contract.id", nullable=False),
    # ``proposal``: drawn from the pool before anything is decided; ``outside``: from the other
    # unknown cells, to count the present ones; ``watch``: from what the contract decided.
    Column("stream", String(20), nullable=False),
    # Rank in the random order of the pool that the contract's seed gives. The sample is always the
    # first ranks without a gap, so that nobody can leave out a cell after having seen it.
    Column("place", Integer, nullable=False),
    _key("image_id", "image.id", nullable=False),
    _key("category_id", "category.id", nullable=False),
    Column("score", Float),
    Column("drawn_at", UtcDateTime, nullable=False),
    # The blind answer: 1 present, -1 absent, NULL while it is asked.
    Column("state", SmallInteger),
    _key("event_id", "event.id", index=True),
    UniqueConstraint("contract_id", "stream", "place"),
    Index(None, "image_id", "category_id"),
    sqlite_autoincrement=True,
)
