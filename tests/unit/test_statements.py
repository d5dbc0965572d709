"""The statement of a search as text. What it does is a test of the store."""

from __future__ import annotations

from typing import Any

import pytest

from vectordb import F
from vectordb.errors import InvalidInput
from vectordb.metrics import VectorSpace
from vectordb.search.statements import MAX_LIMIT, SearchOptions, search_statement
from vectordb.tables import Tables, collection_tables


def tables(metric: str = "cosine", schema: str = "vectordb") -> Tables:
    space = VectorSpace.of(8, metric, "bit" if metric in ("hamming", "jaccard") else "vector")
    return collection_tables("docs", space, schema=schema, extension_schema="public", element_oid=1)


def test_an_index_scan_brings_its_settings_along() -> None:
    sql = search_statement(tables(), "hnsw", SearchOptions(limit=10), None).sql
    assert "set_config('hnsw.iterative_scan', 'relaxed_order', true)" in sql
    assert "set_config('hnsw.ef_search'" in sql
    assert "max_scan_tuples" not in sql
    sql = search_statement(tables(), "ivfflat", SearchOptions(limit=10), None).sql
    assert "set_config('ivfflat.iterative_scan', 'relaxed_order', true)" in sql
    assert "set_config('ivfflat.probes'" in sql
    assert "hnsw" not in sql


@pytest.mark.parametrize(("limit", "ef_search", "used"), [(10, 200, 200), (100, 20, 100), (5_000, 40, 1_000)])
def test_ef_search_is_at_least_the_limit(limit: int, ef_search: int, used: int) -> None:
    sql = search_statement(tables(), "hnsw", SearchOptions(limit=limit, ef_search=ef_search), None).sql
    assert f"set_config('hnsw.ef_search', '{used}', true)" in sql


def test_a_large_limit_may_visit_more_rows() -> None:
    sql = search_statement(tables(), "hnsw", SearchOptions(limit=5_000), None).sql
    assert "set_config('hnsw.max_scan_tuples', '100000', true)" in sql


@pytest.mark.parametrize(("method", "exact"), [("hnsw", True), ("ivfflat", True), (None, False), (None, True)])
def test_an_exact_scan_needs_no_settings_and_has_a_total_order(method: str | None, exact: bool) -> None:
    sql = search_statement(tables(), method, SearchOptions(exact=exact), None).sql
    assert "set_config" not in sql
    assert sql.endswith("+ 0, c.document_id, c.ordinal LIMIT 10")


def test_only_an_unfiltered_plan_is_kept() -> None:
    assert search_statement(tables(), "hnsw", SearchOptions(), None).prepare
    filtered = search_statement(tables(), "hnsw", SearchOptions(), F("year") == 2020)
    assert not filtered.prepare
    assert filtered.parameters == {"w0": "year", "w1": "2020"}


def test_the_embedding_stays_where_it_is() -> None:
    selected = search_statement(tables(), "hnsw", SearchOptions(), None).sql.partition(" FROM ")[0]
    assert "c.embedding," not in selected
    assert selected.count("embedding") == 1


def test_names_are_quoted_and_percent_signs_doubled() -> None:
    sql = search_statement(tables("jaccard", schema='my "schema"'), None, SearchOptions(), None).sql
    assert '"my ""schema"""."docs_chunks"' in sql
    assert 'OPERATOR("public".<%%>) %(query)b' in sql


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, None, "10", 10.0, True])
def test_limits(limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit is a whole number from 1 to 100000"):
        SearchOptions(limit=limit)


@pytest.mark.parametrize("ef_search", [0, -1, 1_001, "40", 40.0, True])
def test_ef_search(ef_search: Any) -> None:
    with pytest.raises(InvalidInput, match="ef_search is a whole number from 1 to 1000"):
        SearchOptions(ef_search=ef_search)
