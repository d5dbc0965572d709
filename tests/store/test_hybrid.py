"""Hybrid search against numpy: true scores and ranks in every hit, and each fusion as its formula says."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.store.conftest import NewCollection
from tests.store.support import mode_of, rows, text_of
from tests.store.test_search_exact import as_stored, distances, scores
from tests.support import HashedEmbedder, hashed_words
from tests.text_oracle import Key, Oracle, keys, lexemes
from vectordb import HNSW, Chunking, Collection, Document, F, FunctionEmbedder, Hit, VectorDB
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.fusion import RRF, Bounded, Candidates, Fusion, RelativeScore, fused_scores
from vectordb.searching.ranked import _FEWEST_CANDIDATES

DIMENSIONS, COUNT = 16, 1_500
WORDS = [f"w{n}" for n in range(300)]
QUERIES = ["w0 w1", "w7", "w250 w3", "w299 w298 w297", "w1 w1 w40 w90 w5", "unknown", "w2 or w9"]
SPACES = [
    ("cosine", "vector"),
    ("cosine", "halfvec"),
    ("l2", "vector"),
    ("inner_product", "vector"),
    ("l1", "vector"),
]
FUSIONS: list[Fusion] = [
    Bounded(),
    Bounded(0.15),
    Bounded(1),
    Bounded(0),
    RelativeScore(),
    RelativeScore(0.9),
    RRF(),
    RRF(1.5, (1, 2)),
    RRF(0, (0, 1)),
    lambda given: given.vector_scores + np.sqrt(given.text_scores) - given.text_ranks / 7 + given.vector_ranks,
]


def embed(texts: list[str]) -> NDArray[np.float32]:
    """Return bags of hashed words of both signs."""
    return hashed_words(texts, DIMENSIONS) - np.linspace(0.3, 0.6, DIMENSIONS, dtype=np.float32)


@dataclass
class Library:
    """A collection, and all that is needed to search it in numpy."""

    docs: Collection
    matrix: NDArray[np.float64]
    oracle: Oracle
    asked: dict[str, dict[str, int]]

    def candidates(
        self, query: str, depth: int, among: NDArray[np.bool_] | None = None
    ) -> tuple[list[Key], Candidates]:
        """Return the best by vector and the best by text, `depth` each, of the rows in `among`."""
        space = self.docs.config.space
        [vector] = as_stored(embed([query]).astype(np.float64), str(space.storage))
        allowed = np.ones(COUNT, dtype=np.bool_) if among is None else among
        ids = np.array(self.oracle.keys)[:, 0].astype(int)
        near = np.round(distances(self.matrix, vector, str(space.metric)), 6)
        texts = np.zeros(COUNT)
        texts[ids] = self.oracle.scores(self.asked[query])
        name = [str(n) for n in range(COUNT)]
        by_vector = sorted(np.flatnonzero(allowed), key=lambda n: (near[n], name[n]))[:depth]
        by_text = sorted(np.flatnonzero(allowed & (texts > 0)), key=lambda n: (-texts[n], name[n]))[:depth]
        found = list(dict.fromkeys([*by_vector, *by_text]))
        ranks = [np.array([part.index(n) + 1 if n in part else 0 for n in found]) for part in (by_vector, by_text)]
        similar = scores(near[found], str(space.metric), DIMENSIONS)
        bound = self.oracle.bound(self.asked[query])
        return [(name[n], 0) for n in found], Candidates(similar, texts[found], ranks[0], ranks[1], bound)

    def check(self, hits: list[Hit], query: str, fusion: Fusion, limit: int, among: Any = None) -> None:
        """Check every value of every hit; those with the same score may come in any order."""
        depth = max(_FEWEST_CANDIDATES, 2 * limit)
        found, given = self.candidates(query, depth, among)
        fused = fused_scores(fusion, given)
        assert len(hits) == min(limit, len(found))
        np.testing.assert_allclose(
            [hit.score for hit in hits], np.sort(fused)[::-1][: len(hits)], rtol=2e-5, atol=2e-5, err_msg=query
        )
        assert keys(hits) == keys(sorted(hits, key=lambda hit: (-hit.score, hit.document_id)))
        place = {key: number for number, key in enumerate(found)}
        for hit in hits:
            n = place[hit.document_id, hit.ordinal]
            assert hit.vector_score == pytest.approx(given.vector_scores[n], rel=2e-5, abs=2e-5)
            assert self.docs.config.space.score(hit.distance or 0.0) == hit.vector_score
            assert hit.text_score == pytest.approx(given.text_scores[n], rel=1e-12)
            assert hit.text_rank == (given.text_ranks[n] or None)
            # Distances that differ by less than a float32 tells apart may change places.
            assert abs((hit.vector_rank or depth + 1) - (given.vector_ranks[n] or depth + 1)) <= 1


def filled(db: VectorDB, name: str, **options: Any) -> Library:
    docs = db.create_collection(
        name,
        embedder=FunctionEmbedder(embed, dimensions=DIMENSIONS, name="bag"),
        text_config="simple",
        **{"index": None, **options},
    )
    random = Random(8)
    weights = [1 / (n + 2) for n in range(len(WORDS))]
    texts = [" ".join(random.choices(WORDS, weights, k=random.choice([3, 8, 20]))) for _ in range(COUNT)]
    noise = np.random.default_rng(9).standard_normal((COUNT, DIMENSIONS)).astype(np.float32)
    matrix = embed(texts) + noise / 3
    metadata = [{"n": n, "odd": n % 2 == 1} for n in range(COUNT)]
    docs.upsert_vectors(range(COUNT), matrix, contents=texts, metadata=metadata)
    with db.engine.connect() as connection:
        asked = dict(
            zip(QUERIES, lexemes(connection, "simple", [q.replace(" or ", " ") for q in QUERIES]), strict=True)
        )
        oracle = Oracle.of(connection, docs)
    return Library(docs, as_stored(matrix.astype(np.float64), str(docs.config.space.storage)), oracle, asked)


@pytest.fixture(scope="module", params=SPACES, ids=" ".join)
def library(request: pytest.FixtureRequest, home: VectorDB) -> Library:
    """Only to be read."""
    metric, storage = request.param
    return filled(home, f"library_{metric}_{storage}", metric=metric, storage=storage)


@pytest.fixture(scope="module")
def cosine(home: VectorDB) -> Library:
    """The usual space, with an index for vectors; only to be read."""
    return filled(home, "library_usual", index=HNSW())


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: str(fusion)[:30])
def test_each_fusion_is_its_formula(library: Library, fusion: Fusion) -> None:
    for query in QUERIES:
        hits = library.docs.search(query, fusion=fusion)
        assert hits.plan is not None
        assert hits.plan.mode == "hybrid"
        library.check(list(hits), query, fusion, 10)


@pytest.mark.parametrize("limit", [1, 60, 500])
def test_however_many(library: Library, limit: int) -> None:
    for query in QUERIES[::3]:
        library.check(list(library.docs.search(query, limit=limit, fusion=Bounded())), query, Bounded(), limit)


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
def test_bits(home: VectorDB, metric: str) -> None:
    """Where all rows are candidates, it does not matter which of equally near ones would be the last."""
    library = filled(home, f"library_{metric}", metric=metric, storage="bit")
    for fusion in (Bounded(), RelativeScore(), RelativeScore(0.2)):
        for query in QUERIES[:3]:
            hits = library.docs.search(query, fusion=fusion, limit=COUNT)
            _, given = library.candidates(query, COUNT)
            expected = np.sort(fused_scores(fusion, given))[::-1]
            np.testing.assert_allclose([hit.score for hit in hits], expected, rtol=2e-5, atol=2e-5)


def test_the_default(library: Library) -> None:
    """Scores without a bound, of an inner product, are stretched."""
    metric = str(library.docs.config.space.metric)
    expected = "relative_score" if metric == "inner_product" else "bounded"
    for query in QUERIES:
        assert library.docs.search(query) == library.docs.search(query, mode="hybrid", fusion=expected)


def test_with_filters(cosine: Library) -> None:
    n = np.arange(COUNT)
    for where, among in (
        (F("odd") == True, n % 2 == 1),  # noqa: E712 - builds a filter
        (F("n") < 30, n < 30),
        (F("n") == 77, n == 77),
        (F("n") < 0, n < 0),
        ((F("n") >= 200) & ~(F("n") > 900), (n >= 200) & (n <= 900)),
    ):
        for query in QUERIES:
            hits = cosine.docs.search(query, where=where, exact=True)
            cosine.check(list(hits), query, Bounded(), 10, among)
            by_index = cosine.docs.search(query, where=where)
            assert len(by_index) == len(hits)
            assert len(set(keys(by_index)) & set(keys(hits))) >= 0.8 * len(hits)


def test_by_the_index(cosine: Library) -> None:
    """Ranks and scores are true ones whichever way the vector's list was found."""
    for query in QUERIES:
        hits, exact = cosine.docs.search(query), cosine.docs.search(query, exact=True)
        assert len(set(keys(hits)) & set(keys(exact))) >= 8
        every = cosine.docs.search(query, mode="text", limit=_FEWEST_CANDIDATES)
        ranks = {hit.document_id: hit.text_rank for hit in every}
        for hit in hits:
            assert hit.text_rank == ranks.get(hit.document_id)
            assert hit.vector_score == 1 - (hit.distance or 0.0)
            assert hit.vector_rank or hit.text_rank


