"""Loading a sentence-transformers model, once for all embedders that use it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from vectordb.embedders import model_files
from vectordb.errors import EmbeddingError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from torch import Tensor

# Texts before which prompts and special tokens are counted: a tokenizer may merge them with what follows.
_PROBES = ("a", "A", "1", "(", "é", "漢")
# Tokenizers without a limit say so with a number such as 10**30.
_NO_LIMIT = 10**9
# Encodings are large; so many are held at a time.
_COUNTED_AT_ONCE = 1024

_lock = threading.Lock()
_networks: WeakValueDictionary[tuple[Path, str, str | None], Network] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model is by itself, before the options of an embedder.

    Attributes:
        fingerprint: Of its weights.
        dimensions: Before truncation.
        normalizes: Whether its last module makes vectors of length 1.
        truncate_dim: The truncation that its configuration asks for, if any.
        query_prompt: The prompt that its configuration has for queries.
        document_prompt: The prompt that its configuration has for documents.
    """

    fingerprint: str
    dimensions: int
    normalizes: bool
    truncate_dim: int | None = None
    query_prompt: str = ""
    document_prompt: str = ""


# Known without loading anything; `load_network` finds the same in the published files.
DEFAULT_FACTS = ModelFacts(model_files.DEFAULT_FINGERPRINT, 384, normalizes=True)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Network:
    """A model in memory.

    Attributes:
        model: The sentence-transformers model; it keeps all its dimensions.
        tokenizer: A copy of its own without truncation and padding; None if it has no fast one.
        facts: What it is.
    """

    model: SentenceTransformer
    tokenizer: Tokenizer | None
    facts: ModelFacts

    def longest_text(self, prompt: str, input_type: str) -> int | None:
        """Return how many tokens a text may have beside prompt and special tokens, at least 0.

        None if that is unlimited or unknown.
        """
        limit = self.model.max_seq_length
        if limit is None or limit > _NO_LIMIT or self.tokenizer is None:
            return None
        inputs = [self._count_input(probe, prompt, input_type) for probe in _PROBES]
        if max(inputs) >= limit:  # the count itself is cut off there
            return 0
        return int(limit) - max(whole - alone for whole, alone in zip(inputs, self.count([*_PROBES]), strict=True))

    def count(self, texts: list[str]) -> list[int]:
        """Return the length of each text, in tokens if there is a tokenizer, else in characters."""
        if self.tokenizer is None:
            return [len(text) for text in texts]
        batches = (texts[begin : begin + _COUNTED_AT_ONCE] for begin in range(0, len(texts), _COUNTED_AT_ONCE))
        encoded = (self.tokenizer.encode_batch_fast(batch, add_special_tokens=False) for batch in batches)
        return [len(encoding) for batch in encoded for encoding in batch]

    def without_special_tokens(self, output: Mapping[str, Tensor]) -> NDArray[np.float32]:
        """Return the vectors of the tokens of one text, shape (tokens, width), without padding and special tokens."""
        own = self.model.tokenizer
        special = [number for number in own.all_special_ids if number != own.unk_token_id]
        tokens = output["input_ids"].cpu().numpy()
        kept = output["attention_mask"].cpu().numpy().astype(bool) & ~np.isin(tokens, special)
        vectors: NDArray[np.float32] = output["token_embeddings"].float().cpu().numpy()
        return vectors[kept]

    def _count_input(self, text: str, prompt: str, input_type: str) -> int:
        features = self.model.preprocess([text], prompt=prompt or None, task=input_type)
        return int(features["input_ids"].numel())


def load_network(folder: Path, name: str, *, device: str | None) -> Network:
    """Return the model in a folder; the same one as long as anybody holds it.

    Raises:
        ConfigurationError: The model could not be loaded as plain data.
        EmbeddingError: sentence-transformers cannot load it.
        MissingDependency: The extra `local` is not installed.
    """
    with _lock:
        model_files.check_model(folder, name)
        fingerprint = model_files.fingerprint(folder)
        key = (folder, fingerprint, device)
        network = _networks.get(key)
        if network is None:
            network = _networks[key] = _read_network(folder, name, fingerprint, device)
        return network


def _read_network(folder: Path, name: str, fingerprint: str, device: str | None) -> Network:
    library = model_files.import_extra("sentence_transformers")
    try:
        with quiet():
            model = library.SentenceTransformer(
                str(folder),
                device=device,
                trust_remote_code=False,
                local_files_only=True,
                model_kwargs={"use_safetensors": True},
            )
        facts = _read_facts(model, fingerprint)
    except Exception as error:
        raise EmbeddingError(
            f"sentence-transformers cannot load the model {name!r} from {folder} ({type(error).__name__}); the cause "
            "is attached",
            model=name,
        ) from error
    return Network(model, _counting_tokenizer(model), facts)


def _read_facts(model: SentenceTransformer, fingerprint: str) -> ModelFacts:
    truncate_dim, model.truncate_dim = model.truncate_dim, None
    # The first call also settles the tokenizer's options, which must not happen in two threads at once.
    dimensions = int(model.encode_document(["probe"], show_progress_bar=False).shape[1])
    prompts = [prompt for name in ("document", "passage", "corpus") if (prompt := model.prompts.get(name))]
    return ModelFacts(
        fingerprint,
        dimensions,
        normalizes=type(model[-1]).__name__ == "Normalize",
        truncate_dim=truncate_dim,
        query_prompt=model.prompts.get("query") or "",
        document_prompt=prompts[0] if prompts else "",
    )


def _counting_tokenizer(model: SentenceTransformer) -> Tokenizer | None:
    from tokenizers import Tokenizer

    own: Any = getattr(model[0], "tokenizer", None)
    fast = own if isinstance(own, Tokenizer) else getattr(own, "backend_tokenizer", None)
    if not isinstance(fast, Tokenizer):
        return None
    copy = Tokenizer.from_str(fast.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from drawing progress bars and reporting on weights that are not needed."""
    logging = model_files.import_extra("transformers").utils.logging
    bars, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
