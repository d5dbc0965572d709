from __future__ import annotations

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal
from vectordb import BM25, HNSW, Chunking, IVFFlat, VectorDB


def test_create_passes_every_option_on(cli: CommandLine, db: VectorDB) -> None:
    options = (
        "--dimensions 8 --metric l2 --storage halfvec --index hnsw --m 8 --ef-construction 32 --text-config simple"
    )
    done = cli("collection", "create", "docs", *options.split(), "--chunk-size", "100", "--chunk-overlap", "10")
    assert (done.code, done.out, done.err) == (0, "created docs: halfvec(8) by l2\n", "")
    config = db.collection("docs").config
    assert config.space.column_type == "halfvec(8)"
    assert config.space.metric == "l2"
    assert config.index == HNSW(8, 32)
    assert config.text_config == "simple"
    assert config.chunking == Chunking(100, 10)
    assert config.embedder is None


def test_create_takes_the_default_model(cli: CommandLine, db: VectorDB) -> None:
    created = cli("collection", "create", "docs", "--index", "ivfflat", "--lists", "7", "--json").json
    assert created["name"] == "docs"
    assert created["dimensions"] == 384
    assert created["index"] == {"method": "ivfflat", "lists": 7}
    assert created["chunks_table"] == "vectordb.docs_chunks"
    assert created["embedder"]["model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert db.collection("docs").config.index == IVFFlat(7)


def test_create_declares_fields(cli: CommandLine, db: VectorDB) -> None:
    options = ("--dimensions", "2", "--field", "year=int", "--field", "lang=str", "--json")
    assert cli("collection", "create", "docs", *options).json["fields"] == {"lang": "str", "year": "int"}
    assert db.collection("docs").config.fields == {"lang": "str", "year": "int"}
    assert cli("collection", "show", "docs", "--json").json["fields"] == {"lang": "str", "year": "int"}
    assert "fields: lang str, year int" in cli("collection", "show", "docs").out.splitlines()


def test_create_without_an_index(cli: CommandLine, db: VectorDB) -> None:
    assert cli("collection", "create", "docs", "--dimensions", "2", "--index", "none").code == 0
    assert db.collection("docs").indexes() == []


def test_create_with_and_without_a_text_index(cli: CommandLine, db: VectorDB) -> None:
    options = ("--dimensions", "2", "--k1", "0.9", "--b", "0.4", "--json")
    assert cli("collection", "create", "docs", *options).json["text_index"] == {"k1": 0.9, "b": 0.4}
    assert db.collection("docs").text_index == BM25(0.9, 0.4)
    assert "text search: english, bm25, k1 0.9, b 0.4" in cli("collection", "show", "docs").out.splitlines()
    assert cli("collection", "create", "bare", "--dimensions", "2", "--no-text-index").code == 0
    assert db.collection("bare").text_index is None
    assert "text search: english, no text index" in cli("collection", "show", "bare").out.splitlines()
    assert cli("collection", "show", "bare", "--json").json["text_index"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["Docs"], 2, "try 'docs'"),
        (["default"], 1, "exists"),
        (["docs", "--metric", "manhattan"], 2, "'manhattan' is not one of"),
        (["docs", "--dimensions", "2", "--metric", "hamming"], 2, "not by hamming"),
        (["docs", "--dimensions", "2", "--lists", "7"], 2, "--lists does not go with --index hnsw"),
        (["docs", "--dimensions", "2", "--index", "none", "--m", "8"], 2, "--m does not go with --index none"),
        (["docs", "--dimensions", "2", "--m", "1"], 2, "m is a whole number from 2 to 100"),
        (["docs", "--dimensions", "2", "--b", "2"], 2, "b is a number from 0 to 1, not 2.0"),
        (["docs", "--dimensions", "2", "--no-text-index", "--k1", "1"], 2, "--k1 does not go with --no-text-index"),
        (["docs", "--chunk-size", "10", "--chunk-overlap", "10"], 2, "must be smaller"),
        (
            ["docs", "--dimensions", "2", "--field", "year"],
            2,
            "a field is written as NAME=TYPE, as in year=int, not as 'year'",
        ),
        (["docs", "--dimensions", "2", "--field", "year=integer"], 2, "one of str, int, float, bool, datetime"),
        (["docs", "--dimensions", "2", "--field", "title=str"], 2, "cannot be named 'title'"),
        (["docs", "--dimensions", "2", "--field", "a=int", "--field", "a=str"], 2, "the field a is given twice"),
    ],
)
def test_create_refuses(reader: CommandLine, arguments: list[str], code: int, message: str) -> None:
    done = reader("collection", "create", *arguments)
    assert done.code == code
    assert done.error.startswith("error: ")
    assert message in done.error


def test_list(reader: CommandLine) -> None:
    assert [each["name"] for each in reader("collection", "list", "--json").json] == ["default", "points"]
    lines = reader("collection", "list").out.splitlines()
    assert lines[1] == "points\tvector(2) by cosine\thnsw, m 16, ef_construction 64\tnone"


def test_show(reader: CommandLine) -> None:
    shown = reader("collection", "show", "points", "--json").json
    assert shown["documents"] == 3
    assert shown["metric"] == "cosine"
    assert shown["embedder"] is None
    lines = reader("collection", "show", "points").out.splitlines()
    assert "documents: 3" in lines
    assert "chunks: what the embedder reads, overlap 0" in lines
    assert "fields: none" in lines
    assert "tables: vectordb.points_documents, vectordb.points_chunks" in lines


def test_an_unknown_collection_is_named_with_the_nearest(reader: CommandLine) -> None:
    done = reader("collection", "show", "point")
    assert (done.code, done.error) == (1, "error: no collection named 'point': did you mean 'points'?")


def test_drop_wants_a_yes_where_nobody_can_be_asked(reader: CommandLine) -> None:
    done = reader("collection", "drop", "points")
    assert done.code == 2
    assert "add --yes to drop the collection 'points'" in done.error
    assert reader("count", "-c", "points").out == "3\n"


def test_drop(points: CommandLine, db: VectorDB) -> None:
    assert points("collection", "drop", "points", "--yes", "--json").json == {"dropped": "points", "documents": 3}
    assert [collection.name for collection in db.collections()] == ["default"]


def test_drop_asks_on_a_terminal(points: CommandLine, db: VectorDB) -> None:
    for refusal in ("n\n", "\n", "\x04"):
        screen = run_on_terminal("collection", "drop", "points", typed=refusal)
        assert "Really drop the collection 'points' with all its documents (3)? [y/N]" in screen.text
        assert "nothing was done" in screen.text
        assert screen.code == 1
    assert db.collection("points").count() == 3
    assert run_on_terminal("collection", "drop", "points", typed="y\n").code == 0
    assert [collection.name for collection in db.collections()] == ["default"]


def test_tables_have_headings_on_a_terminal(reader: CommandLine) -> None:
    screen = run_on_terminal("collection", "list")
    assert screen.code == 0
    heading, *rows = screen.text.splitlines()[-3:]
    assert heading.split() == ["name", "embeddings", "index", "embedder"]
    assert [row.split()[0] for row in rows] == ["default", "points"]
