from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from vectordb import VectorDB
from vectordb.errors import InvalidInput
from vectordb.evaluation import Dataset, load_dataset

CORPUS: list[dict[str, Any]] = [
    {"_id": "d1", "title": "On", "text": "cats", "metadata": {"year": 1}},
    {"_id": "d2", "title": "", "text": ""},
]
QUERIES = [{"_id": "q1", "text": "cats?"}, {"_id": "q2", "text": "dogs?"}]


def lines(entries: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(lines(CORPUS), encoding="utf-8")
    (tmp_path / "queries.jsonl").write_text(lines(QUERIES), encoding="utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq9\td1\t1\nq1\td7\t0\n")
    (tmp_path / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq2\td2\t1\n")
    return tmp_path


def test_beir_layout(beir: Path) -> None:
    dataset = load_dataset(beir)
    assert dataset.queries == {"q1": "cats?", "q2": "dogs?"}
    assert dataset.judgements == {"q1": {"d1": 2, "d7": 0}, "q9": {"d1": 1}}
    assert (dataset.answerable, dataset.unknown_queries) == (["q1"], ["q9"])
    first, second = dataset.documents
    assert (first.id, first.content, first.title, first.metadata) == ("d1", "On cats", "On", {"year": 1})
    assert (second.content, second.title) == ("", None)
    assert len(list(dataset.documents)) == 2  # once more
    assert load_dataset(beir, split="dev").judgements == {"q2": {"d2": 1}}


def test_flat_layout(datasets: Path) -> None:
    dataset = load_dataset(datasets / "scifact")
    assert (dataset.name, len(dataset.queries), len(dataset.answerable)) == ("scifact", 300, 300)
    train = load_dataset(datasets / "scifact", split="train")
    assert len(train.queries) == 809
    assert not train.queries.keys() & dataset.queries.keys()
    [document] = islice(dataset.documents, 1)
    assert (
        document.title
        == "Microstructural development of human newborn cerebral white matter assessed in vivo by "
        + ("diffusion tensor magnetic resonance imaging.")
    )
    assert document.content.startswith(f"{document.title} Alterations of")


def test_other_keys_become_metadata(beir: Path) -> None:
    (beir / "corpus.jsonl").write_text('{"id": 7, "text": "t", "places": ["x"], "metadata": {"y": 1}}\n')
    [document] = load_dataset(beir).documents
    assert (document.id, document.content, document.metadata) == ("7", "t", {"places": ["x"], "y": 1})


def test_the_first_queries(beir: Path) -> None:
    dataset = Dataset({"a": "x", "b": "y"}, {"b": {"d": 1}, "gone": {"d": 1}, "a": {"d": 1}}).first(1)
    assert (dataset.answerable, dataset.unknown_queries) == (["b"], ["gone"])
    with pytest.raises(InvalidInput, match="at least 1"):
        dataset.first(0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "queries.jsonl",
            '{"_id": "q1", "text": "a"}\n\n{"_id": "q2"}\n',
            "line 3 of .*queries.jsonl: there is no 'text'",
        ),
        ("queries.jsonl", '{"_id": "q1", "text": " "}\n', "line 1 .*has no text"),
        ("queries.jsonl", '{"text": "a"}\n', "line 1 .*no _id or id"),
        ("queries.jsonl", '{"_id": 1, "text": "a"}\n{"_id": "1", "text": "b"}\n', "line 2 .*'1' was there before"),
        ("queries.jsonl", "not json\n", "line 1 .*no JSON object"),
        ("queries.jsonl", b"\xff\xfe\n", "line 1 .*not UTF-8"),
        ("qrels/test.tsv", "q1\td1\t1\n", "line 1 .*query-id corpus-id score"),
        ("qrels/test.tsv", "", "line 1 .*query-id corpus-id score"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\n", "line 2 .*2 fields, separated by tabs, not 3"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0.5\n", "line 2 .*whole number, not '0.5'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n\td1\t1\n", "line 2 .*an id is empty"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq\td\t1\nq\td\t1\nq\td\t2\n", "line 4 .*judged otherwise"),
    ],
)
def test_bad_lines_are_named(beir: Path, file: str, content: str | bytes, message: str) -> None:
    (beir / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=message) as caught:
        load_dataset(beir)
    assert caught.value.facts["path"] == str(beir / file)
    assert f"line {caught.value.facts['line']} " in str(caught.value)


def test_a_bad_document_is_named_when_it_is_reached(beir: Path) -> None:
    (beir / "corpus.jsonl").write_text('{"_id": "a", "text": "x"}\n{"_id": "b"}\n')
    documents = iter(load_dataset(beir).documents)
    assert next(documents).id == "a"
    with pytest.raises(InvalidInput, match=r"line 2 of .*there is no 'text'"):
        next(documents)


def test_a_missing_corpus_is_named_when_it_is_needed(beir: Path) -> None:
    (beir / "corpus.jsonl").unlink()
    dataset = load_dataset(beir)
    assert dataset.answerable == ["q1"]
    with pytest.raises(InvalidInput, match=r"none of corpus.jsonl, corpus.jsonl.gz; it holds .*queries.jsonl"):
        iter(dataset.documents)


def test_a_damaged_file_is_named(beir: Path) -> None:
    (beir / "queries.jsonl").unlink()
    (beir / "queries.jsonl.gz").write_bytes(gzip.compress(lines(QUERIES).encode())[:-9])
    with pytest.raises(InvalidInput, match="the compressed file is damaged"):
        load_dataset(beir)


def test_what_is_missing_is_named(beir: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none of qrels/train.tsv.*it holds .*qrels/dev.tsv, qrels/test.tsv"):
        load_dataset(beir, split="train")
    with pytest.raises(InvalidInput, match="there is no folder"):
        load_dataset(beir / "nowhere")
    with pytest.raises(InvalidInput, match="a split is a name"):
        load_dataset(beir, split="../test")


@pytest.fixture
def tables(db: VectorDB) -> VectorDB:
    with db.transaction() as connection:
        for statement in (
            "CREATE SCHEMA quality",
            'CREATE TABLE "My queries" (query_id int, text text)',
            "INSERT INTO \"My queries\" VALUES (2, 'dogs?'), (1, 'cats?')",
            "CREATE TABLE quality.judged (query_id int, document_id int, grade numeric, by_whom text)",
            "INSERT INTO quality.judged VALUES (1, 10, 2, 'me'), (2, 11, 1, 'me'), (1, 12, 0, 'you')",
        ):
            connection.exec_driver_sql(statement)
    return db


def test_tables(tables: VectorDB) -> None:
    dataset = Dataset.from_tables(tables, queries="My queries", judgements="quality.judged")
    assert dataset.queries == {"1": "cats?", "2": "dogs?"}
    assert dataset.judgements == {"1": {"10": 2, "12": 0}, "2": {"11": 1}}
    assert list(dataset.documents) == []


def test_queries_of_sql(tables: VectorDB) -> None:
    judged = sa.table("judged", *map(sa.column, ("query_id", "document_id", "grade", "by_whom")), schema="quality")
    mine = sa.select(judged.c.query_id, judged.c.document_id, judged.c.grade).where(judged.c.by_whom == "me")
    dataset = Dataset.from_tables(tables, queries="My queries", judgements=mine)
    assert dataset.judgements == {"1": {"10": 2}, "2": {"11": 1}}
    with pytest.raises(InvalidInput, match="the query has no column text"):
        Dataset.from_tables(tables, queries=sa.select(judged.c.query_id), judgements=mine)


@pytest.mark.parametrize(
    ("queries", "judgements", "message"),
    [
        ("nowhere", "quality.judged", "there is no table nowhere"),
        ('x"; DROP TABLE "My queries', "quality.judged", "there is no table"),
        ("a.b.c", "quality.judged", "is named as"),
        ("", "quality.judged", "is named as"),
        ("My queries", "My queries", "has no column document_id"),
        ("My queries", "quality.empty", "holds NULL"),
        ("My queries", "quality.twice", "several rows of query_id, document_id '1' and '2'"),
        ("My queries", "quality.halves", "is no whole number"),
    ],
)
def test_bad_tables_are_named(tables: VectorDB, queries: str, judgements: str, message: str) -> None:
    with tables.transaction() as connection:
        for name, rows in (("empty", "(1, 2, NULL)"), ("twice", "(1, 2, 1), (1, 2, 1)"), ("halves", "(1, 2, 1.5)")):
            connection.exec_driver_sql(
                f"CREATE VIEW quality.{name} AS SELECT * FROM (VALUES {rows}) AS v(query_id, document_id, grade)"
            )
    with pytest.raises(InvalidInput, match=message):
        Dataset.from_tables(tables, queries=queries, judgements=judgements)
