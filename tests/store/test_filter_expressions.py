"""SQLAlchemy expressions as filters: over documents, chunks, both, and tables of the application."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, array
from sqlalchemy.orm import aliased

from tests.store.conftest import NewCollection
from tests.support import HashedEmbedder, hashed_words
from vectordb import Chunking, Collection, Document, F, VectorDB, models
from vectordb.errors import ConfigurationError, InvalidFilter
from vectordb.filters import Expression

APP = sa.MetaData()
OWNERS = sa.Table(
    "owners", APP, sa.Column("document", sa.Text), sa.Column("owner", sa.Text), sa.Column("n", sa.Integer)
)
EXPLICIT = [("a", "ann", 1), ("b", "bob", 2), ("b", "ann", 3)]
# Two chunks for each paragraph pair, see CHUNKING.
TEXTS = {
    "a": "The cat sleeps on a warm mat.\n\nThe dog barks at every stranger.",
    "b": "The cat hunts the little mice.",
    "c": "The bird sings in the morning.\n\nThe fish swims 100% silently.",
    "d": "",
}


@pytest.fixture(scope="module")
def pets(home: VectorDB) -> Collection:
    """Documents of none, one and two chunks; only to be read."""
    docs = home.create_collection(
        "pets",
        embedder=HashedEmbedder(),
        chunking=Chunking(size=40, unit="characters"),
        fields={"year": int},
    )
    docs.upsert(
        Document(
            text,
            id,
            title=f"Title {id}",
            uri=None if id == "c" else f"file:{id}%",
            metadata={"year": 2000 + n, "tag": id},
        )
        for n, (id, text) in enumerate(TEXTS.items())
    )
    APP.create_all(home.engine)
    with home.engine.begin() as connection:
        connection.execute(
            sa.insert(OWNERS), [dict(zip(("document", "owner", "n"), row, strict=True)) for row in EXPLICIT]
        )
    return docs


Make = Callable[[Any, Any], Any]


def counted(c: Any) -> Any:
    return sa.select(c.document_id, sa.func.count().label("number")).group_by(c.document_id).subquery()


# What is asked of documents; of chunks then all those of the documents are found.
OF_DOCUMENTS: dict[str, tuple[Make, set[str]]] = {
    "column": (lambda d, c: d.title == "Title a", {"a"}),
    "null": (lambda d, c: d.uri.is_(None), {"c"}),
    "percent": (lambda d, c: d.uri.like("%\\%"), {"a", "b", "d"}),
    "percent in a literal": (lambda d, c: sa.literal_column("'100%'") == sa.func.concat("100", "%"), set("abcd")),
    "expanding in": (lambda d, c: d.id.in_(["a", "c"]), {"a", "c"}),
    "empty in": (lambda d, c: d.id.in_([]), set()),
    "declared": (lambda d, c: d.year >= 2002, {"c", "d"}),
    "metadata": (lambda d, c: d.metadata_["tag"].astext == "b", {"b"}),
    "and or not": (lambda d, c: sa.and_(sa.or_(d.id == "a", d.id == "b"), ~(d.id == "a")), {"b"}),
    "true": (lambda d, c: sa.true(), set("abcd")),
    "false": (lambda d, c: sa.false(), set()),
    "modulo": (lambda d, c: d.year % 2 == 1, {"b", "d"}),
    "any": (lambda d, c: d.chunks.any(c.content.like("%cat%")), {"a", "b"}),
    "not any": (lambda d, c: ~d.chunks.any(c.content.like("%cat%")), {"c", "d"}),
    "no chunks": (lambda d, c: ~d.chunks.any(), {"d"}),
    "in a select": (lambda d, c: d.id.in_(sa.select(OWNERS.c.document).where(OWNERS.c.owner == "ann")), {"a", "b"}),
    "not in a select": (lambda d, c: d.id.not_in(sa.select(OWNERS.c.document)), {"c", "d"}),
    "correlated": (lambda d, c: sa.exists().where(OWNERS.c.document == d.id, OWNERS.c.n > 1), {"b"}),
    "not correlated": (lambda d, c: ~sa.exists().where(OWNERS.c.document == d.id), {"c", "d"}),
    "correlated select": (
        lambda d, c: sa.select(OWNERS.c.n).where(OWNERS.c.document == d.id).exists(),
        {"a", "b"},
    ),
    "scalar select": (
        lambda d, c: (
            sa.select(sa.func.count()).select_from(OWNERS).where(OWNERS.c.document == d.id).scalar_subquery() == 2
        ),
        {"b"},
    ),
    "select of chunks": (
        lambda d, c: sa.select(c.ordinal).where(c.document_id == d.id, c.content.like("%dog%")).exists(),
        {"a"},
    ),
    "select from chunks": (
        lambda d, c: sa.select(sa.func.count()).select_from(c).where(c.document_id == d.id).scalar_subquery() > 1,
        {"a", "c"},
    ),
    "in a select of chunks": (
        lambda d, c: d.id.in_(sa.select(c.document_id).where(c.content.like("%cat%"))),
        {"a", "b"},
    ),
    "select of documents": (lambda d, c: d.year == sa.select(sa.func.max(d.year)).scalar_subquery(), {"d"}),
    "nested": (
        lambda d, c: sa.exists().where(
            OWNERS.c.document == d.id,
            OWNERS.c.n.in_(sa.select(sa.func.count()).select_from(c).where(c.document_id == d.id).scalar_subquery()),
        ),
        set(),
    ),
    "joined": (
        lambda d, c: (
            sa.select(OWNERS.c.n)
            .join(c, c.document_id == OWNERS.c.document)
            .where(OWNERS.c.document == d.id, c.ordinal == 1)
            .exists()
        ),
        {"a"},
    ),
    "union": (
        lambda d, c: d.id.in_(
            sa.union(
                sa.select(OWNERS.c.document).where(OWNERS.c.n == 1),
                sa.select(c.document_id).where(c.content.like("%bird%")),
            )
        ),
        {"a", "c"},
    ),
    "grouped subquery": (
        lambda d, c: (lambda of: d.id.in_(sa.select(of.c.document_id).where(of.c.number == 2)))(counted(c)),
        {"a", "c"},
    ),
    "correlate": (
        lambda d, c: (
            sa.select(sa.func.max(OWNERS.c.n)).where(OWNERS.c.document == d.id).correlate(d).scalar_subquery() == 3
        ),
        {"b"},
    ),
    "correlate_except": (
        lambda d, c: (
            sa.select(sa.func.count(OWNERS.c.n))
            .where(OWNERS.c.document == d.id)
            .correlate_except(OWNERS)
            .scalar_subquery()
            == 0
        ),
        {"c", "d"},
    ),
    "two levels": (
        lambda d, c: d.chunks.any(
            sa.exists().where(OWNERS.c.document == c.document_id, OWNERS.c.n == c.ordinal + 1, d.year == 2000)
        ),
        {"a"},
    ),
    "case": (lambda d, c: sa.case((d.year > 2001, d.title), else_="x").like("Title%"), {"c", "d"}),
    "tuples": (lambda d, c: sa.tuple_(d.id, d.year).in_([("a", 2000), ("b", 5)]), {"a"}),
    "array": (lambda d, c: d.id == sa.func.any(sa.cast(["a", "d"], ARRAY(sa.Text))), {"a", "d"}),
    "json contains": (lambda d, c: d.metadata_.contains({"tag": "c"}), {"c"}),
    "json path": (lambda d, c: d.metadata_[("tag",)].astext == "c", {"c"}),
    "time": (lambda d, c: d.created_at < datetime.now(UTC) - timedelta(days=1), set()),
    "json value": (lambda d, c: d.metadata_["year"] == sa.cast(2001, JSONB), {"b"}),
    "json paths": (lambda d, c: d.metadata_.has_any(array(["x", "tag"])), set("abcd")),
    "null-safe": (lambda d, c: d.uri.is_distinct_from("file:a%"), {"b", "c", "d"}),
    "another alias": (
        lambda d, c: sa.exists().where(aliased(d, name="other").year < d.year),
        {"b", "c", "d"},
    ),
}
OF_DOCUMENTS["nested"] = (
    lambda d, c: sa.exists().where(
        OWNERS.c.document == d.id,
        OWNERS.c.n == sa.select(sa.func.count()).select_from(c).where(c.document_id == d.id).scalar_subquery(),
    ),
    set(),
)
CHUNKS = {("a", 0), ("a", 1), ("b", 0), ("c", 0), ("c", 1)}
# What is asked of chunks; documents are found by any of theirs.
OF_CHUNKS: dict[str, tuple[Make, set[tuple[str, int]]]] = {
    "content": (lambda d, c: c.content.like("%cat%"), {("a", 0), ("b", 0)}),
    "ordinal": (lambda d, c: c.ordinal == 1, {("a", 1), ("c", 1)}),
    "not": (lambda d, c: ~(c.ordinal == 1), {("a", 0), ("b", 0), ("c", 0)}),
    "document": (lambda d, c: c.document.has(d.title == "Title c"), {("c", 0), ("c", 1)}),
    "not its document": (lambda d, c: ~c.document.has(d.title == "Title c"), {("a", 0), ("a", 1), ("b", 0)}),
    "both": (lambda d, c: sa.and_(d.year >= 2001, c.ordinal == 0), {("b", 0), ("c", 0)}),
    "either": (lambda d, c: sa.or_(d.id == "b", c.ordinal == 1), {("a", 1), ("b", 0), ("c", 1)}),
    "declared": (lambda d, c: c.year == 2000, {("a", 0), ("a", 1)}),
    "correlated": (lambda d, c: sa.exists().where(OWNERS.c.document == c.document_id), {("a", 0), ("a", 1), ("b", 0)}),
    "percent": (lambda d, c: c.content.contains("100%", autoescape=True), {("c", 1)}),
    "embedding": (lambda d, c: c.embedding == hashed_words([TEXTS["b"]])[0], {("b", 0)}),
    "full text": (
        lambda d, c: c.content_tsv.bool_op("@@")(sa.func.to_tsquery("english", "cats")),
        {("a", 0), ("b", 0)},
    ),
}


def chunks(docs: Collection, where: Any, **options: Any) -> set[tuple[str, int]]:
    return {(hit.document_id, hit.ordinal) for hit in docs.search("cat", limit=50, where=where, **options)}


@pytest.mark.parametrize("name", OF_DOCUMENTS)
def test_of_documents(pets: Collection, name: str) -> None:
    make, expected = OF_DOCUMENTS[name]
    where = make(pets.Document, pets.Chunk)
    assert {str(document.id) for document in pets.scan(where)} == expected
    assert pets.count(where) == len(expected)
    assert {document for document, _ in pets.facets("id", where=where)} == expected
    for options in ({"exact": True}, {"strategy": "iterative"}, {}):
        assert chunks(pets, where, **options) == {chunk for chunk in CHUNKS if chunk[0] in expected}
    negation = ~Expression(where)
    assert {str(document.id) for document in pets.scan(negation)} == set(TEXTS) - expected
    assert chunks(pets, negation, exact=True) == {chunk for chunk in CHUNKS if chunk[0] not in expected}
    assert chunks(pets.where(where), None) == {chunk for chunk in CHUNKS if chunk[0] in expected}


@pytest.mark.parametrize("name", OF_CHUNKS)
def test_of_chunks(pets: Collection, name: str) -> None:
    make, expected = OF_CHUNKS[name]
    where = make(pets.Document, pets.Chunk)
    for options in ({"exact": True}, {"strategy": "iterative"}, {}):
        assert chunks(pets, where, **options) == expected
    found = {str(document.id) for document in pets.scan(where)}
    assert found >= {document for document, _ in expected}
    assert found - {document for document, _ in expected} <= {"d"}  # which has no chunk that could tell
    assert pets.count(where) == len(found)


def test_combined_with_fields(pets: Collection) -> None:
    d, c = pets.Document, pets.Chunk
    cats = d.chunks.any(c.content.like("%cat%"))
    for where, expected in [
        ((F("year") >= 2001) & cats, {"b"}),
        ((F("tag") == "d") | cats, {"a", "b", "d"}),
        ((F("tag") == "d") | ~Expression(cats), {"c", "d"}),
        (~((F("title") == "Title a") | (c.ordinal == 1)), {"b", "d"}),
        (F("tag").in_(["a"]) & (d.id == "a"), {"a"}),
        ((F("tag") == "100%") | (d.uri == "file:a%") | (d.title.like("%b")), {"a", "b"}),
    ]:
        assert {str(document.id) for document in pets.scan(where)} == expected


def test_rows_of_two_tables_in_a_document(pets: Collection) -> None:
    """A condition on chunks, within one on documents, is about one and the same chunk."""
    d, c = pets.Document, pets.Chunk
    one = sa.and_(c.content.like("%cat%"), c.ordinal == 1)
    assert pets.count(one) == 0
    assert pets.count(F("year").exists() & c.content.like("%cat%") & (c.ordinal == 1)) == 1
    assert pets.count(d.chunks.any(sa.and_(c.content.like("%dog%"), c.ordinal == 1))) == 1


def test_a_view_by_an_expression_is_read_only(pets: Collection) -> None:
    view = pets.where(pets.Document.year < 2002)
    assert view.count() == 2
    assert view.count(pets.Chunk.content.like("%mice%")) == 1
    assert [document.id for document in view.get(["a", "c"])] == ["a"]
    with pytest.raises(ConfigurationError, match="read-only"):
        view.upsert("text")


def test_delete_and_patch(new_collection: NewCollection) -> None:
    docs = new_collection(dimensions=2, index=None)
    docs.upsert_vectors(["a", "b", "c"], [[1, 2]] * 3, metadata=[{"n": n} for n in range(3)])
    n = docs.Document.metadata_["n"].as_integer()
    assert docs.patch_metadata({"late": True}, where=n >= 1) == 2
    assert docs.count(F("late") == True) == 2  # noqa: E712 - builds a filter
    assert docs.delete(where=(F("late") == True) & (n == 1)) == 1  # noqa: E712 - builds a filter
    assert docs.delete(["a", "c"], where=~docs.Document.chunks.any(docs.Chunk.document_id == "a")) == 1
    assert [document.id for document in docs.scan()] == ["a"]


def test_the_models_of_the_default_collection(db: VectorDB) -> None:
    docs = db.collection()
    docs.upsert_vectors(["a", "b"], [[1.0] * docs.dimensions] * 2, contents=["one", "two"])
    d, c = models.Document, models.Chunk
    for where in (c.content == "two", d.id == "b", d.chunks.any(c.content == "two"), ~d.chunks.any(c.content == "one")):
        assert [document.id for document in docs.scan(where)] == ["b"]
        assert {id for id, _ in chunks_by_vector(docs, where)} == {"b"}
    others: list[Any] = [c.document.has(d.id == "b"), docs.Document.id == "b", (F("id") == "b") & (d.id == "b")]
    for where in others:
        assert [document.id for document in docs.scan(where)] == ["b"]


def chunks_by_vector(docs: Collection, where: Any) -> set[tuple[str, int]]:
    return {(hit.document_id, hit.ordinal) for hit in docs.search([1.0] * docs.dimensions, where=where)}


WRONG: dict[str, Make] = {
    "another table": lambda d, c: OWNERS.c.owner == "ann",
    "another table too": lambda d, c: sa.and_(OWNERS.c.document == d.id, d.title == "x"),
    "an alias of ours": lambda d, c: aliased(d).title == "x",
    "models of another collection": lambda d, c: models.Document.title == "x",
    "no value": lambda d, c: d.title == sa.bindparam("title"),
    "a select": lambda d, c: sa.select(d.id),
    "a model": lambda d, c: sa.inspect(d),
    "a cte": lambda d, c: d.id.in_(sa.select(sa.select(OWNERS.c.document).where(OWNERS.c.n > 1).cte().c.document)),
    "NUL": lambda d, c: d.title == "a\x00",
    "a surrogate": lambda d, c: d.title == "\ud800",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_condition(pets: Collection, name: str) -> None:
    where = WRONG[name](pets.Document, pets.Chunk)
    for use in (pets.count, lambda where: list(pets.scan(where)), lambda where: pets.search("cat", where=where)):
        with pytest.raises(InvalidFilter):
            use(where)
    with pytest.raises(InvalidFilter):
        pets.count((F("year") == 1) | where)


@pytest.mark.parametrize(
    "where", [lambda d: d.title, lambda d: d.year, lambda d: sa.func.now()], ids=["text", "int", "time"]
)
def test_what_is_not_boolean(pets: Collection, where: Any) -> None:
    with pytest.raises(InvalidFilter, match="not a condition"):
        pets.count(where(pets.Document))


def test_a_model_is_no_filter(pets: Collection) -> None:
    for mistake in (pets.Document, sa.Table, OWNERS, pets.Document.__table__, sa.select(OWNERS), sa.func):
        with pytest.raises(InvalidFilter):
            pets.count(mistake)


@pytest.mark.parametrize(
    "written",
    [
        "IS NOT NULL) OR true OR (''=",
        "= 'a' --",
        "= 'a' /*",
        "= 'a'; SELECT 1 WHERE 'a' =",
        "= '\\' OR true OR 'a' =",
        ") = (",
    ],
)
def test_sql_that_reaches_beyond_itself_is_refused(pets: Collection, written: str) -> None:
    """The application may write operators of its own; what confines a view is around them."""
    clause = pets.Document.id.bool_op(written)("x")
    for docs in (pets, pets.where(F("year") >= 2000)):
        with pytest.raises(InvalidFilter, match="does not stand for itself"):
            docs.count(clause)


def test_an_operator_of_postgresql_is_none_of_that(pets: Collection) -> None:
    assert pets.count(pets.Document.title.bool_op("~*")("title (a|b)$")) == 2
    assert pets.where(F("year") >= 2001).count(pets.Document.title.op("||")("'(") == "Title b'(") == 1
