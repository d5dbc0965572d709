"""Conditions of a search, as applications write them: the same rows as SQLAlchemy finds by its own SELECT."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Enum,
    ForeignKey,
    Integer,
    Table,
    TypeDecorator,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    insert,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    aliased,
    column_property,
    mapped_column,
    relationship,
)

from tests.conftest import Databases
from tests.orm.conftest import plain_engine
from tests.support import HashedEmbedder, hashed_words
from vectordb import F
from vectordb.errors import InvalidFilter
from vectordb.orm import embedding_column, text_search_column
from vectordb.orm.conditions import model_condition
from vectordb.orm.mapping import ModelMapping
from vectordb.orm.repository import Repository

ROWS = 2_000
TRICKY = [
    "it's",
    '"quoted"',
    "100%",
    "%s",
    "%(w0)s",
    ":w0",
    "a:b",
    "\\",
    "\\:x",
    "$1",
    "{}",
    "--",
    "/* */",
    ";",
    "é",
    "",
]


class Base(DeclarativeBase):
    """Base of the models of this module."""


class Colour(enum.Enum):
    """A type of PostgreSQL's own."""

    RED = "r"
    BLUE = "b"


class Shifted(TypeDecorator[int]):
    """Stores a number that is one more."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Any) -> int | None:
        return None if value is None else value + 1

    def process_result_value(self, value: int | None, dialect: Any) -> int | None:
        return None if value is None else value - 1


class Country(Base):
    """Two steps away from what is searched."""

    __tablename__ = "countries"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Maker(Base):
    """Of items, and of other makers."""

    __tablename__ = "makers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    country_id: Mapped[int] = mapped_column(ForeignKey("countries.id"))
    country: Mapped[Country] = relationship()


tagged = Table(
    "tagged",
    Base.metadata,
    Column("item_id", ForeignKey("items.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Tag(Base):
    """Many items have many."""

    __tablename__ = "tags"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Review(Base):
    """An item has several."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"), index=True)
    stars: Mapped[int]


