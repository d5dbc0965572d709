from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sqlalchemy import Engine

from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal
from vectordb import BM25, Collection, VectorDB
from vectordb.cli import progress
from vectordb.cli.progress import BuildProgress, read_build_progress


def many_points(db: VectorDB, count: int, dimensions: int) -> Collection:
    """Make the collection `many` without an index."""
    many = db.create_collection("many", dimensions=dimensions, index=None)
    many.upsert_vectors(range(count), np.random.default_rng(0).normal(size=(count, dimensions)))
    return many


def test_create_list_and_drop(points: CommandLine) -> None:
    before, text = points("index", "list", "-c", "points", "--json").json
    assert (text["method"], text["valid"]) == ("bm25", True)
    points("index", "drop-text", "-c", "points")
    assert before["options"] == {"m": 16, "ef_construction": 64}
    created = points("index", "create", "-c", "points", "--m", "8", "--ef-construction", "20", "--json").json
    assert created["seconds"] > 0
    (index,) = created["indexes"]
    assert index["bytes"] > 0
    assert index["name"] == "points_chunks_embedding_hnsw_idx"
    assert index["operator_class"] == "vector_cosine_ops"
    assert index["options"] == {"m": 8, "ef_construction": 20}
    done = points("index", "create", "-c", "points", "--index", "ivfflat", "--lists", "1")
    assert done.out.startswith("points_chunks_embedding_ivfflat_idx\tivfflat\tvector_cosine_ops\tlists 1\tvalid\t")
    assert points("index", "drop", "-c", "points").out == "dropped points_chunks_embedding_ivfflat_idx\n"
    assert points("index", "list", "-c", "points").out == ""
    assert points("index", "drop", "-c", "points", "--json").json == {"dropped": []}
    assert points("search", "--vector", "[1, 0]", "-c", "points", "-k", "1").out.split("\t")[1] == "east"


def test_create_list_and_drop_a_text_index(points: CommandLine, db: VectorDB) -> None:
    listed = points("index", "list", "-c", "points").out.splitlines()[1]
    assert listed.startswith("points_chunks_content_tsv_idx\tbm25\tenglish\tk1 1.2, b 0.75\tvalid\t")
    (index,) = points("index", "create-text", "-c", "points", "--k1", "2", "--b", "0", "--json").json["indexes"]
    assert index["bytes"] > 0
    assert {name: value for name, value in index.items() if name != "bytes"} == {
        "name": "points_chunks_content_tsv_idx",
        "method": "bm25",
        "text_config": "english",
        "options": {"k1": 2, "b": 0},
        "valid": True,
        "faults": [],
    }
    assert db.collection("points").text_index == BM25(2, 0)
    assert points("index", "drop-text", "-c", "points").out == "dropped points_chunks_content_tsv_idx\n"
    assert points("index", "drop-text", "-c", "points").out == "dropped nothing: there was no text index\n"
    assert points("index", "drop-text", "-c", "points", "--json").json == {"dropped": []}
    assert db.collection("points").text_index is None
    assert points("index", "create-text", "-c", "points").out.startswith(
        "points_chunks_content_tsv_idx\tbm25\tenglish\t"
    )
    assert db.collection("points").text_index == BM25()
    assert points("index", "create-text", "-c", "points", "--k1", "-1").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--index", "none"], "`vectordb index drop`"),
        (["--lists", "8"], "--lists does not go with --index hnsw"),
        (["--index", "ivfflat", "--m", "8"], "--m does not go with --index ivfflat"),
        (["--m", "60"], "at least 2 * m"),
    ],
)
def test_create_refuses(reader: CommandLine, arguments: list[str], message: str) -> None:
    done = reader("index", "create", "-c", "points", *arguments)
    assert done.code == 2
    assert message in done.error


def test_the_build_shows_a_bar_on_a_terminal(cli: CommandLine, db: VectorDB, monkeypatch: pytest.MonkeyPatch) -> None:
    many_points(db, 5_000, 64)
    seen: list[BuildProgress | None] = []

    def read(*arguments: object) -> BuildProgress | None:
        seen.append(read_build_progress(*arguments))  # type: ignore[arg-type] # passed through
        return seen[-1]

    monkeypatch.setattr(progress, "_POLL", 0.005)
    monkeypatch.setattr(progress, "read_build_progress", read)
    screen = run_on_terminal("index", "create", "-c", "many")
    assert screen.code == 0
    assert "Building index: loading tuples" in screen.text
    building = [each for each in seen if each is not None and each.total]
    assert building
    assert all(0 <= each.done <= (each.total or 0) for each in building)
    assert screen.text.splitlines()[-1].startswith("many_chunks_embedding_hnsw_idx")


def test_no_progress_where_nothing_is_built(db: VectorDB) -> None:
    with db.engine.connect() as connection:
        assert read_build_progress(connection, "vectordb.chunks") is None
        assert read_build_progress(connection, "vectordb.nothing") is None


def test_ctrl_c_stops_the_build_and_leaves_the_collection_as_it_was(cli: CommandLine, db: VectorDB, url: str) -> None:
    many = many_points(db, 10_000, 200)
    command = [sys.executable, "-m", "vectordb", "index", "create", "-c", "many", "--ef-construction", "1000"]
    building = subprocess.Popen(command, env=os.environ | {"VECTORDB_URL": url}, stderr=subprocess.PIPE)
    _wait_for_build(db.engine, building)
    building.send_signal(signal.SIGINT)
    _, err = building.communicate(timeout=20)
    assert (building.returncode, err) == (130, b"")
    assert many.indexes() == []
    assert many.count() == 10_000


def _wait_for_build(engine: Engine, building: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while read_build_progress(connection, "vectordb.many_chunks") is None:
            assert building.poll() is None, "the build ended before it was seen"
            assert time.monotonic() < deadline
            time.sleep(0.02)
