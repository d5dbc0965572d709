"""SQLAlchemy expressions over a collection's models, or the application's own, as conditions of our statements.

An expression may name columns of the searched table, of the documents' table or of tables
that are joined, and of any other table inside a sub-select of its own. It is compiled
within a SELECT over the rows that the statement is about, so that the application's
sub-selects correlate with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    Alias,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    SelectBase,
    Table,
    TableClause,
    TypeDecorator,
    and_,
    exists,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import Column
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.visitors import iterate, replacement_traverse
from sqlalchemy.types import NullType

from vectordb.errors import InvalidFilter
from vectordb.filters.values import check_text
from vectordb.tables import Tables, quote

_QUOTED = re.compile(r"""'(?:[^'\\]|'')*'|"(?:[^"]|"")*\"""")
_PLACEHOLDER = re.compile(r"%%|%\(([^)]+)\)s")
_PUT_INSIDE = "put it into a sub-select, as in exists().where(...) or column.in_(select(...))"
_JOIN_IT = (
    "pass join=[Model.relationship] as well, or write the condition as Model.relationship.has(...), .any(...) or "
    "Model.column.in_(select(...))"
)


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
    roles = _Roles({tables.documents: "d", tables.chunks: "c"})
    with _only_conditions():
        statement = _within(_condition(clause), alias, roles)
    return _rendered(statement, prefix)


