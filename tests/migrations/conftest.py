"""Databases are dear, schemas are cheap: tests that only look into their own schema share a database."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conftest import Databases
from tests.migrations.support import new_role

_numbers = itertools.count()


@pytest.fixture(scope="session")
def shared_url(databases: Databases) -> Iterator[str]:
    """URL of a database in which each test has a schema of its own."""
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture
def schema() -> str:
    """A name that no other test uses."""
    return f"schema_{next(_numbers)}"


@pytest.fixture
def role(databases: Databases) -> Iterator[str]:
    """A role without any right; name it before the database that it is to own things in."""
    with new_role(databases.url.render_as_string(hide_password=False)) as name:
        yield name
