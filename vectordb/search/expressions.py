"""SQLAlchemy expressions over a collection's models as conditions of our statements.

An expression may name columns of the chunks' table, of the documents' table, and of any
other table inside a sub-select of its own. It is compiled within a SELECT over the rows
that the statement is about, so that the application's sub-selects correlate with them.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    SelectBase,
    Table,
    TypeDecorator,
    and_,
    exists,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import Column
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.visitors import replacement_traverse
from sqlalchemy.types import NullType

from vectordb.errors import InvalidFilter
from vectordb.filters.values import check_text
from vectordb.tables import Tables, quote

_QUOTED = re.compile(r"""'(?:[^'\\]|'')*'|"(?:[^"]|"")*\"""")
_PLACEHOLDER = re.compile(r"%%|%\(([^)]+)\)s")


def expression_sql(clause: Any, alias: str, tables: Tables, *, prefix: str) -> tuple[str, dict[str, Any]]:
    """Return an expression as SQL with its parameters.

    Args:
        clause: Of SQLAlchemy.
        alias: Of the rows that the statement is about: `d` for documents, `c` for chunks.
        tables: Of the collection.
        prefix: Put before the names of the parameters.

    Raises:
        InvalidFilter: Not a condition, or it names a table that is neither the collection's nor in a sub-select.
    """
    try:
        statement = _within(_condition(clause), alias, tables)
        dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it
        compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        state = compiled.construct_expanded_state()
    except SQLAlchemyError as error:
        raise InvalidFilter(
            f"the SQLAlchemy expression is no condition that can be used here ({type(error).__name__}); "
            "pass something like docs.Document.title == 'x', with all its values",
            path="",
        ) from None
    if compiled.ctes:
        raise InvalidFilter("a filter cannot have a CTE, which belongs to a statement; use subquery() instead", path="")
    names = {name: f"{prefix}{number}" for number, name in enumerate(state.parameters)}
    # The state has only those of expanded lists.
    processors: dict[str, Any] = {**compiled._bind_processors, **state.processors}
    parameters = {
        names[name]: processors[name](value) if name in processors else value
        for name, value in state.parameters.items()
    }
    for value in parameters.values():
        if isinstance(value, str):
            check_text(value, "a value", "")
    # The statement is SELECT 1 FROM <our table> WHERE <the condition>.
    _, _, sql = state.statement.partition("\nWHERE ")
    _check_closed(sql)
    return _PLACEHOLDER.sub(lambda found: f"%({names[found[1]]})s" if found[1] else "%%", sql), parameters


def _check_closed(sql: str) -> None:
    """Check that SQL cannot reach out of the parentheses it is put into, and so out of a view.

    What SQLAlchemy makes never does; SQL that the application writes itself, as in a custom operator, could.

    Raises:
        InvalidFilter: It closes a parenthesis that it did not open, or holds a comment or another statement.
    """
    depth = 0
    bare = _QUOTED.sub("''", sql)
    for character in bare:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
    if depth or any(sign in bare for sign in ("--", "/*", ";", "\\", "$")) or bare.replace("''", "").count("'"):
        raise InvalidFilter(
            "the SQLAlchemy expression holds SQL that does not stand for itself: parentheses, quotes or comments that "
            "reach beyond it; write it with columns and operators",
            path="",
        )


def _condition(clause: Any) -> ColumnElement[bool]:
    """Return the clause as what may stand in WHERE."""
    if isinstance(clause, SelectBase):
        raise InvalidFilter("a SELECT is no filter; use select(...).exists() or column.in_(select(...))", path="")
    condition: ColumnElement[bool] = coercions.expect(roles.WhereHavingRole, clause)
    kind = getattr(condition, "type", None)
    if kind is not None and not isinstance(kind, (Boolean, NullType, TypeDecorator)):
        raise InvalidFilter(
            f"the SQLAlchemy expression is a {kind!r:.40}, not a condition; compare it with something", path=""
        )
    return condition


def _within(condition: ColumnElement[bool], alias: str, tables: Tables) -> Select[Any]:
    """Return a SELECT over the rows of `alias` with the condition in its WHERE clause."""
    rows: dict[str, Any] = {}
    adapted = _replaced(condition, rows, tables, frozenset())
    _check_tables(adapted, set(rows.values()))
    if alias not in rows:
        rows[alias] = _bare_alias(alias, tables)
    outer = rows.pop(alias)
    if rows:
        (inner,) = rows.values()
        join = literal_column("d.id") == literal_column("c.document_id")
        adapted = exists(select(literal_column("1")).select_from(inner).where(and_(join, adapted)).correlate(outer))
    return select(literal_column("1")).select_from(outer).where(adapted)


def _bare_alias(alias: str, tables: Tables) -> Any:
    """Return something to select from that is called by the alias; its name is never used."""
    return table("rows").alias(alias)


def _role(table: Any, tables: Tables) -> str | None:
    """Return how our statements call a table, None for the application's own."""
    if not isinstance(table, Table):
        return None
    name = quote(table.schema, table.name) if table.schema else quote(table.name)
    return {tables.documents: "d", tables.chunks: "c"}.get(name)


def _replaced(clause: Any, rows: dict[str, Any], tables: Tables, own: frozenset[str]) -> Any:
    """Return the clause with our tables' columns replaced by those of the rows in hand.

    Args:
        clause: A condition, or a sub-select.
        rows: By role; those that are missed are added.
        tables: Of the collection.
        own: Roles of the tables that the clause selects from on its own account; their columns stay.
    """

    def replacement(element: Any, **_: Any) -> Any:
        if isinstance(element, Select):
            if element is clause:
                return None
            inner = _replaced(element, rows, tables, own | _selected(element, tables))
            # What correlate() names are the tables, which the rows have taken the place of.
            named = {_role(source, tables) for source in element._correlate or ()}
            return inner.correlate(*(row for role, row in rows.items() if role in named)) if named else inner
        if isinstance(element, Column):
            role = _role(element.table, tables)
            if role is not None and role not in own:
                return rows.setdefault(role, element.table.alias(role)).c[element.key]
        return None

    return replacement_traverse(clause, {}, replacement)


def _selected(statement: Select[Any], tables: Tables) -> frozenset[str]:
    """Return the roles of those tables of ours that a sub-select selects from, and does not take from around it.

    These are the tables of its columns, of select_from() and join(), and of correlate_except(), by which `any` and
    `has` of relationships say it. One that only its WHERE clause names is that of the statement around it.
    """
    named = [*statement.columns_clause_froms, *statement._from_obj, *(join[0] for join in statement._setup_joins)]
    sources = {source for element in named for source in element._from_objects} | set(statement._correlate_except or ())
    roles = {_role(source, tables) for source in sources - set(statement._correlate or ())}
    return frozenset(role for role in roles if role is not None)


def _check_tables(condition: Any, known: set[Any]) -> None:
    for source in condition._from_objects:
        if source not in known:
            name = getattr(source, "name", "another table")
            raise InvalidFilter(
                f"the SQLAlchemy expression names {str(name)[:63]}, which is not joined; put it into a sub-select, "
                "as in exists().where(...) or column.in_(select(...))",
                path="",
            )
