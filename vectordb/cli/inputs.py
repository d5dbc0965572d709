"""What is read as JSON or text: documents from the command line, a file or stdin, one after the other; an object."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import IO, Any

from vectordb.errors import InvalidInput, InvalidText


class InputFormat(StrEnum):
    """How documents are written in a file."""

    JSONL = "jsonl"
    JSON = "json"
    TEXT = "text"


_SUFFIXES = {
    ".jsonl": InputFormat.JSONL,
    ".ndjson": InputFormat.JSONL,
    ".json": InputFormat.JSON,
    ".txt": InputFormat.TEXT,
}


@contextmanager
def read_documents(
    texts: list[str] | None, file: str | None, file_format: InputFormat | None
) -> Iterator[Iterable[str | dict[str, Any]]]:
    """Yield the documents; those of a file are read while they are used.

    Args:
        texts: A document each.
        file: Name of a file, or `-` for stdin; None where there are texts.
        file_format: Of the file; None goes by its suffix, else by its first character.

    Raises:
        InvalidInput: The file cannot be read, or is not what its format promises.
    """
    if file is None:
        yield texts or []
        return
    with _open(file) as source:
        known = file_format or _SUFFIXES.get(Path(file).suffix.lower())
        yield _documents(source, "stdin" if file == "-" else file, known)


def read_object(text: str) -> dict[str, Any]:
    """Return the JSON object that an argument holds.

    Raises:
        InvalidInput: It holds none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("""metadata is written as a JSON object, as in '{"lang": "en"}'""")
    return value


@contextmanager
def _open(file: str) -> Iterator[IO[str]]:
    if file == "-":
        source = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig")
        try:
            yield source
        finally:
            source.detach()  # stdin stays open
        return
    try:
        opened = Path(file).open(encoding="utf-8-sig")  # noqa: SIM115 - closed below, where errors are not the file's
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from None
    with opened:
        yield opened


def _documents(source: Iterable[str], name: str, known: InputFormat | None) -> Iterator[Any]:
    """Yield documents; blank lines count for nothing."""
    lines = _lines(source, name)
    first = next(lines, None)
    if first is None:
        return
    lines = chain([first], lines)
    chosen = known or _guess(first[1])
    if chosen is InputFormat.JSON:
        whole = _parse("".join(line for _, line in lines), name)
        yield from whole if isinstance(whole, list) else [whole]
        return
    for number, line in lines:
        yield line.strip() if chosen is InputFormat.TEXT else _parse(line, f"line {number} of {name}")


def _lines(source: Iterable[str], name: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        for number, line in enumerate(source, start=1):
            if line.strip():
                yield number, line
    except UnicodeDecodeError:
        raise InvalidText(f"{name} is not UTF-8 after line {number}; convert it first, as with iconv") from None


def _guess(line: str) -> InputFormat:
    start = line.lstrip()[0]
    if start == "[":
        return InputFormat.JSON
    return InputFormat.JSONL if start in '{"' else InputFormat.TEXT


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidInput(f"{what} is nested too deep") from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number with too many digits"
        raise InvalidInput(
            f"{what} is not JSON ({reason}); --format says how the documents are written: json, jsonl or text"
        ) from None
