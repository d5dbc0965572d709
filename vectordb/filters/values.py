"""The values that conditions compare with, and how they compare: as jsonb does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from numbers import Integral
from typing import Any
from uuid import UUID

from vectordb.errors import InvalidFilter, InvalidMetadata
from vectordb.timestamps import parse_timestamp
from vectordb.validation import LARGEST_INTEGER, metadata_json

Scalar = str | int | float | bool | datetime | None

MAX_FILTER_VALUES = 10_000
MAX_PATTERN = 1_000
_CASELESS_FROM = 0x20000


def json_type(value: object) -> str:
    """Return the name that `jsonb_typeof` gives to a value; a datetime, which JSON has not, is an `instant`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, datetime):
        return "instant"
    return "object" if isinstance(value, Mapping) else "array"


def comparable_to(stored: Any, value: Scalar) -> Any:
    """Return what a document has in a form that compares with `comparable(value)`, None if the types differ."""
    if isinstance(value, datetime) and isinstance(stored, str):
        return parse_timestamp(stored)
    return comparable(stored) if json_type(stored) == json_type(value) else None


def comparable(value: Any) -> Any:
    """Return what compares as PostgreSQL does: strings under the "C" collation, numbers as they are written."""
    if value is None:
        return ()
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    return Decimal(float.__repr__(value)) if isinstance(value, float) else value


def equal(stored: Any, value: Any) -> bool:
    """Whether two JSON scalars are of one type and equal."""
    return json_type(stored) == json_type(value) and bool(comparable(stored) == comparable(value))