def joined_expression_sql(
    clauses: Sequence[Any],
    searched: Table,
    joined: Sequence[FromClause],
    links: Sequence[ColumnElement[bool]],
    *,
    prefix: str,
    schema_translate_map: Mapping[str | None, str | None] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Return conditions on the rows `c` of a table, all of which have to hold, as SQL with its parameters.

    A condition on joined tables holds where any of their rows that belong to a row `c` satisfy all of these together.

    Args:
        clauses: Of SQLAlchemy.
        searched: What `c` stands for.
        joined: Further tables.
        links: The conditions by which they are joined.
        prefix: Put before the names of the parameters.
        schema_translate_map: Of the connection.

    Raises:
        InvalidFilter: Not a condition, or it names a table that is not joined.
    """
    roles, rows = _Roles({searched: "c"}), {"c": _rows_of(searched)}
    with _only_conditions():
        adapted = [_replaced(_condition(clause), rows, roles, frozenset()) for clause in clauses]
        _check_names([*adapted, *joined], rows["c"])
        on = [_replaced(condition, rows, roles, frozenset()) for condition in links]
        ours = rows["c"]
        for condition in adapted:
            _check_tables(condition, {ours, *joined}, _JOIN_IT)
        parts = [condition for condition in adapted if set(condition._from_objects) <= {ours}]
        if joined:
            others = [condition for condition in adapted if not set(condition._from_objects) <= {ours}]
            inner: Select[Any] = select(literal_column("1")).select_from(*joined)
            parts.append(exists(inner.where(and_(true(), *on, *others)).correlate(ours)))
        statement: Select[Any] = select(literal_column("1")).select_from(ours).where(and_(true(), *parts))
    return _rendered(statement, prefix, schema_translate_map)


@lru_cache(maxsize=64)
def _rows_of(searched: Table) -> Any:
    return searched.alias("c")


@lru_cache(maxsize=1)
def _dialect() -> PGDialect_psycopg:
    # Dialects remember how types are processed.
    return PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy has no types for it


@contextmanager
def _only_conditions() -> Iterator[None]:
    """Say in our words what SQLAlchemy refuses."""
    try:
        yield
    except SQLAlchemyError as error:
        raise InvalidFilter(
            f"the SQLAlchemy expression is no condition that can be used here ({type(error).__name__}); "
            "pass something like Model.title == 'x', with all its values",
            path="",
        ) from None


def _rendered(
    statement: Select[Any], prefix: str, schema_translate_map: Mapping[str | None, str | None] | None = None
) -> tuple[str, dict[str, Any]]:
    """Return the condition of `SELECT 1 FROM <rows> WHERE <condition>` with its parameters."""
    options: dict[str, Any] = {"compile_kwargs": {"render_postcompile": True}}
    if schema_translate_map:
        options |= {"schema_translate_map": schema_translate_map, "render_schema_translate": True}
    with _only_conditions():
        compiled = statement.compile(dialect=_dialect(), **options)
        state = compiled.construct_expanded_state()
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
    _, _, sql = state.statement.partition("\nWHERE ")
    # SQLAlchemy's placeholders are named after columns, of which the names may hold quotes.
    sql = _PLACEHOLDER.sub(lambda found: f"%({names[found[1]]})s" if found[1] else "%%", sql)
    _check_closed(sql)
    return sql, parameters


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
    if clause is None:
        raise InvalidFilter("None is no condition; leave it out, or write null() for what is never true", path="")
    condition: ColumnElement[bool] = coercions.expect(roles.WhereHavingRole, clause)
    kind = getattr(condition, "type", None)
    if kind is not None and not isinstance(kind, (Boolean, NullType, TypeDecorator)):
        raise InvalidFilter(
            f"the SQLAlchemy expression is a {kind!r:.40}, not a condition; compare it with something", path=""
        )
    return condition


class _Roles:
    """How our statements call tables: by what SQLAlchemy has for them, or by their names."""

    def __init__(self, known: Mapping[Any, str]) -> None:
        self._known = known

    def of(self, table: Any) -> str | None:
        """Return the alias of a table, None for another one of the application's."""
        if not isinstance(table, Table):
            return None
        if table in self._known:
            return self._known[table]
        return self._known.get(quote(table.schema, table.name) if table.schema else quote(table.name))


def _within(condition: ColumnElement[bool], alias: str, roles: _Roles) -> Select[Any]:
    """Return a SELECT over the rows of `alias` with the condition in its WHERE clause."""
    rows: dict[str, Any] = {}
    adapted = _replaced(condition, rows, roles, frozenset())
    _check_tables(adapted, set(rows.values()), _PUT_INSIDE)
    if alias not in rows:
        # Something to select from that is called by the alias; its name is never used.
        rows[alias] = table("rows").alias(alias)
    outer = rows.pop(alias)
    if rows:
        (inner,) = rows.values()
        join = literal_column("d.id") == literal_column("c.document_id")
        adapted = exists(select(literal_column("1")).select_from(inner).where(and_(join, adapted)).correlate(outer))
    return select(literal_column("1")).select_from(outer).where(adapted)


def _replaced(clause: Any, rows: dict[str, Any], roles: _Roles, own: frozenset[str]) -> Any:
    """Return the clause with our tables' columns replaced by those of the rows in hand.

    Args:
        clause: A condition, or a sub-select.
        rows: By role; those that are missed are added.
        roles: Of the tables.
        own: Roles of the tables that the clause selects from on its own account; their columns stay.
    """

    def replacement(element: Any, **_: Any) -> Any:
        if isinstance(element, Select):
            if element is clause:
                return None
            inner = _replaced(element, rows, roles, own | _selected(element, roles))
            # What correlate() names are the tables, which the rows have taken the place of.
            named = {roles.of(source) for source in element._correlate or ()}
            return inner.correlate(*(row for role, row in rows.items() if role in named)) if named else inner
        if isinstance(element, Column):
            role = roles.of(element.table)
            if role is not None and role not in own:
                return rows.setdefault(role, element.table.alias(role)).c[element.key]
        return None

    return replacement_traverse(clause, {}, replacement)


def _selected(statement: Select[Any], roles: _Roles) -> frozenset[str]:
    """Return the roles of those tables of ours that a sub-select selects from, and does not take from around it.

    These are the tables of its columns, of select_from() and join(), and of correlate_except(), by which `any` and
    `has` of relationships say it. One that only its WHERE clause names is that of the statement around it.
    """
    named = [*statement.columns_clause_froms, *statement._from_obj, *(join[0] for join in statement._setup_joins)]
    sources = {source for element in named for source in element._from_objects} | set(statement._correlate_except or ())
    found = {roles.of(source) for source in sources - set(statement._correlate or ())}
    return frozenset(role for role in found if role is not None)


def _check_names(clauses: Sequence[Any], ours: FromClause) -> None:
    """Check that nothing is called as our rows are, which would then be taken for them.

    Raises:
        InvalidFilter: Another table is.
    """
    for clause in clauses:
        for element in iterate(clause):
            if isinstance(element, FromClause) and element is not ours and getattr(element, "name", None) == "c":
                raise InvalidFilter(
                    "a table of the SQLAlchemy expression is called c, as the rows that are searched are; "
                    "give it another name, as by aliased(Model, name='other')",
                    path="",
                )


def _check_tables(condition: Any, known: set[Any], way_out: str) -> None:
    for source in condition._from_objects:
        if source not in known:
            raise InvalidFilter(
                f"the SQLAlchemy expression names {_described(source)}, which is not joined; {way_out}", path=""
            )


def _described(source: Any) -> str:
    """Return what a message calls a table; the name of an alias may be one that SQLAlchemy has yet to make up."""
    if isinstance(source, Alias):
        return f"an alias of {_described(source.element)}"
    return f"{source.name:.63}" if isinstance(source, TableClause) else "a sub-select"
