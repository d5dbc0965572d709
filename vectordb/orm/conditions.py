"""Conditions on a model, as the application writes them for SQLAlchemy, for the statements of a search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Join, Select, inspect, literal_column, select
from sqlalchemy.exc import SQLAlchemyError

from vectordb.errors import InvalidFilter
from vectordb.filters import Filter
from vectordb.orm.mapping import ModelMapping
from vectordb.search.expressions import joined_expression_sql
from vectordb.search.where import RenderedCondition


def model_condition(
    mapping: ModelMapping,
    where: Any,
    join: Any,
    schema_translate_map: Mapping[str | None, str | None] | None = None,
) -> RenderedCondition | None:
    """Return which rows of a model's table count; None for all.

    Args:
        mapping: Of the model.
        where: A condition or several, all of which have to hold.
        join: What `Select.join` takes, or several: a relationship, or a pair of a target and a condition.
        schema_translate_map: Of the connection.

    Raises:
        InvalidFilter: Not a condition, or on a table that is not joined; or `join` is none.
    """
    criteria, joins = [*_conditions(where), *_of_subclass(mapping)], _joins(join)
    if not criteria and not joins:
        return None
    joined, links = _joined(mapping, criteria, joins)
    sql, parameters = joined_expression_sql(
        criteria, mapping.table, joined, links, prefix="w", schema_translate_map=schema_translate_map
    )
    return RenderedCondition(sql, parameters)


def _conditions(where: Any) -> list[Any]:
    if isinstance(where, Filter):
        raise InvalidFilter("conditions on a model are SQLAlchemy's, as in where=[Product.price < 10], not F(...)")
    if isinstance(where, (Mapping, str)):
        raise InvalidFilter("conditions on a model are SQLAlchemy's, as in where=[Product.price < 10]")
    return _several(where)


def _joins(join: Any) -> list[Any]:
    return [join] if _is_pair(join) or isinstance(join, str) else _several(join)


def _several(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, (Sequence, Set, Iterator)) else [given]


def _is_pair(join: Any) -> bool:
    """Whether this is one join, a target and its condition, and not a list of relationships."""
    if not isinstance(join, tuple) or len(join) != 2:
        return False
    target: Any = inspect(join[0], raiseerr=False)
    return any(getattr(target, kind, False) for kind in ("is_mapper", "is_aliased_class", "is_selectable"))


def _of_subclass(mapping: ModelMapping) -> list[ColumnElement[bool]]:
    """Return the condition that rows are of the model, where its table holds those of other classes, too."""
    mapper = mapping.mapper
    if mapper.inherits is None or mapper.polymorphic_on is None or mapper.concrete:
        return []
    if mapping.table not in mapper.inherits.tables:
        return []  # a table of the class's own
    kinds = [each.polymorphic_identity for each in mapper.self_and_descendants]
    return [mapper.polymorphic_on.in_(kinds)]


def _joined(
    mapping: ModelMapping, criteria: Sequence[Any], join: Sequence[Any]
) -> tuple[list[FromClause], list[ColumnElement[bool]]]:
    """Return the tables that conditions may name beside the searched one, and how they are joined."""
    if not join and not _names_inherited(mapping, criteria):
        return [], []
    statement: Select[Any] = select(literal_column("1")).select_from(mapping.model)
    try:
        for target in join:
            statement = statement.join(*target) if isinstance(target, tuple) else statement.join(target)
        (source,) = statement.get_final_froms()
    except (SQLAlchemyError, ValueError, AttributeError) as error:
        raise InvalidFilter(
            f"join= takes relationships such as {mapping.model.__name__}.category, or pairs of a model and a condition "
            f"({type(error).__name__})"
        ) from None
    links: list[ColumnElement[bool]] = []
    leaves = list(_leaves(source, links))
    # A table of the ORM is equal to the one it stands for, but another object.
    tables = [table for table in leaves if table not in {mapping.table}]
    if len(tables) < len(leaves) - 1:
        raise InvalidFilter(
            f"join= joins {mapping.model.__name__} with itself; give the other one a name, as by "
            "other = aliased(Model) and Model.relationship.of_type(other)"
        )
    return tables, links


def _names_inherited(mapping: ModelMapping, criteria: Sequence[Any]) -> bool:
    """Whether conditions name another table of which the model's rows are made."""
    inherited = {table for table in mapping.mapper.tables if table is not mapping.table}
    return any(inherited.intersection(getattr(_clause(clause), "_from_objects", ())) for clause in criteria)


def _clause(clause: Any) -> Any:
    return clause if isinstance(clause, ColumnElement) else getattr(clause, "__clause_element__", lambda: clause)()


def _leaves(source: Any, links: list[ColumnElement[bool]]) -> Iterator[FromClause]:
    """Yield the tables of a join, and add the conditions that join them to `links`."""
    if not isinstance(source, Join):
        yield source
        return
    if source.isouter or source.full:
        raise InvalidFilter("join= takes inner joins; what may be missing is a matter of Model.relationship.any(...)")
    links.append(source.onclause)  # type: ignore[arg-type] # a join of an ORM select has one
    yield from _leaves(source.left, links)
    yield from _leaves(source.right, links)
