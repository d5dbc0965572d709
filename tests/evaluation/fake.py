"""A collection as far as an evaluation needs one, which answers from a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from vectordb import Collection, Document


class FakeHit(NamedTuple):
    """A hit with the signals of a hybrid search."""

    document_id: str
    score: float
    vector_score: float | None = None
    text_score: float | None = None


class FakeCollection:
    """Answers every search with the first of the hits that `answer` has for query and options; notes what was asked."""

    def __init__(self, answer: Callable[..., list[FakeHit]], documents: Iterable[str] = ()) -> None:
        self.answer = answer
        self.documents = set(documents)
        self.asked: list[dict[str, Any]] = []

    def search(self, query: str, *, limit: int, **options: Any) -> list[FakeHit]:
        self.asked.append({"query": query, "limit": limit, **options})
        return self.answer(query, **options)[:limit]

    def get(self, ids: list[str]) -> list[Document]:
        return [Document("", id) for id in ids if id in self.documents]


def as_collection(fake: FakeCollection) -> Collection:
    return cast(Collection, fake)
