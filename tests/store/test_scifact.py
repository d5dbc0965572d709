"""Retrieval on SciFact: what goes in and comes out is as good as the vectors are.

The reference, 0.645, is the published nDCG@10 of all-MiniLM-L6-v2 on this set.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vectordb import Collection, Results, VectorDB

Grades = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class SciFact:
    """The data set: texts and vectors of documents, vectors and judgements of queries."""

    texts: dict[str, str]
    ids: list[str]
    documents: NDArray[np.float32]
    queries: dict[str, NDArray[np.float32]]
    grades: Grades


@pytest.fixture(scope="module")
def scifact(datasets: Path) -> SciFact:
    with gzip.open(datasets / "scifact" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        entries = [json.loads(line) for line in file]
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    with (datasets / "scifact" / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            grades[row["query_id"]][row["doc_id"]] = int(row["grade"])
    with np.load(datasets / "vectors" / "scifact.minilm384.npz") as arrays:
        queries = dict(zip(map(str, arrays["query_ids"]), arrays["queries"].astype(np.float32), strict=True))
        return SciFact(
            texts={str(entry["id"]): f"{entry['title']} {entry['text']}" for entry in entries},
            ids=list(map(str, arrays["doc_ids"])),
            documents=arrays["docs"].astype(np.float32),
            queries=queries,
            grades=grades,
        )


@pytest.fixture(scope="module")
def abstracts(home: VectorDB, scifact: SciFact) -> Collection:
    docs = home.create_collection("scifact", dimensions=384)
    result = docs.upsert_vectors(scifact.ids, scifact.documents, contents=[scifact.texts[id] for id in scifact.ids])
    assert result.inserted == len(scifact.ids) == 5_183
    return docs


def ndcg_at_10(found: Results, grades: Mapping[str, int]) -> float:
    """Normalised discounted cumulative gain: grades over log2(rank + 1), divided by the best there could be."""

    def gain(values: list[int]) -> float:
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(values[:10], 1))

    return gain([grades.get(hit.document_id, 0) for hit in found]) / gain(sorted(grades.values(), reverse=True))


def mean_ndcg(docs: Collection, scifact: SciFact, **options: Any) -> float:
    assert len(scifact.grades) == 300
    values = [ndcg_at_10(docs.search(scifact.queries[id], **options), grades) for id, grades in scifact.grades.items()]
    return float(np.mean(values))


def test_exact_search_is_as_good_as_published(abstracts: Collection, scifact: SciFact) -> None:
    assert mean_ndcg(abstracts, scifact, exact=True) == pytest.approx(0.645, abs=0.001)


def test_the_index_loses_next_to_nothing(abstracts: Collection, scifact: SciFact) -> None:
    assert mean_ndcg(abstracts, scifact) >= 0.64


def test_texts_came_along(abstracts: Collection, scifact: SciFact) -> None:
    id, query = next(iter(scifact.queries.items()))
    for hit in abstracts.search(query):
        assert hit.content == scifact.texts[hit.document_id], id
    assert {str(document.id): document.content for document in abstracts.scan()} == scifact.texts
