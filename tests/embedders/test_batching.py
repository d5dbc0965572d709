from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectordb.embedders import embed_in_batches
from vectordb.errors import EmbeddingError, InvalidInput

TEXTS = ["a", "bbb", "cc", "dddd", "e"]


def vectors_of(texts: list[str]) -> NDArray[np.float64]:
    """Vectors that tell texts apart: length, and first character."""
    return np.array([[len(text), ord(text[0]) if text else 0] for text in texts], dtype=np.float64)


def run(encode: Callable[[list[str]], Any], texts: list[str] = TEXTS, **options: Any) -> NDArray[np.float32]:
    defaults: dict[str, Any] = {"lengths": [len(text) for text in texts], "batch_size": 2, "dimensions": 2}
    return embed_in_batches(encode, texts, **{**defaults, **options})


@given(st.lists(st.text(max_size=12)), st.integers(1, 9), st.sampled_from([2, None]))
def test_order_is_kept_whatever_the_batches(texts: list[str], batch_size: int, dimensions: int | None) -> None:
    done: list[int] = []
    sizes: list[int] = []

    def encode(batch: list[str]) -> NDArray[np.float64]:
        sizes.append(len(batch))
        return vectors_of(batch)

    result = run(encode, texts, batch_size=batch_size, dimensions=dimensions, on_progress=done.append)
    assert result.dtype == np.float32
    assert result.shape == (len(texts), 0 if dimensions is None and not texts else 2)
    assert texts == [] or np.array_equal(result, vectors_of(texts))
    assert sum(done) == len(texts)
    assert done == sizes
    assert max(sizes, default=0) <= batch_size


def test_longest_come_first_and_equal_ones_stay_in_order() -> None:
    seen: list[list[str]] = []

    def encode(batch: list[str]) -> NDArray[np.float64]:
        seen.append(batch)
        return vectors_of(batch)

    run(encode)
    assert seen == [["dddd", "bbb"], ["cc", "a"], ["e"]]


class Memory:
    """An encode function with room for a number of texts at once."""

    def __init__(self, room: int, error: Callable[[], Exception]) -> None:
        self.room = room
        self.error = error
        self.asked: list[int] = []

    def __call__(self, batch: list[str]) -> NDArray[np.float64]:
        self.asked.append(len(batch))
        if len(batch) > self.room:
            raise self.error()
        return vectors_of(batch)


def cuda_error() -> Exception:
    import torch

    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def cpu_error() -> Exception:
    """What PyTorch really says when the machine has no more memory."""
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**58)
    return caught.value


@pytest.mark.parametrize("error", [cuda_error, cpu_error, MemoryError], ids=["cuda", "cpu", "numpy"])
def test_batches_are_halved_until_they_fit(error: Callable[[], Exception]) -> None:
    memory, done = Memory(2, error), list[int]()
    texts = [*TEXTS, *TEXTS, *TEXTS]
    result = run(memory, texts, batch_size=8, on_progress=done.append)
    assert np.array_equal(result, vectors_of(texts))
    assert memory.asked == [8, 4, *[2] * 7, 1]
    assert done == [*[2] * 7, 1]


def test_halving_ends_with_an_error() -> None:
    memory = Memory(0, MemoryError)
    with pytest.raises(EmbeddingError, match="smaller chunks") as caught:
        run(memory, batch_size=4)
    assert memory.asked == [4, 2, 1]
    assert isinstance(caught.value.__cause__, MemoryError)


def test_other_failures_are_wrapped_at_once_and_do_not_show_the_text() -> None:
    asked = []

    def encode(batch: list[str]) -> None:
        asked.append(batch)
        raise RuntimeError(f"cannot embed {batch}")

    with pytest.raises(EmbeddingError, match="RuntimeError") as caught:
        run(encode)
    assert len(asked) == 1
    assert "dddd" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_own_errors_are_not_wrapped() -> None:
    def encode(batch: list[str]) -> None:
        raise InvalidInput("as it is")

    with pytest.raises(InvalidInput, match="as it is"):
        run(encode)


@pytest.mark.parametrize(
    ("encode", "complaint"),
    [
        (lambda batch: vectors_of(batch)[:-1], "1 vectors for 2 texts"),
        (lambda batch: np.ones((len(batch), 3)), "3 dimensions instead of 2"),
        (lambda batch: np.ones(len(batch)), r"shape \(2,\)"),
        (lambda batch: np.ones((len(batch), 0)), "shape"),
        (lambda batch: [["x", "y"]] * len(batch), "real numbers"),
        (lambda batch: np.ones((len(batch), 2), dtype=complex), "real numbers"),
        (lambda batch: np.ones((len(batch), 2), dtype=bool), "real numbers"),
        (lambda batch: [[1.0, 2.0], [1.0]], "ValueError"),
        (lambda batch: None, "real numbers"),
        (lambda batch: np.full((len(batch), 2), 1e300), "NaN or infinity"),
    ],
    ids=["count", "dimensions", "flat", "empty", "strings", "complex", "bool", "ragged", "nothing", "overflow"],
)
def test_broken_contracts_are_refused(encode: Callable[[list[str]], Any], complaint: str) -> None:
    with pytest.raises(EmbeddingError, match=complaint):
        run(encode)


def test_vectors_of_later_batches_must_agree_with_the_first() -> None:
    with pytest.raises(EmbeddingError, match="dimensions"):
        run(lambda batch: np.ones((len(batch), len(batch))), dimensions=None)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_text_without_finite_vector_is_named(bad: float) -> None:
    def encode(batch: list[str]) -> NDArray[np.float64]:
        return np.array([[1.0, bad if text == "cc" else 1.0] for text in batch])

    with pytest.raises(EmbeddingError, match="text 2") as caught:
        run(encode)
    assert caught.value.facts == {"position": 2}


def test_whole_numbers_are_vectors_too() -> None:
    assert run(lambda batch: [[1, 2]] * len(batch)).tolist() == [[1.0, 2.0]] * len(TEXTS)