def test_ranks_follow_the_distance_though_the_index_does_not(new_collection: NewCollection) -> None:
    """An index scan of many rows returns them slightly out of order."""
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(6_000, DIMENSIONS)).astype(np.float32)
    vectors = iter(rng.normal(size=(20, DIMENSIONS)).astype(np.float32))
    embedder = FunctionEmbedder(lambda texts: np.stack([next(vectors) for _ in texts]), dimensions=DIMENSIONS, name="x")
    docs = new_collection(embedder=embedder, index=HNSW(m=4, ef_construction=16))
    docs.upsert_vectors([str(n) for n in range(len(matrix))], matrix, contents=["word"] * len(matrix))
    for _ in range(5):
        hits = docs.search("word", mode="hybrid", limit=1_000)
        near = sorted((hit for hit in hits if hit.vector_rank), key=lambda hit: hit.vector_rank or 0)
        assert [hit.distance for hit in near] == sorted(hit.distance or 0.0 for hit in near)


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"where": F("n") < 400}, {"fusion": RRF()}], ids=str)
@pytest.mark.parametrize("limit", [1, 7, 25])
def test_pages(cosine: Library, limit: int, options: dict[str, Any]) -> None:
    for query in QUERIES[:3]:
        pages = [
            cosine.docs.search(query, limit=limit, offset=start, **options)
            for start in range(0, 100, limit)[: 8 if limit == 1 else 100]
        ]
        found = [key for page in pages for key in keys(page)]
        assert all(len(page) == limit for page in pages)
        assert len(set(found)) == len(found)
        assert pages[0] == cosine.docs.search(query, limit=limit, **options)


