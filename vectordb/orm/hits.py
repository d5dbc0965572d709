"""What a search over an application's model finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar, overload

from vectordb.documents import SearchPlan

Entity = TypeVar("Entity")


class Hit(NamedTuple, Generic[Entity]):
    """An entity that a search found.

    Attributes:
        entity: Of the session that searched.
        score: What hits are ordered by, high is near: the fused one, BM25, or the score of the vector; see
            `vectordb.metrics.Metric.score` for the range of the last.
        distance: pgvector's distance, low is near; None when no vector was compared.
        vector_rank: Rank by the vector, from 1, those of earlier pages included; None when found only by text.
        vector_score: Score by the vector; None when no vector was compared.
        text_rank: Rank by BM25, from 1; None when found only by the vector.
        text_score: BM25, 0 where no word of the query occurs; None when no text was compared.
    """

    entity: Entity
    score: float
    distance: float | None = None
    vector_rank: int | None = None
    vector_score: float | None = None
    text_rank: int | None = None
    text_score: float | None = None


class EntityResults(Sequence[Hit[Entity]]):
    """What one search found, best first.

    Attributes:
        plan: How it was found.
    """

    __slots__ = ("_hits", "plan")

    def __init__(self, hits: Sequence[Hit[Entity]], plan: SearchPlan) -> None:
        self._hits = tuple(hits)
        self.plan = plan

    @property
    def entities(self) -> list[Entity]:
        """The entities alone, best first."""
        return [hit.entity for hit in self._hits]

    def __len__(self) -> int:
        return len(self._hits)

    def __iter__(self) -> Iterator[Hit[Entity]]:
        return iter(self._hits)

    @overload
    def __getitem__(self, index: int) -> Hit[Entity]: ...
    @overload
    def __getitem__(self, index: slice) -> EntityResults[Entity]: ...
    def __getitem__(self, index: int | slice) -> Hit[Entity] | EntityResults[Entity]:
        return EntityResults(self._hits[index], self.plan) if isinstance(index, slice) else self._hits[index]

    def __repr__(self) -> str:
        lines = [f"{hit.score:7.4f}  {hit.entity!r:.100}" for hit in self._hits]
        return "\n".join([f"EntityResults({len(self)} hits)", *lines])
