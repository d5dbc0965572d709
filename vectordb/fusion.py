"""Fusions: how the scores of vector search and text search become one.

Each is a value and a function of `Candidates`. `search.text` has the same formulas as SQL, in which searches compute
them; the functions are for callers who want the numbers, and for tests.

Sources: Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval" (ACM TOIS 2023) for `Bounded` and
`RelativeScore`; Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion" (SIGIR 2009) for `RRF`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vectordb.errors import InvalidInput, VectorDBError


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The chunks among which a hybrid search chooses: the best by vector and the best by text.

    Both scores are true ones for every candidate, whichever way it was found.

    Attributes:
        vector_scores: Shape (n,), float64, on the scale of the collection's metric.
        text_scores: Shape (n,), float64, BM25; 0 where no word of the query occurs.
        vector_ranks: Shape (n,), int64, from 1; 0 for those that only the text search found.
        text_ranks: Shape (n,), int64, from 1; 0 for those that only the vector search found.
        text_bound: The most that any text could score for this query; 0 where no word of it is known.
    """

    vector_scores: NDArray[np.float64]
    text_scores: NDArray[np.float64]
    vector_ranks: NDArray[np.int64]
    text_ranks: NDArray[np.int64]
    text_bound: float

    def __len__(self) -> int:
        return len(self.vector_scores)


@dataclass(frozen=True, slots=True)
class Bounded:
    """`alpha · vector score + (1 - alpha) · BM25 / the most that the query could score`; the default.

    It needs no statistics of the result list: a score means the same in every query, a threshold works, pages are
    stable. It supposes vector scores of about -1 to 1, as of `cosine`.

    Args:
        alpha: Share of the vector, 0 to 1.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __call__(self, candidates: Candidates) -> NDArray[np.float64]:
        """Return the fused scores, shape (n,)."""
        text = candidates.text_scores / (candidates.text_bound or 1.0)
        return self.alpha * candidates.vector_scores + (1 - self.alpha) * text


@dataclass(frozen=True, slots=True)
class RelativeScore:
    """`alpha · vector score + (1 - alpha) · BM25`, each stretched so that the candidates span 0 to 1.

    Args:
        alpha: Share of the vector, 0 to 1.
    """

    alpha: float = 0.5

    def __post_init__(self) -> None:
        _check_share("alpha", self.alpha)

    def __call__(self, candidates: Candidates) -> NDArray[np.float64]:
        """Return the fused scores, shape (n,)."""
        vector, text = _stretched(candidates.vector_scores), _stretched(candidates.text_scores)
        return self.alpha * vector + (1 - self.alpha) * text


@dataclass(frozen=True, slots=True)
class RRF:
    """Reciprocal rank fusion: the sum of `weight / (k + rank)` over the lists that a candidate is in.

    Args:
        k: How little the first ranks count for more than the later ones, 0 or more.
        weights: Of the vector's list and of the text's, 0 or more, not both 0.
    """

    k: float = 60.0
    weights: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not _is_finite(self.k) or self.k < 0:
            raise InvalidInput(f"k of RRF is a number of 0 or more, not {self.k!r:.40}")
        try:
            weights = tuple(self.weights)
        except TypeError:
            weights = ()
        if len(weights) != 2 or not all(_is_finite(weight) and weight >= 0 for weight in weights) or not any(weights):
            raise InvalidInput(f"weights of RRF are two numbers, (vector, text), 0 or more, not {self.weights!r:.40}")
        object.__setattr__(self, "weights", weights)

    def __call__(self, candidates: Candidates) -> NDArray[np.float64]:
        """Return the fused scores, shape (n,)."""
        scores = np.zeros(len(candidates))
        for weight, ranks in zip(self.weights, (candidates.vector_ranks, candidates.text_ranks), strict=True):
            found = ranks > 0
            scores[found] += weight / (self.k + ranks[found])
        return scores


NamedFusion = Bounded | RelativeScore | RRF
Fusion = NamedFusion | Callable[[Candidates], ArrayLike]


def check_fusion(fusion: Any) -> Fusion:
    """Return a fusion that a caller gives, also by the name `bounded`, `relative_score` or `rrf`.

    Raises:
        InvalidInput: It is none.
    """
    named: dict[str, Fusion] = {"bounded": Bounded(), "relative_score": RelativeScore(), "rrf": RRF()}
    if isinstance(fusion, str) and fusion.lower() in named:
        return named[fusion.lower()]
    if isinstance(fusion, type) or not callable(fusion):
        raise InvalidInput(
            "fusion is Bounded(alpha=…), RRF(k=…, weights=…), RelativeScore(alpha=…), 'bounded', 'rrf', "
            f"'relative_score', or a function of Candidates, not {fusion!r:.40}"
        )
    checked: Fusion = fusion
    return checked


def fused_scores(fusion: Fusion, candidates: Candidates) -> NDArray[np.float64]:
    """Return what a fusion makes of candidates, shape (n,).

    Raises:
        InvalidInput: Not one finite number for each candidate.
    """
    if not len(candidates):
        return np.zeros(0)
    try:
        scores = np.asarray(fusion(candidates), dtype=np.float64)
    except VectorDBError:
        raise
    except Exception as error:
        raise InvalidInput(
            f"the fusion failed, or did not return numbers, with {type(error).__name__}; the cause is attached"
        ) from error
    if scores.shape != (len(candidates),) or not np.isfinite(scores).all():
        raise InvalidInput(
            f"the fusion has to return {len(candidates)} finite numbers, one for each candidate; it returned an "
            f"array of shape {scores.shape}" + ("" if np.isfinite(scores).all() else " that holds NaN or infinity")
        )
    return scores


def _stretched(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    least, most = scores.min(initial=math.inf), scores.max(initial=-math.inf)
    return (scores - least) / (most - least) if most > least else np.zeros(len(scores))


def _check_share(name: str, value: object) -> None:
    if not _is_finite(value) or not 0 <= value <= 1:  # type: ignore[operator] # it is a number
        raise InvalidInput(f"{name} is a number from 0 to 1, not {value!r:.40}")


def _is_finite(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


DEFAULT_FUSION = Bounded()
