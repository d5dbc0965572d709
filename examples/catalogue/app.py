"""What the application does with its catalogue; each method works in the session and transaction of its caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, joinedload, sessionmaker

from examples.catalogue.models import Category, Product, Supplier
from vectordb import Embedder, UpsertResult
from vectordb.orm import EntityResults, Repository, embed_on_flush


class Catalogue:
    """The searches of the catalogue.

    Args:
        embedder: None is the default model; it is loaded with the first text.
    """

    def __init__(self, embedder: Embedder | str | None = None) -> None:
        self.products = Repository(Product, embedder)

    def sessions(self, engine: Engine) -> sessionmaker[Session]:
        """Return sessions in which products are embedded whenever their texts are written."""
        made = sessionmaker(engine)
        embed_on_flush(made, self.products)
        return made

    def add(self, session: Session, rows: Iterable[Mapping[str, Any]]) -> UpsertResult:
        """Write many products at once; those that are there are updated, and embedded only if their text is new."""
        return self.products.upsert(session, rows)

    def find(
        self,
        session: Session,
        query: str,
        *,
        category: str | None = None,
        country: str | None = None,
        below: Decimal | int | None = None,
        limit: int = 5,
        page: int = 1,
    ) -> EntityResults[Product]:
        """Find what is in stock, by meaning and by words, with its category; pages count from 1."""
        options = _options(category, country, below)
        return self.products.search(session, query, limit=limit, offset=limit * (page - 1), **options)

    async def find_async(
        self,
        session: AsyncSession,
        query: str,
        *,
        category: str | None = None,
        country: str | None = None,
        below: Decimal | int | None = None,
        limit: int = 5,
    ) -> EntityResults[Product]:
        """Do the same without blocking the event loop, the model included."""
        return await self.products.search(session, query, limit=limit, **_options(category, country, below))

    def similar(self, session: Session, product: Product, *, limit: int = 3) -> list[Product]:
        """Return what is most like a product; no text is embedded for it."""
        if product.embedding is None:  # written past the sessions above, and not yet backfilled
            return []
        others = self.products.nearest(product.embedding).where(Product.id != product.id, Product.in_stock)
        return list(session.scalars(others.limit(limit)))

    def shelves(self, session: Session, query: str, *, among: int = 10) -> list[tuple[str, int, Decimal]]:
        """Return where the best hits stand: categories, with how many there are and the lowest price."""
        best = self.products.ranked(query).where(Product.in_stock).limit(among).subquery()
        count = func.count().label("hits")
        shelves = (
            select(Category.name, count, func.min(best.c.price))
            .join(best, best.c.category_id == Category.id)
            .group_by(Category.name)
            .order_by(count.desc(), Category.name)
        )
        return [(name, hits, lowest) for name, hits, lowest in session.execute(shelves)]


def _options(category: str | None, country: str | None, below: Decimal | int | None) -> dict[str, Any]:
    """Return the conditions of a search: on the product, on what it refers to, and on a table that is joined."""
    where: list[Any] = [Product.in_stock]
    join: list[Any] = []
    if below is not None:
        where.append(Product.price < below)
    if category is not None:
        where.append(Product.category.has(name=category))
    if country is not None:
        join.append(Product.supplier)
        where.append(Supplier.country == country)
    return {"where": where, "join": join, "options": [joinedload(Product.category)]}
