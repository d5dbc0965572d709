"""What the first migration is told, and what it makes of it."""

from __future__ import annotations

import pytest

import vectordb
from tests.migrations.support import check, objects, rows, upgrade, vector_index
from vectordb import errors
from vectordb.bootstrap.options import MigrationOptions
from vectordb.settings import Settings


@pytest.mark.parametrize(
    ("given", "column_type", "index"),
    [
        ({}, "vector(5)", "hnsw (embedding vector_cosine_ops) WITH (m='16', ef_construction='64')"),
        (
            {"metric": "inner_product", "m": "100", "ef_construction": "1000"},
            "vector(5)",
            "hnsw (embedding vector_ip_ops) WITH (m='100', ef_construction='1000')",
        ),
        (
            {"m": "2", "ef_construction": "4", "metric": "l1"},
            "vector(5)",
            "hnsw (embedding vector_l1_ops) WITH (m='2', ef_construction='4')",
        ),
        (
            {"dimensions": "4000", "storage": "halfvec"},
            "halfvec(4000)",
            "hnsw (embedding halfvec_cosine_ops) WITH (m='16', ef_construction='64')",
        ),
        (
            {"storage": "bit", "metric": "jaccard"},
            "bit(5)",
            "hnsw (embedding bit_jaccard_ops) WITH (m='16', ef_construction='64')",
        ),
        (
            {"storage": "sparsevec", "dimensions": "30000"},
            "sparsevec(30000)",
            "hnsw (embedding sparsevec_cosine_ops) WITH (m='16', ef_construction='64')",
        ),
        ({"index": "ivfflat", "lists": "7"}, "vector(5)", "ivfflat (embedding vector_cosine_ops) WITH (lists='7')"),
        ({"index": "none", "dimensions": "16000"}, "vector(16000)", None),
    ],
)
def test_options_make_this_column_and_index(
    shared_url: str, schema: str, given: dict[str, str], column_type: str, index: str | None
) -> None:
    upgrade(shared_url, **{"dimensions": "5", "schema": schema, **given})
    assert vector_index(shared_url, schema) == (column_type, index)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({}, {"k1": 1.2, "b": 0.75}),
        ({"k1": "0.9", "b": "0.4"}, {"k1": 0.9, "b": 0.4}),
        ({"text_index": "none"}, None),
    ],
)
def test_options_make_this_text_index(
    shared_url: str, schema: str, given: dict[str, str], stored: dict[str, float] | None
) -> None:
    upgrade(shared_url, dimensions="5", schema=schema, **given)
    assert rows(shared_url, f"SELECT text_index FROM {schema}.collections") == [(stored,)]
    assert rows(shared_url, "SELECT to_regclass(%s) IS NOT NULL", f"{schema}.chunks_content_tsv_idx") == [
        (stored is not None,)
    ]
    check(shared_url, schema=schema)


def test_settings_of_the_environment_reach_db_migrate(
    shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"DIMENSIONS": "64", "METRIC": "l2", "STORAGE": "halfvec", "M": "24", "SCHEMA": schema}
    for name, value in {**settings, "URL": shared_url}.items():
        monkeypatch.setenv(f"VECTORDB_{name}", value)
    with vectordb.connect() as db:
        db.migrate()
        assert repr(db.collection()) == "Collection('default', halfvec(64), l2)"
    expected = "hnsw (embedding halfvec_l2_ops) WITH (m='24', ef_construction='64')"
    assert vector_index(shared_url, schema) == ("halfvec(64)", expected)


def test_without_options_the_default_model_decides(url: str) -> None:
    with vectordb.connect(url) as db:
        config = db.collection().config
    assert vector_index(url)[0] == "vector(384)"
    assert config.embedder is not None
    assert config.embedder.model == "sentence-transformers/all-MiniLM-L6-v2"
    assert config.embedder.fingerprint is not None


def test_other_dimensions_than_the_model_leave_the_embedder_open(
    shared_url: str, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", schema)
    upgrade(shared_url, dimensions="5")
    with vectordb.connect(shared_url) as db:
        docs = db.collection()
        assert docs.config.embedder is None
        docs.upsert_vectors(["a"], [[1, 2, 3, 4, 5]])
        with pytest.raises(errors.ConfigurationError, match="has no embedder"):
            docs.search("text")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dimensions": "0"}, ["1 to 16000", "0"]),
        ({"dimensions": "-3"}, ["1 to 16000"]),
        ({"dimensions": "2001"}, ["2000", "halfvec", "truncate_dim", "index=None"]),
        ({"dimensions": "16001", "index": "none"}, ["1 to 16000"]),
        ({"dimensions": "4001", "storage": "halfvec"}, ["4000", "bit"]),
        ({"dimensions": "64001", "storage": "bit", "metric": "hamming"}, ["64000"]),
        ({"dimensions": "1.5"}, ["dimensions"]),
        ({"dimensions": ""}, ["dimensions"]),
        ({"metric": "cosin"}, ["metric", "inner_product"]),
        ({"metric": "hamming"}, ["hamming", "vector"]),
        ({"storage": "bit"}, ["cosine", "bit", "hamming, jaccard"]),
        ({"storage": "bit", "metric": "jaccard", "index": "ivfflat"}, ["ivfflat", "jaccard", "hnsw"]),
        ({"storage": "sparsevec", "index": "ivfflat"}, ["ivfflat", "sparsevec", "hnsw"]),
        ({"metric": "l1", "index": "ivfflat"}, ["ivfflat", "l1", "hnsw"]),
        ({"storage": "text"}, ["storage", "halfvec"]),
        ({"index": "flat"}, ["hnsw, ivfflat or none"]),
        ({"m": "1"}, ["m ", "2 to 100"]),
        ({"m": "101"}, ["m ", "2 to 100"]),
        ({"ef_construction": "3", "m": "2"}, ["ef_construction", "4 to 1000"]),
        ({"ef_construction": "1001"}, ["ef_construction", "4 to 1000"]),
        ({"m": "40"}, ["ef_construction", "2 * m"]),
        ({"index": "ivfflat", "lists": "0"}, ["lists", "1 to 32768"]),
        ({"index": "ivfflat", "lists": "32769"}, ["lists", "1 to 32768"]),
        ({"schema": "Bad Name"}, ["schema", "bad_name"]),
        ({"schema": "x" * 64}, ["schema", "34 bytes"]),
        ({"text_config": 'english"; DROP'}, ["text search configuration"]),
        ({"text_index": "gin"}, ["bm25 or none"]),
        ({"k1": "-1"}, ["k1", "0 to 1000"]),
        ({"b": "1.5"}, ["b ", "0 to 1"]),
        ({"b": "nan"}, ["b ", "0 to 1"]),
        ({"metrik": "l2"}, ["metrik", "metric"]),
    ],
)
def test_an_impossible_option_is_explained(given: dict[str, str], words: list[str]) -> None:
    with pytest.raises((errors.ConfigurationError, errors.InvalidName)) as caught:
        MigrationOptions.of(Settings(), {"dimensions": "5", **given}).default_collection()
    assert [word for word in words if word not in str(caught.value)] == []


def test_an_impossible_option_changes_nothing(shared_url: str, schema: str) -> None:
    before = objects(shared_url)
    with pytest.raises(errors.ConfigurationError, match="halfvec"):
        upgrade(shared_url, dimensions="2001", schema=schema)
    assert objects(shared_url) == before
