from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal
from vectordb import SentenceTransformerEmbedder, VectorDB

POINT = {"content": "a", "embedding": [1, 0]}


@pytest.mark.usefixtures("model")
def test_texts_are_embedded_and_found(cli: CommandLine) -> None:
    texts = ["Cats purr when they are content.", "Trains run on rails."]
    assert cli("upsert", *texts, "--json").json == {
        "inserted": 2, "updated": 0, "unchanged": 0, "chunks": 2, "embedded": 2, "failed": 0,
    }  # fmt: skip
    again = cli("upsert", *texts)
    assert (again.out, again.err) == ("inserted 0, updated 0, unchanged 2, chunks 0, embedded 0, failed 0\n", "")
    assert cli("search", "happy animals", "-k", "1").out.endswith("\tCats purr when they are content.\n")


def test_embedding_shows_a_bar_on_a_terminal(cli: CommandLine, model: SentenceTransformerEmbedder) -> None:
    model.embed(["so that the model is in memory"])
    screen = run_on_terminal("upsert", *(f"text number {n}" for n in range(40)))
    assert screen.code == 0
    assert "Embedding" in screen.text
    assert "40/40" in screen.text
    assert screen.text.splitlines()[-1].startswith("inserted 40,")


def test_a_file_is_upserted(cli: CommandLine, db: VectorDB, tmp_path: Path) -> None:
    assert cli("collection", "create", "docs", "--dimensions", "2").code == 0
    file = tmp_path / "documents.jsonl"
    documents = [{**POINT, "id": 7, "title": "T", "uri": "u", "metadata": {"n": [1]}}, {**POINT, "id": "b"}]
    file.write_text("\n".join(map(json.dumps, documents)))
    assert cli("upsert", "-c", "docs", "--file", str(file), "--json").json["inserted"] == 2
    stored = db.collection("docs").get(7)
    assert (stored.title, stored.uri, stored.metadata, stored.content) == ("T", "u", {"n": [1]}, "a")


def test_stdin_is_upserted(cli: CommandLine, db: VectorDB) -> None:
    assert cli("collection", "create", "docs", "--dimensions", "2").code == 0
    for stdin in (f"{json.dumps(POINT)}\n" * 2, json.dumps([POINT, {**POINT, "id": "b"}])):
        done = cli("upsert", "-c", "docs", "-f", "-", stdin=stdin)
        assert done.code == (2 if stdin.startswith("{") else 0)  # the same document twice in one call
    assert db.collection("docs").count() == 2


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ([], "", "either texts or --file"),
        (["text", "--file", "-"], "", "either texts or --file"),
        (["--file", "nowhere.jsonl"], "", "cannot read nowhere.jsonl: No such file or directory"),
        (["--file", "/"], "", "cannot read /: Is a directory"),
        (["--file", "-", "--format", "xml"], "", "'xml' is not one of"),
        (["--file", "-"], '{"content": "a"}\n{"content"', "line 2 of stdin is not JSON"),
        (["--file", "-"], '{"content": "a\\u0000", "embedding": [1, 0]}', "NUL"),
        (["--file", "-"], '{"content": "a", "embedding": [1, 0, 0]}', "dimensions"),
        (["--file", "-"], '{"text": "a"}', "no field 'text'"),
        (["--file", "-"], "[1]", "not int"),
        (["a text"], "", "has no embedder"),
    ],
)
def test_upsert_refuses(reader: CommandLine, arguments: list[str], stdin: str, message: str) -> None:
    done = reader("upsert", "-c", "points", *arguments, stdin=stdin)
    assert done.code == 2
    assert message in done.error
    assert reader("count", "-c", "points").out == "3\n"


def test_get_shows_documents_in_the_order_asked(reader: CommandLine) -> None:
    north, east = reader("get", "north", "east", "-c", "points", "--json").json
    assert north == {
        "id": "north", "title": None, "uri": "file:///north", "metadata": {"n": 2}, "content": "to the north",
    }  # fmt: skip
    assert east["title"] == "East"


def test_get_shows_text_without_control_characters(reader: CommandLine) -> None:
    shown = reader("get", "east", "north-east", "-c", "points")
    assert shown.code == 0
    assert shown.out == (
        'id: east\ntitle: East\nmetadata: {"n": 1}\n\nto the east\n---\n'
        'id: north-east\nmetadata: {"n": 3}\n\nhalf\tway\n\N{REPLACEMENT CHARACTER}[31min between é\n'
    )


def test_get_fails_for_a_document_that_is_not_there_and_shows_the_others(reader: CommandLine) -> None:
    done = reader("get", "east", "west", "-c", "points", "--json")
    assert done.code == 1
    assert [document["id"] for document in done.json] == ["east"]
    assert json.loads(done.err)["error"]["type"] == "DocumentNotFound"
    assert reader("get", "west", "-c", "points").error == "error: points has no document with the id 'west'"


def test_count(reader: CommandLine) -> None:
    assert reader("count", "-c", "points").out == "3\n"
    assert reader("count").out == "0\n"
    assert reader("count", "-c", "points", "--where", '{"n": {">": 1}}', "--json").json == {"count": 2}


@pytest.mark.parametrize("where", ["{", "[]", "7", '{"n": {"~": 1}}', "[" * 100_000])
def test_where_must_be_a_filter(reader: CommandLine, where: str) -> None:
    done = reader("count", "-c", "points", "--where", where, "--json")
    assert done.code == 2
    assert json.loads(done.error)["error"]["type"] == "InvalidFilter"


def test_delete(points: CommandLine) -> None:
    assert points("delete", "east", "west", "-c", "points", "--json").json == {"deleted": 1}
    assert points("delete", "-c", "points", "--where", '{"n": 2}').out == "deleted 1\n"
    assert points("count", "-c", "points").out == "1\n"
    assert points("delete", "-c", "points").code == 2


def test_delete_by_a_filter_asks_on_a_terminal(points: CommandLine, db: VectorDB) -> None:
    command = ("delete", "-c", "points", "--where", '{"n": {">": 1}}')
    refused = run_on_terminal(*command, typed="n\n")
    assert refused.code == 1
    assert "Really delete 2 documents from the collection 'points'?" in refused.text
    assert db.collection("points").count() == 3
    assert run_on_terminal(*command, "--yes").text == "deleted 2\n"
    assert run_on_terminal("delete", "east", "-c", "points").text == "deleted 1\n"
