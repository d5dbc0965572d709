"""What lies beneath views, patches, facets and streams: the functions that `Collection` calls, called directly."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import NewCollection
from tests.store.support import chunk_rows, rows, text_of
from tests.store.test_concurrency import Interrupted, hammer
from tests.support import HOSTILE_NAMES, HashedEmbedder, hashed_words, metadata
from vectordb import Chunking, Collection, Document, UpsertResult, VectorDB, repository
from vectordb.database import Database
from vectordb.errors import InvalidInput, OutsideView
from vectordb.filters import And, F, Field, Filter
from vectordb.loading import check_batch, load_vectors
from vectordb.tables import Tables
from vectordb.upserting import Upsert, prepare_documents
from vectordb.views import View

CHUNKING = Chunking(size=40, unit="characters")
ACME = View(F("tenant") == "acme", {})
OTHER = View(F("tenant") == "other", {})


class Beneath:
    """The parts of a collection that its methods hand to the functions under test."""

    def __init__(self, docs: Collection) -> None:
        self.docs = docs
        self.database: Database = docs._database
        self.tables: Tables = replace(docs._tables, fields=docs.config.fields)
        self.space = docs.config.space

    def upsert(
        self, documents: Iterable[Any], view: View | None = None, *, embedder: HashedEmbedder | None = None
    ) -> UpsertResult:
        given = embedder or HashedEmbedder()
        call = Upsert(self.database, self.tables, self.space, lambda: given, self.docs._binding.chunker, view=view)
        return call.run(prepare_documents(list(documents), self.space, view=view), 512)

    def load(self, ids: Iterable[Any], number: float, view: View | None = None) -> UpsertResult:
        ids = list(ids)
        batch = check_batch(ids, np.full((len(ids), 16), number, dtype=np.float32), None, None, view=view)
        return load_vectors(self.database, self.tables, self.space, batch, view=view)

    def patch(
        self,
        new: dict[str, Any],
        remove: Iterable[str] = (),
        *,
        ids: list[str] | None = None,
        where: Filter | None = None,
        view: View | None = None,
    ) -> int:
        within = None if view is None else view.where
        return self.database.run(
            lambda connection: repository.update_metadata(
                connection, self.tables, json.dumps(new), list(remove), ids, where, within
            )
        )

    def get(self, *ids: str, where: Filter | None = None) -> dict[str, Document]:
        return self.database.run(lambda connection: repository.get_documents(connection, self.tables, list(ids), where))

    def facets(self, field: Field, where: Filter | None = None, limit: int | None = None) -> list[tuple[Any, int]]:
        return self.database.run(lambda connection: repository.facets(connection, self.tables, field, where, limit))

    def stream(self, where: Filter | None = None, itersize: int = 1000) -> list[Document]:
        with self.database.transaction():
            return self.database.run(
                lambda connection: list(repository.stream_documents(connection, self.tables, where, itersize))
            )

    def everything(self) -> list[tuple[Any, ...]]:
        """All that is stored, and by which transaction it was written."""
        statement = (
            "SELECT d.*, d.xmin::text, c.ordinal, c.content, c.metadata, c.embedding::text, c.xmin::text"
            f" FROM {self.tables.documents} d LEFT JOIN {self.tables.chunks} c ON c.document_id = d.id ORDER BY 1, 9"
        )
        return self.database.run(lambda connection: connection.execute(statement).fetchall())

    def check_consistency(self) -> None:
        """Chunks repeat the metadata of their documents, and their vectors are those of their texts."""
        strange = self.database.run(
            lambda connection: connection.execute(
                f"SELECT c.document_id, c.metadata, d.metadata FROM {self.tables.chunks} c"
                f" JOIN {self.tables.documents} d ON d.id = c.document_id WHERE c.metadata <> d.metadata"
            ).fetchall()
        )
        assert strange == []


@pytest.fixture
def beneath(new_collection: NewCollection) -> Beneath:
    """An empty collection of texts, cut into chunks of at most 40 characters, with vectors of 16 dimensions."""
    return Beneath(new_collection(embedder=HashedEmbedder(), chunking=CHUNKING))


@pytest.fixture
def other_connection(home_url: str) -> Any:
    """A connection beside the library."""
    with psycopg.connect(home_url, autocommit=True) as connection:
        yield connection


# Writing through a view


def test_a_view_writes_what_belongs_to_it(beneath: Beneath) -> None:
    mine = [Document("One.", "1"), Document("Two.", "2", metadata={"n": 2})]
    assert beneath.upsert(mine, ACME) == UpsertResult(inserted=2, chunks=2, embedded=2)
    assert beneath.get("2")["2"].metadata == {"n": 2, "tenant": "acme"}
    changed = [Document("One.", "1"), Document("Two.", "2", metadata={"n": 3}), Document("3", "3")]
    assert beneath.upsert(changed, ACME) == UpsertResult(inserted=1, updated=1, unchanged=1, chunks=1, embedded=1)
    beneath.check_consistency()


def test_a_stored_document_outside_is_never_written_over(beneath: Beneath) -> None:
    theirs = Document("Their secret.", "b", title="Secret", metadata={"tenant": "other", "plan": "secret"})
    beneath.upsert([theirs])
    before = beneath.everything()
    embedder = HashedEmbedder()
    for content in ("Mine.", "Their secret."):
        batch = [Document("New.", "a"), Document(content, "b"), Document("New.", "c")]
        with pytest.raises(OutsideView, match="'b'") as raised:
            beneath.upsert(batch, ACME, embedder=embedder)
        assert raised.value.facts == {"id": "b"}
        assert "ecret" not in str(raised.value)
        assert "tenant" not in str(raised.value)
    assert beneath.everything() == before, "nothing of the batch is written"
    assert embedder.seen == [], "and no text was embedded for it"


def test_a_view_over_the_title(beneath: Beneath) -> None:
    view = View(F("title") == "T", {})
    beneath.upsert([Document("x", "a", title="T"), Document("y", "b", title="U")])
    assert beneath.upsert([Document("z", "a", title="T")], view).updated == 1
    with pytest.raises(OutsideView):
        beneath.upsert([Document("z", "b", title="T")], view)


def test_no_lock_is_kept_on_what_is_outside(beneath: Beneath, other_connection: psycopg.Connection) -> None:
    beneath.upsert([Document("x", "a")], OTHER)
    with beneath.database.transaction():
        with pytest.raises(OutsideView):
            beneath.upsert([Document("y", "a")], ACME)
        with pytest.raises(OutsideView):
            beneath.load(["a"], 1, ACME)
        statement = f"SELECT id FROM {beneath.tables.documents} FOR UPDATE NOWAIT"
        assert other_connection.execute(statement).fetchall() == [("a",)]


MOVED: dict[str, tuple[Document | None, Callable[[Beneath], object]]] = {
    "they insert outside": (None, lambda beneath: beneath.upsert([Document("Theirs.", "m")], OTHER)),
    "metadata moves it out": (
        Document("Ours.", "m", metadata={"tenant": "acme"}),
        lambda beneath: beneath.patch({"tenant": "other"}, ids=["m"]),
    ),
    "new text moves it out": (
        Document("Ours.", "m", metadata={"tenant": "acme"}),
        lambda beneath: beneath.upsert([Document("Theirs.", "m", metadata={"tenant": "other"})]),
    ),
    "deleted, inserted outside": (
        Document("Ours.", "m", metadata={"tenant": "acme"}),
        lambda beneath: (beneath.docs.delete("m"), beneath.upsert([Document("Ours.", "m")], OTHER)),
    ),
}


@pytest.mark.parametrize("count", [1, 100], ids=["by insert", "by copy"])
@pytest.mark.parametrize("case", MOVED)
def test_moved_out_between_reading_and_writing(beneath: Beneath, case: str, count: int) -> None:
    before, happens = MOVED[case]
    if before is not None:
        beneath.upsert([before])
    stored: list[Any] = []

    def interrupt() -> None:
        happens(beneath)
        stored.extend(beneath.everything())

    embedder = Interrupted(interrupt)
    others = [Document(f"Other {n}.", f"o{n}") for n in range(count)]
    with pytest.raises(OutsideView, match="'m'"):
        beneath.upsert([*others, Document("Ours, anew.", "m")], ACME, embedder=embedder)
    assert beneath.everything() == stored, "not one document of the batch is written"


def test_a_writer_waits_for_another_that_moves_it_out(beneath: Beneath, other_connection: psycopg.Connection) -> None:
    """What is stored is still inside when it is read, and when the writer's own statement begins."""
    beneath.upsert([Document("Ours.", "m")], ACME)
    for write in (lambda: beneath.upsert([Document("Ours, anew.", "m")], ACME), lambda: beneath.load(["m"], 1, ACME)):
        with ThreadPoolExecutor(1) as pool:
            with beneath.database.transaction():
                beneath.patch({"tenant": "other"}, ids=["m"])
                waiting = pool.submit(write)
                _wait_for_a_lock(other_connection)
            with pytest.raises(OutsideView, match="'m'"):
                waiting.result()
        assert beneath.get("m")["m"].content == "Ours."
        beneath.patch({"tenant": "acme"}, ids=["m"])


