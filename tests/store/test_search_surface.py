"""What search offers beyond the nearest rows: many queries, pages, groups, ranges, examples and variety."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.store.conftest import NewCollection
from tests.store.support import text_of, unit_vectors
from tests.store.test_search_exact import distances, scores
from tests.support import HashedEmbedder, hashed_words
from vectordb import HNSW, Chunking, Collection, Document, F, Hit, IVFFlat, Metric, VectorDB
from vectordb.errors import DocumentNotFound, InvalidFilter, InvalidInput, InvalidText, InvalidVector

DIMENSIONS, COUNT = 8, 3_000
BIT_METRICS = (Metric.HAMMING, Metric.JACCARD)


@pytest.fixture(scope="module")
def matrix() -> NDArray[np.float32]:
    return unit_vectors(np.random.default_rng(11), COUNT, DIMENSIONS)


@pytest.fixture(scope="module", params=["hnsw", "poor hnsw", "ivfflat", "none"])
def cloud(request: pytest.FixtureRequest, home: VectorDB, matrix: NDArray[np.float32]) -> Collection:
    """Points under an index, of which a poor one misses many; only to be read."""
    docs = home.create_collection(f"surface_{request.param.replace(' ', '_')}", dimensions=DIMENSIONS, index=None)
    metadata = [{"n": n, "percent": n % 100} for n in range(COUNT)]
    docs.upsert_vectors(range(COUNT), matrix, contents=["A text. " * 40] * COUNT, metadata=metadata)
    index: dict[str, HNSW | IVFFlat] = {
        "hnsw": HNSW(),
        "poor hnsw": HNSW(m=2, ef_construction=4),
        "ivfflat": IVFFlat(lists=30),
    }
    if request.param in index:
        docs.create_index(index[request.param])
    return docs


@pytest.fixture
def long_documents(new_collection: NewCollection, embedder: HashedEmbedder) -> Collection:
    """40 documents of 1 to 12 chunks, many of which are equal."""
    docs = new_collection(embedder=embedder, chunking=Chunking(size=30, unit="characters"), fields={"even": bool})
    words = ["cats purr", "dogs bark", "birds sing", "fish swim", "bees hum"]
    random = np.random.default_rng(5)
    docs.upsert(
        [
            Document(
                text_of(*[f"So {words[random.integers(5)]} {words[random.integers(5)]}." for _ in range(1 + n % 12)]),
                n,
                metadata={"n": n, "even": n % 2 == 0},
            )
            for n in range(40)
        ]
    )
    return docs


def keys(hits: Any) -> list[tuple[str, int]]:
    return [(hit.document_id, hit.ordinal) for hit in hits]


def in_order(hits: Any) -> bool:
    order = [(hit.distance, hit.document_id, hit.ordinal) for hit in hits]
    return order == sorted(order)


# Many queries.


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 3},
        {"limit": 5_000},
        {"where": F("percent") == 7},
        {"where": F("percent") == 7, "limit": 100},
        {"where": F("n") == -1},
        {"min_score": 0.8},
        {"exact": True},
        {"ef_search": 300},
        {"limit": None, "min_score": 0.7},
        {"offset": 7},
        {"diversity": 0.5},
        {"group_by": "document"},
        {"exact": True, "where": F("percent") < 50},
    ],
    ids=str,
)
def test_many_queries_find_what_each_does(cloud: Collection, options: dict[str, Any]) -> None:
    queries = unit_vectors(np.random.default_rng(12), 5, DIMENSIONS)
    one_by_one = [cloud.search(query, **options) for query in queries]
    for given in (queries, list(queries), queries.tolist(), iter(queries)):
        found = cloud.search_many(given, **options)
        if options.get("exact") or cloud.config.index is None or "group_by" in options:
            assert found == one_by_one
        for some, expected in zip(found, one_by_one, strict=True):
            assert len(some) == len(expected)
            assert some.plan is not None
            assert len({*keys(some)} & {*keys(expected)}) >= 0.9 * len(expected)


def test_many_queries_of_texts_and_vectors(docs: Collection, embedder: HashedEmbedder) -> None:
    docs.upsert(["Cats purr.", "Dogs bark.", "Birds sing."])
    [vector] = hashed_words(["dogs bark"])
    embedder.seen.clear()
    found = docs.search_many(["cats purr", vector, "birds sing", vector.tolist()], limit=1)
    assert sorted(embedder.seen) == ["birds sing", "cats purr"]
    assert [results[0].content for results in found] == ["Cats purr.", "Dogs bark.", "Birds sing.", "Dogs bark."]
    assert docs.search_many(["cats", "cats"]) == [docs.search("cats")] * 2
    assert docs.search_many([]) == docs.search_many(iter(())) == docs.search_many(np.empty((0, 16))) == []
    assert docs.search_many(["cats"], where=F("id") == "none") == [docs.search("cats", where=F("id") == "none")]


@pytest.mark.parametrize("queries", ["cats", b"cats", None, 5, np.float32(1)], ids=str)
def test_several_queries_are_needed(docs: Collection, queries: Any) -> None:
    with pytest.raises(InvalidInput, match="search_many takes several queries"):
        docs.search_many(queries)


@pytest.mark.parametrize("query", ["", "a\x00", None, [1, 2], [math.nan] * 16, {"a": 1}, []], ids=ascii)
def test_one_bad_query_of_many(docs: Collection, embedder: HashedEmbedder, query: Any) -> None:
    docs.upsert("Cats purr.")
    with pytest.raises(InvalidInput):
        docs.search_many(["cats", query])


# Pages.


@pytest.mark.parametrize("limit", [1, 7, 50])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exact": True},
        {"strategy": "iterative"},
        {"where": F("percent") == 3},
        {"where": F("percent") < 60},
        {"where": F("percent") < 60, "strategy": "iterative"},
        {"group_by": "document"},
        {"group_by": "document", "where": F("percent") < 60, "strategy": "iterative"},
        {"ef_search": 1},
    ],
    ids=str,
)
def test_pages_show_every_hit_once(
    cloud: Collection, matrix: NDArray[np.float32], limit: int, options: dict[str, Any]
) -> None:
    query = unit_vectors(np.random.default_rng(13), 1, DIMENSIONS)[0]
    pages = [cloud.search(query, limit=limit, offset=start, **options) for start in range(0, 12 * limit, limit)]
    matching = sum(1 for n in range(COUNT) if "where" not in options or options["where"].matches({"percent": n % 100}))
    hits = [hit for page in pages for hit in page]
    if options.get("strategy") != "iterative":
        assert len(hits) == min(12 * limit, matching)
    assert len(set(keys(hits))) == len(hits), "a hit comes twice"
    assert all(in_order(page) for page in pages)
    assert [hit.vector_rank for page in pages for hit in page] == list(range(1, len(hits) + 1))
    if options.get("exact"):
        assert hits == list(cloud.search(query, limit=12 * limit, exact=True))


@pytest.mark.parametrize(
    "options", [{}, {"exact": True}, {"where": F("percent") < 4}, {"group_by": "document"}], ids=str
)
def test_the_pages_together_are_everything(cloud: Collection, options: dict[str, Any]) -> None:
    query = unit_vectors(np.random.default_rng(14), 1, DIMENSIONS)[0]
    found: list[Hit] = []
    for start in range(0, 4_000, 500):
        found += cloud.search(query, limit=500, offset=start, **options)
    expected = [str(n) for n in range(COUNT) if "where" not in options or n % 100 < 4]
    assert sorted(hit.document_id for hit in found) == sorted(expected)


def test_behind_the_last_page(cloud: Collection, points: Collection) -> None:
    for options in ({}, {"exact": True}, {"where": F("percent") == 3}, {"group_by": "document"}):
        assert len(cloud.search([1] * DIMENSIONS, offset=COUNT, **options)) == 0
        assert len(cloud.search([1] * DIMENSIONS, offset=100_000, **options)) == 0
    assert len(points.search([1, 2, 3], offset=5)) == 0
    assert len(cloud.search([1] * DIMENSIONS, limit=10, offset=COUNT - 4)) == 4


def test_pages_of_hits_that_reach_a_score(cloud: Collection) -> None:
    query = unit_vectors(np.random.default_rng(15), 1, DIMENSIONS)[0]
    every = cloud.search(query, limit=100, exact=True)
    least = every[14].score
    second = cloud.search(query, limit=10, offset=10, exact=True, min_score=least)
    assert list(second) == list(every[10:15])


# Groups.


def best_by_python(docs: Collection, query: Any, limit: int, offset: int, per_group: int, where: Any) -> list[Hit]:
    """Return the nearest documents' nearest chunks, from all chunks."""
    groups: dict[str, list[Hit]] = {}
    for hit in docs.search(query, limit=10_000, mode="vector", exact=True, where=where):
        groups.setdefault(hit.document_id, []).append(hit)
    chosen = list(groups.values())[offset : offset + limit]
    hits = [hit for group in chosen for hit in group[:per_group]]
    return sorted(hits, key=lambda hit: (hit.distance, hit.document_id, hit.ordinal))


