"""Whether one configuration is better than another, or just lucky with these queries.

Sources: M. Smucker, J. Allan, B. Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval
Evaluation", CIKM 2007 (the paired randomisation test); B. Efron, R. Tibshirani, "An Introduction to the Bootstrap",
1993 (percentile intervals).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 10_000
# As many random numbers are in memory at once.
_AT_ONCE = 1_000_000

Differences = NDArray[np.float64]


def randomisation_test(differences: Differences, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """Return how probable a mean at least as far from 0 is, if the two configurations were the same.

    Then each difference could as well have the other sign. Where there are at most `permutations` ways to choose the
    signs, all of them are tried; else so many random ones.

    Args:
        differences: Of the values of each query, shape (queries,).
        permutations: Random choices of signs.
        seed: Of the random numbers.

    Returns:
        The two-sided p value, 0 to 1; 1 where no query differs.
    """
    changed = differences[differences != 0]
    if len(changed) == 0:
        return 1.0
    # Rounding makes sums of the same numbers differ.
    observed = abs(float(changed.sum())) - 1e-12
    if 2 ** min(len(changed), 60) <= permutations:
        every = np.array(list(product((-1.0, 1.0), repeat=len(changed))))
        return float(np.mean(np.abs(every @ changed) >= observed))
    random = np.random.default_rng(seed)
    as_far = 0
    for count in _parts(permutations, len(changed)):
        signs = random.integers(0, 2, size=(count, len(changed)), dtype=np.int8) * 2.0 - 1.0
        as_far += int(np.count_nonzero(np.abs(signs @ changed) >= observed))
    # What was observed is one of the ways as well; p is never 0.
    return (as_far + 1) / (permutations + 1)


def bootstrap_interval(
    differences: Differences, *, confidence: float = 0.95, samples: int = PERMUTATIONS, seed: int = 0
) -> tuple[float, float]:
    """Return the range in which the mean difference lies with the given confidence.

    Args:
        differences: Of the values of each query, shape (queries,), at least one.
        confidence: Between 0 and 1.
        samples: Times that the queries are drawn anew, with replacement.
        seed: Of the random numbers.
    """
    random = np.random.default_rng(seed)
    size = len(differences)
    means = np.concatenate(
        [
            differences[random.integers(0, size, size=(count, size), dtype=np.int32)].mean(axis=1)
            for count in _parts(samples, size)
        ]
    )
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return float(low), float(high)


def _parts(total: int, width: int) -> list[int]:
    """Return sizes that add up to `total`, each small enough for memory at that many numbers."""
    size = max(1, _AT_ONCE // width)
    return [min(size, total - start) for start in range(0, total, size)]
