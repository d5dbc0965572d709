"""Searches over a model's table in the application's session: the engine of collections, with entities as rows."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    Connection,
    Engine,
    Float,
    Select,
    Subquery,
    TextClause,
    and_,
    bindparam,
    column,
    literal_column,
    select,
    text,
)
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.types import NullType, TypeEngine

from vectordb.database import PsycopgConnection
from vectordb.errors import InvalidInput
from vectordb.orm.catalogue import LiveTable, read_table
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.sessions import driver, unprepared
from vectordb.planner import Memory, Planner
from vectordb.repository import FoundRow, RankedRow
from vectordb.search.statements import Statement
from vectordb.searching import RankedSearcher, VectorSearcher
from vectordb.vector_types import BinaryParameter

# How long what the catalogue says is believed: an index may be created while the application runs.
_REMEMBER_SECONDS = 60.0

Numbers = tuple[tuple[str, type[TypeEngine[Any]]], ...]
_NEAREST: Numbers = (("distance", Float),)
_BY_TEXT: Numbers = (
    ("distance", Float),
    ("score", Float),
    ("vector_rank", BigInteger),
    ("text_rank", BigInteger),
    ("text_score", Float),
)
_HYBRID: Numbers = (*_BY_TEXT, ("near", BigInteger), ("most", Float))
_PLACEHOLDER = re.compile(r"%%|%\((\w+)\)[sb]")


class ModelSearcher:
    """Runs searches over one table as it is in one database; safe to share between threads.

    Args:
        mapping: Of the model.
        live: What the database has of its table.
        memory: Of what is known of the table.
    """

    def __init__(self, mapping: ModelMapping, live: LiveTable, memory: Memory) -> None:
        self.live = live
        space = mapping.declaration.space
        planner = Planner(live.tables, space, memory)
        self.vectors = VectorSearcher(live.tables, space, planner, live.method)
        self.ranked = RankedSearcher(live.tables, space, self.vectors)


class Searchers:
    """The searchers of one model, one for each database that its sessions lead to.

    Args:
        mapping: Of the model.
    """

    def __init__(self, mapping: ModelMapping) -> None:
        self._mapping = mapping
        self._known: WeakKeyDictionary[Engine, dict[Any, tuple[ModelSearcher, float]]] = WeakKeyDictionary()

    def of(self, connection: Connection) -> ModelSearcher:
        """Return the searcher for the database of a connection.

        Round trips: 0, and 1 every minute.
        """
        translate = connection.get_execution_options().get("schema_translate_map")
        key = frozenset(translate.items()) if translate else None
        known = self._known.setdefault(connection.engine, {})
        searcher, until = known.get(key, (None, 0.0))
        if searcher is None or until < time.monotonic():
            live = read_table(driver(connection), self._mapping, translate)
            if searcher is None or searcher.live != live:
                searcher = ModelSearcher(self._mapping, live, Memory())
            known[key] = (searcher, time.monotonic() + _REMEMBER_SECONDS)
        return searcher


def loader_options(options: Any) -> tuple[ExecutableOption, ...]:
    """Return one loader option, or several, as several.

    Raises:
        InvalidInput: Something else is among them.
    """
    several = tuple(options) if isinstance(options, Sequence) and not isinstance(options, str) else (options,)
    for option in several:
        if not isinstance(option, ExecutableOption):
            raise InvalidInput(
                f"options= takes loader options such as selectinload(Model.relationship), not {option!r:.60}"
            )
    return several


class SessionSource:
    """Reads entities in a session: each statement of the engine is joined with the model, and sent as one.

    Args:
        session: Of the application.
        connection: Of the session, in its transaction.
        mapping: Of the model.
        options: Loader options for the entities.
    """

    keep = True

    def __init__(
        self, session: Session, connection: Connection, mapping: ModelMapping, options: Sequence[ExecutableOption] = ()
    ) -> None:
        self._session = session
        self._sql = connection
        self._mapping = mapping
        self._options = options

    @property
    def connection(self) -> PsycopgConnection:
        """What a search is planned on."""
        return driver(self._sql)

    def nearest(
        self, statement: Statement, query: bytes, parameters: Mapping[str, Any] | None = None
    ) -> list[FoundRow]:
        """Return the rows for one vector by ascending distance, ties by key."""
        rows = self._run(statement, _NEAREST, {**(parameters or {}), "query": BinaryParameter(query)})
        return [FoundRow(key, 0, entity, "null", distance) for entity, key, (distance,) in rows]

    def nearest_to_each(self, statement: Statement, queries: list[bytes]) -> list[list[FoundRow]]:
        """Return the rows for each of many vectors."""
        raise NotImplementedError("a session searches for one vector at a time")

    def ranked(self, statement: Statement, text: str, query: bytes | None = None) -> list[RankedRow]:
        """Return the rows for a text, or for a text and a vector, best first."""
        parameters: dict[str, Any] = {"text": text}
        if query is not None:
            parameters["query"] = BinaryParameter(query)
        rows = self._run(statement, _BY_TEXT if query is None else _HYBRID, parameters)
        return [RankedRow(key, 0, entity, "null", *numbers) for entity, key, numbers in rows]

    def _run(
        self, statement: Statement, numbers: Numbers, parameters: dict[str, Any]
    ) -> list[tuple[Any, Any, tuple[Any, ...]]]:
        """Return entity, key and numbers of each row."""
        joined = _entity_select(self._mapping, statement.sql, numbers).options(*self._options)
        with nullcontext() if statement.prepare else unprepared(self._sql):
            result = self._session.execute(joined, {**statement.parameters, **parameters})
            # A collection that is loaded by a join repeats its entity.
            rows = result.unique().all()
        start = 1 + len(self._mapping.keys)
        return [(row[0], row[1:start], row[start:]) for row in rows]


@lru_cache(maxsize=256)
def _entity_select(mapping: ModelMapping, sql: str, numbers: Numbers) -> Select[Any]:
    """Return a SELECT of entities, best first, with their keys and the numbers by which a statement has found them."""
    found = _found(mapping, as_text(sql), numbers)
    return _best_first(select(mapping.model, *found.c), mapping, found)


def score_select(mapping: ModelMapping, statement: TextClause, *, hybrid: bool, label: str) -> Select[Any]:
    """Return a SELECT of entities and their score, best first."""
    found = _found(mapping, statement, _HYBRID if hybrid else _BY_TEXT)
    return _best_first(select(mapping.model, found.c.score.label(label)), mapping, found)


def _found(mapping: ModelMapping, statement: TextClause, numbers: Numbers) -> Subquery:
    # The keys are without their types: the engine compares and sorts them as the driver returns them.
    keys: list[ColumnClause[Any]] = [column(name) for name in _key_names(mapping)]
    return statement.columns(*keys, *(column(name, kind) for name, kind in numbers)).subquery()


def _best_first(entities: Select[Any], mapping: ModelMapping, found: Subquery) -> Select[Any]:
    keys = [found.c[name] for name in _key_names(mapping)]
    same = and_(*(ours == theirs for ours, theirs in zip(mapping.keys, keys, strict=True)))
    # PostgreSQL takes what an index scan returns for sorted by the distance; by an expression over it, it sorts.
    order = found.c.score.desc() if "score" in found.c else found.c.distance + literal_column("0")
    return entities.join(found, same).order_by(order, *keys)


def _key_names(mapping: ModelMapping) -> list[str]:
    return [f"key{number}" for number, _ in enumerate(mapping.keys, 1)]


def as_text(sql: str) -> TextClause:
    """Return a statement of the engine, written for psycopg, as SQLAlchemy's."""
    escaped = sql.replace(":", "\\:")
    # No name is seen right behind a colon, as of a slice of an array.
    return text(_PLACEHOLDER.sub(lambda found: f" :{found[1]}" if found[1] else "%", escaped))


def with_values(statement: TextClause, parameters: Mapping[str, Any]) -> TextClause:
    """Return a statement that holds its values, under names that no other part of a larger one has.

    The values are ready for the driver, and go as they are.
    """
    values = (bindparam(name, value, type_=NullType(), unique=True) for name, value in parameters.items())
    return statement.bindparams(*values)
