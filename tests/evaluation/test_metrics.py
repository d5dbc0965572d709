"""The metrics agree with ir-measures, which calls trec_eval."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectordb.errors import InvalidInput
from vectordb.evaluation import RankingMetric, measure_run
from vectordb.evaluation.metrics import rank_documents

METRICS = ["ndcg@1", "ndcg@3", "ndcg@10", "recall@1", "recall@5", "precision@1", "precision@5", "mrr", "map", "map@3"]
THEIRS = {"ndcg": "nDCG", "recall": "R", "precision": "P", "mrr": "RR", "map": "AP"}

DOCUMENTS = ["1", "10", "9", "a", "b", "B", "z", "é", "\uffff", "\U0001f600", "doc 1", "doc-2"]
# Few values, so that scores tie, some of them only as float32.
SCORES = st.sampled_from(
    [0.0, -1.0, 0.5, 0.5 + 1e-9, 0.5 + 1e-7, 1.0, 1.0 - 1e-12, 16777216.0, 16777217.0, -1e-30, 0.1]
)
QUERIES = st.sampled_from(["q1", "q2", "q3", "q4"])
RUNS = st.dictionaries(QUERIES, st.dictionaries(st.sampled_from(DOCUMENTS), SCORES))
GRADES = st.dictionaries(st.sampled_from(DOCUMENTS), st.integers(-2, 4), min_size=1)
# trec_eval crashes where all grades of a query are below 0.
JUDGEMENTS = st.dictionaries(QUERIES, GRADES.filter(lambda grades: max(grades.values()) >= 0), min_size=1)


@given(run=RUNS, judgements=JUDGEMENTS)
def test_every_query_has_the_value_of_ir_measures(
    run: dict[str, dict[str, float]], judgements: dict[str, dict[str, int]]
) -> None:
    ours = measure_run(run, judgements, METRICS)
    theirs = {_theirs(metric): metric for metric in METRICS}
    # ir-measures fails on a run without any document.
    for found in ir_measures.iter_calc(list(theirs), judgements, {"no query": {"x": 1.0}, **run}):
        metric = theirs[found.measure]
        assert ours[metric][found.query_id] == pytest.approx(found.value, abs=1e-6), (metric, found.query_id)
    assert all(values.keys() == judgements.keys() for values in ours.values())


@given(run=RUNS, judgements=JUDGEMENTS)
def test_means_are_those_of_ir_measures(
    run: dict[str, dict[str, float]], judgements: dict[str, dict[str, int]]
) -> None:
    theirs = ir_measures.calc_aggregate([_theirs(metric) for metric in METRICS], judgements, {"no": {"x": 1.0}, **run})
    for metric, values in measure_run(run, judgements, METRICS).items():
        assert sum(values.values()) / len(values) == pytest.approx(theirs[_theirs(metric)], abs=1e-6), metric


@given(run=RUNS, judgements=JUDGEMENTS, cutoff=st.integers(1, 5))
def test_mrr_with_a_cutoff_is_mrr_where_the_document_is_among_the_first(
    run: dict[str, dict[str, float]], judgements: dict[str, dict[str, int]], cutoff: int
) -> None:
    # ir-measures takes another program for this one, which breaks ties in another way.
    values = measure_run(run, judgements, ["mrr", f"mrr@{cutoff}"])
    for query, value in values["mrr"].items():
        assert values[f"mrr@{cutoff}"][query] == (value if value >= 1 / cutoff else 0.0)


def test_ties_go_to_the_last_id_in_byte_order() -> None:
    assert rank_documents({"10": 1.0, "9": 1.0, "é": 1.0, "z": 1.0, "a": 1.0 + 1e-9}) == ["é", "z", "a", "9", "10"]
    assert rank_documents({"a": 2.0, "b": 1.0, "c": 3.0}) == ["c", "a", "b"]


def test_by_hand() -> None:
    run = {"q": {"a": 3.0, "b": 2.0, "c": 1.0}}
    judgements = {"q": {"b": 1, "c": 2, "d": 1, "a": 0}}
    values = {metric: each["q"] for metric, each in measure_run(run, judgements, ["ndcg@3", "map", "mrr"]).items()}
    gain, best = 1 / 1.584963 + 2 / 2, 2 / 1 + 1 / 1.584963 + 1 / 2
    assert values == pytest.approx({"ndcg@3": gain / best, "map": (1 / 2 + 2 / 3) / 3, "mrr": 0.5}, abs=1e-6)


def test_grades_below_0_alone_are_no_relevant_documents() -> None:
    assert measure_run({"q": {"a": 1.0}}, {"q": {"a": -2}}, ["ndcg@3", "map"]) == {"ndcg@3": {"q": 0}, "map": {"q": 0}}


def test_names() -> None:
    assert [str(RankingMetric.parse(text)) for text in ("nDCG@10", "map", "MRR@5")] == ["ndcg@10", "map", "mrr@5"]
    assert list(measure_run({}, {"q": {"a": 1}}, ["map", "map"])) == ["map"]


@pytest.mark.parametrize(
    "text", ["", "ndcg", "recall", "ndcg@0", "ndcg@-1", "ndcg@ten", "bleu", "map@", "p@5", "ndcg@10@5"]
)
def test_unknown_metrics_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"ndcg@10|needs the number"):
        RankingMetric.parse(text)


def test_no_metric_is_refused() -> None:
    with pytest.raises(InvalidInput, match="name a metric"):
        measure_run({}, {}, [])


def _theirs(metric: str) -> ir_measures.Measure:
    name, _, cutoff = metric.partition("@")
    return ir_measures.parse_measure(f"{THEIRS[name]}@{cutoff}" if cutoff else THEIRS[name])
