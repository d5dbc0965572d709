"""How vectors that are known already become rows, at the speed of COPY.

Rows are made one small piece at a time, while PostgreSQL takes in the piece before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any, NamedTuple
from uuid import UUID

from vectordb import repository, vectors
from vectordb.database import Database, PsycopgConnection
from vectordb.documents import UpsertResult, content_hash
from vectordb.errors import DuplicateDocument, InvalidInput, InvalidText, TransactionConflict
from vectordb.fields import FieldType, check_metadata
from vectordb.metrics import VectorSpace
from vectordb.repository import ChunkRow, DocumentRow, DocumentState, WritePlan
from vectordb.tables import Tables
from vectordb.validation import MAX_ID_BYTES, check_id, check_text, metadata_json
from vectordb.vectors import FloatMatrix
from vectordb.views import View, refuse_outside

# Documents per transaction where some may be stored already.
_SLICE = 10_000
# Vectors that are encoded at once.
_BLOCK = 512
_MOST_PLANS = 20


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Checked vectors with their documents, n of each, in the order of the ids.

    Attributes:
        ids: No two the same, ascending.
        contents: Texts; None leaves them empty.
        metadata: JSON; None leaves it empty.
        matrix: Shape (n, dimensions).
    """

    ids: list[str]
    contents: list[str] | None
    metadata: list[str] | None
    matrix: FloatMatrix

    @property
    def all_contents(self) -> list[str]:
        """A text for each id."""
        return [""] * len(self.ids) if self.contents is None else self.contents

    @property
    def all_metadata(self) -> list[str]:
        """JSON for each id."""
        return ["{}"] * len(self.ids) if self.metadata is None else self.metadata

    def part(self, start: int, stop: int) -> VectorBatch:
        """Return the entries from `start` up to `stop`."""
        return VectorBatch(
            self.ids[start:stop],
            None if self.contents is None else self.contents[start:stop],
            None if self.metadata is None else self.metadata[start:stop],
            self.matrix[start:stop],
        )


class _Rows(NamedTuple):
    """Rows of some documents, one chunk each, in the same order."""

    documents: list[DocumentRow]
    chunks: list[ChunkRow]

    def only(self, ids: set[str]) -> _Rows:
        """Return the rows of these documents."""
        return _Rows(
            [row for row in self.documents if row.id in ids], [row for row in self.chunks if row.document_id in ids]
        )


def check_batch(
    ids: Sequence[str | int | UUID],
    matrix: FloatMatrix,
    contents: Sequence[str] | None,
    metadata: Sequence[Mapping[str, Any]] | None,
    *,
    fields: Mapping[str, FieldType] | None = None,
    view: View | None = None,
) -> VectorBatch:
    """Check what comes with vectors, and sort all by id.

    Raises:
        InvalidInput: Numbers of entries differ, or the kind that fits: id, text, metadata, declared fields.
        DuplicateDocument: The same id twice.
        OutsideView: A document does not belong to the view.
        ConfigurationError: The view can only be read.
    """
    count = len(matrix)
    _check_lengths(count, ids=ids, contents=contents, metadata=metadata)
    checked = _check_ids(ids)
    texts = None if contents is None else _check_texts(contents)
    encoded = _check_metadata(checked, metadata, fields, view)
    if all(a < b for a, b in pairwise(checked)):
        return VectorBatch(checked, texts, encoded, matrix)
    order = sorted(range(count), key=checked.__getitem__)
    for here, after in pairwise(order):
        if checked[here] == checked[after]:
            raise DuplicateDocument(
                f"the id {checked[here]!r} occurs twice in one call, at {here} and {after}; keep one of the two",
                id=checked[here],
            )
    return VectorBatch(
        [checked[i] for i in order],
        None if texts is None else [texts[i] for i in order],
        None if encoded is None else [encoded[i] for i in order],
        matrix[order],
    )


def _check_lengths(count: int, **given: Any) -> None:
    for name, values in given.items():
        if values is None and name != "ids":
            continue
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__getitem__"):
            raise InvalidInput(f"{name} is a sequence with one entry for each vector, not {type(values).__name__}")
        if len(values) != count:
            raise InvalidInput(f"{name} has {len(values)} entries for {count} vectors; each vector needs one")


def _check_ids(ids: Sequence[str | int | UUID]) -> list[str]:
    """Check ids all at once where they are plain, one by one where they are not."""
    try:
        joined = "".join(ids)  # type: ignore[arg-type] # other types than str fail here and are checked below
    except TypeError:
        return [check_id(id) for id in ids]
    plain = joined.isascii() and "\x00" not in joined and min(map(len, ids), default=1) > 0  # type: ignore[arg-type] # all are str
    if plain and max(map(len, ids), default=0) <= MAX_ID_BYTES:  # type: ignore[arg-type] # all are str
        return list(ids)  # type: ignore[arg-type] # all are str
    return [check_id(id) for id in ids]


def _check_texts(contents: Sequence[str]) -> list[str]:
    """Check texts all at once, and one by one only to say which is wrong."""
    try:
        if b"\x00" not in "".join(contents).encode():
            return list(contents)
    except (TypeError, UnicodeEncodeError):
        pass
    for position, text in enumerate(contents):
        try:
            check_text(text, "content")
        except InvalidText as error:
            raise InvalidText(f"document {position}: {error}", **error.facts) from None
    return list(contents)


def _check_metadata(
    ids: list[str],
    metadata: Sequence[Mapping[str, Any]] | None,
    fields: Mapping[str, FieldType] | None,
    view: View | None,
) -> list[str] | None:
    """Return metadata as JSON, completed by the view; None where nobody gave any."""
    if view is None and (metadata is None or not fields):
        return None if metadata is None else [metadata_json(entry) for entry in metadata]
    if view is not None:
        view.check_writable()
    encoded: list[str] = []
    for position, (id, entry) in enumerate(zip(ids, repeat({}) if metadata is None else metadata, strict=False)):
        try:
            text = metadata_json(entry if view is None else view.complete(entry))
            stored = json.loads(text)
            check_metadata(stored, fields or {})
            if view is not None:
                view.check(stored, {"id": id, "title": None, "uri": None})
        except InvalidInput as error:
            raise type(error)(f"document {position}: {error}", **{**error.facts, "document": position}) from None
        encoded.append(text)
    return encoded


def load_vectors(
    database: Database, tables: Tables, space: VectorSpace, batch: VectorBatch, *, view: View | None = None
) -> UpsertResult:
    """Upsert vectors: in one transaction while the collection is empty, else one for every 10,000.

    Raises:
        OutsideView: An id is that of a document outside the view; of its 10,000 nothing is written.
    """
    if database.run(lambda connection: _fill(connection, tables, space, batch)):
        return UpsertResult(inserted=len(batch.ids), chunks=len(batch.ids))
    result = UpsertResult()
    for start in range(0, len(batch.ids), _SLICE):
        part = batch.part(start, start + _SLICE)
        hashes: list[bytes] = []
        chunks = list(_chunks(part, space, hashes))
        rows = _Rows(list(_documents(part, hashes)), chunks)
        result += _upsert(database, tables, rows, view)
    return result


def _fill(connection: PsycopgConnection, tables: Tables, space: VectorSpace, batch: VectorBatch) -> bool:
    """Copy everything into an empty collection; return whether that was possible.

    Chunks go first: hashing them takes no time of its own while PostgreSQL is busy with the vectors.
    """
    if not repository.is_empty(connection, tables):
        return False
    hashes: list[bytes] = []
    return repository.copy_all(connection, tables, _documents(batch, hashes), _chunks(batch, space, hashes))


def _chunks(batch: VectorBatch, space: VectorSpace, hashes: list[bytes]) -> Iterator[ChunkRow]:
    """Yield the chunks, encoded in blocks; their hashes are appended to `hashes` for the documents."""
    for start in range(0, len(batch.ids), _BLOCK):
        part = batch.part(start, start + _BLOCK)
        encoded = vectors.encode(part.matrix, space.storage)
        for id, content, metadata, vector in zip(part.ids, part.all_contents, part.all_metadata, encoded, strict=True):
            digest = content_hash(content, vector)
            hashes.append(digest)
            yield ChunkRow(id, 0, content, digest, 0, len(content), None, metadata, vector)


def _documents(batch: VectorBatch, hashes: list[bytes]) -> Iterator[DocumentRow]:
    """Yield the documents of which `_chunks` has made the hashes."""
    for id, metadata, digest in zip(batch.ids, batch.all_metadata, hashes, strict=True):
        yield DocumentRow(id, None, None, digest, metadata)


def _upsert(database: Database, tables: Tables, rows: _Rows, view: View | None) -> UpsertResult:
    result = UpsertResult()
    for attempt in range(_MOST_PLANS):
        # Documents that another writer got to first are locked the next time, so that it ends.
        lock = attempt > 0
        plan, overtaken = database.run(
            lambda connection, rows=rows, lock=lock: _plan_and_write(connection, tables, rows, view, lock=lock)  # type: ignore[misc] # binds the loop's values
        )
        written = plan.without(overtaken)
        result += UpsertResult(
            inserted=len(written.new),
            updated=len(written.changed),
            unchanged=len(rows.documents) - len(plan.new) - len(plan.changed),
            chunks=len(written.new_chunks) + len(written.changed_chunks),
        )
        if not overtaken:
            return result
        rows = rows.only(overtaken)
    raise TransactionConflict("other writers keep changing the same documents; try again when they are done")


def _plan_and_write(
    connection: PsycopgConnection, tables: Tables, rows: _Rows, view: View | None, *, lock: bool
) -> tuple[WritePlan, set[str]]:
    """Make a plan and carry it out, with what is stored locked or not; also return which ids were overtaken."""
    within = None if view is None else view.where
    with connection.transaction() if lock else nullcontext():
        states = repository.classify_documents(connection, tables, rows.documents, lock=lock, within=within)
        if view is not None:
            refuse_outside(id for id, state in states.items() if state.outside)
        plan = _plan(states, rows)
        return plan, repository.write_documents(connection, tables, plan, within=within)


def _plan(states: Mapping[str, DocumentState], rows: _Rows) -> WritePlan:
    plan = WritePlan()
    for document, chunk in zip(rows.documents, rows.chunks, strict=True):
        state = states.get(document.id)
        if state is None:
            plan.new.append(document)
            plan.new_chunks.append(chunk)
        elif not (state.same_content and state.same_attributes):
            plan.changed.append(document)
            plan.expected[document.id] = state.content_hash
            if state.same_content:
                plan.metadata_only[document.id] = document.metadata
            else:
                plan.changed_chunks.append(chunk)
                plan.chunk_counts[document.id] = 1
    return plan
