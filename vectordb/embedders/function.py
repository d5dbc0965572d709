"""Embedders that call a function of the application."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders.base import EmbedderIdentity, InputType
from vectordb.embedders.batching import check_input, embed_in_batches
from vectordb.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PROVIDER = "callable"


class FunctionEmbedder:
    """Embed text with any function, such as a call to an embedding service.

    Args:
        function: Takes a list of strings and returns one vector for each, shape
            (n, dimensions): a list of lists, a numpy array, or what numpy can read. If it has
            a parameter `input_type`, that is passed as "query" or "document".
        dimensions: Of the vectors; None finds out by embedding one text when first needed.
        name: What tells this embedder from others; collections remember it. None takes the
            function's qualified name.
        max_tokens: The longest document in tokens; None if unlimited or unknown.
        tokenizer: A `tokenizers.Tokenizer` by which `max_tokens` counts, and by which documents
            are cut into chunks; None cuts them by characters.
        batch_size: Most texts to pass to the function at once.
        normalized: Whether the vectors have length 1.

    Raises:
        ConfigurationError: `function` cannot be called, or a number is not positive.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        dimensions: int | None = None,
        name: str | None = None,
        max_tokens: int | None = None,
        tokenizer: Tokenizer | None = None,
        batch_size: int = 128,
        normalized: bool = False,
    ) -> None:
        if not callable(function):
            raise ConfigurationError(f"an embedding function can be called; {type(function).__name__} cannot")
        numbers = {"dimensions": dimensions, "max_tokens": max_tokens, "batch_size": batch_size}
        for option, value in numbers.items():
            if value is not None and value < 1:
                raise ConfigurationError(f"{option} is at least 1, not {value}")
        self._function = function
        self._takes_input_type = _has_parameter(function, "input_type")
        self._dimensions = dimensions
        self._name = name or _qualified_name(function)
        self._max_tokens = max_tokens
        self._tokenizer = None if tokenizer is None else _without_limits(tokenizer)
        self._batch_size = batch_size
        self._normalized = normalized

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the vectors; embeds one text if they are not known yet.

        Raises:
            EmbeddingError: The function failed.
        """
        if self._dimensions is None:
            self.embed(["probe"])
        assert self._dimensions is not None  # noqa: S101 - embed() learns them from the first vectors
        return self._dimensions

    @property
    def identity(self) -> EmbedderIdentity:
        """What makes the vectors comparable with others: name and dimensions."""
        return EmbedderIdentity(PROVIDER, self._name, None, self.dimensions, normalized=self._normalized)

    @property
    def max_tokens(self) -> int | None:
        """The longest document in tokens; None if unlimited or unknown."""
        return self._max_tokens

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer by which `max_tokens` counts, without truncation and padding."""
        return self._tokenizer

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType = "document",
        on_progress: Callable[[int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Return one vector for each text, in the same order.

        Args:
            texts: What to embed.
            input_type: "query" or "document"; passed on if the function takes it.
            on_progress: Called after each batch with the number of texts in it.

        Returns:
            Shape (len(texts), dimensions), float32.

        Raises:
            EmbeddingError: The function failed or returned something else than one finite
                vector of the same length for each text.
            InvalidInput: `texts` is not a sequence of strings, or `input_type` is unknown.
        """
        given = check_input(texts, input_type)
        if not given:
            return np.empty((0, self.dimensions), dtype=np.float32)
        function = self._function
        if self._takes_input_type:
            function = functools.partial(function, input_type=input_type)
        vectors = embed_in_batches(
            function,
            given,
            lengths=[len(text) for text in given],
            batch_size=self._batch_size,
            dimensions=self._dimensions,
            on_progress=on_progress,
        )
        self._dimensions = vectors.shape[1]
        return vectors


def _has_parameter(function: Callable[..., Any], name: str) -> bool:
    """Say whether a function names a parameter; one that takes any keyword may pass it on to where it is unknown."""
    try:
        parameter = inspect.signature(function).parameters.get(name)
    except (TypeError, ValueError):  # written in C, without a signature
        return False
    return parameter is not None and parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)


def _qualified_name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy
