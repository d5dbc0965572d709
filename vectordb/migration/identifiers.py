"""Names of an application's tables, columns and indexes, as SQL writes them."""

from __future__ import annotations

from vectordb.tables import quote


def quoted(schema: str | None, name: str) -> str:
    """Return a quoted name, with the schema where there is one."""
    return quote(name) if schema is None else quote(schema, name)
