"""Names of a collection's tables, operator and types, as they stand in SQL text.

Every part comes from validated names or from the catalogue, and is quoted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from psycopg import sql

from vectordb.fields import FieldType
from vectordb.metrics import Storage, VectorSpace
from vectordb.models import iso_timestamp_function, table_names


@dataclass(frozen=True, slots=True)
class Tables:
    """What statements over one collection are made of.

    Attributes:
        documents: Quoted, with the schema.
        chunks: Quoted, with the schema.
        foreign_key: From chunks to documents, quoted, with the schema.
        operator: Distance operator, with the schema of pgvector, so that no search_path is needed.
        vector_type: Type of one embedding, quoted, with its schema.
        send: Function that returns an embedding in binary.
        element_oid: Oid of the type, as binary arrays name it.
        iso_timestamp: Function that reads a timestamp from text, quoted, with the schema.
        fields: Declared fields, each a column of both tables.
        functions: Schema of the library's SQL functions, quoted, with the dot that follows it.
        text_plan: Function that plans a text search of this collection, quoted, with the schema; None without a text
            index.
    """

    documents: str
    chunks: str
    foreign_key: str
    operator: str
    vector_type: str
    send: str
    element_oid: int
    iso_timestamp: str
    fields: Mapping[str, FieldType] = field(hash=False)
    functions: str
    text_plan: str | None


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
    type_schema = "pg_catalog" if space.storage is Storage.BIT else extension_schema
    return Tables(
        documents=quote(schema, documents),
        chunks=quote(schema, chunks),
        foreign_key=quote(schema, f"{chunks}_document_id_fkey"),
        operator=f"OPERATOR({quote(extension_schema)}.{space.metric.operator})",
        vector_type=quote(type_schema, str(space.storage)),
        send=quote(type_schema, f"{space.storage}_send"),
        element_oid=element_oid,
        iso_timestamp=iso_timestamp_function(schema),
        fields=MappingProxyType(dict(fields or {})),
        functions=f"{quote(schema)}.",
        text_plan=text_plan_name(schema, chunks) if text_index else None,
    )


def text_plan_name(schema: str, table: str) -> str:
    """Return the quoted name of the function that plans a search of a table by text."""
    return quote(schema, f"{table}_text_plan")


def quote(*parts: str) -> str:
    """Return a quoted identifier."""
    return sql.Identifier(*parts).as_string(None)
