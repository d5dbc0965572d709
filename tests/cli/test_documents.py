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


def test_where_is_text_or_json(reader: CommandLine) -> None:
    for where in (
        "n >= 2 and not title exists",
        ' {"n": {">=": 2}, "title": {"missing": true}}',
        "id in ('north', 'x')",
    ):
        found = reader("count", "-c", "points", "--where", where)
        assert (found.code, found.out) == (0, "1\n" if where.startswith("id") else "2\n")


@pytest.mark.parametrize(
    ("where", "message", "position"),
    [
        ("n >= 1 andd n < 2", "at character 7 of the filter there is 'andd'", 7),
        ("n >=", "at character 4 of the filter there is the end", 4),
        ("", "at character 0 of the filter there is the end", 0),
        ('{"n": }', "at character 6 of the filter there is no JSON", 6),
        ('{"n": 1, "n": 2}', "the key 'n' stands twice in one object", None),
        ('{"n": {"=>": 1}}', "unknown operator at n: did you mean", None),
        (f'{{"n": {"9" * 5_000}}}', "too many digits", None),
    ],
)
def test_a_wrong_filter_is_pointed_at(reader: CommandLine, where: str, message: str, position: int | None) -> None:
    done = reader("count", "-c", "points", "--where", where, "--json")
    assert done.code == 2
    error = json.loads(done.error)["error"]
    assert error["type"] == "InvalidFilter"
    assert message in error["message"]
    assert error.get("position") == position


@pytest.mark.parametrize("where", ["{", "[]", "7", '{"n": {"~": 1}}', "[" * 100_000, '{"not": ' * 100_000])
def test_where_must_be_a_filter(reader: CommandLine, where: str) -> None:
    done = reader("count", "-c", "points", "--where", where, "--json")
    assert done.code == 2
    assert json.loads(done.error)["error"]["type"] == "InvalidFilter"


def test_delete(points: CommandLine) -> None:
    assert points("delete", "east", "west", "-c", "points", "--json").json == {"deleted": 1}
    assert points("delete", "-c", "points", "--where", '{"n": 2}').out == "deleted 1\n"
    assert points("count", "-c", "points").out == "1\n"
    assert points("delete", "-c", "points").code == 2
    refused = points("delete", "-c", "points", "--where", "{}")
    assert (refused.code, refused.error[:33]) == (2, "error: delete needs ids or where;")
    assert points("count", "-c", "points").out == "1\n"


def test_delete_by_a_filter_asks_on_a_terminal(points: CommandLine, db: VectorDB) -> None:
    command = ("delete", "-c", "points", "--where", '{"n": {">": 1}}')
    refused = run_on_terminal(*command, typed="n\n")
    assert refused.code == 1
    assert "Really delete 2 documents of the collection 'points'?" in refused.text
    assert db.collection("points").count() == 3
    assert run_on_terminal(*command, "--yes").text == "deleted 2\n"
    assert run_on_terminal("delete", "east", "-c", "points").text == "deleted 1\n"


def test_patch(points: CommandLine, db: VectorDB) -> None:
    done = points("patch", '{"lang": "en"}', "east", "north", "-c", "points", "--remove", "n", "--where", "n = 1")
    assert (done.out, done.err) == ("changed 1\n", "")
    assert db.collection("points").get("east").metadata == {"lang": "en"}
    assert points("patch", '{"n": 5}', "--where", "n exists", "-c", "points", "--json").json == {"changed": 2}
    assert points("patch", '{"n": 5}', "north", "-c", "points").out == "changed 0\n"
    assert points("patch", "{}", "--remove", "n", "--where", "{}", "-c", "points").out == "changed 2\n"
    assert points("count", "-c", "points", "--where", "n exists").out == "0\n"


