"""Filters written as text, in the many ways that the grammar allows; for round trips."""

from __future__ import annotations

import json
import re
from datetime import datetime
from random import Random
from typing import Any

from vectordb.filters import And, AnyOf, Compare, Contains, Exists, Field, Filter, In, Like, Not, Or, StartsWith
from vectordb.filters.nodes import Condition

_WORD = re.compile(r"[^\W\d][\w-]*")
_KEYWORDS = {"and", "or", "not", "true", "false", "null", "date", "in", "is", "id", "title", "uri"}
_KEYWORDS |= {"created_at", "updated_at", "exists", "missing", "between", "contains", "like", "any_of", "all_of"}


def has_text(where: Filter) -> bool:
    """Whether the grammar of the text can say the filter."""
    if isinstance(where, (And, Or)):
        return len(where.parts) > 0 and all(map(has_text, where.parts))
    if isinstance(where, Not):
        return has_text(where.part)
    if isinstance(where, Contains):
        value = where.value
        return isinstance(value, list) and len(value) > 0 and not any(isinstance(item, (list, dict)) for item in value)
    return True


def plain(where: Filter) -> Filter:
    """The filter without And and Or of a single part, which no text has."""
    if isinstance(where, (And, Or)):
        parts = tuple(map(plain, where.parts))
        return parts[0] if len(parts) == 1 else type(where)(parts)
    return Not(plain(where.part)) if isinstance(where, Not) else where


def filter_text(where: Filter, random: Random) -> str:
    """Write a filter for which `has_text` is true."""
    if isinstance(where, (And, Or)):
        word = "and" if isinstance(where, And) else "or"
        # A part of the same kind would be taken for parts of the whole; And in Or needs no parentheses.
        inside = (And, Or) if word == "and" else Or
        parts = [
            f"({text})" if isinstance(part, inside) else text
            for part, text in ((part, filter_text(part, random)) for part in where.parts)
        ]
        return _word(f" {word} ", random).join(parts)
    if isinstance(where, Not):
        text = filter_text(where.part, random)
        return f"{_word('not', random)} {f'({text})' if isinstance(where.part, (And, Or)) else text}"
    assert isinstance(where, Condition)
    return f"{_field(where.field, random)} {_predicate(where, random)}"


def _predicate(where: Condition, random: Random) -> str:
    if isinstance(where, Exists):
        return _word("exists", random)
    if isinstance(where, Compare):
        if where.value is None and random.random() < 0.5:
            return _word("is null", random)
        sign = random.choice(["=", "=="]) if where.operator == "==" else where.operator
        return f"{sign}{random.choice(['', ' '])}{_value(where.value, random)}"
    if isinstance(where, StartsWith):
        return f"{_word('startswith', random)} {_value(where.prefix, random)}"
    if isinstance(where, Like):
        return f"{_word('like' if where.case_sensitive else 'ilike', random)} {_value(where.pattern, random)}"
    if isinstance(where, Contains):
        word, values = random.choice(["contains", "all_of"]), where.value
        if len(values) == 1 and random.random() < 0.5:
            return f"{_word('contains', random)} {_value(values[0], random)}"
    else:
        assert isinstance(where, (In, AnyOf))
        word, values = "in" if isinstance(where, In) else "any_of", where.values
    return f"{_word(word, random)}({', '.join(_value(value, random) for value in values)})"


def _field(field: Field, random: Random) -> str:
    if field.own:
        return field.keys[0]
    quoted = random.random() < 0.3 or any(not _WORD.fullmatch(key) or key.lower() in _KEYWORDS for key in field.keys)
    return ".".join(json.dumps(key, ensure_ascii=random.random() < 0.5) if quoted else key for key in field.keys)


def _value(value: Any, random: Random) -> str:
    if isinstance(value, datetime):
        return f"{_word('date', random)} '{value.isoformat()}'"
    if isinstance(value, str) and random.random() < 0.5:
        return "'" + value.replace("'", "''") + "'"
    if value is None or isinstance(value, bool):
        return _word(json.dumps(value), random)
    return json.dumps(value, ensure_ascii=random.random() < 0.5)


def _word(text: str, random: Random) -> str:
    return random.choice([text, text.upper(), text.title()])
