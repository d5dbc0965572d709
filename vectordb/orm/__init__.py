"""An application's own models: columns that make them searchable, and a repository that searches and fills them."""

from __future__ import annotations

from vectordb.columns import (
    Embedding,
    EmbeddingHash,
    TextSearch,
    embedding_column,
    embedding_of,
    hash_column_of,
    text_search_column,
    text_search_of,
)
from vectordb.orm.catalogue import IndexMismatchWarning
from vectordb.orm.events import FlushListener, embed_on_flush
from vectordb.orm.hits import EntityResults, Hit
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.repository import Repository
from vectordb.vector_types import VectorColumn

__all__ = [
    "Embedding",
    "EmbeddingHash",
    "EntityResults",
    "FlushListener",
    "Hit",
    "IndexMismatchWarning",
    "ModelMapping",
    "Repository",
    "TextSearch",
    "VectorColumn",
    "embed_on_flush",
    "embedding_column",
    "embedding_of",
    "hash_column_of",
    "text_search_column",
    "text_search_of",
]
