from __future__ import annotations

import json

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.terminal import run_on_terminal

SEARCH = ("search", "--vector", "-c", "points")


def test_hits_are_lines_in_a_pipe(reader: CommandLine) -> None:
    done = reader(*SEARCH, "[2, 0.2]", "--limit", "2")
    assert done.err == ""
    assert done.out == "0.9950\teast\tto the east\n0.7740\tnorth-east\thalf way [31min between é\n"


def test_hits_as_json(reader: CommandLine) -> None:
    (hit,) = reader(*SEARCH, "[0, 2]", "-k", "1", "--json").json
    assert hit.pop("distance") == pytest.approx(0)
    assert hit.pop("score") == pytest.approx(1)
    assert hit == {
        "document_id": "north", "ordinal": 0, "content": "to the north", "metadata": {"n": 2}, "vector_rank": 1,
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
    assert (hit.split("\t")[1], blank) == ("east", "")
    assert plan == ["strategy: exact", "reason: the table is small", "complete: yes"]


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
