"""`Repository.upsert`: an application's rows, written and embedded in its own transaction."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from sqlalchemy import (
    JSON,
    Computed,
    DateTime,
    Engine,
    Enum,
    ForeignKey,
    String,
    TypeDecorator,
    UniqueConstraint,
    create_engine,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column, relationship

from tests.conftest import Databases
from tests.support import HashedEmbedder, hashed_words
from vectordb import FunctionEmbedder, errors
from vectordb.documents import UpsertResult
from vectordb.orm import Repository, embedding_column, upserting
from vectordb.orm.mapping import ModelMapping

DIMENSIONS = 16


def upsert(mapping: ModelMapping, embedder: Any, session: Session, rows: Any, **options: Any) -> UpsertResult:
    return upserting.upsert(mapping, lambda: embedder, session, rows, **options)


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Reversed(TypeDecorator[str]):
    """Stores text backwards."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value[::-1]

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else value[::-1]


class Category(Base):
    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (UniqueConstraint("sku"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str | None]
    price: Mapped[float] = mapped_column(default=1.5)
    sku: Mapped[str | None] = mapped_column(String(8))
    changes: Mapped[int] = mapped_column(default=0, onupdate=7)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    shout: Mapped[str] = mapped_column(Computed("upper(title)", persisted=True))
    category_id: Mapped[int | None] = mapped_column(ForeignKey(Category.id))
    category: Mapped[Category | None] = relationship()
    embedding = embedding_column(DIMENSIONS, source="body", index=None)


class Page(Base):
    """A composite key that is no integer, several sources, and columns of many types."""

    __tablename__ = "pages"
    __table_args__ = {"schema": "other schema"}  # noqa: RUF012 - SQLAlchemy declares it as no ClassVar

    site: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str | None]
    content: Mapped[str | None] = mapped_column("the content %")
    colour: Mapped[Colour | None] = mapped_column(Enum(Colour))
    secret: Mapped[str | None] = mapped_column(Reversed)
    cost: Mapped[Decimal | None]
    seen: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    data: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    plain: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    shown: Mapped[str | None]
    tags: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    raw: Mapped[bytes | None]
    flag: Mapped[bool | None]
    vector = embedding_column(DIMENSIONS, source=("title", "content"), index=None)
    hidden = embedding_column(DIMENSIONS, source=("secret", "shown"), index=None)
    image = embedding_column(3, storage="halfvec", index=None)


class Job(Base):
    """A key that Python makes, a source that is a function, inheritance in one table."""

    __tablename__ = "jobs"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "job"}  # noqa: RUF012 - SQLAlchemy declares it as no ClassVar

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    kind: Mapped[str]
    name: Mapped[str]
    embedding = embedding_column(DIMENSIONS, source=lambda row: f"a job: {_field(row, 'name')}", index=None)


class Errand(Base):
    """A source that is a property."""

    __tablename__ = "errands"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    embedding = embedding_column(DIMENSIONS, source="told", index=None)

    @property
    def told(self) -> str:
        return f"errand {self.name}"


class Print(Job):
    __mapper_args__ = {"polymorphic_identity": "print"}  # noqa: RUF012 - SQLAlchemy declares it as no ClassVar

    copies: Mapped[int | None]


class Item(Base):
    """The parent of a class of two tables."""

    __tablename__ = "items"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "item"}  # noqa: RUF012 - SQLAlchemy declares it as no ClassVar

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]


class Event(MappedAsDataclass, Base):
    """A dataclass, with defaults that are SQL."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    code: Mapped[str] = mapped_column(insert_default=func.upper("new"), onupdate=func.lower("OLD"), init=False)
    embedding: Mapped[Any] = embedding_column(DIMENSIONS, source="name", index=None, init=False)


class Book(Item):
    __tablename__ = "books"
    __mapper_args__ = {"polymorphic_identity": "book"}  # noqa: RUF012 - SQLAlchemy declares it as no ClassVar

    id: Mapped[int] = mapped_column(ForeignKey(Item.id), primary_key=True)
    blurb: Mapped[str | None]
    embedding = embedding_column(DIMENSIONS, source=("name", "blurb"), index=None)


def _field(row: Any, name: str) -> Any:
    return row[name] if isinstance(row, dict) else getattr(row, name)


PRODUCTS, PAGES, JOBS = ModelMapping.of(Product), ModelMapping.of(Page, "vector"), ModelMapping.of(Job)


@pytest.fixture(scope="module")
def engine(databases: Databases) -> Iterator[Engine]:
    url = databases.create()
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "other schema"'))
        Base.metadata.create_all(connection)
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session of which nothing stays."""
    with Session(engine) as session:
        yield session
        session.rollback()


