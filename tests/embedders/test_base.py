from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.embedders import Embedder, EmbedderIdentity, FunctionEmbedder, SentenceTransformerEmbedder, is_embedder
from vectordb.errors import ConfigurationError

MINILM = EmbedderIdentity(
    "sentence-transformers", "sentence-transformers/all-MiniLM-L6-v2", "sha256:53aa", 384, normalized=True
)

identities = st.builds(
    EmbedderIdentity,
    provider=st.sampled_from(["sentence-transformers", "callable"]),
    model=st.sampled_from(["a/b", "/models/b"]),
    fingerprint=st.sampled_from([None, "sha256:1", "sha256:2"]),
    dimensions=st.sampled_from([128, 384]),
    normalized=st.booleans(),
    truncate_dim=st.sampled_from([None, 128]),
    query_prompt=st.sampled_from(["", "query: "]),
    document_prompt=st.sampled_from(["", "passage: "]),
)


@given(identities)
def test_identity_survives_json(identity: EmbedderIdentity) -> None:
    assert EmbedderIdentity.from_dict(json.loads(json.dumps(identity.to_dict()))) == identity


def test_identity_of_a_newer_version_is_read_without_what_is_unknown() -> None:
    assert EmbedderIdentity.from_dict(MINILM.to_dict() | {"pooling": "mean"}) == MINILM


def test_identity_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="model"):
        EmbedderIdentity.from_dict({"provider": "callable"})


@given(identities, identities)
def test_differences_are_mutual(one: EmbedderIdentity, other: EmbedderIdentity) -> None:
    assert one.differences(one) == []
    assert len(one.differences(other)) == len(other.differences(one))


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({"dimensions": 128, "truncate_dim": 128}, ["dimensions 384, not 128"]),
        ({"query_prompt": "q: "}, ["query prompt '', not 'q: '"]),
        ({"document_prompt": "d: "}, ["document prompt '', not 'd: '"]),
        ({"normalized": False}, ["normalized True, not False"]),
        ({"fingerprint": "sha256:0000"}, ["fingerprint 'sha256:53aa', not 'sha256:0000'"]),
        ({"fingerprint": None}, []),
        ({"model": "/models/minilm"}, []),
        ({"truncate_dim": 384}, []),
        (
            {"model": "/models/minilm", "fingerprint": None},
            ["model 'sentence-transformers/all-MiniLM-L6-v2', not '/models/minilm'"],
        ),
    ],
    ids=[
        "truncated",
        "query prompt",
        "document prompt",
        "not normalised",
        "other weights",
        "unknown weights",
        "same weights elsewhere",
        "truncated to all",
        "unknown weights elsewhere",
    ],
)
def test_what_makes_vectors_incomparable(change: dict[str, object], differences: list[str]) -> None:
    assert MINILM.differences(replace(MINILM, **change)) == differences  # type: ignore[arg-type]  # of several types


def test_functions_are_told_apart_by_name() -> None:
    one, other = (FunctionEmbedder(len, dimensions=3, name=name).identity for name in ("one", "other"))
    assert one.differences(other) == ["model 'one', not 'other'"]


def test_embedders_are_recognised_without_being_asked_for_anything() -> None:
    class Costly:
        @property
        def dimensions(self) -> int:
            raise AssertionError("asked")

        identity = max_tokens = tokenizer = dimensions

        def embed(self, texts: list[str]) -> None: ...

    assert is_embedder(Costly())
    assert is_embedder(SentenceTransformerEmbedder("org/absent"))
    assert not is_embedder(len)
    assert not is_embedder("org/absent")


def test_embedders_keep_the_protocol() -> None:
    embedders: list[Embedder] = [FunctionEmbedder(len, dimensions=1), SentenceTransformerEmbedder()]
    assert all(is_embedder(embedder) for embedder in embedders)
