"""Collections to write to. A collection is quicker to make than a database, so most tests share one database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import pytest

import vectordb
from tests.conftest import Databases
from tests.support import HashedEmbedder
from vectordb import Chunking, Collection, VectorDB

_numbers = itertools.count()


class NewCollection(Protocol):
    """Makes a collection with a name of its own; the options are those of `create_collection`."""

    def __call__(self, **options: Any) -> Collection: ...


@pytest.fixture(scope="session")
def home_url(databases: Databases, template: str) -> Iterator[str]:
    """URL of the database of all tests that need nothing but a collection of their own."""
    url = databases.create(template)
    yield url
    databases.drop(url)


@pytest.fixture(scope="session")
def home(home_url: str) -> Iterator[VectorDB]:
    """The shared database, open."""
    with vectordb.connect(home_url) as db:
        yield db


@pytest.fixture
def new_collection(home: VectorDB) -> NewCollection:
    """What makes collections in the shared database."""

    def create(**options: Any) -> Collection:
        return home.create_collection(f"c{next(_numbers)}", **options)

    return create


@pytest.fixture
def docs(new_collection: NewCollection, embedder: HashedEmbedder) -> Collection:
    """An empty collection of texts, cut into chunks of at most 40 characters."""
    return new_collection(embedder=embedder, chunking=Chunking(size=40, unit="characters"))


@pytest.fixture
def points(new_collection: NewCollection) -> Collection:
    """An empty collection of vectors of 3 dimensions, without an embedder."""
    return new_collection(dimensions=3)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same in every run."""
    return np.random.default_rng(7)