def test_rows_are_inserted_updated_and_left_alone(session: Session, embedder: HashedEmbedder) -> None:
    rows = [{"id": i, "title": f"t{i}", "body": f"body {i}", "price": 1.0} for i in range(5)]
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(inserted=5, chunks=5, embedded=5)
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(unchanged=5)
    rows[1]["price"], rows[2]["body"] = 2.0, "another body"
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(updated=2, unchanged=3, chunks=1, embedded=1)
    stored = session.execute(
        select(Product.id, Product.price, Product.body, Product.embedding, Product.changes).order_by(Product.id)
    ).all()
    assert [row[1] for row in stored] == [1, 2, 1, 1, 1]
    assert [row[4] for row in stored] == [0, 7, 7, 0, 0]
    for row in stored:
        np.testing.assert_array_equal(row[3], hashed_words([row[2]])[0])


def page(**values: Any) -> dict[str, Any]:
    return {"site": UUID(int=1), "path": "/a", **values}


def test_every_type_is_stored_as_the_orm_stores_it(session: Session, embedder: HashedEmbedder) -> None:
    values = {
        "title": "a title",
        "content": "50 % of 'it'",
        "colour": Colour.BLUE,
        "secret": "abc",
        "cost": Decimal("12.345"),
        "seen": datetime(2024, 2, 3, 4, 5, 6, 789123, tzinfo=UTC),
        "data": {"a": [1, None, "\\ é"]},
        "plain": {"b": 1},
        "tags": ["x", 'y "z", {}', "\\"],
        "raw": b"\x00\xff",
        "flag": True,
    }
    rows = [page(**values), page(path="/empty", **dict.fromkeys(values))]
    assert upsert(PAGES, embedder, session, rows).inserted == 2
    stored, empty = session.scalars(select(Page).order_by(Page.path)).all()
    assert {name: getattr(stored, name) for name in values} == values
    assert session.scalar(text("SELECT secret FROM \"other schema\".pages WHERE path = '/a'")) == "cba"
    assert all(getattr(empty, name) in (None,) for name in values)
    assert upsert(PAGES, embedder, session, rows) == UpsertResult(unchanged=2)
    assert empty.vector is None
    np.testing.assert_array_equal(stored.vector, hashed_words(["a title\n\n50 % of 'it'"])[0])


def test_columns_that_are_not_given_keep_their_value(session: Session, embedder: HashedEmbedder) -> None:
    upsert(PAGES, embedder, session, page(title="old", content="text", flag=True))
    assert upsert(PAGES, embedder, session, page(flag=False)) == UpsertResult(updated=1)
    embedder.seen.clear()
    assert upsert(PAGES, embedder, session, page(title="new")) == UpsertResult(updated=1, chunks=1, embedded=1)
    assert embedder.seen == ["new\n\ntext"]
    assert upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t", "body": "b"}).inserted == 1
    assert upsert(PRODUCTS, embedder, session, {"id": 1, "price": 9.0}) == UpsertResult(updated=1)


def test_rows_with_different_columns_are_written_in_groups(session: Session, embedder: HashedEmbedder) -> None:
    rows = [
        {"id": 901, "title": "a"},
        {"id": 902, "title": "b", "body": "x"},
        {"id": 903, "title": "c"},
        {"title": "d"},
    ]
    assert upsert(PRODUCTS, embedder, session, iter(rows)) == UpsertResult(inserted=4, chunks=1, embedded=1)
    assert upsert(PRODUCTS, embedder, session, rows[:3]) == UpsertResult(unchanged=3)


