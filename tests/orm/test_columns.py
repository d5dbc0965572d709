from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector
from sqlalchemy import (
    Column,
    Computed,
    Engine,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_mock_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column, undefer

from tests.orm import models
from tests.orm.conftest import Statements, plain_engine
from tests.orm.models import DIMENSIONS, Animal, Cat, Dog, Image, Message, Note, Offer, Product, Store, Whale
from vectordb import HNSW, IVFFlat, Metric, Storage
from vectordb.errors import ConfigurationError, InvalidName
from vectordb.indexes import BM25
from vectordb.metrics import VectorSpace
from vectordb.orm import (
    Embedding,
    ModelMapping,
    TextSearch,
    embedding_column,
    embedding_of,
    hash_column_of,
    text_search_column,
    text_search_of,
)
from vectordb.vector_types import VectorColumn

Define = Callable[..., type[Any]]


@pytest.fixture
def define() -> Define:
    """What makes a model of the columns that are given, on a base of its own."""

    def make(name: str = "Item", *, table: str = "items", naming: dict[str, str] | None = None, **columns: Any) -> Any:
        class Base(DeclarativeBase):
            metadata = MetaData(naming_convention=naming)

        own = {"id": mapped_column(Text, primary_key=True), "body": mapped_column(Text)}
        return type(name, (Base,), {"__tablename__": table, **own, **columns})

    return make


def vectors(count: int, dimensions: int = DIMENSIONS) -> Any:
    return np.random.default_rng(7).standard_normal((count, dimensions)).astype(np.float32)


def quoted(table: Any) -> str:
    return f'"{table.name}"' if table.schema is None else f'"{table.schema}"."{table.name}"'


def table_of(model: type[Any]) -> Table:
    found = model.__table__
    assert isinstance(found, Table)
    return found


def index_of(model: type[Any], name: str) -> Index:
    (found,) = [index for index in table_of(model).indexes if index.name == name]
    return found


def options(index: Index) -> dict[str, Any]:
    return {name: index.dialect_options["postgresql"][name] for name in ("using", "with", "ops")}


def test_a_table_has_the_column_its_hash_and_its_index() -> None:
    table = table_of(Product)
    assert isinstance(table.c.embedding.type, VectorColumn)
    assert table.c.embedding.type.get_col_spec() == "vector(16)"
    assert isinstance(table.c.embedding_hash.type, LargeBinary)
    assert (table.c.embedding.nullable, table.c.embedding_hash.nullable) == (True, True)
    assert options(index_of(Product, "ix_products_embedding")) == {
        "using": "hnsw",
        "with": {"m": 16, "ef_construction": 64},
        "ops": {"embedding": "vector_cosine_ops"},
    }
    assert options(index_of(Image, "images_by_pixels")) == {
        "using": "ivfflat",
        "with": {"lists": 1},
        "ops": {"pixels": "halfvec_ip_ops"},
    }


def test_a_column_tells_what_it_declares() -> None:
    space = VectorSpace(DIMENSIONS, Metric.COSINE, Storage.VECTOR)
    assert embedding_of(table_of(Product).c.embedding) == Embedding(space, HNSW(), ("title", "body"))
    assert text_search_of(table_of(Product).c.search) == TextSearch(("title", "body"), "english", BM25())
    assert hash_column_of(table_of(Product).c.embedding) is table_of(Product).c.embedding_hash
    assert embedding_of(table_of(Product).c.title) is None
    assert text_search_of(table_of(Product).c.embedding) is None
    assert embedding_of(table_of(Product).c.embedding_hash) is None


@pytest.mark.parametrize("base", models.BASES)
def test_create_all_made_what_the_models_declare(engine: Engine, base: Any) -> None:
    catalogue = text(
        "SELECT array(SELECT attname::text FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS columns,"
        " array(SELECT i.relname::text FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = c.oid)"
        " AS names FROM pg_class c WHERE c.oid = to_regclass(:table)"
    )
    for table in base.metadata.sorted_tables:
        with engine.connect() as connection:
            found = connection.execute(catalogue, {"table": quoted(table)}).one()
        assert set(found.columns) == set(table.c.keys())
        assert set(found.names) >= {index.name for index in table.indexes}
    base.metadata.create_all(engine)  # a second time changes nothing


def test_names_by_convention_and_in_a_schema(engine: Engine) -> None:
    for model, name in ((Offer, "offers"), (Store, "stores")):
        table = table_of(model)
        assert {index.name for index in table.indexes} == {f"{name}_embedding_idx"}
        assert set(table.c.keys()) == {"id", "description", "embedding", "search", "embedding_hash"}
        tables = inspect(engine).get_table_names("Shop")
        assert {name, f"{name}_lexemes", f"{name}_text_changes"} <= set(tables)


def test_inheritance_keeps_columns_where_they_belong() -> None:
    assert {"embedding", "embedding_hash", "tricks_embedding", "tricks_embedding_hash"} <= set(
        table_of(Animal).c.keys()
    )
    assert "embedding" not in table_of(Whale).c
    assert {"song_embedding", "song_embedding_hash"} <= set(table_of(Whale).c.keys())
    mapped = {model: set(inspect(model).column_attrs.keys()) for model in (Animal, Dog, Cat, Whale)}
    assert {name for name in mapped[Animal] if "embedding" in name} == {"embedding", "embedding_hash"}
    assert mapped[Cat] == mapped[Animal]
    assert mapped[Dog] - mapped[Animal] == {"tricks", "tricks_embedding", "tricks_embedding_hash"}
    assert mapped[Whale] - mapped[Animal] == {"song", "song_embedding", "song_embedding_hash", "song_search"}


def test_a_dataclass_takes_the_embedding_and_not_its_hash() -> None:
    embedding = vectors(1)[0]
    note = Note("text", embedding=embedding)
    assert note.embedding is embedding
    assert "embedding" not in repr(note)
    assert Note("text").embedding is None
    for name in ("embedding_hash", "search"):
        arguments: dict[str, Any] = {name: None}
        with pytest.raises(TypeError, match=name):
            Note("text", **arguments)


def test_copies_of_a_table_are_equal_and_work(database_url: str) -> None:
    """As `to_metadata` makes them; the second copy is one of a copy."""
    original = table_of(Message)
    copied = original.to_metadata(MetaData()).to_metadata(MetaData())
    assert copied.c.keys() == original.c.keys()
    assert [index.name for index in copied.indexes] == [index.name for index in original.indexes]
    engine = plain_engine(database_url)
    with engine.begin() as connection:
        copied.create(connection)
        assert has_text_index(connection, '"Message Log_lexemes"')
        copied.drop(connection)
        assert not has_text_index(connection, '"Message Log_lexemes"')
    engine.dispose()


@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
def test_create_all_and_drop_all_from_nothing_to_nothing(database_url: str, isolation: Any) -> None:
    engine = plain_engine(database_url)
    if isolation:
        engine = engine.execution_options(isolation_level=isolation)
    # The functions that all text indexes share stay, in a schema of their own.
    objects = text(
        "SELECT count(*) FROM (SELECT relnamespace FROM pg_class"
        " UNION ALL SELECT pronamespace FROM pg_proc WHERE proname LIKE '%\\_text\\_%') AS found (namespace)"
        " JOIN pg_namespace n ON n.oid = namespace WHERE nspname !~ '^pg_|^information_schema$'"
    )
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "Shop"'))
    for _ in range(2):
        for base in models.BASES:
            base.metadata.create_all(engine)
        with engine.connect() as connection:
            assert connection.scalar(objects) > 30
        for base in models.BASES:
            base.metadata.drop_all(engine)
            base.metadata.drop_all(engine)
        with engine.connect() as connection:
            assert connection.scalar(objects) == 0
    engine.dispose()


def test_a_schema_of_the_search_path_and_a_translated_one(database_url: str) -> None:
    engine = plain_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text('CREATE SCHEMA "First"; CREATE SCHEMA second'))
        connection.execute(text('SET LOCAL search_path = "First", public'))
        Message.metadata.create_all(connection, tables=[table_of(Message)])
        assert has_text_index(connection, '"First"."Message Log_lexemes"')
        connection.execute(text('SET LOCAL search_path = second, "First", public'))
        Message.metadata.drop_all(connection, tables=[table_of(Message)], checkfirst=False)
        assert not has_text_index(connection, '"First"."Message Log_lexemes"')
        moved = connection.execution_options(schema_translate_map={None: "second"})
        connection.execute(text('SET LOCAL search_path = public, "First"'))
        Message.metadata.create_all(moved, tables=[table_of(Message)])
        assert has_text_index(connection, 'second."Message Log_lexemes"')
        Message.metadata.drop_all(moved, tables=[table_of(Message)])
        assert not has_text_index(connection, 'second."Message Log_lexemes"')
    engine.dispose()


