"""Flags on pictures, automatic decisions under contract, and their blind audits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "flag",
        _id(),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("closed_at", sa.DateTime(), nullable=True),
        sa.Column("closed_by", sa.BigInteger(), nullable=True),
        _reference("flag", "image_id", "image.id"),
        _reference("flag", "user_id", "user.id"),
        _reference("flag", "closed_by", "user.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flag")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_flag_image_id"), "flag", ["image_id"], unique=False)
    op.create_table(
        "contract",
        _id(),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=True),
        sa.Column("target", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("cells", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("bound", sa.Float(), server_default=sa.text("1"), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=True),
        sa.Column("model_version_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_event_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        _reference("contract", "category_id", "category.id"),
        _reference("contract", "user_id", "user.id"),
        _reference("contract", "model_version_id", "model_version.id"),
        _reference("contract", "event_id", "event.id"),
        _reference("contract", "withdrawn_event_id", "event.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contract")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_contract_status"), "contract", ["status"], unique=False)
    op.create_index(op.f("ix_contract_event_id"), "contract", ["event_id"], unique=False)
    op.create_table(
        "audit",
        _id(),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(length=20), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("category_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("drawn_at", sa.DateTime(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        _reference("audit", "contract_id", "contract.id"),
        _reference("audit", "image_id", "image.id"),
        _reference("audit", "category_id", "category.id"),
        _reference("audit", "event_id", "event.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        sa.UniqueConstraint(
            "contract_id", "stream", "place", name=op.f("uq_audit_contract_id_stream_place")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_audit_event_id"), "audit", ["event_id"], unique=False)
    op.create_index(
        op.f("ix_audit_image_id_category_id"), "audit", ["image_id", "category_id"], unique=False
    )


def _id() -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column("id", kind, nullable=False)


def _reference(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))
