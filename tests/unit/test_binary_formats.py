"""PostgreSQL's binary formats, written by us and read by psycopg.

That the server reads them, too, is a test of the store.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format

from tests.support import STORABLE_TEXT
from vectordb.metrics import VectorSpace
from vectordb.repository import ChunkRow, DocumentRow
from vectordb.repository.arrays import bytea_array, int_array, text_array, vector_array
from vectordb.repository.copying import copy_chunks, copy_documents
from vectordb.tables import collection_tables

INT4 = st.integers(-(2**31), 2**31 - 1)
_TEXTS, _INTS, _BYTEAS = 1009, 1007, 1001


def loaded(oid: int, data: bytes) -> Any:
    return Transformer().get_loader(oid, Format.BINARY).load(data)


@given(st.lists(STORABLE_TEXT | st.none()))
def test_texts(values: list[str | None]) -> None:
    assert loaded(_TEXTS, text_array(values)) == values


@given(st.lists(st.binary(max_size=20)))
def test_bytes(values: list[bytes]) -> None:
    assert loaded(_BYTEAS, bytea_array(values)) == values


@given(st.lists(INT4 | st.none()) | st.lists(INT4))
def test_integers(values: list[int | None]) -> None:
    assert loaded(_INTS, int_array(values)) == values


def test_an_array_of_vectors_names_their_type() -> None:
    array = vector_array([b"ab", b"cde"], 70_000)
    assert struct.unpack(">iiiii", array[:20]) == (1, 1, 70_000, 2, 1)
    assert array[20:] == b"\x00\x00\x00\x02ab\x00\x00\x00\x03cde"


class Recorder:
    """Takes the place of connection, cursor and copy at once."""

    def __init__(self) -> None:
        self.command = ""
        self.written: list[bytes] = []

    def cursor(self) -> Recorder:
        return self

    def copy(self, command: str) -> Recorder:
        self.command = command
        return self

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def copied(copy: Callable[[Any, Any, Any], None], rows: Sequence[Any]) -> list[list[bytes | None]]:
    """Parse what was copied by the format of the manual: rows of fields."""
    recorder = Recorder()
    tables = collection_tables("docs", VectorSpace(3), schema="s", extension_schema="public", element_oid=1)
    copy(recorder, tables, rows)
    assert recorder.command.endswith("FROM STDIN (FORMAT binary)")
    data = b"".join(recorder.written)
    assert data[:19] == b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    place = 19
    found: list[list[bytes | None]] = []
    while (count := struct.unpack_from(">h", data, place)[0]) != -1:
        place += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", data, place)
            place += 4
            fields.append(None if length == -1 else data[place : place + length])
            place += max(length, 0)
        found.append(fields)
    assert data[place:] == b"\xff\xff"
    return found


documents = st.builds(
    DocumentRow,
    STORABLE_TEXT,
    st.none() | STORABLE_TEXT,
    st.none() | STORABLE_TEXT,
    st.binary(max_size=16),
    st.just('{"é": 1}'),
)
chunks = st.builds(
    ChunkRow,
    document_id=STORABLE_TEXT,
    ordinal=INT4,
    content=STORABLE_TEXT,
    content_hash=st.binary(max_size=16),
    span_start=INT4,
    span_end=INT4,
    tokens=st.none() | INT4,
    metadata=STORABLE_TEXT,
    embedding=st.binary(max_size=9),
)


def text(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def integer(value: int | None) -> bytes | None:
    return None if value is None else struct.pack(">i", value)


@given(st.lists(documents, max_size=3))
def test_copied_documents(rows: list[DocumentRow]) -> None:
    assert copied(copy_documents, rows) == [
        [text(row.id), text(row.title), text(row.uri), row.content_hash, b"\x01" + row.metadata.encode()]
        for row in rows
    ]


@given(st.lists(chunks, max_size=3))
def test_copied_chunks(rows: list[ChunkRow]) -> None:
    assert copied(copy_chunks, rows) == [
        [
            text(row.document_id),
            integer(row.ordinal),
            text(row.content),
            row.content_hash,
            integer(row.span_start),
            integer(row.span_end),
            integer(row.tokens),
            b"\x01" + row.metadata.encode(),
            row.embedding,
        ]
        for row in rows
    ]


@pytest.mark.parametrize("count", [0, 63, 64, 65, 200])
def test_rows_are_copied_piece_by_piece_and_completely(count: int) -> None:
    rows = [DocumentRow(str(n), None, None, b"", "{}") for n in range(count)]
    assert [fields[0] for fields in copied(copy_documents, rows)] == [str(n).encode() for n in range(count)]