def has_text_index(connection: Any, table: str) -> bool:
    return connection.scalar(text("SELECT to_regclass(:name)"), {"name": table}) is not None


def test_the_text_index_counts_what_sessions_write(session: Session) -> None:
    session.add_all([Message(channel="a", number=n, content=f"red number {n}") for n in range(3)])
    session.flush()
    session.delete(session.get_one(Message, ("a", 0)))
    session.flush()
    plan = text("SELECT lexemes, weights, average FROM \"Message Log_text_plan\"('red 2', 10)")
    lexemes, _, average = session.execute(plan).one()
    assert (sorted(lexemes), average) == (["2", "red"], 3.0)


def test_an_offline_engine_gets_all_of_it() -> None:
    sent: list[str] = []

    def note(statement: Any, *_: Any) -> None:
        sent.append(str(statement.compile(dialect=engine.dialect)).strip())

    engine = create_mock_engine("postgresql+psycopg://", note)
    Product.metadata.create_all(engine)
    Product.metadata.drop_all(engine)
    script = "\n".join(sent)
    order = [
        "CREATE EXTENSION IF NOT EXISTS vector",
        "CREATE TABLE products",
        'ALTER TABLE "products" ALTER COLUMN "embedding" SET STORAGE PLAIN',
        'CREATE TABLE "public"."products_lexemes"',
        'DROP TABLE IF EXISTS "public"."products_lexemes"',
        "DROP TABLE products",
    ]
    assert sorted(order, key=script.index) == order


