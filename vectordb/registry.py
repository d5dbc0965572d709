"""What a collection is: its declaration as a value, and its row in the registry table."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from vectordb.chunking import Chunking
from vectordb.embedders import EmbedderIdentity
from vectordb.errors import CollectionNotFound, ConfigurationError
from vectordb.fields import FieldType, check_fields
from vectordb.indexes import BM25, HNSW, VectorIndex, check_index, check_text_index, index_from_dict, index_to_dict
from vectordb.metrics import Metric, Storage, VectorSpace
from vectordb.models import Collection as CollectionRow
from vectordb.models import table_names
from vectordb.validation import check_name

LAYOUT_VERSION = 4
DEFAULT_COLLECTION = "default"
DEFAULT_INDEX = HNSW()
DEFAULT_TEXT_INDEX = BM25()


@dataclass(frozen=True, slots=True)
class CollectionConfig:
    """The declaration of a collection; everything else about it follows from this.

    Args:
        name: Lower-case letters, digits and underscores, at most 34 bytes.
        space: Dimensions, metric and storage of the embeddings.
        index: Index over the embeddings; None searches exactly.
        text_config: PostgreSQL text search configuration, for example `english` or `simple`.
        text_index: How texts are ranked for words; None keeps no text index.
        chunking: How documents are cut.
        embedder: Identity of the embedder that fills it; None until one does.
        fields: Keys of the metadata with a column of their own, name to type, as `check_fields` takes them.
        layout_version: Version of the tables' layout.

    Raises:
        InvalidName: The name is not one that SQL can use without quotes, or a field's cannot be used.
        ConfigurationError: pgvector cannot build such an index, or a field has an unknown type.
    """

    name: str
    space: VectorSpace
    index: VectorIndex | None = DEFAULT_INDEX
    text_config: str = "english"
    text_index: BM25 | None = DEFAULT_TEXT_INDEX
    chunking: Chunking = field(default_factory=Chunking)
    embedder: EmbedderIdentity | None = None
    # No part of the hash, which a mapping has none of.
    fields: Mapping[str, FieldType] = field(default_factory=dict, hash=False)
    layout_version: int = LAYOUT_VERSION

    def __post_init__(self) -> None:
        check_name(self.name)
        check_name(self.text_config, "text search configuration")
        object.__setattr__(self, "fields", MappingProxyType(check_fields(self.fields)))
        if not isinstance(self.chunking, Chunking):
            raise ConfigurationError(f"chunking is Chunking(...), not {self.chunking!r:.40}")
        if self.index is not None:
            check_index(self.index)
            self.space.operator_class(self.index.method)
        if self.text_index is not None:
            check_text_index(self.text_index)
        if self.embedder is not None and self.embedder.dimensions != self.space.dimensions:
            raise ConfigurationError(
                f"the embedder makes {self.embedder.dimensions} dimensions, the collection has {self.space.dimensions}"
            )

    def to_row(self) -> dict[str, Any]:
        """Return the values of the registry's columns; `from_row` is the inverse."""
        documents_table, chunks_table = table_names(self.name)
        return {
            "name": self.name,
            "documents_table": documents_table,
            "chunks_table": chunks_table,
            "dimensions": self.space.dimensions,
            "metric": str(self.space.metric),
            "storage": str(self.space.storage),
            "vector_index": index_to_dict(self.index),
            "text_config": self.text_config,
            "text_index": None if self.text_index is None else self.text_index.to_dict(),
            "chunking": self.chunking.to_dict(),
            "embedder": None if self.embedder is None else self.embedder.to_dict(),
            "fields": {name: str(kind) for name, kind in self.fields.items()},
            "layout_version": self.layout_version,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any] | RowMapping) -> CollectionConfig:
        """Rebuild the declaration from a row of the registry."""
        return cls(
            name=row["name"],
            space=VectorSpace(row["dimensions"], Metric(row["metric"]), Storage(row["storage"])),
            index=index_from_dict(row["vector_index"]),
            text_config=row["text_config"],
            text_index=None if row["text_index"] is None else BM25.from_dict(row["text_index"]),
            chunking=Chunking.from_dict(row["chunking"]),
            embedder=None if row["embedder"] is None else EmbedderIdentity.from_dict(row["embedder"]),
            fields=row["fields"],
            layout_version=row["layout_version"],
        )


def get_collection(connection: Connection, name: str) -> CollectionConfig:
    """Read one declaration.

    Raises:
        CollectionNotFound: No such collection; `nearest` is the most similar name.
    """
    row = connection.execute(select(CollectionRow.__table__).where(CollectionRow.name == name)).mappings().first()
    if row is None:
        names = list(connection.scalars(select(CollectionRow.name)))
        nearest = next(iter(difflib.get_close_matches(name, names, n=1)), None)
        hint = f"did you mean {nearest!r}?" if nearest else f"there are {', '.join(sorted(names)) or 'none'}"
        raise CollectionNotFound(f"no collection named {name!r}: {hint}", name=name, nearest=nearest)
    return CollectionConfig.from_row(row)


def list_collections(connection: Connection) -> list[CollectionConfig]:
    """Read all declarations, by name."""
    rows = connection.execute(select(CollectionRow.__table__).order_by(CollectionRow.name)).mappings()
    return [CollectionConfig.from_row(row) for row in rows]


def add_collection(connection: Connection, config: CollectionConfig) -> None:
    """Write a new declaration."""
    connection.execute(insert(CollectionRow).values(config.to_row()))


def remove_collection(connection: Connection, name: str) -> None:
    """Delete a declaration."""
    connection.execute(delete(CollectionRow).where(CollectionRow.name == name))


def register_embedder(connection: Connection, name: str, identity: EmbedderIdentity) -> EmbedderIdentity:
    """Write the identity of a collection's embedder unless there is one, and return the one that holds."""
    statement = update(CollectionRow).where(CollectionRow.name == name, CollectionRow.embedder.is_(None))
    connection.execute(statement.values(embedder=identity.to_dict()))
    stored = connection.scalar(select(CollectionRow.embedder).where(CollectionRow.name == name))
    return EmbedderIdentity.from_dict(stored) if stored else identity


def set_index(connection: Connection, name: str, index: VectorIndex | None) -> None:
    """Write which index a collection declares."""
    statement = update(CollectionRow).where(CollectionRow.name == name)
    connection.execute(statement.values(vector_index=index_to_dict(index)))


def set_text_index(connection: Connection, name: str, index: BM25 | None) -> None:
    """Write which text index a collection declares."""
    statement = update(CollectionRow).where(CollectionRow.name == name)
    connection.execute(statement.values(text_index=None if index is None else index.to_dict()))


def set_fields(connection: Connection, name: str, fields: Mapping[str, FieldType]) -> None:
    """Write which fields a collection declares."""
    statement = update(CollectionRow).where(CollectionRow.name == name)
    connection.execute(statement.values(fields={field: str(kind) for field, kind in fields.items()}))
