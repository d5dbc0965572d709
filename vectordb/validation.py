"""Checks on what users pass in, made before anything is written.

Each function returns the value in the form that is stored, or raises a typed error
that says what to do. Limits are in bytes of UTF-8, as PostgreSQL counts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from numbers import Integral
from typing import Any
from uuid import UUID

from vectordb.errors import InvalidMetadata, InvalidName, InvalidText

MAX_ID_BYTES = 512
MAX_TITLE_BYTES = 4_096
MAX_URI_BYTES = 8_192
MAX_METADATA_DEPTH = 64
# Python refuses to read or write integers of more than 4,300 digits as text.
LARGEST_INTEGER = 10**1000
# In bytes; PostgreSQL cuts off what is longer.
LONGEST_IDENTIFIER = 63
# The longest identifier made from a name, `<name>_chunks_embedding_ivfflat_idx`, must fit in 63 bytes.
MAX_NAME_BYTES = 34

_LARGEST_ID = 10 ** (MAX_ID_BYTES - 1)
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def check_name(name: object, what: str = "collection") -> str:
    """Return a name that SQL can use without quotes.

    Raises:
        InvalidName: Not lower-case letters, digits and underscores, or longer than
            `MAX_NAME_BYTES`. PostgreSQL itself would fold or silently truncate it.
    """
    if not isinstance(name, str):
        raise InvalidName(f"a {what} name is a string, not {type(name).__name__}")
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"a {what} name has lower-case letters, digits and underscores and starts with no digit; "
            f"try {_suggest_name(name)!r}",
            name=name[:MAX_NAME_BYTES],
        )
    if len(name) > MAX_NAME_BYTES:
        raise InvalidName(
            f"a {what} name has at most {MAX_NAME_BYTES} bytes, not {len(name)}, because PostgreSQL would cut off "
            "the names of its tables and indexes",
            name=name[:MAX_NAME_BYTES],
        )
    return name


def _suggest_name(name: str) -> str:
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:MAX_NAME_BYTES] or "documents"
    return f"_{word}"[:MAX_NAME_BYTES] if word[0].isdigit() else word


def check_text(value: object, what: str) -> str:
    """Return text that PostgreSQL can store.

    Raises:
        InvalidText: Not a string, or it holds NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidText(f"{what} is a string, not {type(value).__name__}")
    bad = _NOT_STORABLE.search(value)
    if bad:
        kind = "a NUL character" if bad.group() == "\x00" else "a lone surrogate (text decoded wrongly)"
        raise InvalidText(
            f"{what} holds {kind} at character {bad.start()}, which PostgreSQL cannot store; "
            "remove it, or replace it with U+FFFD",
            position=bad.start(),
        )
    return value


def check_short_text(value: object, what: str, limit: int) -> str | None:
    """Return optional text of at most `limit` bytes.

    Raises:
        InvalidText: As `check_text`, or it is too long.
    """
    if value is None:
        return None
    text = check_text(value, what)
    size = len(text.encode())
    if size > limit:
        raise InvalidText(f"{what} has at most {limit} bytes, not {size}; keep long text in content or metadata")
    return text


def check_id(value: object) -> str:
    """Return a document id as text: a str, int or UUID of 1 to `MAX_ID_BYTES` bytes.

    Raises:
        InvalidText: Of another type, empty, too long, or not storable.
    """
    if type(value) is str:
        if value.isascii() and 0 < len(value) <= MAX_ID_BYTES and "\x00" not in value:
            return value
    elif isinstance(value, UUID):
        return str(value)
    elif not isinstance(value, bool) and isinstance(value, Integral):
        if abs(value) < _LARGEST_ID:
            return str(int(value))
        raise InvalidText(f"a document id has at most {MAX_ID_BYTES} bytes; use a hash of it as the id")
    if not isinstance(value, str):
        raise InvalidText(f"a document id is a str, int or UUID, not {type(value).__name__}")
    if not value:
        raise InvalidText("a document id is not empty; leave it out to have one made from the content")
    text = check_text(value, "a document id")
    size = len(text.encode())
    if size > MAX_ID_BYTES:
        raise InvalidText(f"a document id has at most {MAX_ID_BYTES} bytes, not {size}; use a hash of it as the id")
    return str(text)


def metadata_json(metadata: object) -> str:
    """Return metadata as JSON text with sorted keys.

    Raises:
        InvalidMetadata: Not a mapping with string keys, a value that JSON does not know,
            NaN or infinity, NUL or lone surrogates, or nested deeper than
            `MAX_METADATA_DEPTH`. `path` names the entry.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidMetadata(f"metadata is a mapping, not {type(metadata).__name__}", path="")
    if not metadata:
        return "{}"
    _check_json(metadata)
    return json.dumps(_plain(metadata), ensure_ascii=False, allow_nan=False, sort_keys=True)


def _plain(value: Any) -> Any:
    """Copy mappings and tuples into what `json` writes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _check_json(metadata: Mapping[Any, Any]) -> None:
    """Walk the value without recursion, so that depth is an error and not a crash."""
    waiting: list[tuple[str, Any, int]] = [("", metadata, 1)]
    while waiting:
        path, value, depth = waiting.pop()
        if depth > MAX_METADATA_DEPTH:
            raise InvalidMetadata(f"metadata is nested deeper than {MAX_METADATA_DEPTH} levels", path=path[:200])
        if isinstance(value, Mapping):
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidMetadata(f"a metadata key is a string, not {type(key).__name__}", path=path)
                _check_json_text(key, f"the key at {path or 'the top'}", path)
                waiting.append((f"{path}.{key}" if path else key, item, depth + 1))
        elif isinstance(value, (list, tuple)):
            waiting.extend((f"{path}[{i}]", item, depth + 1) for i, item in enumerate(value))
        else:
            _check_scalar(path, value)


def _check_scalar(path: str, value: Any) -> None:
    if isinstance(value, str):
        _check_json_text(value, f"metadata {path}", path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidMetadata(f"metadata {path} is {value}, which JSON cannot hold; use null", path=path)
    elif isinstance(value, int):
        if abs(value) >= LARGEST_INTEGER:
            raise InvalidMetadata(f"metadata {path} has over 1000 digits; convert it to a string", path=path)
    elif value is not None:
        raise InvalidMetadata(
            f"metadata {path} is a {type(value).__name__}, which JSON cannot hold; convert it to a string or number",
            path=path,
        )


def _check_json_text(value: str, what: str, path: str) -> None:
    try:
        check_text(value, what)
    except InvalidText as error:
        raise InvalidMetadata(str(error), path=path) from None


def check_identifier(name: object, what: str) -> str:
    """Return a name that PostgreSQL keeps as it is: of something of the application's, which may be called as it likes.

    Args:
        name: To be checked.
        what: That is named, for the message, such as `index`.

    Raises:
        InvalidName: Empty, longer than 63 bytes, or not a text that PostgreSQL can hold.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise InvalidName(f"the name of the {what} is a text, not {name!r:.40}")
    size = len(name.encode())
    if size > LONGEST_IDENTIFIER:
        way = " as index_name=… of a column, or name=… of an operation" if what == "index" else ""
        raise InvalidName(
            f"the name of the {what} has {size} bytes, and PostgreSQL would cut off what is over "
            f"{LONGEST_IDENTIFIER}: {name}; give a shorter one{way}",
            name=name,
        )
    return name
