"""`Repository.nearest` and `ranked`: SELECTs that compose as any other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import BigInteger, Engine, event, exists, func, insert, literal, select, text, union_all
from sqlalchemy.orm import Session, aliased, selectinload, undefer

from tests.conftest import Databases
from tests.orm.conftest import plain_engine
from tests.orm.models import Base, Category, Image, Message, Product
from tests.support import HashedEmbedder, hashed_words
from vectordb import RRF, Bounded, RelativeScore
from vectordb.errors import ConfigurationError, DimensionMismatch, InvalidFilter, InvalidInput, InvalidVector
from vectordb.orm.repository import Repository

ROWS = 3_000
WORDS = ["red", "green", "blue", "shoe", "boot", "hat", "coat", "winter", "wool", "rain", "snow", "light"]


def texts() -> list[str]:
    rng = np.random.default_rng(4)
    return [" ".join(rng.choice(WORDS, 5)) for _ in range(ROWS)]


TEXTS = texts()
VECTORS = hashed_words(TEXTS)
QUERY = hashed_words(["red coat"])[0]
DISTANCES = 1 - (VECTORS @ QUERY) / (np.linalg.norm(VECTORS, axis=1) * np.linalg.norm(QUERY))


@pytest.fixture(scope="module")
def catalogue(databases: Databases) -> Iterator[Engine]:
    """Products of ten categories; every hundredth has no embedding."""
    url = databases.create()
    engine = plain_engine(url)
    tables = [model.__table__ for model in (Category, Product, Message)]
    Base.metadata.create_all(engine, tables=tables)  # type: ignore[arg-type]
    with Session(engine) as session:
        session.execute(insert(Category), [{"id": id, "name": f"cat{id}"} for id in range(10)])
        rows = [
            {"id": id, "category_id": id % 10, "price": float(id % 1000), "body": body}
            | {"embedding": VECTORS[id] if id % 100 else None}
            for id, body in enumerate(TEXTS)
        ]
        session.execute(insert(Product), rows)
        session.commit()
        session.execute(text("ANALYZE"))
        session.commit()
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def session(catalogue: Engine) -> Iterator[Session]:
    with Session(catalogue) as session:
        yield session


@pytest.fixture(scope="module")
def products() -> Repository[Product]:
    return Repository(Product, HashedEmbedder())


def expected(ids: Any) -> Any:
    return np.sort([DISTANCES[id] for id in ids if id % 100])


def assert_nearest(rows: Any, ids: Any, limit: int) -> None:
    np.testing.assert_allclose([distance for _, distance in rows], expected(ids)[:limit], rtol=1e-4, atol=1e-6)


def plan_of(session: Session, statement: Any) -> str:
    sent: list[Any] = []
    connection = session.connection()
    event.listen(connection.engine, "before_cursor_execute", note := lambda *given: sent.append(given[2:4]))
    session.execute(statement)
    event.remove(connection.engine, "before_cursor_execute", note)
    sql, parameters = sent[-1]
    return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {sql}", parameters))


def test_nearest_goes_by_the_index(session: Session, products: Repository[Product]) -> None:
    statement = products.nearest(QUERY, ef_search=1000)
    assert "ix_products_embedding" in plan_of(session, statement.limit(10))
    assert "ix_products_embedding" in plan_of(session, statement.where(Product.price < 900).limit(10))
    if session.scalar(text("SELECT current_setting('server_version_num')::int >= 170000")):
        assert "ix_products_embedding" in plan_of(session, statement.order_by(Product.id).limit(10))
    assert "ix_products_embedding" not in plan_of(session, products.nearest(QUERY, exact=True).limit(10))
    assert_nearest(session.execute(statement.limit(10)).all(), range(ROWS), 10)
    exact = session.execute(products.nearest("red coat", exact=True).limit(10)).all()
    assert_nearest(exact, range(ROWS), 10)
    assert [row.distance for row in exact] == [row[1] for row in exact]


def test_all_rows_with_an_embedding(session: Session, products: Repository[Product]) -> None:
    for exact in (True, False):
        statement = products.nearest(QUERY, exact=exact)
        assert len(session.execute(statement).all()) == ROWS - 30
        counted = select(func.count()).select_from(statement.order_by(None).subquery())
        assert session.scalar(counted) == ROWS - 30


@pytest.mark.parametrize("exact", [True, False])
def test_conditions_joins_and_pages(session: Session, products: Repository[Product], exact: bool) -> None:
    base = products.nearest(QUERY, exact=exact, ef_search=500)
    for price in (1000, 100, 3):
        ids = [id for id in range(ROWS) if id % 1000 < price and id % 10 == 3]
        joined = base.join(Product.category).where(Category.name == "cat3", Product.price < price)
        assert_nearest(session.execute(joined.limit(20)).all(), ids, 20)
        has = base.where(Product.category.has(name="cat3"), Product.price < price)
        assert_nearest(session.execute(has.limit(20)).all(), ids, 20)
    # Rows of one distance have no order of their own.
    paged = base.where(Product.price < 10).order_by(Product.id).limit(7)
    pages = [session.execute(paged.offset(offset)).all() for offset in range(0, 35, 7)]
    found = [product.id for page in pages for product, _ in page]
    assert sorted(found) == [id for id in range(ROWS) if id % 1000 < 10 and id % 100]
    with_count = base.add_columns(Category.name).join(Product.category).limit(3)
    assert [len(row) for row in session.execute(with_count)] == [3, 3, 3]


def test_subqueries_and_aliases(session: Session, products: Repository[Product]) -> None:
    best = products.nearest(QUERY, exact=True).where(Product.price < 50).limit(5)
    of_these = [row[0].id for row in session.execute(best)]
    near = best.subquery()
    ids = session.scalars(select(near.c.id).order_by(near.c.distance)).all()
    assert ids == of_these
    nearby = aliased(Product, near)
    entities = session.execute(select(nearby, near.c.distance).order_by(near.c.distance)).all()
    assert [entity.id for entity, _ in entities] == of_these
    assert entities[0][0].embedding.shape == (16,)
    named = select(Category.name).join(near, near.c.category_id == Category.id).distinct()
    assert set(session.scalars(named)) == {f"cat{id % 10}" for id in of_these}
    inside = select(Product.id).where(exists().where(near.c.id == Product.id))
    assert sorted(session.scalars(inside)) == sorted(of_these)
    cte = best.cte("best")
    assert sorted(session.scalars(select(cte.c.id))) == sorted(of_these)
    deep = best.options(selectinload(Product.category), undefer(Product.embedding))
    session.expunge_all()
    assert all(product.__dict__["embedding"] is not None for product, _ in session.execute(deep))


def test_a_label_where_the_model_has_a_column_of_that_name(session: Session, products: Repository[Product]) -> None:
    near = products.nearest(QUERY, label="away").limit(3)
    best = products.ranked("red coat", label="fit").limit(3)
    for statement, name in ((near, "away"), (best, "fit")):
        numbers = [row[1] for row in session.execute(statement)]
        assert sorted(session.scalars(select(statement.subquery().c[name]))) == sorted(numbers)


def test_two_queries_in_one_statement(session: Session, products: Repository[Product]) -> None:
    """Each keeps its own parameters."""
    parts, alone = [], []
    for query, price in (("red coat", 50), ("blue hat", 30)):
        for found in (
            products.nearest(query, exact=True).where(Product.price < price).limit(3),
            products.ranked(query, where=Product.price < price).limit(3),
            products.ranked(query, where=Product.price < price, mode="text").limit(3),
        ):
            parts.append(select(found.subquery().c.id))
            alone.append(sorted(product.id for product, _ in session.execute(found)))
    together = session.execute(union_all(*parts)).scalars().all()
    assert sorted(together) == sorted(id for ids in alone for id in ids)
    assert len({tuple(ids) for ids in alone}) > 2


def test_executed_again_and_elsewhere(catalogue: Engine, products: Repository[Product]) -> None:
    statements = [
        products.nearest("red coat").limit(4),
        products.ranked("red coat").limit(4),
        products.ranked("red coat", mode="text", where=Product.price < 40).limit(4),
    ]
    for statement in statements:
        found = []
        for _ in range(7):
            with Session(catalogue) as session:
                found += [[(row[0].id, row[1]) for row in session.execute(statement)] for _ in range(2)]
        assert len(found[0]) == 4
        assert all(other == found[0] for other in found)


def test_a_column_of_a_view_without_the_entity(session: Session, products: Repository[Product]) -> None:
    statement = products.ranked("red coat").limit(3)
    scores = session.scalars(statement.with_only_columns(statement.selected_columns.score)).all()
    assert scores == [row.score for row in session.execute(statement)]


@pytest.mark.parametrize("fusion", [None, Bounded(0.2), RRF(), RelativeScore(), "rrf"])
def test_ranked_is_as_search(session: Session, products: Repository[Product], fusion: Any) -> None:
    for where in ((), [Product.price < 20], [Product.category.has(Category.name == "cat3"), Product.price < 300]):
        hits = products.search(session, "red coat", where=where, fusion=fusion, limit=9, strategy="exact")
        statement = products.ranked("red coat", where=where, fusion=fusion, candidates=40, ef_search=1000)
        rows = session.execute(statement.limit(9)).all()
        np.testing.assert_allclose([row.score for row in rows], [hit.score for hit in hits], rtol=1e-5)
    joined = products.ranked("red coat", where=Category.name == "cat3", join=Product.category, fusion=fusion).limit(5)
    assert {product.category_id for product, _ in session.execute(joined)} == {3}
    later = products.ranked("red coat", fusion=fusion).join(Product.category).where(Category.name == "cat3").limit(5)
    assert {product.category_id for product, _ in session.execute(later)} == {3}


def test_candidates_bound_what_a_ranking_is_about(session: Session, products: Repository[Product]) -> None:
    count = func.count()
    few = products.ranked("red coat", mode="text", candidates=7).order_by(None).subquery()
    assert session.scalar(select(count).select_from(few)) == 7
    both = products.ranked("red coat", candidates=7).order_by(None).subquery()
    assert 7 <= (session.scalar(select(count).select_from(both)) or 0) <= 14


def test_values_are_sent_as_the_condition_has_them(session: Session, products: Repository[Product]) -> None:
    """Large numbers, and texts in which naive SQL would go wrong."""
    assert session.execute(products.ranked("red", where=Product.id < literal(2**40, BigInteger())).limit(2)).all()
    for value in ("it's", "100%", "%s", ":w0", "%(w0)s", "\\", "a:b"):
        for mode in ("text", "hybrid"):
            where = (Product.body + value).endswith(value, autoescape=True)
            assert len(session.execute(products.ranked("red", mode=mode, where=where).limit(3)).all()) == 3
    assert session.execute(products.ranked("red: 100% :w0 'coat'").limit(2)).all()


def test_what_no_select_can_be_made_of(products: Repository[Product]) -> None:
    images = Repository(Image, column="pixels")
    cases: list[tuple[Any, type[Exception], str]] = [
        (lambda: products.nearest("  "), InvalidInput, "empty"),
        (lambda: products.nearest(None), InvalidInput, "needs a query"),  # type: ignore[arg-type]
        (lambda: products.nearest([1.0, 2.0]), DimensionMismatch, "16"),
        (lambda: products.nearest([float("nan")] * 16), InvalidVector, "NaN"),
        (lambda: products.nearest([0.0] * 16), InvalidVector, "direction"),
        (lambda: products.nearest("red", ef_search=0), InvalidInput, "ef_search"),
        (lambda: products.ranked(""), InvalidInput, "empty"),
        (lambda: products.ranked("red", mode="vector"), InvalidInput, "nearest"),
        (lambda: products.ranked("red", mode="words"), InvalidInput, "mode"),
        (lambda: products.ranked("red", fusion=lambda c: c.text_scores), InvalidInput, "SQL knows"),
        (lambda: products.ranked("red", fusion=RRF(), mode="text"), InvalidInput, "hybrid"),
        (lambda: products.ranked("red", candidates=0), InvalidInput, "candidates"),
        (lambda: products.ranked("red", ef_search=1001), InvalidInput, "ef_search"),
        (lambda: products.ranked("red", where=Category.name == "x"), InvalidFilter, "not joined"),
        (lambda: products.ranked(QUERY), InvalidInput, "words"),
        (lambda: images.ranked("red"), ConfigurationError, "text index"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()


def test_names_that_need_quotes(session: Session) -> None:
    messages = Repository(Message, HashedEmbedder())
    messages.upsert(session, [{"channel": "a:b%", "number": n, "content": f"{TEXTS[n]}"} for n in range(30)])
    assert len(session.execute(messages.nearest("red").where(Message.channel == "a:b%").limit(9)).all()) == 9
    assert len(session.execute(messages.ranked("red coat", where=Message.channel == "a:b%").limit(9)).all()) == 9