@pytest.mark.parametrize("per_group", [1, 2, 3, 1_000])
@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (5, 0), (5, 5), (40, 0), (100, 0), (7, 35), (10, 40)])
@pytest.mark.parametrize("where", [None, F("even") == True, F("n") < 4], ids=str)  # noqa: E712 - builds a filter
@pytest.mark.parametrize("exact", [True, False])
def test_groups_as_python_makes_them(
    long_documents: Collection, per_group: int, limit: int, offset: int, where: Any, *, exact: bool
) -> None:
    for query in ("dogs bark", "cats sing"):
        found = long_documents.search(
            query,
            limit=limit,
            offset=offset,
            mode="vector",
            group_by="document",
            per_group=per_group,
            where=where,
            exact=exact,
        )
        expected = best_by_python(long_documents, query, limit, offset, per_group, where)
        assert [hit.distance for hit in found] == [hit.distance for hit in expected]
        assert in_order(found)
        if exact:
            # Of equal chunks at the end of its candidates, an index holds any.
            assert keys(found) == keys(expected)


def test_as_many_documents_as_asked_behind_one_of_many_chunks(
    new_collection: NewCollection, embedder: HashedEmbedder
) -> None:
    docs = new_collection(embedder=embedder, chunking=Chunking(size=30, unit="characters"))
    docs.upsert(Document(text_of(*[f"Cats purr and purr {n}." for n in range(600)]), "long"))
    docs.upsert([Document(f"Dogs bark {n}.", n) for n in range(30)])
    for options in ({}, {"per_group": 2}, {"diversity": 0.3}, {"exact": True}, {"strategy": "iterative"}):
        found = docs.search("cats purr", limit=10, group_by="document", **options)
        assert found[0].document_id == "long"
        assert len({hit.document_id for hit in found}) == 10, options


