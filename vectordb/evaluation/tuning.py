"""The share of the vector in a hybrid search, chosen by judged queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vectordb.collection import Collection, Where
from vectordb.errors import InvalidInput
from vectordb.evaluation.dataset import Dataset
from vectordb.evaluation.metrics import RankingMetric, measure_query
from vectordb.fusion import Bounded

ALPHAS = tuple(step / 20 for step in range(21))
DEFAULT_ALPHA = 0.5


class _Candidates(NamedTuple):
    """What one hybrid search found: the two parts of which a fused score is made, a chunk a place."""

    documents: list[str]
    vector: NDArray[np.float64]
    text: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tuning:
    """How good each alpha is.

    Attributes:
        metric: As it is written.
        alphas: That were tried.
        means: Of the metric over all queries, by alpha in their order.
        best: The alpha with the best mean; of several the one nearest to 0.5.
        held_out: Mean over all queries when each is searched with the alpha that is best for the other folds.
            This is what to expect of tuning; the best mean itself is too good, as it was chosen for being so.
        default: Mean at 0.5.
        chosen: The alpha of each fold.
        queries: How many there are.
    """

    metric: str
    alphas: tuple[float, ...]
    means: tuple[float, ...]
    best: float
    held_out: float
    default: float
    chosen: tuple[float, ...]
    queries: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        values = {name: getattr(self, name) for name in ("metric", "best", "held_out", "default", "queries")}
        by_alpha = [{"alpha": alpha, "mean": mean} for alpha, mean in zip(self.alphas, self.means, strict=True)]
        return {**values, "chosen": list(self.chosen), "alphas": by_alpha}


def tune_alpha(
    docs: Collection,
    dataset: Dataset,
    *,
    metric: str = "ndcg@10",
    alphas: Sequence[float] = ALPHAS,
    folds: int = 5,
    candidates: int = 200,
    where: Where | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Find the alpha of `Bounded` that suits a collection, by cross-validation.

    Each query is searched once, with alpha 0.5; the candidates are then scored anew for every alpha. So even alpha 0
    and 1 order what both signals found together.

    Args:
        docs: The collection; it has a text index.
        dataset: Queries and judgements.
        metric: To be raised.
        alphas: To try, each 0 to 1.
        folds: Parts into which the queries are drawn by lot, 2 or more.
        candidates: Hits per query.
        where: Filter of every query.
        seed: Of the lots.
        on_progress: Called with the searches done, and all of them.

    Raises:
        InvalidInput: There are fewer judged queries than folds, or an option is out of range.
        Others: As `Collection.search`.
    """
    parsed = RankingMetric.parse(metric)
    tried = _check_alphas(alphas)
    queries = dataset.answerable
    if len(queries) < 2:
        raise InvalidInput("tuning needs two queries or more that have both a text and judgements")
    if (parsed.cutoff or 0) > candidates:
        raise InvalidInput(f"{parsed} looks further than {candidates} candidates; raise candidates")
    if not 2 <= folds <= len(queries):
        raise InvalidInput(f"folds is from 2 to the number of judged queries, {len(queries)}, not {folds}")
    values = np.empty((len(queries), len(tried)))
    for row, query in enumerate(queries):
        found = _search(docs, dataset.queries[query], candidates, where)
        for column, alpha in enumerate(tried):
            values[row, column] = measure_query(_fused(found, alpha), dataset.judgements[query], [parsed])[0]
        if on_progress is not None:
            on_progress(row + 1, len(queries))
    return _cross_validated(str(parsed), tried, values, folds, seed)


def _check_alphas(alphas: Sequence[float]) -> tuple[float, ...]:
    """Return the alphas in order, and 0.5 among them."""
    for alpha in alphas:
        if not 0 <= alpha <= 1:
            raise InvalidInput(f"alpha is a number from 0 to 1, not {alpha}")
    return tuple(sorted({*map(float, alphas), DEFAULT_ALPHA}))


def _search(docs: Collection, text: str, candidates: int, where: Where | None) -> _Candidates:
    options: dict[str, Any] = {} if where is None else {"where": where}
    fusion = Bounded(alpha=DEFAULT_ALPHA)
    hits = docs.search(text, limit=candidates, mode="hybrid", fusion=fusion, **options)
    vector = np.array([hit.vector_score for hit in hits], dtype=np.float64)
    # The bound that `Bounded` divides BM25 by is not in the hits, but their fused scores are made with it.
    both = np.array([hit.score for hit in hits], dtype=np.float64)
    text_part = (both - DEFAULT_ALPHA * vector) / (1.0 - DEFAULT_ALPHA)
    return _Candidates([hit.document_id for hit in hits], vector, text_part)


def _fused(found: _Candidates, alpha: float) -> dict[str, float]:
    """Return the score of the best chunk of each document."""
    scores = alpha * found.vector + (1.0 - alpha) * found.text
    best: dict[str, float] = {}
    for document, score in zip(found.documents, scores.tolist(), strict=True):
        best[document] = max(score, best.get(document, -np.inf))
    return best


def _cross_validated(
    metric: str, alphas: tuple[float, ...], values: NDArray[np.float64], folds: int, seed: int
) -> Tuning:
    """Choose by the values of each query (rows) at each alpha (columns)."""
    order = np.random.default_rng(seed).permutation(len(values))
    chosen: list[float] = []
    held_out = 0.0
    for part in np.array_split(order, folds):
        best = _best(np.delete(values, part, axis=0).mean(axis=0), alphas)
        chosen.append(alphas[best])
        held_out += float(values[part, best].sum())
    means = values.mean(axis=0)
    return Tuning(
        metric,
        alphas,
        tuple(means.tolist()),
        alphas[_best(means, alphas)],
        held_out / len(values),
        float(means[alphas.index(DEFAULT_ALPHA)]),
        tuple(chosen),
        len(values),
    )


def _best(means: NDArray[np.float64], alphas: tuple[float, ...]) -> int:
    """Return the place of the best mean; of several, that of the alpha nearest to 0.5."""
    return max(
        range(len(alphas)), key=lambda place: (round(float(means[place]), 9), -abs(alphas[place] - DEFAULT_ALPHA))
    )
