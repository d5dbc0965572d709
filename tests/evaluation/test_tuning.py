from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluation.fake import FakeCollection, FakeHit, as_collection
from vectordb import Collection
from vectordb.errors import InvalidInput
from vectordb.evaluation import Configuration, Dataset, evaluate, measure_run, tune_alpha
from vectordb.fusion import Bounded

# For each query, three documents with their cosine and their share of the text's best score.
RANDOM = np.random.default_rng(11)
PARTS = {f"query {number}": RANDOM.random((3, 2)).round(3) for number in range(40)}
# The right answer is what a mix with 0.7 of the vector finds.
JUDGEMENTS = {query: {str(np.argmax(parts @ [0.7, 0.3])): 1} for query, parts in PARTS.items()}
DATASET = Dataset({query: query for query in PARTS}, JUDGEMENTS)


def fused(query: str, alpha: float) -> list[FakeHit]:
    rows = [FakeHit(str(row), alpha * v + (1 - alpha) * t, v, 10 * t) for row, (v, t) in enumerate(PARTS[query])]
    return sorted(rows, key=lambda hit: -hit.score)


def answer(query: str, *, mode: str, fusion: Any) -> list[FakeHit]:
    assert mode == "hybrid"
    return fused(query, fusion.alpha)


def test_means_are_those_of_a_search_with_each_alpha() -> None:
    fake = FakeCollection(answer)
    tuning = tune_alpha(as_collection(fake), DATASET, metric="mrr")
    assert len(fake.asked) == 40
    for alpha, mean in zip(tuning.alphas, tuning.means, strict=True):
        run = {query: {hit.document_id: hit.score for hit in fused(query, alpha)} for query in PARTS}
        assert mean == pytest.approx(np.mean(list(measure_run(run, JUDGEMENTS, ["mrr"])["mrr"].values())))
    assert len(tuning.alphas) == 21
    assert tuning.best == pytest.approx(0.7)
    assert max(tuning.means) == 1.0
    assert tuning.default < tuning.held_out <= 1.0
    assert len(tuning.chosen) == 5
    assert tuning.to_dict()["alphas"][10] == {"alpha": 0.5, "mean": tuning.default}


def test_the_held_out_value_is_honest() -> None:
    random = np.random.default_rng(5)
    judgements = {query: {str(random.integers(3)): 1} for query in PARTS}
    tuning = tune_alpha(as_collection(FakeCollection(answer)), Dataset(DATASET.queries, judgements), metric="mrr")
    assert tuning.held_out < max(tuning.means)


def test_of_equal_alphas_the_nearest_to_the_middle_is_best() -> None:
    dataset = Dataset(DATASET.queries, {query: {"nothing": 1} for query in PARTS})
    tuning = tune_alpha(as_collection(FakeCollection(answer)), dataset, alphas=[0, 1, 0.4])
    assert (tuning.best, tuning.alphas, tuning.held_out) == (0.5, (0.0, 0.4, 0.5, 1.0), 0.0)


def test_the_best_chunk_of_a_document_counts() -> None:
    def chunks(query: str, **options: Any) -> list[FakeHit]:
        return [FakeHit("a", 0.5, 1.0), FakeHit("b", 0.45, 0.6), FakeHit("a", 0.4, 0.0)]

    dataset = Dataset({"1": "x", "2": "y"}, {"1": {"a": 1}, "2": {"a": 1}})
    tuning = tune_alpha(as_collection(FakeCollection(chunks)), dataset, metric="mrr", alphas=[0.0], folds=2)
    assert tuning.means[0] == 1.0  # by its second chunk, 0.8 against 0.3


def test_a_real_search_with_each_alpha_has_the_same_means(abstracts: Collection, cranfield: Dataset) -> None:
    dataset = cranfield.first(15)
    tuning = tune_alpha(abstracts, dataset, alphas=[0.2, 0.8])
    configurations = [Configuration(str(a), mode="hybrid", fusion=Bounded(alpha=a)) for a in tuning.alphas]
    report = evaluate(abstracts, dataset, configurations, metrics=["ndcg@10"])
    assert tuning.means == pytest.approx([outcome.means["ndcg@10"] for outcome in report.outcomes], abs=0.001)
    assert len(set(tuning.means)) == 3


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two queries or more"):
        tune_alpha(as_collection(FakeCollection(answer)), DATASET.first(1))


def test_bad_options_are_refused() -> None:
    docs = as_collection(FakeCollection(answer))
    for options, message in (
        ({"alphas": [1.5]}, "alpha is a number from 0 to 1"),
        ({"folds": 1}, "folds is from 2"),
        ({"metric": "recall@300"}, "looks further than 200 candidates"),
        ({"folds": 41}, "judged queries, 40"),
        ({"metric": "bleu"}, "a metric is written"),
    ):
        with pytest.raises(InvalidInput, match=message):
            tune_alpha(docs, DATASET, **options)