# Ranges.


@pytest.mark.parametrize("metric", list(Metric))
@pytest.mark.parametrize("indexed", [True, False])
def test_all_that_reach_a_score(
    new_collection: NewCollection, rng: np.random.Generator, metric: Metric, *, indexed: bool
) -> None:
    bits = metric in BIT_METRICS
    docs = new_collection(
        dimensions=12, metric=metric, storage="bit" if bits else "vector", index=HNSW() if indexed else None
    )
    matrix = rng.integers(0, 3, (400, 12)) - 1.0
    matrix[~matrix.any(axis=1), 0] = 1
    docs.upsert_vectors(range(400), matrix, metadata=[{"even": n % 2 == 0} for n in range(400)])
    stored: NDArray[np.float64] = (matrix > 0).astype(np.float64) if bits else matrix.astype(np.float64)
    query = stored[7]
    expected = scores(distances(stored, query, metric), metric, 12)
    known = np.unique(np.round(expected, 9))
    for least in [*known[:: max(1, len(known) // 7)] - 1e-7, known[-1] + 0.1, known[0] - 1, 0.0, -1e9, 1e9, math.inf]:
        found = docs.search(query, limit=None, min_score=float(least))
        assert {int(hit.document_id) for hit in found} == set(np.flatnonzero(expected >= least).tolist()), least
        assert in_order(found)
        even = docs.search(query, limit=None, min_score=float(least), where=F("even") == True)  # noqa: E712
        assert list(map(hash, keys(even))) == [hash(key) for key in keys(found) if int(key[0]) % 2 == 0]


def test_the_least_score_is_within(new_collection: NewCollection, rng: np.random.Generator) -> None:
    """A hit's own score finds it again, whatever was rounded on the way."""
    for metric in ("cosine", "l2", "l1", "inner_product"):
        docs = new_collection(dimensions=8, metric=metric)
        docs.upsert_vectors(range(100), rng.standard_normal((100, 8)) * 1_000)
        query = rng.standard_normal(8)
        every = docs.search(query, limit=100, exact=True)
        for place in range(100):
            assert len(docs.search(query, limit=None, min_score=every[place].score)) == place + 1


# Examples.


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product", "hamming"])
def test_examples_as_numpy_finds(new_collection: NewCollection, rng: np.random.Generator, metric: str) -> None:
    bits = metric == "hamming"
    docs = new_collection(dimensions=16, metric=metric, storage="bit" if bits else "vector")
    given = rng.standard_normal((200, 16))
    docs.upsert_vectors(range(200), given)
    stored = (given > 0).astype(np.float64) if bits else given.astype(np.float32).astype(np.float64)

    def mean(places: list[int], extra: Any = None) -> NDArray[np.float64]:
        rows = stored[places] if extra is None else np.vstack([extra, stored[places]])
        if metric == "cosine":
            rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows.mean(axis=0))

    query = given[150].astype(np.float32).astype(np.float64)
    for like, unlike, asked in (
        ([3], [], None),
        ([3, 4, 5], [], None),
        ([3], [9], None),
        ([3, 4, 5], [9, 10], None),
        ([3], [9], query),
        ([], [9], query),
    ):
        extra = None if asked is None else ((asked > 0).astype(np.float64) if bits else asked)
        target = mean(like, extra)
        if unlike:
            target = 2 * target - mean(unlike)
        if bits:
            target = (target >= 0.5).astype(np.float64)
        order = distances(stored, target, metric)
        order[[*like, *unlike]] = math.inf
        found = docs.search(asked, like=like or None, unlike=unlike or None, limit=20)
        assert not {hit.document_id for hit in found} & {str(n) for n in [*like, *unlike]}
        assert np.allclose(np.array([hit.distance for hit in found]), np.sort(order)[:20], rtol=1e-4, atol=1e-4)


def test_an_example_alone_or_several_of_them(docs: Collection) -> None:
    docs.upsert([Document("Cats purr.", 0), Document("Cats purr loudly.", 1), Document("Dogs bark.", "")][:2])
    docs.upsert([Document("Dogs bark.", 2), Document(text_of("Cats purr at home.", "Dogs bark at night."), 3)])
    assert {hit.document_id for hit in docs.search(like=0)} == {"1", "2", "3"}
    assert docs.search(like=0) == docs.search(like="0") == docs.search(like=[0]) == docs.search(like=iter(["0"]))
    assert docs.search(like=np.array(["0"])) == docs.search(like=0)
    assert docs.search("cats", unlike=0) == docs.search("cats", unlike=["0"])
    assert "0" not in {hit.document_id for hit in docs.search("cats", unlike=0)}
    assert docs.search("cats", like=[]) == docs.search("cats", unlike=()) == docs.search("cats")
    assert docs.search(like=[0, 0]) == docs.search(like=0)
    assert docs.search(like=3, where=F("id") == "2")[0].document_id == "2"


def test_examples_that_do_not_do(docs: Collection) -> None:
    docs.upsert([Document("Cats purr.", 0), Document("", "empty")])
    options: dict[str, Any]
    for options in ({"like": "missing"}, {"like": [0, "missing"]}, {"like": [0], "unlike": [1]}, {"like": "empty"}):
        with pytest.raises(DocumentNotFound):
            docs.search(**options)
    for options in ({}, {"unlike": [0]}, {"like": []}, {"like": [], "unlike": []}):
        with pytest.raises(InvalidInput, match="search needs"):
            docs.search(**options)
    for options in ({"like": ""}, {"like": [None]}, {"like": 1.5}, {"like": {"a": 1}}, {"unlike": b"a", "like": 0}):
        with pytest.raises(InvalidText):
            docs.search(**options)
    with pytest.raises(InvalidInput):
        docs.search(like=0, limit=0)


def test_examples_that_cancel_each_other_out(points: Collection, new_collection: NewCollection) -> None:
    ids, vectors = ["a", "b", "c"], [[1, 2, 3], [-1, -2, -3], [3, 1, 2]]
    points.upsert_vectors(ids, vectors)
    with pytest.raises(InvalidVector, match="cancel each other out"):
        points.search(like=["a", "b"])
    with pytest.raises(InvalidVector, match="cancel each other out"):
        points.search([-1, -2, -3], like="a")
    by_l2 = new_collection(dimensions=3, metric="l2")
    by_l2.upsert_vectors(ids, vectors)
    assert [hit.document_id for hit in by_l2.search(like=["a", "b"])] == ["c"]


def test_examples_with_everything_else(cloud: Collection) -> None:
    near = cloud.search(like=5, limit=20, exact=True)
    assert list(cloud.search(like=5, limit=10, offset=10, exact=True)) == list(near[10:])
    assert {hit.metadata["percent"] for hit in cloud.search(like=[5, 6], where=F("percent") < 3)} <= {0, 1, 2}
    assert len(cloud.search(like=5, diversity=0.4)) == len(cloud.search(like=5, group_by="document")) == 10
    found = cloud.search(like=5, limit=None, min_score=near[5].score)
    assert [hit.document_id for hit in found] == [hit.document_id for hit in near[:6]]


# Variety.


def varied_by_python(
    found: list[Hit], vectors: dict[str, NDArray[np.float64]], diversity: float, limit: int, metric: str
) -> list[str]:
    """Return the ids that maximal marginal relevance chooses, slowly."""
    left, chosen = list(found), list[Hit]()

    def worth(hit: Hit) -> float:
        if not chosen:
            return (1 - diversity) * hit.score
        others = np.array([vectors[other.document_id] for other in chosen])
        near = scores(distances(others, vectors[hit.document_id], metric), metric, others.shape[1])
        return float((1 - diversity) * hit.score - diversity * near.max())

    while left and len(chosen) < limit:
        chosen.append(left.pop(max(range(len(left)), key=lambda place: worth(left[place]))))
    return [hit.document_id for hit in chosen]


@pytest.mark.parametrize("metric", ["cosine", "l2", "l1", "inner_product"])
def test_variety_as_python_chooses(new_collection: NewCollection, rng: np.random.Generator, metric: str) -> None:
    docs = new_collection(dimensions=6, metric=metric)
    given = np.repeat(rng.standard_normal((30, 6)), 4, axis=0) + rng.standard_normal((120, 6)) * 0.05
    docs.upsert_vectors(range(120), given)
    vectors = {str(n): row.astype(np.float32).astype(np.float64) for n, row in enumerate(given)}
    query = rng.standard_normal(6)
    pool = list(docs.search(query, limit=50, exact=True))
    for diversity in (0, 0.1, 0.37, 0.7, 1, 1.0):
        found = docs.search(query, diversity=diversity, exact=True, limit=10)
        assert [hit.document_id for hit in found] == varied_by_python(pool, vectors, diversity, 10, metric)
        assert {(hit.document_id, hit.score) for hit in found} <= {(hit.document_id, hit.score) for hit in pool}
        assert [hit.vector_rank for hit in found] == list(range(1, 11))


@pytest.mark.parametrize("options", [{}, {"where": F("percent") < 30}, {"limit": 1}, {"limit": 1_000}], ids=str)
def test_no_variety_is_the_plain_order(cloud: Collection, options: dict[str, Any]) -> None:
    query = unit_vectors(np.random.default_rng(16), 1, DIMENSIONS)[0]
    assert cloud.search(query, diversity=0, exact=True, **options) == cloud.search(query, exact=True, **options)


def test_variety_of_what_reaches_a_score(points: Collection) -> None:
    """What does not reach it is not chosen in place of something that does."""
    near = [[1, 0, n / 1_000] for n in range(20)]
    far = [[-1, n, 5 * n] for n in range(1, 20)]
    points.upsert_vectors(range(39), near + far)
    found = points.search([1, 0, 0], min_score=0.9, diversity=0.9)
    assert len(found) == 10
    assert {int(hit.document_id) < 20 for hit in found} == {True}


def test_variety_through_an_index(cloud: Collection) -> None:
    query = unit_vectors(np.random.default_rng(17), 1, DIMENSIONS)[0]
    for options in ({}, {"where": F("percent") == 5}, {"where": F("percent") < 90}, {"group_by": "document"}):
        for limit in (1, 10, 30):
            found = cloud.search(query, diversity=0.5, limit=limit, **options)
            assert len(found) == len(set(keys(found))) == limit


# What is refused.


@pytest.mark.parametrize(
    "options",
    [
        {"group_by": "title"},
        {"group_by": ["document"]},
        {"group_by": True},
        {"per_group": 2},
        {"group_by": "document", "per_group": 0},
        {"group_by": "document", "per_group": None},
        {"group_by": "document", "per_group": 1_001},
        {"group_by": "document", "per_group": 2, "diversity": 0.5},
        {"strategy": "fast"},
        {"strategy": "plain"},
        {"strategy": 3},
        {"strategy": "iterative", "exact": True},
        {"offset": -1},
        {"offset": 100_001},
        {"offset": None},
        {"offset": "5"},
        {"diversity": 1.5},
        {"diversity": math.nan},
        {"diversity": 0.5, "offset": 5},
        {"diversity": 0.5, "limit": 1_001},
        {"limit": None},
        {"limit": None, "min_score": 0.5, "offset": 2},
        {"limit": None, "min_score": 0.5, "group_by": "document"},
        {"limit": None, "min_score": 0.5, "diversity": 0.5},
        {"limit": None, "min_score": 0.5, "strategy": "iterative"},
        {"min_score": 10**400},
        {"ef_search": 10**5_000},
    ],
    ids=lambda options: ascii(list(options.items()))[:60] if "ef_search" not in options else "huge",
)
@pytest.mark.parametrize("call", ["search", "search_many"])
def test_what_is_refused(points: Collection, call: str, options: dict[str, Any]) -> None:
    calls: dict[str, Callable[..., Any]] = {"search": points.search, "search_many": points.search_many}
    query: Any = [1, 2, 3] if call == "search" else [[1, 2, 3]]
    for where in (None, F("a") == 1):
        with pytest.raises(InvalidInput):
            calls[call](query, where=where, **options)


def test_a_filter_is_named_where_it_is_wrong(cloud: Collection) -> None:
    with pytest.raises(InvalidFilter) as caught:
        cloud.search([1] * DIMENSIONS, where={"and": [{"n": 1}, {"n": {"bigger": 3}}]})
    assert caught.value.facts["path"]
