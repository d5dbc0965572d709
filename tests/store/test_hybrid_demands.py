"""Hybrid search where much is excluded, a phrase is needed, or hits are put together by document."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.store.conftest import NewCollection
from tests.support import HashedEmbedder, hashed_words
from vectordb import HNSW, RRF, Chunking, Collection, F, RelativeScore
from vectordb.fusion import Fusion

COUNT = 400


@pytest.fixture(params=[HNSW(), None], ids=["hnsw", "no index"])
def near_and_far(request: pytest.FixtureRequest, new_collection: NewCollection) -> Collection:
    """Texts with a word near the query, as many as no list of candidates holds, and others far from it."""
    docs = new_collection(embedder=HashedEmbedder(), index=request.param)
    [query] = hashed_words(["animal"])
    noise = np.random.default_rng(5).normal(scale=0.01, size=(COUNT, len(query)))
    matrix = np.where(np.arange(COUNT)[:, None] % 2 == 0, query, np.roll(query, 3) + 0.2) + noise
    contents = [f"kitten {n}" if n % 2 == 0 else f"beast {n}" for n in range(COUNT)]
    docs.upsert_vectors(
        [str(n) for n in range(COUNT)], matrix, contents=contents, metadata=[{"n": n} for n in range(COUNT)]
    )
    return docs


@pytest.mark.parametrize("options", [{}, {"where": F("n") < 300}, {"exact": True}], ids=str)
def test_as_many_as_asked_though_the_nearest_are_excluded(near_and_far: Collection, options: dict[str, Any]) -> None:
    for query in ("animal -kitten", '-kitten -"no phrase"', "-kitten"):
        found = near_and_far.search(query, limit=20, **options)
        assert len(found) == 20
        assert all(hit.content.startswith("beast") for hit in found)


def test_a_phrase_too_long_for_the_index_beside_a_short_one(new_collection: NewCollection) -> None:
    words = " ".join(f"extraordinary{n}" for n in range(30))
    docs = new_collection(dimensions=2)
    docs.upsert_vectors(["long", "short", "neither"], np.eye(3, 2) + 1, contents=[words, "An oil pump.", "A pump."])
    found = docs.search(f'"{words}" or "oil pump"', mode="text")
    assert {hit.document_id for hit in found} == {"long", "short"}
    assert [hit.document_id for hit in docs.search(f'"{words}"', mode="text")] == ["long"]


@pytest.fixture
def chapters(new_collection: NewCollection) -> Collection:
    docs = new_collection(embedder=HashedEmbedder(), chunking=Chunking(size=20, unit="characters"))
    draw = np.random.default_rng(8)
    words = [f"word{n}" for n in range(40)]
    docs.upsert([{"id": f"d{n}", "content": " ".join(draw.choice(words, 12))} for n in range(150)])
    return docs


@pytest.mark.parametrize("fusion", [None, RRF(), RelativeScore()], ids=str)
def test_pages_of_documents_show_each_once(chapters: Collection, fusion: Fusion | None) -> None:
    for query in ("word1 word2", "word3"):
        pages = [
            [
                hit.document_id
                for hit in chapters.search(query, limit=7, offset=offset, group_by="document", fusion=fusion)
            ]
            for offset in range(0, 105, 7)
        ]
        shown = [document for page in pages for document in page]
        assert len(shown) == len(set(shown)) == 105


@pytest.mark.parametrize("fusion", [None, RRF(), RelativeScore()], ids=str)
def test_more_chunks_of_a_document_come_with_the_same_documents(chapters: Collection, fusion: Fusion | None) -> None:
    one = chapters.search("word1 word2", limit=10, group_by="document", fusion=fusion)
    three = chapters.search("word1 word2", limit=10, group_by="document", per_group=3, fusion=fusion)
    assert len(one) == 10
    best: dict[str, Any] = {}
    for hit in three:
        best.setdefault(hit.document_id, hit)
    assert [hit.score for hit in three] == sorted((hit.score for hit in three), reverse=True)
    if fusion is None:
        # Of other fusions, scores depend on how many candidates there are.
        assert len(three) > 20
        assert list(best) == [hit.document_id for hit in one]
        assert [hit.score for hit in one] == [best[hit.document_id].score for hit in one]
