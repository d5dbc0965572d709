"""Many writers of the same documents at once: no error, and every document of one piece."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import vectordb
from tests.store.conftest import NewCollection
from tests.store.support import rows, text_of
from tests.support import HashedEmbedder, hashed_words
from vectordb import Chunking, Collection, Document, FunctionEmbedder, UpsertResult, VectorDB
from vectordb.errors import EmbedderMismatch

THREADS = 8
SECONDS = 2.0
CHUNKING = Chunking(size=40, unit="characters")


def version(writer: int, round_number: int, id: int) -> Document:
    """A document of one to five chunks that all name their version, as does its metadata."""
    name = f"w{writer}r{round_number}"
    paragraphs = [f"{name} of {id} paragraph {n} of some." for n in range((writer + round_number + id) % 5 + 1)]
    return Document(text_of(*paragraphs), id, title=name, metadata={"version": name})


def hammer(work: Callable[[int, random.Random], None], seconds: float = SECONDS) -> None:
    """Call `work` with the number of the thread, over and over, in eight threads at once."""
    end = time.monotonic() + seconds
    start = threading.Barrier(THREADS)

    def run(writer: int) -> int:
        dice = random.Random(writer)
        start.wait()
        calls = 0
        while time.monotonic() < end:
            work(writer, dice)
            calls += 1
        return calls

    with ThreadPoolExecutor(THREADS) as pool:
        calls = [future.result() for future in [pool.submit(run, writer) for writer in range(THREADS)]]
    assert min(calls) > 0


def check_consistency(db: VectorDB, docs: Collection) -> None:
    """Every chunk belongs to the version that its document has, and no chunk is missing."""
    for document in docs.scan():
        name = document.title
        assert document.metadata == {"version": name}
        assert {paragraph.split()[0] for paragraph in document.content.split("\n\n")} == {name}
    chunks = docs.Chunk.__table__
    documents = docs.Document.__table__
    strange = rows(
        db,
        f"SELECT c.document_id, c.ordinal FROM {chunks} c JOIN {documents} d ON d.id = c.document_id"
        " WHERE c.content NOT LIKE d.title || ' of %' OR c.metadata IS DISTINCT FROM d.metadata",
    )
    assert strange == []
    texts = rows(db, f"SELECT document_id, content FROM {chunks} ORDER BY document_id, ordinal")
    vectors = docs.vectors([id for id, _ in texts])
    assert np.array_equal(np.concatenate(list(vectors.values())), hashed_words([text for _, text in texts]))


@pytest.mark.parametrize("shared", [True, False], ids=["one handle", "a handle each"])
def test_upserts_of_the_same_documents(docs: Collection, home: VectorDB, home_url: str, *, shared: bool) -> None:
    opened = [] if shared else [vectordb.connect(home_url) for _ in range(THREADS)]
    handles = [db.collection(docs.name, embedder=HashedEmbedder()) for db in opened] or [docs] * THREADS
    rounds = [0] * THREADS

    def upsert(writer: int, dice: random.Random) -> None:
        ids = dice.sample(range(60), 50)
        rounds[writer] += 1
        result = handles[writer].upsert([version(writer, rounds[writer], id) for id in ids])
        assert result.inserted + result.updated + result.unchanged == 50

    hammer(upsert)
    check_consistency(home, docs)
    for db in opened:
        db.close()


def test_upserts_and_deletes_of_the_same_documents(docs: Collection, home: VectorDB) -> None:
    rounds = [0] * THREADS

    def write(writer: int, dice: random.Random) -> None:
        ids = dice.sample(range(40), 20)
        rounds[writer] += 1
        if writer % 4 == 0:
            docs.delete(ids)
        elif writer % 4 == 1:
            docs.search(f"paragraph {rounds[writer]}")
            docs.get(ids)
        else:
            docs.upsert([version(writer, rounds[writer], id) for id in ids])

    hammer(write)
    check_consistency(home, docs)


@pytest.mark.parametrize("count", [20, 100], ids=["by insert", "by copy"])
def test_upserts_of_the_same_vectors(new_collection: NewCollection, count: int) -> None:
    docs = new_collection(dimensions=2)
    rounds = [0] * THREADS

    def upsert(writer: int, dice: random.Random) -> None:
        ids = dice.sample(range(2 * count), count)
        rounds[writer] += 1
        content = f"{writer}.{rounds[writer]}"
        result = docs.upsert_vectors(
            ids,
            [[writer + 1, rounds[writer]]] * count,
            contents=[content] * count,
            metadata=[{"version": content}] * count,
        )
        assert result.inserted + result.updated + result.unchanged == count

    hammer(upsert)
    vectors = docs.vectors(range(2 * count))
    for document in docs.scan():
        writer, _, round_number = document.content.partition(".")
        assert document.metadata == {"version": document.content}
        assert vectors[str(document.id)].tolist() == [[int(writer) + 1, int(round_number)]]


def test_vectors_into_an_empty_collection_by_all_at_once(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=2)
    results: list[UpsertResult] = []
    start = threading.Barrier(THREADS)

    def upsert(writer: int) -> None:
        start.wait()
        results.append(docs.upsert_vectors(range(500), [[writer + 1, 1]] * 500))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(upsert, range(THREADS)))
    assert docs.count() == 500
    assert sum(result.inserted for result in results) == 500
    assert {result.inserted + result.updated + result.unchanged for result in results} == {500}
    assert len({vector.tobytes() for vector in docs.vectors(range(500)).values()}) == 1


class Interrupted(HashedEmbedder):
    """An embedder while which something else happens, once."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self.happens: Callable[[], None] | None = happens

    def _embed(self, texts: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        if self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        return super()._embed(texts)


OURS = Document("Ours, the first paragraph.\n\nOurs, the second paragraph.", "a", metadata={"by": "us"})
THEIRS = Document("Theirs, the first of all.\n\nTheirs, the second.\n\nTheirs, the third of them.", "a", title="Theirs")


@pytest.mark.parametrize(
    ("before", "meanwhile", "expected"),
    [
        (None, THEIRS, UpsertResult(updated=1, chunks=2, embedded=2)),
        (None, OURS, UpsertResult(unchanged=1, embedded=2)),
        (Document("Old.", "a"), THEIRS, UpsertResult(updated=1, chunks=2, embedded=2)),
        (Document("Old.", "a"), OURS, UpsertResult(unchanged=1, embedded=2)),
        (Document("Old.", "a"), None, UpsertResult(inserted=1, chunks=2, embedded=2)),
    ],
    ids=["they insert", "they insert the same", "they update", "they update to the same", "they delete"],
)
def test_another_writer_overtakes_between_plan_and_write(
    new_collection: NewCollection,
    home: VectorDB,
    before: Document | None,
    meanwhile: Document | None,
    expected: UpsertResult,
) -> None:
    docs = new_collection(embedder=HashedEmbedder(), chunking=CHUNKING)
    if before is not None:
        docs.upsert(before)

    def overtake() -> None:
        if meanwhile is None:
            docs.delete("a")
        else:
            docs.upsert(meanwhile)

    embedder = Interrupted(overtake)
    ours = home.collection(docs.name, embedder=embedder)
    other = Document("Nobody else writes this.", "b")
    result = ours.upsert([OURS, other])
    assert result == expected + UpsertResult(inserted=1, chunks=1, embedded=1)
    assert docs.get("a") == OURS
    assert docs.get("b") == other
    assert np.array_equal(
        docs.vectors("a")["a"], hashed_words(["Ours, the first paragraph.\n\n", "Ours, the second paragraph."])
    )
    assert len(embedder.seen) == 3, "a new plan does not embed again"


def test_metadata_overtaken_by_new_text(new_collection: NewCollection, home: VectorDB) -> None:
    """Our plan is to change metadata alone; the text changes under it, so the plan has to change."""
    docs = new_collection(embedder=HashedEmbedder(), chunking=CHUNKING)
    docs.upsert(OURS)
    other = Document("Unrelated, to be embedded.", "z")

    def overtake() -> None:
        docs.upsert(THEIRS)

    ours = home.collection(docs.name, embedder=Interrupted(overtake))
    changed = Document(OURS.content, "a", metadata={"by": "us", "again": True})
    assert ours.upsert([changed, other]).updated == 1
    assert docs.get("a") == changed
    assert {hit.content.split(",")[0] for hit in docs.search("ours", where={"by": "us"})} == {"Ours"}


def test_get_or_create_by_all_at_once(home_url: str) -> None:
    databases = [vectordb.connect(home_url) for _ in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda db: db.get_or_create_collection("all_at_once", dimensions=3).name, databases))
    assert made == ["all_at_once"] * THREADS
    for db in databases:
        db.close()


def test_one_embedder_wins_the_collection(new_collection: NewCollection, home: VectorDB) -> None:
    """Two writers with different embedders: the second one is refused, whichever it is."""
    name = new_collection(dimensions=2).name
    start = threading.Barrier(2)

    def write(model: str) -> str:
        docs = home.collection(name, embedder=FunctionEmbedder(lambda texts: [[1, 2]] * len(texts), name=model))
        start.wait()
        try:
            docs.upsert(Document("text", model))
        except EmbedderMismatch:
            return "refused"
        return "written"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(write, ["one", "other"]))
    assert sorted(outcomes) == ["refused", "written"]
    registered = home.collection(name).config.embedder
    assert registered is not None
    assert [document.id for document in home.collection(name).scan()] == [registered.model]
