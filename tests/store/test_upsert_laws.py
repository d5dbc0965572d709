"""The store against a dict: whatever the sequence of calls, the last write wins and the counts are exact."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from numpy.typing import NDArray

from tests.store.conftest import NewCollection
from tests.store.support import PARAGRAPHS, text_of
from tests.support import HashedEmbedder, filters, hashed_words, metadata
from vectordb import Chunking, Collection, Document, Filter, UpsertResult
from vectordb.chunking import Chunker
from vectordb.filters import And

CHUNKING = Chunking(size=40, unit="characters")
IDS = st.integers(0, 7).map(str)
TEXTS = st.lists(st.sampled_from([*PARAGRAPHS, "Owls hoot at dusk, not at dawn.", ""]), max_size=5).map(
    lambda paragraphs: text_of(*paragraphs).strip()
)
VECTORS = st.integers(0, 3).map(lambda n: hashed_words([f"vector {n}"])[0])


@dataclass(frozen=True)
class Stored:
    """What the collection should hold of a document."""

    content: str
    title: str | None
    metadata: dict[str, Any]
    vector: bytes | None

    def is_same_as(self, other: Stored) -> bool:
        """Whether storing one over the other changes nothing."""
        return replace(self, metadata=exactly(self.metadata)) == replace(other, metadata=exactly(other.metadata))

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Of its chunks, in order."""
        if self.vector is not None:
            return np.frombuffer(self.vector, dtype=np.float32)[np.newaxis]
        [chunks] = Chunker(CHUNKING).split([self.content])
        return hashed_words([chunk.content for chunk in chunks])


def exactly(value: Any) -> Any:
    """Return JSON with its numbers as they are written: PostgreSQL gives 1e23 back as an integer."""
    return json.loads(json.dumps(value), parse_int=Decimal, parse_float=Decimal)


vector_bytes = VECTORS.map(lambda vector: vector.tobytes())
documents = st.builds(Stored, TEXTS, st.sampled_from([None, "Title"]), metadata(), st.none() | vector_bytes)
points = st.builds(Stored, TEXTS, st.none(), metadata(), vector_bytes)


class StoreAndDict(RuleBasedStateMachine):
    """Runs the same calls on both."""

    new_collection: NewCollection

    @initialize()
    def start(self) -> None:
        self.embedder = HashedEmbedder()
        self.docs: Collection = self.new_collection(embedder=self.embedder, chunking=CHUNKING)
        self.model: dict[str, Stored] = {}
        self.embedded: set[str] = set()

    def expect(self, given: dict[str, Stored], result: UpsertResult) -> None:
        inserted = [id for id in given if id not in self.model]
        unchanged = [id for id in given if id in self.model and given[id].is_same_as(self.model[id])]
        assert result.inserted == len(inserted)
        assert result.unchanged == len(unchanged)
        assert result.updated == len(given) - len(inserted) - len(unchanged)
        assert result.failed == 0
        self.model.update(given)

    @rule(given=st.dictionaries(IDS, documents, max_size=4), batch_size=st.integers(1, 5))
    def upsert(self, given: dict[str, Stored], batch_size: int) -> None:
        self.embedder.seen.clear()
        result = self.docs.upsert(
            [
                Document(
                    stored.content,
                    id,
                    title=stored.title,
                    metadata=stored.metadata,
                    embedding=None if stored.vector is None else stored.vectors[0],
                )
                for id, stored in given.items()
            ],
            batch_size=batch_size,
        )
        assert result.embedded == len(self.embedder.seen)
        self.expect(given, result)

    @rule(given=st.dictionaries(IDS, points, max_size=4))
    def upsert_vectors(self, given: dict[str, Stored]) -> None:
        result = self.docs.upsert_vectors(
            list(given),
            np.stack([stored.vectors[0] for stored in given.values()]) if given else np.empty((0, 16)),
            contents=[stored.content for stored in given.values()],
            metadata=[stored.metadata for stored in given.values()],
        )
        assert result.embedded == 0
        self.expect(given, result)

    @rule(ids=st.lists(IDS, max_size=3))
    def delete_by_id(self, ids: list[str]) -> None:
        assert self.docs.delete(ids) == len(self.model.keys() & set(ids))
        for id in ids:
            self.model.pop(id, None)

    @rule(where=filters())
    def delete_by_filter(self, where: Filter) -> None:
        matching = [id for id, stored in self.model.items() if where.matches(stored.metadata)]
        if len(matching) < 4 and where != And(()):  # else there is soon nothing left; an empty filter is refused
            assert self.docs.delete(where=where) == len(matching)
            for id in matching:
                del self.model[id]

    @rule(where=filters())
    def count(self, where: Filter) -> None:
        assert self.docs.count() == len(self.model)
        assert self.docs.count(where) == sum(where.matches(stored.metadata) for stored in self.model.values())

    @rule(query=VECTORS, limit=st.integers(1, 12), where=st.none() | filters())
    def search(self, query: NDArray[np.float32], limit: int, where: Filter | None) -> None:
        cosines = {
            (id, ordinal): float(query @ vector / np.linalg.norm(query) / np.linalg.norm(vector))
            for id, stored in self.model.items()
            if where is None or where.matches(stored.metadata)
            for ordinal, vector in enumerate(stored.vectors)
        }
        found = self.docs.search(query, limit=limit, where=where, exact=True)
        best = sorted(cosines.values(), reverse=True)[:limit]
        assert np.allclose([hit.score for hit in found], best, atol=1e-6)
        assert len({(hit.document_id, hit.ordinal) for hit in found}) == len(best)
        for hit in found:
            assert abs(hit.score - cosines[hit.document_id, hit.ordinal]) < 1e-6
            assert exactly(hit.metadata) == exactly(self.model[hit.document_id].metadata)

    @invariant()
    def holds_the_same(self) -> None:
        stored = {str(document.id): document for document in self.docs.scan()}
        assert {
            id: (document.content, document.title, exactly(document.metadata)) for id, document in stored.items()
        } == {id: (stored.content, stored.title, exactly(stored.metadata)) for id, stored in self.model.items()}
        assert list(stored) == sorted(stored)
        vectors = self.docs.vectors(list(self.model))
        for id, expected in self.model.items():
            assert np.array_equal(vectors.get(id, np.empty((0, 16))), expected.vectors)


def test_the_store_behaves_like_a_dict(new_collection: NewCollection) -> None:
    machine = type("Machine", (StoreAndDict,), {"new_collection": staticmethod(new_collection)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.reuse, Phase.generate],  # to shrink a failure through a database takes minutes
        ),
    )
