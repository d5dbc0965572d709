"""Decisions about the way to search, as functions of numbers: what they choose is what their own model finds cheap."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.errors import InvalidInput
from vectordb.search.planning import (
    DEFAULT_EF_SEARCH,
    DEFAULT_VISITS,
    EXACT,
    MAX_EF_SEARCH,
    Costs,
    Decision,
    Estimate,
    Strategy,
    check_strategy,
    decide,
    decide_again,
    exact_cost,
)

ROWS = st.floats(1, 1e9)
SHARES = st.floats(0, 1)
WANTED = st.integers(1, 100_000)
EF_SEARCH = st.none() | st.integers(1, 1_000)
COSTS = st.builds(Costs, st.floats(0.3, 20), st.floats(0.1, 10), st.floats(1, 100))
METHODS = st.sampled_from(["hnsw", "ivfflat"])


@st.composite
def estimates(draw: st.DrawFn) -> Estimate:
    rows = draw(ROWS)
    return Estimate(draw(SHARES) * rows, rows, draw(st.booleans()), draw(st.floats(0.05, 20)))


def chosen_cost(decision: Decision, estimate: Estimate, wanted: int, costs: Costs) -> float:
    """Return the least that the chosen way costs: each candidate is visited, and those that are thrown away too."""
    if decision.access == EXACT:
        return exact_cost(estimate, costs)
    return max(decision.access.candidates, estimate.visits(wanted)) * costs.visit


@given(estimates(), METHODS, WANTED, EF_SEARCH, COSTS)
def test_the_chosen_way_is_hardly_dearer_than_the_cheapest(
    estimate: Estimate, method: str, wanted: int, ef_search: int | None, costs: Costs
) -> None:
    decision = decide(estimate, method=method, wanted=wanted, ef_search=ef_search, costs=costs)
    assert decision.estimate is estimate
    exact = exact_cost(estimate, costs)
    if decision.access == EXACT:
        # By iteration at most twice as many rows are visited as are needed on average, at most 1.5 times as dearly.
        by_index = decide(
            estimate, method=method, wanted=wanted, ef_search=ef_search, costs=costs, forced=Strategy.ITERATIVE
        )
        most = max(by_index.access.candidates, estimate.visits(wanted + 10 * math.sqrt(wanted))) * costs.visit * 1.5
        assert exact <= 1.3 * most
    else:
        assert chosen_cost(decision, estimate, wanted, costs) <= 1.3 * exact


@given(estimates(), METHODS, WANTED, EF_SEARCH, COSTS, st.none() | st.just(Strategy.ITERATIVE))
def test_an_access_by_index_can_be_run(
    estimate: Estimate, method: str, wanted: int, ef_search: int | None, costs: Costs, forced: Strategy | None
) -> None:
    decision = decide(estimate, method=method, wanted=wanted, ef_search=ef_search, costs=costs, forced=forced)
    access = decision.access
    if access == EXACT:
        assert forced is None
        return
    assert (access.method, access.filtered) == (method, True)
    assert 1 <= access.candidates <= MAX_EF_SEARCH
    assert access.candidates >= min(wanted, MAX_EF_SEARCH)
    assert access.candidates >= (ef_search or DEFAULT_EF_SEARCH)
    assert access.explicit == (ef_search is not None)
    assert DEFAULT_VISITS <= access.visits < 2**31
    if access.strategy is Strategy.PLAIN:
        # Candidates are taken once, so that those needed on average must fit, and some more.
        assert (method, forced) == ("hnsw", None)
        assert access.candidates >= estimate.visits(wanted)
    elif forced is None:
        assert method == "ivfflat" or estimate.visits(wanted + 10 * math.sqrt(wanted)) > MAX_EF_SEARCH
    if forced is not None:
        assert access.strategy is forced
        assert decision.reason == "asked for"


@given(ROWS, st.booleans(), WANTED, COSTS, st.lists(SHARES, min_size=2, max_size=8))
def test_the_more_match_the_more_the_index_is_worth(
    rows: float, indexed: bool, wanted: int, costs: Costs, shares: list[float]
) -> None:
    """Within one strategy of the index, more matches never turn from it to the exact search."""
    chosen: dict[str, list[bool]] = {"ivfflat": [], "hnsw": []}
    for share in sorted(shares):
        estimate = Estimate(share * rows, rows, indexed)
        for method, exact in chosen.items():
            decision = decide(estimate, method=method, wanted=wanted, ef_search=None, costs=costs)
            if method == "ivfflat" or estimate.visits(wanted + 10 * math.sqrt(wanted)) <= MAX_EF_SEARCH:
                exact.append(decision.access == EXACT)
    for exact in chosen.values():
        assert exact == sorted(exact, reverse=True)


@given(estimates(), COSTS, st.floats(1, 100))
def test_an_exact_search_costs_more_the_more_match(estimate: Estimate, costs: Costs, factor: float) -> None:
    more = replace(estimate, matches=estimate.matches * factor)
    assert 0 <= exact_cost(estimate, costs) <= exact_cost(more, costs)
    if estimate.indexed:
        assert exact_cost(estimate, costs) == estimate.matches * costs.fetch
    else:
        assert exact_cost(replace(estimate, check_cost=estimate.check_cost * factor), costs) >= exact_cost(
            estimate, costs
        )


@pytest.mark.parametrize("indexed", [True, False])
def test_usual_cases(indexed: bool) -> None:
    def strategy(matches: float, wanted: int = 10, rows: float = 100_000) -> Strategy:
        estimate = Estimate(matches, rows, indexed)
        return decide(estimate, method="hnsw", wanted=wanted, ef_search=None, costs=Costs()).access.strategy

    assert strategy(0) is strategy(10) is strategy(100) is Strategy.EXACT or not indexed
    assert strategy(0, rows=1_000) is Strategy.EXACT
    assert strategy(90_000) is strategy(50_000) is strategy(10_000) is Strategy.PLAIN
    assert strategy(90_000, wanted=2_000) is Strategy.ITERATIVE
    assert strategy(100_000, wanted=100_000) is Strategy.EXACT


@pytest.mark.parametrize("matches", [0.0, 1e-300, 1.0, 1e9])
@pytest.mark.parametrize("rows", [0.0, 1.0, 1e12])
def test_estimates_that_are_far_off(matches: float, rows: float) -> None:
    """Statistics can say anything, also that more rows match than there are, or that there are none."""
    for method in ("hnsw", "ivfflat"):
        for wanted in (1, 100_000):
            for forced in (None, Strategy.ITERATIVE):
                estimate = Estimate(matches, rows, indexed=False)
                access = decide(
                    estimate, method=method, wanted=wanted, ef_search=None, costs=Costs(), forced=forced
                ).access
                assert 1 <= access.candidates <= MAX_EF_SEARCH
                assert DEFAULT_VISITS <= access.visits < 2**31


@given(estimates(), st.integers(1, 1_000), st.integers(1, 1_000), COSTS, st.data())
def test_the_second_way_goes_by_what_was_seen(
    estimate: Estimate, wanted: int, candidates: int, costs: Costs, data: st.DataObject
) -> None:
    found = data.draw(st.integers(0, min(wanted, candidates)))
    decision = decide_again(estimate, method="hnsw", wanted=wanted, found=found, candidates=candidates, costs=costs)
    access = decision.access
    assert decision.estimate is estimate
    if access == EXACT:
        return
    # At the share that was seen, enough rows match on the way.
    needed = wanted * min(candidates / max(found, 0.5), estimate.rows)
    assert exact_cost(estimate, costs) >= needed * costs.visit
    assert candidates <= access.candidates <= MAX_EF_SEARCH
    if access.strategy is Strategy.PLAIN:
        assert access.candidates >= 0.99 * needed
    else:
        assert access.visits >= min(2**31 - 1, math.floor(needed))


def test_nothing_near_the_query_matches() -> None:
    few = Estimate(1_000, 1_000_000, indexed=True)
    again = decide_again(few, method="hnsw", wanted=10, found=0, candidates=200, costs=Costs())
    assert again.access == EXACT
    many = Estimate(500_000, 1_000_000, indexed=True)
    again = decide_again(many, method="hnsw", wanted=10, found=2, candidates=200, costs=Costs())
    assert again.access.strategy is Strategy.ITERATIVE
    again = decide_again(many, method="hnsw", wanted=10, found=9, candidates=200, costs=Costs())
    assert again.access.strategy is Strategy.PLAIN
    assert again.access.candidates > 200


def test_strategies_that_can_be_asked_for() -> None:
    assert check_strategy(None, exact=False) is None
    assert check_strategy(None, exact=True) is check_strategy("exact", exact=False) is Strategy.EXACT
    assert check_strategy("exact", exact=True) is check_strategy(Strategy.EXACT, exact=False) is Strategy.EXACT
    assert check_strategy("iterative", exact=False) is Strategy.ITERATIVE


@pytest.mark.parametrize("strategy", ["plain", "Exact", "", 1, True, ["exact"], b"exact", Strategy.PLAIN])
def test_strategies_that_cannot(strategy: Any) -> None:
    with pytest.raises(InvalidInput, match="strategy is"):
        check_strategy(strategy, exact=False)


def test_two_strategies_at_once() -> None:
    with pytest.raises(InvalidInput, match="contradict"):
        check_strategy("iterative", exact=True)