def test_patch_by_a_filter_asks_on_a_terminal(points: CommandLine, db: VectorDB) -> None:
    command = ("patch", '{"n": 7}', "-c", "points", "--where", "n > 1")
    refused = run_on_terminal(*command, typed="n\n")
    assert refused.code == 1
    assert "Really change 2 documents of the collection 'points'?" in refused.text
    assert db.collection("points").count({"n": 7}) == 0
    assert run_on_terminal(*command, "--yes").text == "changed 2\n"
    assert run_on_terminal("patch", '{"n": 8}', "east", "-c", "points").text == "changed 1\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (['{"n": 1}'], "needs ids or where"),
        (["n=1", "east"], "metadata is written as a JSON object"),
        (["[1]", "east"], "metadata is written as a JSON object"),
        (["{" * 100_000, "east"], "metadata is written as a JSON object"),
        (['{"n": NaN}', "east"], "NaN"),
        (['{"n": 1}', "east", "--remove", "n"], "both set and removed"),
    ],
)
def test_patch_refuses(reader: CommandLine, arguments: list[str], message: str) -> None:
    done = reader("patch", "-c", "points", *arguments)
    assert done.code == 2
    assert message.lower() in done.error.lower()


def test_facets(points: CommandLine) -> None:
    values = ["a", "a", "1", 1, True, "", "two\nlines", None]
    documents = [{**POINT, "id": n, "metadata": {"v": value}} for n, value in enumerate(values)]
    assert points("upsert", "-c", "points", "-f", "-", stdin=json.dumps(documents)).code == 0
    lines = points("facets", "v", "-c", "points").out.splitlines()
    assert lines[0] == "a\t2"
    assert sorted(lines[1:]) == sorted(['"1"\t1', "1\t1", "true\t1", '""\t1', "two lines\t1"])
    assert points("facets", "v", "-c", "points", "-k", "1", "--json").json == [{"value": "a", "documents": 2}]
    assert points("facets", "title", "-c", "points", "--where", "n < 3").out == "East\t1\n"


def test_export_goes_round(points: CommandLine, db: VectorDB, tmp_path: Path) -> None:
    done = points("export", "-c", "points", "--vectors")
    assert (done.code, done.err) == (0, "")
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["east", "north", "north-east"]
    file = tmp_path / "exported.jsonl"
    file.write_text(done.out)
    again = points("upsert", "-c", "points", "-f", str(file), "--json").json
    assert (again["unchanged"], again["embedded"]) == (3, 0)
    copy = db.create_collection("copy", dimensions=2)
    assert points("upsert", "-c", "copy", "-f", "-", "--json", stdin=done.out).json["inserted"] == 3
    assert list(copy.scan()) == list(db.collection("points").scan())
    assert points("export", "-c", "copy", "--vectors").out == done.out


@pytest.mark.usefixtures("model")
def test_export_of_texts_goes_round(cli: CommandLine, db: VectorDB) -> None:
    docs = db.collection()
    docs.upsert([{"id": "long", "content": "Cats purr. " * 400, "title": "T", "metadata": {"n": [1]}}, "short"])
    exported = cli("export").out
    assert cli("upsert", "-f", "-", "--json", stdin=exported).json["unchanged"] == 2
    with_vectors = {
        json.loads(line)["content"][:5]: "embedding" in json.loads(line)
        for line in cli("export", "--vectors").out.splitlines()
    }
    assert with_vectors == {"Cats ": False, "short": True}
    assert [json.loads(line)["id"] for line in cli("export", "--where", 'id = "long"').out.splitlines()] == ["long"]


def test_export_reads_in_batches(cli: CommandLine, db: VectorDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vectordb.cli.documents._EXPORTED_AT_ONCE", 7)
    many = db.create_collection("many", dimensions=2, index=None)
    many.upsert_vectors(range(100, 120), [[1, n] for n in range(20)])
    lines = [json.loads(line) for line in cli("export", "-c", "many", "--vectors").out.splitlines()]
    assert [line["embedding"] for line in lines] == [[1, n] for n in range(20)]
