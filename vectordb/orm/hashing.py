"""What tells whether a row's vector was made of its present text by the present embedder."""

from __future__ import annotations

import hashlib

from vectordb.embedders import EmbedderIdentity

KEY_BYTES = 8
_TEXT_BYTES = 16


def embedder_key(identity: EmbedderIdentity) -> bytes:
    """Return 8 bytes that are the same exactly for embedders whose vectors can be compared."""
    model = (identity.fingerprint,) if identity.fingerprint else (identity.provider, identity.model)
    parts = (*model, identity.dimensions, identity.normalized, identity.query_prompt, identity.document_prompt)
    return hashlib.sha256(repr(parts).encode()).digest()[:KEY_BYTES]


def text_hash(key: bytes, text: str) -> bytes:
    """Return 24 bytes: the embedder's key, and 16 bytes that change when the text changes."""
    return key + hashlib.sha256(text.encode()).digest()[:_TEXT_BYTES]
