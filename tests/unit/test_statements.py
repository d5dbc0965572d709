"""The statement of a search as text. What it does is a test of the store."""

from __future__ import annotations

from typing import Any

import pytest

from vectordb import F
from vectordb.errors import InvalidInput
from vectordb.metrics import VectorSpace
from vectordb.search.options import MAX_LIMIT, SearchOptions
from vectordb.search.planning import EXACT, Access, Strategy
from vectordb.search.statements import Shape, grouped_statement, search_statement, unfiltered_access
from vectordb.tables import Tables, collection_tables


def tables(metric: str = "cosine", schema: str = "vectordb") -> Tables:
    space = VectorSpace.of(8, metric, "bit" if metric in ("hamming", "jaccard") else "vector")
    return collection_tables("docs", space, schema=schema, extension_schema="public", element_oid=1)


def unfiltered(method: str | None = "hnsw", limit: int = 10, ef_search: int | None = None) -> str:
    return search_statement(tables(), unfiltered_access(method, limit, ef_search), Shape(limit), None).sql


def test_an_index_scan_brings_its_settings_along() -> None:
    sql = unfiltered("hnsw")
    assert "set_config('hnsw.iterative_scan', 'relaxed_order', true)" in sql
    assert "set_config('hnsw.ef_search'" in sql
    assert "max_scan_tuples" not in sql
    sql = unfiltered("ivfflat")
    assert "set_config('ivfflat.iterative_scan', 'relaxed_order', true)" in sql
    assert "set_config('ivfflat.probes'" in sql
    assert "hnsw" not in sql


@pytest.mark.parametrize(("limit", "ef_search", "used"), [(10, 200, 200), (100, 20, 100), (5_000, 40, 1_000)])
def test_ef_search_is_at_least_the_limit(limit: int, ef_search: int, used: int) -> None:
    assert f"set_config('hnsw.ef_search', '{used}', true)" in unfiltered("hnsw", limit, ef_search)


def test_the_servers_setting_counts_unless_a_number_is_asked_for() -> None:
    assert "greatest(nullif(current_setting('hnsw.ef_search', true), '')::int, 80)" in unfiltered()
    assert "current_setting" not in unfiltered(ef_search=40)


def test_a_large_limit_may_visit_more_rows() -> None:
    assert "set_config('hnsw.max_scan_tuples', '100000', true)" in unfiltered(limit=5_000)


def test_a_filtered_search_takes_its_candidates_once_or_goes_on() -> None:
    once = search_statement(
        tables(), Access(Strategy.PLAIN, "hnsw", 300, filtered=True), Shape(10), F("year") >= 2020
    ).sql
    assert "set_config('hnsw.iterative_scan', 'off', true)" in once
    access = Access(Strategy.ITERATIVE, "hnsw", 300, filtered=True, visits=50_000)
    on = search_statement(tables(), access, Shape(10), F("year") >= 2020).sql
    assert "set_config('hnsw.iterative_scan', 'relaxed_order', true)" in on
    assert "set_config('hnsw.max_scan_tuples', '50000', true)" in on
    assert "set_config('hnsw.scan_mem_multiplier'" in on
    for sql in (once, on):
        assert ") IS TRUE AND (SELECT set_config" in sql, "no other index serves the filter"


@pytest.mark.parametrize("access", [EXACT, unfiltered_access(None, 10, None), unfiltered_access(None, 10, 400)])
def test_an_exact_scan_needs_no_settings_and_has_a_total_order(access: Access) -> None:
    sql = search_statement(tables(), access, Shape(10), None).sql
    assert "set_config" not in sql
    assert ") + 0 AS distance FROM" in sql
    assert sql.endswith("ORDER BY distance, c.document_id, c.ordinal LIMIT 10) AS c")


