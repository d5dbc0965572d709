"""The values that go in and come out: documents, hits, results and counts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple, overload
from uuid import UUID

from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True)
class Document:
    """A text with what is known about it; the unit of upsert, get and delete.

    Args:
        content: The text. A blank one is stored as an empty one, has no chunks and is never found.
        id: Yours: a str, int or UUID of at most 512 bytes as text. None has an id made
            from everything in the document, so that storing it again changes nothing.
        title: A heading, at most 4096 bytes.
        uri: Where the document comes from, at most 8192 bytes.
        metadata: What JSON can hold, at most 64 levels deep.
        embedding: A vector for the whole content, shape (dimensions,). The content is then
            neither cut into chunks nor embedded.
    """

    content: str
    id: str | int | UUID | None = None
    title: str | None = field(default=None, kw_only=True)
    uri: str | None = field(default=None, kw_only=True)
    metadata: Mapping[str, Any] = field(default_factory=dict, kw_only=True)
    embedding: ArrayLike | None = field(default=None, kw_only=True, compare=False, repr=False)


DOCUMENT_FIELDS = frozenset(item.name for item in fields(Document))


class Hit(NamedTuple):
    """A chunk that a search found.

    Attributes:
        document_id: Of the chunk's document.
        ordinal: Place of the chunk in its document, from 0.
        content: Text of the chunk.
        metadata: Of the document.
        score: What hits are ordered by, high is near: the reranker's score, else the fused one, else BM25 or the score
            of the vector; see `vectordb.metrics.Metric.score` for the range of the last.
        distance: pgvector's distance, low is near; None when no vector was compared.
        vector_rank: Rank by the vector, from 1, those of earlier pages included; None when found only by text.
        vector_score: Score by the vector; None when no vector was compared.
        text_rank: Rank by BM25, from 1; None when found only by the vector.
        text_score: BM25, 0 where no word of the query occurs; None when no text was compared.
        rerank_score: What the reranker says; None without one.
        highlight: HTML of the passages that the words of the query are in, these in `<mark>`; None unless asked for.
    """

    document_id: str
    ordinal: int
    content: str
    metadata: dict[str, Any]
    score: float
    distance: float | None = None
    vector_rank: int | None = None
    vector_score: float | None = None
    text_rank: int | None = None
    text_score: float | None = None
    rerank_score: float | None = None
    highlight: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as JSON-ready values."""
        return self._asdict()


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a search found its hits.

    Attributes:
        strategy: `exact` compared every row that matches, `plain` took candidates from the index once, `iterative`
            went on along the index until enough rows matched. A search by text alone is always exact.
        reason: Why, in words.
        estimated_matches: Chunks that match the filter, as estimated; None where nobody had to know.
        estimated_rows: Chunks in the table, likewise.
        candidates: Rows that HNSW was asked for at least; None where another way was taken.
        hint: What would make the filter quicker, such as a field to declare; None where nothing would.
        complete: False where more rows may match than were found: the scan limit of a forced `iterative` search, or
            the 100,000 hits of a search for all that reach a score.
        mode: `vector`, `text` or `hybrid`; of the last, everything else here is about the vector's half.
    """

    strategy: str
    reason: str
    estimated_matches: int | None = None
    estimated_rows: int | None = None
    candidates: int | None = None
    hint: str | None = None
    complete: bool = True
    mode: str = "vector"

    def incomplete(self) -> SearchPlan:
        """Return the plan with the remark that more rows may match."""
        return replace(self, complete=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready values."""
        return asdict(self)


class Results(Sequence[Hit]):
    """What one search found, best first. Prints as a short table.

    Attributes:
        plan: How it was found; None where nobody says.
    """

    __slots__ = ("_hits", "plan")

    def __init__(self, hits: Sequence[Hit], plan: SearchPlan | None = None) -> None:
        self._hits = tuple(hits)
        self.plan = plan

    def __len__(self) -> int:
        return len(self._hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> Results: ...
    def __getitem__(self, index: int | slice) -> Hit | Results:
        return Results(self._hits[index], self.plan) if isinstance(index, slice) else self._hits[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Results) and self._hits == other._hits

    def __hash__(self) -> int:
        return hash(tuple((hit.document_id, hit.ordinal) for hit in self._hits))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the hits, best first, as JSON-ready dictionaries."""
        return [hit.to_dict() for hit in self._hits]

    def __repr__(self) -> str:
        return f"Results({len(self)} hits)\n{self}" if self._hits else "Results(0 hits)"

    def __str__(self) -> str:
        width = max((len(hit.document_id) for hit in self._hits), default=0)
        width = min(width, 32)
        return "\n".join(
            f"{hit.score:7.4f}  {_clip(hit.document_id, width):<{width}}  {_clip(hit.content, 76 - width)}"
            for hit in self._hits
        )


class Facet(NamedTuple):
    """A value of a field, and how many documents have it."""

    value: Any
    documents: int


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What an upsert did, counted exactly. Adds up with `+`.

    Attributes:
        inserted: Documents that were not there before.
        updated: Documents whose text, vector or attributes changed.
        unchanged: Documents that were there in just this form.
        chunks: Chunks written with a new vector.
        embedded: Texts that the embedder was given.
        failed: Documents that were left out because of an error.
    """

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0
    failed: int = 0

    def __add__(self, other: UpsertResult) -> UpsertResult:
        return UpsertResult(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


def content_hash(content: str, embedding: bytes = b"") -> bytes:
    """Return 16 bytes that change when the text, or a vector given with it, changes."""
    data = content.encode()
    if embedding:
        data = data + b"\x00" + embedding if data else embedding
    return hashlib.sha256(data).digest()[:16]


def derived_id(*parts: str | None) -> str:
    """Return an id made from what a document holds: a UUID of version 8, built on a hash.

    Source: RFC 9562, section 5.8 and appendix B.2.
    """
    joined = "\x00".join("" if part is None else "\x01" + part for part in parts)
    digest = bytearray(hashlib.sha256(joined.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


def _clip(text: str, width: int) -> str:
    line = re.sub(r"\s+", " ", text).strip()
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"
