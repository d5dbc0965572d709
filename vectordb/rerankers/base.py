"""What a reranker is, and what is made sure of its scores."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectordb.errors import InvalidInput, RerankingError, VectorDBError


class Reranker(Protocol):
    """Scores texts by how well they answer a query: any callable of these two."""

    def __call__(self, query: str, texts: Sequence[str], /) -> ArrayLike:
        """Return one finite number for each text, in the same order; more is better."""
        ...


def check_reranker(reranker: object) -> None:
    """Refuse what cannot be called with a query and texts.

    Raises:
        InvalidInput: Says what to pass instead.
    """
    if isinstance(reranker, str):
        raise InvalidInput(f"a reranker is not a name; pass CrossEncoder({reranker!r}) or another one")
    if isinstance(reranker, type):
        raise InvalidInput(f"{reranker.__name__} is a class; pass an instance of it")
    if callable(getattr(reranker, "predict", None)):
        raise InvalidInput(
            f"{type(reranker).__name__} is a model, not a reranker; pass vectordb.CrossEncoder(its name), or "
            "lambda query, texts: model.predict([(query, text) for text in texts])"
        )
    if not callable(reranker):
        raise InvalidInput(f"a reranker is a function (query, texts) -> scores, not {type(reranker).__name__}")


def rerank_scores(reranker: Reranker, query: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return a reranker's scores of texts, checked; it is not called for no texts.

    Args:
        reranker: Any.
        query: As the user wrote it.
        texts: What to score.

    Returns:
        Shape (len(texts),), float64, finite, in the order of `texts`.

    Raises:
        RerankingError: The reranker failed, or returned something else than one finite number for each text. Errors of
            this library pass through.
    """
    given = list(texts)
    if not given:
        return np.empty(0)
    name = _name(reranker)
    try:
        output = reranker(query, given)
    except VectorDBError:
        raise
    except Exception as error:
        raise RerankingError(
            f"the reranker {name} failed on {len(given)} texts with {type(error).__name__}; the cause is attached",
            texts=len(given),
        ) from error
    scores = _as_array(output, name)
    if len(scores) != len(given):
        raise RerankingError(
            f"the reranker {name} returned {len(scores)} scores for {len(given)} texts; it must return one for each",
            expected=len(given),
            actual=len(scores),
        )
    finite = np.isfinite(scores)
    if not finite.all():
        position = int(np.argmin(finite))
        raise RerankingError(f"the reranker {name} returned NaN or infinity for text {position}", position=position)
    return scores


def check_texts(query: str, texts: Sequence[str]) -> list[str]:
    """Return the texts as a list.

    Raises:
        InvalidInput: The query or a text is not a string, or `texts` is a single one.
    """
    if not isinstance(query, str):
        raise InvalidInput(f"the query of a reranker is a string, not {type(query).__name__}")
    if isinstance(texts, str):
        raise InvalidInput("a reranker takes a sequence of texts; pass [text] for a single one")
    given = list(texts)
    for position, text in enumerate(given):
        if not isinstance(text, str):
            raise InvalidInput(f"text {position} is not a string but {type(text).__name__}", position=position)
    return given


def _as_array(output: Any, name: str) -> NDArray[np.float64]:
    if inspect.iscoroutine(output):
        output.close()
        raise RerankingError(f"the reranker {name} is asynchronous; pass a function that returns the scores themselves")
    try:
        array = np.asarray(_on_cpu(output))
    except Exception as error:  # whatever an object of the application does when it is read
        raise _bad_output(name, f"{type(output).__name__}, which cannot be read as numbers") from error
    if array.ndim == 1 and len(array) == 0:
        return np.empty(0)
    if array.dtype.kind not in "fiu":
        what = type(output).__name__ if array.ndim == 0 else f"values of type {type(array.flat[0]).__name__}"
        raise _bad_output(name, what)
    if array.ndim != 1:
        raise _bad_output(name, f"an array of shape {array.shape}")
    with np.errstate(over="ignore"):  # what float64 cannot hold becomes infinite and is refused
        return array.astype(np.float64)


def _on_cpu(output: Any) -> Any:
    """Return a tensor of PyTorch as one that numpy can read, and anything else as it is."""
    if callable(getattr(output, "detach", None)):
        output = output.detach().cpu()
        if str(output.dtype) == "torch.bfloat16":  # which numpy does not have
            output = output.float()
    return output


def _bad_output(name: str, what: str) -> RerankingError:
    return RerankingError(f"the reranker {name} returned {what}; it must return one number for each text: shape (n,)")


def _name(reranker: object) -> str:
    if inspect.isroutine(reranker):
        return getattr(reranker, "__qualname__", repr(reranker))
    own = type(reranker).__repr__ is not object.__repr__
    return repr(reranker)[:100] if own else type(reranker).__qualname__
