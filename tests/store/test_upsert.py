"""Upsert: what is written, what is embedded, what is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NewCollection
from tests.store.support import PARAGRAPHS, chunk_rows, rows, text_of
from tests.support import STORABLE_TEXT, HashedEmbedder
from vectordb import Collection, Document, UpsertResult, VectorDB, repository
from vectordb.errors import DuplicateDocument, EmbeddingError, InvalidInput, InvalidMetadata, InvalidText, InvalidVector

TEXT = text_of(*PARAGRAPHS)


def contents(docs: Collection) -> dict[str, str]:
    return {str(document.id): document.content for document in docs.scan()}


def test_twice_is_once(docs: Collection, embedder: HashedEmbedder) -> None:
    documents: list[Document | dict[str, Any]] = [
        Document(TEXT, "a", title="Animals", metadata={"n": 1}),
        Document("Trains.", "b"),
        {"content": "", "id": "c"},
    ]
    assert docs.upsert(documents) == UpsertResult(inserted=3, chunks=5, embedded=5)
    assert docs.upsert(documents) == UpsertResult(unchanged=3)
    assert len(embedder.seen) == 5


def test_a_changed_document_is_embedded_where_it_changed(
    docs: Collection, embedder: HashedEmbedder, home: VectorDB
) -> None:
    docs.upsert(Document(TEXT, "a"))
    before = chunk_rows(home, docs, "a")
    embedder.seen.clear()
    changed = text_of(PARAGRAPHS[0], PARAGRAPHS[1], "Owls hoot at dusk.", PARAGRAPHS[3])
    assert docs.upsert(Document(changed, "a")) == UpsertResult(updated=1, chunks=1, embedded=1)
    assert embedder.seen == ["Owls hoot at dusk.\n\n"]
    after = chunk_rows(home, docs, "a")
    assert [after[n] == before[n] for n in range(2)] == [True, True], "rows before the change were written again"
    assert docs.get("a").content == changed


def test_chunks_that_only_move_within_the_text_keep_their_vector(
    docs: Collection, embedder: HashedEmbedder, home: VectorDB
) -> None:
    docs.upsert(Document(TEXT, "a"))
    before = docs.vectors("a")["a"]
    embedder.seen.clear()
    longer = text_of("Ants march over the hill.", *PARAGRAPHS)
    assert docs.upsert(Document(longer, "a")) == UpsertResult(updated=1, chunks=5, embedded=1)
    assert embedder.seen == ["Ants march over the hill.\n\n"]
    assert np.array_equal(docs.vectors("a")["a"][1:], before)
    assert docs.get("a").content == longer


def test_a_shorter_document_leaves_no_orphans(docs: Collection, embedder: HashedEmbedder, home: VectorDB) -> None:
    docs.upsert(Document(TEXT, "a"))
    before = chunk_rows(home, docs, "a")
    embedder.seen.clear()
    shorter = text_of(*PARAGRAPHS[:2]) + "\n\n"
    assert docs.upsert(Document(shorter, "a")) == UpsertResult(updated=1)
    assert embedder.seen == []
    assert chunk_rows(home, docs, "a") == {0: before[0], 1: before[1]}
    assert docs.upsert(Document("", "a")) == UpsertResult(updated=1)
    assert chunk_rows(home, docs, "a") == {}
    assert docs.get("a").content == ""


def test_metadata_alone_leaves_vectors_alone(docs: Collection, embedder: HashedEmbedder, home: VectorDB) -> None:
    docs.upsert(Document(TEXT, "a", metadata={"year": 2020}))
    vectors, before = docs.vectors("a")["a"], chunk_rows(home, docs, "a")
    embedder.seen.clear()
    assert docs.upsert(Document(TEXT, "a", metadata={"year": 2021})) == UpsertResult(updated=1)
    assert embedder.seen == []
    assert np.array_equal(docs.vectors("a")["a"], vectors)
    assert docs.get("a").metadata == {"year": 2021}
    assert {hit.metadata["year"] for hit in docs.search("cats", limit=10)} == {2021}
    assert chunk_rows(home, docs, "a").keys() == before.keys()


def test_title_and_uri_alone_write_no_chunk(docs: Collection, embedder: HashedEmbedder, home: VectorDB) -> None:
    docs.upsert(Document(TEXT, "a"))
    before = chunk_rows(home, docs, "a")
    embedder.seen.clear()
    assert docs.upsert(Document(TEXT, "a", title="Animals", uri="file:a")) == UpsertResult(updated=1)
    assert (docs.get("a").title, docs.get("a").uri) == ("Animals", "file:a")
    assert chunk_rows(home, docs, "a") == before
    assert embedder.seen == []


def test_text_and_metadata_at_once(docs: Collection, embedder: HashedEmbedder) -> None:
    docs.upsert(Document(TEXT, "a", metadata={"year": 2020}))
    docs.upsert(Document(text_of(*PARAGRAPHS[:3], "Owls hoot at dusk, not at dawn."), "a", metadata={"year": 2021}))
    found = docs.search("cats", limit=10)
    assert len(found) == 4
    assert {hit.metadata["year"] for hit in found} == {2021}


def test_equal_texts_are_embedded_once(docs: Collection, embedder: HashedEmbedder) -> None:
    assert docs.upsert([Document("Cats purr.", n) for n in range(5)]) == UpsertResult(inserted=5, chunks=5, embedded=1)
    assert embedder.seen == ["Cats purr."]
    assert len({vector.tobytes() for vector in docs.vectors(range(5)).values()}) == 1


def test_when_a_document_was_written(docs: Collection, home: VectorDB) -> None:
    table = docs.Document.__table__

    def times() -> tuple[Any, Any]:
        [found] = rows(home, f"SELECT created_at, updated_at FROM {table.schema}.{table.name}")
        return found[0], found[1]

    docs.upsert(Document("One.", "a"))
    created, updated = times()
    assert created == updated
    docs.upsert(Document("One.", "a"))
    assert times() == (created, updated)
    docs.upsert(Document("Two.", "a"))
    assert times()[0] == created
    assert times()[1] > updated


def test_an_embedding_of_ones_own(docs: Collection, embedder: HashedEmbedder) -> None:
    vector = np.arange(1, 17, dtype=np.float32)
    assert docs.upsert(Document(TEXT, "a", embedding=vector)) == UpsertResult(inserted=1, chunks=1)
    assert embedder.seen == []
    assert np.array_equal(docs.vectors("a")["a"], [vector])
    assert docs.get("a").content == TEXT
    assert docs.upsert(Document(TEXT, "a", embedding=vector.tolist())) == UpsertResult(unchanged=1)
    assert docs.upsert(Document(TEXT, "a", embedding=vector + 1)) == UpsertResult(updated=1, chunks=1)
    assert np.array_equal(docs.vectors("a")["a"], [vector + 1])
    assert docs.upsert(Document(TEXT, "a")) == UpsertResult(updated=1, chunks=4, embedded=4)
    assert docs.upsert(Document(TEXT, "a", embedding=vector)) == UpsertResult(updated=1, chunks=1)
    assert len(docs.vectors("a")["a"]) == 1


def test_an_embedding_for_an_empty_text(docs: Collection) -> None:
    docs.upsert(Document("", "a", embedding=np.ones(16)))
    assert [hit.document_id for hit in docs.search(np.ones(16))] == ["a"]


def test_ids_of_every_kind(docs: Collection) -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    docs.upsert([Document("One.", 1), Document("Two.", uuid), {"id": "three", "content": "Three."}])
    assert docs.get(1).content == docs.get("1").content == "One."
    assert docs.get(uuid).id == str(uuid)
    with pytest.raises(DuplicateDocument):
        docs.upsert([Document("a", 1), Document("b", "1")])


def test_texts_without_ids(docs: Collection) -> None:
    assert docs.upsert(["Cats purr.", "Dogs bark."]) == UpsertResult(inserted=2, chunks=2, embedded=2)
    assert docs.upsert("Cats purr.") == UpsertResult(unchanged=1)
    assert docs.upsert(Document("Cats purr.", title="Cats")) == UpsertResult(inserted=1, chunks=1, embedded=1)
    assert docs.count() == 3
    assert all(UUID(id).version == 8 for id in contents(docs))


@pytest.mark.parametrize(
    "documents",
    [
        [Document("a", "x"), Document("b", "x")],
        [{"content": "a", "id": 7}, Document("a", "7")],
        ["same text", "same text"],
    ],
)
def test_the_same_id_twice(docs: Collection, embedder: HashedEmbedder, documents: Any) -> None:
    with pytest.raises(DuplicateDocument, match=r"document 1: .* occurs twice in one call") as caught:
        docs.upsert(documents)
    assert caught.value.facts["document"] == 1
    assert docs.count() == 0
    assert embedder.seen == []


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("NUL \x00", InvalidText),
        ("surrogate \ud800", InvalidText),
        (Document("text", ""), InvalidText),
        (Document("text", "é" * 257), InvalidText),
        (Document("text", 10**600), InvalidText),
        (Document("text", "a\x00"), InvalidText),
        (Document("text", 1.5), InvalidText),  # type: ignore[arg-type] # a mistake
        (Document("text", title="t" * 5_000), InvalidText),
        (Document("text", title=b"title"), InvalidText),  # type: ignore[arg-type] # a mistake
        (Document("text", uri="\x00"), InvalidText),
        (Document(b"text"), InvalidText),  # type: ignore[arg-type] # a mistake
        (Document("text", metadata={"a": float("nan")}), InvalidMetadata),
        (Document("text", metadata={"a": {1, 2}}), InvalidMetadata),
        (Document("text", metadata={"a": json.loads("[" * 500 + "]" * 500)}), InvalidMetadata),
        (Document("text", metadata={"a": "\x00"}), InvalidMetadata),
        (Document("text", metadata={"\ud800": 1}), InvalidMetadata),
        (Document("text", metadata="{}"), InvalidMetadata),  # type: ignore[arg-type] # a mistake
        (Document("text", embedding=[1.0] * 15), InvalidVector),
        (Document("text", embedding=[float("nan")] * 16), InvalidVector),
        (Document("text", embedding=[0.0] * 16), InvalidVector),
        (Document("text", embedding="vector"), InvalidVector),
        ({"id": "a"}, InvalidInput),
        ({"text": "a"}, InvalidInput),
        ({"content": "a", "year": 2020}, InvalidInput),
        ({"content": None}, InvalidInput),
        ({}, InvalidInput),
        (None, InvalidInput),
        (3, InvalidInput),
        (["nested"], InvalidInput),
        (b"bytes", InvalidInput),
    ],
    ids=lambda value: ascii(value)[:50],
)
def test_one_bad_document_among_many_leaves_nothing(
    docs: Collection, embedder: HashedEmbedder, bad: Any, error: type[InvalidInput]
) -> None:
    documents = [Document(f"Text {n}.", n) for n in range(2_000)]
    with pytest.raises(error, match="document 1999: ") as caught:
        docs.upsert([*documents[:1_999], bad], batch_size=100)
    assert caught.value.facts["document"] == 1_999
    assert docs.count() == 0
    assert embedder.seen == []
    assert docs.upsert(documents[0]).inserted == 1


@pytest.mark.parametrize("documents", [None, 3, 1.5, object()])
def test_what_is_no_document(docs: Collection, documents: Any) -> None:
    with pytest.raises(InvalidInput, match="documents are str, Document or mappings"):
        docs.upsert(documents)


@pytest.mark.parametrize("documents", [[], (), iter([]), {}.values()])
def test_no_documents(docs: Collection, documents: Any) -> None:
    assert docs.upsert(documents) == UpsertResult()


@pytest.mark.parametrize("batch_size", [0, -1, 10_001, 1.0, "10", None, True])
def test_batch_size(docs: Collection, batch_size: Any) -> None:
    with pytest.raises(InvalidInput, match="batch_size is a whole number from 1 to 10000"):
        docs.upsert("text", batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 3, 10, 10_000])
def test_batches_change_nothing(docs: Collection, batch_size: int) -> None:
    documents = [Document(f"Text number {n}.", n) for n in range(10)]
    assert docs.upsert(documents, batch_size=batch_size) == UpsertResult(inserted=10, chunks=10, embedded=10)
    assert contents(docs) == {str(n): f"Text number {n}." for n in range(10)}


def test_an_iterator_is_taken_batch_by_batch(docs: Collection) -> None:
    stored: list[int] = []

    def documents() -> Iterator[Document]:
        for n in range(7):
            if n in (3, 6):
                stored.append(docs.count())
            yield Document(f"Text {n}.", n)
        yield Document("bad \x00", 7)

    with pytest.raises(InvalidText, match="document 7: "):
        docs.upsert(documents(), batch_size=3)
    assert stored == [3, 6]
    assert docs.count() == 6, "batches before the bad one are stored, as documented"


def test_the_same_id_in_two_batches_of_an_iterator(docs: Collection) -> None:
    pair = [Document("One.", "a"), Document("Two.", "a")]
    assert docs.upsert(iter(pair), batch_size=1) == UpsertResult(inserted=1, updated=1, chunks=2, embedded=2)
    assert docs.get("a").content == "Two."
    with pytest.raises(DuplicateDocument):
        docs.upsert(iter(pair), batch_size=2)


def test_progress(docs: Collection) -> None:
    docs.upsert([Document(f"Text {n}.", n) for n in range(4)])
    calls: list[tuple[int, int]] = []
    documents = [Document(f"Text {n}.", n) for n in range(10)]
    docs.upsert(documents, batch_size=5, on_progress=lambda done, known: calls.append((done, known)))
    assert calls == [(0, 1), (1, 1), (1, 6), (6, 6)]
    calls.clear()
    docs.upsert(documents, on_progress=lambda done, known: calls.append((done, known)))
    assert calls == []


def test_a_failing_embedder_leaves_earlier_batches(new_collection: NewCollection) -> None:
    def embed(texts: list[str]) -> Any:
        if "bad" in texts:
            raise RuntimeError("the service is down")
        return [[1.0, 2.0]] * len(texts)

    docs = new_collection(embedder=embed)
    with pytest.raises(EmbeddingError):
        docs.upsert([Document("good", 1), Document("fine", 2), Document("bad", 3)], batch_size=1)
    assert docs.count() == 2
    assert docs.upsert(Document("good", 3)).inserted == 1


def test_a_failing_progress_function_writes_nothing(docs: Collection) -> None:
    def fail(done: int, known: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        docs.upsert("text", on_progress=fail)
    assert docs.count() == 0
    assert docs.upsert("text").inserted == 1


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STORABLE_TEXT | st.text("ab \n\t\r\u2029.", max_size=120), max_size=8))
def test_texts_come_back_exactly(docs: Collection, texts: list[str]) -> None:
    docs.upsert([Document(text, n) for n, text in enumerate(texts)])
    blank_are_empty = [text if text.strip() else "" for text in texts]
    assert [document.content for document in docs.get(range(len(texts)))] == blank_are_empty


@pytest.mark.parametrize(
    "content",
    [
        "a\r\nb\rc\n",
        "\ufeffbyte order mark",
        "e\u0301 and \u00e9",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u202eright to left",
        "\x01\x02\x1b[31mred\x7f",
        "'; DROP TABLE canary; --",
        "%s %(id)s {} $1 \\ \\x00 \\u0000",
        "\\.",
        "\ufffe\uffff\U0010ffff",
        "ab" * 10_000,
        "\n\n\n leading and trailing \n\n\n",
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_hostile_texts_come_back_exactly(docs: Collection, content: str) -> None:
    document = Document(content, content[:20], title=content[:50], uri=content[:50], metadata={content[:9]: [content]})
    docs.upsert(document)
    assert docs.get(content[:20]) == document
    assert docs.upsert(document) == UpsertResult(unchanged=1)


@pytest.mark.parametrize("content", ["", " ", "\n", " \t\r\n\u00a0\u2029 ", " " * 200])
def test_blank_documents_are_stored_and_never_found(docs: Collection, embedder: HashedEmbedder, content: str) -> None:
    assert docs.upsert(Document(content, "blank", metadata={"n": 1})) == UpsertResult(inserted=1)
    assert docs.upsert(Document(content, "blank", metadata={"n": 1})) == UpsertResult(unchanged=1)
    assert docs.get("blank").content == "", "as documented"
    assert docs.get("blank").metadata == {"n": 1}
    assert docs.count() == 1
    assert len(docs.search("anything")) == 0
    assert embedder.seen == ["anything"]


@pytest.mark.parametrize("kind", ["words", "hyphenated"])
def test_a_text_of_too_many_words_for_a_tsvector(docs: Collection, kind: str) -> None:
    """PostgreSQL's limit is 1 MB; of a hyphenated word it keeps the whole and the parts."""
    if kind == "words":
        text = " ".join(f"word{n}" for n in range(200_000))
    else:
        words = [chr(0x20000 + n // 200) + chr(0x20000 + n % 200) for n in range(40_000)]
        text = " ".join(f"{one}-{other}" for one, other in zip(words, reversed(words), strict=True))
    docs.upsert(Document(text, "a", embedding=np.ones(16)))
    assert docs.get("a").content == text


def test_a_document_that_changes_there_and_back_while_it_is_read(
    docs: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chunks that are read are those of another version than the one that is replaced."""
    original, other, wanted = ("a" * 40 + "x" * 40, "b" * 40 + "y" * 40, "b" * 40 + "z" * 40)
    docs.upsert(Document(original, "d"))
    read = repository.stored_chunks

    def read_meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(repository, "stored_chunks", read)
        docs.upsert(Document(other, "d"))
        found = read(*arguments)
        docs.upsert(Document(original, "d"))
        return found

    monkeypatch.setattr(repository, "stored_chunks", read_meanwhile)
    docs.upsert(Document(wanted, "d"))
    assert docs.get("d").content == wanted
