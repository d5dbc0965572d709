from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vectordb.embedders import (
    DEFAULT_MODEL,
    Embedder,
    EmbedderIdentity,
    FunctionEmbedder,
    SentenceTransformerEmbedder,
    as_embedder,
    embedder_from_identity,
)
from vectordb.errors import ConfigurationError, InvalidInput


def ones(texts: list[str]) -> list[list[float]]:
    return [[1.0]] * len(texts)


def test_none_is_the_default_model() -> None:
    assert as_embedder(None).identity == SentenceTransformerEmbedder(DEFAULT_MODEL).identity


def test_a_string_is_a_model() -> None:
    assert as_embedder("all-MiniLM-L6-v2").identity.model == DEFAULT_MODEL


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_a_folder(kind: Any, tiny_folder: Path) -> None:
    identity = as_embedder(kind(tiny_folder)).identity
    assert (identity.model, identity.dimensions) == (str(tiny_folder), 16)


def test_a_function_becomes_an_embedder() -> None:
    embedder = as_embedder(ones)
    assert isinstance(embedder, FunctionEmbedder)
    assert embedder.embed(["a", "b"]).shape == (2, 1)


class Own:
    """An embedder that somebody else wrote; it inherits nothing."""

    dimensions = 1
    max_tokens = None
    tokenizer = None
    identity = EmbedderIdentity("own", "own/model", None, 1, normalized=True)

    def embed(self, texts: list[str], **_: Any) -> Any:
        return np.ones((len(texts), 1), dtype=np.float32)


@pytest.mark.parametrize("embedder", [FunctionEmbedder(ones), SentenceTransformerEmbedder("org/absent"), Own()])
def test_an_embedder_is_itself(embedder: Embedder) -> None:
    assert as_embedder(embedder) is embedder


class Model:
    """What a loaded SentenceTransformer looks like: it can be called, but not with texts."""

    def __call__(self, features: Any) -> Any: ...

    def encode(self, texts: list[str]) -> Any: ...


@pytest.mark.parametrize(
    ("spec", "way_out"),
    [
        (3, "name or folder"),
        (["all-MiniLM-L6-v2"], "name or folder"),
        (Own, "instance"),
        (Model(), r"FunctionEmbedder\(model\.encode"),
    ],
    ids=["number", "list", "class", "model"],
)
def test_anything_else_is_refused_with_the_way_out(spec: Any, way_out: str) -> None:
    with pytest.raises(InvalidInput, match=way_out):
        as_embedder(spec)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        as_embedder("")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"truncate_dim": 8},
        {"truncate_dim": 8, "normalize": False},
        {"query_prompt": "", "document_prompt": "text: "},
    ],
    ids=str,
)
def test_an_embedder_is_rebuilt_from_its_identity(options: dict[str, Any], tiny_folder: Path) -> None:
    embedder = SentenceTransformerEmbedder(tiny_folder, **options)
    rebuilt = embedder_from_identity(EmbedderIdentity.from_dict(embedder.identity.to_dict()))
    assert rebuilt is not None
    assert rebuilt.identity == embedder.identity
    for input_type in ("query", "document"):
        assert np.array_equal(
            rebuilt.embed(["the cat"], input_type=input_type), embedder.embed(["the cat"], input_type=input_type)
        )


def test_the_default_model_is_rebuilt() -> None:
    identity = SentenceTransformerEmbedder(normalize=False, truncate_dim=128).identity
    rebuilt = embedder_from_identity(identity)
    assert rebuilt is not None
    assert rebuilt.identity == identity


@pytest.mark.parametrize("identity", [FunctionEmbedder(ones, dimensions=1).identity, Own.identity], ids=["fn", "own"])
def test_other_embedders_cannot_be_rebuilt(identity: EmbedderIdentity) -> None:
    assert embedder_from_identity(identity) is None


def test_a_folder_is_rebuilt_only_from_an_absolute_path_that_exists(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    identity = SentenceTransformerEmbedder(tiny_folder).identity
    for stored in (str(tmp_path / "absent"), os.path.join(".", tiny_folder.name), "../models/tiny"):
        assert embedder_from_identity(replace(identity, model=stored)) is None
