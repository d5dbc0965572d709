"""What tells whether a row's vector was made of its present text by the present embedder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from sqlalchemy import Select, select

from vectordb.embedders import EmbedderIdentity
from vectordb.errors import EmbedderMismatch
from vectordb.orm.mapping import ModelMapping

KEY_BYTES = 8
_TEXT_BYTES = 16

# Rows that may tell which embedder filled the table: where the application gives all vectors, none does.
LOOKED_AT = 1_000


def embedder_key(identity: EmbedderIdentity) -> bytes:
    """Return 8 bytes that are the same exactly for embedders whose vectors can be compared."""
    model = (identity.fingerprint,) if identity.fingerprint else (identity.provider, identity.model)
    parts = (*model, identity.dimensions, identity.normalized, identity.query_prompt, identity.document_prompt)
    return hashlib.sha256(repr(parts).encode()).digest()[:KEY_BYTES]


def text_hashes(key: bytes, texts: Iterable[str | None]) -> list[bytes | None]:
    """Return 24 bytes for each text: the embedder's key, and 16 bytes that change when the text changes."""
    sha256 = hashlib.sha256
    return [None if text is None else key + sha256(text.encode()).digest()[:_TEXT_BYTES] for text in texts]


def stored_hash(mapping: ModelMapping) -> Select[bytes | None]:
    """Return a SELECT of the hash of a row whose text was embedded, if one is seen among a few."""
    some = select(mapping.hash_column.label("hash")).limit(LOOKED_AT).subquery()
    return select(some.c.hash).where(some.c.hash.is_not(None)).limit(1)


def check_filled_by(mapping: ModelMapping, identity: EmbedderIdentity, hash: bytes | None) -> None:
    """Refuse to fill a column with vectors that cannot be compared with those that it holds.

    Args:
        mapping: Of the model.
        identity: Of the embedder.
        hash: Of a stored row; None for none.

    Raises:
        EmbedderMismatch: Another embedder made that row's vector.
    """
    if hash is None or hash[:KEY_BYTES] == embedder_key(identity):
        return
    column = mapping.embedding.name
    raise EmbedderMismatch(
        f"{mapping.model.__name__}.{mapping.attribute} holds vectors of another embedder, which cannot be compared"
        " with those of this one. Use the other one; or add a second embedding column; or begin anew: set"
        f" {column} and {mapping.hash_column.name} of {mapping.table.name} to NULL, and upsert all rows",
        given=identity,
    )
