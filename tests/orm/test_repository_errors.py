"""What a search refuses, and what it says then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from tests.conftest import Databases
from tests.orm.conftest import plain_engine
from tests.orm.models import Animal, Category, Dog, Image, Note, Product
from tests.support import HashedEmbedder, hashed_words
from vectordb import BM25, RRF, FunctionEmbedder, errors
from vectordb.orm import embedding_column, text_search_column
from vectordb.orm.catalogue import IndexMismatchWarning
from vectordb.orm.repository import Repository
from vectordb.text_functions import install_text_functions
from vectordb.text_index import create_text_index, drop_text_index


class Base(DeclarativeBase):
    """Base of the model of this module."""


class Text(Base):
    """What is searched."""

    __tablename__ = "texts"

    id: Mapped[int] = mapped_column(primary_key=True)
    body: Mapped[str]
    embedding: Mapped[Any] = embedding_column(16, source="body")
    search: Mapped[Any] = text_search_column("body")


@pytest.fixture
def empty(databases: Databases) -> Iterator[Engine]:
    """An engine over a database with nothing in it."""
    url = databases.create()
    engine = plain_engine(url)
    yield engine
    engine.dispose()
    databases.drop(url)


@pytest.fixture
def texts(empty: Engine) -> Iterator[Session]:
    """A session over the table with two rows."""
    Base.metadata.create_all(empty)
    with Session(empty) as session:
        Repository(Text, HashedEmbedder()).upsert(session, [{"id": 1, "body": "red"}, {"id": 2, "body": "blue"}])
        session.commit()
        yield session


def test_models_that_cannot_be_searched(session: Session) -> None:
    for model, column, message in (
        (Category, None, "Category has no embedding column; declare one with vectordb.orm.embedding_column"),
        (Image, None, "Image has the embedding columns 'caption_embedding', 'pixels'; say which one with column="),
        (Dog, None, "say which one"),
        (Product, "search", "Product has no embedding column 'search'; it has 'embedding'"),
        (Product, "nothing", "Product has no embedding column 'nothing'"),
        (int, None, "int is not a mapped class"),
        (DeclarativeBase, None, "not a mapped class"),
        (Product(), None, "not a mapped class"),
    ):
        repository: Repository[Any] = Repository(model, HashedEmbedder(), column=column)  # type: ignore[arg-type]
        for method, given in (("search", [session, "red"]), ("nearest", ["red"]), ("ranked", ["red"])):
            with pytest.raises(errors.ConfigurationError) as caught:
                getattr(repository, method)(*given)
            assert message in str(caught.value)
    with pytest.raises(errors.ConfigurationError, match="Animal has no text index, which mode='text' needs"):
        Repository(Animal, HashedEmbedder()).search(session, "red", mode="text")


CALLS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no query": ({"query": None}, errors.InvalidInput, "needs a query"),
    "empty": ({"query": ""}, errors.InvalidInput, "empty"),
    "blank": ({"query": " \n"}, errors.InvalidInput, "empty"),
    "NUL": ({"query": "a\0b"}, errors.InvalidText, "NUL"),
    "half a pair": ({"query": "a\ud800"}, errors.InvalidText, "surrogate"),
    "a number": ({"query": 5}, errors.InvalidVector, "vector"),
    "an object": ({"query": object()}, errors.InvalidVector, "numbers"),
    "NaN": ({"query": [float("nan")] * 16}, errors.InvalidVector, "NaN"),
    "infinity": ({"query": np.full(16, np.inf)}, errors.InvalidVector, "infinity"),
    "all zeros": ({"query": np.zeros(16)}, errors.InvalidVector, "direction"),
    "too short": ({"query": [1.0]}, errors.DimensionMismatch, "16"),
    "a matrix": ({"query": np.ones((2, 16))}, errors.InvalidVector, "shape"),
    "limit": ({"limit": 0}, errors.InvalidInput, "limit"),
    "a huge limit": ({"limit": 100_001}, errors.InvalidInput, "limit"),
    "no limit": ({"limit": None}, errors.InvalidInput, "min_score"),
    "no limit, hybrid": ({"limit": None, "min_score": 0, "mode": "hybrid"}, errors.InvalidInput, "mode='vector'"),
    "offset": ({"offset": -1}, errors.InvalidInput, "offset"),
    "mode": ({"mode": "words"}, errors.InvalidInput, "mode is 'vector', 'text', 'hybrid'"),
    "words of a vector": ({"query": [1.0] * 16, "mode": "hybrid"}, errors.InvalidInput, "pass a text"),
    "fusion of one": ({"mode": "text", "fusion": RRF()}, errors.InvalidInput, "goes with a hybrid"),
    "fusion": ({"fusion": "best"}, errors.InvalidInput, "fusion is"),
    "min_score": ({"min_score": "high"}, errors.InvalidInput, "min_score"),
    "strategy": ({"strategy": "fast"}, errors.InvalidInput, "strategy"),
    "both": ({"strategy": "iterative", "exact": True}, errors.InvalidInput, "contradict"),
    "options": ({"options": 5}, errors.InvalidInput, "loader options such as"),
    "an option": ({"options": ["category"]}, errors.InvalidInput, "not 'category'"),
    "ef_search": ({"ef_search": 1001}, errors.InvalidInput, "ef_search"),
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments(session: Session, name: str) -> None:
    options, kind, message = CALLS[name]
    with pytest.raises(kind, match=message):
        Repository(Product, HashedEmbedder()).search(session, **{"query": "red", **options})
    assert session.connection().exec_driver_sql("SELECT 1").scalar() == 1  # the transaction goes on


def test_an_embedder_of_other_dimensions(session: Session) -> None:
    repository = Repository(Product, HashedEmbedder(8))
    for call in (lambda: repository.search(session, "red"), lambda: repository.nearest("red")):
        with pytest.raises(errors.EmbedderMismatch, match=r"Product.embedding has 16 dimensions.* 8"):
            call()
    assert not repository.search(session, hashed_words(["red"])[0])


def test_an_embedder_that_did_not_fill_the_table(texts: Session) -> None:
    other = Repository(Text, FunctionEmbedder(hashed_words, dimensions=16, name="other words"))
    for mode in (None, "vector", "hybrid"):
        with pytest.raises(
            errors.EmbedderMismatch, match=r"Text\.embedding was filled by another embedder than 'other"
        ):
            other.search(texts, "red", mode=mode)
    # A vector of the caller's, and words, are no matter of the embedder.
    assert other.search(texts, hashed_words(["red"])[0], limit=1)[0].entity.body == "red"
    assert other.search(texts, "red", mode="text")[0].entity.body == "red"
    assert Repository(Text, HashedEmbedder()).search(texts, "red")


def test_an_embedder_that_fails(texts: Session) -> None:
    def broken(texts: list[str]) -> Any:
        raise OSError("no model")

    with pytest.raises(errors.EmbeddingError):
        Repository(Text, FunctionEmbedder(broken, dimensions=16, name="hashed words")).search(texts, "red")


def test_a_table_of_vectors_of_the_caller_is_not_looked_through_each_time(texts: Session) -> None:
    texts.execute(text("UPDATE texts SET embedding_hash = NULL"))
    repository = Repository(Text, HashedEmbedder())
    assert repository.search(texts, "red")
    texts.execute(text("ALTER TABLE texts RENAME COLUMN embedding_hash TO gone"))
    assert repository.search(texts, "red")
    texts.rollback()


def test_no_table(empty: Engine) -> None:
    with empty.begin() as connection:
        connection.execute(text("CREATE EXTENSION vector"))
    with Session(empty) as session:
        with pytest.raises(
            errors.SchemaError, match='there is no table "texts"; run the migration of your application'
        ):
            Repository(Text, HashedEmbedder()).search(session, "red")
        session.connection()  # not aborted
        assert session.scalar(text("SELECT 1")) == 1


def test_no_pgvector(empty: Engine) -> None:
    with Session(empty) as session:
        session.execute(text("CREATE TABLE texts (id int PRIMARY KEY, body text)"))
        with pytest.raises(errors.ExtensionError, match=r"no pgvector; run op.create_vector_extension\(\)"):
            Repository(Text, HashedEmbedder()).search(session, "red")


def test_no_text_index_in_the_database(texts: Session) -> None:
    texts.execute(text("DROP FUNCTION texts_text_plan(text, float8, regconfig)"))
    repository = Repository(Text, HashedEmbedder())
    with pytest.raises(errors.ConfigurationError, match=r"no text index.*migrate"):
        repository.search(texts, "red", mode="text")
    assert repository.search(texts, "red").plan.mode == "vector"
    texts.rollback()


def test_an_index_of_another_metric(texts: Session) -> None:
    texts.execute(text("DROP INDEX ix_texts_embedding"))
    texts.execute(text("CREATE INDEX wrong ON texts USING hnsw (embedding vector_l2_ops)"))
    repository = Repository(Text, HashedEmbedder())
    with pytest.warns(IndexMismatchWarning, match=r"texts.embedding is declared with metric 'cosine'.*vector_l2_ops"):
        found = repository.search(texts, "red", mode="vector")
    assert found.plan.strategy == "exact"
    assert found[0].entity.body == "red"
    texts.rollback()


@pytest.mark.parametrize(
    "index",
    [
        "CREATE INDEX ON texts USING hnsw (embedding vector_cosine_ops) WHERE id > 1",
        "CREATE INDEX ON texts USING hnsw ((embedding::halfvec(16)) halfvec_cosine_ops)",
        "SELECT 1",
    ],
)
def test_an_index_that_no_search_can_use(texts: Session, index: str) -> None:
    texts.execute(text("DROP INDEX ix_texts_embedding"))
    texts.execute(text(index))
    found = Repository(Text, HashedEmbedder()).search(texts, "red", mode="vector")
    assert found.plan.strategy == "exact"
    assert len(found) == 2
    texts.rollback()


def test_a_model_that_is_a_dataclass(session: Session) -> None:
    repository = Repository(Note, HashedEmbedder())
    repository.upsert(session, [Note(content="red"), Note(content="blue")])
    assert repository.search(session, "red", limit=1)[0].entity.content == "red"


def test_the_shared_functions_may_be_in_another_schema(empty: Engine) -> None:
    with empty.begin() as connection:
        Base.metadata.create_all(connection)
        for statement in drop_text_index("public", "texts", column="search"):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("DROP SCHEMA vectordb CASCADE")
        install_text_functions(connection, "The Library")
        made = create_text_index(
            "public", "texts", column="search", config="english", index=BM25(), functions="The Library"
        )
        for statement in made:
            connection.exec_driver_sql(statement, execution_options={"no_parameters": True})
    repository = Repository(Text, HashedEmbedder())
    with Session(empty) as session:
        repository.upsert(session, [{"id": 1, "body": "red shoe"}, {"id": 2, "body": "blue hat"}])
        assert [hit.entity.id for hit in repository.search(session, "hat", mode="text")] == [2]
