"""The bond between an embedding column and its embedder, checked against what the table was filled by."""

from __future__ import annotations

import math
import time
from typing import Any

from sqlalchemy.orm import Session

from vectordb import vectors
from vectordb.embedders import Embedder
from vectordb.errors import EmbedderMismatch, InvalidInput
from vectordb.orm.hashing import KEY_BYTES, embedder_key, stored_hash
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.sessions import aside, embed
from vectordb.search.options import check_query

# How long it is believed that no row tells which embedder filled the table.
_REMEMBER_SECONDS = 60.0


class ColumnEmbedder:
    """The embedder of one embedding column.

    Args:
        mapping: Of the model.
        given: What the application passed.
    """

    def __init__(self, mapping: ModelMapping, given: Embedder) -> None:
        self._mapping = mapping
        self._given = given
        self._checked: dict[Any, float] = {}

    @property
    def embedder(self) -> Embedder:
        """What makes vectors of texts.

        Raises:
            EmbedderMismatch: Its vectors have other dimensions than the column.
        """
        expected, actual = self._mapping.declaration.space.dimensions, self._given.identity.dimensions
        if expected != actual:
            raise EmbedderMismatch(
                f"{self._place} has {expected} dimensions, the embedder makes vectors of {actual}; pass the embedder "
                "that the column is declared for",
                given=self._given.identity,
            )
        return self._given

    def encode(self, query: Any, session: Session | None = None) -> bytes:
        """Return a query, a text or a vector of shape (dimensions,), as the bytes of a pgvector value.

        Args:
            query: To be encoded.
            session: Of which the table is checked to be of this embedder; None does not look.

        Raises:
            EmbedderMismatch: The table was filled by another embedder.
            InvalidInput: There is no query.
            InvalidVector: The query is no finite vector, or has no direction under cosine.
        """
        if isinstance(query, str):
            texts = [check_query(query)]
            if session is None:
                query = self.embedder.embed(texts, input_type="query")[0]
            else:
                aside(lambda: self.embedder)  # a model is loaded here
                self._check_table(session)
                query = embed(self.embedder, texts, "query")[0]
        elif query is None:
            raise InvalidInput("search needs a query: a text, or a vector")
        return vectors.encode_query(query, self._mapping.declaration.space)

    def _check_table(self, session: Session) -> None:
        """Compare the embedder with the one that filled the table.

        Round trips: 1, and then 0; 1 every minute while no row that was embedded is seen.
        """
        mapper = self._mapping.mapper
        connection = session.connection(bind_arguments={"mapper": mapper})
        key = (str(connection.engine.url), str(connection.get_execution_options().get("schema_translate_map")))
        if self._checked.get(key, 0.0) > time.monotonic():
            return
        known = session.execute(stored_hash(self._mapping), bind_arguments={"mapper": mapper}).scalar()
        if known is None:
            self._checked[key] = time.monotonic() + _REMEMBER_SECONDS
            return
        if known[:KEY_BYTES] != embedder_key(self.embedder.identity):
            raise EmbedderMismatch(
                f"{self._place} was filled by another embedder than {self.embedder.identity.model!r}; vectors of the "
                "two cannot be compared. Use that one, or add a second embedding column for the new one",
                given=self.embedder.identity,
            )
        self._checked[key] = math.inf

    @property
    def _place(self) -> str:
        return f"{self._mapping.model.__name__}.{self._mapping.attribute}"
