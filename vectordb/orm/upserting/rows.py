"""Rows as the application gives them: mappings by attribute name, or instances of the model, checked and made alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from vectordb.errors import InvalidInput
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.upserting import instances
from vectordb.orm.upserting.attributes import Attributes


@dataclass(slots=True, eq=False)
class Rows:
    """Rows of a batch that give the same attributes, column by column; every list has one item for each row.

    Attributes:
        numbers: Of the rows in the call, from 0.
        given: The rows themselves.
        names: The attributes that are columns to write, in their order.
        columns: Their values, and those of the key, by attribute.
        vectors: Given ones; None where the texts are embedded.
        instances: Whether they are instances of the model.
        managed: Whether those are the session's own, which has flushed them; all but their vectors is written then.
        inserted: Which of those that flush has inserted.
        changed: Which of those that flush has updated.
        keys: Values of the primary key; None where the database makes it.
        looked_for: Whether `stored` is known.
        stored: What is there already, by position: hash, whether there is a vector, source texts where they matter.
        writes: Of which rows the embedding and its hash are written.
        places: Of their embeddings in `matrix`; None for those that have none.
        matrix: Embeddings, of other rows as well.
        texts: That were embedded for rows to be written; None for a row without.
        embedder: Key of what embeds them; empty where nothing does.
    """

    numbers: Sequence[int]
    given: Sequence[Any]
    names: tuple[str, ...]
    columns: dict[str, Sequence[Any]]
    vectors: Sequence[Any] | None = None
    instances: bool = False
    managed: bool = False
    inserted: Sequence[bool] = ()
    changed: Sequence[bool] = ()
    keys: Sequence[tuple[Any, ...]] | None = None
    looked_for: bool = False
    stored: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    writes: Sequence[bool] = ()
    places: Sequence[int | None] = ()
    matrix: NDArray[np.float32] | None = None
    texts: Sequence[str | None] = ()
    embedder: bytes = b""

    def __len__(self) -> int:
        return len(self.numbers)

    def new(self) -> Rows:
        """Return the rows that are to be inserted."""
        if self.managed or self.stored:
            return self.at([] if self.managed else [i for i in range(len(self)) if i not in self.stored])
        return self

    def at(self, positions: Sequence[int]) -> Rows:
        """Return some of the rows, without what is stored of them."""
        if len(positions) == len(self):
            return self

        def some(values: Sequence[Any]) -> list[Any]:
            return [values[i] for i in positions] if values else []

        return replace(
            self,
            numbers=some(self.numbers),
            given=some(self.given),
            columns={name: some(values) for name, values in self.columns.items()},
            vectors=None if self.vectors is None else some(self.vectors),
            inserted=some(self.inserted),
            changed=some(self.changed),
            keys=None if self.keys is None else some(self.keys),
            stored={},
            writes=some(self.writes),
            places=some(self.places),
            texts=some(self.texts),
        )


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


def read_rows(attributes: Attributes, session: Session, batch: Sequence[Any], start: int) -> list[Rows]:
    """Check a batch and gather rows that are alike; what the session still has to write is flushed.

    Args:
        attributes: Of the model.
        session: Of the call.
        batch: Mappings and instances.
        start: Number of the first in the call.

    Raises:
        InvalidInput: A row is of another class, detached, deleted, of another session, or names what is no attribute.
        ConfigurationError: The row would be one of several tables.
    """
    mappings: dict[tuple[str, ...], list[int]] = {}
    others: dict[instances.Shape, list[int]] = {}
    all_names = list(set(map(tuple, batch))) if set(map(type, batch)) == {dict} else []
    if len(all_names) == 1:  # as nearly always
        session.flush()
        return list(_of_mappings(attributes, all_names[0], range(start, start + len(batch)), batch))
    for i, given in enumerate(batch):
        if type(given) is dict or isinstance(given, Mapping):
            mappings.setdefault(tuple(given), []).append(i)
        elif isinstance(given, attributes.mapping.model):
            others.setdefault(instances.shape(attributes, session, given, start + i), []).append(i)
        else:
            raise InvalidInput(
                f"row {start + i} is {_kind(given)}; give mappings by attribute name or instances of"
                f" {attributes.mapping.model.__name__}",
                row=start + i,
            )
    groups = [
        group
        for names, positions in mappings.items()
        for group in _of_mappings(attributes, names, [start + i for i in positions], _some(batch, positions))
    ]
    return groups + _of_instances(attributes, session, others, batch, start)


def _of_mappings(
    attributes: Attributes, given_names: tuple[str, ...], numbers: Sequence[int], given: Sequence[Mapping[str, Any]]
) -> Iterator[Rows]:
    """Gather mappings of the same names; those in which other optional values are None are groups of their own."""
    if not attributes.whole:
        instances.refuse_parts(attributes, numbers[0])
    names, optional = attributes.writable(given_names, numbers[0])
    vector = attributes.mapping.attribute
    discriminator = attributes.discriminator
    if discriminator is not None and discriminator[0] not in names:
        given = [{**row, discriminator[0]: discriminator[1]} for row in given]
        names = (*names, discriminator[0])
    if vector in given_names:
        optional = (*optional, vector)
    columns: dict[str, Sequence[Any]] = {name: [row[name] for row in given] for name in {*names, *optional}}
    gaps = [name for name in optional if any(map(is_, columns[name], repeat(None)))]
    whole = Rows(numbers, given, names, columns)
    for absent, positions in _by(lambda row: frozenset(n for n in gaps if row[n] is None), given, bool(gaps)):
        rows = replace(whole.at(positions), names=tuple(name for name in names if name not in absent))
        if vector in given_names and vector not in absent:
            rows.vectors = rows.columns[vector]
        yield rows


def _by(
    kind: Callable[[Any], frozenset[str]], given: Sequence[Any], differ: bool
) -> Iterable[tuple[frozenset[str], Sequence[int]]]:
    if not differ:
        return [(frozenset(), range(len(given)))]
    found: dict[frozenset[str], list[int]] = {}
    for i, row in enumerate(given):
        found.setdefault(kind(row), []).append(i)
    return found.items()


def _of_instances(
    attributes: Attributes,
    session: Session,
    shapes: Mapping[instances.Shape, list[int]],
    batch: Sequence[Any],
    start: int,
) -> list[Rows]:
    """Gather instances; the session's own are flushed, and what it has forgotten of them is loaded."""
    groups = []
    for shape, positions in shapes.items():
        given = _some(batch, positions)
        states = [inspect(instance) for instance in given]
        rows = Rows([start + i for i in positions], given, shape.names, {}, instances=True, managed=shape.managed)
        rows.columns = {name: [state.dict[name] for state in states] for name in shape.names}
        if shape.vector:
            rows.vectors = [state.dict[attributes.mapping.attribute] for state in states]
        if shape.managed:
            rows.inserted = [state.pending for state in states]
            rows.changed = [state.persistent and session.is_modified(state.obj()) for state in states]
        groups.append(rows)
    session.flush()
    own = [rows for rows in groups if rows.managed]
    instances.refresh(attributes, session, [instance for rows in own for instance in rows.given])
    for rows in own:
        rows.columns = {name: [getattr(one, name) for one in rows.given] for name in attributes.keys}
    return groups


def _some(values: Sequence[Any], positions: Sequence[int]) -> Sequence[Any]:
    return values if len(positions) == len(values) else [values[i] for i in positions]


def _kind(value: Any) -> str:
    return f"a {value.__name__} class" if isinstance(value, type) else f"a {type(value).__name__}"
