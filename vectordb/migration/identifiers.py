"""Names of an application's tables, columns and indexes, which are not ours to choose."""

from __future__ import annotations

from vectordb.errors import InvalidName
from vectordb.tables import quote

_LONGEST_IDENTIFIER = 63


def check_identifier(name: object, what: str) -> str:
    """Return a name that PostgreSQL keeps as it is.

    Raises:
        InvalidName: Empty, longer than 63 bytes, or not a text that PostgreSQL can hold.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidName(f"the name of the {what} is a text, not {name!r:.40}")
    size = len(name.encode())
    if size > _LONGEST_IDENTIFIER:
        raise InvalidName(
            f"the name of the {what} has {size} bytes, and PostgreSQL would cut off what is over "
            f"{_LONGEST_IDENTIFIER}: {name}; give a shorter one" + (" with name=…" if what == "index" else ""),
            name=name,
        )
    return name


def quoted(schema: str | None, name: str) -> str:
    """Return a quoted name, with the schema where there is one."""
    return quote(name) if schema is None else quote(schema, name)
