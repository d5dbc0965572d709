"""Helpers that several tests share."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectordb import FunctionEmbedder
from vectordb.errors import InvalidFilter
from vectordb.fields import FieldType
from vectordb.filters import And, AnyOf, Compare, Contains, Exists, Field, Filter, In, Like, Not, Or, StartsWith
from vectordb.filters.json_form import all_of, between

# Names and values in which naive SQL would go wrong; few, so that filters and metadata meet often.
HOSTILE_NAMES = ["a", "year", "a.b", "it's", '"quoted"', "100%", "%s", "%(w0)s", "$1", "{}", "é", "", " "]
HOSTILE_NAMES += ["'; DROP TABLE canary; --"]
# Named like the document's own columns, and like words of the grammars.
TAKEN_NAMES = ["id", "title", "created_at", "and", "not", "in", "datetime", "d", "metadata", "b"]
HOSTILE_TEXTS = [
    "",
    "1",
    "10",
    "9",
    "true",
    "null",
    "a",
    "A",
    "é",
    "e\u0301",
    "\U0001f600",
    "\uffff",
    "\\",
    '"',
    "'",
    "%",
]
HOSTILE_TEXTS += ["%s", "\n", "[1]", "{}"]
# What has its troubles with case and patterns.
WORDS = [
    "Straße",
    "STRASSE",
    "ẞ",
    "İ",
    "\u0131",
    "I",
    "i",
    "\u212a",
    "k",
    "K",
    "ς",
    "\u03c3",
    "Σ",
    "\u017f",
    "s",
    "µ",
    "ǅ",
]
WORDS += ["a_b", "a%b", "a\\b", "ΟΔΟΣ", "%s_%", "under_score", "\u0001"]
DATES = [
    "2020-01-01",
    "2020-01-01T00:00:00Z",
    "2020-01-01 00:00",
    "2020-01-01T01:00+01:00",
    "2020-01-01T00:00:00.000001Z",
]
DATES += [
    "0001-01-01",
    "9999-12-31T23:59:59.999999Z",
    "2020-02-29T23:59:59.5-14:00",
    "1969-12-31 23:59:59.999999+14:00",
]
ALMOST_DATES = [
    "2021-02-29",
    "2020-13-01",
    "2020-1-1",
    "2020-01-01T24:00",
    "2020-01-01T00:00:60Z",
    "20200101",
    "0000-01-01",
]
ALMOST_DATES += ["2020-01-01T00:00+15:00", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "2020-01-01Z", "now"]
ALMOST_DATES += [
    " 2020-01-01",
    "2020-01-01\n",
    "infinity",
    "\uff12\uff10\uff12\uff10-01-01",
    "2020-01-01T00:00:00.1234567Z",
    "2020-01-01t00:00z",
]
HOSTILE_NUMBERS: list[int | float] = [0, 1, -1, 10, 9, 2**31, 2**53, 2**53 + 1, 10**23, 10**40, 10**308, 10**400]
HOSTILE_NUMBERS += [0.0, -0.0, 1.0, 0.1, -1.5, 1e23, 5e-324, 1.7976931348623157e308, 1e-7]
BIG_NUMBERS: list[int | float] = [
    2**53 - 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    10**30,
    float(2**53),
    1e30,
    9.2e18,
]
INSTANTS: list[Any] = [datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1), date(2020, 1, 1), date(1, 1, 1)]
INSTANTS += [
    datetime(2020, 1, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    datetime.max.replace(tzinfo=UTC),
]
INSTANTS += [datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(1969, 12, 31, 9, 59, 59, 999999), date(2020, 3, 1)]

STORABLE_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
FIELD_NAMES = st.sampled_from(HOSTILE_NAMES)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False]),
    st.sampled_from(HOSTILE_NUMBERS),
    st.sampled_from(HOSTILE_TEXTS),
    st.integers(-3, 3),
)
# One of each type.
ALL_FIELDS = {
    "flag": FieldType.BOOL,
    "amount": FieldType.FLOAT,
    "pieces": FieldType.INT,
    "lang": FieldType.STR,
    "day": FieldType.DATETIME,
}
_OWN = {
    "id": FieldType.STR,
    "title": FieldType.STR,
    "uri": FieldType.STR,
    "created_at": FieldType.DATETIME,
    "updated_at": FieldType.DATETIME,
}


class Hostile:
    """Makes documents and filters that are meant to confuse, and that meet often.

    Args:
        random: Where all choices come from; the same seed makes the same.
        fields: Declared fields, which then occur with values that their types allow.
        own: Whether filters are about the document's own columns too.
    """

    def __init__(self, random: Random, *, fields: Mapping[str, FieldType] | None = None, own: bool = False) -> None:
        self._random = random
        self._fields = dict(fields or {})
        self._own = _OWN if own else {}
        self._names = HOSTILE_NAMES + TAKEN_NAMES
        self._seen: list[tuple[tuple[str, ...], Any]] = []
        self._own_texts = [("id", "é"), ("created_at", "")]

    def text(self) -> str:
        pool = self._random.choice([HOSTILE_TEXTS, WORDS, DATES, ALMOST_DATES])
        return self._random.choice(pool)

    def number(self) -> int | float:
        if self._random.random() < 0.4:
            return self._random.randint(-3, 3)
        return self._random.choice(self._random.choice([HOSTILE_NUMBERS, BIG_NUMBERS]))

    def scalar(self) -> Any:
        kind = self._random.random()
        if kind < 0.25:
            return self._random.choice([None, True, False])
        return self.number() if kind < 0.5 else self.text()

    def value(self, depth: int = 2) -> Any:
        """A scalar, an array or an object."""
        kind = self._random.random()
        if depth == 0 or kind < 0.6:
            return self.scalar()
        if kind < 0.8:
            return [self.value(depth - 1) for _ in range(self._random.randint(0, 3))]
        return {self._random.choice(self._names): self.value(depth - 1) for _ in range(self._random.randint(0, 2))}

    def declared(self, kind: FieldType) -> Any:
        """A value that a declared field may have."""
        if kind is FieldType.STR:
            return self.text()
        if kind is FieldType.FLOAT:
            return self.number()
        if kind is FieldType.INT:
            return self._random.choice([0, 1, -1, 2, 3, 1.0, -0.0, 2**53 + 1, 2**63 - 1, -(2**63), float(2**62)])
        return self._random.choice([True, False]) if kind is FieldType.BOOL else self._random.choice(DATES)

    def metadata(self) -> dict[str, Any]:
        names = self._random.sample(self._names, self._random.choice([0, 2, 6, 8, 10, 12]))
        entry = {name: self.value() for name in names}
        for name, kind in self._fields.items():
            if self._random.random() < 0.85:
                entry[name] = self.declared(kind) if self._random.random() < 0.9 else None
        self._remember((), entry)
        return entry

    def columns(self, id: str) -> dict[str, Any]:
        """A document's own columns, but for the times."""
        texts = {name: self._random.choice([None, self.text(), self.text()]) for name in ("title", "uri")}
        self._own_texts.extend((name, text) for name, text in {"id": id, **texts}.items() if text is not None)
        return {"id": id, **texts}

    def _remember(self, keys: tuple[str, ...], value: Any) -> None:
        if keys:
            self._seen.append((keys, value))
        if isinstance(value, dict):
            for key, item in value.items():
                self._remember((*keys, key), item)

    def filter(self, depth: int = 3) -> Filter:
        """A filter of any kind."""
        if depth == 0 or self._random.random() < 0.55:
            return self._condition()
        kind = self._random.random()
        if kind < 0.3:
            return Not(self.filter(depth - 1))
        if kind < 0.32:
            return self._random.choice([And, Or])(())
        parts = [self.filter(depth - 1) for _ in range(self._random.choice([1, 2, 2, 2, 3]))]
        if kind < 0.66:  # two conditions that are seldom true are hardly ever true at once
            return And(tuple(self._random.choice([part, Not(part)]) for part in parts))
        return Or(tuple(parts))

    def _condition(self) -> Filter:
        place = self._random.random()
        if self._own and place < 0.2:
            name, text = self._random.choice([*self._own_texts, *((name, "") for name in self._own)])
            return self._typed(Field.of(name), self._own[name], text)
        if self._fields and place < 0.5:
            name = self._random.choice(list(self._fields))
            return self._typed(Field.of(name), self._fields[name], self.declared(self._fields[name]))
        if self._seen and self._random.random() < 0.85:
            keys, stored = self._random.choice(self._seen)
            if len(keys) > 1 or keys[0] not in self._fields:
                return self._untyped(self._field(keys), stored)
        keys = tuple(self._random.sample(self._names, self._random.choice([1, 1, 1, 2, 3])))
        return self._untyped(self._field(keys), self.value())

    def _field(self, keys: tuple[str, ...]) -> Field:
        literal = Field.of(list(keys))
        return literal if self._random.random() < 0.3 else Field.of(str(Field(keys)))

    def _typed(self, field: Field, kind: FieldType, stored: Any) -> Filter:
        """A condition that a field of this type can have."""

        def value() -> Any:
            if kind is FieldType.DATETIME:
                return self._random.choice(INSTANTS if self._random.random() < 0.5 else DATES)
            if kind in (FieldType.INT, FieldType.FLOAT) and self._random.random() < 0.5:
                return self.number()
            if field.own:
                return self._random.choice([stored, stored, self.text(), *([5, 17] if field.keys == ("id",) else [])])
            return self.declared(kind)

        choice = self._random.random()
        if choice < 0.1:
            return Exists(field)
        if choice < 0.3:
            return In(field, tuple(self._random.choice([None, value(), value()]) for _ in range(self._some())))
        if kind is FieldType.STR and choice < 0.55:
            return self._on_text(field, stored)
        if kind is FieldType.BOOL or choice < 0.7:
            return Compare(field, "==", self._random.choice([None, value(), value(), value()]))
        if field.own and field.keys == ("id",):
            return self._ordered(field, lambda: str(value()))  # ids have the order of text
        return self._ordered(field, value)

    def _ordered(self, field: Field, value: Callable[[], Any]) -> Filter:
        if self._random.random() < 0.2:
            with suppress(InvalidFilter):  # of two types
                return between(field, value(), value())
        return Compare(field, self._random.choice(["<", "<=", ">", ">="]), value())

    def _untyped(self, field: Field, stored: Any) -> Filter:
        choice = self._random.randrange(10)
        scalar = self.scalar() if isinstance(stored, (list, dict)) else stored
        if choice == 0:
            return Exists(field)
        if choice == 1:
            others = [self._random.choice([self.scalar(), *INSTANTS[:1]]) for _ in range(self._some())]
            return In(field, tuple(self._random.sample([scalar, *others], len(others) + 1)))
        if (choice == 2 and self._random.random() < 0.3) or (isinstance(stored, list) and choice < 7):
            return self._on_array(field, stored)
        if isinstance(stored, dict) and choice < 7:
            return Contains.of(field, self._part_of(stored))
        if choice == 3 and self._random.random() < 0.3:
            return Contains.of(field, self.value(1) or [[]])
        if choice <= 5 and (isinstance(stored, str) or choice == 5):
            return self._on_text(field, stored if isinstance(stored, str) else self.text())
        if choice == 6:
            return self._ordered(field, lambda: self._random.choice(INSTANTS))
        if choice == 7:
            return Compare(field, "==", scalar)
        return self._ordered(field, self._random.choice([self.text, self.number, self._like(scalar)]))

    def _like(self, scalar: Any) -> Callable[[], Any]:
        ordered = isinstance(scalar, (str, int, float)) and not isinstance(scalar, bool)
        return (lambda: scalar) if ordered else self.number

    def _some(self) -> int:
        """How many values; sometimes more than are looked up one by one."""
        return self._random.choice([1, 2, 3, 3, 40])

    def _on_array(self, field: Field, stored: Any) -> Filter:
        elements = [item for item in stored if not isinstance(item, (list, dict))] if isinstance(stored, list) else []
        values = [*elements[:2], *(self.scalar() for _ in range(self._some()))]
        choice = self._random.randrange(4)
        if choice == 0:
            return AnyOf(field, tuple(values))
        if choice == 1 and isinstance(stored, list) and stored:
            return Contains.of(field, self._part_of(stored))
        return all_of(field, elements[:2] or values[:1]) if choice == 2 else Contains.of(field, values[0])

    def _part_of(self, stored: Any) -> Any:
        """Something that the array or object may contain."""
        if isinstance(stored, dict):
            kept = {key: self._part_of(item) for key, item in stored.items() if self._random.random() < 0.7}
            return kept if self._random.random() < 0.9 else {**kept, self._random.choice(self._names): self.value(1)}
        if isinstance(stored, list):
            some = [self._part_of(item) for item in stored if self._random.random() < 0.7] or stored[:1]
            self._random.shuffle(some)
            return some or [self.scalar()]
        return stored if self._random.random() < 0.9 else self.scalar()

    def _on_text(self, field: Field, stored: str) -> Filter:
        if self._random.random() < 0.3:
            return StartsWith(field, stored[: self._random.randint(0, 4)])
        characters = [_escaped(character) for character in stored]
        for _ in range(self._random.randint(0, 2)):
            position = self._random.randint(0, len(characters))
            characters[position : position + self._random.randint(0, 3)] = [self._random.choice(["%", "_", "\\%"])]
        if self._random.random() < 0.5:
            return Like(field, "".join(characters), case_sensitive=self._random.random() < 0.8)
        changed = [self._random.choice([part, part.swapcase(), part.upper()]) for part in characters]
        return Like(field, "".join(changed), case_sensitive=self._random.random() < 0.1)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "%_\\" else character