@pytest.mark.parametrize("access", [EXACT, unfiltered_access("hnsw", 10, None)])
@pytest.mark.parametrize("many", [True, False])
def test_only_an_unfiltered_plan_is_kept(access: Access, *, many: bool) -> None:
    assert search_statement(tables(), access, Shape(10, many=many), None).prepare
    filtered = search_statement(tables(), access, Shape(10, many=many), F("year") == 2020)
    assert not filtered.prepare
    assert filtered.parameters == {"w0": '{"year": 2020}'}
    assert grouped_statement(tables(), None, limit=3, offset=0, per_group=1).prepare
    assert not grouped_statement(tables(), F("year") == 2020, limit=3, offset=0, per_group=1).prepare


def test_the_embedding_stays_where_it_is() -> None:
    selected = unfiltered().partition(" FROM ")[0]
    assert "c.embedding," not in selected
    assert selected.count("embedding") == 1
    wanted = search_statement(tables(), EXACT, Shape(10, embeddings=True), None).sql.partition(" FROM ")[0]
    assert wanted.endswith('"public"."vector_send"(c.embedding)')


def test_names_are_quoted_and_percent_signs_doubled() -> None:
    place = tables("jaccard", schema='my "schema"')
    for sql in (
        search_statement(place, EXACT, Shape(10), None).sql,
        search_statement(place, EXACT, Shape(10, many=True), None).sql,
        grouped_statement(place, None, limit=3, offset=0, per_group=1).sql,
    ):
        assert '"my ""schema"""."docs_chunks"' in sql
        assert 'OPERATOR("public".<%%>) ' in sql


@pytest.mark.parametrize(
    "limit", [0, -1, MAX_LIMIT + 1, "10", 10.0, True, [10], 10**5_000], ids=lambda value: ascii(type(value))
)
def test_limits(limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit is a whole number from 1 to 100000"):
        SearchOptions(limit=limit)


@pytest.mark.parametrize("ef_search", [0, -1, 1_001, "40", 40.0, True])
def test_ef_search(ef_search: Any) -> None:
    with pytest.raises(InvalidInput, match="ef_search is a whole number from 1 to 1000"):
        SearchOptions(ef_search=ef_search)


@pytest.mark.parametrize("offset", [-1, MAX_LIMIT + 1, None, "1", 1.0, True])
def test_offset(offset: Any) -> None:
    with pytest.raises(InvalidInput, match="offset is a whole number from 0 to 100000"):
        SearchOptions(offset=offset)


@pytest.mark.parametrize("per_group", [0, -1, 1_001, "1", 1.0, True])
def test_per_group(per_group: Any) -> None:
    with pytest.raises(InvalidInput, match="per_group is a whole number from 1 to 1000"):
        SearchOptions(per_group=per_group)


@pytest.mark.parametrize(
    "diversity", [-0.1, 1.1, float("nan"), "0.5", True, 10**400, [0.5]], ids=lambda value: f"{value!r:.20}"
)
def test_diversity(diversity: Any) -> None:
    with pytest.raises(InvalidInput, match="diversity is a number from 0 to 1"):
        SearchOptions(diversity=diversity)


@pytest.mark.parametrize(
    "min_score", [float("nan"), "0.5", True, 10**400, -(10**400), [0.5], 1j], ids=lambda value: f"{value!r:.20}"
)
def test_min_score(min_score: Any) -> None:
    with pytest.raises(InvalidInput, match="min_score is a number"):
        SearchOptions(min_score=min_score)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": None},
        {"limit": None, "min_score": 0.5, "offset": 1},
        {"limit": None, "min_score": 0.5, "per_group": 1},
        {"limit": None, "min_score": 0.5, "diversity": 0.0},
        {"limit": None, "min_score": 0.5, "strategy": Strategy.ITERATIVE},
        {"diversity": 0.5, "offset": 10},
        {"diversity": 0.5, "per_group": 2},
    ],
    ids=str,
)
def test_what_does_not_go_together(options: Any) -> None:
    with pytest.raises(InvalidInput):
        SearchOptions(**options)


def test_all_that_reach_a_score() -> None:
    assert SearchOptions(limit=None, min_score=0.5, strategy=Strategy.EXACT).limit is None
