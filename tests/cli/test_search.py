from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import vectordb
from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal
from tests.conftest import Databases
from tests.rerankers.conftest import save_cross_encoder
from vectordb import Document

SEARCH = ("search", "--vector", "-c", "points")
MANUALS = ("-c", "manuals")


@pytest.fixture(scope="module")
def manuals_url(databases: Databases, template: str) -> Iterator[str]:
    """URL of a database with the collection `manuals`, which has an embedder and a text index. Read-only."""
    url = databases.create(template)
    with vectordb.connect(url) as db:
        docs = db.create_collection("manuals", index=None)
        docs.upsert(
            [
                Document("The pump XK-2210 is oiled once a year & <checked>.", "xk-2210"),
                Document("The pump XK-2310 needs oil every month.", "xk-2310"),
                Document("A kitten purrs when it is content.", "kitten"),
            ]
        )
    yield url
    databases.drop(url)


@pytest.fixture
def manuals(manuals_url: str, cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command line over the manuals."""
    monkeypatch.setenv("VECTORDB_URL", manuals_url)
    return cli


def test_hits_are_lines_in_a_pipe(reader: CommandLine) -> None:
    done = reader(*SEARCH, "[2, 0.2]", "--limit", "2")
    assert done.err == ""
    assert done.out == "0.9950\teast\tto the east\n0.7740\tnorth-east\thalf way [31min between é\n"


def test_hits_as_json(reader: CommandLine) -> None:
    (hit,) = reader(*SEARCH, "[0, 2]", "-k", "1", "--json").json
    assert hit.pop("distance") == pytest.approx(0)
    assert hit.pop("score") == pytest.approx(1)
    assert hit == {
        "document_id": "north", "ordinal": 0, "content": "to the north", "metadata": {"n": 2},
        "vector_rank": 1, "vector_score": 1, "text_rank": None, "text_score": None, "rerank_score": None,
        "highlight": None,
    }  # fmt: skip


def test_hits_are_a_table_on_a_terminal(reader: CommandLine) -> None:
    screen = run_on_terminal(*SEARCH, "[2, 0.2]")
    assert screen.code == 0
    heading, first, *_ = screen.text.splitlines()
    assert heading.split() == ["score", "document", "text"]
    assert first.split() == ["0.9950", "east", "to", "the", "east"]
    assert "\x1b[31m" not in screen.raw


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--where", '{"n": {"<": 3}}'], ["east", "north"]),
        (["--min-score", "0.5"], ["east", "north-east"]),
        (["--exact", "--limit", "2"], ["east", "north-east"]),
        (["--ef-search", "7"], ["east", "north-east", "north"]),
        (["--where", '{"n": 9}'], []),
        (["--where", "n between 1 and 2"], ["east", "north"]),
        (["--limit", "2", "--offset", "1"], ["north-east", "north"]),
        (["--strategy", "exact"], ["east", "north-east", "north"]),
        (["--strategy", "iterative", "--where", "n > 1"], ["north-east", "north"]),
        (["--unlike", "north-east", "--like", "east"], ["north"]),
        (["--group-by", "document", "--per-group", "2", "-k", "1"], ["east"]),
        (["--diversity", "1", "-k", "2"], ["east", "north"]),
    ],
    ids=" ".join,
)
def test_options(reader: CommandLine, options: list[str], found: list[str]) -> None:
    done = reader(*SEARCH, "[1, 0]", *options)
    assert done.code == 0
    assert [line.split("\t")[1] for line in done.out.splitlines()] == found


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (["[1, 0]", "--limit", "0"], "InvalidInput"),
        (["[1, 0]", "--ef-search", "5000"], "InvalidInput"),
        (["[1, 0]", "--limit", "x"], "UsageError"),
        (["[1, 0, 0]"], "DimensionMismatch"),
        (["[0, 0]"], "InvalidVector"),
        (["east"], "InvalidVector"),
        (['["east"]'], "InvalidVector"),
        (["{}"], "InvalidVector"),
        (["--like", "east"], "InvalidVector"),
        (["[1, 0]", "--where", "n >"], "InvalidFilter"),
        (["[1, 0]", "--strategy", "plain"], "UsageError"),
        (["[1, 0]", "--strategy", "iterative", "--exact"], "InvalidInput"),
        (["[1, 0]", "--group-by", "chunk"], "UsageError"),
        (["[1, 0]", "--per-group", "2"], "InvalidInput"),
        (["[1, 0]", "--offset", "-1"], "InvalidInput"),
        (["[1, 0]", "--diversity", "2"], "InvalidInput"),
        (["[1, 0]", "--mode", "text"], "InvalidInput"),
        (["[1, 0]", "--mode", "both"], "UsageError"),
        (["[1, 0]", "--fusion", "sum"], "UsageError"),
        (["[1, 0]", "--fusion", "rrf"], "InvalidInput"),
        (["[1, 0]", "--highlight"], "InvalidInput"),
        (["[1, 0]", "--rerank-depth", "5"], "InvalidInput"),
        (["[1, 0]", "--rerank", "cross-encoder/x"], "InvalidInput"),
    ],
)
def test_search_refuses(reader: CommandLine, arguments: list[str], kind: str) -> None:
    done = reader(*SEARCH, *arguments, "--json")
    assert done.code == 2
    assert json.loads(done.error)["error"]["type"] == kind


def test_text_needs_an_embedder(reader: CommandLine) -> None:
    done = reader("search", "to the east", "-c", "points")
    assert done.code == 2
    assert "has no embedder" in done.error


def test_examples_take_the_place_of_a_query(reader: CommandLine) -> None:
    done = reader("search", "-c", "points", "--like", "north", "--like", "north-east", "--json")
    assert [hit["document_id"] for hit in done.json] == ["east"]
    missing = reader("search", "-c", "points", "--like", "west")
    assert (missing.code, missing.error) == (1, "error: points has no document with the id 'west' and a vector")


def test_explain_prints_the_plan_below_the_hits(reader: CommandLine) -> None:
    done = reader(*SEARCH, "[1, 0]", "-k", "1", "--where", "n > 0", "--explain")
    hit, blank, *plan = done.out.splitlines()
    assert hit.split("\t") == ["1.0000", "1.0000 (1)", "east", "to the east"]
    assert blank == ""
    assert plan == ["mode: vector", "strategy: exact", "reason: the table is small", "complete: yes"]


def test_explain_as_json_is_the_plan_and_the_hits(reader: CommandLine) -> None:
    arguments = (*SEARCH, "[1, 0]", "-k", "1", "--json")
    explained = reader(*arguments, "--explain").json
    assert explained["hits"] == reader(*arguments).json
    assert explained["plan"]["strategy"] == "plain"
    assert explained["plan"]["complete"] is True


def test_what_was_left_out_is_said(reader: CommandLine) -> None:
    arguments = (*SEARCH, "[1, 0]", "--strategy", "iterative", "--where", "n = 1")
    done = reader(*arguments)
    assert done.out.count("\n") == 1
    assert done.err.startswith("note: more may match than was found")
    assert "complete: no, more may match" in reader(*arguments, "--explain").out.splitlines()


def test_a_text_goes_by_vector_and_words(manuals: CommandLine) -> None:
    hits = manuals("search", "oil of the XK-2310", *MANUALS, "--json").json
    assert [hit["document_id"] for hit in hits] == ["xk-2310", "xk-2210", "kitten"]
    assert {"vector_rank": 1, "text_rank": 1}.items() <= hits[0].items()
    assert hits[2]["text_score"] == 0


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--mode", "text"], ["xk-2210", "xk-2310"]),
        (["--mode", "hybrid", "--alpha", "0"], ["xk-2210", "xk-2310", "kitten"]),
        (["--alpha", "1"], ["kitten", "xk-2310", "xk-2210"]),
        (["--fusion", "relative_score", "--alpha", "0.25", "-k", "1"], ["xk-2210"]),
        (["--fusion", "rrf", "--weights", "0.1,9", "--rrf-k", "1", "-k", "1"], ["xk-2210"]),
        (["--fusion", "rrf", "--weights", "9, 0.1", "-k", "1"], ["kitten"]),
        (["--rerank", "maxsim", "--rerank-depth", "3", "-k", "1"], ["xk-2210"]),
        (["--rerank", "bi-encoder", "-k", "1"], ["kitten"]),
    ],
    ids=" ".join,
)
def test_ways_to_rank(manuals: CommandLine, options: list[str], found: list[str]) -> None:
    done = manuals("search", "a cat, and XK-2210", *MANUALS, *options)
    assert (done.code, done.err) == (0, "")
    assert [line.split("\t")[1] for line in done.out.splitlines()] == found


def test_a_cross_encoder_by_its_folder(manuals: CommandLine, tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path / "tiny", tmp_path / "base")
    for name in (f"{folder}", f"cross-encoder:{folder}"):
        hits = manuals("search", "oil", *MANUALS, "--rerank", name, "--json").json
        assert [hit["rerank_score"] for hit in hits] == [hit["score"] for hit in hits]
        assert len({hit["score"] for hit in hits}) == 3


def test_explain_shows_what_each_signal_found(manuals: CommandLine) -> None:
    done = manuals("search", "oil of the XK-2310", *MANUALS, "--rerank", "maxsim", "--explain")
    first, _, third, blank, *plan = done.out.splitlines()
    score, rerank, vector, text, name, _ = first.split("\t")
    assert (score == rerank, vector.split()[1], text.split()[1], name) == (True, "(1)", "(1)", "xk-2310")
    assert third.split("\t")[3] == "0.0000"
    assert (blank, plan[0]) == ("", "mode: hybrid")
    screen = run_on_terminal("search", "oil", *MANUALS, "--explain")
    (headings,) = (line for line in screen.text.splitlines() if "(rank)" in line)
    assert headings.rstrip().endswith("vector (rank)  BM25 (rank)  document  text")


def test_words_are_bold_on_a_terminal_and_marked_in_json(manuals: CommandLine) -> None:
    arguments = ("search", "oil", *MANUALS, "-k", "1", "--where", "id = 'xk-2210'", "--highlight")
    (hit,) = manuals(*arguments, "--json").json
    assert hit["highlight"] == "The pump XK-2210 is <mark>oiled</mark> once a year &amp; &lt;checked&gt;."
    assert manuals(*arguments).out.endswith("\tThe pump XK-2210 is oiled once a year & <checked>.\n")
    screen = run_on_terminal(*arguments)
    assert "is \x1b[1moiled\x1b[0m once a year & <checked>." in screen.raw


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--fusion", "rrf", "--alpha", "0.5"], "--alpha does not go with --fusion rrf"),
        (["--weights", "1,2"], "--weights does not go with --fusion bounded"),
        (["--fusion", "relative_score", "--rrf-k", "5"], "--rrf-k does not go with --fusion relative_score"),
        (["--fusion", "rrf", "--weights", "1"], "--weights takes two numbers, of vector and text, as in 2,1, not '1'"),
        (["--fusion", "rrf", "--weights", "a,b"], "--weights takes two numbers"),
        (["--fusion", "rrf", "--rrf-k", "-1"], "k of RRF is a number of 0 or more"),
        (["--alpha", "2"], "alpha is a number from 0 to 1"),
        (["--mode", "text", "--alpha", "0.5"], "fusion goes with a hybrid search"),
        (["--mode", "text", "--like", "kitten"], "mode, rerank and highlight do not go with them"),
        (["--rerank", "cross-encoder:"], "--rerank takes the name or folder of a cross-encoder"),
        (["--rerank", "maxsim", "--rerank-depth", "0"], "rerank_depth is a whole number from 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together(manuals: CommandLine, options: list[str], what: str) -> None:
    done = manuals("search", "oil", *MANUALS, *options)
    assert done.code == 2
    assert what in done.error


def test_text_needs_a_text_index(cli: CommandLine, db: vectordb.VectorDB) -> None:
    db.create_collection("plain", text_index=None, index=None)
    done = cli("search", "oil", "-c", "plain", "--mode", "text")
    assert done.code == 2
    assert "has no text index" in done.error


def test_a_reranker_that_is_not_there_fails(manuals: CommandLine) -> None:
    done = manuals("search", "oil", *MANUALS, "--rerank", "./nowhere")
    assert done.code in (1, 2)
    assert "nowhere" in done.error
