"""Embedders that run a sentence-transformers model on this machine."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders import model_files
from vectordb.embedders.base import EmbedderIdentity, InputType
from vectordb.embedders.batching import check_input, embed_in_batches
from vectordb.embedders.model_files import DEFAULT_MODEL
from vectordb.embedders.network import DEFAULT_FACTS, ModelFacts, Network, load_network
from vectordb.errors import ConfigurationError, EmbeddingError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PROVIDER = "sentence-transformers"


class QueryTruncated(UserWarning):
    """A query is longer than the model can read; its end was left out."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory and what it makes of the options of an embedder."""

    network: Network
    identity: EmbedderIdentity
    max_tokens: dict[InputType, int | None]
    revision: str | None


class SentenceTransformerEmbedder:
    """Embed text with a sentence-transformers model.

    The model is loaded when it is first needed, once, and shared by all embedders that use it in
    this process. Only safetensors weights are loaded, and never code that comes with a model.

    Args:
        model: Name on the Hugging Face hub, or a local folder, written as a path (`./name`).
        device: "cpu", "cuda", "mps" and so on; None takes the best there is.
        batch_size: Most texts in one forward pass; halved where memory does not suffice.
        query_prompt: Put before every query; None takes the model's own, if it has one.
        document_prompt: Put before every document; None takes the model's own, if it has one.
        normalize: Whether to scale the vectors to length 1.
        truncate_dim: Keep only so many leading dimensions, for models trained for it
            (Matryoshka); None keeps all, or what the model's configuration says.
        revision: Commit, tag or branch on the hub.
        cache_folder: Where downloads are kept; None takes the hub's usual place.
        local_files_only: Never download.

    Raises:
        ConfigurationError: `batch_size` or `truncate_dim` is not a positive number.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | None = None,
        batch_size: int = 32,
        query_prompt: str | None = None,
        document_prompt: str | None = None,
        normalize: bool = True,
        truncate_dim: int | None = None,
        revision: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> None:
        if batch_size < 1:
            raise ConfigurationError(f"batch_size is at least 1, not {batch_size}")
        self._name = model_files.canonical_name(model)
        self._device = device
        self._batch_size = batch_size
        self._query_prompt = query_prompt
        self._document_prompt = document_prompt
        self._normalize = normalize
        self._truncate_dim = truncate_dim
        self._revision = revision
        self._cache_folder = cache_folder
        self._local_files_only = local_files_only
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None
        if truncate_dim is not None and truncate_dim < 1:
            raise self._bad_truncation("1 or more")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the vectors; loads any model but the default one."""
        return self.identity.dimensions

    @property
    def identity(self) -> EmbedderIdentity:
        """What makes the vectors comparable with others; loads any model but the default one.

        Raises:
            ConfigurationError: `truncate_dim` is more than the model has, or the model is not plain data.
            EmbeddingError: The model cannot be found or loaded.
            MissingDependency: The extra `local` is not installed.
        """
        return self._identity(DEFAULT_FACTS) if self._is_default_model else self._load().identity

    @property
    def max_tokens(self) -> int | None:
        """The longest document in tokens, special tokens and prompt already deducted; loads the model."""
        return self._load().max_tokens["document"]

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's tokenizer, without truncation and padding; loads the model."""
        return self._load().network.tokenizer

    @property
    def revision(self) -> str | None:
        """Commit of a model from the hub, None of any other; loads the model."""
        return self._load().revision

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
            input_type: "query" or "document"; decides on the prompt.
            on_progress: Called after each batch with the number of texts in it.

        Returns:
            Shape (len(texts), dimensions), float32.

        Raises:
            EmbeddingError: A document is longer than the model can read, the model cannot be
                loaded, or memory does not suffice.
            InvalidInput: `texts` is not a sequence of strings, or `input_type` is unknown.

        Warns:
            QueryTruncated: A query is longer than the model can read.
        """
        given = check_input(texts, input_type)
        if not given:
            return np.empty((0, self.dimensions), dtype=np.float32)
        loaded = self._load()
        lengths = loaded.network.count(given)
        self._check_lengths(lengths, loaded.max_tokens[input_type], input_type)
        return embed_in_batches(
            self._encoder(loaded, input_type),
            given,
            lengths=lengths,
            batch_size=self._batch_size,
            dimensions=loaded.identity.dimensions,
            on_progress=on_progress,
        )

    def embed_tokens(self, texts: Sequence[str], *, input_type: InputType = "document") -> list[NDArray[np.float32]]:
        """Return the vectors of the tokens of each text, in the same order, in one forward pass.

        What is longer than the model can read is cut off. Special tokens are left out; those of the prompt are not.

        Args:
            texts: What to embed.
            input_type: "query" or "document"; decides on the prompt.

        Returns:
            For each text an array of shape (its tokens, width of the network), float32, not normalised.

        Raises:
            EmbeddingError: The model cannot be loaded, failed, or makes no vectors of tokens.
            InvalidInput: `texts` is not a sequence of strings, or `input_type` is unknown.
        """
        given = check_input(texts, input_type)
        if not given:
            return []
        loaded = self._load()
        model, prompt = loaded.network.model, loaded.identity.prompt(input_type)
        encode = model.encode_query if input_type == "query" else model.encode_document
        try:
            outputs: Any = encode(
                given, prompt=prompt, batch_size=len(given), show_progress_bar=False, output_value=None
            )
        except Exception as error:
            raise EmbeddingError(
                f"{self._name} failed on a batch of {len(given)} texts with {type(error).__name__}; the cause is "
                "attached",
                batch=len(given),
            ) from error
        if "token_embeddings" not in outputs[0]:
            raise EmbeddingError(f"{self._name} makes no vectors of tokens; choose a model with a transformer")
        return [loaded.network.without_special_tokens(output) for output in outputs]

    def _encoder(self, loaded: _Loaded, input_type: InputType) -> Callable[[list[str]], NDArray[np.float32]]:
        model, identity = loaded.network.model, loaded.identity
        encode = model.encode_query if input_type == "query" else model.encode_document
        prompt = identity.prompt(input_type)

        def encode_batch(batch: list[str]) -> NDArray[np.float32]:
            # Within one call the model truncates first and normalises after.
            return encode(
                batch,
                prompt=prompt,
                batch_size=len(batch),
                show_progress_bar=False,
                normalize_embeddings=self._normalize,
                truncate_dim=identity.truncate_dim,
            )

        return encode_batch

    def _check_lengths(self, lengths: list[int], limit: int | None, input_type: InputType) -> None:
        if limit is None or max(lengths) <= limit:
            return
        position = next(place for place, length in enumerate(lengths) if length > limit)
        what = f"{input_type} {position} has {lengths[position]} tokens, {self._name} reads {limit}"
        if input_type == "query":
            warnings.warn(f"{what}: the end of it was left out", QueryTruncated, stacklevel=3)
            return
        raise EmbeddingError(
            f"{what}; cut it into chunks (vectordb.chunking.Chunker), as collections do by themselves",
            position=position,
            tokens=lengths[position],
            max_tokens=limit,
        )

    @property
    def _is_default_model(self) -> bool:
        return self._name == DEFAULT_MODEL and self._revision is None

    def _load(self) -> _Loaded:
        if self._loaded is None:
            with self._lock:
                if self._loaded is None:
                    self._loaded = self._read()
        return self._loaded

    def _read(self) -> _Loaded:
        found = model_files.find_model(
            self._name,
            revision=self._revision,
            cache_folder=self._cache_folder,
            local_files_only=self._local_files_only,
        )
        network = load_network(found.path, self._name, device=self._device)
        if self._is_default_model:
            model_files.check_default_weights(self._name, network.facts.fingerprint, found.path)
        identity = self._identity(DEFAULT_FACTS if self._is_default_model else network.facts)
        limits: dict[InputType, int | None] = {
            "query": network.longest_text(identity.query_prompt, "query"),
            "document": network.longest_text(identity.document_prompt, "document"),
        }
        for input_type, limit in limits.items():
            if limit is not None and limit < 1:
                raise ConfigurationError(f"the {input_type} prompt leaves no room for text in {self._name}; shorten it")
        return _Loaded(network, identity, limits, found.revision)

    def _identity(self, facts: ModelFacts) -> EmbedderIdentity:
        """Return what the options make of a model."""
        dimensions = facts.truncate_dim if self._truncate_dim is None else self._truncate_dim
        if dimensions is None:
            dimensions = facts.dimensions
        if dimensions > facts.dimensions:
            raise self._bad_truncation(f"from 1 to {facts.dimensions}")
        truncated = dimensions < facts.dimensions
        # All dimensions of a model that truncates by itself are remembered as well, or it could not be rebuilt.
        remembered = truncated or facts.truncate_dim is not None
        return EmbedderIdentity(
            PROVIDER,
            self._name,
            facts.fingerprint,
            dimensions,
            normalized=self._normalize or (facts.normalizes and not truncated),
            truncate_dim=dimensions if remembered else None,
            query_prompt=facts.query_prompt if self._query_prompt is None else self._query_prompt,
            document_prompt=facts.document_prompt if self._document_prompt is None else self._document_prompt,
        )

    def _bad_truncation(self, allowed: str) -> ConfigurationError:
        return ConfigurationError(f"truncate_dim of {self._name} is {allowed}, not {self._truncate_dim}")
