"""Embedders: what turns text into vectors.

`SentenceTransformerEmbedder` runs a model on this machine, `FunctionEmbedder` calls a function of
the application, and anything with the members of `Embedder` will do.
"""

from vectordb.embedders.base import Embedder, EmbedderIdentity, InputType, is_embedder
from vectordb.embedders.batching import embed_in_batches
from vectordb.embedders.function import FunctionEmbedder
from vectordb.embedders.model_files import DEFAULT_MODEL
from vectordb.embedders.resolving import as_embedder, embedder_from_identity
from vectordb.embedders.sentence_transformers import QueryTruncated, SentenceTransformerEmbedder

__all__ = [
    "DEFAULT_MODEL",
    "Embedder",
    "EmbedderIdentity",
    "FunctionEmbedder",
    "InputType",
    "QueryTruncated",
    "SentenceTransformerEmbedder",
    "as_embedder",
    "embed_in_batches",
    "embedder_from_identity",
    "is_embedder",
]
