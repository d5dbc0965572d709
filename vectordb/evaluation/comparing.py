"""Two configurations, query by query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vectordb.errors import InvalidInput
from vectordb.evaluation.significance import bootstrap_interval, randomisation_test

_LARGEST = 10
# Differences below this are rounding.
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class QueryDifference:
    """A query for which one configuration is better than the other.

    Attributes:
        query_id: Of the query.
        text: Of the query.
        baseline: Value of the one.
        value: Value of the other.
    """

    query_id: str
    text: str
    baseline: float
    value: float

    @property
    def difference(self) -> float:
        """How much better the other is."""
        return self.value - self.baseline


@dataclass(frozen=True, slots=True)
class Comparison:
    """A configuration against another, the baseline, by one metric.

    Attributes:
        metric: As it is written.
        baseline: Name of the one configuration.
        name: Of the other.
        difference: Of the means; above 0 the other is better.
        p_value: How probable a difference at least as large is if the two were the same (randomisation test).
        interval: In which the difference lies with a confidence of 95 % (bootstrap).
        won: Queries for which the other is better.
        lost: For which it is worse.
        tied: For which there is no difference.
        largest: Up to ten queries won and ten lost, by the size of the difference.
    """

    metric: str
    baseline: str
    name: str
    difference: float
    p_value: float
    interval: tuple[float, float]
    won: int
    lost: int
    tied: int
    largest: tuple[QueryDifference, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        largest = [{**asdict(each), "difference": each.difference} for each in self.largest]
        return {**asdict(self), "interval": list(self.interval), "largest": largest}


def compare_values(
    metric: str,
    baseline: tuple[str, Mapping[str, float]],
    other: tuple[str, Mapping[str, float]],
    texts: Mapping[str, str],
    *,
    seed: int = 0,
) -> Comparison:
    """Compare the values of two configurations.

    Args:
        metric: As it is written.
        baseline: Name and values by query.
        other: Likewise; of the same queries.
        texts: Of the queries.
        seed: Of the random numbers of the tests.

    Raises:
        InvalidInput: There is no query.
    """
    pairs = [QueryDifference(query, texts[query], value, other[1][query]) for query, value in baseline[1].items()]
    if not pairs:
        raise InvalidInput("no query is left to compare by: none has both a text and judgements")
    differences = np.array([pair.difference for pair in pairs])
    differences[np.abs(differences) < _TIE] = 0.0
    won, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    order = sorted(pairs, key=lambda pair: -pair.difference)
    largest = [*order[: min(won, _LARGEST)], *order[::-1][: min(lost, _LARGEST)]]
    return Comparison(
        metric,
        baseline[0],
        other[0],
        float(differences.mean()),
        randomisation_test(differences, seed=seed),
        bootstrap_interval(differences, seed=seed),
        won,
        lost,
        len(pairs) - won - lost,
        tuple(sorted(largest, key=lambda pair: -abs(pair.difference))),
    )
