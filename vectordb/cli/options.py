"""Options that several commands share, each declared once."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from vectordb.errors import ConfigurationError, InvalidFilter
from vectordb.indexes import HNSW, IVFFlat, VectorIndex
from vectordb.metrics import Metric, Storage

DEFAULT_COLLECTION = "default"


class IndexMethod(StrEnum):
    """How embeddings are indexed."""

    HNSW = "hnsw"
    IVFFLAT = "ivfflat"
    NONE = "none"


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help="Database, as postgresql://user@host:5432/name. Else $VECTORDB_URL, else the embedded server.",
    ),
]
DataPath = Annotated[
    Path | None,
    typer.Option("--path", help="Directory of the embedded server. Else $VECTORDB_PATH, else .vectordb."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CollectionName = Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="Collection to use.")]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="JSON", help='Only documents with such metadata, as {"year": {">=": 2020}}.'),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Dimensions = Annotated[int | None, typer.Option("--dimensions", help="Of the embeddings. Default: the model's.")]
Model = Annotated[
    str | None,
    typer.Option("--model", help="sentence-transformers model, by name or folder. Default: all-MiniLM-L6-v2."),
]
MetricOption = Annotated[Metric | None, typer.Option("--metric", help="What near means. Default: cosine.")]
StorageOption = Annotated[Storage | None, typer.Option("--storage", help="Type of the embeddings. Default: vector.")]
Index = Annotated[IndexMethod | None, typer.Option("--index", help="Index over the embeddings. Default: hnsw.")]
M = Annotated[int | None, typer.Option("--m", help="HNSW: neighbours per node. Default: 16.")]
EfConstruction = Annotated[
    int | None, typer.Option("--ef-construction", help="HNSW: candidates while building. Default: 64.")
]
Lists = Annotated[int | None, typer.Option("--lists", help="IVFFlat: clusters. Default: 100.")]
TextConfig = Annotated[
    str | None, typer.Option("--text-config", help="Text search configuration of PostgreSQL. Default: english.")
]


def given(**options: Any) -> dict[str, Any]:
    """Return the options that were given on the command line; the library has the defaults."""
    return {name: value for name, value in options.items() if value is not None}


def vector_index(method: IndexMethod | None, **parameters: int | None) -> VectorIndex | None:
    """Return the index that the options describe.

    Args:
        method: None is HNSW.
        **parameters: m, ef_construction and lists.

    Raises:
        ConfigurationError: A parameter of another method, or out of range.
    """
    chosen = given(**parameters)
    known: dict[IndexMethod, dict[str, int]] = {
        IndexMethod.HNSW: HNSW().options(),
        IndexMethod.IVFFLAT: IVFFlat().options(),
        IndexMethod.NONE: {},
    }
    method = method or IndexMethod.HNSW
    for name in chosen:
        if name not in known[method]:
            raise ConfigurationError(f"--{name.replace('_', '-')} does not go with --index {method}")
    if method is IndexMethod.NONE:
        return None
    return HNSW(**chosen) if method is IndexMethod.HNSW else IVFFlat(**chosen)


def parse_where(value: str | None) -> dict[str, Any] | None:
    """Return a filter as `where=` takes it.

    Raises:
        InvalidFilter: Not a JSON object.
    """
    if value is None:
        return None
    example = 'as in --where \'{"lang": "en", "year": {">=": 2020}}\''
    try:
        where = json.loads(value)
    except (ValueError, RecursionError):
        raise InvalidFilter(f"--where is not JSON; write it {example}", path="") from None
    if not isinstance(where, dict):
        raise InvalidFilter(f"--where is a JSON object, {example}", path="")
    return where