def test_the_last_page(cosine: Library) -> None:
    where = F("n") < 35
    pages = [cosine.docs.search("w0 w1", limit=10, offset=start, where=where) for start in (0, 10, 20, 30, 40)]
    assert [len(page) for page in pages] == [10, 10, 10, 5, 0]
    assert {key for page in pages for key in keys(page)} == {(str(n), 0) for n in range(35)}
    texts = cosine.docs.search("w0 w1", mode="text", limit=COUNT)
    parts = [cosine.docs.search("w0 w1", mode="text", limit=200, offset=start) for start in range(0, COUNT, 200)]
    assert [hit for page in parts for hit in page] == list(texts)


def test_least_score(cosine: Library) -> None:
    for mode in ("text", "hybrid"):
        hits = cosine.docs.search("w0 w1", mode=mode, limit=40)
        least = hits[17].score
        kept = [hit for hit in hits if hit.score >= least]
        assert list(cosine.docs.search("w0 w1", mode=mode, limit=40, min_score=least)) == kept
        assert len(cosine.docs.search("w0 w1", mode=mode, min_score=1_000)) == 0
    every = cosine.docs.search("w0 w1", mode="text", limit=None, min_score=0)
    assert list(every) == list(cosine.docs.search("w0 w1", mode="text", limit=100_000))
    assert len(every) > 500


# Groups.


@pytest.fixture(scope="module")
def long_documents(home: VectorDB) -> Collection:
    """30 documents of 1 to 9 chunks."""
    docs = home.create_collection(
        "hybrid_groups", embedder=HashedEmbedder(), chunking=Chunking(size=30, unit="characters"), text_config="simple"
    )
    random = Random(4)
    pick = ["cats", "dogs", "birds", "fish", "bees"]
    docs.upsert(
        [
            Document(text_of(*[f"So {' '.join(random.choices(pick, k=3))}." for _ in range(1 + n % 9)]), n)
            for n in range(30)
        ]
    )
    return docs


@pytest.mark.parametrize("mode", ["text", "hybrid"])
@pytest.mark.parametrize(("limit", "offset", "per_group"), [(1, 0, 1), (5, 0, 1), (5, 5, 1), (5, 0, 3), (40, 0, 100)])
def test_groups(long_documents: Collection, mode: str, limit: int, offset: int, per_group: int) -> None:
    for query in ("dogs bees", "fish", "cats -dogs"):
        groups: dict[str, list[Hit]] = {}
        for hit in long_documents.search(query, mode=mode, limit=10_000, exact=True):
            groups.setdefault(hit.document_id, []).append(hit)
        chosen = [hit for group in list(groups.values())[offset : offset + limit] for hit in group[:per_group]]
        found = long_documents.search(
            query, mode=mode, limit=limit, offset=offset, group_by="document", per_group=per_group, exact=True
        )
        expected = sorted(chosen, key=lambda hit: (-hit.score, hit.document_id, hit.ordinal))
        assert keys(found) == keys(expected)
        np.testing.assert_allclose([hit.score for hit in found], [hit.score for hit in expected])


# Where it does not go.


