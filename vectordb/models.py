"""The tables as SQLAlchemy models: the registry, and a pair of tables per collection.

`DocumentMixin` and `ChunkMixin` are the one declaration of a collection's layout. The
static classes `Document` and `Chunk` belong to the default collection; `collection_models`
builds the same pair for any other. The DDL that creates the tables comes from here, too.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship
from sqlalchemy.schema import (
    CreateIndex,
    CreateTable,
    DropTable,
    ExecutableDDLElement,
    SetColumnComment,
    SetTableComment,
)
from sqlalchemy.types import TypeEngine

from vectordb.database import SCHEMA
from vectordb.fields import FieldType, generation_expression
from vectordb.indexes import VectorIndex
from vectordb.metrics import VectorSpace
from vectordb.validation import LONGEST_IDENTIFIER
from vectordb.vector_types import VectorColumn

NAMING = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}

# A row must fit in a page of 8 kB with its vector in it; the other columns move out of line when need be.
LARGEST_INLINE_VECTOR = 6_500
# Keeps a tsvector below PostgreSQL's limit of 1 MB, whatever the text: of hyphenated words in an Asian script it holds
# up to eight bytes a character, the whole and the parts.
INDEXED_CHARACTERS = 100_000
_DOCUMENT_ID = "Id of the document"
_EMBEDDING = "Embedding; the registry has its dimensions and metric, and the embedder that made it"
# Floats are numeric, so that they compare as exactly as numbers in jsonb do.
_FIELD_COLUMNS: dict[FieldType, TypeEngine[Any]] = {
    FieldType.STR: Text(collation="C"),
    FieldType.INT: BigInteger(),
    FieldType.FLOAT: Numeric(),
    FieldType.BOOL: Boolean(),
    FieldType.DATETIME: DateTime(timezone=True),
}


class Base(DeclarativeBase):
    """Base of the tables that every installation has."""

    metadata = MetaData(schema=SCHEMA, naming_convention=NAMING)


class Collection(Base):
    """A row of the registry: what a collection is and which embedder fills it."""

    __tablename__ = "collections"
    __table_args__ = {"comment": "The registry: what each collection is, and which embedder fills it"}  # noqa: RUF012 - read by SQLAlchemy only

    name: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True, comment="Name of the collection")
    documents_table: Mapped[str] = mapped_column(Text, unique=True, comment="Table of its documents, in this schema")
    chunks_table: Mapped[str] = mapped_column(Text, unique=True, comment="Table of its chunks, in this schema")
    dimensions: Mapped[int] = mapped_column(Integer, comment="Numbers in an embedding, 1 or more")
    metric: Mapped[str] = mapped_column(
        Text, comment="What near means: cosine, l2, inner_product, l1, hamming or jaccard"
    )
    storage: Mapped[str] = mapped_column(Text, comment="Type of the embeddings: vector, halfvec, bit or sparsevec")
    vector_index: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="Method and options of the index over the embeddings; NULL for none"
    )
    text_config: Mapped[str] = mapped_column(Text, comment="Text search configuration that texts are read with")
    chunking: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="How documents are cut: size and overlap of a chunk, and their unit"
    )
    embedder: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), comment="Identity of the embedder that fills it; NULL until one does"
    )
    fields: Mapped[dict[str, str]] = mapped_column(
        JSONB,
        server_default=text("'{}'::jsonb"),
        sort_order=1,
        comment="Declared fields, name to type: str, int, float, bool or datetime",
    )
    text_index: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB(none_as_null=True), sort_order=2, comment="k1 and b of BM25 in the text index; NULL for none"
    )
    layout_version: Mapped[int] = mapped_column(SmallInteger, comment="Version of the layout of its tables")
    created_at: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), comment="When it was created"
    )


class DocumentMixin:
    """Columns of a `…_documents` table."""

    __table_args__: Any = {"comment": "Documents of a collection; their texts are in its table of chunks"}  # noqa: RUF012 - as above

    id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True, comment="Id, 1 to 512 bytes of UTF-8")
    title: Mapped[str | None] = mapped_column(Text, comment="Title, at most 4096 bytes of UTF-8; NULL for none")
    uri: Mapped[str | None] = mapped_column(
        Text, comment="Where the document comes from, at most 8192 bytes of UTF-8; NULL for none"
    )
    content_hash: Mapped[bytes] = mapped_column(
        LargeBinary, comment="16 bytes that tell whether the document was changed"
    )
    # The attribute has an underscore because SQLAlchemy keeps `metadata` for itself; the column has none.
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, comment="Metadata, an object of JSON")
    created_at: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), comment="When it was first written"
    )
    updated_at: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), server_default=func.now(), comment="When it was last changed"
    )


class ChunkMixin:
    """Columns of a `…_chunks` table, but for the embedding's type and the text configuration.

    The metadata is the document's, repeated so that a filter runs beside the vector index.
    """

    __table_args__: Any = {"comment": "Chunks of a collection, each with its embedding"}  # noqa: RUF012 - as above

    ordinal: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="Place of the chunk in its document, from 0"
    )
    content: Mapped[str] = mapped_column(Text, comment="Text of the chunk")
    content_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="16 bytes that tell whether the chunk was changed")
    span_start: Mapped[int] = mapped_column(Integer, comment="First character of the chunk in its document, from 0")
    span_end: Mapped[int] = mapped_column(Integer, comment="Character after the last one of the chunk, from 0")
    tokens: Mapped[int | None] = mapped_column(Integer, comment="Tokens in the chunk; NULL where nobody counted them")
    metadata_: Mapped[dict[str, Any]] = mapped_column(
        "metadata", JSONB, comment="Metadata of the document, for filters beside the vector index"
    )


def _foreign_key(column: Any) -> ForeignKey:
    """Refer to a document; deferrable, because a bulk load copies the chunks first."""
    return ForeignKey(column, ondelete="CASCADE", deferrable=True, initially="IMMEDIATE")


class Document(DocumentMixin, Base):
    """A document of the default collection."""

    __tablename__ = "documents"

    chunks: Mapped[list[Chunk]] = relationship(
        back_populates="document", order_by="Chunk.ordinal", cascade="all, delete-orphan", passive_deletes=True
    )


class Chunk(ChunkMixin, Base):
    """A chunk of the default collection, stored as `vector`; `db.collection().Chunk` knows any other storage.

    The embedding is loaded only when it is read.
    """

    __tablename__ = "chunks"

    document_id: Mapped[str] = mapped_column(
        Text(collation="C"), _foreign_key(Document.id), primary_key=True, sort_order=-1, comment=_DOCUMENT_ID
    )
    embedding: Mapped[NDArray[np.float32]] = mapped_column(VectorColumn(), deferred=True, comment=_EMBEDDING)
    document: Mapped[Document] = relationship(back_populates="chunks")


@dataclass(frozen=True, slots=True)
class CollectionModels:
    """The model classes of one collection.

    Attributes:
        Document: Class of `DocumentMixin` with `chunks`, and the declared fields by their names.
        Chunk: Class of `ChunkMixin` with `document_id`, `document`, `embedding`, `content_tsv`, and the same fields.
        metadata: Both tables and their indexes, nothing else.
    """

    Document: type[Any]
    Chunk: type[Any]
    metadata: MetaData


def table_names(collection: str) -> tuple[str, str]:
    """Return the names of a collection's tables of documents and of chunks."""
    prefix = "" if collection == "default" else f"{collection}_"
    return f"{prefix}documents", f"{prefix}chunks"


def vector_index_name(chunks_table: str, method: str) -> str:
    """Return the name of the index over a collection's embeddings."""
    return f"{chunks_table}_embedding_{method}_idx"


def text_index_name(chunks_table: str) -> str:
    """Return the name of the index over a collection's lexemes."""
    return f"{chunks_table}_content_tsv_idx"


def iso_timestamp_function(schema: str | None) -> str:
    """Return the quoted name of the SQL function that reads timestamps; without a schema the search_path finds it."""
    return "iso_timestamp" if schema is None else f'"{schema}".iso_timestamp'


def collection_models(
    name: str,
    space: VectorSpace,
    *,
    index: VectorIndex | None,
    text_config: str,
    fields: Mapping[str, FieldType] | None = None,
    schema: str | None = SCHEMA,
    iso_timestamp: str | None = None,
) -> CollectionModels:
    """Build the model classes of a collection, on a `MetaData` of their own.

    Args:
        name: Of the collection, checked.
        space: Decides the embedding's type and the index's operator class.
        index: Over the embedding; None for none.
        text_config: Of the generated `content_tsv`, checked.
        fields: Declared ones, checked; each becomes a generated column of both tables.
        schema: Where the tables live, checked; None leaves it to the search_path.
        iso_timestamp: The SQL function, quoted; None is the one in `schema`.
    """
    documents_table, chunks_table = table_names(name)

    class CollectionBase(DeclarativeBase):
        metadata = MetaData(schema=schema, naming_convention=NAMING)

    class Document(DocumentMixin, CollectionBase):
        __tablename__ = documents_table

        @declared_attr
        def chunks(cls) -> Mapped[list[Any]]:
            return relationship(
                "Chunk",
                back_populates="document",
                order_by="Chunk.ordinal",
                cascade="all, delete-orphan",
                passive_deletes=True,
            )

    class Chunk(ChunkMixin, CollectionBase):
        __tablename__ = chunks_table

        document_id = mapped_column(
            Text(collation="C"), _foreign_key(Document.id), primary_key=True, sort_order=-1, comment=_DOCUMENT_ID
        )
        embedding = mapped_column(
            VectorColumn(space.storage, space.dimensions), nullable=False, deferred=True, comment=_EMBEDDING
        )
        content_tsv = mapped_column(
            TSVECTOR,
            Computed(
                f"to_tsvector('{text_config}'::regconfig, \"left\"(content, {INDEXED_CHARACTERS}))", persisted=True
            ),
            deferred=True,
            comment=f"Lexemes of the first {INDEXED_CHARACTERS} characters of the text",
        )

        @declared_attr
        def document(cls) -> Mapped[Any]:
            return relationship("Document", back_populates="chunks")

    for model in (Document, Chunk):
        for column in field_columns(fields or {}, iso_timestamp or iso_timestamp_function(schema)):
            setattr(model, column.name, column)
            field_index(column)
        metadata_index(model.__table__)
    if index is not None:
        vector_index(Chunk.__table__.c.embedding, space, index)
    return CollectionModels(Document, Chunk, CollectionBase.metadata)


