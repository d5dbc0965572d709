"""What a condition is about: a path into the metadata, or a column of the document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final

from vectordb.errors import InvalidFilter
from vectordb.filters.values import check_text

OWN_COLUMNS = ("id", "title", "uri", "created_at", "updated_at")
WORDS = ("and", "or", "not")
MAX_KEYS = 64

MISSING: Final = object()
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a document.

    Attributes:
        keys: Of the metadata, from the top down; for an own column its name alone.
        own: Whether it is a column of the document.
        literal: Whether the keys were quoted, and so cannot be misspelt.
    """

    keys: tuple[str, ...]
    own: bool = False
    literal: bool = dataclass_field(default=False, compare=False)

    @classmethod
    def of(cls, path: object) -> Field:
        """Read a path: a string such as `a.b` or `"a.b".c`, or a list of keys that are taken as they are.

        Raises:
            InvalidFilter: Neither of the two, a quoted key that does not end, NUL or a lone surrogate, or more
                than 64 keys.
        """
        if isinstance(path, Field):
            return path
        if isinstance(path, str):
            check_text(path, "a field name", path)
            keys, literal = _split(path)
            return cls(_check_depth(keys), own=not literal and path in OWN_COLUMNS, literal=literal)
        if not isinstance(path, (list, tuple)) or not path:
            raise InvalidFilter(f"a field name is a string or a list of keys, not {type(path).__name__}", path="")
        return cls(_check_depth([check_text(key, "a key", "") for key in path]), literal=True)

    def __str__(self) -> str:
        """Return the path as `of` reads it."""
        if len(self.keys) == 1 and not self.own and self.keys[0] in OWN_COLUMNS + WORDS:
            return json.dumps(self.keys[0], ensure_ascii=False)
        return ".".join(
            json.dumps(key, ensure_ascii=False) if self.literal or "." in key or key.startswith('"') else key
            for key in self.keys
        )

    def find(self, metadata: Mapping[str, Any], columns: Mapping[str, Any]) -> Any:
        """Return what a document has here, or `MISSING`."""
        if self.own:
            return columns.get(self.keys[0])
        value: Any = metadata
        for key in self.keys:
            if not isinstance(value, Mapping) or key not in value:
                return MISSING
            value = value[key]
        return value


def _check_depth(keys: Iterable[str]) -> tuple[str, ...]:
    checked = tuple(keys)
    if len(checked) > MAX_KEYS:
        raise InvalidFilter(
            f"a path has at most {MAX_KEYS} keys, as deep as metadata goes", path=".".join(checked)[:200]
        )
    return checked


def _split(path: str) -> tuple[list[str], bool]:
    """Return the keys of a path, and whether one of them was quoted."""
    if '"' not in path:
        return path.split("."), False
    keys: list[str] = []
    quoted = False
    position = 0
    while True:
        if path.startswith('"', position):
            key, position = _quoted(path, position)
            quoted = True
        else:
            end = path.find(".", position)
            key, position = (path[position:], len(path)) if end < 0 else (path[position:end], end)
        keys.append(key)
        if position == len(path):
            return keys, quoted
        position += 1


def _quoted(path: str, start: int) -> tuple[str, int]:
    try:
        key, end = _DECODER.raw_decode(path, start)
    except ValueError:
        end = -1
    if end < 0 or path[end : end + 1] not in ("", "."):
        raise InvalidFilter(
            "a key that starts with a quote is written as a JSON string up to a dot or the end, "
            "as in F('\"a.b\".c'); or give the keys as a list",
            path=path[:200],
        )
    return check_text(key, "a key", path), end
