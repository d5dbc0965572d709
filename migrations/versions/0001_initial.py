"""pgvector, the registry of collections, and the default collection with its index.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from vectordb import registry
from vectordb.extension import ensure_extension
from vectordb.migration.operations import migration_options

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    ensure_extension(op.get_bind(), migration_options(op).schema)
    op.create_table(
        "collections",
        sa.Column("name", sa.Text(collation="C"), nullable=False),
        sa.Column("documents_table", sa.Text, nullable=False),
        sa.Column("chunks_table", sa.Text, nullable=False),
        sa.Column("dimensions", sa.Integer, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("storage", sa.Text, nullable=False),
        sa.Column("vector_index", postgresql.JSONB),
        sa.Column("text_config", sa.Text, nullable=False),
        sa.Column("chunking", postgresql.JSONB, nullable=False),
        sa.Column("embedder", postgresql.JSONB),
        sa.Column("layout_version", sa.SmallInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="collections_pkey"),
        sa.UniqueConstraint("documents_table", name="collections_documents_table_key"),
        sa.UniqueConstraint("chunks_table", name="collections_chunks_table_key"),
        schema=migration_options(op).schema,
    )
    op.create_collection(migration_options(op).default_collection())  # type: ignore[attr-defined] # registered by vectordb


def downgrade() -> None:
    for collection in registry.list_collections(op.get_bind()):
        op.drop_collection(collection.name)  # type: ignore[attr-defined] # registered by vectordb
    op.drop_table("collections", schema=migration_options(op).schema)
