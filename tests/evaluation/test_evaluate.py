from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluation.conftest import WHOLE, StoredVectors
from tests.evaluation.fake import FakeCollection, FakeHit, as_collection
from vectordb import Collection, Document, F, VectorDB
from vectordb.errors import InvalidInput, MissingDependency
from vectordb.evaluation import Configuration, Dataset, Report, default_configurations, evaluate

EXACT = Configuration("exact", exact=True)


@pytest.fixture(scope="module")
def report(abstracts: Collection, cranfield: Dataset) -> Report:
    configurations = [
        Configuration("exact", mode="vector", exact=True),
        Configuration("index", mode="vector"),
        Configuration("whole", truncate_dim=384),
        Configuration("64 numbers", truncate_dim=64),
    ]
    return evaluate(abstracts, cranfield, configurations, metrics=["ndcg@10", "recall@100", "mrr@10", "map"])


def test_cranfield_has_the_published_values(report: Report) -> None:
    means = report["exact"].means
    assert means["ndcg@10"] == pytest.approx(0.3736, abs=0.001)
    assert means["recall@100"] == pytest.approx(0.776, abs=0.001)
    assert len(report.queries) == len(report["exact"].values["map"]) == len(report["exact"].seconds) == 225
    assert report["index"].means["ndcg@10"] == pytest.approx(means["ndcg@10"], abs=0.01)
    assert 0 < (report["index"].median_ms or 0) <= (report["index"].p95_ms or 0)


def test_all_numbers_in_numpy_are_an_exact_search(report: Report) -> None:
    assert report["whole"].means == pytest.approx(report["exact"].means, abs=1e-3)
    assert report["whole"].median_ms is None
    assert 0.2 < report["64 numbers"].means["ndcg@10"] < report["whole"].means["ndcg@10"] - 0.02


def test_comparison(report: Report) -> None:
    comparison = report.compare("exact", "64 numbers")
    assert comparison.difference == pytest.approx(
        report["64 numbers"].means["ndcg@10"] - report["exact"].means["ndcg@10"]
    )
    assert comparison.p_value < 0.01
    assert comparison.interval[0] < comparison.difference < comparison.interval[1] < 0
    assert comparison.won + comparison.lost + comparison.tied == 225
    assert comparison.lost > comparison.won > 0
    largest = comparison.largest
    assert len(largest) == 20
    assert [abs(each.difference) for each in largest] == sorted(
        (abs(each.difference) for each in largest), reverse=True
    )
    assert all(each.text == report.queries[each.query_id] for each in largest)
    back = report.compare("64 numbers", "exact", metric="map")
    assert (back.metric, back.baseline, back.won > back.lost) == ("map", "64 numbers", True)


def test_report_as_json_and_table(report: Report) -> None:
    read = json.loads(report.to_json())
    assert read["configurations"][3]["configuration"] == {"name": "64 numbers", "truncate_dim": 64}
    assert read["configurations"][0]["queries"]["map"] == report["exact"].values["map"]
    assert [each["name"] for each in read["comparisons"]] == ["index", "whole", "64 numbers"]
    assert (read["evaluated_queries"], read["unknown_documents"]) == (225, [])
    first, *rows = str(report).splitlines()
    assert first.split() == ["configuration", "ndcg@10", "recall@100", "mrr@10", "map", "median", "ms", "p95", "ms"]
    assert rows[0].startswith("exact           0.37")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_chart(report: Report, suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"chart{suffix}"
    report.plot(file)
    start = file.read_bytes()[:5]
    assert start == {".png": b"\x89PNG\r", ".svg": b"<?xml", ".pdf": b"%PDF-"}[suffix]


def test_a_chart_that_cannot_be_drawn(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=r"\.png, \.svg, \.pdf, not as"):
        report.plot(tmp_path / "chart.doc")
    with pytest.raises(InvalidInput, match="there is no folder"):
        report.plot(tmp_path / "nowhere" / "chart.png")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"vectordb-postgres\[plots\]"):
        report.plot(tmp_path / "chart.png")