def test_metadata_alone_is_not_written_over_what_moved_out(beneath: Beneath) -> None:
    """Nothing but the tenant changes: the content hash, by which writers notice each other, stays the same."""
    beneath.upsert([Document("Ours.", "m", metadata={"tenant": "acme"})])

    def interrupt() -> None:
        beneath.patch({"tenant": "other"}, ids=["m"])

    embedder = Interrupted(interrupt)
    changed = [Document("Ours.", "m", metadata={"n": 1}), Document("To be embedded.", "n")]
    with pytest.raises(OutsideView):
        beneath.upsert(changed, ACME, embedder=embedder)
    assert {id: dict(document.metadata) for id, document in beneath.get("m", "n").items()} == {"m": {"tenant": "other"}}


@pytest.mark.parametrize("count", [1, 100], ids=["by insert", "by copy"])
def test_overtaken_within_the_view(beneath: Beneath, count: int) -> None:
    """Nothing is written at first, then all of it; the counts are those of a single write."""
    beneath.upsert([Document("Same.", "same")], ACME)

    def interrupt() -> None:
        beneath.upsert([Document("Theirs.", "m")], ACME)

    embedder = Interrupted(interrupt)
    others = [Document(f"Other {n}.", f"o{n}") for n in range(count)]
    batch = [Document("Same.", "same"), *others, Document("Ours.", "m")]
    result = beneath.upsert(batch, ACME, embedder=embedder)
    assert result == UpsertResult(inserted=count, updated=1, unchanged=1, chunks=count + 1, embedded=count + 1)
    assert beneath.get("m")["m"].content == "Ours."
    assert len(beneath.get(*(f"o{n}" for n in range(count)))) == count


