"""Reranking by the vectors of another embedder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb.chunking import Chunker, Chunking
from vectordb.embedders import Embedder, as_embedder
from vectordb.rerankers.base import check_texts

# Of a text with nothing to compare.
_LEAST = -1.0


class BiEncoderReranker:
    """Score texts by the cosine of another embedder's vectors: a stronger one than that of the collection.

    A text that is longer than the embedder can read counts as its best part, which is how passages speak for their
    document (MaxP; Dai and Callan, "Deeper Text Understanding for IR with Contextual Neural Language Modeling", SIGIR
    2019). Queries and texts have the embedder's own prompts.

    Args:
        embedder: An embedder, the name or folder of a sentence-transformers model, or a function from a list of
            strings to their vectors. Of one that does not tell its longest text, texts are passed whole.

    Raises:
        ConfigurationError: The name is empty.
        InvalidInput: `embedder` is something else.
    """

    def __init__(self, embedder: Embedder | str | os.PathLike[str] | Callable[..., Any]) -> None:
        self._embedder = as_embedder(embedder)
        self._chunker: Chunker | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._embedder!r})"

    def __call__(self, query: str, texts: Sequence[str], /) -> NDArray[np.float64]:
        """Return the cosine of each text with the query, -1 to 1; -1 of a text without words.

        Args:
            query: What is searched for.
            texts: What is scored.

        Returns:
            Shape (len(texts),).

        Raises:
            EmbeddingError: The embedder failed.
            InvalidInput: The query or a text is not a string.
        """
        given = check_texts(query, texts)
        scores = np.full(len(given), _LEAST)
        parts, owners = self._parts(given)
        if parts:
            [asked] = _directions(self._embedder.embed([query], input_type="query"))
            cosines = _directions(self._embedder.embed(parts, input_type="document")) @ asked
            np.maximum.at(scores, owners, cosines)
        return scores

    def _parts(self, texts: list[str]) -> tuple[list[str], list[int]]:
        """Return what can be read of the texts, and the place of the text of each part."""
        limit, tokenizer = self._embedder.max_tokens, self._embedder.tokenizer
        if limit is None or tokenizer is None:
            owners = [place for place, text in enumerate(texts) if text and not text.isspace()]
            return [texts[place] for place in owners], owners
        if self._chunker is None:
            self._chunker = Chunker(Chunking(size=limit), tokenizer=tokenizer, max_tokens=limit)
        cut = self._chunker.split(texts)
        return (
            [chunk.content for chunks in cut for chunk in chunks],
            [place for place, chunks in enumerate(cut) for _ in chunks],
        )


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors of length 1; those without a direction stay as they are."""
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    return exact / np.where(lengths > 0, lengths, 1)
