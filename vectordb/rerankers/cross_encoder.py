"""Reranking by a cross-encoder, which reads query and text together."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders import model_files
from vectordb.embedders.network import quiet
from vectordb.errors import ConfigurationError, EmbeddingError, RerankingError
from vectordb.rerankers.base import check_texts

if TYPE_CHECKING:
    import sentence_transformers

_lock = threading.Lock()


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class _Network:
    """A model in memory."""

    model: sentence_transformers.CrossEncoder


_networks: WeakValueDictionary[tuple[Path, str, str | None, int | None], _Network] = WeakValueDictionary()


class CrossEncoder:
    """Score texts with a cross-encoder of sentence-transformers.

    The model is loaded when it is first needed, once, and shared by all rerankers that use it in this process. Only
    safetensors weights are loaded, and never code that comes with a model. Of query and text together the model reads
    so many tokens; what is longer is cut off at the end of the longer one, without a warning.

    Args:
        model: Name on the Hugging Face hub, or a local folder, written as a path (`./name`).
        device: "cpu", "cuda", "mps" and so on; None takes the best there is.
        batch_size: Most texts in one forward pass. The longest come first, so that little is padded.
        max_length: Most tokens of query and text together; None takes what the model can read.
        revision: Commit, tag or branch on the hub.
        cache_folder: Where downloads are kept; None takes the hub's usual place.
        local_files_only: Never download.

    Raises:
        ConfigurationError: The name is empty, or a number is not positive.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        device: str | None = None,
        batch_size: int = 32,
        max_length: int | None = None,
        revision: str | None = None,
        cache_folder: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
    ) -> None:
        for option, value in (("batch_size", batch_size), ("max_length", max_length)):
            if value is not None and value < 1:
                raise ConfigurationError(f"{option} is at least 1, not {value}")
        self._name = model_files.canonical_name(model, organisation="cross-encoder")
        self._device = device
        self._batch_size = batch_size
        self._max_length = max_length
        self._revision = revision
        self._cache_folder = cache_folder
        self._local_files_only = local_files_only
        self._lock = threading.Lock()
        self._network: _Network | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r})"

    def __call__(self, query: str, texts: Sequence[str], /) -> NDArray[np.float64]:
        """Return the model's score of each text with the query, through the activation that the model was saved with.

        Args:
            query: What is searched for.
            texts: What is scored.

        Returns:
            Shape (len(texts),); 0 to 1 of most models.

        Raises:
            ConfigurationError: The model is no cross-encoder, has more than one label, or is not plain data.
            InvalidInput: The query or a text is not a string.
            MissingDependency: The extra `local` is not installed.
            RerankingError: The model cannot be found or loaded, or failed.
        """
        given = check_texts(query, texts)
        if not given:
            return np.empty(0)
        model = self._load().model
        try:
            scores = model.predict(
                [(query, text) for text in given], batch_size=self._batch_size, show_progress_bar=False
            )
        except Exception as error:
            raise RerankingError(
                f"{self._name} failed on {len(given)} texts with {type(error).__name__}; the cause is attached. Where "
                "memory does not suffice, a smaller batch_size helps",
                texts=len(given),
            ) from error
        return np.asarray(scores, dtype=np.float64)

    def _load(self) -> _Network:
        if self._network is None:
            with self._lock:
                if self._network is None:
                    self._network = self._read()
        return self._network

    def _read(self) -> _Network:
        with _as_reranking_error():
            found = model_files.find_model(
                self._name,
                revision=self._revision,
                cache_folder=self._cache_folder,
                local_files_only=self._local_files_only,
            )
        with _lock:
            model_files.check_model(found.path, self._name, kind="CrossEncoder")
            key = (found.path, model_files.fingerprint(found.path), self._device, self._max_length)
            network = _networks.get(key)
            if network is None:
                network = _networks[key] = _Network(self._read_model(found.path))
        return network

    def _read_model(self, folder: Path) -> sentence_transformers.CrossEncoder:
        library = model_files.import_extra("sentence_transformers")
        try:
            with quiet():
                model: sentence_transformers.CrossEncoder = library.CrossEncoder(
                    str(folder),
                    device=self._device,
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={"use_safetensors": True},
                    max_length=self._max_length,
                )
            labels = model.num_labels
            # The first call settles the tokenizer's options, which must not happen in two threads at once.
            model.predict([("probe", "probe")], show_progress_bar=False)
        except Exception as error:
            raise RerankingError(
                f"sentence-transformers cannot load the model {self._name!r} from {folder} ({type(error).__name__}); "
                "the cause is attached",
                model=self._name,
            ) from error
        if labels != 1:
            raise ConfigurationError(
                f"{self._name!r} has {labels} labels; a reranker makes one score. To use one of the labels, load the "
                "model yourself and pass a function (query, texts) -> scores",
                model=self._name,
                labels=labels,
            )
        return model


@contextmanager
def _as_reranking_error() -> Iterator[None]:
    try:
        yield
    except EmbeddingError as error:
        raise RerankingError(str(error), **error.facts) from error.__cause__
