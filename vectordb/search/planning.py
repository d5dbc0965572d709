"""Which way to run a search: compare every matching row, or look for them by the index.

With a filter, an index has to look at about `wanted / selectivity` rows before enough of them have
passed; an exact search fetches every row that matches. The two costs cross; PostgreSQL's planner
does not see where, because pgvector tells it nothing of the rows that a filter throws away.

Somewhat more candidates than that are asked of the index in one go. This finds nearer rows than
asking again and again for a few more, and it tells when the filter and the query do not go
together: then fewer rows come back than asked for, and the search takes another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from vectordb.errors import InvalidInput

# On SciFact exact search has an nDCG@10 of 0.645; pgvector's own default of 40 candidates gives 0.636, 80 give 0.645.
DEFAULT_EF_SEARCH = 80
MAX_EF_SEARCH = 1_000
DEFAULT_PROBES = 10
# pgvector visits at most this many rows in one iterative scan, unless told otherwise.
DEFAULT_VISITS = 20_000

# Where a smaller share of the rows matches, an iterative scan misses near ones: recall@10 is 0.98 at 0.5 %, but 0.86 at
# 0.1 % (100,000 passages).
_LEAST_SHARE = 0.002
_MOST_VISITS = 2**31 - 1
# How far above the average the number of rows to pass is aimed, so that fewer than wanted seldom pass.
_DEVIATIONS = 1.4
# An exact search may cost this much more than the index, because it finds the best rows for certain.
_WORTH_EXACT = 1.15
_WORTH_EXACT_BLINDLY = 8.0
# The first rows to pass the filter on the way along an index are not always the nearest; of ten they nearly are.
_FEWEST_WANTED = 10
# A row that an iterative scan visits costs a little more than a candidate of one search.
_ITERATION = 1.1
# An iterative scan goes on in passes, so that it visits not many more rows than it has to.
_PASSES = 8


class Strategy(StrEnum):
    """How a search finds its rows.

    `exact` compares every row that matches. `plain` takes candidates from the index once.
    `iterative` goes on along the index until enough rows match.
    """

    EXACT = "exact"
    PLAIN = "plain"
    ITERATIVE = "iterative"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much a filter leaves over.

    Attributes:
        matches: Rows that match, estimated.
        rows: Rows in the table, estimated.
        indexed: Whether an index finds the matching rows; else every row is looked at.
        check_cost: Time to check the filter on one row, in microseconds.
        hints: What would make the filter quicker, in words.
    """

    matches: float
    rows: float
    indexed: bool
    check_cost: float = 0.5
    hints: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the rows that match."""
        return self.matches / max(self.rows, 1.0)

    def visits(self, wanted: float) -> float:
        """Return how many rows have to be looked at, in any order, to see `wanted` that match."""
        return wanted * self.rows / max(self.matches, 1.0)


@dataclass(frozen=True, slots=True)
class Costs:
    """What searching a table costs, in microseconds; the defaults are for 384 dimensions.

    Attributes:
        fetch: To find a matching row by an index and compare its vector.
        compare: To compare the vector of a row that is at hand.
        visit: To take one candidate from the vector index.
    """

    fetch: float = 1.6
    compare: float = 0.6
    visit: float = 13.0


@dataclass(frozen=True, slots=True)
class Access:
    """How a statement reaches its rows.

    Attributes:
        strategy: Exact or by the index.
        method: Of the index, `hnsw` or `ivfflat`.
        candidates: Of HNSW.
        explicit: Whether just that many are meant; else the server's setting counts where it is more.
        filtered: Whether rows that the index finds may be thrown away.
        visits: Most rows that an iterative scan visits.
        rows: Least rows to fetch; of a few more the nearest are nearer.
        order: Of an iterative scan, `relaxed_order` or `strict_order`.
        keep: Whether the statement leaves the settings as they were, as in a transaction that goes on.
    """

    strategy: Strategy
    method: str | None = None
    candidates: int = DEFAULT_EF_SEARCH
    explicit: bool = False
    filtered: bool = False
    visits: int = DEFAULT_VISITS
    rows: int = 0
    order: str = "relaxed_order"
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """A way to run a search, and why.

    Attributes:
        access: To be used.
        reason: In words, for people.
        estimate: What it was decided by; None where nothing had to be estimated.
    """

    access: Access
    reason: str
    estimate: Estimate | None = None


EXACT = Access(Strategy.EXACT)


def exact_cost(estimate: Estimate, costs: Costs) -> float:
    """Return the microseconds of an exact search."""
    if estimate.indexed:
        return estimate.matches * costs.fetch
    return estimate.rows * estimate.check_cost + estimate.matches * costs.compare


def decide(
    estimate: Estimate, *, method: str, wanted: int, ef_search: int | None, costs: Costs, forced: Strategy | None = None
) -> Decision:
    """Choose the cheapest way; the exact one where it costs about the same, as it misses nothing.

    Args:
        estimate: Of the filter.
        method: Of the vector index.
        wanted: Rows asked for.
        ef_search: Least number of candidates; None has the default.
        costs: Of this table.
        forced: `iterative` where the caller insists on it.
    """
    least = max(ef_search or DEFAULT_EF_SEARCH, min(wanted, MAX_EF_SEARCH))
    access, cost = _by_index(
        estimate, method, max(wanted, _FEWEST_WANTED), least, costs, once=forced is not Strategy.ITERATIVE
    )
    if ef_search is not None:
        access = replace(access, explicit=True)
    if forced is None and estimate.share < _LEAST_SHARE:
        return Decision(EXACT, "so few rows match that the index would miss near ones", estimate)
    if forced is None and exact_cost(estimate, costs) <= cost * _WORTH_EXACT:
        return Decision(
            EXACT, "comparing the rows that match costs no more than looking for them by the index", estimate
        )
    reason = "the index costs less than comparing all rows that match" if forced is None else "asked for"
    return Decision(access, reason, estimate)


def decide_again(
    estimate: Estimate, *, method: str, wanted: int, found: int, candidates: int, costs: Costs
) -> Decision:
    """Choose what to do after `candidates` of the index held only `found` of `wanted` rows that match.

    Near this query the filter lets fewer rows pass than elsewhere, so the share seen here counts for the index.
    """
    near = replace(estimate, matches=max(found, 0.5) / candidates * estimate.rows)
    access, cost = _by_index(near, method, max(wanted, _FEWEST_WANTED), candidates, costs, once=True)
    # Where next to none has passed, an iterative scan finds those that happen to lie on its way.
    worth = _WORTH_EXACT if found > wanted / 3 else _WORTH_EXACT_BLINDLY
    if near.share < _LEAST_SHARE or exact_cost(estimate, costs) <= cost * worth:
        return Decision(EXACT, "near the query too few rows match for the index", estimate)
    return Decision(access, "near the query few rows match, but comparing all that do costs more", estimate)


def _by_index(
    estimate: Estimate, method: str, wanted: int, least: int, costs: Costs, *, once: bool
) -> tuple[Access, float]:
    """Return how to use the index, and the microseconds that takes; `once` where one pass may do."""
    needed = math.ceil(estimate.visits(wanted + _DEVIATIONS * math.sqrt(wanted)))
    if once and method == "hnsw" and needed <= MAX_EF_SEARCH:
        candidates = max(least, needed)
        return Access(Strategy.PLAIN, method, candidates, filtered=True), candidates * costs.visit
    candidates = max(least, min(needed // _PASSES, MAX_EF_SEARCH))
    visits = min(max(DEFAULT_VISITS, 2 * needed), _MOST_VISITS)
    access = Access(Strategy.ITERATIVE, method, candidates, filtered=True, visits=visits, rows=wanted)
    return access, max(candidates, estimate.visits(wanted)) * costs.visit * _ITERATION


def check_strategy(strategy: object, *, exact: bool) -> Strategy | None:
    """Return the strategy that the caller forces, None where it is left to us.

    Raises:
        InvalidInput: Unknown, or the two contradict each other.
    """
    if strategy is None:
        return Strategy.EXACT if exact else None
    if not isinstance(strategy, str) or strategy not in ("exact", "iterative"):
        raise InvalidInput(f"strategy is 'exact', 'iterative' or None, not {strategy!r:.40}")
    if exact and strategy != "exact":
        raise InvalidInput("exact=True and strategy='iterative' contradict each other; pass one of them")
    return Strategy(strategy)
