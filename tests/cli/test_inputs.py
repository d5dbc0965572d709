from __future__ import annotations

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from vectordb.cli.inputs import InputFormat, read_documents
from vectordb.errors import InvalidInput, InvalidText


def read(content: str | bytes, tmp_path: Path, *, name: str = "input", known: InputFormat | None = None) -> list[Any]:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with read_documents(None, str(file), known) as documents:
        return list(documents)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        (" \n\n", []),
        ('{"content": "a"}\n\n{"content": "b"}', [{"content": "a"}, {"content": "b"}]),
        ('"a"\n"b"\n', ["a", "b"]),
        ('\n[{"content":\n"a"},\n"b"]\n', [{"content": "a"}, "b"]),
        ("one\n\n  two \r\nthree", ["one", "two", "three"]),
        ("\N{ZERO WIDTH NO-BREAK SPACE}one", ["one"]),
        ('"a\N{LINE SEPARATOR}b"', ["a\N{LINE SEPARATOR}b"]),
    ],
    ids=["empty", "blank", "objects", "strings", "array", "text", "byte order mark", "line separator"],
)
def test_the_format_is_seen_by_the_first_character(content: str, expected: list[Any], tmp_path: Path) -> None:
    assert read(content, tmp_path) == expected


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    assert read("[1] Smith", tmp_path, name="a.txt") == ["[1] Smith"]
    assert read('{"content": "a"}', tmp_path, name="a.JSON") == [{"content": "a"}]
    with pytest.raises(InvalidInput, match=r"line 1 of .*ndjson is not JSON"):
        read("plain", tmp_path, name="a.ndjson")


def test_the_format_can_be_said(tmp_path: Path) -> None:
    assert read("[1] Smith", tmp_path, known=InputFormat.TEXT) == ["[1] Smith"]
    with pytest.raises(InvalidInput, match="--format"):
        read("[1] Smith", tmp_path)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"content": ' + "1" * 5_000 + "}"])
def test_json_that_python_cannot_hold_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        read(content, tmp_path, known=InputFormat.JSONL)


def test_text_that_is_not_utf_8_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(InvalidText, match="not UTF-8 after line 0"):
        read(b"caf\xe9\n", tmp_path)


def test_lines_are_read_while_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lines(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            raise AssertionError("everything was read at once")

        def read1(self, size: int | None = -1, /) -> bytes:
            line = self.readline()
            lines.append(line)
            return line

    lines: list[bytes] = []
    stdin = io.TextIOWrapper(Lines(b"one\ntwo\nthree\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    with read_documents(None, "-", InputFormat.TEXT) as documents:
        iterator = iter(documents)
        assert next(iterator) == "one"
        assert lines == [b"one\n"]
    assert not stdin.closed


def test_texts_come_as_they_are() -> None:
    def collect(documents: Iterable[Any]) -> list[Any]:
        return list(documents)

    with read_documents(["- one", "{"], None, None) as documents:
        assert collect(documents) == ["- one", "{"]
