"""Search by text and hybrid search on labelled data: as good as BM25 and as the fusion were measured to be."""

from __future__ import annotations

import csv
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.store.test_scifact import ndcg_at_10
from vectordb import FunctionEmbedder, VectorDB


@pytest.mark.parametrize(
    ("name", "least_by_text", "least"),
    [("scifact", 0.675, 0.73), ("cranfield", 0.355, 0.41)],
    ids=["SciFact", "Cranfield"],
)
def test_retrieval(home: VectorDB, datasets: Path, name: str, least_by_text: float, least: float) -> None:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    with (datasets / name / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            grades[row["query_id"]][row["doc_id"]] = int(row["grade"])

    def texts(part: str) -> dict[str, str]:
        with gzip.open(datasets / name / f"{part}.jsonl.gz", "rt", encoding="utf-8") as file:
            entries = [json.loads(line) for line in file]
        return {str(each["id"]): f"{each.get('title', '')} {each['text']}".strip() for each in entries}

    corpus, queries = texts("corpus"), texts("queries")
    with np.load(datasets / "vectors" / f"{name}.minilm384.npz") as arrays:
        asked = {queries[str(id)]: vector for id, vector in zip(arrays["query_ids"], arrays["queries"], strict=True)}
        ids, matrix = [str(id) for id in arrays["doc_ids"]], arrays["docs"].astype(np.float32)
    known = FunctionEmbedder(
        lambda given: np.array([asked[text] for text in given], dtype=np.float32), dimensions=384, name="known"
    )
    docs = home.create_collection(f"hybrid_{name}", embedder=known, index=None)
    docs.upsert_vectors(ids, matrix, contents=[corpus[id] for id in ids])
    judged = {id: grade for id, grade in grades.items() if any(grade.values())}

    def quality(**options: Any) -> float:
        found = docs.search_many([queries[id] for id in judged], **options)
        return float(np.mean([ndcg_at_10(hits, grade) for hits, grade in zip(found, judged.values(), strict=True)]))

    by_text, together = quality(mode="text"), quality()
    print(f"{name}: text {by_text:.4f}, hybrid {together:.4f}")
    assert by_text >= least_by_text
    assert together >= least
