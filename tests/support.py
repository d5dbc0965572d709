"""Helpers that several tests share."""

from __future__ import annotations

import re
import zlib

import numpy as np
from numpy.typing import NDArray

from vectordb import FunctionEmbedder


def hashed_words(texts: list[str], dimensions: int = 16) -> NDArray[np.float32]:
    """Return a bag of hashed words for each text, never all zeros, shape (n, dimensions)."""
    matrix = np.full((len(texts), dimensions), 0.01, dtype=np.float32)
    for row, text in zip(matrix, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()):
            row[zlib.crc32(word.encode()) % dimensions] += 1
    return matrix


class HashedEmbedder(FunctionEmbedder):
    """A quick embedder of bags of words; `seen` lists every text that it was given."""

    def __init__(self, dimensions: int = 16) -> None:
        self.seen: list[str] = []
        super().__init__(self._embed, dimensions=dimensions, name="hashed words")

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        self.seen.extend(texts)
        return hashed_words(texts, self.dimensions)
