"""The views of collections and indexes, and the comments in the catalogue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.migrations.support import execute, rows, upgrade
from tests.migrations.test_layouts import commented
from vectordb import BM25, HNSW, IVFFlat, VectorDB, connect

FIELDS: dict[str, Any] = {"year": int, "lang": str, "a" * 60: "datetime", "rate": float, "open": bool}


def health(url: str, name: str, *columns: str) -> list[tuple[Any, ...]]:
    chosen = ", ".join(columns)
    return rows(url, f"SELECT index_name, {chosen} FROM vectordb.index_health WHERE collection = %s ORDER BY 1", name)


def test_the_overview_shows_each_collection(url: str, db: VectorDB) -> None:
    docs = db.create_collection("docs", dimensions=4, metric="l2", index=IVFFlat(lists=3), fields={"year": int})
    docs.upsert_vectors(range(5), np.eye(5, 4))
    db.create_collection("bare", dimensions=9, storage="bit", metric="hamming", index=None).drop_text_index()
    execute(url, "ANALYZE vectordb.docs_chunks, vectordb.docs_documents")
    shown = (
        "name, dimensions, metric, storage, index_method, index_options, has_text_index, fields, estimated_documents,"
        " estimated_chunks"
    )
    assert rows(url, f"SELECT {shown} FROM vectordb.collection_overview WHERE name <> 'default' ORDER BY name") == [
        ("bare", 9, "hamming", "bit", None, None, False, {}, None, None),
        ("docs", 4, "l2", "vector", "ivfflat", {"lists": 3}, True, {"year": "int"}, 5, 5),
    ]
    assert rows(url, "SELECT bool_and(table_bytes > 0 AND index_bytes > 0) FROM vectordb.collection_overview") == [
        (True,)
    ]
    ((model,),) = rows(url, "SELECT embedder_model FROM vectordb.collection_overview WHERE name = 'default'")
    assert "MiniLM" in model


@pytest.mark.parametrize(
    ("storage", "metric", "index"),
    [("vector", "inner_product", HNSW()), ("halfvec", "l2", IVFFlat(lists=2)), ("bit", "jaccard", HNSW())],
)
def test_new_indexes_are_healthy(url: str, db: VectorDB, storage: str, metric: str, index: Any) -> None:
    db.create_collection("docs", dimensions=8, storage=storage, metric=metric, index=index, fields=FIELDS)
    found = health(url, "docs", "present", "declared", "valid", "ready", "kind = 'key' OR fits", "bytes >= 0")
    assert {row[1:] for row in found} == {(True,) * 6}
    # Of chunks the vector's and the text's; of both tables the key's, the metadata's and the fields'.
    assert len(found) == 2 + 2 * (2 + len(FIELDS))


def test_what_is_wrong_shows(url: str, db: VectorDB) -> None:
    db.create_collection("docs", dimensions=8, fields={"year": int})
    execute(
        url,
        "DROP INDEX vectordb.docs_chunks_embedding_hnsw_idx, vectordb.docs_chunks_year_idx",
        "CREATE INDEX docs_chunks_embedding_hnsw_idx ON vectordb.docs_chunks USING hnsw (embedding vector_l2_ops)",
        "CREATE INDEX mine ON vectordb.docs_documents (uri)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'vectordb.docs_chunks_metadata_idx'::regclass",
    )
    found = {row[0]: row[1:] for row in health(url, "docs", "kind", "present", "declared", "valid", "fits")}
    assert found["docs_chunks_embedding_hnsw_idx"] == ("vector", True, True, True, False)
    assert found["docs_chunks_year_idx"] == ("field", False, True, None, None)
    assert found["docs_chunks_metadata_idx"] == ("metadata", True, True, False, True)
    assert found["mine"] == ("other", True, False, True, None)


def test_everything_has_a_comment(database_url: str) -> None:
    upgrade(database_url, dimensions="5", fields="year:int")
    with connect(database_url) as db:
        docs = db.create_collection("docs", dimensions=3, fields=FIELDS)
        docs.add_fields({"later": str})
        docs.create_text_index(BM25(k1=1.5))
        docs.create_index(HNSW(m=4))
        db.create_collection("plain", dimensions=3).drop_text_index()
    found = commented(database_url)
    assert len(found) > 150
    assert [name for name, comment in found if not comment] == []
    assert [comment for _, comment in found if comment and ("\n" in comment or comment.endswith("."))] == []
