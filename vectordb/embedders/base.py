"""What an embedder is, and what makes the vectors of two embedders comparable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vectordb.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

InputType = Literal["query", "document"]


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """What makes two embedding spaces the same; kept with each collection.

    Attributes:
        provider: "sentence-transformers" or "callable".
        model: Canonical name, such as "sentence-transformers/all-MiniLM-L6-v2", or the
            absolute path of a local folder.
        fingerprint: "sha256:…" of the weights, the same wherever they were found; None if
            unknown.
        dimensions: Of the vectors, after truncation.
        normalized: Whether the vectors have length 1.
        truncate_dim: The leading dimensions that are kept of a longer vector; None keeps all.
        query_prompt: Put before every query.
        document_prompt: Put before every document.
    """

    provider: str
    model: str
    fingerprint: str | None
    dimensions: int
    normalized: bool
    truncate_dim: int | None = None
    query_prompt: str = ""
    document_prompt: str = ""

    def prompt(self, input_type: InputType) -> str:
        """Return what is put before every text of a type."""
        return self.query_prompt if input_type == "query" else self.document_prompt

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EmbedderIdentity:
        """Return the identity that `to_dict` described; unknown keys are left out.

        Raises:
            ConfigurationError: An attribute without default is missing.
        """
        names = {field.name for field in fields(cls)}
        try:
            return cls(**{name: value for name, value in data.items() if name in names})
        except TypeError as error:
            raise ConfigurationError(f"this is not the identity of an embedder: {error}") from None

    def differences(self, other: EmbedderIdentity) -> list[str]:
        """Say what makes vectors of `other` incomparable with vectors of this embedder.

        Equal fingerprints mean the same model, under whatever name. Where either is unknown,
        provider and name decide.

        Returns:
            Phrases such as "dimensions 384, not 128"; empty when the two are compatible.
        """
        # Without truncate_dim: of the same model, vectors of equal dimensions are equally truncated.
        compared = ["dimensions", "normalized", "query_prompt", "document_prompt"]
        if self.fingerprint is None or other.fingerprint is None:
            compared = ["provider", "model", *compared]
        elif self.fingerprint != other.fingerprint:
            compared = ["model", "fingerprint", *compared]
        return [
            f"{name.replace('_', ' ')} {getattr(self, name)!r}, not {getattr(other, name)!r}"
            for name in compared
            if getattr(self, name) != getattr(other, name)
        ]


@runtime_checkable
class Embedder(Protocol):
    """Makes vectors of texts.

    `isinstance` asks an instance for every property, which may load a model; `is_embedder` does not.
    """

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the vectors."""
        ...

    @property
    def identity(self) -> EmbedderIdentity:
        """What makes these vectors comparable with others."""
        ...

    @property
    def max_tokens(self) -> int | None:
        """The longest document in tokens, special tokens and prompt already deducted; None if unlimited or unknown."""
        ...

    @property
    def tokenizer(self) -> Tokenizer | None:
        """A tokenizer to count with, without truncation and padding; None if there is none."""
        ...

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
            input_type: Whether the texts are searched for ("query") or searched ("document").
            on_progress: Called after each batch with the number of texts in it.

        Returns:
            A finite array of shape (len(texts), dimensions), float32.

        Raises:
            EmbeddingError: The embedder failed or broke its contract.
            InvalidInput: `texts` is not a sequence of strings, or `input_type` is unknown.
        """
        ...


_MEMBERS = ("dimensions", "identity", "max_tokens", "tokenizer", "embed")


def is_embedder(value: object) -> TypeGuard[Embedder]:
    """Say whether a value has everything that an `Embedder` has, without asking it for anything."""
    absent = object()
    return all(inspect.getattr_static(value, name, absent) is not absent for name in _MEMBERS)