def test_a_given_vector_wins_and_none_leaves_no_vector(session: Session, embedder: HashedEmbedder) -> None:
    vector = np.arange(1, DIMENSIONS + 1, dtype=np.float32)
    row: dict[str, Any] = {"id": 1, "title": "t", "body": "text", "embedding": vector}
    assert upsert(PRODUCTS, None, session, row) == UpsertResult(inserted=1, chunks=1)
    assert upsert(PRODUCTS, None, session, row) == UpsertResult(unchanged=1)
    hashed = select(Product.embedding, Product.__table__.c.embedding_hash)
    np.testing.assert_array_equal(session.execute(hashed).one()[0], vector)
    assert session.execute(hashed).one()[1] is None
    del row["embedding"]
    assert upsert(PRODUCTS, embedder, session, row) == UpsertResult(updated=1, chunks=1, embedded=1)
    for blank in ("  ", None):
        upsert(PRODUCTS, embedder, session, row | {"body": blank})
        assert tuple(session.execute(hashed).one()) == (None, None)


def test_a_stored_part_of_the_source_is_read_as_the_orm_reads_it(session: Session, embedder: HashedEmbedder) -> None:
    hidden = ModelMapping.of(Page, "hidden")
    upsert(hidden, embedder, session, page(secret="abc", shown="x"))
    upsert(hidden, embedder, session, page(shown="y"))
    assert embedder.seen == ["abc\n\nx", "abc\n\ny"]


def test_a_source_that_is_a_property(session: Session, embedder: HashedEmbedder) -> None:
    jobs = ModelMapping.of(Errand)
    first, same, other = (Errand(id=UUID(int=1), name=name) for name in ("a", "a", "b"))
    assert upsert(jobs, embedder, session, first).embedded == 1
    session.expunge_all()
    assert upsert(jobs, embedder, session, same) == UpsertResult(unchanged=1)
    session.expunge_all()
    assert upsert(jobs, embedder, session, other) == UpsertResult(updated=1, chunks=1, embedded=1)
    assert embedder.seen == ["errand a", "errand b"]


def test_equal_texts_of_a_batch_are_embedded_once(session: Session, embedder: HashedEmbedder) -> None:
    rows = [{"id": i, "title": "t", "body": "the same"} for i in range(3)]
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(inserted=3, chunks=3, embedded=1)


@pytest.mark.parametrize("autoflush", [True, False])
def test_what_is_pending_is_written_first(session: Session, embedder: HashedEmbedder, autoflush: bool) -> None:
    session.autoflush = autoflush
    session.add(Category(id=1, name="first"))

    def rows() -> Iterator[dict[str, Any]]:
        yield {"id": 1, "title": "a", "category_id": 1}
        session.add(Category(id=2, name="second"))
        yield {"id": 2, "title": "b", "category_id": 2}

    assert upsert(PRODUCTS, embedder, session, rows(), batch_size=1).inserted == 2


def test_another_embedding_of_the_model_is_an_ordinary_column(session: Session, embedder: HashedEmbedder) -> None:
    row = page(title="t", content=None, image=[1, 2, 3])
    assert upsert(PAGES, embedder, session, row).inserted == 1
    assert session.scalars(select(Page.image)).one().tolist() == [1, 2, 3]
    assert upsert(PAGES, embedder, session, page(title="t", content=None, image=None)) == UpsertResult(unchanged=1)
    with pytest.raises(errors.InvalidInput, match="row 0"):
        upsert(PAGES, embedder, session, page(image=[1, 2]))


def test_new_instances_become_persistent(session: Session, embedder: HashedEmbedder) -> None:
    products = [Product(title=f"t{i}", body=f"b{i}") for i in range(3)]
    assert upsert(PRODUCTS, embedder, session, products) == UpsertResult(inserted=3, chunks=3, embedded=3)
    ids = [product.id for product in products]
    assert ids == sorted(ids)
    assert all(product in session for product in products)
    assert (products[0].price, products[0].shout, products[0].changes) == (1.5, "T0", 0)
    assert "embedding" not in products[0].__dict__
    np.testing.assert_array_equal(products[1].embedding, hashed_words(["b1"])[0])
    products[1].body = "another"
    products[2].price = 3
    assert upsert(PRODUCTS, embedder, session, products) == UpsertResult(updated=2, unchanged=1, chunks=1, embedded=1)
    assert products[1].changes == 7
    assert "embedding" not in products[1].__dict__
    np.testing.assert_array_equal(products[1].embedding, hashed_words(["another"])[0])


