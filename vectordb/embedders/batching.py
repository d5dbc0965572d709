"""Embedding many texts in batches, whatever makes the vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders.base import InputType
from vectordb.errors import EmbeddingError, InvalidInput, InvalidText, VectorDBError

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def check_input(texts: Sequence[str], input_type: InputType) -> list[str]:
    """Return the texts as a list.

    Raises:
        InvalidInput: One string instead of a sequence of them, something else than strings, or
            an unknown `input_type`.
        InvalidText: A lone surrogate, which no tokenizer can read.
    """
    if isinstance(texts, str):
        raise InvalidInput("embed() takes a sequence of texts; pass [text] for a single one")
    if input_type not in get_args(InputType):
        raise InvalidInput(f"input_type is 'query' or 'document', not {input_type!r}")
    result = list(texts)
    for position, text in enumerate(result):
        if not isinstance(text, str):
            raise InvalidInput(f"text {position} is not a string but {type(text).__name__}", position=position)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidText(
                f"text {position} holds a lone surrogate (text decoded wrongly); replace it with U+FFFD",
                position=position,
            ) from None
    return result


def embed_in_batches(
    encode: Callable[[list[str]], Any],
    texts: Sequence[str],
    *,
    lengths: Sequence[int],
    batch_size: int,
    dimensions: int | None,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Embed texts of similar length together, so that little is padded.

    The longest come first: what does not fit into memory shows at once. A batch that does not
    fit is halved, and the smaller size is kept for the rest.

    Args:
        encode: Makes an array of shape (n, dimensions) of n texts.
        texts: What to embed.
        lengths: Of each text, in any unit.
        batch_size: Most texts to pass to `encode` at once.
        dimensions: Expected of every vector; None takes those of the first batch.
        on_progress: Called after each batch with the number of texts in it.

    Returns:
        Shape (len(texts), dimensions), float32, finite, in the order of `texts`.

    Raises:
        EmbeddingError: `encode` failed, or returned something else than finite vectors, one
            for each text; or a single text does not fit into memory.
    """
    order = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    result = None if dimensions is None else np.empty((len(texts), dimensions), dtype=np.float32)
    done = 0
    while done < len(order):
        rows = order[done : done + batch_size]
        output = _encode_if_it_fits(encode, [texts[row] for row in rows])
        if output is None:
            batch_size = len(rows) // 2
            continue
        vectors = _check_vectors(output, rows, None if result is None else result.shape[1])
        if result is None:
            result = np.empty((len(texts), vectors.shape[1]), dtype=np.float32)
        result[rows] = vectors
        done += len(rows)
        if on_progress is not None:
            on_progress(len(rows))
    return np.empty((0, 0), dtype=np.float32) if result is None else result


def _encode_if_it_fits(encode: Callable[[list[str]], Any], batch: list[str]) -> NDArray[Any] | None:
    """Return what `encode` makes of a batch, or None if it ran out of memory with more than one text."""
    try:
        return np.asarray(encode(batch))
    except VectorDBError:
        raise
    except Exception as error:
        if not _is_out_of_memory(error):
            raise EmbeddingError(
                f"the embedder failed on a batch of {len(batch)} texts with {type(error).__name__}; "
                "the cause is attached",
                batch=len(batch),
            ) from error
        if len(batch) == 1:
            raise EmbeddingError(
                "memory does not suffice to embed a single text; cut it into smaller chunks, or use a smaller model "
                "or another device",
                batch=1,
            ) from error
    # The retry happens outside of `except`: there the error would still hold the tensors of the failed batch.
    return None


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    # PyTorch has no class of its own for it on the CPU; that for CUDA is a RuntimeError too.
    return isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _OUT_OF_MEMORY)


def _check_vectors(output: NDArray[Any], rows: NDArray[np.int64], dimensions: int | None) -> NDArray[np.float32]:
    """Return the output of an embedder as float32; `rows` are the places of its texts in the call."""
    if output.dtype.kind not in "fiu":
        raise EmbeddingError(
            f"the embedder returned values of type {output.dtype}; it must return real numbers, the same number of "
            "them for each text"
        )
    if output.ndim != 2 or output.shape[1] == 0:
        raise EmbeddingError(
            f"the embedder returned an array of shape {output.shape}; it must return one vector for each of the "
            f"{len(rows)} texts: shape (n, dimensions)"
        )
    if len(output) != len(rows):
        raise EmbeddingError(f"the embedder returned {len(output)} vectors for {len(rows)} texts")
    if dimensions is not None and output.shape[1] != dimensions:
        raise EmbeddingError(
            f"the embedder returned vectors of {output.shape[1]} dimensions instead of {dimensions}",
            expected=dimensions,
            actual=output.shape[1],
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is refused below
        vectors = output.astype(np.float32, copy=False)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        position = int(rows[~finite].min())
        raise EmbeddingError(f"the embedder returned NaN or infinity for text {position}", position=position)
    return vectors
