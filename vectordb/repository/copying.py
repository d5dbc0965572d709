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
_ROWS_PER_WRITE = 256

_DOCUMENT_COLUMNS = "id, title, uri, content_hash, metadata"
_CHUNK_COLUMNS = (
    "document_id, ordinal, content, content_hash, span_start, span_end, tokens, metadata, embedding"
)

_length = struct.Struct(">i").pack
_fields = struct.Struct(">h").pack
_integer = struct.Struct(">ii").pack
_two_integers = struct.Struct(">iiii").pack


def copy_documents(connection: PsycopgConnection, tables: Tables, rows: Iterable[DocumentRow]) -> None:
    """Insert documents; an id that exists is a unique violation."""
    _copy(connection, f"COPY {tables.documents} ({_DOCUMENT_COLUMNS}) FROM STDIN (FORMAT binary)", rows, _document)


def copy_chunks(connection: PsycopgConnection, tables: Tables, rows: Iterable[ChunkRow]) -> None:
    """Insert chunks of documents that have none."""
    _copy(connection, f"COPY {tables.chunks} ({_CHUNK_COLUMNS}) FROM STDIN (FORMAT binary)", rows, _chunk)


def _copy(connection: PsycopgConnection, command: str, rows: Iterable[R], encode: Callable[[R], bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(command) as copy:  # type: ignore[arg-type] # validated identifiers
        copy.write(_HEADER)
        for piece in _pieces(rows):
            copy.write(b"".join(map(encode, piece)))
        copy.write(_TRAILER)


def _pieces(rows: Iterable[R]) -> Iterator[list[R]]:
    iterator = iter(rows)
    while piece := list(islice(iterator, _ROWS_PER_WRITE)):
        yield piece


def _document(row: DocumentRow) -> bytes:
    return b"".join(
        (_fields(5), _text(row.id), _text(row.title), _text(row.uri), _binary(row.content_hash), _json(row.metadata))
    )


def _chunk(row: ChunkRow) -> bytes:
    return b"".join(
        (
            _fields(9),
            _text(row.document_id),
            _integer(4, row.ordinal),
            _text(row.content),
            _binary(row.content_hash),
            _two_integers(4, row.span_start, 4, row.span_end),
            _NULL if row.tokens is None else _integer(4, row.tokens),
            _json(row.metadata),
            _binary(row.embedding),
        )
    )


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def _binary(value: bytes) -> bytes:
    return _length(len(value)) + value


def _json(value: str) -> bytes:
    encoded = value.encode()
    return _length(len(encoded) + 1) + b"\x01" + encoded
