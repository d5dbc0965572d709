"""Rows as PostgreSQL's binary COPY stream, the fastest way in.

Source: PostgreSQL manual, COPY, "Binary Format".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from vectordb.database import PsycopgConnection
from vectordb.repository.rows import ChunkRow, DocumentRow
from vectordb.tables import Tables

R = TypeVar("R")

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
# Small enough that the server works on one piece while the next is put together.
_ROWS_PER_WRITE = 32

_DOCUMENT_COLUMNS = "id, title, uri, content_hash, metadata"
_CHUNK_COLUMNS = "document_id, ordinal, content, content_hash, span_start, span_end, tokens, metadata, embedding"

_head = struct.Struct(">hi").pack
_length = struct.Struct(">i").pack
_length_and_json = struct.Struct(">iB").pack
_ordinal_and_length = struct.Struct(">iii").pack
_spans = struct.Struct(">iiii").pack
_integer = struct.Struct(">ii").pack


def copy_documents(connection: PsycopgConnection, tables: Tables, rows: Iterable[DocumentRow]) -> None:
    """Insert documents; an id that exists is a unique violation."""
    _copy(connection, f"COPY {tables.documents} ({_DOCUMENT_COLUMNS}) FROM STDIN (FORMAT binary)", rows, _document)


def copy_chunks(connection: PsycopgConnection, tables: Tables, rows: Iterable[ChunkRow]) -> None:
    """Insert chunks of documents that have none."""
    _copy(connection, f"COPY {tables.chunks} ({_CHUNK_COLUMNS}) FROM STDIN (FORMAT binary)", rows, _chunk)


def _copy(connection: PsycopgConnection, command: str, rows: Iterable[R], encode: Callable[[R], bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        copy.write(_HEADER)
        for piece in _pieces(rows):
            copy.write(b"".join(map(encode, piece)))
        copy.write(_TRAILER)


def _pieces(rows: Iterable[R]) -> Iterator[list[R]]:
    iterator = iter(rows)
    while piece := list(islice(iterator, _ROWS_PER_WRITE)):
        yield piece


def _document(row: DocumentRow) -> bytes:
    id, metadata = row.id.encode(), row.metadata.encode()
    return b"".join(
        (
            _head(5, len(id)),
            id,
            _text(row.title),
            _text(row.uri),
            _length(len(row.content_hash)),
            row.content_hash,
            _length_and_json(len(metadata) + 1, 1),
            metadata,
        )
    )


def _chunk(row: ChunkRow) -> bytes:
    id, content, metadata = row.document_id.encode(), row.content.encode(), row.metadata.encode()
    return b"".join(
        (
            _head(9, len(id)),
            id,
            _ordinal_and_length(4, row.ordinal, len(content)),
            content,
            _length(len(row.content_hash)),
            row.content_hash,
            _spans(4, row.span_start, 4, row.span_end),
            _NULL if row.tokens is None else _integer(4, row.tokens),
            _length_and_json(len(metadata) + 1, 1),
            metadata,
            _length(len(row.embedding)),
            row.embedding,
        )
    )


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded
