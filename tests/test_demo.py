"""`vectordb demo`, run for real; the reference is embedded once for all tests, which takes half a minute."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import psycopg
import pytest

import vectordb
from tests.cli.terminal import run_on_terminal
from tests.conftest import Databases
from vectordb import Collection, Hit, Results, SentenceTransformerEmbedder, demo
from vectordb.cli.running import run

# Where others use the same cores, embedding takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Ran:
    url: str
    code: int
    out: str
    err: str


def run_demo(url: str, *options: str) -> Ran:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = run(["demo", "--url", url, *options])
    return Ran(url, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def first(databases: Databases, template: str, model: SentenceTransformerEmbedder) -> Iterator[Ran]:
    """The first run in a new database."""
    model.embed(["so that the model is in memory"])
    url = databases.create(template)
    yield run_demo(url)
    databases.drop(url)


@pytest.fixture
def reference(first: Ran) -> Iterator[Collection]:
    with vectordb.connect(first.url) as db:
        yield demo.open_reference(db)


def test_the_first_run_indexes_and_answers(first: Ran) -> None:
    assert (first.code, first.err) == (0, "")
    assert re.match(rf"Indexed {len(topics)} topics of Python's language reference as \d{{4}} passages in", first.out)
    for question in demo.QUESTIONS:
        _, _, answer = first.out.partition(f"\n{question.text}  (")
        assert re.match(r"\d+ ms to embed it, \d+\.\d ms in the database\)\n\n  0\.\d{3}  \w+", answer)
    assert "Now you" not in first.out


def test_every_topic_is_a_document(reference: Collection) -> None:
    assert reference.count() == len(topics)
    stored = reference.get("try")
    assert stored.content == topics["try"]
    assert stored.title == 'The "try" statement'


@pytest.mark.parametrize("question", demo.QUESTIONS, ids=lambda question: question.text)
def test_a_right_topic_is_first_or_second(question: demo.Question, reference: Collection) -> None:
    assert question.topics <= set(topics)
    answer = demo.ask(reference, question.text)
    found = [hit.document_id for hit in answer.passages]
    assert len(set(found)) == 3
    assert question.topics & set(found[:2])
    assert [hit.score for hit in answer.passages] == sorted((hit.score for hit in answer.passages), reverse=True)


def test_a_second_run_embeds_nothing_again(first: Ran) -> None:
    second = run_demo(first.url, "--json")
    assert (second.code, second.err) == (0, "")
    told = json.loads(second.out)
    assert told["counts"] == {
        "inserted": 0, "updated": 0, "unchanged": len(topics), "chunks": 0, "embedded": 0, "failed": 0,
    }  # fmt: skip
    assert [answer["question"] for answer in told["answers"]] == [question.text for question in demo.QUESTIONS]
    for answer in told["answers"]:
        assert answer["embedding_seconds"] > 0
        assert answer["database_seconds"] > 0
        assert {"document_id", "score", "content"} <= set(answer["passages"][0])
    assert told["python"] in first.out.replace("\n    ", "\n")
    assert told["sql"] in first.out.replace("\n    ", "\n")


def test_the_python_example_runs(
    first: Ran, reference: Collection, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VECTORDB_URL", first.url)
    question = demo.QUESTIONS[2].text
    example = demo.python_example(question)
    assert len(example.splitlines()) == 5
    namespace: dict[str, vectordb.VectorDB] = {}
    exec(example, namespace)
    namespace["db"].close()
    hits = reference.search(question, mode="vector", limit=3)
    assert capsys.readouterr().out == "".join(f"{hit.score} {hit.document_id} {hit.content}\n" for hit in hits)


def test_the_python_example_names_the_directory_of_the_server() -> None:
    assert demo.python_example("q", Path("my data")).splitlines()[1] == "db = vectordb.connect(path='my data')"


def test_the_sql_example_runs(first: Ran, reference: Collection) -> None:
    vector = reference.embedder.embed([demo.QUESTIONS[1].text], input_type="query")[0]
    with psycopg.connect(first.url) as connection:
        cursor = psycopg.RawCursor(connection)
        rows = cursor.execute(demo.sql_example(reference).encode(), [str(vector.tolist())]).fetchall()
    hits = reference.search(vector, limit=3)
    assert [row[1:] for row in rows] == [(hit.document_id, hit.content) for hit in hits]
    assert np.allclose([row[0] for row in rows], [hit.score for hit in hits])


@pytest.mark.parametrize("end", ["\n", "\x04"], ids=["an empty line", "ctrl-d"])
def test_on_a_terminal_the_user_may_ask_until(end: str, first: Ran) -> None:
    screen = run_on_terminal("demo", "--url", first.url, typed=f"how do I make a decorator?\n{end}")
    assert screen.code == 0
    *_, asked = screen.text.split("Now you: ask")
    assert re.search(r"how do I make a decorator\?  \(\d+ ms", asked)
    assert asked.count("\n  0.") == 3
    assert "nothing was embedded again" in screen.text


def test_a_question_that_cannot_be_asked_does_not_end_the_demo(first: Ran) -> None:
    screen = run_on_terminal("demo", "--url", first.url, typed="a\x16\x00b\nhow do I loop?\n\n")
    assert screen.code == 0
    assert "error: " in screen.text
    assert "how do I loop?  (" in screen.text


def test_a_missing_extra_is_named(first: Ran) -> None:
    program = "import sys; sys.modules['sentence_transformers'] = None; from vectordb.cli import main; main(['demo'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"VECTORDB_URL": first.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*vectordb-postgres\[local\].*\n", done.stderr)


def test_the_best_passage_of_each_topic_is_kept() -> None:
    hits = [Hit(topic, ordinal, "", {}, 0.0) for topic, ordinal in [("b", 1), ("b", 0), ("a", 0), ("b", 2), ("c", 0)]]
    best = demo.best_per_topic(Results(hits), 2)
    assert [(hit.document_id, hit.ordinal) for hit in best] == [("b", 1), ("a", 0)]
