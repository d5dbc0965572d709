"""Search as SQL functions, views of collections and indexes, and a comment on everything.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from vectordb.extension import require_extension
from vectordb.migration.operations import migration_options
from vectordb.schema import run_sql
from vectordb.tables import quote
from vectordb.text_index import comment_text_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FUNCTIONS = Path(__file__).with_name("0004_search_functions.sql")
VIEWS = Path(__file__).with_name("0004_views.sql")

# By table or column; the table itself stands under "".
VERSION = {"": "Revision of the tables of vectordb", "version_num": "Number of the revision, as Alembic has it"}
REGISTRY = {
    "": "The registry: what each collection is, and which embedder fills it",
    "name": "Name of the collection",
    "documents_table": "Table of its documents, in this schema",
    "chunks_table": "Table of its chunks, in this schema",
    "dimensions": "Numbers in an embedding, 1 or more",
    "metric": "What near means: cosine, l2, inner_product, l1, hamming or jaccard",
    "storage": "Type of the embeddings: vector, halfvec, bit or sparsevec",
    "vector_index": "Method and options of the index over the embeddings; NULL for none",
    "text_config": "Text search configuration that texts are read with",
    "chunking": "How documents are cut: size and overlap of a chunk, and their unit",
    "embedder": "Identity of the embedder that fills it; NULL until one does",
    "fields": "Declared fields, name to type: str, int, float, bool or datetime",
    "text_index": "k1 and b of BM25 in the text index; NULL for none",
    "layout_version": "Version of the layout of its tables",
    "created_at": "When it was created",
}
DOCUMENTS = {
    "": "Documents of a collection; their texts are in its table of chunks",
    "id": "Id, 1 to 512 bytes of UTF-8",
    "title": "Title, at most 4096 bytes of UTF-8; NULL for none",
    "uri": "Where the document comes from, at most 8192 bytes of UTF-8; NULL for none",
    "content_hash": "16 bytes that tell whether the document was changed",
    "metadata": "Metadata, an object of JSON",
    "created_at": "When it was first written",
    "updated_at": "When it was last changed",
}
CHUNKS = {
    "": "Chunks of a collection, each with its embedding",
    "document_id": "Id of the document",
    "ordinal": "Place of the chunk in its document, from 0",
    "content": "Text of the chunk",
    "content_hash": "16 bytes that tell whether the chunk was changed",
    "span_start": "First character of the chunk in its document, from 0",
    "span_end": "Character after the last one of the chunk, from 0",
    "tokens": "Tokens in the chunk; NULL where nobody counted them",
    "metadata": "Metadata of the document, for filters beside the vector index",
    "embedding": "Embedding; the registry has its dimensions and metric, and the embedder that made it",
    "content_tsv": "Lexemes of the first 100000 characters of the text",
}
FIELD = "Declared field of type {kind}, generated from the metadata; NULL where it is missing"
OVERVIEW = {
    "": "Each collection with its declaration, and how large it is",
    **{name: REGISTRY[name] for name in ("name", "documents_table", "chunks_table", "dimensions", "metric", "storage")},
    "index_method": "hnsw or ivfflat; NULL searches exactly",
    "index_options": "Options of the index over the embeddings",
    "text_config": REGISTRY["text_config"],
    "has_text_index": "Whether texts are ranked by BM25",
    "embedder_model": "Model that makes the embeddings; NULL where none is registered",
    "fields": REGISTRY["fields"],
    "estimated_documents": "Documents as of the last ANALYZE; NULL before the first one",
    "estimated_chunks": "Chunks as of the last ANALYZE; NULL before the first one",
    "table_bytes": "Bytes of both tables, without indexes",
    "index_bytes": "Bytes of all indexes of both tables",
    "layout_version": REGISTRY["layout_version"],
    "created_at": REGISTRY["created_at"],
}
HEALTH = {
    "": "Each index of each collection, those that are there and those that should be",
    "collection": "Name of the collection",
    "table_name": "Table that the index is on",
    "index_name": "Name of the index",
    "kind": "vector, text, metadata, field, key or other",
    "present": "Whether it is there; false where it should be",
    "declared": "Whether the collection is to have it; writes pay for others",
    "valid": "Whether searches may use it; false while it is built, or when that failed",
    "ready": "Whether writes reach it",
    "method": "Method of the index that is there, or else of the one that should be",
    "operator_class": "Operator class of its first column",
    "expected_operator_class": "Operator class that searches need; NULL where none does",
    "fits": "Whether method and operator class are those that searches need",
    "definition": "The index as SQL",
    "bytes": "Bytes on disk",
    "scans": "How often it was used since the statistics were reset",
    "dead_share": "Share of dead rows in its table, 0 to 1",
    "analyzed_at": "When statistics of its table were last made; NULL for never",
}
COMMENTED = {"alembic_version": VERSION, "collections": REGISTRY}
COMMENTED_VIEWS = {"collection_overview": OVERVIEW, "index_health": HEALTH}


def upgrade() -> None:
    schema = migration_options(op).schema
    extension = require_extension(op.get_bind()).schema
    for source in (FUNCTIONS, VIEWS):
        ddl = source.read_text("utf-8").replace("{schema}", quote(schema)).replace("{extension}", quote(extension))
        run_sql(op.get_bind(), [ddl])
    for view, comments in COMMENTED_VIEWS.items():
        _comment("VIEW", schema, view, comments)
    for table, comments in _tables(schema).items():
        _comment("TABLE", schema, table, comments)
    for chunks in _with_text_index(schema):
        run_sql(op.get_bind(), comment_text_index(schema, chunks))
    op.execute(sa.update(_collections(schema)).values(layout_version=4))


def downgrade() -> None:
    schema = migration_options(op).schema
    for table, comments in _tables(schema).items():
        _comment("TABLE", schema, table, dict.fromkeys(comments))
    for chunks in _with_text_index(schema):
        statements = comment_text_index(schema, chunks)
        run_sql(op.get_bind(), [re.sub(r" IS '.*'$", " IS NULL", statement) for statement in statements])
    for view in COMMENTED_VIEWS:
        op.execute(f"DROP VIEW {quote(schema, view)}")
    source = FUNCTIONS.read_text("utf-8")
    names = re.findall(r"^CREATE FUNCTION \{schema\}\.(\w+)", source, re.MULTILINE)
    # At once, because some call others.
    op.execute(f"DROP FUNCTION {', '.join(quote(schema, name) for name in names)}")
    commented = re.findall(r"^COMMENT ON FUNCTION \{schema\}\.(\w+)", source, re.MULTILINE)
    for name in commented:
        if name not in names:
            op.execute(f"COMMENT ON FUNCTION {quote(schema, name)} IS NULL")
    op.execute(sa.update(_collections(schema)).values(layout_version=3))


def _tables(schema: str) -> dict[str, dict[str, str]]:
    """Return what to say of the tables and their columns."""
    collections = _collections(schema)
    found = dict(COMMENTED)
    declared = sa.select(collections.c.documents_table, collections.c.chunks_table, collections.c.fields)
    for documents, chunks, fields in op.get_bind().execute(declared).all():
        of_fields = {name: FIELD.format(kind=kind) for name, kind in fields.items()}
        found |= {documents: DOCUMENTS | of_fields, chunks: CHUNKS | of_fields}
    return found


def _comment(kind: str, schema: str, table: str, comments: Mapping[str, str | None]) -> None:
    statements = []
    for column, comment in comments.items():
        subject = f"COLUMN {quote(schema, table, column)}" if column else f"{kind} {quote(schema, table)}"
        said = "NULL" if comment is None else f"'{comment}'"
        statements.append(f"COMMENT ON {subject} IS {said}")
    run_sql(op.get_bind(), statements)


def _with_text_index(schema: str) -> list[str]:
    """Return the tables of chunks that have one; where a part of it is missing, the doctor says so."""
    collections = _collections(schema)
    there = sa.select(collections.c.chunks_table).where(
        collections.c.text_index.is_not(None),
        *(
            sa.func.to_regclass(_part(schema, collections.c.chunks_table, part)).is_not(None)
            for part in ("lexemes", "text_changes")
        ),
        *(
            sa.func.to_regproc(_part(schema, collections.c.chunks_table, part)).is_not(None)
            for part in ("text_changed", "text_plan")
        ),
    )
    return list(op.get_bind().scalars(there))


def _part(schema: str, table: Any, part: str) -> Any:
    return sa.literal(f"{quote(schema)}.") + sa.func.quote_ident(table + f"_{part}")


def _collections(schema: str) -> sa.TableClause:
    return sa.table(
        "collections",
        sa.column("documents_table"),
        sa.column("chunks_table"),
        sa.column("fields", postgresql.JSONB),
        sa.column("text_index", postgresql.JSONB(none_as_null=True)),
        sa.column("layout_version"),
        schema=schema,
    )
