"""The planner of one table: what a filter leaves over, what this table costs, and so which way to search.

What it learns is kept for a while, so that a filter that is used again costs nothing to plan.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from dataclasses import replace
from typing import Any

from vectordb import repository
from vectordb.database import PsycopgConnection
from vectordb.filters import And, Filter
from vectordb.filters.nodes import Condition
from vectordb.filters.resolving import type_of
from vectordb.metrics import VectorSpace
from vectordb.repository import TableSize
from vectordb.search.hints import hint, unindexed
from vectordb.search.planning import EXACT, Access, Costs, Decision, Estimate, Strategy, decide, decide_again
from vectordb.search.statements import Shape, Statement, search_statement
from vectordb.search.where import where_clause
from vectordb.tables import SearchedTable

# Pages of 8 kB in which an exact search takes less time than finding out whether it does.
_SMALL = 128
# Pages from which on it pays to measure what this table costs.
_WORTH_MEASURING = 2_000
_FEW_IN_SAMPLE = 10
_REMEMBER_SECONDS = 30.0
_REMEMBER_SIZE_SECONDS = 10.0
_REMEMBER_COSTS_SECONDS = 3_600.0
_REMEMBER_FILTERS = 1_000
_MEASURED_CANDIDATES = 200
# Where an index over a field begins to be worth it: rows in the table, and the share of them that matches.
_LARGE = 10_000
_SELECTIVE = 0.2


class Memory:
    """What is known of a table for a while; shared by all handles on it, and between threads.

    Attributes:
        slow: Hints on filters that no index served, and how often each was given.
    """

    def __init__(self) -> None:
        self._known: dict[Any, tuple[Any, float]] = {}
        self.slow: Counter[str] = Counter()

    def recall(self, key: Any) -> Any:
        """Return what is remembered, None if that is nothing or too old."""
        value, until = self._known.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def remember(self, key: Any, value: Any, seconds: float = _REMEMBER_SECONDS) -> None:
        """Remember a value for some time."""
        if len(self._known) >= _REMEMBER_FILTERS:
            self._known.clear()
        self._known[key] = (value, time.monotonic() + seconds)

    def forget(self) -> None:
        """Forget everything, as after the table or its indexes were changed."""
        self._known.clear()
        self.slow.clear()


class Planner:
    """Chooses how to run filtered searches over one table; safe to share between threads.

    Args:
        tables: To be searched.
        space: Of its embeddings.
        memory: Of what is known of the table.
    """

    def __init__(self, tables: SearchedTable, space: VectorSpace, memory: Memory) -> None:
        self._tables = tables
        self._space = space
        self._memory = memory

    def decide(
        self,
        connection: PsycopgConnection,
        where: Filter,
        *,
        method: str | None,
        wanted: int,
        ef_search: int | None,
        forced: Strategy | None,
    ) -> Decision:
        """Choose how to find `wanted` rows that match a filter.

        Args:
            connection: To ask for what is not known yet.
            where: The filter.
            method: Of the vector index; None where there is none.
            wanted: Rows.
            ef_search: Least number of candidates; None has the default.
            forced: Strategy that the caller insists on.

        Round trips: 0 for a filter that was planned within the last half minute, else 1 to 3; on a large table once
        in an hour 32 more.
        """
        if method is None or forced is Strategy.EXACT:
            return Decision(EXACT, "there is no index" if method is None else "asked for")
        size = self._table_size(connection)
        if size.pages <= _SMALL and forced is None:
            return Decision(EXACT, "the table is small")
        estimate = self._estimate(connection, where, size)
        if estimate.hints:
            self._memory.slow.update(estimate.hints)
        costs = self._costs(connection, size, method)
        return decide(estimate, method=method, wanted=wanted, ef_search=ef_search, costs=costs, forced=forced)

    def hints(self, connection: PsycopgConnection, where: Filter | None) -> list[str]:
        """Return what would make a filter quicker, or, without one, the filters of the searches up to now.

        Args:
            connection: To ask for what is not known yet.
            where: The filter; None for those that were planned since the start of the program, most frequent first.
        """
        if where is not None:
            return list(self._estimate(connection, where, self._table_size(connection)).hints)
        return [text for text, _ in self._memory.slow.most_common()]

    def decide_again(self, connection: PsycopgConnection, before: Decision, *, wanted: int, found: int) -> Decision:
        """Choose what to do after the index held too few rows that match near the query."""
        access, estimate = before.access, before.estimate
        assert access.method is not None  # noqa: S101 - so it was decided
        assert estimate is not None  # noqa: S101 - so it was decided
        costs = self._costs(connection, self._table_size(connection), access.method)
        return decide_again(
            estimate, method=access.method, wanted=wanted, found=found, candidates=access.candidates, costs=costs
        )

    def _table_size(self, connection: PsycopgConnection) -> TableSize:
        known = self._memory.recall("size")
        if known is None:
            known = repository.table_size(connection, self._tables)
            self._memory.remember("size", known, _REMEMBER_SIZE_SECONDS)
        size: TableSize = known
        return size

    def _estimate(self, connection: PsycopgConnection, where: Filter, size: TableSize) -> Estimate:
        condition = Statement(*where_clause(where, "c", self._tables))
        # A filter may hold thousands of values; what is remembered of it is short.
        key = hashlib.sha256(repr((condition.sql, condition.parameters)).encode()).digest()
        known = self._memory.recall(key)
        if known is None:
            known = self._ask(connection, where, condition, size)
            known = replace(known, hints=_hints(where, known, self._tables))
            self._memory.remember(key, known)
        estimate: Estimate = known
        return estimate

    def _ask(self, connection: PsycopgConnection, where: Filter, condition: Statement, size: TableSize) -> Estimate:
        """Estimate by PostgreSQL's statistics where these are good, else by a sample."""
        expected, indexed = repository.explain(connection, self._tables, condition)
        if size.rows is not None and _is_simple(where, self._tables):
            return Estimate(expected, size.rows, indexed)
        sample = repository.sample(connection, self._tables, condition, size)
        if sample.matches < _FEW_IN_SAMPLE and not indexed:
            # Where every row will be looked at anyway, it is worth knowing better.
            sample = repository.sample(connection, self._tables, condition, size, larger=True)
        if sample.rows == 0:
            return Estimate(expected, size.rows or expected, indexed)
        rows = sample.rows / sample.pages * size.pages
        matches: float = sample.matches
        if sample.matches < _FEW_IN_SAMPLE and size.rows is not None:
            # Too few to tell how few; PostgreSQL's guess counts where the sample makes it likely.
            least = sample.matches - 1.5 * math.sqrt(sample.matches)
            matches = min(sample.matches + 1, max(least, expected / rows * sample.rows))
        return Estimate(matches / sample.rows * rows, rows, indexed, min(20.0, max(0.05, sample.microseconds)))

    def _costs(self, connection: PsycopgConnection, size: TableSize, method: str) -> Costs:
        known = self._memory.recall("costs")
        if known is None:
            known = _typical_costs(self._space)
            if size.pages >= _WORTH_MEASURING and method == "hnsw":
                known = self._measured(connection, size, known)
            self._memory.remember("costs", known, _REMEMBER_COSTS_SECONDS)
        costs: Costs = known
        return costs

    def _measured(self, connection: PsycopgConnection, size: TableSize, typical: Costs) -> Costs:
        """Return costs by the clock, within twice and half of the typical ones, as the machine may be busy."""
        nothing = Statement("SELECT 1 WHERE %(query)b::bytea IS NOT NULL")
        compared = repository.sample_statement(self._tables, size)
        access = Access(Strategy.PLAIN, "hnsw", _MEASURED_CANDIDATES, explicit=True, filtered=True, keep=True)
        walk = search_statement(self._tables, access, Shape(_MEASURED_CANDIDATES), None)
        queries = repository.sample_vectors(connection, self._tables, size)
        if not queries:
            return typical
        idle, exact, walked = repository.time_statements(connection, [nothing, compared, walk], queries)
        rows = repository.sample(connection, self._tables, Statement("true"), size).rows
        compare = _near((exact - idle) / max(rows, 1), typical.compare)
        return Costs(
            fetch=compare + typical.fetch - typical.compare,
            compare=compare,
            visit=_near((walked - idle) / _MEASURED_CANDIDATES, typical.visit),
        )


