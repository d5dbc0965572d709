"""Fusions as functions of candidates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.errors import InvalidInput
from vectordb.fusion import RRF, Bounded, Candidates, Fusion, RelativeScore, check_fusion, fused_scores


def candidates(vector: list[float], text: list[float], bound: float = 10.0) -> Candidates:
    """Make candidates that both lists have."""
    scores, texts = np.array(vector, dtype=np.float64), np.array(text, dtype=np.float64)
    ranks = [1 + np.argsort(np.argsort(-part, kind="stable")) for part in (scores, texts)]
    return Candidates(scores, texts, ranks[0], np.where(texts > 0, ranks[1], 0), bound)


THREE = Candidates(np.array([0.9, 0.5, 0.1]), np.array([0.0, 4.0, 6.0]), np.array([1, 2, 0]), np.array([0, 2, 1]), 8.0)


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        (Bounded(), [0.45, 0.5, 0.425]),
        (Bounded(0.8), [0.72, 0.5, 0.23]),
        (Bounded(1), [0.9, 0.5, 0.1]),
        (Bounded(0), [0, 0.5, 0.75]),
        (RelativeScore(), [0.5, 0.25 + 1 / 3, 0.5]),
        (RelativeScore(0.2), [0.2, 0.1 + 0.8 * 2 / 3, 0.8]),
        (RRF(), [1 / 61, 2 / 62, 1 / 61]),
        (RRF(0, (1, 3)), [1, 0.5 + 1.5, 3]),
        (RRF(k=1.5, weights=(0, 2)), [0, 2 / 3.5, 2 / 2.5]),
    ],
    ids=str,
)
def test_the_formulas(fusion: Fusion, expected: list[float]) -> None:
    np.testing.assert_allclose(fused_scores(fusion, THREE), expected, rtol=1e-12)


@pytest.mark.parametrize("fusion", [Bounded(), RelativeScore(), RRF()], ids=str)
def test_nothing_to_tell_apart(fusion: Fusion) -> None:
    assert len(fused_scores(fusion, candidates([], []))) == 0
    assert np.isfinite(fused_scores(fusion, candidates([0.3], [0.0], 0.0))).all()
    same = fused_scores(RelativeScore(), candidates([0.3, 0.3], [2.0, 2.0]))
    assert (same == 0).all()


SCORES = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 10)), min_size=1, max_size=20)


@given(SCORES, st.floats(0, 1))
def test_better_in_both_is_better(pairs: list[tuple[float, float]], alpha: float) -> None:
    given = candidates([vector for vector, _ in pairs], [text for _, text in pairs])
    for fusion in (Bounded(alpha), RelativeScore(alpha)):
        scores = fusion(given)
        assert scores.max() <= 1 + 1e-9
        for first, (vector, text) in enumerate(pairs):
            for second, (other_vector, other_text) in enumerate(pairs):
                if vector >= other_vector and text >= other_text:
                    assert scores[first] >= scores[second] - 1e-9


@given(SCORES)
def test_the_bounded_score_of_a_text_does_not_depend_on_the_others(pairs: list[tuple[float, float]]) -> None:
    vector, text = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    together = Bounded()(candidates(vector, text))
    alone = [Bounded()(candidates([vector[n]], [text[n]]))[0] for n in range(len(pairs))]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan, math.inf, None, "0.5", True, [0.5]], ids=repr)
def test_what_is_no_share(alpha: Any) -> None:
    for kind in (Bounded, RelativeScore):
        with pytest.raises(InvalidInput, match="alpha is a number from 0 to 1"):
            kind(alpha)


@pytest.mark.parametrize("k", [-1, math.nan, math.inf, None, "60", True], ids=repr)
def test_what_is_no_k(k: Any) -> None:
    with pytest.raises(InvalidInput, match="k of RRF"):
        RRF(k)


@pytest.mark.parametrize(
    "weights", [(0, 0), (1,), (1, 2, 3), (-1, 1), (math.nan, 1), (1, math.inf), 1, None, "ab", (True, 1)], ids=repr
)
def test_what_are_no_weights(weights: Any) -> None:
    with pytest.raises(InvalidInput, match="weights of RRF"):
        RRF(weights=weights)


def test_names() -> None:
    assert check_fusion("rrf") == RRF()
    assert check_fusion("Bounded") == Bounded()
    assert check_fusion("relative_score") == RelativeScore()
    assert check_fusion(RRF(k=1)) == RRF(k=1)
    assert RRF(weights=[1, 2]) == RRF(weights=(1, 2))  # type: ignore[arg-type] # as JSON has it
    assert len({RRF(weights=[1, 2]), RRF(weights=(1, 2))}) == 1  # type: ignore[arg-type] # lists will do


@pytest.mark.parametrize("fusion", ["", "linear", 5, None, RRF, Bounded, [0.5, 0.5]], ids=repr)
def test_what_is_no_fusion(fusion: Any) -> None:
    with pytest.raises(InvalidInput, match="fusion is Bounded"):
        check_fusion(fusion)


def raising(given: Candidates) -> Any:
    raise ValueError("no")


@pytest.mark.parametrize(
    "fusion",
    [
        raising,
        lambda given: [1.0],
        lambda given: 1.0,
        lambda given: None,
        lambda given: "abc",
        lambda given: [[1.0, 2.0, 3.0]],
        lambda given: [1.0, math.nan, 2.0],
        lambda given: [1.0, math.inf, 2.0],
        lambda given: ["a", "b", "c"],
        lambda given: [1.0, [2.0], 3.0],
        lambda given: [1j, 2, 3],
    ],
)
def test_scores_that_are_none(fusion: Any) -> None:
    with pytest.raises(InvalidInput, match="the fusion"):
        fused_scores(fusion, THREE)


def test_any_function() -> None:
    assert fused_scores(lambda given: given.text_scores.tolist(), THREE).tolist() == [0, 4, 6]
    assert fused_scores(lambda given: list(map(int, given.text_ranks)), THREE).dtype == np.float64
