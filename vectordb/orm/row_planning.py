"""What is to become of each row of a batch: its key, what is stored of it, its text and its vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, cast

from vectordb import vectors
from vectordb.embedders import Embedder
from vectordb.embedders.base import is_embedder
from vectordb.errors import (
    ConfigurationError,
    DimensionMismatch,
    DuplicateDocument,
    EmbedderMismatch,
    InvalidInput,
    InvalidVector,
)
from vectordb.orm import upsert_statements as statements
from vectordb.orm.defaults import Defaults
from vectordb.orm.given import Row, Stored
from vectordb.orm.hashing import KEY_BYTES, embedder_key, text_hash
from vectordb.orm.written_table import WrittenTable

_KEPT: Final = object()


class RowPlanner:
    """Plans the rows of one call.

    Args:
        table: Written to.
        defaults: Of the model.
        embedder: Of the texts, or what returns it when the first text comes; None where every row gives its vector.
    """

    def __init__(
        self, table: WrittenTable, defaults: Defaults, embedder: Embedder | Callable[[], Embedder] | None
    ) -> None:
        self._table = table
        self._attributes = table.attributes
        self._mapping = table.attributes.mapping
        self._defaults = defaults
        self._given_embedder = embedder
        self._seen: set[tuple[Any, ...]] = set()

    def plan(self, rows: list[Row]) -> int:
        """Complete rows with what is stored of them and with their vectors; return how many texts were embedded.

        Round trips: 1 if any row has a key.
        """
        self._complete_keys(rows)
        self._find([row for row in rows if row.key is not None])
        self._encode_given([row for row in rows if row.vector is not None])
        if self._mapping.declaration.source is not None:
            for row in rows:
                if row.vector is None:
                    self._plan_text(row)
        return self._embed([row for row in rows if row.hash is not None])

    def _complete_keys(self, rows: list[Row]) -> None:
        names, seen = self._attributes.keys, self._seen
        for row in rows:
            key = tuple(map(row.values.get, names))
            if None in key:
                made = self._defaults.key(row)
                if made is None:
                    continue
                row.values = {**row.values, **made}
                row.names = (*row.names, *(name for name in made if name not in row.names))
                key = tuple(map(row.values.get, names))
            if key in seen:
                raise DuplicateDocument(
                    f"row {row.number} has the key ({', '.join(names)}) of an earlier row of this call; keep one of the"
                    " two",
                    id=key if len(key) > 1 else key[0],
                    document=row.number,
                )
            seen.add(key)
            row.key = key

    def _find(self, rows: list[Row]) -> None:
        # Into an empty table nobody but this call has written, unless at this moment, and then the write will notice.
        if not rows or (self._table.was_empty and not any(row.managed for row in rows)):
            return
        further = self._sources if any(self._gives_part_of_source(row) for row in rows) else ()
        quoted = [self._table.parameter(name).name for name in further]
        parameters = self._table.keys("k", [row.key or () for row in rows], [row.number for row in rows])
        statement = statements.stored(self._table.target, quoted)
        for n, hash, has_vector, *texts in self._table.connection.execute(statement, parameters, binary=True):
            rows[n - 1].stored = Stored(hash, has_vector, tuple(texts))

    @cached_property
    def _sources(self) -> tuple[str, ...]:
        """Attributes of the source that are columns, if all are."""
        sources = self._mapping.declaration.sources
        return sources if all(name in self._attributes.columns for name in sources) else ()

    def _gives_part_of_source(self, row: Row) -> bool:
        if len(self._sources) < 2 or row.managed or row.vector is not None:
            return False
        return 0 < sum(name in row.values for name in self._sources) < len(self._sources)

    def _encode_given(self, rows: list[Row]) -> None:
        if not rows:
            return
        space = self._mapping.declaration.space
        try:
            matrix = vectors.as_matrix([row.vector for row in rows], space)
        except InvalidVector:
            for row in rows:
                self._check_vector(row)
            raise
        for row, encoded in zip(rows, vectors.encode(matrix, space.storage), strict=True):
            row.writes, row.encoded = True, encoded

    def _check_vector(self, row: Row) -> None:
        space, what = self._mapping.declaration.space, f"row {row.number}: {self._mapping.attribute}"
        try:
            vectors.as_vector(row.vector, space)
        except DimensionMismatch as error:
            raise DimensionMismatch(
                f"{what} has {error.facts['actual']} dimensions, the column has {space.dimensions}",
                **{**error.facts, "position": row.number},
            ) from None
        except InvalidVector as error:
            raise type(error)(f"{what}: {error}", **{**error.facts, "position": row.number}) from None

    def _plan_text(self, row: Row) -> None:
        text = self._text(row)
        if text is _KEPT:
            return
        if text is None:
            row.writes = True
            return
        try:
            hash = text_hash(self._key, text)
        except UnicodeEncodeError:
            raise InvalidInput(
                f"row {row.number}: the text to embed holds a lone surrogate (text decoded wrongly); replace it with"
                " U+FFFD",
                row=row.number,
            ) from None
        stored = row.stored
        if stored is not None:
            self._check_filled_by(stored.hash)
        if stored is None or stored.hash != hash or not stored.has_vector:
            row.writes, row.text, row.hash = True, text, hash

    def _text(self, row: Row) -> Any:
        """Return the text to embed, None if there is none, or that the stored one is kept."""
        given: Any = row.instance if row.instance is not None else row.values
        sources = self._mapping.declaration.sources
        if sources and not row.managed:
            given = row.values
            absent = [name for name in sources if name not in given]
            if absent:
                stored = row.stored
                if stored is not None and len(absent) == len(sources):
                    return _KEPT
                kept = zip(self._sources, stored.texts, strict=True) if stored is not None and stored.texts else ()
                given = {**dict.fromkeys(absent), **dict(kept), **given}
        try:
            return self._mapping.source_text(given)
        except InvalidInput as error:
            raise type(error)(f"row {row.number}: {error}", **{**error.facts, "row": row.number}) from None

    @cached_property
    def _embedder(self) -> Embedder | None:
        given = self._given_embedder
        if given is None or is_embedder(given):
            return given
        return cast("Callable[[], Embedder]", given)()

    @cached_property
    def _key(self) -> bytes:
        """The embedder's, after checks that it fits the column."""
        mapping, space = self._mapping, self._mapping.declaration.space
        column = f"{mapping.model.__name__}.{mapping.attribute}"
        if self._embedder is None:
            raise ConfigurationError(
                f"the texts of {column} need an embedder; pass embedder=… to Repository, or give every row its vector"
            )
        identity = self._embedder.identity
        if identity.dimensions != space.dimensions:
            raise EmbedderMismatch(
                f"{identity.model!r} makes vectors of {identity.dimensions} dimensions, and {column} has"
                f" {space.dimensions}; use the embedder that the column was made for, or add a second embedding column",
                given=identity,
            )
        key = embedder_key(identity)
        self._check_filled_by(self._table.sample_hash, key)
        return key

    def _check_filled_by(self, hash: bytes | None, key: bytes | None = None) -> None:
        """Refuse rows whose vectors another embedder made."""
        if hash is None or hash[:KEY_BYTES] == (key or self._key):
            return
        mapping, column = self._mapping, self._mapping.embedding.name
        raise EmbedderMismatch(
            f"{mapping.model.__name__}.{mapping.attribute} holds vectors of another embedder, which cannot be compared"
            " with those of this one. Use the other one; or add a second embedding column; or begin anew: set"
            f" {column} and {mapping.hash_column.name} of {mapping.table.name} to NULL, and upsert all rows",
            given=None if self._embedder is None else self._embedder.identity,
        )

    def _embed(self, rows: Sequence[Row]) -> int:
        """Embed each text once and return how many there were."""
        texts = {row.hash: row.text for row in rows if row.text is not None}
        if not texts or self._embedder is None:
            return 0
        space = self._mapping.declaration.space
        matrix = self._table.connection.embed(self._embedder, list(texts.values()))
        encoded = dict(zip(texts, vectors.encode(vectors.as_matrix(matrix, space), space.storage), strict=True))
        for row in rows:
            row.encoded = encoded[row.hash]
        return len(texts)
