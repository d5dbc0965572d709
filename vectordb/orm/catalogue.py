"""What the database has of a model's table: its schema, the index over its embeddings, its text index."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import Table

from vectordb.database import SCHEMA, PsycopgConnection
from vectordb.errors import ConfigurationError, ExtensionError, SchemaError
from vectordb.metrics import VectorSpace
from vectordb.orm.mapping import ModelMapping
from vectordb.tables import SearchedTable, quote, vector_names

_FACTS = """
SELECT x.nspname, t.oid::bigint,
    to_regprocedure(format('%%I.%%I(text, float8, regconfig)', n.nspname, c.relname || '_text_plan')) IS NOT NULL,
    (
        SELECT min(p.pronamespace::regnamespace::text)
        FROM pg_index AS i
        JOIN pg_depend AS d ON d.objid = i.indexrelid AND d.classid = 'pg_class'::regclass
        JOIN pg_proc AS p ON p.oid = d.refobjid AND d.refclassid = 'pg_proc'::regclass AND p.proname = 'lexeme_tiers'
        WHERE i.indrelid = c.oid
    ),
    ARRAY(
        SELECT m.amname || ' ' || o.opcname
        FROM pg_index AS i
        JOIN pg_class AS r ON r.oid = i.indexrelid
        JOIN pg_am AS m ON m.oid = r.relam AND m.amname IN ('hnsw', 'ivfflat')
        JOIN pg_opclass AS o ON o.oid = i.indclass[0]
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] AND a.attname = %(embedding)s
        WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
        ORDER BY m.amname, r.relname
    )
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_extension AS e ON e.extname = 'vector'
LEFT JOIN pg_namespace AS x ON x.oid = e.extnamespace
LEFT JOIN pg_type AS t ON t.typname = %(storage)s
    AND t.typnamespace = CASE t.typname WHEN 'bit' THEN 'pg_catalog'::regnamespace ELSE e.extnamespace END
WHERE c.oid = to_regclass(%(table)s)
"""


class IndexMismatchWarning(UserWarning):
    """The index over an embedding column serves another metric than the model declares, so that no search uses it."""


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A model's table as it is.

    Attributes:
        tables: To be searched.
        method: Of the index over the embeddings; None where none serves the declared metric.
    """

    tables: SearchedTable
    method: str | None


def read_table(
    connection: PsycopgConnection, mapping: ModelMapping, schema_translate_map: Mapping[str | None, Any] | None = None
) -> LiveTable:
    """Look a model's table up in the catalogue.

    Raises:
        SchemaError: There is no such table.
        ExtensionError: There is no pgvector.

    Warns:
        IndexMismatchWarning: The only index over the embeddings is of another metric.

    Round trips: 1.
    """
    name = table_name(mapping.table, schema_translate_map)
    space = mapping.declaration.space
    row = connection.execute(
        _FACTS,
        {"table": name, "embedding": mapping.embedding.name, "storage": str(space.storage)},
        prepare=False,
    ).fetchone()
    if row is None:
        raise SchemaError(f"there is no table {name}; run the migration of your application that creates it")
    extension_schema, oid, has_text_plan, functions, indexes = row
    if extension_schema is None:
        raise ExtensionError("this database has no pgvector; run op.create_vector_extension() in a migration")
    tables = SearchedTable(
        # As the ORM names it: connections of one engine may differ in their search_path.
        searched=name,
        **_columns(mapping),
        **vector_names(space, extension_schema),
        element_oid=oid,
        functions=f"{functions or quote(SCHEMA)}.",
        text_plan=_text_plan(mapping.table, schema_translate_map) if has_text_plan and functions else None,
    )
    return LiveTable(tables, _usable_method(mapping, indexes))


def unqualified_table(mapping: ModelMapping) -> SearchedTable:
    """Return the table by the names that the search_path finds, for statements made without a connection."""
    table, space = mapping.table, mapping.declaration.space
    return SearchedTable(
        searched=table_name(table, None),
        **_columns(mapping),
        operator=space.metric.operator,
        vector_type=str(space.storage),
        send=f"{space.storage}_send",
        element_oid=0,
        functions=f"{quote(SCHEMA)}.",
        text_plan=_text_plan(table, None) if has_text_index(mapping) else None,
    )


def has_text_index(mapping: ModelMapping) -> bool:
    """Say whether the model declares a text index."""
    return mapping.text_declaration is not None and mapping.text_declaration.index is not None


def table_name(table: Table, schema_translate_map: Mapping[str | None, Any] | None) -> str:
    """Return the quoted name of a table, without a schema where the search_path finds it."""
    return _named(table, table.name, schema_translate_map)


def _text_plan(table: Table, schema_translate_map: Mapping[str | None, Any] | None) -> str:
    return _named(table, f"{table.name}_text_plan", schema_translate_map)


def _named(table: Table, name: str, schema_translate_map: Mapping[str | None, Any] | None) -> str:
    schema = (schema_translate_map or {}).get(table.schema, table.schema)
    return quote(schema, name) if schema else quote(name)


def _columns(mapping: ModelMapping) -> dict[str, Any]:
    names = [mapping.table.name, *(key.name for key in mapping.keys), mapping.embedding.name]
    if any("%" in name for name in names):
        raise ConfigurationError(f"vectordb cannot search a table or columns with % in their names: {', '.join(names)}")
    return {
        "keys": tuple(quote(key.name) for key in mapping.keys),
        "shown": (),
        "embedding": quote(mapping.embedding.name),
        "nullable": True,
        "text": "NULL::tsvector" if mapping.text is None else quote(mapping.text.name),
        "fields": MappingProxyType({}),
    }


def _usable_method(mapping: ModelMapping, indexes: list[str]) -> str | None:
    """Return the method of an index that serves the declared metric, HNSW before IVFFlat."""
    space, found = mapping.declaration.space, [tuple(index.split(" ", 1)) for index in indexes]
    for method, operator_class in found:
        if operator_class == operator_class_of(space, method):
            return str(method)
    if found:
        others = ", ".join(operator_class for _, operator_class in found)
        warnings.warn(
            f"{mapping.table.name}.{mapping.embedding.name} is declared with metric {str(space.metric)!r}, but its "
            f"index is of {others}; it cannot be used, every search compares all rows. Create an index of the declared "
            "metric, or declare the metric of the index",
            IndexMismatchWarning,
            stacklevel=2,
        )
    return None


def operator_class_of(space: VectorSpace, method: str) -> str | None:
    """Return the operator class that serves a space, None where there is none."""
    try:
        return space.operator_class(method)
    except ConfigurationError:
        return None
