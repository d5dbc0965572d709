"""What is made sure of the scores of any reranker."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vectordb.errors import EmbeddingError, InvalidInput, RerankingError
from vectordb.rerankers import CrossEncoder, check_reranker, rerank_scores

TEXTS = ["one", "two", "three"]


def returning(output: Any) -> Any:
    def scorer(query: str, texts: Sequence[str]) -> Any:
        return output

    return scorer


def by_length(query: str, texts: Sequence[str]) -> list[int]:
    return [len(text) - len(query) for text in texts]


class Named:
    def __call__(self, query: str, texts: Sequence[str]) -> list[float]:
        raise ValueError("secret text")


def test_scores_of_any_kind_become_float64() -> None:
    import torch

    outputs = [
        [1, 2.5, -3],
        (1, 2.5, -3),
        np.array([1, 2.5, -3], np.float16),
        [np.float32(1), np.float64(2.5), -3],
        torch.tensor([1, 2.5, -3]),
        torch.tensor([1, 2.5, -3], requires_grad=True),
        torch.tensor([1, 2.5, -3], dtype=torch.bfloat16),
        [torch.tensor(1), torch.tensor(2.5), torch.tensor(-3)],
    ]
    for output in outputs:
        scores = rerank_scores(returning(output), "q", TEXTS)
        assert scores.dtype == np.float64
        assert scores.tolist() == [1, 2.5, -3]
    assert rerank_scores(by_length, "q", TEXTS).tolist() == [2, 2, 4]


def test_no_texts_need_no_reranker() -> None:
    assert rerank_scores(Named(), "q", []).shape == (0,)
    assert rerank_scores(returning([0.5]), "q", ["one"]).tolist() == [0.5]


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ([1, 2], "returned 2 scores for 3 texts"),
        ([], "returned 0 scores for 3 texts"),
        ([1, 2, 3, 4], "returned 4 scores for 3 texts"),
        ([1, float("nan"), float("inf")], "NaN or infinity for text 1"),
        ([float("-inf"), 1, 2], "NaN or infinity for text 0"),
        (None, "returned NoneType"),
        (0.5, r"shape \(\)"),
        ("abc", "returned str"),
        (["1", "2", "3"], "values of type str"),
        ([1, None, 3], "values of type int"),
        ([Decimal(1), Decimal(2), Decimal(3)], "values of type Decimal"),
        ([True, False, True], "values of type bool"),
        ([1j, 2, 3], "values of type complex"),
        ([[1], [2], [3]], r"shape \(3, 1\)"),
        ([[1], [2, 3], [4]], "cannot be read as numbers"),
        ({"one": 1}, "returned dict"),
        ((score for score in (1, 2, 3)), "returned generator"),
    ],
    ids=str,
)
def test_broken_scores_are_named(output: Any, message: str) -> None:
    with pytest.raises(RerankingError, match=f"the reranker returning.*scorer .*{message}"):
        rerank_scores(returning(output), "q", TEXTS)


def test_facts_of_broken_scores() -> None:
    with pytest.raises(RerankingError) as caught:
        rerank_scores(returning([1]), "q", TEXTS)
    assert caught.value.facts == {"expected": 3, "actual": 1}
    with pytest.raises(RerankingError) as caught:
        rerank_scores(returning([1, 2, np.nan]), "q", TEXTS)
    assert caught.value.facts == {"position": 2}


def test_an_exception_of_the_reranker_is_the_cause() -> None:
    with pytest.raises(RerankingError, match=r"Named failed on 3 texts with ValueError") as caught:
        rerank_scores(Named(), "q", TEXTS)
    assert isinstance(caught.value.__cause__, ValueError)
    assert "secret" not in str(caught.value)


def test_errors_of_this_library_and_interrupts_pass_through() -> None:
    def fail(error: BaseException, query: str, texts: Sequence[str]) -> list[float]:
        raise error

    for error in (EmbeddingError("no model"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            rerank_scores(functools.partial(fail, error), "q", TEXTS)
        assert caught.value is error


def test_an_asynchronous_function_is_refused_without_a_warning() -> None:
    async def scorer(query: str, texts: Sequence[str]) -> list[float]:
        return [0.0 for _ in texts]

    with pytest.raises(RerankingError, match="asynchronous"):
        rerank_scores(scorer, "q", TEXTS)  # type: ignore[arg-type]  # the mistake under test


def test_what_is_no_reranker_is_refused_with_the_way_out() -> None:
    class Model:
        def predict(self) -> None: ...

    check_reranker(by_length)
    check_reranker(Named())
    check_reranker(functools.partial(by_length))
    with pytest.raises(InvalidInput, match=r"CrossEncoder\('a/b'\)"):
        check_reranker("a/b")
    with pytest.raises(InvalidInput, match="CrossEncoder is a class"):
        check_reranker(CrossEncoder)
    with pytest.raises(InvalidInput, match="Model is a model, not a reranker"):
        check_reranker(Model())
    with pytest.raises(InvalidInput, match="not int"):
        check_reranker(3)
