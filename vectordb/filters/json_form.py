r"""Filters as JSON: for the command line, for SQL, and for other languages.

Grammar::

    filter     := { "and": [filter…] } | { "or": [filter…] } | { "not": filter } | { field: condition… }
    field      := a path such as "year" or "author.name"; a key with a dot in it, or one of the words and, or, not, id,
                  title, uri, created_at, updated_at, is written as a JSON string within: "\"a.b\""
    condition  := value | { operator: operand… }
    operator   := "==" | "!=" | "<" | "<=" | ">" | ">="                    with a value
                | "in" | "not_in" | "any_of" | "all_of"                    with a list of values
                | "between"                                                with [low, high]
                | "contains"                                               with a value, a list or an object
                | "like" | "ilike" | "startswith"                          with a string
                | "exists" | "missing" | "null"                            with true or false
    value      := string | number | true | false | null | { "datetime": ISO 8601 string }

Several entries of one mapping are all required.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vectordb.errors import InvalidFilter
from vectordb.filters.fields import WORDS, Field
from vectordb.filters.nodes import (
    MAX_FILTER_DEPTH,
    MAX_FILTER_NODES,
    And,
    AnyOf,
    Compare,
    Contains,
    Exists,
    Filter,
    In,
    Like,
    Not,
    Or,
    StartsWith,
    walk,
)
from vectordb.filters.values import check_text
from vectordb.timestamps import parse_timestamp

# What other databases call our operators; only to say so.
_ELSEWHERE = {
    "=": "==",
    "$eq": "==",
    "$ne": "!=",
    "<>": "!=",
    "$gt": ">",
    "$gte": ">=",
    "$lt": "<",
    "$lte": "<=",
    "$in": "in",
    "$nin": "not_in",
    "$exists": "exists",
    "$contains": "contains",
    "$like": "like",
    "$ilike": "ilike",
    "$between": "between",
}


def parse(value: Mapping[str, Any]) -> Filter:
    """Read a filter from its JSON form (see the module); the inverse of `Filter.to_dict`.

    Raises:
        InvalidFilter: Not of that grammar; `path` names the part.
    """
    budget = iter(range(MAX_FILTER_NODES))
    result = _parse(value, "", 1, budget)
    for _ in walk(result):
        pass
    return result


def between(field: Field | str, low: object, high: object) -> Filter:
    """Return a filter for `low <= field <= high`.

    Raises:
        InvalidFilter: The two are of different types, or have no order.
    """
    parts = (Compare(field, ">=", low), Compare(field, "<=", high))  # type: ignore[arg-type] # checked there
    kinds = [float if isinstance(part.value, (int, float)) else type(part.value) for part in parts]
    if kinds[0] is not kinds[1]:
        path = str(parts[0].field)
        raise InvalidFilter(
            f"between for {path[:200]} needs two values of one type",
            path=path,
        )
    return And(parts)


def all_of(field: Field | str, values: Iterable[object]) -> Filter:
    """Return a filter for an array that has all values.

    Raises:
        InvalidFilter: As for `AnyOf`.
    """
    return Contains.of(field, list(AnyOf(field, values).values))  # type: ignore[arg-type] # checked there


def _parse(value: Any, path: str, depth: int, budget: Any) -> Filter:
    if depth > MAX_FILTER_DEPTH:
        raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep", path=path[:200])
    if not isinstance(value, Mapping):
        place = path[:200] or "the top"
        raise InvalidFilter(f"a filter at {place} is a mapping, not {type(value).__name__}", path=path)
    parts: list[Filter] = []
    for key, item in value.items():
        name = check_text(key, "a field name", path)
        here = f"{path}.{name}" if path else name
        if next(budget, None) is None:
            raise InvalidFilter(f"a filter has at most {MAX_FILTER_NODES} parts", path=path[:200])
        if name in ("and", "or"):
            if not isinstance(item, (list, tuple)):
                raise InvalidFilter(f"{here[:200]} takes a list of filters, not {type(item).__name__}", path=here)
            inner = tuple(_parse(part, f"{here}[{i}]", depth + 1, budget) for i, part in enumerate(item))
            parts.append(And(inner) if name == "and" else Or(inner))
        elif name == "not":
            parts.append(Not(_parse(item, here, depth + 1, budget)))
        else:
            parts.extend(_conditions(name, item, here))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _conditions(name: str, item: Any, path: str) -> list[Filter]:
    try:
        field = Field.of(name)
    except InvalidFilter as error:
        raise InvalidFilter(str(error), path=path) from None
    if not isinstance(item, Mapping) or set(item) == {"datetime"}:
        return [_at(path, "", lambda: Compare(field, "==", _value(item, path)))]
    if not item:
        raise InvalidFilter(f"the condition on {path[:200]} is empty", path=path)
    return [_condition(field, word, operand, path) for word, operand in item.items()]


def _condition(field: Field, word: object, operand: Any, path: str) -> Filter:
    build = _BUILDERS.get(word) if isinstance(word, str) else None
    if build is None:
        raise InvalidFilter(f"unknown operator at {path[:200]}: {_hint(word)}", path=path)
    return _at(path, str(word), lambda: build(field, operand, path))


def _hint(word: object) -> str:
    nearest = _ELSEWHERE.get(str(word)) or next(iter(difflib.get_close_matches(str(word)[:40], _BUILDERS, n=1)), None)
    return f"did you mean {nearest!r}?" if nearest else f"known are {', '.join(_BUILDERS)}"


def _at(path: str, word: str, build: Callable[[], Filter]) -> Filter:
    """Build a condition; an error names its place in the whole filter, with the number of the value in a list."""
    try:
        return build()
    except InvalidFilter as error:
        inner = str(error.facts.get("path", ""))
        number = inner[inner.rindex("[") :] if inner.endswith("]") and "[" in inner and word else ""
        raise InvalidFilter(str(error), path=f"{path}{f'.{word}{number}' if number else ''}") from None


def _value(value: Any, path: str) -> Any:
    if isinstance(value, Mapping) and set(value) == {"datetime"}:
        instant = parse_timestamp(value["datetime"]) if isinstance(value["datetime"], str) else None
        if instant is None:
            raise InvalidFilter(
                f'the datetime at {path[:200]} is not ISO 8601; write it as in {{"datetime": "2026-01-31T12:00:00Z"}}',
                path=path,
            )
        return instant
    return value


def _values(operand: Any, path: str) -> Any:
    if not isinstance(operand, (list, tuple)):
        return operand
    return (_value(item, f"{path}[{position}]") for position, item in enumerate(operand))


def _between(field: Field, operand: Any, path: str) -> Filter:
    if not isinstance(operand, (list, tuple)) or len(operand) != 2:
        raise InvalidFilter(f"between at {path[:200]} takes [low, high]", path=path)
    return between(field, *_values(operand, path))


def _flag(build: Callable[[Field], Filter]) -> Callable[[Field, Any, str], Filter]:
    def condition(field: Field, operand: Any, path: str) -> Filter:
        if not isinstance(operand, bool):
            found = type(operand).__name__
            raise InvalidFilter(f"the operand at {path[:200]} is true or false, not {found}", path=path)
        return build(field) if operand else Not(build(field))

    return condition


def _comparison(operator: Any) -> Callable[[Field, Any, str], Filter]:
    return lambda field, operand, path: Compare(field, operator, _value(operand, path))


_BUILDERS: dict[str, Callable[[Field, Any, str], Filter]] = {
    "==": _comparison("=="),
    "!=": lambda field, operand, path: Not(Compare(field, "==", _value(operand, path))),
    "<": _comparison("<"),
    "<=": _comparison("<="),
    ">": _comparison(">"),
    ">=": _comparison(">="),
    "in": lambda field, operand, path: In(field, _values(operand, path)),
    "not_in": lambda field, operand, path: Not(In(field, _values(operand, path))),
    "between": _between,
    "contains": lambda field, operand, _: Contains.of(field, operand),
    "any_of": lambda field, operand, _: AnyOf(field, operand),
    "all_of": lambda field, operand, _: all_of(field, operand),
    "like": lambda field, operand, _: Like(field, operand),
    "ilike": lambda field, operand, _: Like(field, operand, case_sensitive=False),
    "startswith": lambda field, operand, _: StartsWith(field, operand),
    "exists": _flag(Exists),
    "missing": _flag(lambda field: Not(Exists(field))),
    "null": _flag(lambda field: Compare(field, "==", None)),
}
OPERATORS = tuple(_BUILDERS)
__all__ = ["OPERATORS", "WORDS", "all_of", "between", "parse"]