def test_another_database_gets_a_plain_table() -> None:
    sent: list[str] = []

    def note(statement: Any, *_: Any) -> None:
        sent.append(str(statement.compile(dialect=engine.dialect)))

    engine = create_mock_engine("sqlite://", note)
    Animal.metadata.create_all(engine, tables=[table_of(Animal)])
    Animal.metadata.drop_all(engine, tables=[table_of(Animal)])
    assert [line.split()[0] for line in sent] == ["CREATE", "CREATE", "CREATE", "DROP"]


def test_an_async_engine_creates_and_drops(database_url: str) -> None:
    async def run() -> list[bool]:
        engine = create_async_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
        found = []
        async with engine.begin() as connection:
            for step in (Message.metadata.create_all, Message.metadata.drop_all):
                await connection.run_sync(step)
                found.append(await connection.run_sync(has_text_index, '"Message Log_lexemes"'))
        await engine.dispose()
        return found

    assert asyncio.run(run()) == [True, False]


def test_vectors_are_kept_in_the_row_while_they_fit(database_url: str, define: Define) -> None:
    item = define(
        first=embedding_column(1000, index=None),
        second=embedding_column(1000, index=None),
        third=embedding_column(1000, storage="halfvec", index=None),
        sparse=embedding_column(5000, storage="sparsevec", index=None),
        bits=embedding_column(64, storage="bit", metric="hamming"),
    )
    engine = plain_engine(database_url)
    with Session(engine) as session:
        item.metadata.create_all(session.connection())
        storage = "SELECT attname, attstorage FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 1"
        found = dict(tuple(row) for row in session.execute(text(storage)))
        kept = {name for name, kind in found.items() if kind == "p" and not name.endswith("_hash")}
        assert kept == {"first", "third", "bits"}
        whole = {"first": vectors(1, 1000)[0], "second": vectors(1, 1000)[0], "third": vectors(1, 1000)[0]}
        session.add(item(id="a", body="x" * 9000, sparse=[1.0] * 900 + [0.0] * 4100, bits=[1] * 64, **whole))
        session.flush()
    engine.dispose()