def test_two_tenants_insert_the_same_ids_at_once(beneath: Beneath) -> None:
    """For every round one of the two has all of the documents, and the other an error."""
    start = threading.Barrier(2)

    def write(view: View, round_number: int) -> str | None:
        start.wait()
        try:
            beneath.upsert([Document(f"{n}", f"{round_number} {n}") for n in range(80)], view)
        except OutsideView:
            return None
        return str(view.where.to_dict()["tenant"])

    with ThreadPoolExecutor(2) as pool:
        for number in range(5):
            won = [name for name in pool.map(write, [ACME, OTHER], [number] * 2) if name is not None]
            tenants = Counter(
                document.metadata["tenant"] for document in beneath.get(*(f"{number} {n}" for n in range(80))).values()
            )
            assert tenants == {won[0]: 80}
            assert len(won) == 1


@pytest.mark.parametrize("count", [3, 100], ids=["by insert", "by copy"])
@pytest.mark.parametrize("empty", [True, False], ids=["into an empty collection", "beside others"])
def test_vectors_in_a_view(beneath: Beneath, count: int, *, empty: bool) -> None:
    if not empty:
        beneath.load(["z"], 1, OTHER)
    ids = [f"{n:03}" for n in range(count)]
    assert beneath.load(ids, 1, ACME) == UpsertResult(inserted=count, chunks=count)
    assert beneath.load(ids, 2, ACME) == UpsertResult(updated=count, chunks=count)
    assert beneath.load(ids, 2, ACME) == UpsertResult(unchanged=count)
    beneath.load(["x"], 1, OTHER)
    before = beneath.everything()
    with pytest.raises(OutsideView, match="'x'"):
        beneath.load([*ids, "new", "x"], 3, ACME)
    assert beneath.everything() == before


