"""The second stage of a search, with rerankers of which everything is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.store.support import text_of
from tests.support import HashedEmbedder
from tests.text_oracle import keys
from vectordb import Chunking, Collection, Document, F, VectorDB
from vectordb.errors import CollectionNotFound, InvalidInput, RerankingError

COUNT = 120
MODES = ["vector", "text", "hybrid", None]


class Recorder:
    """Prefers texts by the number in them; `calls` has what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []

    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        self.calls.append((query, list(texts)))
        return [value(text) for text in texts]


def value(text: str) -> float:
    return int(text.split()[2].rstrip(".")) * 37 % 101 / 10


@pytest.fixture(scope="module")
def animals(home: VectorDB) -> Collection:
    """Texts that all have a cat; only to be read."""
    docs = home.create_collection("reranked", embedder=HashedEmbedder(), index=None)
    docs.upsert(
        [
            Document(f"Cats number {n} {'purr ' * (n % 7)}", n, metadata={"n": n, "even": n % 2 == 0})
            for n in range(COUNT)
        ]
    )
    return docs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"limit": 3},
        {"limit": 5, "offset": 20},
        {"rerank_depth": 10},
        {"limit": 30, "rerank_depth": 30},
        {"limit": 70},
        {"limit": 10, "offset": 40},
        {"limit": 100, "offset": 100, "rerank_depth": 200},
        {"rerank_depth": 1_000},
        {"min_score": 5.0},
        {"where": F("even") == True, "limit": 20},  # noqa: E712 - builds a filter
        {"exact": True},
    ],
    ids=str,
)
def test_the_best_of_the_first_stage(animals: Collection, mode: str | None, options: dict[str, Any]) -> None:
    rerank = Recorder()
    found = animals.search("cats purr", mode=mode, rerank=rerank, **options)
    limit, offset = options.get("limit", 10), options.get("offset", 0)
    depth = options.get("rerank_depth", max(50, limit))
    first = {name: options[name] for name in ("where", "exact") if name in options}
    before = animals.search("cats purr", mode=mode, limit=depth, **first)
    assert rerank.calls == [("cats purr", [hit.content for hit in before])]
    expected = sorted(before, key=lambda hit: (-value(hit.content), hit.document_id))
    expected = [hit for hit in expected if value(hit.content) >= options.get("min_score", -math.inf)]
    expected = expected[offset : offset + limit]
    assert keys(found) == keys(expected)
    for hit, earlier in zip(found, expected, strict=True):
        assert hit.score == hit.rerank_score == value(hit.content)
        # Of the first stage everything else is kept.
        assert hit._replace(score=earlier.score, rerank_score=None) == earlier
    assert found.plan is not None
    assert before.plan is not None
    assert found.plan.mode == before.plan.mode


def test_pages(animals: Collection) -> None:
    pages = [animals.search("cats", rerank=Recorder(), rerank_depth=150, limit=25, offset=n) for n in range(0, 150, 25)]
    found = [hit for page in pages for hit in page]
    assert found == list(animals.search("cats", rerank=Recorder(), rerank_depth=150, limit=COUNT))
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert len(set(keys(found))) == COUNT


@pytest.mark.parametrize("mode", MODES)
def test_many_queries(animals: Collection, mode: str | None) -> None:
    rerank = Recorder()
    queries = ["cats", "purr", "number 5"]
    found = animals.search_many(queries, mode=mode, rerank=rerank, limit=4, highlight=True)
    assert [query for query, _ in rerank.calls] == queries
    assert found == [animals.search(query, mode=mode, rerank=rerank, limit=4, highlight=True) for query in queries]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("limit", "offset", "per_group"), [(3, 0, 1), (3, 3, 1), (2, 0, 3), (50, 0, 1)])
def test_groups(grouped: Collection, mode: str | None, limit: int, offset: int, per_group: int) -> None:
    """The reranker sees the chunks of the first stage's groups, and orders documents by their best one."""
    rerank = Recorder()
    shape: dict[str, Any] = {"group_by": "document", "per_group": per_group, "mode": mode}
    found = grouped.search("cats purr", rerank=rerank, limit=limit, offset=offset, **shape)
    before = grouped.search("cats purr", limit=50, **shape)
    assert rerank.calls == [("cats purr", [hit.content for hit in before])]
    ordered = sorted(before, key=lambda hit: (-value(hit.content), hit.document_id, hit.ordinal))
    documents = list(dict.fromkeys(hit.document_id for hit in ordered))[offset : offset + limit]
    assert keys(found) == keys(hit for hit in ordered if hit.document_id in documents)
    assert all(list(map(str, keys(found))).count(str(key)) == 1 for key in keys(found))


