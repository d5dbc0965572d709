"""How good a ranking is: nDCG, recall, precision, MRR and MAP, to the number what trec_eval has.

With grades g, of which 1 and above are relevant and those below 0 count as 0:

- `ndcg@k`: sum of g(rank) / log2(rank + 1) over the first k, divided by the same of the best possible order. The gain
  is the grade itself (Järvelin, Kekäläinen, TOIS 2002; trec_eval), not 2^g - 1.
- `recall@k`: share of the relevant documents that are among the first k.
- `precision@k`: share of relevant documents among the first k places, filled or not.
- `mrr`, `mrr@k`: 1 / rank of the first relevant document, 0 where there is none (among the first k).
- `map`, `map@k`: precision at the rank of each relevant document (among the first k), summed and divided by the
  number of all relevant documents.

A ranking is by score, compared as float32; ties go by document id, the last in byte order first, as in trec_eval. The
mean is over all queries that are judged: one without relevant documents, or without results, counts as 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vectordb.errors import InvalidInput

# By query, by document: scores of what was found, and grades of what was judged.
Run = Mapping[str, Mapping[str, float]]
Judgements = Mapping[str, Mapping[str, int]]
Grades = NDArray[np.float64]

_WRITTEN = re.compile(r"(?P<name>[a-z]+)(@(?P<cutoff>[1-9][0-9]{0,5}))?")
_WITH_CUTOFF = ("ndcg", "recall", "precision")
_NAMES = (*_WITH_CUTOFF, "mrr", "map")


@dataclass(frozen=True, slots=True)
class RankingMetric:
    """What is measured of a ranking; `str()` has it as it is written.

    Args:
        name: ndcg, recall, precision, mrr or map.
        cutoff: How many of the first places count; None has all.
    """

    name: str
    cutoff: int | None = None

    @classmethod
    def parse(cls, text: str) -> RankingMetric:
        """Read a metric as it is written: `ndcg@10`, `recall@100`, `precision@5`, `mrr`, `mrr@10`, `map`, `map@100`.

        Raises:
            InvalidInput: There is no such metric.
        """
        found = _WRITTEN.fullmatch(text.lower()) if isinstance(text, str) else None
        if found is None or found["name"] not in _NAMES:
            raise InvalidInput(
                f"a metric is written as ndcg@10, recall@100, precision@5, mrr, mrr@10 or map, not {text!r:.40}"
            )
        if found["name"] in _WITH_CUTOFF and found["cutoff"] is None:
            raise InvalidInput(f"{found['name']} needs the number of places that count, as in {found['name']}@10")
        return cls(found["name"], None if found["cutoff"] is None else int(found["cutoff"]))

    def __str__(self) -> str:
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"

    def of(self, found: Grades, judged: Grades) -> float:
        """Measure one ranking.

        Args:
            found: Grades of the documents found, best first; 0 for those without a judgement.
            judged: All grades of the query, in any order.

        Returns:
            0 to 1; 0 where nothing is relevant.
        """
        relevant = int(np.count_nonzero(judged > 0))
        if relevant == 0:
            return 0.0
        first = found if self.cutoff is None else found[: self.cutoff]
        places = np.flatnonzero(first > 0) + 1
        match self.name:
            case "ndcg":
                return _gain(first) / _gain(np.sort(judged)[::-1][: self.cutoff])
            case "recall":
                return len(places) / relevant
            case "precision":
                assert self.cutoff is not None  # noqa: S101 - checked by `parse`
                return len(places) / self.cutoff
            case "mrr":
                return 1.0 / int(places[0]) if len(places) else 0.0
            case _:
                return float(np.sum(np.arange(1, len(places) + 1) / places)) / relevant


def parse_metrics(texts: Iterable[str]) -> tuple[RankingMetric, ...]:
    """Read metrics as they are written, each once.

    Raises:
        InvalidInput: One does not exist, or there is none.
    """
    metrics = tuple(dict.fromkeys(RankingMetric.parse(text) for text in ([texts] if isinstance(texts, str) else texts)))
    if not metrics:
        raise InvalidInput("name a metric to measure, such as ndcg@10")
    return metrics


def rank_documents(scores: Mapping[str, float]) -> list[str]:
    """Return documents best first: by score as float32, ties by id, the last in byte order first."""
    singles = dict(zip(scores, np.asarray(list(scores.values()), dtype=np.float32).tolist(), strict=True))
    return sorted(scores, key=lambda document: (singles[document], document), reverse=True)


def measure_query(
    scores: Mapping[str, float], grades: Mapping[str, int], metrics: Iterable[RankingMetric]
) -> list[float]:
    """Measure what was found for one query, by every metric in order.

    Args:
        scores: Of the documents found, by id; high is near.
        grades: Of the documents judged, by id.
        metrics: To measure by.
    """
    found = np.array([grades.get(document, 0) for document in rank_documents(scores)], dtype=np.float64)
    judged = np.array(list(grades.values()), dtype=np.float64)
    return [metric.of(found, judged) for metric in metrics]


def measure_run(run: Run, judgements: Judgements, metrics: Iterable[str]) -> dict[str, dict[str, float]]:
    """Measure what was found for many queries.

    Args:
        run: By query, by document: the score.
        judgements: By query, by document: the grade.
        metrics: As they are written, see `RankingMetric.parse`.

    Returns:
        By metric, as it is written, by query: the value. All judged queries are there, and no others.

    Raises:
        InvalidInput: A metric does not exist.
    """
    parsed = parse_metrics(metrics)
    values = {query: measure_query(run.get(query, {}), grades, parsed) for query, grades in judgements.items()}
    return {str(metric): {query: each[place] for query, each in values.items()} for place, metric in enumerate(parsed)}


def mean(values: Mapping[Any, float]) -> float:
    """Return the mean over queries; 0 where there are none."""
    return float(np.mean(list(values.values()))) if values else 0.0


def _gain(grades: Grades) -> float:
    ranks = np.arange(1, len(grades) + 1)
    return float(np.sum(np.maximum(grades, 0) / np.log2(ranks + 1)))
