"""The text index as a part of a collection: made, replaced and dropped with all that belongs to it."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import vectordb
from tests.migrations.support import execute, objects
from tests.store.conftest import NewCollection
from tests.store.support import rows
from vectordb import BM25, Collection, F, VectorDB
from vectordb.errors import ConfigurationError


def counted(db: VectorDB, docs: Collection) -> list[tuple[Any, ...]]:
    """Return what the text index has counted: lexemes with their texts and occurrences, "" for all texts."""
    chunks = docs.Chunk.__table__.fullname
    return rows(
        db,
        f"""
        WITH counted AS (
            SELECT lexeme, texts, occurrences FROM {chunks}_lexemes
            UNION ALL SELECT lexeme, sign, sign * cardinality(positions) FROM {chunks}_text_changes, unnest(content)
            UNION ALL SELECT '', sign, sign * length FROM {chunks}_text_changes
        )
        SELECT lexeme, sum(texts)::bigint, sum(occurrences)::bigint FROM counted GROUP BY 1
        HAVING sum(texts) <> 0 ORDER BY 1
        """,
    )


def occurring(db: VectorDB, docs: Collection) -> list[tuple[Any, ...]]:
    """Return the same as PostgreSQL counts it in the texts themselves."""
    chunks = docs.Chunk.__table__.fullname
    return rows(
        db,
        f"""
        SELECT word COLLATE "C", ndoc::bigint, nentry::bigint FROM ts_stat('SELECT content_tsv FROM {chunks}')
        UNION ALL
        SELECT '', count(DISTINCT (document_id, ordinal)), sum(cardinality(positions))
        FROM {chunks}, unnest(content_tsv) HAVING count(*) > 0
        ORDER BY 1
        """,
    )


def write(docs: Collection, ids: range, words: str) -> None:
    docs.upsert_vectors(ids, np.ones((len(ids), 3)), contents=[f"{words} {n} {'again ' * (n % 3)}" for n in ids])


def test_it_comes_and_goes_with_the_collection(url: str) -> None:
    with vectordb.connect(url) as db:
        db.collection()
        before = objects(url)
        docs = db.create_collection("docs", dimensions=3)
        write(docs, range(9), "cats and dogs")
        assert docs.text_index == docs.config.text_index == BM25()
        info = docs.text_index_info()
        assert info is not None
        assert (info.name, info.valid, info.options) == ("docs_chunks_content_tsv_idx", True, {"k1": 1.2, "b": 0.75})
        db.drop_collection("docs")
        assert objects(url) == before


def test_a_collection_without_it_has_nothing_of_it(url: str) -> None:
    with vectordb.connect(url) as db:
        docs = db.create_collection("docs", dimensions=3, text_index=None)
        bare = objects(url)
        assert docs.text_index is None
        assert docs.text_index_info() is None
        assert not [each for each in bare if "docs_chunks" in each and ("text" in each or "lexeme" in each)]
        docs.create_text_index()
        assert objects(url) > bare
        docs.drop_text_index()
        # Numbers of objects aside, all is as it was.
        assert {each.split(": ", 1)[1] for each in objects(url)} == {each.split(": ", 1)[1] for each in bare}


def test_a_filled_collection_is_indexed(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3, text_index=None, text_config="german")
    write(docs, range(50), "Äpfel und Birnen")
    docs.create_text_index(BM25(k1=0.9, b=0.4))
    assert docs.text_index == home.collection(docs.name).text_index == BM25(0.9, 0.4)
    assert counted(home, docs) == occurring(home, docs)
    assert counted(home, docs)[0] == ("", 50, 50 * 3 + 49)


def test_another_takes_its_place(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3)
    write(docs, range(300), "cats and dogs")
    docs.delete(where=F("id") == "7")
    docs.create_text_index(BM25(k1=2, b=0))
    assert docs.text_index == home.collection(docs.name).text_index == BM25(2, 0)
    assert counted(home, docs) == occurring(home, docs)
    plan = f"{docs.Chunk.__table__.fullname}_text_plan"
    assert rows(home, f"SELECT k1, b FROM {plan}('cats', 10)") == [(2, 0)]


def test_it_counts_what_is_written_while_it_is_built(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3, text_index=None)
    write(docs, range(1_000), "cats and dogs")
    ready = threading.Barrier(4)

    def build(b: float) -> None:
        ready.wait()
        home.collection(docs.name).create_text_index(BM25(b=b))

    def keep_writing(first: int) -> None:
        ready.wait()
        for start in range(first, first + 200, 20):
            write(docs, range(start, start + 20), "birds and fish")
            docs.delete([str(start), str(start + 1)])

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(build, 0.1), pool.submit(build, 0.2)]
        tasks += [pool.submit(keep_writing, first) for first in (900, 2_000)]
        for task in tasks:
            task.result()
    assert home.collection(docs.name).text_index in (BM25(b=0.1), BM25(b=0.2))
    assert counted(home, docs) == occurring(home, docs)


def test_a_transaction_takes_it_back(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3)
    write(docs, range(9), "cats and dogs")
    before = counted(home, docs)
    with contextlib.suppress(RuntimeError), home.transaction():
        home.collection(docs.name).drop_text_index()
        assert home.collection(docs.name).text_index is None
        raise RuntimeError
    assert home.collection(docs.name).text_index == BM25()
    assert counted(home, docs) == before


def test_declared_fields_and_it_leave_each_other_alone(home: VectorDB, new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3, fields={"text": str, "lexemes": int, "k1": float})
    docs.add_fields({"text_changes": str})
    docs.drop_fields(["text"])
    info = docs.text_index_info()
    assert info is not None
    assert info.valid


@pytest.mark.parametrize("index", ["bm25", BM25, True, {"k1": 1, "b": 0}], ids=repr)
def test_what_is_no_text_index(home: VectorDB, new_collection: NewCollection, index: Any) -> None:
    with pytest.raises(ConfigurationError, match="a text index is BM25"):
        home.create_collection("impossible", dimensions=3, text_index=index)
    docs = new_collection(dimensions=3)
    with pytest.raises(ConfigurationError, match="a text index is BM25"):
        docs.create_text_index(index)
    assert docs.text_index == BM25()


def test_a_view_cannot_change_it(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3)
    view = docs.where(F("n") == 1)
    assert view.text_index == BM25()
    for change in (view.create_text_index, view.drop_text_index):
        with pytest.raises(ConfigurationError, match="not of a view"):
            change()


def test_a_text_configuration_outside_of_the_search_path_is_named_with_its_schema(db: VectorDB, url: str) -> None:
    execute(url, "CREATE SCHEMA mine", "CREATE TEXT SEARCH CONFIGURATION mine.ours (COPY = pg_catalog.simple)")
    with pytest.raises(ConfigurationError, match=r"'ours' is in the schema 'mine'.*search_path"):
        db.create_collection("docs", dimensions=3, text_config="ours")


def test_a_text_configuration_of_ones_own(url: str) -> None:
    execute(url, "CREATE TEXT SEARCH CONFIGURATION public.ours (COPY = pg_catalog.english)")
    with vectordb.connect(url) as db:
        docs = db.create_collection("docs", dimensions=3, text_config="ours")
        write(docs, range(9), "running dogs")
        docs.create_text_index(BM25(b=0))
        assert counted(db, docs) == occurring(db, docs)
