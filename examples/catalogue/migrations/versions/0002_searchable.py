"""Columns for the embeddings, and search by words; the products are in the table already.

The embeddings are NULL at first, which takes no time however many rows there are. For the generated column PostgreSQL
writes the table anew, and writers wait for that and for the text index: eight seconds for 50,000 products of 30 words.

The vectors are not made here. That takes minutes or hours, and a migration that ran so long would hold its locks, could
not be interrupted, and would keep the deployment waiting. `python -m examples.catalogue.backfill` makes them.

Revision: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import vectordb
import vectordb.migration

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

LEXEMES = (
    "to_tsvector('english'::regconfig,"
    " \"left\"(coalesce(\"title\", ''::text) || ' '::text || coalesce(\"body\", ''::text), 100000))"
)


def upgrade() -> None:
    # Whoever waits for a lock on a table makes others wait behind it: rather give up, and be run again.
    op.execute("SET LOCAL lock_timeout = '1s'")
    op.create_vector_extension()
    op.add_column("products", sa.Column("embedding", vectordb.migration.VectorColumn("vector", 384), nullable=True))
    op.execute('ALTER TABLE "products" ALTER COLUMN "embedding" SET STORAGE PLAIN')
    op.add_column("products", sa.Column("embedding_hash", sa.LargeBinary(), nullable=True))
    op.add_column(
        "products", sa.Column("search", postgresql.TSVECTOR(), sa.Computed(LEXEMES, persisted=True), nullable=True)
    )
    op.create_text_index("products", "search", vectordb.BM25(), name="products_search_idx")


def downgrade() -> None:
    op.drop_text_index("products", "search", name="products_search_idx")
    op.drop_column("products", "search")
    op.drop_column("products", "embedding_hash")
    op.drop_column("products", "embedding")
    op.drop_vector_extension()