def test_loading_entities_fetches_no_embedding(session: Session, statements: Statements) -> None:
    embedding = vectors(1)[0]
    session.add_all(
        [Product(title="a", embedding=embedding), Whale(song="la", song_embedding=embedding), Dog(tricks="sit")]
    )
    session.commit()
    with statements() as sent:
        for model in (Product, Animal, Dog, Whale):
            session.scalars(select(model)).all()
        assert len(sent) >= 4
        assert not any("embedding" in statement or "search" in statement for statement in sent)
    product = session.scalars(select(Product)).one()
    with statements() as sent:
        product.embedding_hash  # type: ignore[attr-defined] # noqa: B018 - declared by the library, read by the test
        assert "products.embedding_hash" in sent[0]
        assert "products.embedding," not in sent[0]
        assert product.embedding is not None
        assert len(sent) == 2
    session.expire_all()
    with statements() as sent:
        found = session.scalars(select(Product).options(undefer(Product.embedding))).one()
        np.testing.assert_array_equal(np.asarray(found.embedding), embedding)
        assert len(sent) == 1


def test_instances_are_inserted_without_reading_lexemes_back(session: Session, statements: Statements) -> None:
    with statements() as sent:
        products = [Product(title="red"), Product(title="blue")]
        session.add_all(products)
        session.flush()
        assert not any("search" in statement for statement in sent)
    assert [product.search for product in products] == ["'red':1", "'blue':1"]


def test_vectors_travel_in_binary_and_come_back_as_they_were(engine: Engine, session: Session) -> None:
    seen: list[Any] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[3]))
    image = Image(caption="x", caption_embedding=vectors(1)[0], pixels=[1, 2, 3, 4, 5, 6, 7, 8])
    session.add(image)
    session.commit()
    assert isinstance(image.id, uuid.UUID)
    values = [value for parameters in seen if isinstance(parameters, dict) for value in parameters.values()]
    assert sorted(len(value) for value in values if isinstance(value, bytes)) == [4 + 2 * 8, 4 + 4 * DIMENSIONS]
    for found, expected in ((image.caption_embedding, vectors(1)[0]), (image.pixels, np.arange(1, 9))):
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.ndim) == (np.dtype(np.float32), 1)
        np.testing.assert_array_equal(found, expected)


class ToNumpy:
    def to_numpy(self) -> Any:
        return np.array([1, 0, 1], dtype=np.float16)


class ToList:
    def to_list(self) -> list[Any]:
        return [True, False, True]


@pytest.mark.parametrize(
    "value",
    [
        "[1,0,1]",
        [1.0, 0.0, 1.0],
        np.array([1, 0, 1], dtype=np.float64),
        np.array([1, 0, 1], ">f4"),
        ToNumpy(),
        ToList(),
    ],
    ids=["text", "list", "array", "big endian", "to_numpy", "to_list"],
)
def test_whatever_an_adapter_returns_becomes_an_array(value: Any) -> None:
    process = VectorColumn("vector", 3).result_processor(postgresql.dialect(), None)  # type: ignore[no-untyped-call] # SQLAlchemy's
    found = process(value)
    assert found is not None
    assert found.dtype == np.float32
    assert (found.shape, found.dtype.isnative) == ((3,), True)
    assert found.tolist() == [1, 0, 1]
    assert process(None) is None


def test_an_engine_that_has_registered_pgvector_gives_the_same(orm_url: str) -> None:
    engine = plain_engine(orm_url)

    @event.listens_for(engine, "connect")
    def _(connection: psycopg.Connection, *_: Any) -> None:
        register_vector(connection)
        connection.commit()

    with Session(engine) as session:
        image = Image(caption_embedding=vectors(1)[0], pixels=np.arange(8))
        session.add(image)
        session.flush()
        session.refresh(image, ["caption_embedding", "pixels"])
        for found, expected in ((image.caption_embedding, vectors(1)[0]), (image.pixels, np.arange(8))):
            assert isinstance(found, np.ndarray)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)
    engine.dispose()


