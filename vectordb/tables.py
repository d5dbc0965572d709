"""Names of tables, columns, operators and types, as they stand in SQL text: of a collection, and of any searched table.

Every part comes from validated names or from the catalogue, and is quoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from psycopg import sql

from vectordb.fields import FieldType
from vectordb.metrics import Storage, VectorSpace
from vectordb.models import iso_timestamp_function, table_names


@dataclass(frozen=True, slots=True)
class SearchedTable:
    """What a statement that searches a table is made of.

    Attributes:
        searched: Name of the table, quoted, with the schema.
        keys: Columns of its primary key, quoted.
        shown: Further columns that a search returns, quoted.
        embedding: Column of the embeddings, quoted.
        nullable: Whether rows may have no embedding.
        text: Column of type `tsvector`, quoted.
        operator: Distance operator, with the schema of pgvector, so that no search_path is needed.
        vector_type: Type of one embedding, quoted, with its schema.
        send: Function that returns an embedding in binary.
        element_oid: Oid of the type, as binary arrays name it.
        functions: Schema of the library's SQL functions, quoted, with the dot that follows it.
        text_plan: Function that plans a text search of this table, quoted, with the schema; None without a text index.
        fields: Declared fields, each a column.
    """

    searched: str
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    embedding: str
    nullable: bool
    text: str
    operator: str
    vector_type: str
    send: str
    element_oid: int
    functions: str
    text_plan: str | None
    fields: Mapping[str, FieldType] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Tables(SearchedTable):
    """What statements over one collection are made of; what is searched are its chunks.

    Attributes:
        documents: Quoted, with the schema.
        foreign_key: From chunks to documents, quoted, with the schema.
        iso_timestamp: Function that reads a timestamp from text, quoted, with the schema.
    """

    documents: str
    foreign_key: str
    iso_timestamp: str

    @property
    def chunks(self) -> str:
        """Name of the table of chunks, quoted, with the schema."""
        return self.searched


def collection_tables(
    name: str,
    space: VectorSpace,
    *,
    schema: str,
    extension_schema: str,
    element_oid: int,
    fields: Mapping[str, FieldType] | None = None,
    text_index: bool = False,
) -> Tables:
    """Return the names for a collection."""
    documents, chunks = table_names(name)
    return Tables(
        searched=quote(schema, chunks),
        keys=("document_id", "ordinal"),
        shown=("content", "metadata"),
        embedding="embedding",
        nullable=False,
        text="content_tsv",
        **vector_names(space, extension_schema),
        element_oid=element_oid,
        functions=f"{quote(schema)}.",
        text_plan=text_plan_name(schema, chunks) if text_index else None,
        fields=MappingProxyType(dict(fields or {})),
        documents=quote(schema, documents),
        foreign_key=quote(schema, f"{chunks}_document_id_fkey"),
        iso_timestamp=iso_timestamp_function(schema),
    )


def vector_names(space: VectorSpace, extension_schema: str) -> dict[str, Any]:
    """Return the names of pgvector's operator, type and function for a space, as `SearchedTable` calls them."""
    type_schema = "pg_catalog" if space.storage is Storage.BIT else extension_schema
    return {
        "operator": f"OPERATOR({quote(extension_schema)}.{space.metric.operator})",
        "vector_type": quote(type_schema, str(space.storage)),
        "send": quote(type_schema, f"{space.storage}_send"),
    }


def text_plan_name(schema: str, table: str) -> str:
    """Return the quoted name of the function that plans a search of a table by text."""
    return quote(schema, f"{table}_text_plan")


def quote(*parts: str) -> str:
    """Return a quoted identifier."""
    return sql.Identifier(*parts).as_string(None)
