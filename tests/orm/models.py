"""Models of an application, of every kind that the columns must work on."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ForeignKey, MetaData, String, Text
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    declared_attr,
    mapped_column,
    relationship,
)

from vectordb.indexes import IVFFlat
from vectordb.orm import embedding_column, text_search_column

DIMENSIONS = 16
Vector = NDArray[np.float32]


class Base(DeclarativeBase):
    """Base of the models without a naming convention."""


class Category(Base):
    """What products belong to."""

    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    products: Mapped[list[Product]] = relationship(back_populates="category")


class Product(Base):
    """The usual model."""

    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int | None] = mapped_column(ForeignKey("categories.id"), index=True)
    price: Mapped[float] = mapped_column(default=0.0)
    title: Mapped[str | None] = mapped_column(String(200))
    body: Mapped[str | None] = mapped_column(Text)
    embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source=("title", "body"))
    search: Mapped[str | None] = text_search_column("title", "body")
    category: Mapped[Category | None] = relationship(back_populates="products")


class Message(Base):
    """A composite key, of text and of a number; names that need quotes."""

    __tablename__ = "Message Log"

    channel: Mapped[str] = mapped_column("Channel", Text, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[str | None] = mapped_column("The Content", Text)
    embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source="content", metric="l2", name="The Vector")
    search = text_search_column("content", config="simple", name="The Search")


class Image(Base):
    """A key that the application makes; two embeddings, of which the application gives one."""

    __tablename__ = "images"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    caption: Mapped[str | None]
    tags: Mapped[str | None]
    caption_embedding = embedding_column(DIMENSIONS, source=lambda image: described(image))
    pixels: Mapped[Vector | None] = embedding_column(
        8, metric="inner_product", storage="halfvec", index=IVFFlat(lists=1), index_name="images_by_pixels"
    )


def described(image: Any) -> str | None:
    """Make the text of an image, or of a row for one, from two columns."""
    values = image if isinstance(image, dict) else vars(image)
    return f"{values['caption']} ({values.get('tags') or 'untagged'})" if values.get("caption") else None


class DataclassBase(MappedAsDataclass, DeclarativeBase):
    """Base of the models that are dataclasses."""


class Note(DataclassBase):
    """A dataclass."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    content: Mapped[str]
    embedding: Mapped[Vector | None] = embedding_column(
        DIMENSIONS, source="content", default=None, repr=False, compare=False, kw_only=True
    )
    search: Mapped[str] = text_search_column("content", init=False, repr=False)


class Animal(Base):
    """A parent that is searched itself; its children are in one table with it, or in tables of their own."""

    __tablename__ = "animals"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy does not have it as a ClassVar

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str | None]
    embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source="name")


class Dog(Animal):
    """In the table of its parent."""

    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012 - SQLAlchemy does not have it as a ClassVar

    tricks: Mapped[str | None] = mapped_column(Text)
    tricks_embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source="tricks")


class Cat(Animal):
    """In the table of its parent, beside a sibling with an embedding."""

    __mapper_args__ = {"polymorphic_identity": "cat"}  # noqa: RUF012 - SQLAlchemy does not have it as a ClassVar


class Whale(Animal):
    """In a table of its own."""

    __tablename__ = "whales"
    __mapper_args__ = {"polymorphic_identity": "whale"}  # noqa: RUF012 - SQLAlchemy does not have it as a ClassVar

    id: Mapped[int] = mapped_column(ForeignKey("animals.id"), primary_key=True)
    song: Mapped[str | None] = mapped_column(Text)
    song_embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source="song")
    song_search = text_search_column("song")


class ConventionBase(DeclarativeBase):
    """Base of the models in another schema, with names by a convention."""

    metadata = MetaData(schema="Shop", naming_convention={"ix": "%(table_name)s_%(column_0_N_name)s_idx"})


class Described:
    """A mixin with a source and its embedding."""

    description: Mapped[str | None] = mapped_column(Text)
    embedding: Mapped[Vector | None] = embedding_column(DIMENSIONS, source="description")

    @declared_attr
    def search(cls) -> Mapped[str | None]:
        return text_search_column("description")


class Offer(Described, ConventionBase):
    """A first class of the mixin."""

    __tablename__ = "offers"

    id: Mapped[int] = mapped_column(primary_key=True)


class AbstractPlace(Described, ConventionBase):
    """An abstract base."""

    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True)


class Store(AbstractPlace):
    """A second class of the mixin."""

    __tablename__ = "stores"


BASES: tuple[type[DeclarativeBase], ...] = (Base, DataclassBase, ConventionBase)