def test_a_select_by_distance_uses_the_index(session: Session) -> None:
    session.add_all([Product(embedding=row) for row in vectors(100)])
    session.flush()
    nearest = select(Product.id).order_by(Product.embedding.cosine_distance(vectors(3)[2])).limit(3)
    first = session.scalars(nearest).all()[0]
    np.testing.assert_array_equal(np.asarray(session.get_one(Product, first).embedding), vectors(3)[2])

    def explain(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> tuple[str, Any]:
        return f"EXPLAIN {statement}", parameters

    connection = session.connection()
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    event.listen(connection, "before_cursor_execute", explain, retval=True)
    plan = str(connection.scalars(nearest).all())
    event.remove(connection, "before_cursor_execute", explain)
    assert "Index Scan using ix_products_embedding" in plan


def test_generated_text_reads_back_as_it_was_written(engine: Engine) -> None:
    """Alembic compares the two without blanks, quotes and parentheses, and warns where they differ."""

    def bare(expression: object) -> str:
        return "".join(c for c in str(expression).lower() if c not in " ()'\"[]\t\r\n")

    generated = text(
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef"
        " JOIN pg_attribute a ON (attrelid, a.attnum) = (adrelid, adnum)"
        " WHERE adrelid = to_regclass(:table) AND attname = :column"
    )
    tables = [table for base in models.BASES for table in base.metadata.sorted_tables]
    columns = [(column, column.computed) for table in tables for column in table.c if column.computed is not None]
    assert len(columns) == 6
    with engine.connect() as connection:
        for column, computed in columns:
            place = {"table": quoted(column.table), "column": column.name}
            assert bare(connection.scalar(generated, place)) == bare(computed.sqltext)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dimensions": 0}, "1 to 16000"),
        ({"dimensions": "16"}, "whole number"),
        ({"metric": "cosin"}, "metric is one of"),
        ({"storage": "float"}, "storage is one of"),
        ({"metric": "hamming"}, "compared by"),
        ({"dimensions": 3000}, "halfvec"),
        ({"metric": "l1", "index": IVFFlat()}, "use hnsw"),
        ({"index": "hnsw"}, "an index is HNSW"),
        ({"index": BM25()}, "an index is HNSW"),
        ({"source": 5}, "the source of an embedding"),
        ({"source": ""}, "the source of an embedding"),
        ({"source": ()}, "the source of an embedding"),
        ({"source": ("body", 1)}, "the source of an embedding"),
    ],
)
def test_a_wrong_embedding_is_refused_where_it_is_declared(wrong: dict[str, Any], message: str) -> None:
    arguments = {"dimensions": 16, **wrong}
    with pytest.raises(ConfigurationError, match=message):
        embedding_column(**arguments)


def test_a_wrong_text_search_is_refused_where_it_is_declared() -> None:
    for sources in ((), ("",), (5,)):
        with pytest.raises(ConfigurationError, match="names the attributes"):
            text_search_column(*sources)
    with pytest.raises(ConfigurationError, match="a text index is BM25"):
        text_search_column("body", index=HNSW())  # type: ignore[arg-type] # is tested
    for config in ("english'); DROP TABLE items; --", "", 5):
        with pytest.raises(InvalidName):
            text_search_column("body", config=config)  # type: ignore[arg-type] # is tested


def test_wrong_models_are_refused_when_they_are_mapped(define: Define) -> None:
    with pytest.raises(ConfigurationError, match="Item has no attribute 'bodi', which its embedding is made of"):
        define(embedding=embedding_column(3, source="bodi"))
    with pytest.raises(ConfigurationError, match="embedding of Item cannot be made of itself"):
        define(embedding=embedding_column(3, source=("body", "embedding")))
    with pytest.raises(ConfigurationError, match="Item has no column 'bodi' in the table 'items'"):
        define(search=text_search_column("body", "bodi"))
    with pytest.raises(ConfigurationError, match="text indexes on first and second"):
        define(first=text_search_column("body"), second=text_search_column("body", config="simple"))
    with pytest.raises(ConfigurationError, match="'embedding_hash' already"):
        define(embedding=embedding_column(3), embedding_hash=mapped_column(Text))
    with pytest.raises(ConfigurationError, match="'embedding_hash' already"):
        define(embedding=embedding_column(3), embedding_hash=property(lambda self: b""))
    define(first=text_search_column("body"), second=text_search_column("body", config="simple", index=None))