def test_vectors_into_a_collection_that_another_tenant_fills_first(
    beneath: Beneath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bulk copy into an empty collection: found empty, and then it is not."""
    is_empty = repository.is_empty

    def overtaken(connection: Any, tables: Tables) -> bool:
        assert is_empty(connection, tables)
        monkeypatch.setattr(repository, "is_empty", is_empty)
        beneath.load(["b"], 1, OTHER)
        return True

    monkeypatch.setattr(repository, "is_empty", overtaken)
    with pytest.raises(OutsideView, match="'b'"):
        beneath.load(["a", "b", "c"], 2, ACME)
    assert [document.id for document in beneath.stream()] == ["b"]


@pytest.mark.parametrize("how", ["inserted", "moved"])
@pytest.mark.parametrize("count", [3, 100], ids=["by insert", "by copy"])
def test_vectors_moved_out_between_reading_and_writing(
    beneath: Beneath, monkeypatch: pytest.MonkeyPatch, how: str, count: int
) -> None:
    beneath.load(["m"] if how == "moved" else ["other"], 1, ACME)
    classify = repository.classify_documents

    def overtaken(*arguments: Any, **options: Any) -> Any:
        states = classify(*arguments, **options)
        monkeypatch.setattr(repository, "classify_documents", classify)
        if how == "moved":
            beneath.patch({"tenant": "other"}, ids=["m"])
        else:
            beneath.load(["m"], 1, OTHER)
        return states

    monkeypatch.setattr(repository, "classify_documents", overtaken)
    with pytest.raises(OutsideView, match="'m'"):
        beneath.load([*(f"{n:03}" for n in range(count)), "m"], 2, ACME)
    assert [document.id for document in beneath.stream()] == (["m"] if how == "moved" else ["m", "other"])
    assert beneath.get("m")["m"].metadata == {"tenant": "other"}


# Patches


def test_patch(beneath: Beneath, home: VectorDB) -> None:
    two = text_of("Cats purr when they are content.", "Dogs bark at strangers at night.")
    beneath.upsert([Document(two, id, metadata={"a": 1, "b": {"c": [1]}, "d": None}) for id in ("1", "2", "3")])
    vectors, chunks = beneath.docs.vectors(["1", "2", "3"]), chunk_rows(home, beneath.docs, "3")
    assert beneath.patch({"b": 2, "e": "x"}, ["a", "missing"], ids=["1", "2"]) == 2
    expected = {"b": 2, "d": None, "e": "x"}
    assert [dict(document.metadata) for document in beneath.get("1", "2").values()] == [expected] * 2
    assert beneath.get("3")["3"].metadata == {"a": 1, "b": {"c": [1]}, "d": None}
    assert chunk_rows(home, beneath.docs, "3") == chunks
    beneath.check_consistency()
    assert beneath.get("1")["1"].content == two
    after = beneath.docs.vectors(["1", "2", "3"])
    assert all(np.array_equal(after[id], vectors[id]) for id in vectors)


def test_a_patch_writes_only_what_changes(beneath: Beneath, home: VectorDB) -> None:
    beneath.upsert([Document("One.", "1", metadata={"a": 1}), Document("Two.", "2", metadata={"a": 2})])
    before = rows(home, f"SELECT id, xmin::text, updated_at FROM {beneath.tables.documents} ORDER BY id")
    assert beneath.patch({"a": 1}, ["b"]) == 1
    after = rows(home, f"SELECT id, xmin::text, updated_at FROM {beneath.tables.documents} ORDER BY id")
    assert after[0] == before[0]
    assert after[1][1] != before[1][1]
    assert after[1][2] > before[1][2]
    assert beneath.patch({"a": 1}) == 0
    assert beneath.patch({"a": 3}, ids=[]) == 0
    assert beneath.patch({"a": 3}, ids=["1", "missing"], where=F("a") == 2) == 0
    assert beneath.patch({"a": 3}, ids=["1", "1"], where=F("a") == 1) == 1


def test_set_wins_over_remove(beneath: Beneath) -> None:
    beneath.upsert([Document("One.", "1", metadata={"a": 1})])
    assert beneath.patch({"a": 2}, ["a"]) == 1
    assert beneath.get("1")["1"].metadata == {"a": 2}


def test_a_patch_is_confined_to_the_view(beneath: Beneath) -> None:
    beneath.upsert([Document("One.", "1"), Document("Two.", "2")], ACME)
    beneath.upsert([Document("Three.", "3")], OTHER)
    assert beneath.patch({"a": 1}, view=ACME) == 2
    assert beneath.patch({"a": 2}, ids=["1", "3"], where=F("a").exists() | ~F("a").exists(), view=ACME) == 1
    assert [document.metadata.get("a") for document in beneath.stream()] == [2, 1, None]


@pytest.mark.parametrize(("new", "remove"), [({"tenant": "other"}, []), ({"a": 1}, ["tenant"]), ({"tenant": None}, [])])
def test_a_patch_that_leaves_the_view_changes_nothing(beneath: Beneath, new: dict[str, Any], remove: list[str]) -> None:
    beneath.upsert([Document("One.", "1"), Document("Two.", "2")], ACME)
    before = beneath.everything()
    for ids in (None, ["2"]):
        with pytest.raises(OutsideView) as raised:
            beneath.patch(new, remove, ids=ids, view=ACME)
        assert raised.value.facts["id"] in {"1", "2"}
    with beneath.database.transaction():
        with pytest.raises(OutsideView):
            beneath.patch(new, remove, view=ACME)
        assert beneath.patch({"b": 1}, ids=["none"]) == 0, "the caller's transaction goes on"
    assert beneath.everything() == before


def test_some_leave_the_view_and_some_do_not(beneath: Beneath) -> None:
    view = View((F("tenant") == "acme") | (F("shared") == True), {})  # noqa: E712 - builds a filter
    beneath.upsert([Document("One.", "1", metadata={"tenant": "acme", "shared": True})])
    beneath.upsert([Document("Two.", "2", metadata={"tenant": "acme"})])
    with pytest.raises(OutsideView, match="'2'"):
        beneath.patch({"tenant": "other"}, view=view)
    assert beneath.patch({"tenant": "other"}, ids=["1"], view=view) == 1


@given(metadata(), metadata(), st.lists(st.sampled_from(HOSTILE_NAMES), max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_patch_of_hostile_keys(
    beneath: Beneath, before: dict[str, Any], new: dict[str, Any], remove: list[str]
) -> None:
    beneath.upsert([Document("Text.", "1", metadata=before)])
    expected = {key: value for key, value in before.items() if key not in remove} | new
    changed = beneath.patch(new, remove)
    assert _exact(beneath.get("1")["1"].metadata) == _exact(expected)
    assert changed == (_exact(before) != _exact(expected))
    beneath.check_consistency()


def _exact(value: Any) -> Any:
    """Return JSON with numbers as PostgreSQL knows them, and true apart from 1."""
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false", bool
    return Decimal(repr(value)) if isinstance(value, (int, float)) else value


def test_a_patch_waits_for_a_writer_of_other_chunks(beneath: Beneath, other_connection: psycopg.Connection) -> None:
    """The writer's chunks are new rows, which a statement begun before its end does not see."""
    beneath.upsert([Document("Old text.", "1", metadata={"a": 1})])
    with ThreadPoolExecutor(1) as pool:
        with beneath.database.transaction():
            beneath.upsert([Document(text_of("New text, the first paragraph of all.", "And one more."), "1")])
            waiting = pool.submit(beneath.patch, {"b": 2}, where=~(F("a") == 2))
            _wait_for_a_lock(other_connection)
        assert waiting.result() == 1
    assert beneath.get("1")["1"].metadata == {"b": 2}
    beneath.check_consistency()


def test_a_patch_of_what_stops_to_match_while_it_waits(beneath: Beneath, other_connection: psycopg.Connection) -> None:
    beneath.upsert([Document("Text.", "1"), Document("Text.", "2")], ACME)
    with ThreadPoolExecutor(1) as pool:
        with beneath.database.transaction():
            beneath.patch({"tenant": "other"}, ids=["1"])
            waiting = pool.submit(beneath.patch, {"b": 2}, view=ACME)
            _wait_for_a_lock(other_connection)
        assert waiting.result() == 1
    assert [dict(document.metadata) for document in beneath.stream()] == [
        {"tenant": "other"},
        {"tenant": "acme", "b": 2},
    ]


def test_a_patch_locks_by_id(beneath: Beneath, other_connection: psycopg.Connection) -> None:
    """Like every writer; waiting for the first, it holds no other document that somebody could wait for."""
    for id in ("3", "2", "1"):
        beneath.upsert([Document("Text.", id)])
    lock = f"SELECT id FROM {beneath.tables.documents} WHERE id = %s FOR UPDATE NOWAIT"
    with ThreadPoolExecutor(1) as pool:
        with beneath.database.transaction():
            beneath.patch({"a": 1}, ids=["1"])
            waiting = pool.submit(beneath.patch, {"b": 2}, ids=["3", "1", "2"])
            _wait_for_a_lock(other_connection)
            assert [other_connection.execute(lock, [id]).fetchone() for id in ("2", "3")] == [("2",), ("3",)]
        assert waiting.result() == 3


def _wait_for_a_lock(connection: psycopg.Connection) -> None:
    """Wait until a session of this database waits for another."""
    statement = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(2_000):
        if connection.execute(statement).fetchone() is not None:
            return
        connection.execute("SELECT pg_sleep(0.005)")
    pytest.fail("nobody waits")


def test_patches_and_upserts_of_the_same_documents_at_once(beneath: Beneath) -> None:
    """No deadlock, and chunks and documents agree in the end."""
    everybody = [f"{n}" for n in range(30)]
    rounds = Counter[int]()

    def write(writer: int, dice: Any) -> None:
        ids = dice.sample(everybody, 15)
        rounds[writer] += 1
        name = f"{writer} {rounds[writer]}"
        if writer % 2:
            beneath.patch({f"w{writer}": rounds[writer]}, [f"w{writer - 2}"], ids=ids)
        else:
            paragraphs = [f"{name}, paragraph {n} of some more." for n in range(dice.randint(1, 3))]
            beneath.upsert([Document(text_of(*paragraphs), id, metadata={"name": name}) for id in ids])

    beneath.upsert([Document("Text.", id) for id in everybody])
    hammer(write, 1.5)
    beneath.check_consistency()


# Reading


def test_get_and_vectors_of_what_matches(beneath: Beneath) -> None:
    beneath.upsert([Document(text_of("One is long enough to be a chunk.", "And two is another one."), "1")], ACME)
    beneath.upsert([Document("Three.", "3", title="T")], OTHER)
    assert list(beneath.get("1", "3")) == ["1", "3"]
    assert list(beneath.get("1", "3", where=ACME.where)) == ["1"]
    assert list(beneath.get("1", "3", where=F("title") == "T")) == ["3"]
    for where, expected in ((None, ["1", "3"]), (ACME.where, ["1"]), (F("title") == "T", ["3"]), (F("id") > "3", [])):
        found = beneath.database.run(
            lambda connection, where=where: repository.get_vectors(  # type: ignore[misc] # binds the loop's value
                connection, beneath.tables, ["3", "1"], beneath.space, where=where
            )
        )
        assert list(found) == expected
        if "3" in found:
            assert np.array_equal(found["3"], hashed_words(["Three."]))


def test_facets(beneath: Beneath) -> None:
    values = ["10", 10, 10.0, True, 1, False, "a", "B", "é", None, {"x": 1}, ["a", "a", 10], [["a"], None, True], []]
    beneath.upsert([Document(f"{n}", n, title="T" if n % 2 else None, metadata={"v": v}) for n, v in enumerate(values)])
    beneath.upsert([Document("none", "none")])
    assert _typed(beneath.facets(Field.of("v"))) == [
        (10, 3, "number"),
        (True, 2, "boolean"),
        ("a", 2, "string"),
        (False, 1, "boolean"),
        (1, 1, "number"),
        ("10", 1, "string"),
        ("B", 1, "string"),
        ("é", 1, "string"),
    ]
    assert beneath.facets(Field.of("v"), limit=2) == [(10, 3), (True, 2)]
    assert beneath.facets(Field.of("v"), F("v").in_(["10", "a"])) == [("10", 1), ("a", 1)]
    assert beneath.facets(Field.of("v.x")) == [(1, 1)]
    assert beneath.facets(Field.of("v.0")) == [], "a path leads through objects only"
    assert beneath.facets(Field.of("missing")) == []
    assert beneath.facets(Field.of("title")) == [("T", 7)]
    assert beneath.facets(Field.of('"title"')) == []
    assert beneath.facets(Field.of("uri")) == []
    with pytest.raises(InvalidInput, match="created_at"):
        beneath.facets(Field.of("created_at"))


def test_facets_of_declared_fields(new_collection: NewCollection) -> None:
    kinds = {"lang": str, "year": int, "rating": float, "open": bool, "day": "datetime"}
    beneath = Beneath(new_collection(embedder=HashedEmbedder(), fields=kinds))
    given = {"lang": "é", "year": 3, "rating": 1.5, "open": True, "day": "2020-01-02"}
    assert set(beneath.tables.fields) == set(given)
    beneath.upsert([Document("1", 1, metadata=given), Document("2", 2, metadata=given | {"lang": "Z", "open": None})])
    assert beneath.facets(Field.of("lang")) == [("Z", 1), ("é", 1)]
    assert beneath.facets(Field.of("year")) == [(3, 2)]
    assert [(value, type(value)) for value, _ in beneath.facets(Field.of("rating"))] == [(1.5, float)]
    assert [(value is True, count) for value, count in beneath.facets(Field.of("open"))] == [(True, 1)]
    assert beneath.facets(Field.of("day")) == [("2020-01-02", 2)]


def _typed(facets: list[tuple[Any, int]]) -> list[tuple[Any, int, str]]:
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return [(value, count, names[type(value)]) for value, count in facets]


@given(st.lists(metadata(), max_size=8), st.sampled_from(HOSTILE_NAMES))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_facets_count_as_python_does(beneath: Beneath, given: list[dict[str, Any]], name: str) -> None:
    beneath.database.run(lambda connection: connection.execute(f"TRUNCATE {beneath.tables.documents} CASCADE"))
    beneath.upsert([Document("", n, metadata=entry) for n, entry in enumerate(given)])
    expected = Counter[Any]()
    for entry in given:
        value = entry.get(name)
        elements = value if isinstance(value, list) else [value]
        expected.update({_exact(item) for item in elements if isinstance(item, (bool, int, float, str))})
    found = beneath.facets(Field((name,)))
    assert {_exact(value): count for value, count in found} == expected
    assert [count for _, count in found] == sorted((count for _, count in found), reverse=True)


@pytest.mark.parametrize("itersize", [1, 2, 3, 1000])
def test_stream(beneath: Beneath, itersize: int) -> None:
    given = []
    for n in range(12):
        paragraphs = [f"Paragraph {m} of document {n} in all." for m in range(n % 4)]
        id = "aZé_/"[n % 5] + str(n)
        given.append(Document(text_of(*paragraphs), id, title=f"T{n}", metadata={"n": n}))
    beneath.upsert(given)
    given.sort(key=lambda document: str(document.id).encode())
    assert beneath.stream(itersize=itersize) == given
    assert beneath.stream(F("n") >= 6, itersize) == [document for document in given if document.metadata["n"] >= 6]
    assert beneath.stream(F("n") == -1, itersize) == []
    assert beneath.stream(F("it's %s %(w0)s") == "'; --%", itersize) == []


def test_a_stream_is_read_bit_by_bit_and_closed(beneath: Beneath) -> None:
    beneath.upsert([Document(f"Text {n}.", f"{n:03}") for n in range(200)])

    def work(connection: Any) -> None:
        def cursors() -> int:
            return len(connection.execute("SELECT FROM pg_cursors").fetchall())

        one = repository.stream_documents(connection, beneath.tables, None, 10)
        two = repository.stream_documents(connection, beneath.tables, F("id") >= "100", 10)
        assert cursors() == 0, "nothing happens before the first is asked for"
        mixed = [(first.id, second.id) for first, second in islice(zip(one, two, strict=True), 50)]
        assert mixed == [(f"{n:03}", f"{n + 100:03}") for n in range(50)]
        assert cursors() == 2
        connection.execute(f"DELETE FROM {beneath.tables.documents}")
        assert next(one).id == "050", "one statement sees one state"
        one.close()
        assert cursors() == 1
        assert len(list(two)) == 50
        assert cursors() == 0

    with beneath.database.transaction():
        beneath.database.run(work)


def test_and_of_nothing_is_everything(beneath: Beneath) -> None:
    beneath.upsert([Document("Text.", "1")])
    assert beneath.stream(And(())) == beneath.stream()
