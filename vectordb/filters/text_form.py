"""Filters as text, for people: `year >= 2020 and lang in ("en", "de")`.

Grammar, words in any case::

    filter     := all ( "or" all )*
    all        := part ( "and" part )*
    part       := "not" part | "(" filter ")" | condition
    condition  := field ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) value
                | field [ "not" ] ( "in" | "any_of" | "all_of" ) "(" value ( "," value )* ")"
                | field [ "not" ] "between" value "and" value
                | field [ "not" ] "contains" ( value | "(" value ( "," value )* ")" )
                | field [ "not" ] ( "like" | "ilike" | "startswith" ) string
                | field [ "not" ] "exists"  |  field "is" [ "not" ] ( "null" | "missing" )
    field      := key ( "." key )*
    key        := a word of letters, digits, _ and -, that starts with no digit; or a string in double quotes
    value      := number | string | "true" | "false" | "null" | "date" string
    string     := "…" as in JSON, or '…' as in SQL

A key in double quotes always means metadata, as in `F('"title"')`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from vectordb.errors import InvalidFilter
from vectordb.filters.fields import Field
from vectordb.filters.json_form import all_of, between
from vectordb.filters.nodes import (
    MAX_FILTER_DEPTH,
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
from vectordb.filters.values import MAX_FILTER_VALUES, too_many_values
from vectordb.timestamps import parse_timestamp

MAX_TEXT = 1_000_000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> -?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.]) )
    | (?P<json>   "(?:[^"\\]|\\.)*" )
    | (?P<sql>    '(?:[^']|'')*' )
    | (?P<sign>   ==|!=|<>|<=|>=|=|<|>|\(|\)|,|\. )
    | (?P<word>   [^\W\d][\w-]* )
    )""",
    re.VERBOSE | re.DOTALL,
)
_COMPARISONS = {"=": "==", "==": "==", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONSTANTS = {"true": True, "false": False, "null": None}


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def parse_text(text: str) -> Filter:
    """Read a filter from text (see the module for the grammar).

    Raises:
        InvalidFilter: Not of that grammar; `position` counts characters from 0.
    """
    if not isinstance(text, str):
        raise InvalidFilter(f"a filter as text is a string, not {type(text).__name__}", path="")
    if len(text) > MAX_TEXT:
        raise InvalidFilter(f"a filter as text has at most {MAX_TEXT:,} characters", path="")
    parser = _Parser(text)
    result = parser.either(1)
    if parser.token.kind != "end":
        parser.fail("'and', 'or' or the end")
    for _ in walk(result):
        pass
    return result


class _Parser:
    """Recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self.token = self._next()

    def fail(self, expected: str) -> NoReturn:
        token = self.token
        found = repr(token.text[:40]) if token.text else "the end"
        raise InvalidFilter(
            f"at character {token.start} of the filter there is {found}; expected {expected}",
            path="",
            position=token.start,
        )

    def either(self, depth: int) -> Filter:
        parts = [self._all(depth)]
        while self._accept("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Filter:
        parts = [self._part(depth)]
        while self._accept("and"):
            parts.append(self._part(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _part(self, depth: int) -> Filter:
        if depth > MAX_FILTER_DEPTH:
            raise InvalidFilter(
                f"a filter is at most {MAX_FILTER_DEPTH} levels deep", path="", position=self.token.start
            )
        if self._accept("not"):
            return Not(self._part(depth + 1))
        if self._accept("("):
            inner = self.either(depth + 1)
            self._expect(")")
            return inner
        return self._condition()

    def _condition(self) -> Filter:
        start = self.token.start
        try:
            return self._predicate(self._field())
        except InvalidFilter as error:
            if "position" in error.facts:
                raise
            raise InvalidFilter(str(error), path=error.facts.get("path", ""), position=start) from None

    def _predicate(self, field: Field) -> Filter:
        if self.token.kind == "sign":
            return self._comparison(field)
        if self._accept("is"):
            return _negated(self._accept("not"), self._state(field))
        negated = self._accept("not")
        if self._accept("exists"):
            return _negated(negated, Exists(field))
        for word, read in self._predicates().items():
            if self._accept(word):
                return _negated(negated, read(field))
        self.fail(f"an operator: =, !=, <, <=, >, >=, is, not, exists, {', '.join(self._predicates())}")

    def _predicates(self) -> dict[str, Callable[[Field], Filter]]:
        return {
            "in": lambda field: In(field, self._list()),
            "any_of": lambda field: AnyOf(field, self._list()),
            "all_of": lambda field: all_of(field, self._list()),
            "between": self._between,
            "contains": lambda field: Contains.of(
                field, list(self._list()) if self.token.text == "(" else self._value()
            ),
            "like": lambda field: Like(field, self._string()),
            "ilike": lambda field: Like(field, self._string(), case_sensitive=False),
            "startswith": lambda field: StartsWith(field, self._string()),
        }

    def _comparison(self, field: Field) -> Filter:
        sign = self.token.text
        if sign in ("!=", "<>"):
            self._advance()
            return Not(Compare(field, "==", self._value()))
        if sign not in _COMPARISONS:
            self.fail("an operator such as =")
        self._advance()
        return Compare(field, _COMPARISONS[sign], self._value())  # type: ignore[arg-type] # all of them are operators

    def _between(self, field: Field) -> Filter:
        low = self._value()
        self._expect("and")
        return between(field, low, self._value())

    def _state(self, field: Field) -> Filter:
        if self._accept("null"):
            return Compare(field, "==", None)
        self._expect("missing", "'null' or 'missing'")
        return Not(Exists(field))

    def _field(self) -> Field:
        keys: list[str] = []
        quoted = False
        while True:
            token = self.token
            if token.kind == "json":
                keys.append(self._string())
                quoted = True
            elif token.kind == "word":
                keys.append(token.text)
                self._advance()
            else:
                self.fail("a field")
            if not self._accept("."):
                return Field.of(keys if quoted else ".".join(keys))

    def _list(self) -> tuple[Any, ...]:
        self._expect("(")
        values = [self._value()]
        while self._accept(","):
            if len(values) >= MAX_FILTER_VALUES:
                raise InvalidFilter(too_many_values(""), path="", position=self.token.start)
            values.append(self._value())
        self._expect(")", "',' or ')'")
        return tuple(values)

    def _value(self) -> Any:
        token = self.token
        if token.kind in ("json", "sql"):
            return self._string()
        if token.kind == "number":
            self._advance()
            return float(token.text) if any(sign in token.text for sign in ".eE") else int(token.text[:1_100])
        word = token.text.lower()
        if token.kind == "word" and word in _CONSTANTS:
            self._advance()
            return _CONSTANTS[word]
        if token.kind == "word" and word == "date":
            self._advance()
            return self._date()
        self.fail("a value: a number, a string in quotes, true, false, null or date '2026-01-31'")

    def _date(self) -> Any:
        token = self.token
        instant = parse_timestamp(self._string())
        if instant is None:
            self.token = token
            self.fail("an ISO 8601 date or time such as '2026-01-31' or '2026-01-31T12:00:00Z'")
        return instant

    def _string(self) -> str:
        token = self.token
        if token.kind == "sql":
            self._advance()
            return token.text[1:-1].replace("''", "'")
        if token.kind != "json":
            self.fail("a string in quotes")
        try:
            value: str = json.loads(token.text, strict=False)
        except ValueError:
            self.fail("a string as JSON has it; or write it in single quotes")
        self._advance()
        return value

    def _accept(self, text: str) -> bool:
        if self.token.kind not in ("word", "sign") or self.token.text.lower() != text:
            return False
        self._advance()
        return True

    def _expect(self, text: str, what: str | None = None) -> None:
        if not self._accept(text):
            self.fail(what or f"'{text}'")

    def _advance(self) -> None:
        self.token = self._next()

    def _next(self) -> _Token:
        match = _TOKEN.match(self._text, self._position)
        if match is None:
            rest = self._text[self._position :]
            start = len(self._text) - len(rest.lstrip())
            kind = "unknown" if rest.strip() else "end"
            return _Token(kind, self._text[start : start + 40], start)
        kind = str(match.lastgroup)
        self._position = match.end()
        return _Token(kind, match.group(kind), match.start(kind))


def _negated(negated: bool, condition: Filter) -> Filter:
    return Not(condition) if negated else condition
