"""Files of a data set: JSON Lines and tab-separated values, plain or compressed, read line by line."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from vectordb.documents import Document
from vectordb.errors import InvalidInput
from vectordb.validation import MAX_TITLE_BYTES

_IDS = ("_id", "id")
# Headings of judgements: query, document, grade.
_HEADINGS = (("query-id", "corpus-id", "score"), ("query_id", "doc_id", "grade"), ("query_id", "document_id", "grade"))


class Corpus:
    """The documents of `corpus.jsonl`; each iteration looks for the file and reads it from the beginning.

    Args:
        folder: With the file, plain or with `.gz`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __iter__(self) -> Iterator[Document]:
        """Return the documents one by one; a missing file is an error at once, a bad line when it is reached.

        Raises:
            InvalidInput: There is no such file, it cannot be read, or a line is no document.
        """
        return _documents(find_file(self._folder, "corpus.jsonl"))


def find_file(folder: Path, *names: str) -> Path:
    """Return the first of these files that is there, plain or with `.gz`.

    Raises:
        InvalidInput: None is; the message names what is there.
    """
    wanted = [name + suffix for name in dict.fromkeys(names) for suffix in ("", ".gz")]
    for name in wanted:
        if (folder / name).is_file():
            return folder / name
    there = sorted(str(file.relative_to(folder)) for file in (*folder.glob("*.*"), *folder.glob("qrels/*.*")))[:10]
    raise InvalidInput(
        f"{folder} has none of {', '.join(wanted)}; it holds {', '.join(there) or 'no files'}", path=str(folder)
    )


def read_queries(path: Path) -> dict[str, str]:
    """Return the texts of queries by id.

    Raises:
        InvalidInput: The file cannot be read, or a line is no query, is blank, or has an id that was there before.
    """
    queries: dict[str, str] = {}
    for number, entry in _objects(path):
        id, text = _id(entry, path, number), _text(entry, "text", path, number)
        if not text.strip():
            _refuse(path, number, "the query has no text")
        if id in queries:
            _refuse(path, number, f"the query {id!r:.60} was there before")
        queries[id] = text
    return queries


def read_judgements(path: Path) -> dict[str, dict[str, int]]:
    """Return grades by document, by query.

    Raises:
        InvalidInput: The file cannot be read, has another heading, a line has other fields, a grade is no whole number,
            or a document is judged twice, and differently.
    """
    judgements: dict[str, dict[str, int]] = {}
    lines = _lines(path)
    number, heading = next(lines, (1, ""))
    columns = _columns(heading.strip("\r\n").split("\t"), path, number)
    for number, line in lines:
        cells = next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE))
        if len(cells) <= max(columns):
            _refuse(path, number, f"there are {len(cells)} fields, separated by tabs, not {max(columns) + 1}")
        query, document, written = (cells[column].strip() for column in columns)
        try:
            grade = int(written)
        except ValueError:
            _refuse(path, number, f"the grade is a whole number, not {written!r:.40}")
        if not query or not document:
            _refuse(path, number, "an id is empty")
        if judgements.setdefault(query, {}).setdefault(document, grade) != grade:
            _refuse(path, number, f"document {document!r:.60} was judged otherwise for query {query!r:.60} before")
    return judgements


def _documents(path: Path) -> Iterator[Document]:
    for number, entry in _objects(path):
        id = _id(entry, path, number)
        title, text = (_text(entry, key, path, number) for key in ("title", "text"))
        yield Document(
            f"{title} {text}".strip(),
            id,
            title=title if title and len(title.encode(errors="replace")) <= MAX_TITLE_BYTES else None,
            metadata=_metadata(entry),
        )


def _columns(heading: list[str], path: Path, number: int) -> tuple[int, int, int]:
    names = [name.strip() for name in heading]
    for query, document, grade in _HEADINGS:
        if {query, document, grade} <= set(names):
            return names.index(query), names.index(document), names.index(grade)
    known = " or ".join(" ".join(each) for each in _HEADINGS[:2])
    _refuse(path, number, f"the heading of judgements is {known}, separated by tabs, not {' '.join(names)!r:.60}")


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict):
            _refuse(path, number, "this is no JSON object on one line")
        yield number, entry


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1."""
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError:
        _refuse(path, number + 1, "this is not UTF-8")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        _refuse(path, number + 1, "the compressed file is damaged; fetch it again")
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", path=str(path)) from None


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig"))
    return path.open(encoding="utf-8-sig")


def _id(entry: Mapping[str, Any], path: Path, number: int) -> str:
    for key in _IDS:
        if (id := entry.get(key)) is not None and not isinstance(id, (bool, float, list, dict)) and id != "":
            return str(id)
    _refuse(path, number, "there is no _id or id, a text or a whole number")


def _text(entry: Mapping[str, Any], key: str, path: Path, number: int) -> str:
    """Return a text; of a document either part may be missing."""
    text = entry.get(key)
    if text is None and key == "title":
        return ""
    if not isinstance(text, str):
        _refuse(path, number, f"there is no {key!r}, a string")
    return text


def _metadata(entry: Mapping[str, Any]) -> dict[str, Any]:
    given = entry.get("metadata")
    others = {key: value for key, value in entry.items() if key not in (*_IDS, "title", "text", "metadata")}
    return {**given, **others} if isinstance(given, dict) else others


def _refuse(path: Path, number: int, what: str) -> NoReturn:
    raise InvalidInput(f"line {number} of {path}: {what}", path=str(path), line=number) from None
