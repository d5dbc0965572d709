"""The embeddings of one call: of given vectors, and of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb import vectors
from vectordb.embedders import Embedder
from vectordb.errors import DimensionMismatch, InvalidVector
from vectordb.orm import sessions
from vectordb.orm.hashing import check_filled_by, embedder_key
from vectordb.orm.upserting.rows import Rows
from vectordb.orm.upserting.table import WrittenTable


class Embeddings:
    """Makes vectors of texts, each text of a batch once.

    Args:
        table: Written to.
        embedder: Returns the embedder, which fits the column, when the first text comes.
    """

    def __init__(self, table: WrittenTable, embedder: Callable[[], Embedder]) -> None:
        self._table = table
        self._mapping = table.attributes.mapping
        self._load = embedder
        self.count = 0
        self.begin_batch()

    def begin_batch(self) -> None:
        """Forget the vectors of the last batch."""
        self.count = 0
        self._places: dict[str, int] = {}
        self._matrix: NDArray[np.float32] | None = None

    @cached_property
    def _embedder(self) -> Embedder:
        return self._load()

    @cached_property
    def key(self) -> bytes:
        """The embedder's, after a look at what filled the table.

        Raises:
            EmbedderMismatch: Its vectors have other dimensions, or the table holds those of another one.
        """
        self.check_filled_by(self._table.sample_hash)
        return embedder_key(self._embedder.identity)

    def check_filled_by(self, hash: bytes | None) -> None:
        """Refuse rows whose vectors another embedder made.

        Raises:
            EmbedderMismatch: The hash is of such a row.
        """
        check_filled_by(self._mapping, self._embedder.identity, hash)

    def embed(self, texts: Iterable[str | None]) -> None:
        """Embed texts that the batch has not had yet."""
        new = [text for text in dict.fromkeys(texts) if text is not None and text not in self._places]
        if not new:
            return
        matrix = vectors.as_matrix(sessions.embed(self._embedder, new, "document"), self._mapping.declaration.space)
        first = len(self._places)
        self._places |= zip(new, range(first, first + len(new)), strict=True)
        self._matrix = matrix if self._matrix is None else np.concatenate([self._matrix, matrix])
        self.count += len(new)

    def assign(self, rows: Rows) -> None:
        """Give rows the vectors of their texts."""
        rows.matrix = self._matrix
        rows.places = [None if text is None else self._places[text] for text in rows.texts]

    def take(self, rows: Rows) -> None:
        """Check given vectors, and have them written.

        Raises:
            InvalidVector: One cannot be stored; the message names its row.
            DimensionMismatch: One has other dimensions than the column.
        """
        try:
            rows.matrix = vectors.as_matrix(rows.vectors, self._mapping.declaration.space)
        except InvalidVector:
            for number, vector in zip(rows.numbers, rows.vectors or (), strict=True):
                self._check(number, vector)
            raise
        rows.places, rows.texts, rows.writes = range(len(rows)), [None] * len(rows), [True] * len(rows)

    def _check(self, number: int, vector: Any) -> None:
        space, what = self._mapping.declaration.space, f"row {number}: {self._mapping.attribute}"
        try:
            vectors.as_vector(vector, space)
        except DimensionMismatch as error:
            raise DimensionMismatch(
                f"{what} has {error.facts['actual']} dimensions, the column has {space.dimensions}",
                **{**error.facts, "position": number},
            ) from None
        except InvalidVector as error:
            raise type(error)(f"{what}: {error}", **{**error.facts, "position": number}) from None
