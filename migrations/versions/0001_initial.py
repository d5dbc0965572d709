"""pgvector, the registry of collections, and the default collection with its index.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from vectordb.extension import ensure_extension
from vectordb.migration.operations import migration_options
from vectordb.registry import CollectionConfig
from vectordb.schema import add_to_search_path, check_text_config
from vectordb.tables import quote
from vectordb.vector_types import VectorColumn

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration_options(op)
    extension = ensure_extension(op.get_bind(), options.schema)
    _create_registry(options.schema)
    default = options.default_collection()
    check_text_config(op.get_bind(), default.text_config)
    add_to_search_path(op.get_bind(), extension.schema)
    _create_tables(default, options.schema)
    _create_index(default, options.schema)
    _register(default, options.schema)


def downgrade() -> None:
    schema = migration_options(op).schema
    collections = sa.table("collections", sa.column("chunks_table"), sa.column("documents_table"), schema=schema)
    for tables in op.get_bind().execute(sa.select(collections)).all():
        for table in tables:
            op.drop_table(table, schema=schema)
    op.drop_table("collections", schema=schema)


def _create_registry(schema: str) -> None:
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
        schema=schema,
    )


def _create_tables(default: CollectionConfig, schema: str) -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Text(collation="C"), nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("uri", sa.Text),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
        sa.Column("metadata", postgresql.JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="documents_pkey"),
        schema=schema,
    )
    tsvector = f"to_tsvector('{default.text_config}'::regconfig, \"left\"(content, 100000))"
    op.create_table(
        "chunks",
        sa.Column("document_id", sa.Text(collation="C"), nullable=False),
        sa.Column("embedding", VectorColumn(default.space.storage, default.space.dimensions), nullable=False),
        sa.Column("content_tsv", postgresql.TSVECTOR, sa.Computed(tsvector, persisted=True)),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("content_hash", sa.LargeBinary, nullable=False),
        sa.Column("span_start", sa.Integer, nullable=False),
        sa.Column("span_end", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer),
        sa.Column("metadata", postgresql.JSONB, nullable=False),
        sa.PrimaryKeyConstraint("document_id", "ordinal", name="chunks_pkey"),
        sa.ForeignKeyConstraint(
            ["document_id"],
            [f"{schema}.documents.id"],
            name="chunks_document_id_fkey",
            ondelete="CASCADE",
            deferrable=True,
            initially="IMMEDIATE",
        ),
        schema=schema,
    )
    if default.space.storage.bytes_for(default.space.dimensions) <= 6_500:
        op.execute(f"ALTER TABLE {quote(schema, 'chunks')} ALTER COLUMN embedding SET STORAGE PLAIN")


def _create_index(default: CollectionConfig, schema: str) -> None:
    index = default.index
    if index is None:
        return
    op.create_index(
        f"chunks_embedding_{index.method}_idx",
        "chunks",
        ["embedding"],
        schema=schema,
        postgresql_using=index.method,
        postgresql_with=index.options(),
        postgresql_ops={"embedding": default.space.operator_class(index.method)},
    )


def _register(default: CollectionConfig, schema: str) -> None:
    row = {**default.to_row(), "layout_version": 1}
    columns = ["name", "documents_table", "chunks_table", "dimensions", "metric", "storage", "text_config"]
    documents = ["vector_index", "chunking", "embedder"]
    collections = sa.table(
        "collections",
        *(sa.column(name) for name in [*columns, "layout_version"]),
        *(sa.column(name, postgresql.JSONB(none_as_null=True)) for name in documents),
        schema=schema,
    )
    op.execute(collections.insert().values({column.name: row[column.name] for column in collections.columns}))
