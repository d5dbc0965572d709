"""The index over the embeddings, once the backfill has filled them in.

After the backfill and not before, because an index is built over rows that are there several times as fast as it grows
row by row. Concurrently, so that the table stays writable meanwhile; should it be interrupted, run it again: what is
left of the first try is replaced.

Revision: 0003
Revises: 0002
"""

from __future__ import annotations

from alembic import op

import vectordb
import vectordb.migration

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_vector_index(
        "products", "embedding", vectordb.HNSW(), metric="cosine", name="products_embedding_idx", concurrently=True
    )


def downgrade() -> None:
    op.drop_vector_index("products", "embedding", name="products_embedding_idx", concurrently=True)
