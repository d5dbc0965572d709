"""What a database has of vectors and text indexes, read at once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from vectordb.bootstrap import VERSION_TABLE
from vectordb.migration.text_indexes import FoundTextIndex, read_text_indexes
from vectordb.migration.vector_indexes import FoundIndex, read_indexes
from vectordb.tables import quote


@dataclass(frozen=True)
class Catalogue:
    """What was found.

    Attributes:
        default_schema: The first one of the search_path.
        indexes: All vector indexes.
        text_indexes: All text indexes.
        library: Tables of collections and of their registry, with all that belongs to them.
    """

    default_schema: str | None
    indexes: tuple[FoundIndex, ...]
    text_indexes: tuple[FoundTextIndex, ...]
    library: frozenset[tuple[str | None, str]]

    def key(self, schema: str | None, table: str) -> tuple[str | None, str]:
        """Return how Alembic calls a table: one of the default schema has none."""
        return (None if schema == self.default_schema else schema), table

    def indexes_of(self, schema: str | None, table: str) -> dict[str, FoundIndex]:
        """Return the vector indexes of a table by name."""
        return {each.name: each for each in self.indexes if _is_of(each, schema, table)}

    def text_index_of(self, schema: str | None, table: str) -> FoundTextIndex | None:
        """Return the text index of a table."""
        return next((each for each in self.text_indexes if _is_of(each, schema, table)), None)

    def is_ours(self, schema: str | None, table: str) -> bool:
        """Whether a table belongs to the library: to a collection, or to a text index."""
        if (schema, table) in self.library:
            return True
        return any(_is_of(each, schema, each.table) and table in each.parts() for each in self.text_indexes)


def _is_of(found: FoundIndex | FoundTextIndex, schema: str | None, table: str) -> bool:
    # Without a schema, SQLAlchemy lists every table that the search_path finds, in whatever schema.
    return found.table == table and (found.schema == schema or (schema is None and found.visible))


def read_catalogue(connection: Connection, library_schema: str) -> Catalogue:
    """Read what there is.

    Args:
        connection: In a transaction.
        library_schema: Of the collections.

    Round trips: 3, or 5 where there is a registry.
    """
    return Catalogue(
        default_schema=connection.dialect.default_schema_name,
        indexes=tuple(read_indexes(connection)),
        text_indexes=tuple(read_text_indexes(connection)),
        library=frozenset(_library_tables(connection, library_schema)),
    )


def _library_tables(connection: Connection, schema: str) -> set[tuple[str | None, str]]:
    # Of the catalogue, which every role may read; `to_regclass` asks for rights on the schema.
    find = text(
        "SELECT has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = :schema AND relname = 'collections' AND (SELECT count(*) = 2 FROM pg_attribute"
        " WHERE attrelid = c.oid AND attname IN ('documents_table', 'chunks_table'))"
    )
    may_read = connection.scalar(find, {"schema": schema})
    if may_read is None:
        return set()
    if may_read:
        registry = quote(schema, "collections")
        rows = connection.execute(text(f"SELECT documents_table, chunks_table FROM {registry}"))  # noqa: S608 - quoted
        tables = {"collections", VERSION_TABLE, *(str(table) for row in rows for table in row)}
    else:
        # A role that may not look into the schema has no tables of its own in it.
        found = text("SELECT tablename FROM pg_tables WHERE schemaname = :schema")
        tables = set(connection.scalars(found, {"schema": schema}))
    visible = text(
        "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = :schema AND relname = ANY(:tables) AND pg_table_is_visible(c.oid)"
    )
    seen = connection.scalars(visible, {"schema": schema, "tables": sorted(tables)})
    return {(schema, table) for table in tables} | {(None, str(table)) for table in seen}


def is_visible(connection: Connection, schema: str, table: str) -> bool:
    """Whether the search_path finds a table of another schema."""
    visible = text(
        "SELECT pg_table_is_visible(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = :schema AND relname = :table"
    )
    return bool(connection.scalar(visible, {"schema": schema, "table": table}))
