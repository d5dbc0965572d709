"""Rows as the application gives them: mappings by attribute name, or instances of the model, checked and made alike."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from sqlalchemy import Column, inspect, select, tuple_
from sqlalchemy.orm import InstanceState, Session

from vectordb.declarations import INFO, EmbeddingHash, declared_by, embedding_of
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.orm.mapping import ModelMapping


@dataclass(slots=True, eq=False)
class Row:
    """One row of a call.

    Attributes:
        number: In the call, from 0.
        values: To be written, by attribute; those of an instance in the session are in the database already.
        names: The attributes of `values` that are columns to write, in their order.
        vector: Given for this row; None has its text embedded.
        instance: That was given; None for a mapping.
        managed: Whether that belongs to the session, which has flushed it.
        inserted: Whether that flush has inserted it.
        changed: Whether that flush has updated it.
        key: Values of the primary key; None where the database makes it.
        stored: What is there already; None if nothing is.
        writes: Whether the embedding and its hash are written.
        encoded: The embedding, in pgvector's binary form; None for none.
        text: Of which the embedding is to be made; None for none.
        hash: Of embedder and text; None for none.
    """

    number: int
    values: Mapping[str, Any]
    names: tuple[str, ...]
    vector: Any = None
    instance: Any = None
    managed: bool = False
    inserted: bool = False
    changed: bool = False
    key: tuple[Any, ...] | None = None
    stored: Stored | None = None
    writes: bool = False
    encoded: bytes | None = None
    text: str | None = None
    hash: bytes | None = None


class Stored(NamedTuple):
    """What is stored of a row: hash, whether there is a vector, and its source texts where they were asked for."""

    hash: bytes | None
    has_vector: bool
    texts: tuple[Any, ...]


class Attributes:
    """The attributes of a model by which rows are given.

    Args:
        mapping: Of the model.
    """

    def __init__(self, mapping: ModelMapping) -> None:
        self.mapping = mapping
        self.columns: dict[str, Column[Any]] = {}
        for attribute in mapping.mapper.column_attrs:
            column = attribute.columns[0]
            # Of a joined child the key has one attribute for the columns of both tables.
            for candidate in attribute.columns:
                if isinstance(candidate, Column) and candidate.table is mapping.table:
                    column = candidate
            if isinstance(column, Column) and column.table is mapping.table:
                self.columns[attribute.key] = column
        self.names = {column: name for name, column in self.columns.items()}
        self.keys = tuple(self.names[column] for column in mapping.keys)
        self.hash = self.names.get(mapping.hash_column)
        self._known: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}

    @cached_property
    def whole(self) -> bool:
        """Whether the model's rows are rows of one table."""
        return len(self.mapping.mapper.tables) == 1

    @cached_property
    def made_by_database(self) -> frozenset[str]:
        """Attributes that the database gives a value of its own when a row is updated."""
        return frozenset(
            name
            for name, column in self.columns.items()
            if column.computed is not None or column.onupdate is not None or column.server_onupdate is not None
        )

    @cached_property
    def optional(self) -> tuple[str, ...]:
        """Attributes of which None means that they are not given."""
        return tuple(name for name, column in self.columns.items() if name in self.keys or embedding_of(column))

    @cached_property
    def discriminator(self) -> tuple[str, Any] | None:
        """Attribute and value that tell the class among those that share its table."""
        mapper = self.mapping.mapper
        name = self.names.get(mapper.polymorphic_on) if isinstance(mapper.polymorphic_on, Column) else None
        return None if name is None or mapper.polymorphic_identity is None else (name, mapper.polymorphic_identity)

    def writable(self, names: tuple[str, ...], number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return those of a row's names that are written as they are given, and those of which None means absent.

        Raises:
            InvalidInput: A name is no attribute of the model that can be written.
        """
        known = self._known.get(names)
        if known is None:
            for name in names:
                self._check_name(name, number)
            written = tuple(name for name in names if name != self.mapping.attribute)
            known = written, tuple(name for name in written if name in self.optional)
            self._known[names] = known
        return known

    def _check_name(self, name: Any, number: int) -> None:
        model = self.mapping.model.__name__
        column = self.columns.get(name)
        why = None
        if column is None:
            if name in self.mapping.mapper.relationships:
                why = "is a relationship; give its foreign key instead"
            elif name in self.mapping.mapper.all_orm_descriptors:
                why = f"is no column of {self.mapping.table.name}; give the columns that it consists of"
            else:
                close = difflib.get_close_matches(str(name)[:64], self.columns, n=1)
                why = "is no attribute of it" + (f"; did you mean {close[0]!r}?" if close else "")
        elif column.computed is not None:
            why = "is computed by the database; leave it out"
        elif declared_by(column, EmbeddingHash) is not None:
            why = "is kept by upsert; leave it out"
        if why is not None:
            raise InvalidInput(f"row {number} of {model}: {str(name)[:64]!r} {why}", row=number)


def as_rows(mapping: ModelMapping, rows: Any) -> Iterator[Any]:
    """Return an iterator over one row or many.

    Raises:
        InvalidInput: Neither.
    """
    if isinstance(rows, (Mapping, mapping.model)):
        return iter((rows,))
    if isinstance(rows, (str, bytes)) or not isinstance(rows, Iterable) or inspect(rows, raiseerr=False) is not None:
        raise InvalidInput(
            f"rows are mappings by attribute name or instances of {mapping.model.__name__}, one or many,"
            f" not {_kind(rows)}"
        )
    return iter(rows)


def read_rows(attributes: Attributes, session: Session, batch: Iterable[Any], start: int) -> list[Row]:
    """Check a batch and make its rows alike; what the session still has to write is flushed.

    Raises:
        InvalidInput: A row is of another class, detached, deleted, of another session, or names what is no attribute.
        ConfigurationError: The row would be one of several tables.
    """
    rows = [_read(attributes, session, given, number) for number, given in enumerate(batch, start)]
    session.flush()
    managed = [row for row in rows if row.managed]
    _refresh(attributes, session, managed)
    for row in managed:
        state: InstanceState[Any] = inspect(row.instance)
        row.values = {name: getattr(row.instance, name) for name in attributes.keys}
        row.inserted = row.inserted and state.persistent
    return rows


def _read(attributes: Attributes, session: Session, given: Any, number: int) -> Row:
    mapping = attributes.mapping
    if type(given) is dict or isinstance(given, Mapping):
        if not attributes.whole:
            _refuse_parts(attributes, number)
        names, optional = attributes.writable(tuple(given), number)
        discriminator = attributes.discriminator
        if discriminator is not None and discriminator[0] not in given:
            given, names = {**given, discriminator[0]: discriminator[1]}, (*names, discriminator[0])
        if None in map(given.get, optional):  # keys that the database makes, other embeddings that are not given
            names = tuple(name for name in names if name not in optional or given[name] is not None)
        return Row(number, given, names, given.get(mapping.attribute))
    if not isinstance(given, mapping.model):
        raise InvalidInput(
            f"row {number} is {_kind(given)}; give mappings by attribute name or instances of {mapping.model.__name__}",
            row=number,
        )
    return _read_instance(attributes, session, given, number)


def _read_instance(attributes: Attributes, session: Session, instance: Any, number: int) -> Row:
    state: InstanceState[Any] = inspect(instance)
    vector_name = attributes.mapping.attribute
    why = None
    if state.detached or state.was_deleted:
        why = "is detached; session.merge() it, or give a mapping"
    elif state.deleted or instance in session.deleted:
        why = "is deleted in this session"
    elif state.session not in (None, session):
        why = "belongs to another session"
    if why is not None:
        raise InvalidInput(f"row {number}: the {type(instance).__name__} {why}", row=number)
    if state.session is session:
        vector = state.dict.get(vector_name) if state.pending or vector_name in state.committed_state else None
        changed = state.persistent and session.is_modified(instance)
        return Row(number, {}, (), vector, instance, managed=True, inserted=state.pending, changed=changed)
    if not attributes.whole:
        _refuse_parts(attributes, number)
    for name in attributes.mapping.mapper.relationships.keys():  # noqa: SIM118 - no mapping
        if state.dict.get(name):
            raise InvalidInput(
                f"row {number}: upsert writes columns, and not the relationship {name!r} of the"
                f" {type(instance).__name__}; set its foreign key, or session.add() the instance before",
                row=number,
            )
    values = state.dict
    names = tuple(
        name
        for name, column in attributes.columns.items()
        if name in values
        if name not in (vector_name, attributes.hash) and column.computed is None
        if values[name] is not None or not _is_absent(attributes, name, column)
    )
    return Row(number, dict(values), names, values.get(vector_name), instance)


def _is_absent(attributes: Attributes, name: str, column: Column[Any]) -> bool:
    """Whether None in an instance means that nobody gave a value, as for the ORM."""
    return (
        name in attributes.keys
        or column.default is not None
        or column.server_default is not None
        or INFO in column.info
    )


def _refuse_parts(attributes: Attributes, number: int) -> NoReturn:
    model = attributes.mapping.model.__name__
    raise ConfigurationError(
        f"row {number}: a {model} is a row of several tables, which one statement cannot write; session.add() the"
        " instances, and give them to upsert, which then embeds their texts",
    )


def _refresh(attributes: Attributes, session: Session, rows: list[Row]) -> None:
    """Load what the session has forgotten of its instances, all at once."""
    needed = {*attributes.keys, *attributes.mapping.declaration.sources}
    expired = [row.instance for row in rows if needed & inspect(row.instance).expired_attributes]
    if expired:
        mapping = attributes.mapping
        keys = [inspect(instance).identity for instance in expired]
        statement = select(mapping.model).where(tuple_(*mapping.mapper.primary_key).in_(keys))
        session.execute(statement).scalars().all()


def _kind(value: Any) -> str:
    return f"a {value.__name__} class" if isinstance(value, type) else f"a {type(value).__name__}"