# One number each, and not each choice, comes from Hypothesis: large examples are within its limits so.
_HOSTILE_RANDOM = st.integers(0, 2**32).map(Random)


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Metadata of a document, with lists and objects among the values."""
    return _HOSTILE_RANDOM.map(lambda random: Hostile(random).metadata())


def filters(*, fields: Mapping[str, FieldType] | None = None, own: bool = False) -> st.SearchStrategy[Filter]:
    """Filters of every kind, of a few levels."""
    return _HOSTILE_RANDOM.map(lambda random: Hostile(random, fields=fields, own=own).filter())


def filters_and_metadata() -> st.SearchStrategy[tuple[Filter, dict[str, Any]]]:
    """Filters with metadata that they may well match."""

    def both(random: Random) -> tuple[Filter, dict[str, Any]]:
        hostile = Hostile(random)
        entry = hostile.metadata()
        return hostile.filter(), entry

    return _HOSTILE_RANDOM.map(both)


def hashed_words(texts: list[str], dimensions: int = 16) -> NDArray[np.float32]:
    """Return a bag of hashed words for each text, never all zeros, shape (n, dimensions)."""
    matrix = np.full((len(texts), dimensions), 0.01, dtype=np.float32)
    for row, text in zip(matrix, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()):
            row[zlib.crc32(word.encode()) % dimensions] += 1
    return matrix


class HashedEmbedder(FunctionEmbedder):
    """A quick embedder of bags of words; `seen` lists every text that it was given."""

    def __init__(self, dimensions: int = 16) -> None:
        self.seen: list[str] = []
        super().__init__(self._embed, dimensions=dimensions, name="hashed words")

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        self.seen.extend(texts)
        return hashed_words(texts, self.dimensions)