def test_instances_of_the_session_are_flushed_and_embedded(session: Session, embedder: HashedEmbedder) -> None:
    pending = Product(title="t", body="b", category=Category(name="c"))
    session.add(pending)
    assert upsert(PRODUCTS, embedder, session, pending) == UpsertResult(inserted=1, chunks=1, embedded=1)
    assert pending.category_id is not None
    vector = np.ones(DIMENSIONS, dtype=np.float32)
    pending.embedding = vector
    pending.body = "other"
    assert upsert(PRODUCTS, embedder, session, pending) == UpsertResult(updated=1, chunks=1)
    np.testing.assert_array_equal(pending.embedding, vector)
    assert getattr(pending, "embedding_hash") is None  # noqa: B009 - mapped when the class is


def test_the_sessions_own_instance_is_up_to_date_afterwards(session: Session, embedder: HashedEmbedder) -> None:
    stored = Product(id=1, title="old", body="b")
    session.add(stored)
    session.flush()
    given = Product(id=1, title="new", body="b")
    assert upsert(PRODUCTS, embedder, session, given).updated == 1
    assert (stored.title, given in session) == ("new", False)
    upsert(PRODUCTS, embedder, session, {"id": 1, "title": "newer"})
    assert stored.title == "newer"


def test_keys_and_discriminators_that_python_makes(session: Session, embedder: HashedEmbedder) -> None:
    printing = ModelMapping.of(Print)
    assert upsert(JOBS, embedder, session, [{"name": "a"}, Print(name="b", copies=2)]).inserted == 2
    assert upsert(printing, embedder, session, {"name": "c", "copies": 3}).inserted == 1
    found = {job.name: job for job in session.scalars(select(Job))}
    assert [type(found[name]) for name in "abc"] == [Job, Print, Print]
    assert "a job: b" in embedder.seen


def test_nothing_is_committed(engine: Engine, embedder: HashedEmbedder) -> None:
    with Session(engine) as session:
        upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t", "body": "b"})
        assert session.scalar(select(func.count()).select_from(Product)) == 1
        session.rollback()
        assert session.scalar(select(func.count()).select_from(Product)) == 0


