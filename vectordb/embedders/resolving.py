"""From what users write, and from what the registry remembers, to an embedder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vectordb.embedders.base import Embedder, EmbedderIdentity, is_embedder
from vectordb.embedders.function import FunctionEmbedder
from vectordb.embedders.model_files import is_folder_name
from vectordb.embedders.sentence_transformers import PROVIDER, SentenceTransformerEmbedder
from vectordb.errors import InvalidInput


def as_embedder(spec: Embedder | str | os.PathLike[str] | Callable[..., Any] | None) -> Embedder:
    """Return the embedder that is meant.

    Args:
        spec: An embedder; the name or folder of a sentence-transformers model; a function from
            a list of strings to their vectors; or None for the default model.

    Raises:
        ConfigurationError: The name is empty.
        InvalidInput: Something else.
    """
    if spec is None:
        return SentenceTransformerEmbedder()
    if isinstance(spec, str | os.PathLike):
        return SentenceTransformerEmbedder(spec)
    if isinstance(spec, type):
        raise InvalidInput(f"{spec.__name__} is a class; pass an instance of it")
    if is_embedder(spec):
        return spec
    if callable(getattr(spec, "encode", None)):
        raise InvalidInput(
            f"{type(spec).__name__} is a model, not an embedder; pass its name, or "
            "FunctionEmbedder(model.encode, name=…)"
        )
    if callable(spec):
        return FunctionEmbedder(spec)
    raise InvalidInput(
        f"an embedder is an Embedder, the name or folder of a model, or a function; not {type(spec).__name__}"
    )


def embedder_from_identity(identity: EmbedderIdentity) -> Embedder | None:
    """Rebuild an embedder from what the registry remembers of it.

    Only the model's name, its prompts, truncation and normalisation are taken over: nothing
    that could make a row of the registry run code.

    Returns:
        The embedder, not loaded yet; None where it cannot be rebuilt: a function, an embedder of
        the application's own, or a folder that is not on this machine.
    """
    if identity.provider != PROVIDER:
        return None
    if is_folder_name(identity.model) and not (Path(identity.model).is_absolute() and Path(identity.model).is_dir()):
        return None
    return SentenceTransformerEmbedder(
        identity.model,
        query_prompt=identity.query_prompt,
        document_prompt=identity.document_prompt,
        normalize=identity.normalized,
        truncate_dim=identity.truncate_dim,
    )
