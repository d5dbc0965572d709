"""Views: a collection of which every read and write is confined to a filter.

What is read is confined by the database. What is written is checked here, before anything is
written, so a view that only the database understands can be read and not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vectordb.errors import ConfigurationError, OutsideView
from vectordb.fields import FieldType
from vectordb.filters import And, Compare, Expression, Filter, resolve
from vectordb.filters.nodes import Condition, walk

_SET_BY_THE_DATABASE = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class View:
    """What a handle on a collection is confined to.

    Args:
        where: Which documents belong to it.
        fields: Declared fields of the collection, in whose types the filter compares.
    """

    where: Filter
    fields: Mapping[str, FieldType]

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", resolve(self.where, self.fields))

    def check_writable(self) -> None:
        """Check that documents can be held against the filter before they are written.

        Raises:
            ConfigurationError: Only the database can tell what belongs to the view, so it can only be read.
        """
        for part in walk(self.where):
            if isinstance(part, Expression):
                raise ConfigurationError(
                    "this view is read-only, because its filter is a SQLAlchemy expression; write through the "
                    "collection itself, or through a view made with F(...)"
                )
            if isinstance(part, Condition) and part.field.own and part.field.keys[0] in _SET_BY_THE_DATABASE:
                raise ConfigurationError(
                    f"this view is read-only, because its filter needs {part.field}, which is set by writing; write "
                    "through the collection itself"
                )

    def complete(self, metadata: Any) -> Any:
        """Return metadata with what the view requires to be equal to something, where it is missing.

        Only keys at the top level, and only equalities that every document of the view fulfils. What is there is
        never replaced. What is no mapping is returned as it is, to be refused as metadata.
        """
        if not isinstance(metadata, Mapping):
            return metadata
        missing = {key: value for key, value in _equalities(self.where) if key not in metadata}
        return {**metadata, **missing} if missing else metadata

    def check(self, metadata: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        """Check that a document belongs to the view.

        Args:
            metadata: Completed, as JSON would give it back.
            columns: The document's id, title and uri.

        Raises:
            OutsideView: It does not.
        """
        if not self.where.matches(metadata, columns):
            raise OutsideView(
                f"the document {columns['id']!r} does not belong to this view of the collection; what the view is "
                "confined to must hold for every document that is written through it",
                id=columns["id"],
            )


def refuse_outside(ids: Iterable[str]) -> None:
    """Refuse to write over documents that are stored outside the view; nothing is told but that they exist.

    Raises:
        OutsideView: There is such a document; of several it names the first in order.
    """
    id = min(ids, default=None)
    if id is not None:
        raise OutsideView(
            f"the id {id!r} belongs to a document outside this view of the collection; choose another id", id=id
        )


def _equalities(where: Filter) -> Iterator[tuple[str, Any]]:
    """Yield key and value, as JSON has it, of the equalities that must hold; of two for one key the last."""
    if isinstance(where, And):
        for part in where.parts:
            yield from _equalities(part)
    elif isinstance(where, Compare) and where.operator == "==" and not where.field.own and len(where.field.keys) == 1:
        value = where.value
        yield where.field.keys[0], value.isoformat() if isinstance(value, datetime) else value
