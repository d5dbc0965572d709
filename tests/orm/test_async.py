"""The same repository with an `AsyncSession`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import insert, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload
from sqlalchemy.pool import NullPool

from tests.orm.models import Category, Product
from tests.support import HashedEmbedder, hashed_words
from vectordb import FunctionEmbedder, errors
from vectordb.orm.repository import Repository

Run = Callable[[Callable[[AsyncSession], Awaitable[Any]]], Any]


@pytest.fixture
def run(orm_url: str) -> Run:
    """Runs something in a transaction that is rolled back."""
    url = make_url(orm_url).set(drivername="postgresql+psycopg")

    def call(work: Callable[[AsyncSession], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            engine = create_async_engine(url, poolclass=NullPool)
            async with AsyncSession(engine) as session:
                result = await work(session)
                await session.rollback()
            await engine.dispose()
            return result

        return asyncio.run(main())

    return call


def rows(count: int) -> list[dict[str, Any]]:
    words = ["red", "blue", "coat", "hat", "wool", "rain"]
    rng = np.random.default_rng(1)
    return [
        {"id": id, "price": float(id), "category_id": id % 3, "title": "t", "body": " ".join(rng.choice(words, 4))}
        for id in range(count)
    ]


async def filled(session: AsyncSession, repository: Repository[Product], count: int = 60) -> None:
    await session.execute(insert(Category), [{"id": id, "name": f"cat{id}"} for id in range(3)])
    assert (await repository.upsert(session, rows(count))).inserted == count


def test_every_mode_finds_what_a_session_finds(run: Run) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def work(session: AsyncSession) -> None:
        await filled(session, repository)
        asked: list[dict[str, Any]] = [
            {"mode": "vector"},
            {"mode": "text"},
            {},
            {"exact": True},
            {"where": [Product.price < 30], "strategy": "iterative"},
            {"where": [Category.name == "cat1"], "join": [Product.category]},
            {"limit": 5, "offset": 5},
            {"limit": None, "min_score": 0.2},
        ]
        for options in asked:
            ours = await repository.search(session, "red coat", **options)
            theirs = await session.run_sync(repository.search, "red coat", **options)  # type: ignore[arg-type] # of any kind
            assert [hit.entity.id for hit in ours] == [hit.entity.id for hit in theirs]
            assert ours.entities

    run(work)


def test_run_sync(run: Run) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def work(session: AsyncSession) -> None:
        await session.run_sync(repository.upsert, [{"id": 1, "body": "umbrella", "title": None}])
        assert len(await session.run_sync(repository.search, "umbrella", limit=2)) == 1

    run(work)


def test_selects_and_options(run: Run) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def work(session: AsyncSession) -> None:
        await filled(session, repository)
        near = (await session.execute(repository.nearest("red coat").where(Product.price < 20).limit(5))).all()
        assert len(near) == 5
        ranked = (
            await session.execute(repository.ranked("red coat").options(selectinload(Product.category)).limit(5))
        ).all()
        assert {product.category.name for product, _ in ranked if product.category} <= {"cat0", "cat1", "cat2"}
        session.expunge_all()
        hits = await repository.search(session, "red", limit=3, options=[selectinload(Product.category)])
        assert all(hit.entity.category is not None for hit in hits)

    run(work)


def test_pending_instances_and_rollback(run: Run) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def work(session: AsyncSession) -> None:
        session.add(Product(id=1, body="umbrella", embedding=hashed_words(["umbrella"])[0]))
        found = await repository.search(session, "umbrella")
        assert [hit.entity.id for hit in found] == [1]
        await session.rollback()
        assert not await repository.search(session, "umbrella")

    run(work)


def test_the_event_loop_goes_on_while_texts_are_embedded(run: Run) -> None:
    """The model is loaded, and used, in a thread."""

    class Slow(FunctionEmbedder):
        loaded = False

        @property
        def identity(self) -> Any:
            if not self.loaded:
                time.sleep(0.25)
                self.loaded = True
            return super().identity

    def embed(texts: list[str]) -> NDArray[np.float32]:
        time.sleep(0.25)
        return hashed_words(texts)

    async def ticks_during(work: Awaitable[Any]) -> float:
        """Return the longest time between two ticks."""
        longest, task = 0.0, asyncio.ensure_future(work)
        while not task.done():
            start = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - start)
        await task
        return longest

    async def work(session: AsyncSession) -> None:
        await session.execute(select(1))
        for method, argument in (("upsert", rows(2)), ("search", "red"), ("search", "blue")):
            embedder = Slow(embed, dimensions=16, name="slow")
            repository = Repository(Product, embedder)
            await session.execute(insert(Category).values(id=0, name="a")) if method == "upsert" else None
            await session.execute(insert(Category).values(id=1, name="b")) if method == "upsert" else None
            embedder.loaded = False
            assert await ticks_during(getattr(repository, method)(session, argument)) < 0.2

    run(work)


def test_errors_are_ours(run: Run) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def work(session: AsyncSession) -> None:
        with pytest.raises(errors.InvalidFilter, match="categories, which is not joined"):
            await repository.search(session, "red", where=Category.name == "x")
        with pytest.raises(errors.DatabaseError, match="22012"):
            await repository.search(session, "red", where=text("1 / 0 = 1"), exact=True)
        with pytest.raises(errors.DatabaseError, match="roll it back"):
            await repository.search(session, "red")
        await session.rollback()
        assert not await repository.search(session, "red")

    run(work)


def test_many_tasks_share_a_repository(orm_url: str) -> None:
    repository = Repository(Product, HashedEmbedder())

    async def main() -> None:
        engine = create_async_engine(make_url(orm_url).set(drivername="postgresql+psycopg"), pool_size=4)
        makers = async_sessionmaker(engine)

        async def one(number: int) -> int:
            async with makers() as session:
                session.add(Product(id=number, body="umbrella", embedding=hashed_words(["umbrella"])[0]))
                return len(await repository.search(session, "umbrella", where=Product.id >= 0))

        assert await asyncio.gather(*(one(number) for number in range(12))) == [1] * 12
        scoped = async_scoped_session(makers, scopefunc=asyncio.current_task)
        assert not (await repository.search(scoped, "umbrella")).entities
        await scoped.remove()
        await engine.dispose()

    asyncio.run(main())
