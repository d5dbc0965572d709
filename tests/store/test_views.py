"""Views: whatever is called on them, and with whatever filter, nothing outside is read, changed or told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tests.store.conftest import NewCollection
from tests.support import HashedEmbedder
from vectordb import HNSW, Collection, Document, F, Filter, VectorDB
from vectordb.errors import (
    ConfigurationError,
    DocumentNotFound,
    InvalidFilter,
    InvalidInput,
    InvalidMetadata,
    OutsideView,
)
from vectordb.filters import And, Exists, Field, Not, Or

PIN = F("tenant") == "acme"


@pytest.fixture(params=["declared", "undeclared"])
def docs(request: pytest.FixtureRequest, new_collection: NewCollection, embedder: HashedEmbedder) -> Collection:
    """Documents 0 to 9 of acme, 10 to 19 of the other tenant, 20 of nobody."""
    fields = {"tenant": str} if request.param == "declared" else None
    docs = new_collection(embedder=embedder, fields=fields)
    for first, tenant in ((0, "acme"), (10, "other")):
        docs.upsert(
            [
                Document(f"Cats purr {n}.", n, title=f"t{n}", metadata={"tenant": tenant, "n": n})
                for n in range(first, first + 10)
            ]
        )
    docs.upsert(Document("Cats purr 20.", 20, metadata={"n": 20}))
    return docs


@pytest.fixture
def acme(docs: Collection) -> Collection:
    return docs.where(PIN)


def everything(docs: Collection) -> dict[Any, Document]:
    return {document.id: document for document in docs.scan()}


def widening(docs: Collection) -> list[Any]:
    """Return filters that are true of everything, or of what is outside."""
    table = docs.Document.__table__
    return [
        ~PIN,
        Not(PIN),
        Or((PIN, ~PIN)),
        PIN | (F("n") >= 0),
        And(()),
        Not(Or(())),
        {},
        {"or": [{"tenant": "other"}, {"n": {">=": 0}}]},
        {"not": {"tenant": "acme"}},
        F("tenant") == "other",
        F("n") >= 0,
        Exists(Field(("n",))),
        docs.Document.id != "",
        sa.or_(docs.Document.id == "15", sa.true()),
        sa.true(),
        docs.Chunk.ordinal >= 0,
        sa.select(1).where(sa.true()).exists(),
        sa.exists().where(table.c.id != ""),
        docs.Document.id.in_(sa.select(table.c.id)),
    ]


def test_every_read_is_confined(docs: Collection, acme: Collection) -> None:
    inside = {str(n) for n in range(10)}
    for where in (None, *widening(docs)):
        found: list[set[Any]] = [
            {hit.document_id for hit in acme.search("cats", limit=100, where=where)},
            {hit.document_id for hit in acme.search("cats", limit=100, where=where, exact=True)},
            {hit.document_id for hit in acme.search("cats", limit=100, where=where, strategy="iterative")},
            {hit.document_id for hit in acme.search("cats", limit=3, offset=2, where=where)},
            {hit.document_id for hit in acme.search("cats", limit=None, min_score=-1, where=where)},
            {hit.document_id for hit in acme.search("cats", group_by="document", limit=50, where=where)},
            {hit.document_id for hit in acme.search("cats", diversity=0.7, limit=50, where=where)},
            {hit.document_id for hit in acme.search(like=3, unlike=4, limit=50, where=where)},
            {hit.document_id for hits in acme.search_many(["cats", "purr"], limit=50, where=where) for hit in hits},
            {document.id for document in acme.scan(where)},
        ]
        assert all(ids <= inside for ids in found), where
        assert acme.count(where) == len(found[-1])
        assert set(dict(acme.facets("tenant", where=where))) <= {"acme"}
        assert sum(count for _, count in acme.facets("n", where=where, limit=None)) == len(found[-1])


def test_what_is_inside_is_found(docs: Collection, acme: Collection) -> None:
    assert acme.count() == 10
    assert acme.search("cats", limit=100) == docs.search("cats", limit=100, where=PIN)
    assert acme.search("cats", where=F("n") < 3) == docs.search("cats", where=PIN & (F("n") < 3))
    assert acme.get("3") == docs.get("3")
    assert acme.get([3, 13, 20, 4]) == docs.get([3, 4])
    assert list(acme.vectors([3, 13, 20])) == ["3"]
    assert dict(acme.facets("tenant")) == {"acme": 10}
    for id in (13, 20):
        with pytest.raises(DocumentNotFound):
            acme.get(id)
        for options in [{"like": id}, {"like": 3, "unlike": id}]:
            given: dict[str, Any] = {**options}
            with pytest.raises(DocumentNotFound):
                acme.search(**given)


def test_delete_is_confined(docs: Collection, acme: Collection) -> None:
    assert acme.delete([13, 20]) == 0
    for outside in (~PIN, F("tenant") == "other", F("n") >= 10, Or((F("n") == 13, F("n") == 20))):
        assert acme.delete(where=outside) == 0
    assert acme.delete([3, 13], where=PIN | ~PIN) == 1
    assert acme.delete(where=docs.Document.id.in_(["4", "14"])) == 1
    nothing: list[Any] = [None, {}, And(()), {"and": [{}, {"and": []}]}]
    for where in nothing:
        with pytest.raises(InvalidInput, match="delete needs ids or where"):
            acme.delete(where=where)
    assert acme.delete(where=PIN | ~PIN) == 8
    assert sorted(everything(docs)) == sorted(str(n) for n in range(10, 21))


def test_patch_is_confined(docs: Collection, acme: Collection) -> None:
    before = everything(docs)
    assert acme.patch_metadata({"seen": True}, ids=[3, 13, 20]) == 1
    assert acme.patch_metadata({"seen": True}, where={}) == 9
    assert acme.patch_metadata({"seen": 2}, where=~PIN) == 0
    assert acme.patch_metadata({"seen": 3}, where=F("n").in_([4, 14])) == 1
    after = everything(docs)
    assert {id: after[id] for id in after if int(id) >= 10} == {id: before[id] for id in before if int(id) >= 10}
    for metadata, remove in (({"tenant": "other"}, []), ({"tenant": None}, []), ({}, ["tenant"])):
        with pytest.raises(OutsideView):
            acme.patch_metadata(metadata, remove=remove, where={})
    assert everything(docs) == after
    assert acme.patch_metadata({"tenant": "acme"}, where={}) == 0


def test_what_is_written_belongs_to_it(docs: Collection, acme: Collection) -> None:
    assert acme.upsert(Document("Dogs bark.", "new")).inserted == 1
    assert acme.upsert({"id": "newer", "content": "Dogs bark.", "metadata": {"tenant": "acme", "n": 5}}).inserted == 1
    acme.upsert("Birds sing.")
    acme.upsert_vectors(["v1", "v2"], np.ones((2, 16)))
    acme.upsert_vectors(["v3"], np.ones((1, 16)), metadata=[{"tenant": "acme"}])
    assert docs.get("new").metadata == docs.get("v1").metadata == {"tenant": "acme"}
    assert acme.count() == docs.count(PIN) == 16
    assert acme.upsert(Document("Dogs bark.", "new")).unchanged == 1
    assert acme.upsert(Document("Dogs bark loudly.", 3)).updated == 1
    assert docs.get(3).metadata == {"tenant": "acme"}


def test_what_does_not_belong_is_refused(docs: Collection, acme: Collection, embedder: HashedEmbedder) -> None:
    before = everything(docs)
    embedder.seen.clear()
    good = Document("Fine.", "fine")
    for bad in (
        Document("Dogs.", "a", metadata={"tenant": "other"}),
        Document("Dogs.", "a", metadata={"tenant": None}),
        Document("Dogs.", 3, metadata={"tenant": "other"}),
        Document("Dogs.", 13),
        Document("Dogs.", 20, metadata={"tenant": "acme"}),
    ):
        with pytest.raises(OutsideView):
            acme.upsert([good, bad])
        with pytest.raises(OutsideView):
            acme.upsert_vectors(["fine", str(bad.id)], np.ones((2, 16)), metadata=[{}, bad.metadata])
    assert everything(docs) == before
    tenants: list[Any] = [5, True, ["acme"], {"a": "acme"}]
    for tenant in tenants:
        with pytest.raises((OutsideView, InvalidMetadata)):
            acme.upsert(Document("Dogs.", "a", metadata={"tenant": tenant}))
    assert everything(docs) == before


def test_views_of_views(docs: Collection, acme: Collection) -> None:
    small = acme.where(F("n") < 5)
    assert (small.count(), acme.count(), docs.count()) == (5, 10, 21)
    assert {hit.metadata["n"] for hit in small.search("cats", limit=50)} == set(range(5))
    assert acme.where(F("tenant") == "other").count() == 0
    assert acme.where(~PIN).count() == 0
    assert acme.where(docs.Document.id == "15").count() == 0
    lazy = acme.where(F("n") == 3)
    lazy.upsert(Document("Birds sing.", "b"))
    assert docs.get("b").metadata == {"tenant": "acme", "n": 3}
    with pytest.raises(OutsideView):
        small.upsert(Document("Birds sing.", "c"))
    with pytest.raises(OutsideView):
        small.upsert(Document("Birds sing.", 7, metadata={"n": 1}))
    with pytest.raises(OutsideView):
        small.patch_metadata({"n": 6}, ids=3)
    assert docs.get("7").metadata["n"] == 7
    assert small.delete(where=F("n") >= 0) == 6


@pytest.mark.parametrize("where", [None, {}, And(()), {"and": []}, {"and": [{}]}], ids=repr)
def test_a_view_needs_a_filter(docs: Collection, where: Any) -> None:
    with pytest.raises(InvalidInput, match="a view needs a filter"):
        docs.where(where)


@pytest.mark.parametrize("where", ["tenant = 'acme'", 5, F("tenant"), {"tenant": {"bigger": 1}}], ids=repr)
def test_a_view_needs_a_filter_that_can_be_understood(docs: Collection, where: Any) -> None:
    with pytest.raises(InvalidFilter):
        docs.where(where)


def test_a_view_from_json_and_over_columns(docs: Collection) -> None:
    assert docs.where({"tenant": "acme"}).count() == 10
    titled = docs.where(F("title").in_(["t3", "t4"]))
    assert titled.upsert(Document("Cats purr again.", 3, title="t4", metadata={"tenant": "acme"})).updated == 1
    with pytest.raises(OutsideView):
        titled.upsert(Document("Cats purr again.", 3, title="t5"))
    with pytest.raises(OutsideView):
        titled.upsert_vectors([3], np.ones((1, 16)))
    assert docs.get("3").title == "t4"


@pytest.mark.parametrize(
    "where",
    [
        lambda docs: docs.Document.title == "t3",
        lambda docs: docs.Chunk.content.like("%3%"),
        lambda docs: F("created_at") > "2000-01-01",
        lambda docs: PIN & (F("updated_at") > "2000-01-01"),
    ],
)
def test_read_only_views(docs: Collection, where: Callable[[Collection], Any]) -> None:
    view = docs.where(where(docs))
    assert view.count() >= 1
    assert len(view.search("cats", limit=50)) == view.count()
    assert len(list(view.scan())) == view.count()
    before = everything(docs)
    calls: list[Callable[[], Any]] = [
        lambda: view.upsert(Document("Dogs.", "a", title="t3")),
        lambda: view.upsert(iter(["Dogs."])),
        lambda: view.upsert_vectors(["a"], np.ones((1, 16))),
        lambda: view.patch_metadata({"a": 1}, where={}),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="read-only"):
            call()
    assert everything(docs) == before


def test_structure_is_a_matter_of_the_whole_collection(docs: Collection, acme: Collection) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: acme.create_index(HNSW()),
        acme.drop_index,
        lambda: acme.add_fields({"n": int}),
        lambda: acme.drop_fields(["tenant"]),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="whole collection"):
            call()
    assert docs.config.index == HNSW()
    assert len(docs.indexes()) == len(acme.indexes()) == 1


def test_it_shows_what_it_is(docs: Collection, acme: Collection) -> None:
    assert repr(acme) == f"Collection({docs.name!r}, vector(16), cosine, a view)"
    assert "view" not in repr(docs)
    assert "acme" not in repr(acme), "a filter may hold secrets"
    assert acme.name == docs.name


def test_a_view_made_before_fields_were_declared(
    new_collection: NewCollection, embedder: HashedEmbedder, home: VectorDB
) -> None:
    docs = new_collection(embedder=embedder)
    docs.upsert([Document(f"Cats purr {n}.", n, metadata={"tenant": "acme", "n": n}) for n in range(10)])
    view = docs.where((F("tenant") == "acme") & (F("n") < 5))
    changes: list[Callable[[], Any]] = [
        lambda: docs.add_fields({"n": int, "tenant": str}),
        lambda: docs.drop_fields(["n"]),
    ]
    for change in changes:
        change()
        assert view.count() == len(view.search("cats", limit=20)) == 5
        view.upsert(Document("Dogs bark.", 2, metadata={"n": 2}))
        view.patch_metadata({"a": 1}, where={})
        with pytest.raises(OutsideView):
            view.upsert(Document("Dogs bark.", "x", metadata={"n": 7}))
        assert docs.count(F("n") == 2) == home.collection(docs.name, embedder=embedder).count(F("n") == 2) == 1


def test_a_view_within_a_transaction(home: VectorDB, docs: Collection, acme: Collection) -> None:
    with pytest.raises(OutsideView), home.transaction():  # noqa: PT012 - the block is the transaction
        acme.upsert(Document("Dogs bark.", "new"))
        assert acme.count() == 11
        acme.upsert(Document("Dogs bark.", 13))
    assert acme.count() == 10
    with home.transaction():
        acme.upsert(Document("Dogs bark.", "new"))
        with pytest.raises(OutsideView):
            acme.patch_metadata({"tenant": "other"}, ids="new")
        assert acme.patch_metadata({"a": 1}, ids="new") == 1
    assert acme.get("new").metadata == {"tenant": "acme", "a": 1}


@pytest.mark.parametrize("text", ["true) OR (true", "1=1 OR true", "true) --", "true"])
def test_sql_as_text_is_not_confined_and_so_refused(docs: Collection, acme: Collection, text: str) -> None:
    table = docs.Document.__table__
    for clause in (
        sa.text(text),
        sa.literal_column(text) == 1,
        sa.and_(docs.Document.id == "3", sa.text(text)),
        table.c.id.in_(sa.select(table.c.id).where(sa.text(text))),
        docs.Document.id == sa.literal_column(text),
    ):
        for call in (
            lambda clause=clause: acme.count(clause),
            lambda clause=clause: acme.search("cats", where=clause),
            lambda clause=clause: acme.delete(where=clause),
            lambda clause=clause: acme.where(clause),
        ):
            with pytest.raises(InvalidFilter, match="in a view"):
                call()
    assert docs.count() == 21
    assert docs.count(sa.text("true")) == docs.where(sa.text("true")).count() == 21


def test_filters_of_all_kinds_pin_a_view(docs: Collection) -> None:
    pins: list[Filter] = [
        F("n").between(3, 5),
        F("n").in_([3, 4, 5]),
        (F("n") == 3) | (F("n") == 4) | (F("n") == 5),
        F("title").in_(["t3", "t4", "t5"]),
        F("id").in_([3, 4, 5]),
        ~((F("n") < 3) | (F("n") > 5)),
    ]
    for pin in pins:
        view = docs.where(pin)
        assert sorted(everything(view)) == ["3", "4", "5"]
        with pytest.raises(OutsideView):
            view.upsert(Document("Dogs.", 9, title="t9", metadata={"n": 9}))
        with pytest.raises(OutsideView):
            view.upsert(Document("Dogs.", 9, title="t3", metadata={"n": 3}))
    assert docs.get("9").metadata["n"] == 9
