from __future__ import annotations

import pytest

import vectordb
from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal
from vectordb import VectorDB
from vectordb.migration import HEAD


def column_and_index(url: str) -> tuple[str, str]:
    """Return the type of the default collection's embeddings and the definition of their index."""
    with vectordb.connect(url) as db, db.engine.connect() as connection:
        row = connection.exec_driver_sql(
            "SELECT format_type(atttypid, atttypmod), pg_get_indexdef('vectordb.chunks_embedding_hnsw_idx'::regclass)"
            " FROM pg_attribute WHERE attrelid = 'vectordb.chunks'::regclass AND attname = 'embedding'"
        ).one()
    return row[0], row[1]


def test_an_empty_database_gets_tables_as_the_options_say(
    reader: CommandLine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VECTORDB_DIMENSIONS", "8")
    options = "--dimensions 64 --metric l2 --storage halfvec --m 24 --ef-construction 50 --text-config simple"
    options += " --field year=int --field lang=str"
    done = reader("migrate", "--url", database_url, *options.split())
    assert (done.code, done.out, done.err) == (0, f"before: no tables\nafter: {HEAD}\n", "")
    column, index = column_and_index(database_url)
    assert column == "halfvec(64)"
    assert "USING hnsw (embedding halfvec_l2_ops) WITH (m='24', ef_construction='50')" in index
    assert reader("collection", "show", "default", "--url", database_url, "--json").json["fields"] == {
        "lang": "str",
        "year": "int",
    }


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [(["--k1", "0.9", "--b", "0"], {"k1": 0.9, "b": 0.0}), (["--text-index"], {"k1": 1.5, "b": 0.75})],
)
def test_the_text_index_is_as_the_options_say(
    reader: CommandLine,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    kept: dict[str, float],
) -> None:
    monkeypatch.setenv("VECTORDB_TEXT_INDEX", "none" if "--text-index" in arguments else "bm25")
    monkeypatch.setenv("VECTORDB_K1", "1.5")
    assert reader("migrate", "--url", database_url, "--dimensions", "2", *arguments).code == 0
    assert reader("collection", "show", "default", "--url", database_url, "--json").json["text_index"] == kept


def test_the_text_index_is_left_out(reader: CommandLine, database_url: str) -> None:
    assert reader("migrate", "--url", database_url, "--dimensions", "2", "--no-text-index").code == 0
    assert reader("collection", "show", "default", "--url", database_url, "--json").json["text_index"] is None


def test_options_that_cannot_be_leave_the_database_empty(reader: CommandLine, database_url: str) -> None:
    done = reader("migrate", "--url", database_url, "--m", "1")
    assert done.code == 2
    assert "m is a whole number" in done.error
    assert reader("migrate", "--url", database_url, "--dimensions", "2", "--json").json["before"] is None


def test_migrating_again_changes_nothing_and_says_so(cli: CommandLine) -> None:
    assert cli("migrate", "--json").json == {"before": HEAD, "after": HEAD}
    done = cli("migrate", "--dimensions", "3")
    assert done.code == 0
    assert "options had no effect" in done.err


def test_down_to_base_and_up_again(cli: CommandLine, url: str) -> None:
    refused = cli("migrate", "--to", "base")
    assert refused.code == 2
    assert "add --yes" in refused.error
    assert "deletes every collection with its data" in refused.error
    assert cli("migrate", "--to", "base", "--yes", "--json").json == {"before": HEAD, "after": None}
    assert "run `vectordb migrate`" in cli("count").error
    assert cli("migrate", "--to", HEAD).code == 0
    assert cli("count").out == "0\n"


def test_going_back_asks_on_a_terminal(cli: CommandLine, db: VectorDB) -> None:
    screen = run_on_terminal("migrate", "--to", "base", typed="n\n")
    assert screen.code == 1
    assert "Really go back" in screen.text
    assert len(db.collections()) == 1


def test_another_schema(cli: CommandLine, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("migrate", "--url", database_url, "--schema", "search", "--dimensions", "3").code == 0
    assert cli("count", "--url", database_url).code == 1
    monkeypatch.setenv("VECTORDB_SCHEMA", "search")
    assert cli("count", "--url", database_url).out == "0\n"


def test_an_unknown_revision_is_an_error(cli: CommandLine) -> None:
    done = cli("migrate", "--to", "9999")
    assert done.code == 1
    assert "'9999'" in done.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--m", "x"], "valid integer"),
        (["--no-text-index", "--k1", "2"], "--k1 does not go with --no-text-index"),
        (["--index", "flat"], "'flat' is not one of"),
        (["--schema", "No Schema"], "try 'no_schema'"),
        (["--url", "postgresql://host/db", "--path", "here"], "not both"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_migrate_refuses(reader: CommandLine, arguments: list[str], message: str) -> None:
    done = reader("migrate", *arguments)
    assert done.code == 2
    assert message in done.error