def test_what_does_not_go_together(cosine: Library, new_collection: NewCollection) -> None:
    docs, vector = cosine.docs, np.ones(DIMENSIONS)
    options: dict[str, Any]
    for options in (
        {"mode": "text"},
        {"mode": "hybrid"},
        {"fusion": RRF()},
        {"highlight": True},
        {"rerank": lambda query, texts: [0] * len(texts)},
    ):
        with pytest.raises(InvalidInput):
            docs.search(vector, **options)
        with pytest.raises(InvalidInput):
            docs.search_many([vector, vector], **options)
    for options in (
        {"mode": "both"},
        {"mode": 5},
        {"fusion": "linear"},
        {"mode": "text", "fusion": RRF()},
        {"mode": "vector", "fusion": RRF()},
        {"mode": "hybrid", "limit": None, "min_score": 0.5},
        {"mode": "text", "limit": None},
        {"mode": "text", "diversity": 0.5},
        {"mode": "hybrid", "diversity": 0.5},
        {"mode": "hybrid", "like": "1"},
        {"like": "1", "highlight": True},
        {"rerank_depth": 10},
    ):
        with pytest.raises(InvalidInput):
            docs.search("w0", **options)
    assert mode_of(docs.search(vector)) == "vector"  # there is one
    assert mode_of(docs.search("w0", like="1")) == "vector"
    assert mode_of(docs.search("w0", diversity=0.5)) == "vector"
    assert mode_of(docs.search("w0", limit=None, min_score=0.5)) == "vector"


def test_without_a_text_index(new_collection: NewCollection) -> None:
    docs = new_collection(embedder=HashedEmbedder(), text_index=None)
    docs.upsert(["cats purr", "dogs bark"])
    assert mode_of(docs.search("cats")) == "vector"
    for mode in ("text", "hybrid"):
        with pytest.raises(ConfigurationError, match="has no text index"):
            docs.search("cats", mode=mode)
        with pytest.raises(ConfigurationError, match="has no text index"):
            docs.search_many(["cats"], mode=mode)
    docs.create_text_index()
    assert mode_of(docs.search("cats")) == "hybrid"
    docs.drop_text_index()
    assert mode_of(docs.search("cats")) == "vector"


def test_without_an_embedder(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=3)
    docs.upsert_vectors(["a", "b"], np.ones((2, 3)), contents=["cats purr", "dogs bark"])
    assert keys(docs.search("cat", mode="text")) == [("a", 0)]
    with pytest.raises(ConfigurationError):
        docs.search("cat")


def failing(given: Candidates) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize("fusion", [failing, lambda given: [1.0], lambda given: np.full(len(given), np.nan)])
def test_fusions_that_fail(cosine: Library, fusion: Any) -> None:
    with pytest.raises(InvalidInput, match="the fusion"):
        cosine.docs.search("w0", fusion=fusion)
    assert len(cosine.docs.search("w0", fusion=fusion, where=F("n") < 0)) == 0


# Together with the rest.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mode": "text"},
        {"fusion": RRF(), "limit": 3},
        {"where": F("n") < 100},
        {"offset": 5},
        {"group_by": "document"},
        {"highlight": True, "min_score": 0.3},
        {"fusion": lambda given: given.text_scores},
        {"rerank": lambda query, texts: [-len(text) for text in texts], "rerank_depth": 20},
    ],
    ids=str,
)
def test_many_queries(cosine: Library, options: dict[str, Any]) -> None:
    one_by_one = [cosine.docs.search(query, **options) for query in QUERIES]
    assert cosine.docs.search_many(QUERIES, **options) == one_by_one
    assert cosine.docs.search_many(iter(QUERIES[:1]), **options) == one_by_one[:1]
    assert cosine.docs.search_many([], **options) == []


def test_texts_and_vectors_at_once(cosine: Library) -> None:
    vector = np.ones(DIMENSIONS)
    found = cosine.docs.search_many(["w0", vector, "w7"])
    assert found == [cosine.docs.search("w0"), cosine.docs.search(vector), cosine.docs.search("w7")]


def test_before_a_commit(home: VectorDB, docs: Collection) -> None:
    docs.upsert([Document("Cats purr.", "cats"), Document("Dogs bark.", "dogs")])
    setting = "SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan')"
    with home.transaction() as connection:
        before = connection.exec_driver_sql(setting).one()
        docs.upsert(Document("Zebras bray.", "zebras"))
        for mode in ("text", "hybrid"):
            assert docs.search("zebras", mode=mode)[0].document_id == "zebras"
            assert docs.search("zebras", mode=mode, where=F("id") > "a", ef_search=200)[0].document_id == "zebras"
        docs.delete("cats")
        assert len(docs.search("cats", mode="text")) == 0
        assert connection.exec_driver_sql(setting).one() == before
        connection.rollback()
    assert [len(docs.search(word, mode="text")) for word in ("zebras", "cats")] == [0, 1]
    assert rows(home, setting) == [tuple(before)]
