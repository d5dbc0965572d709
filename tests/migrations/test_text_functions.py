"""The functions that text indexes share, installed for an application by a role of few rights."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, make_url

from tests.migrations.support import as_role, execute
from vectordb.errors import SchemaError
from vectordb.text_functions import has_text_functions, install_text_functions


def install(url: str) -> bool:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            install_text_functions(connection, "vectordb")
            return has_text_functions(connection, "vectordb")
    finally:
        engine.dispose()


def test_what_a_role_lacks_is_said(role: str, database_url: str) -> None:
    url = as_role(database_url, role)
    with pytest.raises(SchemaError, match="may not create the functions of text indexes"):
        install(url)
    execute(database_url, "CREATE SCHEMA vectordb")
    with pytest.raises(SchemaError, match="GRANT USAGE ON SCHEMA"):
        install(url)
    execute(database_url, f"GRANT USAGE ON SCHEMA vectordb TO {role}")
    with pytest.raises(SchemaError, match="run `vectordb migrate`"):
        install(url)
    assert install(database_url)
    assert install(url)
