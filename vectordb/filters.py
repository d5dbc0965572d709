"""Filters over metadata: `F("year") >= 2020`, combined with `&`, `|` and `~`.

A filter is a value. It knows what it means (`matches`) and how it looks as JSON
(`to_dict`, `parse`); how it becomes SQL is the business of `vectordb.search.where`.

Values are compared by JSON type: `"10"` is not `10`, and `true` is not `1`. A document
without the field, or with another type there, does not match a comparison, and so does
match its negation by `~`. `!=` is the negation of `==`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from vectordb.errors import InvalidFilter
from vectordb.validation import LARGEST_INTEGER

Scalar = str | int | float | bool | None
Operator = Literal["==", "<", "<=", ">", ">="]

_COMPARISONS = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

MAX_FILTER_DEPTH = 32
MAX_FILTER_NODES = 1_000


class Filter:
    """Base of all filters; immutable."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        return And((self, _operand(other)))

    def __or__(self, other: Filter) -> Filter:
        return Or((self, _operand(other)))

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> bool:
        raise InvalidFilter("a filter is neither true nor false; combine filters with & | ~ instead of and, or, not")

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether a document with this metadata satisfies the filter; the oracle of the SQL."""
        raise NotImplementedError  # pragma: no cover - every filter defines it

    def to_dict(self) -> dict[str, Any]:
        """Return the filter as JSON; `parse` is the inverse."""
        raise NotImplementedError  # pragma: no cover - every filter defines it


@dataclass(frozen=True, slots=True)
class Compare(Filter):
    """A field compared with a value."""

    field: str
    operator: Operator
    value: Scalar

    def __post_init__(self) -> None:
        if self.operator not in _COMPARISONS:
            raise InvalidFilter(f"unknown operator; known are {', '.join(_COMPARISONS)}", path=self.field)
        if self.operator != "==" and (self.value is None or isinstance(self.value, bool)):
            raise InvalidFilter(
                f"{self.field[:200]} {self.operator} {self.value}: only numbers and strings have an order",
                path=self.field,
            )

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether the field is there, has the value's type and compares as asked."""
        if self.field not in metadata or json_type(metadata[self.field]) != json_type(self.value):
            return False
        compare = _COMPARISONS[self.operator]
        return bool(compare(_comparable(metadata[self.field]), _comparable(self.value)))

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: value}` or `{field: {operator: value}}`."""
        return {self.field: self.value if self.operator == "==" else {self.operator: self.value}}


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of the parts; true when there are none."""

    parts: tuple[Filter, ...]

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether every part matches."""
        return all(part.matches(metadata) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"and": [...]}`."""
        return {"and": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of the parts; false when there are none."""

    parts: tuple[Filter, ...]

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether any part matches."""
        return any(part.matches(metadata) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"or": [...]}`."""
        return {"or": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not match."""

    part: Filter

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether the part does not match."""
        return not self.part.matches(metadata)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"not": ...}`."""
        return {"not": self.part.to_dict()}


class F:
    """A metadata field to be compared: `F("year") >= 2020`.

    Args:
        name: Key at the top level of the metadata.

    Raises:
        InvalidFilter: The name is not a string, or holds NUL or a lone surrogate.
    """

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment] # `==` builds a filter, so a field cannot be a key

    def __init__(self, name: str) -> None:
        self._name = _text(name, "a field name", name if isinstance(name, str) else "")

    def __eq__(self, value: object) -> Compare:  # type: ignore[override] # builds a filter
        return self._compare("==", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override] # builds a filter
        return Not(self._compare("==", value))

    def __lt__(self, value: object) -> Compare:
        return self._compare("<", value)

    def __le__(self, value: object) -> Compare:
        return self._compare("<=", value)

    def __gt__(self, value: object) -> Compare:
        return self._compare(">", value)

    def __ge__(self, value: object) -> Compare:
        return self._compare(">=", value)

    def _compare(self, operator: Operator, value: object) -> Compare:
        return Compare(self._name, operator, _scalar(value, self._name))


def as_filter(where: Filter | Mapping[str, Any] | None) -> Filter | None:
    """Return a filter from what `where=` accepts.

    Raises:
        InvalidFilter: Neither a filter, a mapping nor None, or deeper or larger than allowed.
    """
    if where is None:
        return None
    if isinstance(where, Mapping):
        return parse(where)
    if not isinstance(where, Filter):
        raise InvalidFilter(
            f"where is a filter such as F('year') >= 2020, or a mapping, not {type(where).__name__}", path=""
        )
    _check_size(where)
    return where


def parse(value: Mapping[str, Any]) -> Filter:
    """Read a filter from its JSON form; the inverse of `Filter.to_dict`.

    Grammar::

        filter     := { "and": [filter…] } | { "or": [filter…] } | { "not": filter } | { field: condition… }
        condition  := scalar | { operator: scalar… }
        operator   := "==" | "!=" | "<" | "<=" | ">" | ">="

    Several entries of one mapping are all required. A field named `and`, `or` or `not` is
    reached as `{"and": [{"field": …}]}` only through `F`.

    Raises:
        InvalidFilter: Not of that grammar; `path` names the part.
    """
    result = _parse(value, "", 1)
    _check_size(result)
    return result


def _parse(value: Any, path: str, depth: int) -> Filter:
    if depth > MAX_FILTER_DEPTH:
        raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep", path=path[:200])
    if not isinstance(value, Mapping):
        raise InvalidFilter(f"a filter at {path or 'the top'} is a mapping, not {type(value).__name__}", path=path)
    parts: list[Filter] = []
    for key, item in value.items():
        name = _text(key, "a field name", path)
        here = f"{path}.{name}" if path else name
        if name in ("and", "or"):
            if not isinstance(item, (list, tuple)):
                raise InvalidFilter(f"{here} takes a list of filters, not {type(item).__name__}", path=here)
            inner = tuple(_parse(part, f"{here}[{i}]", depth + 1) for i, part in enumerate(item))
            parts.append(And(inner) if name == "and" else Or(inner))
        elif name == "not":
            parts.append(Not(_parse(item, here, depth + 1)))
        else:
            parts.extend(_parse_conditions(name, item, here))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _parse_conditions(name: str, item: Any, path: str) -> list[Filter]:
    if not isinstance(item, Mapping):
        return [Compare(name, "==", _scalar(item, path))]
    if not item:
        raise InvalidFilter(f"the condition on {path} is empty", path=path)
    parts: list[Filter] = []
    for word, value in item.items():
        if word == "!=":
            parts.append(Not(Compare(name, "==", _scalar(value, path))))
        elif word in ("==", "<", "<=", ">", ">="):
            parts.append(Compare(name, word, _scalar(value, path)))
        else:
            raise InvalidFilter(f"unknown operator at {path}; known are ==, !=, <, <=, >, >=", path=path)
    return parts


def _check_size(root: Filter) -> None:
    waiting, nodes = [(root, 1)], 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if depth > MAX_FILTER_DEPTH:
            raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep", path="")
        if nodes > MAX_FILTER_NODES:
            raise InvalidFilter(f"a filter has at most {MAX_FILTER_NODES} parts", path="")
        if isinstance(node, (And, Or)):
            waiting.extend((part, depth + 1) for part in node.parts)
        elif isinstance(node, Not):
            waiting.append((node.part, depth + 1))


def json_type(value: object) -> str:
    """Return the name that `jsonb_typeof` gives to a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _comparable(value: object) -> Any:
    """Return what compares as PostgreSQL does: strings under the "C" collation, numbers as they are written."""
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    return Decimal(float.__repr__(value)) if isinstance(value, float) else value


def _scalar(value: object, path: str) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFilter(f"the value for {path[:200]} is {value}, which no stored number equals", path=path)
    if isinstance(value, int) and abs(value) >= LARGEST_INTEGER:
        raise InvalidFilter(f"the value for {path[:200]} has over 1000 digits, as no stored number has", path=path)
    if isinstance(value, str):
        return _text(value, "a value", path)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise InvalidFilter(
        f"the value for {path[:200]} is a {type(value).__name__}; compare with a string, number, boolean or None",
        path=path,
    )


def _text(value: object, what: str, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidFilter(f"{what} in a filter is a string, not {type(value).__name__}", path=path)
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidFilter(f"{what} in a filter holds NUL or a lone surrogate, which no stored text has", path="")
    return value


def _operand(value: object) -> Filter:
    if not isinstance(value, Filter):
        raise InvalidFilter(f"& and | combine filters, not {type(value).__name__}", path="")
    return value