def field_columns(fields: Mapping[str, FieldType], iso_timestamp: str) -> list[Column[Any]]:
    """Declare the generated columns of declared fields, by name."""
    return [
        Column(
            name,
            _FIELD_COLUMNS[kind],
            Computed(generation_expression(name, kind, iso_timestamp=iso_timestamp), persisted=True),
            comment=f"Declared field of type {kind}, generated from the metadata; NULL where it is missing",
        )
        for name, kind in sorted(fields.items())
    ]


def field_index(column: Column[Any]) -> Index:
    """Declare the index over a declared field's column, which stands in its table already."""
    return Index(field_index_name(column.table.name, column.name), column)


def field_index_name(table: str, field: str) -> str:
    """Return the name of a field's index; where PostgreSQL would cut it off, a hash takes the place of its end."""
    name = f"{table}_{field}_idx"
    if len(name) <= LONGEST_IDENTIFIER:
        return name
    end = f"_{hashlib.sha256(name.encode()).hexdigest()[:8]}_idx"
    return name[: LONGEST_IDENTIFIER - len(end)] + end


def metadata_index(table: Any) -> Index:
    """Declare the index that serves equality and `contains` of metadata that is not declared."""
    return Index(
        f"{table.name}_metadata_idx",
        table.c.metadata,
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    )


def vector_index(column: Any, space: VectorSpace, index: VectorIndex) -> Index:
    """Declare the index over an embedding column, with the operator class of its metric."""
    return Index(
        vector_index_name(column.table.name, index.method),
        column,
        postgresql_using=index.method,
        postgresql_with=index.options(),
        postgresql_ops={column.name: space.operator_class(index.method)},
    )


def create_statements(models: CollectionModels, space: VectorSpace) -> list[ExecutableDDLElement]:
    """Return the DDL of a collection in order: tables, comments, the vectors' place in the row, indexes."""
    tables = models.metadata.sorted_tables
    statements: list[ExecutableDDLElement] = [CreateTable(table) for table in tables]
    for table in tables:
        statements += [SetTableComment(table), *(SetColumnComment(column) for column in table.columns)]
    chunks = models.Chunk.__table__
    if space.storage.bytes_for(space.dimensions) <= LARGEST_INLINE_VECTOR:
        # PLAIN keeps vectors in the row: exact scans and bulk loads are a third faster than out of line.
        plain: ExecutableDDLElement = DDL(  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
            f'ALTER TABLE "{chunks.schema}"."{chunks.name}" ALTER COLUMN embedding SET STORAGE PLAIN'
        )
        statements.append(plain)
    for table in tables:
        statements.extend(CreateIndex(index) for index in sorted_indexes(table))
    return statements


def sorted_indexes(table: Table) -> list[Index]:
    """Return the indexes of a table by name."""
    return sorted(table.indexes, key=lambda index: str(index.name))


def drop_statements(models: CollectionModels) -> list[ExecutableDDLElement]:
    """Return the DDL that removes a collection's tables."""
    return [DropTable(table, if_exists=True) for table in reversed(models.metadata.sorted_tables)]
