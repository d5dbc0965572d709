"""The SQL functions that all text indexes share, installed for tables of an application's own.

The library's revision 0003 creates the same ones. Whoever comes first installs them; the other one finds them.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from vectordb.errors import SchemaError
from vectordb.scripts import scripts_folder
from vectordb.tables import quote
from vectordb.translation import sqlstate


def create_text_functions(schema: str) -> str:
    """Return the DDL of the functions, which may be there already.

    Args:
        schema: Checked.
    """
    return _source().replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace("{schema}", quote(schema))


def text_function_names() -> list[str]:
    """Return the names of the functions."""
    return re.findall(r"^CREATE FUNCTION \{schema\}\.(\w+)", _source(), re.MULTILINE)


def _source() -> str:
    return (scripts_folder() / "versions" / "0003_text_functions.sql").read_text("utf-8")


def has_text_functions(connection: Connection, schema: str) -> bool:
    """Say whether all of them are there.

    Round trips: 1.
    """
    names = text_function_names()
    found = connection.scalar(
        text(
            "SELECT count(DISTINCT proname) FROM pg_proc"
            " WHERE pronamespace = to_regnamespace(:schema) AND proname = ANY(:names)"
        ),
        {"schema": quote(schema), "names": names},
    )
    return bool(found == len(names))


def install_text_functions(connection: Connection, schema: str) -> None:
    """Create the functions, and their schema, where they are missing.

    Raises:
        SchemaError: This role may neither use nor create them; the message holds the SQL for the administrator.

    Round trips: 2 where they are there, else 3.
    """
    usable = connection.scalar(
        text("SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE oid = to_regnamespace(:schema)"),
        {"schema": quote(schema)},
    )
    if usable is False:
        raise SchemaError(
            f"this role may not use the functions of text indexes; as an administrator, run: GRANT USAGE ON SCHEMA "
            f"{quote(schema)} TO …"
        )
    if usable and has_text_functions(connection, schema):
        return
    try:
        if usable is None:
            connection.execute(text(f"CREATE SCHEMA {quote(schema)}"))
        connection.exec_driver_sql(create_text_functions(schema), execution_options={"no_parameters": True})
    except DBAPIError as error:
        if sqlstate(error) != "42501":
            raise
        raise SchemaError(
            f"this role may not create the functions of text indexes in schema {quote(schema)}; as a role that may, "
            f"run `vectordb migrate`, then: GRANT USAGE ON SCHEMA {quote(schema)} TO …",
            sqlstate="42501",
        ) from None
