"""What columns of an application's own model declare about search; it stands in their `info`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Column, Table

from vectordb.errors import ConfigurationError
from vectordb.indexes import BM25, VectorIndex
from vectordb.metrics import VectorSpace
from vectordb.models import LARGEST_INLINE_VECTOR

Source = str | tuple[str, ...] | Callable[[Any], str | None]

_T = TypeVar("_T")

INFO = "vectordb"


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedding column declares.

    Attributes:
        space: Dimensions, metric and storage.
        index: Over the column; None for none.
        source: Attribute or attributes of which the text is embedded, or a function of an instance or a row that
            returns the text; None where the application gives the vectors.
        index_name: None leaves it to the naming convention of the metadata.
    """

    space: VectorSpace
    index: VectorIndex | None
    source: Source | None
    index_name: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The attributes of which the text is embedded, if they are known."""
        if isinstance(self.source, str):
            return (self.source,)
        return self.source if isinstance(self.source, tuple) else ()


@dataclass(frozen=True, slots=True)
class EmbeddingHash:
    """What the column beside an embedding declares: of which embedder and text the vector was made.

    Attributes:
        embedding: Name of the embedding's column.
    """

    embedding: str


@dataclass(frozen=True, slots=True)
class TextSearch:
    """What a text search column declares.

    Attributes:
        sources: Attributes of which the text is searched.
        config: Text search configuration.
        index: By which BM25 ranks; None for none.
        index_name: Of the index over the lexemes; None has the name of table and column.
    """

    sources: tuple[str, ...]
    config: str
    index: BM25 | None
    index_name: str | None = None


def embedding_of(column: Any) -> Embedding | None:
    """Return what a column declares if it is an embedding column."""
    return declared_by(column, Embedding)


def text_search_of(column: Any) -> TextSearch | None:
    """Return what a column declares if it is a text search column."""
    return declared_by(column, TextSearch)


def hash_column_of(column: Column[Any]) -> Column[Any]:
    """Return the column beside an embedding that tells whether its text has changed.

    Raises:
        ConfigurationError: It has none, because the embedding was added to a class that was mapped before.
    """
    found = column.table.c.get(hash_name(column))
    if found is None or declared_by(found, EmbeddingHash) is None:
        raise ConfigurationError(
            f"the table {column.table.name!r} has no column {hash_name(column)!r}; "
            "declare the embedding column in the body of a mapped class"
        )
    return found


def inline_embeddings(table: Table) -> list[Column[Any]]:
    """Return the embedding columns that can be kept in the row, which makes exact scans and loads a third faster.

    All of a row that is kept there must fit in one page of 8 kB.
    """
    room = LARGEST_INLINE_VECTOR
    inline = []
    for column in table.columns:
        declared = embedding_of(column)
        if declared is None:
            continue
        size = declared.space.storage.most_bytes_for(declared.space.dimensions)
        if size <= room:
            room -= size
            inline.append(column)
    return inline


def indexed_text_of(table: Table) -> tuple[Column[Any], TextSearch, BM25] | None:
    """Return the text search column of a table that has an index, what it declares, and the index."""
    for column in table.columns:
        declared = text_search_of(column)
        if declared is not None and declared.index is not None:
            return column, declared, declared.index
    return None


def declared_by(column: Any, kind: type[_T]) -> _T | None:
    """Return what a column declares if it is of this kind, else None."""
    found = column.info.get(INFO) if isinstance(column, Column) else None
    return found if isinstance(found, kind) else None


def hash_name(column: Column[Any]) -> str:
    """Return the name of the column beside an embedding."""
    return f"{column.name}_hash"


def is_names(value: Any) -> bool:
    """Say whether a value is a tuple of names of attributes."""
    return isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)
