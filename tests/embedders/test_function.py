from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.embedders.conftest import WORDS
from vectordb.embedders import EmbedderIdentity, FunctionEmbedder, InputType
from vectordb.errors import ConfigurationError, EmbeddingError, InvalidInput, InvalidText


def lengths(texts: list[str]) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


def test_any_function_is_an_embedder() -> None:
    embedder = FunctionEmbedder(lengths)
    vectors = embedder.embed(["a", "abc", "ab"])
    assert vectors.tolist() == [[1, 1], [3, 1], [2, 1]]
    assert vectors.dtype == np.float32
    assert embedder.identity == EmbedderIdentity("callable", f"{__name__}.lengths", None, 2, normalized=False)
    assert (embedder.max_tokens, embedder.tokenizer) == (None, None)


@pytest.mark.parametrize("kind", ["float64", "float16", "torch", "tensors", "tuples"])
def test_whatever_numpy_can_read_is_accepted(kind: str) -> None:
    def embed(texts: list[str]) -> Any:
        import torch

        rows = lengths(texts)
        if kind == "torch":
            return torch.tensor(rows)
        if kind == "tensors":
            return [torch.tensor(row) for row in rows]
        return [tuple(row) for row in rows] if kind == "tuples" else np.array(rows, dtype=kind)

    assert FunctionEmbedder(embed).embed(["a", "abc"]).tolist() == [[1, 1], [3, 1]]


def test_dimensions_are_found_by_the_first_texts() -> None:
    seen: list[list[str]] = []

    def embed(texts: list[str]) -> ArrayLike:
        seen.append(texts)
        return lengths(texts)

    probed = FunctionEmbedder(embed)
    assert (probed.dimensions, probed.identity.dimensions, len(seen)) == (2, 2, 1)
    assert len(seen[0]) == 1

    seen.clear()
    used = FunctionEmbedder(embed)
    used.embed(["some", "text"])
    assert (used.dimensions, len(seen)) == (2, 1)


def test_no_texts_make_no_vectors_and_no_call() -> None:
    def embed(texts: list[str]) -> ArrayLike:
        raise AssertionError("called")

    assert FunctionEmbedder(embed, dimensions=7).embed([]).shape == (0, 7)


def test_dimensions_that_were_declared_are_held() -> None:
    with pytest.raises(EmbeddingError, match="2 dimensions instead of 3"):
        FunctionEmbedder(lengths, dimensions=3).embed(["a"])


def test_input_type_is_passed_to_functions_that_name_it() -> None:
    def named(texts: list[str], *, input_type: InputType) -> ArrayLike:
        return [[1.0 if input_type == "query" else 2.0]] * len(texts)

    embedder = FunctionEmbedder(named)
    assert embedder.embed(["a"], input_type="query").tolist() == [[1.0]]
    assert embedder.embed(["a"], input_type="document").tolist() == [[2.0]]


def test_input_type_is_not_passed_to_functions_that_take_anything() -> None:
    def anything(texts: list[str], **options: Any) -> ArrayLike:
        assert options == {}
        return lengths(texts)

    assert FunctionEmbedder(anything).embed(["a"], input_type="query").shape == (1, 2)


def test_failures_are_wrapped() -> None:
    def embed(texts: list[str]) -> ArrayLike:
        raise ConnectionError("key sk-123 refused")

    with pytest.raises(EmbeddingError, match="ConnectionError") as caught:
        FunctionEmbedder(embed).embed(["a"])
    assert "sk-123" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_batches_and_progress() -> None:
    seen: list[int] = []
    done: list[int] = []

    def embed(texts: list[str]) -> ArrayLike:
        seen.append(len(texts))
        return lengths(texts)

    FunctionEmbedder(embed, batch_size=2).embed(["a"] * 5, on_progress=done.append)
    assert seen == done == [2, 2, 1]


class Service:
    def __call__(self, texts: list[str]) -> ArrayLike:
        return lengths(texts)

    def embed(self, texts: list[str], model: str = "") -> ArrayLike:
        return lengths(texts)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lengths, "lengths"),
        (Service(), "Service"),
        (Service().embed, "Service.embed"),
        (functools.partial(functools.partial(Service().embed), model="small"), "Service.embed"),
    ],
    ids=["function", "object", "method", "partial"],
)
def test_the_name_is_that_of_the_function(function: Any, name: str) -> None:
    assert FunctionEmbedder(function, dimensions=2).identity.model == f"{__name__}.{name}"


def test_a_name_of_its_own() -> None:
    embedder = FunctionEmbedder(lambda texts: lengths(texts), name="service/small", normalized=True)
    assert embedder.identity == EmbedderIdentity("callable", "service/small", None, 2, normalized=True)
    assert repr(embedder) == "FunctionEmbedder('service/small')"


def test_the_tokenizer_loses_its_limits_and_the_given_one_keeps_them(tiny_folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    embedder = FunctionEmbedder(lengths, tokenizer=tokenizer, max_tokens=30)
    assert embedder.max_tokens == 30
    assert embedder.tokenizer is not None
    text = " ".join(WORDS)
    assert len(embedder.tokenizer.encode(text, add_special_tokens=False)) == len(WORDS)
    assert tokenizer.truncation is not None


@pytest.mark.parametrize(
    "wrong",
    [{"function": "model"}, {"dimensions": 0}, {"max_tokens": 0}, {"batch_size": 0}, {"batch_size": -1}],
    ids=str,
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        FunctionEmbedder(**{"function": lengths, **wrong})


@pytest.mark.parametrize(
    ("texts", "error"),
    [("one text", InvalidInput), ([b"bytes"], InvalidInput), ([None], InvalidInput), (["ok", "\ud800"], InvalidText)],
    ids=["string", "bytes", "none", "surrogate"],
)
def test_wrong_texts_are_refused(texts: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        FunctionEmbedder(lengths).embed(texts)


def test_an_unknown_input_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'passage'"):
        FunctionEmbedder(lengths).embed(["a"], input_type="passage")  # type: ignore[arg-type]  # the point of the test