@pytest.fixture(scope="module")
def grouped(home: VectorDB) -> Collection:
    docs = home.create_collection(
        "reranked_groups", embedder=HashedEmbedder(), index=None, chunking=Chunking(size=30, unit="characters")
    )
    docs.upsert([Document(text_of(*[f"Cats purr {10 * n + k}." for k in range(1 + n % 5)]), n) for n in range(12)])
    return docs


def test_it_is_not_called_for_nothing(animals: Collection) -> None:
    def fail(query: str, texts: Sequence[str]) -> Any:
        raise AssertionError

    assert len(animals.search("zebras", mode="text", rerank=fail)) == 0
    assert len(animals.search("cats", where=F("n") < 0, rerank=fail)) == 0
    assert animals.search_many([], rerank=fail) == []


@pytest.mark.parametrize(
    "output",
    [
        lambda n: [1.0] * (n - 1),
        lambda n: [1.0] * (n + 1),
        lambda n: [],
        lambda n: None,
        lambda n: 1.0,
        lambda n: "x" * n,
        lambda n: [None] * n,
        lambda n: ["high"] * n,
        lambda n: [[1.0]] * n,
        lambda n: [math.nan] * n,
        lambda n: [1.0] * (n - 1) + [math.nan],
        lambda n: [math.inf] * n,
        lambda n: np.full(n, -np.inf),
        lambda n: {"score": n},
    ],
)
def test_wrong_scores(animals: Collection, output: Any) -> None:
    for search in (animals.search, lambda query, **options: animals.search_many([query, query], **options)):
        with pytest.raises(RerankingError):
            search("cats", rerank=lambda query, texts: output(len(texts)))


def test_a_reranker_that_fails(animals: Collection) -> None:
    def fail(query: str, texts: Sequence[str]) -> Any:
        raise KeyError(query)

    def ours(query: str, texts: Sequence[str]) -> Any:
        raise CollectionNotFound("of ours")

    with pytest.raises(RerankingError) as caught:
        animals.search("cats", rerank=fail)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(CollectionNotFound):
        animals.search("cats", rerank=ours)
    assert len(animals.search("cats")) == 10


def test_scores_of_any_kind_of_number(animals: Collection) -> None:
    for scores in (
        lambda query, texts: np.arange(len(texts)),
        lambda query, texts: np.arange(len(texts), dtype=np.float16),
        lambda query, texts: tuple(range(len(texts))),
        lambda query, texts: [-1e300, *range(len(texts) - 1)],
    ):
        found = animals.search("cats", rerank=scores, rerank_depth=20, limit=20)
        assert all(isinstance(hit.score, float) and hit.score == hit.rerank_score for hit in found)
        assert len(found) == 20
    ties = animals.search("cats", rerank=lambda query, texts: [0] * len(texts), limit=20)
    assert keys(ties) == sorted(keys(ties))


@pytest.mark.parametrize(
    "options",
    [
        {"rerank": "a-model"},
        {"rerank": Recorder},
        {"rerank": 5},
        {"rerank": Recorder(), "rerank_depth": 0},
        {"rerank": Recorder(), "rerank_depth": 1_001},
        {"rerank": Recorder(), "rerank_depth": 2.5},
        {"rerank": Recorder(), "rerank_depth": 5},
        {"rerank": Recorder(), "rerank_depth": 15, "offset": 6},
        {"rerank": Recorder(), "limit": 1_001},
        {"rerank": Recorder(), "limit": None, "min_score": 0.1},
        {"rerank": Recorder(), "diversity": 0.5},
        {"rerank": Recorder(), "like": "1"},
        {"rerank_depth": 10},
    ],
    ids=str,
)
def test_what_does_not_go_together(animals: Collection, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        animals.search("cats", **options)
    if "like" not in options:
        with pytest.raises(InvalidInput):
            animals.search_many(["cats"], **options)


@pytest.mark.parametrize("mode", MODES)
def test_highlights(animals: Collection, mode: str | None) -> None:
    plain = animals.search("cat 17 -99", mode=mode, limit=30)
    shown = animals.search("cat 17 -99", mode=mode, limit=30, highlight=True)
    assert keys(plain) == keys(shown)
    for hit, bare in zip(shown, plain, strict=True):
        assert bare.highlight is None
        assert hit.highlight is not None
        assert hit._replace(highlight=None) == bare
        assert "<mark>Cats</mark>" in hit.highlight
        assert ("<mark>17</mark>" in hit.highlight) == (" 17 " in hit.content)
    assert len(animals.search("cat", mode=mode, highlight=True, where=F("n") < 0)) == 0
    reranked = animals.search("purr", mode=mode, highlight=True, rerank=Recorder())
    assert all("<mark>purr</mark>" in (hit.highlight or "") for hit in reranked if "purr" in hit.content)