def contains(stored: Any, wanted: Any) -> bool:
    """Whether JSON contains other JSON, as jsonb's `@>` has it below the top level.

    Source: PostgreSQL manual, "jsonb Containment and Existence".
    """
    if isinstance(wanted, Mapping):
        return isinstance(stored, Mapping) and all(
            key in stored and contains(stored[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return isinstance(stored, (list, tuple)) and all(
            any(contains(element, value) for element in stored) for value in wanted
        )
    return equal(stored, wanted)


def check_scalar(value: object, path: str) -> Scalar:
    """Return a value as a plain Python one; dates and times in UTC, a UUID as text.

    Raises:
        InvalidFilter: Not a string, number, boolean, date, time or None; or one that JSON cannot hold.
    """
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(check_text(value, "a value", path))
    if isinstance(value, Integral):
        number = int(value)
        if abs(number) >= LARGEST_INTEGER:
            raise InvalidFilter(f"the value for {path[:200]} has over 1000 digits, as no stored number has", path=path)
        return number
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidFilter(f"the value for {path[:200]} is {value}, which no stored number equals", path=path)
        return float(value)
    if isinstance(value, date):
        return _in_utc(value, path)
    if isinstance(value, UUID):
        return str(value)
    raise InvalidFilter(
        f"the value for {path[:200]} is a {type(value).__name__}; compare with a string, number, boolean, date or None",
        path=path,
    )


def check_scalars(values: Iterable[object], word: str, path: str) -> tuple[Scalar, ...]:
    """Return a list of values as plain Python ones.

    Args:
        values: Of a condition, in any kind of list or iterator.
        word: The operator.
        path: Of the field.

    Raises:
        InvalidFilter: Not 1 to `MAX_FILTER_VALUES` values, or one of them is none; `path` has its number.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InvalidFilter(f"{word} for {path[:200]} takes a list of values, not {type(values).__name__}", path=path)
    checked: list[Scalar] = []
    for position, value in enumerate(values):
        if position >= MAX_FILTER_VALUES:
            raise InvalidFilter(too_many_values(f" on {path[:200]}"), path=path)
        checked.append(check_scalar(value, f"{path}[{position}]"))
    if not checked:
        raise InvalidFilter(
            f"{word} for {path[:200]} needs at least one value; an empty list matches nothing", path=path
        )
    return tuple(checked)


def too_many_values(where: str) -> str:
    """Return what to say of a list that is too long."""
    return (
        f"a filter{where} has at most {MAX_FILTER_VALUES:,} values; put more into a table of yours and use a "
        "SQLAlchemy expression with a sub-select"
    )


def _in_utc(value: date, path: str) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise InvalidFilter(f"the time for {path[:200]} is outside the years 1 to 9999", path=path) from None


def check_text(value: object, what: str, path: str) -> str:
    """Return text that could be stored.

    Raises:
        InvalidFilter: Not a string, or it holds NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidFilter(f"{what} in a filter is a string, not {type(value).__name__}", path=path)
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        shown = path.replace("\x00", "\ufffd").encode(errors="replace").decode()[:200]
        raise InvalidFilter(f"{what} in a filter holds NUL or a lone surrogate, which no stored text has", path=shown)
    return value


def check_pattern(value: object, path: str) -> str:
    r"""Return a pattern for LIKE.

    Raises:
        InvalidFilter: Not a string of at most 1,000 characters, or a backslash at the end.
    """
    pattern = check_text(value, "a pattern", path)
    if len(pattern) > MAX_PATTERN:
        raise InvalidFilter(f"the pattern for {path[:200]} has at most {MAX_PATTERN} characters", path=path)
    if (len(pattern) - len(pattern.rstrip("\\"))) % 2:
        raise InvalidFilter(
            f"the pattern for {path[:200]} ends with a backslash, which escapes nothing; write two for a backslash",
            path=path,
        )
    return str.__str__(pattern)


def canonical_json(value: object, path: str) -> str:
    """Return JSON text, the same for equal values.

    Raises:
        InvalidFilter: JSON cannot hold it.
    """
    try:
        text = metadata_json({"": value})
    except InvalidMetadata as error:
        raise InvalidFilter(f"the value for {path[:200]}: {error}", path=path) from None
    return text[len('{"": ') : -1]


def json_size(value: object, path: str) -> int:
    """Return how many values JSON is made of, at any depth.

    Raises:
        InvalidFilter: More than allowed.
    """
    waiting, size = [value], 0
    while waiting:
        item = waiting.pop()
        inner = item.values() if isinstance(item, Mapping) else item if isinstance(item, (list, tuple)) else ()
        size += len(inner)
        if size > MAX_FILTER_VALUES:
            raise InvalidFilter(too_many_values(f" on {path[:200]}"), path=path)
        waiting.extend(inner)
    return size


def is_like(text: str, pattern: str) -> bool:
    r"""Whether a text matches a pattern of SQL's LIKE: `%` any characters, `_` any one, `\` takes the next literally.

    Takes time in proportion to text times pattern at most.
    """
    tokens = _tokens(pattern)
    position = token = 0
    after_many, retry_at = -1, 0
    while position < len(text):
        if token < len(tokens) and tokens[token] is None:
            after_many, retry_at = token + 1, position
            token += 1
        elif token < len(tokens) and tokens[token] in ("", text[position]):
            position, token = position + 1, token + 1
        elif after_many >= 0:
            retry_at += 1
            position, token = retry_at, after_many
        else:
            return False
    return all(rest is None for rest in tokens[token:])


@lru_cache(maxsize=64)
def _tokens(pattern: str) -> tuple[str | None, ...]:
    """Return characters, "" for any one, None for any number of them."""
    tokens: list[str | None] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            tokens.append(next(characters))
        else:
            tokens.append({"%": None, "_": ""}.get(character, character))
    return tuple(tokens)


def case_folding(pattern: str) -> Mapping[str, str]:
    """Return what has to be replaced in a text so that it compares with `fold(pattern)` whatever the case.

    The letters are those of the pattern, folded one by one as Unicode does; so the result depends on no locale.
    """
    variants = _variants()
    return {variant: folded for folded in fold(pattern) for variant in variants.get(folded, ())}


def fold(text: str) -> str:
    """Return text with each character replaced by the one that stands for all its cases: Unicode's simple folding."""
    return "".join(map(_folded, text))


def _folded(character: str) -> str:
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


@lru_cache(maxsize=1)
def _variants() -> Mapping[str, list[str]]:
    """Return by folded character all others that fold to it; beyond these planes there are no cases."""
    table: dict[str, list[str]] = {}
    for character in map(chr, range(_CASELESS_FROM)):
        folded = _folded(character)
        if folded != character:
            table.setdefault(folded, []).append(character)
    return table


def to_json(value: Scalar) -> Any:
    """Return a value as it stands in the JSON form of a filter."""
    return {"datetime": value.isoformat()} if isinstance(value, datetime) else value


def json_text(value: Scalar) -> str:
    """Return a JSON scalar as text."""
    return json.dumps(value, ensure_ascii=False)
