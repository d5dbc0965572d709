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

    Round trips: 3 or 4.
    """
    return Catalogue(
        default_schema=connection.dialect.default_schema_name,
        indexes=tuple(read_indexes(connection)),
        text_indexes=tuple(read_text_indexes(connection)),
        library=frozenset(_library_tables(connection, library_schema)),
    )


def _library_tables(connection: Connection, schema: str) -> set[tuple[str | None, str]]:
    registry = quote(schema, "collections")
    is_registry = text(
        "SELECT count(*) = 2 FROM pg_attribute"
        " WHERE attrelid = to_regclass(:registry) AND attname IN ('documents_table', 'chunks_table')"
    )
    if not connection.scalar(is_registry, {"registry": registry}):
        return set()
    rows = connection.execute(text(f"SELECT documents_table, chunks_table FROM {registry}"))  # noqa: S608 - quoted
    tables = {"collections", VERSION_TABLE, *(str(table) for row in rows for table in row)}
    return {(schema, table) for table in tables} | {
        (None, table) for table in tables if is_visible(connection, schema, table)
    }


def is_visible(connection: Connection, schema: str, table: str) -> bool:
    """Whether the search_path finds a table of another schema."""
    visible = text("SELECT pg_table_is_visible(to_regclass(:name))")
    return bool(connection.scalar(visible, {"name": quote(schema, table)}))