def test_nothing_heavy_is_loaded() -> None:
    program = (
        "import sys, vectordb.evaluation; print(*{'matplotlib', 'torch', 'scipy', 'ir_measures'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"


def test_unknown_queries_and_documents_are_reported(abstracts: Collection, cranfield: Dataset) -> None:
    judgements = {"1": {"184": 3, "gone": 2, "x" * 600: 0}, "nobody": {"1": 1}, "2": {"12": 1}}
    dataset = Dataset({id: cranfield.queries[id] for id in ("1", "2", "3")}, judgements)
    report = evaluate(abstracts, dataset, [Configuration("exact", exact=True, mode="vector")], metrics=["recall@100"])
    assert (report.unknown_queries, report.unknown_documents) == (("nobody",), ("gone", "x" * 600))
    assert (list(report.queries), report.unjudged_queries) == (["1", "2"], 1)
    assert report["exact"].values["recall@100"]["1"] == 0.5
    assert report["exact"].means["recall@100"] == pytest.approx((0.5 + report["exact"].values["recall@100"]["2"]) / 2)


def test_what_the_collection_has_is_compared_by_default(abstracts: Collection, cranfield: Dataset) -> None:
    report = evaluate(abstracts, cranfield.first(20))
    assert [outcome.configuration.mode for outcome in report.outcomes] == ["vector", "text", "hybrid"]
    assert report.metrics == ("ndcg@10", "recall@100", "mrr@10")
    assert len({outcome.means["ndcg@10"] for outcome in report.outcomes}) == 3


def test_without_a_text_index_there_are_vectors(points: Collection) -> None:
    assert [each.name for each in default_configurations(points)] == ["vector"]


def test_where_and_views_count(abstracts: Collection, cranfield: Dataset) -> None:
    dataset = cranfield.first(3)
    one = F("id") == "184"
    configurations = [Configuration(f"{size}", mode="vector", truncate_dim=size, where=one) for size in (None, 384)]
    report = evaluate(abstracts, dataset, configurations, metrics=["recall@10"])
    assert report["384"].values["recall@10"]["1"] == report["None"].values["recall@10"]["1"]
    assert 0 < report["None"].values["recall@10"]["1"] < 0.1
    view = evaluate(abstracts.where(one), dataset, [Configuration("v", mode="vector")], metrics=["recall@10"])
    assert view["v"].values == report["None"].values
    assert len(view.unknown_documents) > 10


def test_documents_count_once_with_their_best_chunk() -> None:
    chunks = [FakeHit("a", 0.9)] * 7 + [FakeHit("b", 0.8)] * 20 + [FakeHit("c", 0.7), FakeHit("a", 0.6)]
    fake = FakeCollection(lambda query, **options: chunks, ["a", "b", "c"])
    dataset = Dataset({"q": "?"}, {"q": {"c": 1}})
    report = evaluate(as_collection(fake), dataset, [Configuration("x", limit=3)], metrics=["mrr", "recall@2"])
    assert report["x"].means == {"mrr": pytest.approx(1 / 3), "recall@2": 0.0}
    assert [asked["limit"] for asked in fake.asked] == 2 * [3, 12, 48]  # the first time to load models


def test_several_chunks_in_a_real_collection(home: VectorDB, stored: StoredVectors) -> None:
    docs = home.create_collection("chunks", embedder=stored, chunking=WHOLE)
    one, _, three = list(stored._vectors)[:3]
    docs.upsert_vectors(["far"], [stored._vectors[three]])
    docs.upsert([Document(one, f"near {place}") for place in range(3)])
    dataset = Dataset({"q": one}, {"q": {"far": 1}})
    report = evaluate(docs, dataset, [Configuration("v", mode="vector", limit=10)], metrics=["mrr"])
    assert report["v"].means == {"mrr": 0.25}


def test_the_order_of_hits_counts_where_a_reranker_has_another_scale() -> None:
    hits = [FakeHit("a", -3.0), FakeHit("b", -5.0), FakeHit("c", 0.9)]
    fake = FakeCollection(lambda query, **options: hits, "abc")
    dataset = Dataset({"q": "?"}, {"q": {"c": 1}})
    chosen = Configuration("r", mode="hybrid", rerank=len, rerank_depth=2, limit=10, ef_search=50)
    report = evaluate(as_collection(fake), dataset, [chosen], metrics=["mrr"])
    assert report["r"].means == {"mrr": pytest.approx(1 / 3)}
    asked = fake.asked[-1]
    assert asked == {"query": "?", "limit": 10, "mode": "hybrid", "rerank": len, "rerank_depth": 2, "ef_search": 50}


def test_progress(abstracts: Collection, cranfield: Dataset) -> None:
    seen: list[tuple[int, int]] = []
    configurations = [EXACT, Configuration("64", truncate_dim=64)]
    evaluate(abstracts, cranfield.first(2), configurations, on_progress=lambda *done: seen.append(done))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_bad_configurations_are_refused(abstracts: Collection, cranfield: Dataset, points: Collection) -> None:
    for bad, message in (
        ({"name": " "}, "needs a name"),
        ({"name": "a", "limit": 0}, "limit is a whole number"),
        ({"name": "a", "truncate_dim": 8, "mode": "hybrid"}, "truncate_dim"),
    ):
        with pytest.raises(InvalidInput, match=message):
            Configuration(**bad)
    with pytest.raises(InvalidInput, match="two configurations have the name 'exact'"):
        evaluate(abstracts, cranfield, [EXACT, EXACT])
    with pytest.raises(InvalidInput, match="at least one configuration"):
        evaluate(abstracts, cranfield, [])
    with pytest.raises(InvalidInput, match="few finds 5 documents per query, too few for a metric at 100"):
        evaluate(abstracts, cranfield, [Configuration("few", limit=5)])
    with pytest.raises(InvalidInput, match="from 1 to 384"):
        evaluate(abstracts, cranfield, [Configuration("much", truncate_dim=385)])
    with pytest.raises(InvalidInput, match="not with l1"):
        evaluate(points, cranfield, [Configuration("much", truncate_dim=2)])
    with pytest.raises(InvalidInput, match="both a text and judgements"):
        evaluate(abstracts, Dataset({"a": "x"}, {"b": {"d": 1}}), [EXACT])


def test_what_was_not_measured_is_refused(report: Report) -> None:
    with pytest.raises(InvalidInput, match="there is no configuration 'hybrid'; there are exact, index"):
        report.compare("exact", "hybrid")
    with pytest.raises(InvalidInput, match="was not measured"):
        report.compare("exact", "index", metric="ndcg@5")


@pytest.fixture
def points(home: VectorDB) -> Collection:
    return home.get_or_create_collection("points", dimensions=3, metric="l1", index=None, text_index=None)
