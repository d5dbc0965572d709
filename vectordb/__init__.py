"""The vector database that is already in your PostgreSQL.

Five lines::

    import vectordb

    db = vectordb.connect()                          # starts its own PostgreSQL when there is no URL
    docs = db.get_or_create_collection("docs")
    docs.upsert(["Cats purr when they are content.", "Trains run on rails."])
    print(docs.search("happy animals"))
"""

from vectordb import errors
from vectordb.chunking import Chunking
from vectordb.client import VectorDB, connect
from vectordb.collection import Collection
from vectordb.documents import Document, Hit, Results, UpsertResult
from vectordb.embedders import Embedder, FunctionEmbedder, SentenceTransformerEmbedder
from vectordb.errors import VectorDBError
from vectordb.filters import F, Filter
from vectordb.indexes import HNSW, IVFFlat
from vectordb.metrics import Metric, Storage

__version__ = "0.1.0"

__all__ = [
    "HNSW",
    "Chunking",
    "Collection",
    "Document",
    "Embedder",
    "F",
    "Filter",
    "FunctionEmbedder",
    "Hit",
    "IVFFlat",
    "Metric",
    "Results",
    "SentenceTransformerEmbedder",
    "Storage",
    "UpsertResult",
    "VectorDB",
    "VectorDBError",
    "connect",
    "errors",
]