@pytest.mark.parametrize(
    ("row", "kind", "message"),
    [
        ({"id": 1, "titel": "x"}, errors.InvalidInput, "did you mean 'title'"),
        ({"id": 1, "title": "x", "category": None}, errors.InvalidInput, "relationship"),
        ({"id": 1, "title": "x", "shout": "X"}, errors.InvalidInput, "computed"),
        ({"id": 1, "title": "x", "embedding_hash": b""}, errors.InvalidInput, "kept by upsert"),
        ({"id": 1, "body": "x"}, errors.InvalidInput, "row 0 is new and gives no 'title'"),
        ({"id": 1, "title": "a\x00b"}, errors.InvalidText, "row 0: title holds a NUL"),
        ({"id": 1, "title": "x", "body": "a\ud800b"}, errors.InvalidInput, "lone surrogate"),
        ({"id": 1, "title": 5}, errors.InvalidInput, "title is a int"),
        ({"id": "1", "title": "x"}, errors.InvalidInput, "id is a str"),
        ({"id": 1, "title": "x", "body": 5}, errors.InvalidInput, "row 0: "),
        ({"id": 1, "title": "x", "embedding": [1.0]}, errors.DimensionMismatch, "row 0: embedding has 1 dim"),
        ({"id": 1, "title": "x", "embedding": [np.nan] * 16}, errors.InvalidVector, "row 0: .*NaN"),
        ([{"id": 1, "title": "x"}, {"id": 1, "title": "y"}], errors.DuplicateDocument, "row 1"),
        (Category(name="x"), errors.InvalidInput, "not a Category"),
        ([Category(name="x")], errors.InvalidInput, "row 0 is a Category"),
        ("text", errors.InvalidInput, "not a str"),
        (Product, errors.InvalidInput, "Product class"),
        (Product(title="x", category=Category(name="c")), errors.InvalidInput, "relationship 'category'"),
    ],
)
def test_bad_rows_are_refused(
    session: Session, embedder: HashedEmbedder, row: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        upsert(PRODUCTS, embedder, session, row)
    assert session.scalar(select(func.count()).select_from(Product)) == 0


def test_instances_of_elsewhere_are_refused(engine: Engine, session: Session, embedder: HashedEmbedder) -> None:
    product = Product(id=1, title="t")
    with Session(engine) as other:
        other.add(product)
        with pytest.raises(errors.InvalidInput, match="another session"):
            upsert(PRODUCTS, embedder, session, product)
        other.flush()
        other.expunge(product)
    with pytest.raises(errors.InvalidInput, match="detached"):
        upsert(PRODUCTS, embedder, session, product)


def test_another_embedder_is_refused(session: Session, embedder: HashedEmbedder) -> None:
    upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t", "body": "b"})
    other = HashedEmbedder()
    other._name = "other words"
    with pytest.raises(errors.EmbedderMismatch, match="second embedding column"):
        upsert(PRODUCTS, other, session, {"id": 2, "title": "t", "body": "b"})
    with pytest.raises(errors.EmbedderMismatch, match=r"Product.embedding has 16 dimensions.* 8"):
        Repository(Product, HashedEmbedder(8)).upsert(session, {"id": 2, "title": "t", "body": "b"})


@pytest.mark.parametrize(
    ("rows", "state", "message"),
    [
        ([{"id": 1, "title": "t", "sku": "a"}, {"id": 2, "title": "secret", "sku": "a"}], "23505", "products_sku_key"),
        ([{"id": 1, "title": "t", "sku": "secret beyond"}], "22001", "refused a value"),
        ([{"id": 1, "title": None}], "23502", "title"),
        ([{"id": 1, "title": "t", "category_id": 99}], "23503", "products_category_id_fkey"),
    ],
)
def test_constraints_are_named_and_rows_are_not(
    session: Session, embedder: HashedEmbedder, rows: Any, state: str, message: str
) -> None:
    with pytest.raises(errors.DatabaseError, match=message) as caught:
        upsert(PRODUCTS, embedder, session, rows)
    assert caught.value.sqlstate == state
    assert "secret" not in str(caught.value)
    with pytest.raises(errors.DatabaseError, match=r"roll.*back") as caught:
        upsert(PRODUCTS, embedder, session, {"id": 3, "title": "t"})
    assert caught.value.sqlstate == "25P02"
    session.rollback()
    assert upsert(PRODUCTS, embedder, session, {"id": 3, "title": "t"}).inserted == 1


def test_a_read_only_transaction_says_so(session: Session, embedder: HashedEmbedder) -> None:
    session.execute(text("SET TRANSACTION READ ONLY"))
    with pytest.raises(errors.DatabaseError, match="read-only") as caught:
        upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t", "body": "b"})
    assert caught.value.sqlstate == "25006"
    assert not embedder.seen


def test_statements_are_counted(session: Session, embedder: HashedEmbedder, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def note(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        sent.append(query)
        return execute(self, query, *args, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", note)
    rows = [{"id": i, "title": "t", "body": f"b{i}"} for i in range(30)]
    upsert(PRODUCTS, embedder, session, rows, batch_size=10)
    assert len(sent) == 1 + 3 * 2
    sent.clear()
    upsert(PRODUCTS, embedder, session, rows, batch_size=10)
    assert len(sent) == 1 + 3 * 2
    sent.clear()
    upsert(PRODUCTS, embedder, session, [{"id": i, "title": "t", "body": f"c{i}"} for i in range(20, 60)])
    assert len(sent) == 1 + 2
    session.execute(text("TRUNCATE products"))
    sent.clear()
    upsert(PRODUCTS, embedder, session, [{"id": i, "title": "t", "body": f"c{i}"} for i in range(64)])
    assert [statement.split()[0] for statement in sent[1:]] == ["SAVEPOINT", "RELEASE"]  # around the COPY


def test_many_new_rows_are_copied(session: Session, embedder: HashedEmbedder) -> None:
    rows = [{"id": i, "title": f"é {i}", "body": f"b{i}" if i % 3 else None, "price": i / 7} for i in range(200)]
    assert upsert(PRODUCTS, embedder, session, rows[:100]).inserted == 100
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(
        inserted=100, unchanged=100, chunks=67, embedded=67
    )
    stored = session.execute(select(Product.id, Product.title, Product.body, Product.price).order_by(Product.id)).all()
    assert [tuple(row) for row in stored] == [tuple(row.values()) for row in rows]
    np.testing.assert_array_equal(session.get_one(Product, 151).embedding, hashed_words(["b151"])[0])
    with pytest.raises(errors.InvalidText, match="row 70: title"):
        upsert(PRODUCTS, embedder, session, [{"id": 1000 + i, "title": "\x00"[: i == 70]} for i in range(100)])
    with pytest.raises(errors.InvalidInput, match="row 70: id"):
        upsert(PRODUCTS, embedder, session, [{"id": 1000 + i + 2**40 * (i == 70), "title": ""} for i in range(100)])


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize("was_empty", [True, False])
def test_another_writer_of_the_same_rows(engine: Engine, embedder: HashedEmbedder, count: int, was_empty: bool) -> None:
    """A row that appears after it was looked for is updated, whether its batch is copied or inserted."""
    rows = [{"id": 5000 + i, "title": "ours", "body": f"b{i}"} for i in range(count)]
    seen = []
    with Session(engine) as session, Session(engine) as other:
        if not was_empty:
            upsert(PRODUCTS, embedder, session, {"id": 1, "title": "ours", "body": "b"})

        def intrude(texts: list[str]) -> Any:
            seen.extend(texts)
            other.add(Product(id=5001, title="theirs", price=9))
            other.commit()
            return hashed_words(texts)

        intruding = FunctionEmbedder(intrude, dimensions=DIMENSIONS, name="hashed words")
        try:
            result = upsert(PRODUCTS, intruding, session, rows)
            assert session.scalars(select(Product.title).distinct()).all() == ["ours"]
            assert session.scalar(select(func.count()).select_from(Product)) == count + (not was_empty)
            assert session.get_one(Product, 5001).price == 9
            assert sorted(seen) == sorted(f"b{i}" for i in range(count))  # none twice
            if count > 64:  # the COPY has met the row
                assert result == UpsertResult(inserted=99, updated=1, chunks=100, embedded=100)
        finally:
            session.rollback()
            other.delete(other.get_one(Product, 5001))
            other.commit()


def test_another_writer_of_a_part_of_the_source(engine: Engine, embedder: HashedEmbedder) -> None:
    """The vector is made of what is stored then, not of the part that was given."""
    rows = [page(path=f"/{i}", title=f"t{i}") for i in range(100)]
    with Session(engine) as session, Session(engine) as other:

        def intruding() -> HashedEmbedder:
            upsert(PAGES, embedder, other, page(path="/7", content="theirs"))
            other.commit()
            return embedder

        try:
            assert upserting.upsert(PAGES, intruding, session, rows).updated == 1
            stored = session.scalars(select(Page).where(Page.path == "/7")).one()
            np.testing.assert_array_equal(stored.vector, hashed_words(["t7\n\ntheirs"])[0])
        finally:
            session.rollback()
            other.execute(text('DELETE FROM "other schema".pages'))
            other.commit()


def test_instances_of_several_tables_are_embedded_once_the_session_has_them(
    session: Session, embedder: HashedEmbedder
) -> None:
    books, book = ModelMapping.of(Book), Book(name="a", blurb="b")
    with pytest.raises(errors.ConfigurationError, match=r"session.add\(\)"):
        upsert(books, embedder, session, {"name": "a"})
    with pytest.raises(errors.ConfigurationError, match="several tables"):
        upsert(books, embedder, session, book)
    session.add(book)
    assert upsert(books, embedder, session, [book]) == UpsertResult(inserted=1, chunks=1, embedded=1)
    np.testing.assert_array_equal(book.embedding, hashed_words(["a\n\nb"])[0])
    book.name = "c"
    assert upsert(books, embedder, session, [book]) == UpsertResult(updated=1, chunks=1, embedded=1)
    assert upsert(books, embedder, session, [book]) == UpsertResult(unchanged=1)


def test_after_a_failed_flush_the_way_out_is_named(session: Session, embedder: HashedEmbedder) -> None:
    session.add(Product(title="t", category_id=99))
    with pytest.raises(IntegrityError):
        session.flush()
    with pytest.raises(errors.DatabaseError, match=r"session.rollback\(\)") as caught:
        upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t"})
    assert caught.value.sqlstate == "25P02"


def test_dataclasses_and_defaults_that_are_sql(session: Session, embedder: HashedEmbedder) -> None:
    events, code = ModelMapping.of(Event), text("SELECT DISTINCT code FROM events")
    made = [Event(id=i, name=f"n{i}") for i in range(3)]
    assert upsert(events, embedder, session, made) == UpsertResult(inserted=3, chunks=3, embedded=3)
    assert (made[0].code, made[0] in session) == ("NEW", True)
    many = [{"id": i, "name": f"n{i}"} for i in range(100)]
    assert upsert(events, embedder, session, many) == UpsertResult(inserted=97, unchanged=3, chunks=97, embedded=97)
    assert session.scalars(code).all() == ["NEW"]
    assert upsert(events, embedder, session, [row | {"name": "m"} for row in many]).updated == 100
    assert session.scalars(code).all() == ["old"]
    assert made[0].code == "old"


def test_a_schema_that_the_connection_puts_in_place(engine: Engine, embedder: HashedEmbedder) -> None:
    with Session(engine.execution_options(schema_translate_map={None: "elsewhere"})) as session:
        session.execute(text("CREATE SCHEMA elsewhere"))
        Base.metadata.create_all(session.connection())
        assert upsert(PRODUCTS, embedder, session, {"id": 1, "title": "t", "body": "b"}).inserted == 1
        assert session.scalar(text("SELECT count(*) FROM elsewhere.products")) == 1
        session.rollback()


def test_the_embedder_is_asked_for_when_a_text_needs_it(session: Session, embedder: HashedEmbedder) -> None:
    asked = []

    def load() -> HashedEmbedder:
        asked.append(1)
        return embedder

    upserting.upsert(PRODUCTS, load, session, {"id": 1, "title": "t", "embedding": [1.0] * DIMENSIONS})
    assert not asked
    upserting.upsert(PRODUCTS, load, session, [{"id": i, "title": "t", "body": "b"} for i in range(3)])
    assert len(asked) == 1


def test_rows_that_are_found_are_locked(engine: Engine, embedder: HashedEmbedder) -> None:
    """Else another writer could change the text after we have decided to keep the vector."""
    row = {"id": 6000, "title": "t", "body": "b"}
    with Session(engine) as session, Session(engine) as other:
        upsert(PRODUCTS, embedder, session, row)
        session.commit()
        assert upsert(PRODUCTS, embedder, session, row) == UpsertResult(unchanged=1)
        with pytest.raises(OperationalError, match="could not obtain lock"):
            other.execute(select(Product.id).with_for_update(nowait=True))
        session.delete(session.get_one(Product, 6000))
        session.commit()


def test_rows_of_every_kind_in_one_batch(session: Session, embedder: HashedEmbedder) -> None:
    stored, pending = Product(id=901, title="a", body="a"), Product(id=902, title="b", body="b")
    session.add(stored)
    session.flush()
    session.add(pending)
    stored.price = 9
    new = Product(title="d", body="d")
    rows = [
        stored,
        {"id": 903, "title": "c", "body": "c"},
        pending,
        {"id": 904, "title": "e", "embedding": [1.0] * DIMENSIONS},
        {"id": 905, "title": "f", "embedding": None, "body": " "},
        new,
    ]
    assert upsert(PRODUCTS, embedder, session, rows) == UpsertResult(inserted=5, updated=1, chunks=5, embedded=4)
    assert new in session
    filled = session.scalars(select(Product.title).where(Product.embedding.is_not(None)).order_by(Product.title)).all()
    assert filled == ["a", "b", "c", "d", "e"]


def test_nothing_of_a_batch_is_written_if_a_row_is_bad(session: Session, embedder: HashedEmbedder) -> None:
    good = [{"id": i, "title": "t", "body": "b"} for i in range(100)]
    for bad in ({"id": 200, "title": "t\x00"}, {"id": 200, "title": "t", "sku": 5}, {"id": 7, "body": "c"}):
        with pytest.raises(errors.VectorDBError):
            upsert(PRODUCTS, embedder, session, [*good, bad])
        assert session.scalar(select(func.count()).select_from(Product)) == 0
