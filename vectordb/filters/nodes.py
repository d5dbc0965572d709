"""The conditions that filters are made of: what each means, and how it reads as JSON."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from types import MappingProxyType
from typing import Any, Literal, get_args

from vectordb.errors import InvalidFilter
from vectordb.filters.fields import MISSING, Field
from vectordb.filters.values import (
    MAX_FILTER_VALUES,
    Scalar,
    canonical_json,
    case_folding,
    check_pattern,
    check_scalar,
    check_scalars,
    check_text,
    comparable,
    comparable_to,
    contains,
    fold,
    is_like,
    json_size,
    to_json,
    too_many_values,
)

Operator = Literal["==", "<", "<=", ">", ">="]

_COMPARISONS = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

MAX_FILTER_DEPTH = 32
MAX_FILTER_NODES = 1_000

_NO_COLUMNS: Mapping[str, Any] = MappingProxyType({})


class Filter:
    """Base of all filters; immutable."""

    __slots__ = ()

    def __and__(self, other: object) -> Filter:
        return And((*(self.parts if isinstance(self, And) else (self,)), _operand(other)))

    def __or__(self, other: object) -> Filter:
        return Or((*(self.parts if isinstance(self, Or) else (self,)), _operand(other)))

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> bool:
        raise InvalidFilter("a filter is neither true nor false; combine filters with & | ~ instead of and, or, not")

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Whether a document satisfies the filter; the oracle of the SQL.

        Args:
            metadata: Of the document.
            columns: Its own columns by name: id, title, uri as text or None, created_at and updated_at as
                aware datetimes.
        """
        raise NotImplementedError  # pragma: no cover - every filter defines it

    def to_dict(self) -> dict[str, Any]:
        """Return the filter as JSON; `parse` is the inverse."""
        raise NotImplementedError  # pragma: no cover - every filter defines it


@dataclass(frozen=True, slots=True)
class Condition(Filter):
    """A filter on one field."""

    field: Field

    def __post_init__(self) -> None:
        # A name is as good as a field.
        object.__setattr__(self, "field", Field.of(self.field))

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Whether the field is there and holds what is asked for."""
        stored = self.field.find(metadata, columns)
        return stored is not MISSING and self.holds(stored)

    def holds(self, stored: Any) -> bool:
        """Whether the condition is true of a value."""
        raise NotImplementedError  # pragma: no cover - every condition defines it

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _wrap(self, word: str, value: object) -> dict[str, Any]:
        return {str(self.field): {word: value}}


@dataclass(frozen=True, slots=True)
class Compare(Condition):
    """A field compared with a value."""

    operator: Operator
    value: Scalar

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        name = str(self.field)
        if not isinstance(self.operator, str) or self.operator not in _COMPARISONS:
            raise InvalidFilter(f"unknown operator; known are {', '.join(get_args(Operator))}", path=name)
        self._set("value", check_scalar(self.value, name))
        if self.operator != "==" and (self.value is None or isinstance(self.value, bool)):
            raise InvalidFilter(
                f"{name[:200]} {self.operator} {self.value}: only numbers, strings and dates have an order", path=name
            )

    def holds(self, stored: Any) -> bool:
        """Whether the value is of the same type and compares as asked."""
        known = comparable_to(stored, self.value)
        return known is not None and bool(_COMPARISONS[self.operator](known, comparable(self.value)))

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: value}` or `{field: {operator: value}}`."""
        value = to_json(self.value)
        return (
            {str(self.field): value}
            if self.operator == "==" and value is self.value
            else self._wrap(self.operator, value)
        )


@dataclass(frozen=True, slots=True)
class In(Condition):
    """A field that equals one of some values."""

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        self._set("values", check_scalars(self.values, "in", str(self.field)))

    def holds(self, stored: Any) -> bool:
        """Whether the value equals one of them."""
        return any(comparable_to(stored, value) == comparable(value) for value in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"in": [...]}}`."""
        return self._wrap("in", [to_json(value) for value in self.values])


@dataclass(frozen=True, slots=True)
class Exists(Condition):
    """A field that is there, be it null."""

    def holds(self, stored: Any) -> bool:
        """Whether there is a value; a column of the document that is null has none."""
        return not (self.field.own and stored is None)

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"exists": true}}`."""
        return self._wrap("exists", True)


@dataclass(frozen=True, slots=True)
class Contains(Condition):
    """An array or object that contains other JSON, as jsonb's `@>` has it.

    Attributes:
        json: What is contained: an array or an object, as canonical JSON text.
    """

    json: str
    size: int = dataclass_field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        path = str(self.field)
        try:
            value = json.loads(self.json)
        except (TypeError, ValueError, RecursionError):
            value = None
        if not isinstance(value, (list, dict)):
            raise InvalidFilter(f"contains for {path[:200]} takes JSON text of an array or an object", path=path)
        self._set("size", json_size(value, path))
        self._set("json", canonical_json(value, path))

    @classmethod
    def of(cls, field: Field | str, value: object) -> Contains:
        """Contain an object, all elements of a list, or a single element.

        Raises:
            InvalidFilter: JSON cannot hold the value, or the list is empty.
        """
        path = str(Field.of(field))
        if isinstance(value, (list, tuple)) and not value:
            raise InvalidFilter(f"contains for {path[:200]} needs at least one element", path=path)
        whole = value if isinstance(value, (list, tuple, Mapping)) else [value]
        json_size(whole, path)
        return cls(field, canonical_json(whole, path))  # type: ignore[arg-type] # a name is as good as a field

    @property
    def value(self) -> Any:
        """What is contained, as Python has it."""
        return json.loads(self.json)

    def holds(self, stored: Any) -> bool:
        """Whether the array or object contains it."""
        return contains(stored, self.value)

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"contains": ...}}`."""
        return self._wrap("contains", self.value)


