"""Reranking by late interaction: every token of the query looks for its like among the tokens of a text."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders import DEFAULT_MODEL, SentenceTransformerEmbedder
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.rerankers.base import check_texts

# Of a text with nothing to compare.
_LEAST = -1.0


class MaxSim:
    """Score texts by the vectors of their tokens, for which the collection's own model will do.

    Each token of the query has the cosine of the nearest token of the text; the score is their mean. The sum of these
    is that of ColBERT (Khattab and Zaharia, SIGIR 2020); the mean does not grow with the query. Of a text, and of a
    query, that is longer than the model can read, the beginning counts.

    Args:
        embedder: A `SentenceTransformerEmbedder`, or the name or folder of a model; the default model by default.
        batch_size: Most texts in one forward pass. The longest come first, so that little is padded.

    Raises:
        ConfigurationError: The name is empty, or `batch_size` is not a positive number.
        InvalidInput: `embedder` is something else.
    """

    def __init__(
        self, embedder: SentenceTransformerEmbedder | str | os.PathLike[str] = DEFAULT_MODEL, *, batch_size: int = 32
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size is at least 1, not {batch_size}")
        if isinstance(embedder, str | os.PathLike):
            embedder = SentenceTransformerEmbedder(embedder)
        if not isinstance(embedder, SentenceTransformerEmbedder):
            raise InvalidInput(
                "MaxSim needs the vectors of tokens, which only a SentenceTransformerEmbedder has; not "
                f"{type(embedder).__name__}"
            )
        self._embedder = embedder
        self._batch_size = batch_size

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._embedder!r})"

    def __call__(self, query: str, texts: Sequence[str], /) -> NDArray[np.float64]:
        """Return the mean over the query's tokens of the greatest cosine with a token of each text.

        Args:
            query: What is searched for.
            texts: What is scored.

        Returns:
            Shape (len(texts),), -1 to 1; -1 where text or query has no tokens.

        Raises:
            EmbeddingError: The model cannot be loaded, failed, or makes no vectors of tokens.
            InvalidInput: The query or a text is not a string.
        """
        given = check_texts(query, texts)
        scores = np.full(len(given), _LEAST)
        if not given:
            return scores
        asked = _directions(self._embedder.embed_tokens([query], input_type="query")[0])
        if not len(asked):
            return scores
        order = sorted(range(len(given)), key=lambda place: -len(given[place]))
        for begin in range(0, len(order), self._batch_size):
            rows = order[begin : begin + self._batch_size]
            tokens = self._embedder.embed_tokens([given[row] for row in rows])
            for row, own in zip(rows, tokens, strict=True):
                if len(own):
                    scores[row] = (asked @ _directions(own).T).max(axis=1).mean(dtype=np.float64)
        return scores


def _directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length 1; those without a direction stay as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: NDArray[np.float32] = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return directions
