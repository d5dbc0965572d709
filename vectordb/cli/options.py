"""Options that several commands share, each declared once."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from vectordb.errors import ConfigurationError, InvalidFilter
from vectordb.indexes import BM25, HNSW, IVFFlat, VectorIndex
from vectordb.metrics import Metric, Storage

if TYPE_CHECKING:
    from vectordb import Filter

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
    typer.Option(
        "--where",
        metavar="FILTER",
        help='Only documents that match, as in \'year >= 2020 and lang in ("en", "de")\'; or the same as JSON, '
        'as in \'{"year": {">=": 2020}}\'.',
    ),
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
TextIndex = Annotated[
    bool | None, typer.Option("--text-index/--no-text-index", help="Keep an index for text search by BM25, or none.")
]
K1 = Annotated[float | None, typer.Option("--k1", help="BM25: how much repeated words count more. Default: 1.2.")]
B = Annotated[float | None, typer.Option("--b", help="BM25: how much long texts are held against them. Default: 0.75.")]
ChunkSize = Annotated[
    int | None, typer.Option("--chunk-size", help="Most tokens per chunk. Default: the model's limit.")
]
ChunkOverlap = Annotated[
    int | None, typer.Option("--chunk-overlap", help="Tokens that neighbouring chunks share. Default: 0.")
]

Fields = Annotated[
    list[str] | None,
    typer.Option(
        "--field",
        metavar="NAME=TYPE",
        help="Key of the metadata to give a column and an index, as year=int. Types: str, int, float, bool, datetime. "
        "May be given several times.",
    ),
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


def text_index(*, wanted: bool | None, k1: float | None, b: float | None) -> BM25 | None:
    """Return the text index that the options describe.

    Args:
        wanted: None is True.
        k1: See `BM25`.
        b: See `BM25`.

    Raises:
        ConfigurationError: Parameters without an index, or out of range.
    """
    chosen = given(k1=k1, b=b)
    if wanted is not False:
        return BM25(**chosen)
    for name in chosen:
        raise ConfigurationError(f"--{name} does not go with --no-text-index")
    return None


def declared_fields(values: list[str] | None) -> dict[str, str] | None:
    """Return fields as `fields=` takes them; the library knows the types.

    Raises:
        ConfigurationError: Not NAME=TYPE, or a name twice.
    """
    fields: dict[str, str] = {}
    for value in values or []:
        name, separator, kind = value.partition("=")
        if not separator:
            raise ConfigurationError(f"a field is written as NAME=TYPE, as in year=int, not as {value[:40]!r}")
        if name in fields:
            raise ConfigurationError(f"the field {name[:40]} is given twice")
        fields[name] = kind
    return fields or None


def parse_where(value: str | None) -> Filter | None:
    """Return the filter that a text stands for: JSON where it begins with a brace, else the text form.

    Raises:
        InvalidFilter: Of neither grammar; `position` counts characters from 0 where one can be named.
    """
    if value is None:
        return None
    from vectordb.filters import parse, parse_text

    return parse(_read_object(value)) if value.lstrip().startswith("{") else parse_text(value)


def _read_object(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        _refuse(f"at character {error.pos} of the filter there is no JSON ({error.msg})", position=error.pos)
    except RecursionError:
        _refuse("the filter is nested too deep")
    except InvalidFilter:
        raise
    except ValueError:
        _refuse("a number in the filter has too many digits")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a key that stands in it twice, JSON would drop the first condition without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        _refuse(f"the key {twice[:60]!r} stands twice in one object of the filter")
    return found


def _refuse(what: str, **facts: Any) -> NoReturn:
    example = """'year >= 2020' or '{"year": {">=": 2020}}'"""
    raise InvalidFilter(f"{what}; write it as in --where {example}", path="", **facts) from None
