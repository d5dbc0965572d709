"""The models of the catalogue. What makes products searchable are the last two columns."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ForeignKey, MetaData, Numeric, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from vectordb.orm import embedding_column, text_search_column

NAMES = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class Base(DeclarativeBase):
    """Base of all models; constraints and indexes have PostgreSQL's own names."""

    metadata = MetaData(naming_convention=NAMES)


class Category(Base):
    """What a product is."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class Supplier(Base):
    """Where a product comes from."""

    __tablename__ = "suppliers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    country: Mapped[str]


class Product(Base):
    """What is sold."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)
    supplier_id: Mapped[int] = mapped_column(ForeignKey("suppliers.id"), index=True)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    in_stock: Mapped[bool] = mapped_column(default=True)

    category: Mapped[Category] = relationship()
    supplier: Mapped[Supplier] = relationship()

    embedding: Mapped[NDArray[np.float32] | None] = embedding_column(384, source=("title", "body"))
    search: Mapped[str | None] = text_search_column("title", "body")