class Item(Base):
    """What is searched."""

    __tablename__ = "items"

    id: Mapped[int] = mapped_column(primary_key=True)
    maker_id: Mapped[int | None] = mapped_column(ForeignKey("makers.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("items.id"))
    price: Mapped[float | None]
    cost: Mapped[Decimal]
    large: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    colour: Mapped[Colour] = mapped_column(Enum(Colour))
    day: Mapped[date]
    made_at: Mapped[datetime]
    sizes: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    shifted: Mapped[int] = mapped_column(Shifted)
    odd: Mapped[int] = mapped_column('it\'s "5:6" (%)')
    body: Mapped[str]
    embedding: Mapped[Any] = embedding_column(16, source="body")
    search: Mapped[Any] = text_search_column("body")
    maker: Mapped[Maker | None] = relationship()
    reviews: Mapped[list[Review]] = relationship()
    tags: Mapped[list[Tag]] = relationship(secondary=tagged)
    parent: Mapped[Item | None] = relationship(remote_side="Item.id")

    @hybrid_property
    def cheap(self) -> Any:
        return self.price < 5  # type: ignore[operator] # of the class, an expression


Item.reviews_written = column_property(
    select(func.count(Review.id)).where(Review.item_id == Item.id).correlate_except(Review).scalar_subquery(),
    deferred=True,
)


class Plan(Base):
    """A table called as a part of our statements is."""

    __tablename__ = "plan"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id"))


def rows() -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    words = ["red", "green", "blue", "shoe", "boot", "hat", "coat", "winter", "wool", "rain"]
    return [
        {
            "id": id,
            "maker_id": None if id % 11 == 0 else id % 7 + 1,
            "parent_id": None if id < 1000 else id - 1000,
            "price": None if id % 13 == 0 else float(id % 100),
            "cost": Decimal(id % 50) / 10,
            "large": 2**40 + id % 3,
            "name": TRICKY[id % len(TRICKY)],
            "colour": Colour.RED if id % 3 else Colour.BLUE,
            "day": date(2024, 1, 1) + timedelta(days=id % 60),
            "made_at": datetime(2024, 1, 1) + timedelta(hours=id % 100),
            "sizes": [id % 4, id % 5, 9],
            "data": {"a:b": f"x:{id % 5}", "100%": id % 4, "n": {"it's": [id % 6]}, "flag": id % 2 == 0},
            "shifted": id % 9,
            "odd": id % 4,
            "body": " ".join(rng.choice(words, 5)),
        }
        for id in range(ROWS)
    ]


ITEMS = rows()
VECTORS = hashed_words([row["body"] for row in ITEMS])
QUERY = hashed_words(["red coat rain"])[0]
DISTANCES = 1 - (VECTORS @ QUERY) / (np.linalg.norm(VECTORS, axis=1) * np.linalg.norm(QUERY))


@pytest.fixture(scope="module")
def shop(databases: Databases) -> Iterator[Engine]:
    url = databases.create()
    engine = plain_engine(url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(Country), [{"id": id, "name": f"country {id}"} for id in (1, 2)])
        makers = [{"id": id, "name": f"maker {id}", "country_id": id % 2 + 1} for id in range(1, 9)]
        session.execute(insert(Maker), makers)
        session.execute(insert(Tag), [{"id": id, "name": f"tag {id}"} for id in range(1, 6)])
        session.execute(insert(Item), [{**row, "embedding": v} for row, v in zip(ITEMS, VECTORS, strict=True)])
        session.execute(
            insert(tagged), [{"item_id": id, "tag_id": t} for id in range(ROWS) for t in {id % 5 + 1, id % 3 + 1}]
        )
        session.execute(insert(Review), [{"item_id": id % 500, "stars": id % 6} for id in range(1500)])
        session.execute(insert(Plan), [{"id": id, "item_id": id * 2} for id in range(200)])
        session.commit()
        session.execute(text("ANALYZE"))
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def session(shop: Engine) -> Iterator[Session]:
    with Session(shop) as session:
        yield session


@pytest.fixture(scope="module")
def repository() -> Repository[Item]:
    return Repository(Item, HashedEmbedder())


def distances(found: Any) -> Any:
    return np.array([hit.distance for hit in found])


def assert_same(session: Session, repository: Repository[Item], where: Sequence[Any], join: Sequence[Any] = ()) -> int:
    """Check what every kind of search finds against SQLAlchemy's own SELECT, and return how many match."""
    statement = select(Item.id).where(*where)
    for target in join:
        statement = statement.join(*target) if isinstance(target, tuple) else statement.join(target)
    matching = np.array(sorted(set(session.scalars(statement))), dtype=int)
    expected = np.sort(DISTANCES[matching])[:10]
    asked: list[dict[str, Any]] = [{"exact": True}, {"strategy": "iterative", "ef_search": 1000}, {}]
    for options in asked:
        found = repository.search(session, QUERY, where=where, join=join, **options)
        ids = [entity.id for entity in found.entities]
        assert len(set(ids)) == len(ids) == len(expected), options
        assert set(ids) <= set(matching.tolist()), options
        np.testing.assert_allclose(distances(found), expected, rtol=1e-4, atol=1e-6, err_msg=str(options))
    with_word = {id for id in matching.tolist() if "red" in ITEMS[id]["body"]}
    by_text = repository.search(session, "red", mode="text", where=where, join=join, limit=ROWS)
    assert {entity.id for entity in by_text.entities} == with_word
    both = repository.search(session, "red coat rain", where=where, join=join, limit=7)
    assert len(both) == min(7, len(matching))
    assert {entity.id for entity in both.entities} <= set(matching.tolist())
    ranked = repository.ranked("red", mode="text", where=where, join=join, candidates=ROWS)
    assert {row[0].id for row in session.execute(ranked)} == with_word
    return len(matching)


other = aliased(Item)
maker = aliased(Maker, name="m")

CONDITIONS: dict[str, list[Any]] = {
    "columns": [Item.price < 30, Item.cost > Decimal("1.5")],
    "none of them": [],
    "has": [Item.maker.has(Maker.name == "maker 3")],
    "has of has": [Item.maker.has(Maker.country.has(Country.name == "country 2"))],
    "not has": [~Item.maker.has()],
    "any": [Item.reviews.any(Review.stars > 4)],
    "any of many to many": [Item.tags.any(Tag.name == "tag 4")],
    "not any": [~Item.tags.any(Tag.id.in_([1, 2]))],
    "contains": [Item.parent.has(Item.price == 7)],
    "in select": [Item.maker_id.in_(select(Maker.id).where(Maker.name.like("%4")))],
    "in select of itself": [Item.id.in_(select(Item.parent_id).where(Item.price < 20))],
    "not in": [Item.maker_id.not_in([1, 2, 3])],
    "in nothing": [Item.maker_id.in_([])],
    "in many": [Item.id.in_(range(0, ROWS, 3))],
    "tuples": [tuple_(Item.maker_id, Item.colour).in_([(1, Colour.RED), (2, Colour.BLUE)])],
    "correlated exists": [exists().where(Review.item_id == Item.id, Review.stars == 5)],
    "correlated select": [select(Review.id).where(Review.item_id == Item.id).exists()],
    "not exists": [~exists().where(Review.item_id == Item.id)],
    "alias of itself": [exists().where(other.parent_id == Item.id, other.price > 50)],
    "alias of another": [exists().where(maker.id == Item.maker_id, maker.name.endswith("5"))],
    "scalar subquery": [Item.price > select(func.avg(other.price)).scalar_subquery()],
    "correlated scalar": [
        select(func.count(Review.id)).where(Review.item_id == Item.id).correlate(Item).scalar_subquery() > 2
    ],
    "column property": [Item.reviews_written == 3],  # type: ignore[attr-defined] # mapped after the class
    "hybrid": [Item.cheap],
    "or": [or_(Item.price < 3, and_(Item.colour == Colour.BLUE, Item.price > 95))],
    "not": [not_(or_(Item.price < 90, Item.colour == Colour.RED))],
    "null": [Item.price.is_(None)],
    "equals None": [Item.price == None],  # noqa: E711 - SQLAlchemy's way
    "not equal and null": [Item.price != 5],
    "distinct from": [Item.price.is_distinct_from(5)],
    "null condition": [null()],
    "true": [true(), Item.price < 50],
    "false": [false()],
    "between": [Item.day.between(date(2024, 1, 10), date(2024, 1, 12))],
    "datetime": [Item.made_at >= datetime(2024, 1, 4, 12)],
    "datetime with zone": [
        cast(Item.made_at, Item.made_at.type) < datetime(2024, 1, 3, tzinfo=UTC).replace(tzinfo=None)
    ],
    "bigint": [Item.large == 2**40 + 1],
    "type decorator": [Item.shifted == 4],
    "type decorator in": [Item.shifted.in_([4, 5])],
    "enum": [Item.colour == Colour.BLUE],
    "array contains": [Item.sizes.contains([3])],
    "array any": [literal(4) == func.any(Item.sizes)],
    "array element": [Item.sizes[1] == 2],
    "array slice": [Item.sizes[1:2] == [1, 1]],
    "array literal": [Item.maker_id == func.any(literal([1, 5], ARRAY(Integer)))],
    "json path": [Item.data["a:b"].astext == "x:3"],
    "json number": [Item.data["100%"].as_integer() == 2],
    "json nested": [Item.data[("n", "it's", "0")].astext == "4"],
    "json contains": [Item.data.contains({"flag": True})],
    "json key": [Item.data.has_key("a:b")],
    "like": [Item.name.like("%\\%%")],
    "ilike": [Item.name.ilike("%QUOTED%")],
    "contains text": [Item.name.contains("%", autoescape=True)],
    "modulo": [Item.id % 7 == 3],
    "regex": [Item.name.regexp_match("^[a-z]")],
    "case": [case((Item.price < 5, 1), else_=0) == 1],
    "function": [func.lower(Item.name) == "é"],
    "operator": [Item.name.op("||")("x") == ":w0x"],
    "boolean operator": [Item.sizes.bool_op("&&")([2, 8])],
    "a name with signs": [Item.odd == 3, Item.odd.in_([1, 3])],
    "literals": [literal_column("1") == 1, Item.price < literal(9)],
    **{f"value {value!r}": [Item.name == value] for value in TRICKY},
    "all values": [Item.name.in_(TRICKY[:7])],
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_search_finds_what_sqlalchemy_finds(session: Session, repository: Repository[Item], name: str) -> None:
    matching = assert_same(session, repository, CONDITIONS[name])
    empty = {"in nothing", "false", "null condition"}
    assert (matching == 0) == (name in empty)


JOINS: dict[str, tuple[list[Any], list[Any]]] = {
    "many to one": ([Maker.name == "maker 3"], [Item.maker]),
    "and of the item": ([Maker.name == "maker 3", Item.price < 50], [Item.maker]),
    "without a condition": ([], [Item.maker]),
    "one to many": ([Review.stars > 1], [Item.reviews]),
    "together": ([Review.stars > 1, Review.id % 7 == 0], [Item.reviews]),
    "many to many": ([Tag.name.in_(["tag 2", "tag 4"])], [Item.tags]),
    "two": ([Tag.id == 4, Maker.name.in_(["maker 2", "maker 5"])], [Item.tags, Item.maker]),
    "two steps": ([Country.name == "country 2"], [Item.maker, Maker.country]),
    "pair": ([Maker.name == "maker 2"], [(Maker, Maker.id == Item.maker_id)]),
    "pairs": (
        [Maker.id == 2, Review.stars == 5],
        [(Maker, Maker.id == Item.maker_id), (Review, Review.item_id == Item.id)],
    ),
    "alias": ([maker.name == "maker 2"], [(maker, maker.id == Item.maker_id)]),
    "alias of itself": ([other.price > 50, other.price > Item.price - 3], [(other, other.parent_id == Item.id)]),
    "of type": ([other.price == 7], [Item.parent.of_type(other)]),
    "table": ([tagged.c.tag_id == 3], [(tagged, tagged.c.item_id == Item.id)]),
    "compared": ([Maker.id * 10 > Item.price], [Item.maker]),
    "or over both": ([or_(Maker.id == 3, Item.price < 3)], [Item.maker]),
    "sub-select within": ([Maker.country_id.in_(select(Country.id).where(Country.name == "country 1"))], [Item.maker]),
}


@pytest.mark.parametrize("name", JOINS)
def test_joins(session: Session, repository: Repository[Item], name: str) -> None:
    where, join = JOINS[name]
    assert assert_same(session, repository, where, join) > 0


@pytest.mark.parametrize("name", JOINS)
def test_what_is_searched_is_not_joined_once_more(name: str) -> None:
    condition = model_condition(ModelMapping.of(Item), *JOINS[name])
    assert condition is not None
    assert not re.search(r"\bitems(,| \n|$)", condition.sql), condition.sql


def test_one_join_needs_no_list(session: Session, repository: Repository[Item]) -> None:
    for target in (Item.maker, (Maker, Maker.id == Item.maker_id), (maker, maker.id == Item.maker_id), (Item.maker,)):
        name = maker.name if isinstance(target, tuple) and target[0] is maker else Maker.name
        found = repository.search(session, QUERY, where=name == "maker 3", join=target)
        assert {entity.maker_id for entity in found.entities} == {3}
    two = repository.search(session, QUERY, where=[Tag.id == 4, Maker.id == 2], join=(Item.maker, Item.tags))
    assert {entity.maker_id for entity in two.entities} == {2}


def test_as_many_rows_as_asked_for_whatever_matches(session: Session, repository: Repository[Item]) -> None:
    """Of items whose maker, and whose words, are far from the query."""
    far = np.argsort(-DISTANCES)[:40].tolist()
    for where in (
        [Item.id.in_(far)],
        [exists().where(Review.item_id == Item.id, Review.stars == 5), Item.price > 70],
        [Item.body.not_like("%red%"), Item.body.not_like("%coat%"), Item.body.not_like("%rain%")],
    ):
        matching = session.scalar(select(func.count()).select_from(Item).where(*where)) or 0
        for limit in (10, 30):
            assert len(repository.search(session, QUERY, where=where, limit=limit)) == min(limit, matching)
            assert len(session.execute(repository.nearest(QUERY).where(*where).limit(limit)).all()) == min(
                limit, matching
            )


def test_a_single_condition_and_none(session: Session, repository: Repository[Item]) -> None:
    assert {e.price for e in repository.search(session, QUERY, where=Item.price == 5).entities} == {5.0}
    assert len(repository.search(session, QUERY, where=None)) == 10
    assert len(repository.search(session, QUERY, where=(Item.price == 5, Item.id < 100))) == 1
    assert len(repository.search(session, QUERY, where=[true()])) == 10
    for several in ({Item.price == 5, Item.id < 100}, (each for each in (Item.price == 5, Item.id < 100))):
        assert len(repository.search(session, QUERY, where=several)) == 1


NO_CONDITIONS: dict[str, tuple[Any, str]] = {
    "not joined": (Maker.name == "x", "makers, which is not joined"),
    "not joined, of two": ([Item.price < 3, Tag.name == "x"], "tags, which is not joined"),
    "an alias that is not joined": (aliased(Maker).name == "x", "an alias of makers, which is not joined"),
    "a filter of collections": (F("price") < 3, "not F"),
    "a dict": ({"price": 3}, "Product.price < 10"),
    "a text": ("price < 3", "Product.price < 10"),
    "a select": (select(Item.id), "SELECT is no filter"),
    "a number": (5, "no condition"),
    "a list of None": ([None], "None"),
    "a column that is no boolean": (Item.price, "compare it"),
    "a relationship": (Item.maker, "not joined"),
    "a class": (Item, "no condition"),
    "a missing value": (Item.name == text(":missing"), "all its values"),
    "a CTE": (Item.id.in_(select(select(Item.id).cte("some").c.id)), "CTE"),
    "another table called c": (exists().where(aliased(Maker, name="c").id == Item.maker_id), "called c"),
    "a NUL": (Item.name == "\0", "NUL"),
}


@pytest.mark.parametrize("name", NO_CONDITIONS)
def test_what_is_no_condition(session: Session, repository: Repository[Item], name: str) -> None:
    where, message = NO_CONDITIONS[name]
    with pytest.raises((InvalidFilter, ValueError), match=message):
        repository.search(session, QUERY, where=where)
    assert session.scalar(select(1)) == 1


@pytest.mark.parametrize(
    "join", ["maker", Item.price, 5, [Item.maker, Item.reviews, 7], Item.price < 3, Maker.country, Item.parent]
)
def test_what_is_no_join(session: Session, repository: Repository[Item], join: Any) -> None:
    with pytest.raises(InvalidFilter, match="join"):
        repository.search(session, QUERY, join=join)


def test_tables_called_as_parts_of_our_statements(session: Session, repository: Repository[Item]) -> None:
    where = [Item.id.in_(select(Plan.item_id).where(Plan.id > 100))]
    assert assert_same(session, repository, where) == 99


def test_a_filtered_statement_is_never_prepared(session: Session, repository: Repository[Item]) -> None:
    driver: Any = session.connection().connection.driver_connection
    before = driver.prepare_threshold
    session.execute(text("DEALLOCATE ALL"))
    asked: list[dict[str, Any]] = [{"mode": "vector"}, {"mode": "text"}, {}]
    for number in range(12):
        for options in asked:
            repository.search(session, "red", where=Item.price < number, **options)
    prepared = session.scalars(text("SELECT statement FROM pg_prepared_statements")).all()
    assert not [statement for statement in prepared if "price" in statement]
    assert driver.prepare_threshold == before
    with pytest.raises(Exception, match="PostgreSQL"):
        repository.search(session, "red", where=1 / (Item.price - Item.price) > 1)
    assert driver.prepare_threshold == before
    session.rollback()