def _hints(where: Filter, estimate: Estimate, tables: SearchedTable) -> tuple[str, ...]:
    """Return what would make a filter quicker, if it leaves over so little that an index could."""
    if estimate.indexed or estimate.rows < _LARGE or estimate.matches > _SELECTIVE * estimate.rows:
        return ()
    return tuple(hint(field, kind) for field, kind in unindexed(where, tables.fields).items())


def _is_simple(where: Filter, tables: SearchedTable) -> bool:
    """Whether PostgreSQL's statistics tell how many rows match: conditions on one column that has a type."""
    parts = where.parts if isinstance(where, And) else (where,)
    fields = {part.field if isinstance(part, Condition) else None for part in parts}
    if len(fields) != 1:
        return False
    (field,) = fields
    if field is None or type_of(field, tables.fields) is None:
        return False
    return not field.own or field.keys == ("id",)


def _typical_costs(space: VectorSpace) -> Costs:
    """Return costs in proportion to the size of a vector, as measured for 384 numbers of four bytes."""
    size = space.storage.bytes_for(space.dimensions) / 1_544
    return Costs(fetch=1.2 + 0.4 * size, compare=0.2 + 0.4 * size, visit=4.0 + 9.0 * size)


def _near(measured: float, typical: float) -> float:
    return min(2 * typical, max(typical / 2, measured))
