"""Cranfield in a collection: 1,400 abstracts and 225 judged queries, with vectors made before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import vectordb
from tests.conftest import Databases
from vectordb import Chunking, Collection, FunctionEmbedder, VectorDB
from vectordb.evaluation import Dataset, load_dataset

WHOLE = Chunking(size=100_000, unit="characters")


class StoredVectors(FunctionEmbedder):
    """An embedder that knows the vectors of certain texts."""

    def __init__(self, vectors: dict[str, NDArray[np.float32]]) -> None:
        self._vectors = vectors
        super().__init__(lambda texts: [vectors[text.strip()] for text in texts], dimensions=384, name="stored")


@pytest.fixture(scope="session")
def home(databases: Databases, template: str) -> Iterator[VectorDB]:
    """A database that these tests share."""
    url = databases.create(template)
    with vectordb.connect(url) as db:
        yield db
    databases.drop(url)


@pytest.fixture(scope="session")
def cranfield(datasets: Path) -> Dataset:
    return load_dataset(datasets / "cranfield")


@pytest.fixture(scope="session")
def stored(datasets: Path, cranfield: Dataset) -> StoredVectors:
    with np.load(datasets / "vectors" / "cranfield.minilm384.npz") as arrays:
        documents = dict(zip(map(str, arrays["doc_ids"]), arrays["docs"].astype(np.float32), strict=True))
        queries = dict(zip(map(str, arrays["query_ids"]), arrays["queries"].astype(np.float32), strict=True))
    texts = {document.content: documents[str(document.id)] for document in cranfield.documents}
    texts |= {text.strip(): queries[id] for id, text in cranfield.queries.items()}
    return StoredVectors(texts)


@pytest.fixture(scope="session")
def abstracts(home: VectorDB, cranfield: Dataset, stored: StoredVectors) -> Collection:
    """The corpus, one chunk a document."""
    docs = home.create_collection("cranfield", embedder=stored, chunking=WHOLE)
    assert docs.upsert(iter(cranfield.documents)).inserted == 1_400
    return docs
