"""`vectordb demo`: Python's language reference, searched by meaning."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from vectordb.cli import options
from vectordb.cli.database import open_database
from vectordb.cli.output import one_line, print_json, print_line, print_note, printable
from vectordb.cli.progress import counting_bar, waiting
from vectordb.errors import InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection
    from vectordb.demo import Answer, Indexed

app = typer.Typer()

_EXCERPT_LINES = 5


@app.command(epilog="Example: vectordb demo")
def demo(url: options.Url = None, path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Index Python's language reference, answer three questions, and show how it is done."""
    from vectordb import demo

    with open_database(url, path) as db:
        reference = demo.open_reference(db)
        with counting_bar("Embedding") as report:
            indexed = demo.index_reference(reference, report)
        if not as_json:
            _print_indexed(indexed, demo.COLLECTION)
        with waiting("Loading the model"):
            reference.embedder.embed(["warm up"], input_type="query")
        answers = [demo.ask(reference, question.text) for question in demo.QUESTIONS]
        python, sql = demo.python_example(demo.QUESTIONS[0].text, path), demo.sql_example(reference)
        if as_json:
            facts = {"collection": demo.COLLECTION, **asdict(indexed), "python": python, "sql": sql}
            print_json({**facts, "answers": [answer.to_dict() for answer in answers]})
            return
        for answer in answers:
            _print_answer(answer)
        where = "" if url is None else ", with that URL in $VECTORDB_URL"
        _print_example(f"The same in Python{where}", python)
        _print_example("The same in SQL, where $1 is the vector of the question", sql)
        if sys.stdin.isatty() and sys.stdout.isatty():
            _invite(reference)


def _print_indexed(indexed: Indexed, collection: str) -> None:
    counts = indexed.counts
    what = f"{indexed.topics} topics of Python's language reference"
    if counts.embedded:
        print_line(f"Indexed {what} as {counts.chunks} passages in {indexed.seconds:.1f} s: collection {collection}.")
    else:
        print_line(f"The {what} are in the collection {collection} already: nothing was embedded again.")


def _print_answer(answer: Answer) -> None:
    embedding, database = answer.embedding_seconds * 1000, answer.database_seconds * 1000
    print_line(f"\n{one_line(answer.question)}  ({embedding:.0f} ms to embed it, {database:.1f} ms in the database)")
    for hit in answer.passages:
        print_line(f"\n  {hit.score:.3f}  {hit.document_id}")
        for line in _excerpt(hit.content):
            print_line(f"         {line}")


def _excerpt(content: str) -> list[str]:
    """Return the first lines of a passage, which are code as often as prose, as they stand."""
    lines = [line for line in textwrap.dedent(printable(content)).splitlines() if line.strip()]
    return lines[:_EXCERPT_LINES] + ["…"] * (len(lines) > _EXCERPT_LINES)


def _print_example(title: str, code: str) -> None:
    print_line(f"\n{title}:\n")
    for line in code.splitlines():
        print_line(f"    {line}")


def _invite(reference: Collection) -> None:
    """Answer questions from the terminal until an empty line or the end of the input."""
    from vectordb.demo import ask

    print_line("\nNow you: ask something about Python, or press Enter to leave.")
    while True:
        sys.stdout.write("\n> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line.strip():
            print_line()
            return
        try:
            _print_answer(ask(reference, line.strip()))
        except InvalidInput as error:
            print_note(f"error: {one_line(str(error))}")