@dataclass(frozen=True, slots=True)
class AnyOf(Condition):
    """An array that has one of some values as an element."""

    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        path = str(self.field)
        self._set("values", check_scalars(self.values, "any_of", path))
        for value in self.values:
            if to_json(value) is not value:
                raise InvalidFilter(f"any_of for {path[:200]} takes no dates; write them as strings", path=path)

    def holds(self, stored: Any) -> bool:
        """Whether the array has one of them."""
        return any(contains(stored, [value]) for value in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"any_of": [...]}}`."""
        return self._wrap("any_of", list(self.values))


@dataclass(frozen=True, slots=True)
class Like(Condition):
    r"""A string that matches a pattern: `%` any characters, `_` any one, `\` takes the next literally."""

    pattern: str
    case_sensitive: bool = True

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        self._set("pattern", check_pattern(self.pattern, str(self.field)))

    def holds(self, stored: Any) -> bool:
        """Whether the string matches the pattern as a whole."""
        if not isinstance(stored, str):
            return False
        if self.case_sensitive:
            return is_like(stored, self.pattern)
        return is_like(
            stored.translate({ord(old): new for old, new in case_folding(self.pattern).items()}), fold(self.pattern)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"like": pattern}}`, or `ilike`."""
        return self._wrap("like" if self.case_sensitive else "ilike", self.pattern)


@dataclass(frozen=True, slots=True)
class StartsWith(Condition):
    """A string that starts with another."""

    prefix: str

    def __post_init__(self) -> None:
        Condition.__post_init__(self)
        self._set("prefix", str.__str__(check_text(self.prefix, "a prefix", str(self.field))))

    def holds(self, stored: Any) -> bool:
        """Whether the string starts so."""
        return isinstance(stored, str) and stored.startswith(self.prefix)

    def to_dict(self) -> dict[str, Any]:
        """Return `{field: {"startswith": prefix}}`."""
        return self._wrap("startswith", self.prefix)


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of the parts; true when there are none."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _operands(self.parts))

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Whether every part matches."""
        return all(part.matches(metadata, columns) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"and": [...]}`."""
        return {"and": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of the parts; false when there are none."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", _operands(self.parts))

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Whether any part matches."""
        return any(part.matches(metadata, columns) for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"or": [...]}`."""
        return {"or": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """The part does not match."""

    part: Filter

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", _operand(self.part))

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Whether the part does not match."""
        return not self.part.matches(metadata, columns)

    def to_dict(self) -> dict[str, Any]:
        """Return `{"not": ...}`."""
        return {"not": self.part.to_dict()}


@dataclass(frozen=True, slots=True, eq=False)
class Expression(Filter):
    """A condition of SQLAlchemy's over the models of the collection; only the database can tell what it matches."""

    clause: Any

    def matches(self, metadata: Mapping[str, Any], columns: Mapping[str, Any] = _NO_COLUMNS) -> bool:
        """Raise InvalidFilter: nobody but the database knows."""
        raise InvalidFilter("a SQLAlchemy expression can be evaluated by the database only; use F(...)", path="")

    def to_dict(self) -> dict[str, Any]:
        """Raise InvalidFilter: there is no such form."""
        raise InvalidFilter("a SQLAlchemy expression has no JSON form; use F(...)", path="")


def is_expression(value: object) -> bool:
    """Whether a value is an expression of SQLAlchemy's, told without importing SQLAlchemy."""
    return not isinstance(value, type) and (hasattr(value, "__clause_element__") or hasattr(value, "self_group"))


def is_empty(where: Filter) -> bool:
    """Whether a filter says nothing at all, as `{}` does."""
    return isinstance(where, And) and all(is_empty(part) for part in where.parts)


def walk(root: Filter) -> Iterator[Filter]:
    """Yield all parts of a filter, itself first.

    Raises:
        InvalidFilter: It is deeper or larger than allowed.
    """
    waiting, nodes, values = [(root, 1)], 0, 0
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if isinstance(node, (In, AnyOf)):
            values += len(node.values)
        elif isinstance(node, Contains):
            values += node.size
        if depth > MAX_FILTER_DEPTH:
            raise InvalidFilter(f"a filter is at most {MAX_FILTER_DEPTH} levels deep", path="")
        if nodes > MAX_FILTER_NODES:
            raise InvalidFilter(f"a filter has at most {MAX_FILTER_NODES} parts", path="")
        if values > MAX_FILTER_VALUES:
            raise InvalidFilter(too_many_values(""), path="")
        yield node
        if isinstance(node, (And, Or)):
            waiting.extend((part, depth + 1) for part in reversed(node.parts))
        elif isinstance(node, Not):
            waiting.append((node.part, depth + 1))


def _operands(values: object) -> tuple[Filter, ...]:
    if not isinstance(values, (list, tuple)):
        raise InvalidFilter(f"the parts of a filter are a tuple of filters, not {type(values).__name__}", path="")
    return tuple(map(_operand, values))


def _operand(value: object) -> Filter:
    if isinstance(value, Filter):
        return value
    if is_expression(value):
        return Expression(value)
    raise InvalidFilter(f"filters are combined with filters, not with {type(value).__name__}", path="")
