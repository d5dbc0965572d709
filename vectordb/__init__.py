"""The vector database that is already in your PostgreSQL.

Five lines::

    import vectordb

    db = vectordb.connect()                          # starts its own PostgreSQL when there is no URL
    docs = db.get_or_create_collection("docs")
    docs.upsert(["Cats purr when they are content.", "Trains run on rails."])
    print(docs.search("happy animals"))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vectordb import errors
from vectordb.errors import VectorDBError

if TYPE_CHECKING:
    from vectordb.chunking import Chunking
    from vectordb.client import VectorDB, connect
    from vectordb.collection import Collection
    from vectordb.documents import Document, Facet, Hit, Results, SearchPlan, UpsertResult
    from vectordb.embedders import Embedder, FunctionEmbedder, SentenceTransformerEmbedder
    from vectordb.fields import FieldType
    from vectordb.filters import F, Filter
    from vectordb.fusion import RRF, Bounded, RelativeScore
    from vectordb.indexes import BM25, HNSW, IVFFlat
    from vectordb.metrics import Metric, Storage
    from vectordb.rerankers import BiEncoderReranker, CrossEncoder, MaxSim, Reranker

__version__ = "0.1.0"

__all__ = [
    "BM25",
    "HNSW",
    "RRF",
    "BiEncoderReranker",
    "Bounded",
    "Chunking",
    "Collection",
    "CrossEncoder",
    "Document",
    "Embedder",
    "F",
    "Facet",
    "FieldType",
    "Filter",
    "FunctionEmbedder",
    "Hit",
    "IVFFlat",
    "MaxSim",
    "Metric",
    "RelativeScore",
    "Reranker",
    "Results",
    "SearchPlan",
    "SentenceTransformerEmbedder",
    "Storage",
    "UpsertResult",
    "VectorDB",
    "VectorDBError",
    "connect",
    "errors",
]

# Each name is imported when it is first used: `vectordb --help` need not wait for SQLAlchemy.
_HOMES = {
    "chunking": ["Chunking"],
    "client": ["VectorDB", "connect"],
    "collection": ["Collection"],
    "documents": ["Document", "Facet", "Hit", "Results", "SearchPlan", "UpsertResult"],
    "embedders": ["Embedder", "FunctionEmbedder", "SentenceTransformerEmbedder"],
    "fields": ["FieldType"],
    "filters": ["F", "Filter"],
    "fusion": ["RRF", "Bounded", "RelativeScore"],
    "indexes": ["BM25", "HNSW", "IVFFlat"],
    "metrics": ["Metric", "Storage"],
    "rerankers": ["BiEncoderReranker", "CrossEncoder", "MaxSim", "Reranker"],
}
_MODULES = {name: f"vectordb.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'vectordb' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
