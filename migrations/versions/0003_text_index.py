"""A text index for every collection, by which BM25 ranks.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from vectordb.indexes import BM25
from vectordb.migration.operations import migration_options
from vectordb.registry import DEFAULT_COLLECTION
from vectordb.schema import run_sql
from vectordb.tables import quote
from vectordb.text_functions import install_text_functions, text_function_names
from vectordb.text_index import create_text_index, drop_text_index

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    options = migration_options(op)
    schema, default = options.schema, options.text_index()
    install_text_functions(op.get_bind(), schema)
    op.add_column("collections", sa.Column("text_index", postgresql.JSONB), schema=schema)
    collections = _collections(schema)
    registered = sa.select(collections.c.name, collections.c.chunks_table, collections.c.text_config)
    for name, chunks, text_config in op.get_bind().execute(registered).all():
        index = default if name == DEFAULT_COLLECTION else BM25()
        if index is None:
            continue
        run_sql(op.get_bind(), create_text_index(schema, chunks, config=text_config, index=index))
        op.execute(sa.update(collections).where(collections.c.name == name).values(text_index=index.to_dict()))
    op.execute(sa.update(collections).values(layout_version=3))


def downgrade() -> None:
    schema = migration_options(op).schema
    collections = _collections(schema)
    for chunks in op.get_bind().scalars(sa.select(collections.c.chunks_table)).all():
        run_sql(op.get_bind(), drop_text_index(schema, chunks))
    op.drop_column("collections", "text_index", schema=schema)
    # At once, because some call others.
    op.execute(f"DROP FUNCTION {', '.join(quote(schema, name) for name in text_function_names())}")
    op.execute(sa.update(collections).values(layout_version=2))


def _collections(schema: str) -> sa.TableClause:
    return sa.table(
        "collections",
        sa.column("name"),
        sa.column("chunks_table"),
        sa.column("text_config"),
        sa.column("layout_version"),
        sa.column("text_index", postgresql.JSONB),
        schema=schema,
    )