def test_a_source_in_the_table_of_a_parent_is_refused() -> None:
    class Base(DeclarativeBase):
        pass

    class Parent(Base):
        __tablename__ = "parents"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    with pytest.raises(ConfigurationError, match="no column 'name' in the table 'children'"):

        class Child(Parent):
            __tablename__ = "children"
            id: Mapped[int] = mapped_column(ForeignKey(Parent.id), primary_key=True)
            search = text_search_column("name")


def test_names_that_postgresql_would_cut_off_are_refused(define: Define) -> None:
    long = "x" * 64
    with pytest.raises(InvalidName, match="64 bytes"):
        embedding_column(16, index_name=long)
    with pytest.raises(InvalidName, match="64 bytes"):
        text_search_column("body", index_name=long)
    with pytest.raises(InvalidName, match=r"ix_x+_embedding"):
        define(table="x" * 52, embedding=embedding_column(3))
    naming = {"ix": "%(table_name)s_%(column_0_name)s_index"}
    with pytest.raises(InvalidName, match="_embedding_index"):
        define(table="x" * 48, naming=naming, embedding=embedding_column(3))
    with pytest.raises(InvalidName, match="é_hash"):
        define(**{"é" * 30: embedding_column(3, index=None)})
    with pytest.raises(InvalidName, match="_text_change"):
        define(table="x" * 51, s=text_search_column("body"))
    define(table="x" * 63, embedding=embedding_column(3, index=None), s=text_search_column("body", index=None))
    define(table="x" * 50, embedding=embedding_column(3, index_name="short"), search=text_search_column("body"))


def test_options_of_columns_pass_through(define: Define) -> None:
    item = define(
        embedding=embedding_column(3, nullable=False, deferred=False, info={"mine": 1}, comment="why", name="vec"),
        search=text_search_column("body", comment="found by"),
    )
    column = table_of(item).c.vec
    assert (column.nullable, column.comment, column.info["mine"]) == (False, "why", 1)
    assert embedding_of(column) is not None
    assert table_of(item).c.search.comment == "found by"
    assert "items.vec" in str(select(item))
    assert hash_column_of(column).name == "vec_hash"
    assert item.embedding_hash.property.columns == [hash_column_of(column)]


def test_an_embedding_added_to_a_mapped_class_has_no_hash(define: Define) -> None:
    item = define()
    item.embedding = embedding_column(3)
    with pytest.raises(ConfigurationError, match="in the body of a mapped class"):
        hash_column_of(table_of(item).c.embedding)


def test_a_plain_column_is_left_alone(define: Define) -> None:
    item = define(vector=mapped_column(VectorColumn("vector", 3)), twice=mapped_column(Text, Computed("body")))
    assert set(table_of(item).c.keys()) == {"id", "body", "vector", "twice"}
    assert isinstance(table_of(item).c.vector, Column)
    assert not table_of(item).indexes


def test_concrete_inheritance_works() -> None:
    class Base(DeclarativeBase):
        pass

    class Parent(Base):
        __tablename__ = "parents"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        embedding: Mapped[models.Vector | None] = embedding_column(3, source="body")

    class Child(Parent):
        __tablename__ = "children"
        __mapper_args__ = {"concrete": True}  # noqa: RUF012 - SQLAlchemy does not have it as a ClassVar
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        embedding: Mapped[models.Vector | None] = embedding_column(4, source="body")

    for model in (Parent, Child):
        assert ModelMapping.of(model).table is model.__table__
        (prop,) = [p for p in inspect(model).column_attrs if p.key == "embedding_hash"]
        assert prop.columns == [table_of(model).c.embedding_hash]
        assert prop.deferred


def test_a_dataclass_mixin_works() -> None:
    class Described(MappedAsDataclass):
        body: Mapped[str] = mapped_column(Text)
        embedding: Mapped[models.Vector | None] = embedding_column(3, source="body", default=None)

    class Base(MappedAsDataclass, DeclarativeBase):
        pass

    class One(Described, Base):
        __tablename__ = "ones"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)

    class Two(Described, Base):
        __tablename__ = "twos"
        id: Mapped[int] = mapped_column(primary_key=True, init=False)

    for model in (One, Two):
        assert {index.name for index in table_of(model).indexes} == {f"ix_{model.__tablename__}_embedding"}
        assert model("x").body == "x"
        assert hash_column_of(table_of(model).c.embedding).table is table_of(model)
