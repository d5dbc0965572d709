"""The declaration of a collection, and its row in the registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

import vectordb
from tests.conftest import Databases
from tests.migrations.support import upgrade
from vectordb import BM25, HNSW, Chunking, IVFFlat, Metric, Storage, errors, registry
from vectordb.embedders import EmbedderIdentity
from vectordb.fields import FieldType
from vectordb.indexes import VectorIndex
from vectordb.metrics import VectorSpace
from vectordb.registry import CollectionConfig

IDENTITY = EmbedderIdentity(
    "sentence-transformers",
    "some/model",
    "sha256:00ff",
    64,
    normalized=True,
    truncate_dim=64,
    query_prompt="query: é\"'\\ %s",
    document_prompt="passage: ",
)
CONFIGS = [
    CollectionConfig("plain", VectorSpace(3)),
    CollectionConfig(
        "full",
        VectorSpace(64, Metric.INNER_PRODUCT, Storage.HALFVEC),
        index=HNSW(m=7, ef_construction=15),
        text_config="german",
        text_index=BM25(k1=0, b=0.4),
        chunking=Chunking(size=100, overlap=9, unit="characters"),
        embedder=IDENTITY,
        fields={"year": FieldType.INT, "a": FieldType.DATETIME, "Lang": FieldType.STR, "order": FieldType.BOOL},
        layout_version=7,
    ),
    CollectionConfig("lists", VectorSpace(64_000, Metric.HAMMING, Storage.BIT), index=IVFFlat(lists=32_768)),
    CollectionConfig("bare", VectorSpace(10**9, Metric.L1, Storage.SPARSEVEC), index=None, text_index=None),
]


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    url = databases.create()
    upgrade(url, dimensions="3")
    yield url
    databases.drop(url)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with vectordb.connect(url) as db, db.engine.connect() as connection:
        yield connection


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_a_declaration_survives_the_way_through_the_database(connection: Connection, config: CollectionConfig) -> None:
    assert CollectionConfig.from_row(config.to_row()) == config
    registry.add_collection(connection, config)
    assert registry.get_collection(connection, config.name) == config
    assert config in registry.list_collections(connection)
    registry.remove_collection(connection, config.name)
    with pytest.raises(errors.CollectionNotFound):
        registry.get_collection(connection, config.name)


def test_collections_are_listed_by_name(connection: Connection) -> None:
    for config in CONFIGS:
        registry.add_collection(connection, config)
    assert [config.name for config in registry.list_collections(connection)] == [
        "bare",
        "default",
        "full",
        "lists",
        "plain",
    ]


def test_the_first_embedder_to_register_holds(connection: Connection) -> None:
    registry.add_collection(connection, CollectionConfig("docs", VectorSpace(64)))
    other = EmbedderIdentity("callable", "mine", None, 64, normalized=False)
    assert registry.register_embedder(connection, "docs", IDENTITY) == IDENTITY
    assert registry.register_embedder(connection, "docs", other) == IDENTITY
    assert registry.get_collection(connection, "docs").embedder == IDENTITY


@pytest.mark.parametrize("index", [HNSW(m=5), IVFFlat(lists=3), None])
def test_the_index_can_change(connection: Connection, index: VectorIndex | None) -> None:
    registry.add_collection(connection, CollectionConfig("docs", VectorSpace(64), embedder=IDENTITY))
    registry.set_index(connection, "docs", index)
    expected = CollectionConfig("docs", VectorSpace(64), index=index, embedder=IDENTITY)
    assert registry.get_collection(connection, "docs") == expected


@pytest.mark.parametrize("index", [BM25(2, 1), None])
def test_the_text_index_can_change(connection: Connection, index: BM25 | None) -> None:
    registry.add_collection(connection, CollectionConfig("docs", VectorSpace(64), embedder=IDENTITY))
    registry.set_text_index(connection, "docs", index)
    expected = CollectionConfig("docs", VectorSpace(64), text_index=index, embedder=IDENTITY)
    assert registry.get_collection(connection, "docs") == expected


def test_the_way_out_of_an_empty_registry(connection: Connection) -> None:
    registry.remove_collection(connection, "default")
    with pytest.raises(errors.CollectionNotFound, match="there are none"):
        registry.get_collection(connection, "docs")


def test_an_index_that_cannot_be_is_no_declaration() -> None:
    with pytest.raises(errors.ConfigurationError, match="hnsw"):
        CollectionConfig("docs", VectorSpace(3, Metric.L1), index=IVFFlat())
    with pytest.raises(errors.ConfigurationError, match="64 dimensions, the collection has 3"):
        CollectionConfig("docs", VectorSpace(3), embedder=IDENTITY)
    with pytest.raises(errors.InvalidName, match="text search configuration"):
        CollectionConfig("docs", VectorSpace(3), text_config="english'); --")


def test_fields_can_change(connection: Connection) -> None:
    registry.add_collection(connection, CollectionConfig("docs", VectorSpace(64), embedder=IDENTITY))
    for fields in ({"year": FieldType.INT, "lang": FieldType.STR}, {"lang": FieldType.FLOAT}, {}):
        registry.set_fields(connection, "docs", fields)
        expected = CollectionConfig("docs", VectorSpace(64), embedder=IDENTITY, fields=fields)
        assert registry.get_collection(connection, "docs") == expected


def test_declared_fields_are_checked_and_cannot_change_in_place() -> None:
    given: dict[str, FieldType] = {"year": FieldType.INT}
    config = CollectionConfig("docs", VectorSpace(3), fields=given)
    given["lang"] = FieldType.STR
    assert config.fields == {"year": FieldType.INT}
    with pytest.raises(TypeError):
        config.fields["lang"] = FieldType.STR  # type: ignore[index] # on purpose
    assert config != CollectionConfig("docs", VectorSpace(3))
    assert len({config, CollectionConfig("docs", VectorSpace(3), fields=dict(config.fields))}) == 1
    with pytest.raises(errors.InvalidName, match="already"):
        CollectionConfig("docs", VectorSpace(3), fields={"title": FieldType.STR})
