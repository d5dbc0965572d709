from __future__ import annotations

import pytest

from tests.cli.conftest import CommandLine
from vectordb import VectorDB


def test_add_and_drop(points: CommandLine, db: VectorDB) -> None:
    assert points("field", "add", "points", "n=int", "lang=str", "--json").json == {
        "fields": {"lang": "str", "n": "int"},
    }  # fmt: skip
    assert points("count", "-c", "points", "--where", "n >= 2").out == "2\n"
    assert "did you mean" in points("count", "-c", "points", "--where", 'langg = "en"').error
    assert points("field", "drop", "points", "lang").out == "fields: n int\n"
    assert points("field", "drop", "points", "n").out == "fields: none\n"
    assert db.collection("points").fields == {}
    assert db.collection("points").get("east").metadata == {"n": 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "points"], "Missing argument"),
        (["add", "points", "n"], "a field is written as NAME=TYPE"),
        (["add", "points", "n=text"], "one of str, int, float, bool, datetime"),
        (["add", "points", "n=str"], "3 documents have another type there"),
        (["add", "points", "n=int", "n=int"], "given twice"),
        (["drop", "points", "n"], "has no field 'n'"),
    ],
)
def test_refuses(reader: CommandLine, arguments: list[str], message: str) -> None:
    done = reader("field", *arguments)
    assert done.code == 2
    assert message in done.error
