from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.orm.models import (
    AbstractPlace,
    Animal,
    Category,
    Dog,
    Image,
    Message,
    Note,
    Offer,
    Product,
    Store,
    Whale,
)
from vectordb.errors import ConfigurationError, InvalidInput
from vectordb.indexes import BM25
from vectordb.orm import ModelMapping, embedding_column, text_search_column


def test_a_mapping_names_what_a_search_needs() -> None:
    mapping = ModelMapping.of(Product)
    table: Any = Product.__table__
    assert (mapping.model, mapping.mapper, mapping.table) == (Product, inspect(Product), table)
    assert (mapping.keys, mapping.attribute) == ((table.c.id,), "embedding")
    assert (mapping.embedding is table.c.embedding, mapping.hash_column is table.c.embedding_hash) == (True, True)
    assert mapping.declaration.source == ("title", "body")
    assert mapping.text is table.c.search
    assert mapping.text_declaration is not None
    assert (mapping.text_declaration.config, mapping.text_declaration.index) == ("english", BM25())
    with pytest.raises(FrozenInstanceError):
        mapping.attribute = "search"  # type: ignore[misc] # is tested


def test_keys_and_names_of_every_kind() -> None:
    message = ModelMapping.of(Message)
    assert [key.name for key in message.keys] == ["Channel", "number"]
    assert (message.attribute, message.embedding.name, message.hash_column.name) == (
        "embedding",
        "The Vector",
        "The Vector_hash",
    )
    assert ModelMapping.of(Image, "pixels").embedding.name == "pixels"
    assert ModelMapping.of(Image, "caption_embedding").text is None
    for model in (Offer, Store):
        assert ModelMapping.of(model).table is model.__table__
    assert ModelMapping.of(Note).text is Note.__table__.c.search


def test_a_child_is_searched_in_the_table_that_holds_the_embedding() -> None:
    assert ModelMapping.of(Animal).table is Animal.__table__
    for child in (Dog, Whale):
        inherited = ModelMapping.of(child, "embedding")
        assert (inherited.table, inherited.model) == (Animal.__table__, child)
        assert inherited.text is None
    own = ModelMapping.of(Whale, "song_embedding")
    assert (own.table, own.keys) == (Whale.__table__, (Whale.__table__.c.id,))
    assert own.text is Whale.__table__.c.song_search
    assert ModelMapping.of(Dog, "tricks_embedding").hash_column is Animal.__table__.c.tricks_embedding_hash


def test_the_indexed_text_is_taken() -> None:
    class Base(DeclarativeBase):
        pass

    class Page(Base):
        __tablename__ = "pages"
        id: Mapped[int] = mapped_column(primary_key=True)
        body: Mapped[str]
        embedding = embedding_column(3, source="body")
        plain = text_search_column("body", config="simple", index=None)
        ranked = text_search_column("body")

    assert ModelMapping.of(Page).text is Page.__table__.c.ranked


@pytest.mark.parametrize(
    ("model", "column", "message"),
    [
        (Category, None, "Category has no embedding column; declare one"),
        (AbstractPlace, None, "AbstractPlace is not a mapped class"),
        (int, None, "int is not a mapped class"),
        (Product.__table__, None, "is not a mapped class"),
        (Image, None, "'caption_embedding', 'pixels'; say which one"),
        (Dog, None, "'embedding', 'tricks_embedding'"),
        (Product, "title", "no embedding column 'title'; it has 'embedding'"),
        (Product, "embedding_hash", "no embedding column"),
        (Whale, "tricks_embedding", "no embedding column"),
    ],
)
def test_what_cannot_be_searched_is_refused(model: Any, column: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ModelMapping.of(model, column)


def test_an_instance_is_not_a_class() -> None:
    with pytest.raises(ConfigurationError, match="is not a mapped class"):
        ModelMapping.of(Product())  # type: ignore[arg-type] # is tested


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("A", "b\n", "A\n\nb\n"),
        ("A", None, "A"),
        (None, "b", "b"),
        (" ", "b", "b"),
        (None, None, None),
        ("", " \n\t", None),
        (None, "", None),
    ],
)
def test_the_text_of_an_instance_and_of_a_row(title: str | None, body: str | None, expected: str | None) -> None:
    mapping = ModelMapping.of(Product)
    assert mapping.source_text(Product(title=title, body=body)) == expected
    assert mapping.source_text({"title": title, "body": body, "price": 5}) == expected


def test_sources_are_attributes_and_functions() -> None:
    assert ModelMapping.of(Message).source_text({"content": "x"}) == "x"
    caption = ModelMapping.of(Image, "caption_embedding")
    assert caption.source_text(Image(caption="cat", tags="pets")) == "cat (pets)"
    assert caption.source_text({"caption": "cat"}) == "cat (untagged)"
    assert caption.source_text({"caption": ""}) is None
    assert ModelMapping.of(Image, "pixels").source_text(Image(caption="cat")) is None
    assert ModelMapping.of(Whale, "embedding").source_text(Whale(name="Moby")) == "Moby"


def test_what_is_no_text_is_refused() -> None:
    mapping = ModelMapping.of(Product)
    with pytest.raises(InvalidInput, match="title is of type int") as caught:
        mapping.source_text({"title": 5, "body": "b"})
    assert caught.value.facts["attribute"] == "title"
    with pytest.raises(InvalidInput, match="body is of type bytes"):
        mapping.source_text(Product(title="a", body=b"b"))
    with pytest.raises(InvalidInput, match="lacks 'body', of which its embedding is made"):
        mapping.source_text({"title": "a"})
    for other in (Category(), ("a", "b"), "a", None):
        with pytest.raises(InvalidInput, match="give instances of Product or mappings"):
            mapping.source_text(other)

    class Base(DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "items"
        id: Mapped[int] = mapped_column(primary_key=True)
        embedding = embedding_column(3, source=lambda item: item["id"])

    with pytest.raises(InvalidInput, match="the function that is its source is of type int"):
        ModelMapping.of(Item).source_text({"id": 5})
