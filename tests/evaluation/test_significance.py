from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from vectordb.evaluation import bootstrap_interval, randomisation_test


def test_few_queries_are_enumerated() -> None:
    # Of the 2^5 ways to choose signs, only two give a sum as far from 0 as five equal signs.
    assert randomisation_test(np.array([0.1, 0.2, 0.3, 0.1, 0.4])) == 2 / 32
    assert randomisation_test(np.array([0.1, -0.1])) == 1.0
    assert randomisation_test(np.array([0.1, 0.2, 0.3, 0.0, 0.0])) == 2 / 8


def test_enumeration_and_chance_agree() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.3, 13)
    exact = randomisation_test(differences)
    assert randomisation_test(differences, permutations=8_000) == pytest.approx(exact, abs=0.02)


def test_many_queries_agree_with_scipy() -> None:
    differences = np.random.default_rng(2).normal(0.02, 0.2, 300)

    theirs = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=9_999, rng=3)
    assert randomisation_test(differences) == pytest.approx(theirs.pvalue, abs=0.02)


def test_nothing_differs() -> None:
    assert randomisation_test(np.zeros(10)) == 1.0
    assert bootstrap_interval(np.zeros(10)) == (0.0, 0.0)


def test_the_interval_is_that_of_scipy() -> None:
    differences = np.random.default_rng(4).exponential(0.2, 200) - 0.1
    theirs = stats.bootstrap((differences,), np.mean, method="percentile", n_resamples=9_999, rng=5)
    assert bootstrap_interval(differences) == pytest.approx(tuple(theirs.confidence_interval), abs=0.003)


def test_seeds_repeat() -> None:
    differences = np.random.default_rng(6).normal(0, 1, 50)
    assert randomisation_test(differences, seed=1) == randomisation_test(differences, seed=1)
    assert randomisation_test(differences, seed=1) != randomisation_test(differences, seed=2)
    assert bootstrap_interval(differences, seed=1) == bootstrap_interval(differences, seed=1)
