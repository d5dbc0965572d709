from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vectordb
from tests.cli.conftest import CommandLine, _command_line
from tests.cli.terminal import run_on_terminal
from tests.conftest import Databases
from vectordb.cli.configurations import read_configuration
from vectordb.cli.running import run
from vectordb.errors import InvalidInput
from vectordb.fusion import RRF, Bounded, RelativeScore

TEXTS = {"cat": "Cats purr when content.", "dog": "Dogs bark at strangers.", "fish": "Fish swim in silence."}
QUERIES = {"1": "what do happy kittens do?", "2": "which pet makes noise at visitors?", "3": "who lives in water?"}
RELEVANT = {"1": "cat", "2": "dog", "3": "fish"}


def lines(entries: dict[str, str]) -> str:
    return "".join(json.dumps({"_id": id, "title": "", "text": text}) + "\n" for id, text in entries.items())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three documents and queries in BEIR's layout; one judgement names nothing that is there."""
    place = tmp_path_factory.mktemp("pets")
    (place / "qrels").mkdir()
    (place / "corpus.jsonl").write_text(lines(TEXTS))
    (place / "queries.jsonl").write_text(lines(QUERIES))
    judged = "".join(f"{query}\t{document}\t1\n" for query, document in RELEVANT.items())
    (place / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}3\twhale\t1\n9\tcat\t1\n")
    return place


@pytest.fixture(scope="module")
def pets_url(databases: Databases, template: str, folder: Path) -> Iterator[str]:
    """URL of a database with the documents in the collection `pets`."""
    url = databases.create(template)
    assert run(["eval", str(folder), "--load", "--collection", "pets", "--config", "mode=vector", "--url", url]) == 0
    yield url
    databases.drop(url)


@pytest.fixture
def pets(pets_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    capsys.readouterr()
    return _command_line(pets_url, capsys, monkeypatch)


@pytest.fixture
def docs(pets_url: str) -> Iterator[vectordb.Collection]:
    with vectordb.connect(pets_url) as db:
        yield db.collection("pets")


def test_configurations_side_by_side(pets: CommandLine, folder: Path) -> None:
    done = pets("eval", str(folder), "-c", "pets", "--config", "exact: exact", "--config", "short: truncate=2")
    assert done.code == 0
    exact, short, compared = done.out.splitlines()
    assert exact.split("\t")[:4] == ["exact", "0.8710", "0.8333", "1.0000"]
    assert short.split("\t")[0] == "short"
    assert compared.startswith("short against exact, ndcg@10: -0.")
    assert "for 0," in compared
    assert done.err.splitlines() == [
        "note: 1 judged query has no text; --json names them",
        "note: 1 judged document is not in the collection; --json names them",
    ]


def test_json_has_everything(pets: CommandLine, folder: Path, tmp_path: Path) -> None:
    done = pets(
        *("eval", str(folder), "-c", "pets", "--config", "exact", "--config", "short: truncate=2", "--metric", "MAP"),
        *("--metric", "precision@1", "--compare", "short,exact", "--recall", "--limit-queries", "2", "--json"),
        *("--plot", str(tmp_path / "chart.svg")),
    )
    assert done.code == 0
    report = done.json
    assert [each["means"]["map"] for each in report["configurations"]][:1] == [1.0]
    assert (report["metrics"], report["evaluated_queries"]) == (["map", "precision@1"], 2)
    assert (report["unknown_queries"], report["unknown_documents"], report["unjudged_queries"]) == (["9"], [], 1)
    assert report["comparison"]["baseline"] == "short"
    assert report["recall"]["mean"] == 1.0
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")


def test_winners_and_losers(pets: CommandLine, folder: Path) -> None:
    chosen = ("--config", "exact", "--config", "one: truncate=1", "--compare", "exact,one")
    done = pets("eval", str(folder), "-c", "pets", *chosen)
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line.endswith(tuple(QUERIES.values()))]
    assert done.out.count("one against exact, ") == 1


def test_equals_have_no_table_of_differences(pets_url: str, folder: Path) -> None:
    chosen = ("--config", "a: exact", "--config", "b: exact", "--compare", "a,b")
    screen = run_on_terminal("eval", str(folder), "-c", "pets", "--url", pets_url, *chosen)
    assert screen.code == 0
    assert "equal for 3 queries" in " ".join(screen.text.split())
    assert "difference" not in screen.text


def test_the_corpus_is_needed_for_loading_alone(pets: CommandLine, folder: Path, tmp_path: Path) -> None:
    judged = tmp_path / "judged"
    shutil.copytree(folder, judged)
    (judged / "corpus.jsonl").unlink()
    done = pets("eval", str(judged), "-c", "pets", "--config", "exact", "--metric", "mrr", "--json")
    assert done.json["configurations"][0]["means"] == {"mrr": 1.0}
    refused = pets("eval", str(judged), "--load", "-c", "others")
    assert refused.code == 2
    assert "has none of corpus.jsonl, corpus.jsonl.gz" in refused.error
    assert "others" not in pets("collection", "list").out


def test_alpha_is_tuned(pets: CommandLine, folder: Path) -> None:
    chosen = ("--config", "hybrid: mode=hybrid", "--metric", "ndcg@3", "--tune", "alpha")
    done = pets("eval", str(folder), "-c", "pets", *chosen)
    assert done.code == 0
    assert "best alpha: " in done.out
    assert len([line for line in done.out.splitlines() if line.startswith(("0", "1"))]) == 21
    tuning = pets("eval", str(folder), "-c", "pets", *chosen, "--json").json["tuning"]
    assert (tuning["metric"], len(tuning["chosen"]), len(tuning["alphas"])) == ("ndcg@3", 3, 21)


def test_tables(pets: CommandLine, pets_url: str) -> None:
    with vectordb.connect(pets_url) as db, db.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE public.asked (query_id int, text text)")
        connection.exec_driver_sql("CREATE TABLE public.judged (query_id int, document_id text, grade int)")
        connection.exec_driver_sql("INSERT INTO public.asked VALUES (1, 'what do happy kittens do?')")
        connection.exec_driver_sql("INSERT INTO public.judged VALUES (1, 'cat', 1)")
    tables = ("--queries-table", "public.asked", "--judgements-table", "public.judged")
    done = pets("eval", *tables, "-c", "pets", "--config", "exact", "--metric", "mrr", "--json")
    assert done.json["configurations"][0]["means"] == {"mrr": 1.0}
    assert "--load takes the corpus of a folder" in pets("eval", *tables, "--load").error


def test_on_a_terminal(pets_url: str, folder: Path) -> None:
    metric = ("--config", "exact", "--metric", "mrr")
    screen = run_on_terminal("eval", str(folder), "-c", "pets", "--url", pets_url, *metric)
    assert screen.code == 0
    assert "configuration" in screen.text
    assert "Searching" in screen.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a folder, or both"),
        (["nowhere"], "there is no folder nowhere"),
        (["FOLDER", "--split", "dev"], "qrels/dev.tsv"),
        (["FOLDER", "--queries-table", "q"], "either a folder, or both"),
        (["--queries-table", "q"], "either a folder, or both"),
        (["FOLDER", "--metric", "bleu"], "a metric is written as ndcg@10"),
        (["FOLDER", "--compare", "a"], "--compare takes the names of two"),
        (
            ["FOLDER", "--config", "a: exact", "--compare", "a,b"],
            "there is no configuration 'b'; there are a",
        ),
        (["FOLDER", "--plot", "chart.doc"], "a chart is written as .png, .svg, .pdf"),
        (["FOLDER", "--limit-queries", "0"], "at least 1"),
        (["FOLDER", "--config", "a: exact", "--config", "a: exact"], "two configurations have the name 'a'"),
        (["FOLDER", "--config", "a: truncate=1 limit=5"], "too few for a metric at 100"),
    ],
)
def test_wrong_usage(pets: CommandLine, folder: Path, arguments: list[str], message: str) -> None:
    done = pets("eval", "-c", "pets", *(str(folder) if word == "FOLDER" else word for word in arguments))
    assert done.code == 2
    assert message in done.error


def test_without_the_collection(pets: CommandLine, folder: Path) -> None:
    done = pets("eval", str(folder), "-c", "pest")
    assert (done.code, "pets" in done.error) == (1, True)


def test_configurations_are_read(docs: vectordb.Collection) -> None:
    read = read_configuration("two words: mode=vector exact ef-search=9 limit=5 depth=3", docs)
    assert read.to_dict() == {
        "name": "two words",
        "mode": "vector",
        "exact": True,
        "ef_search": 9,
        "limit": 5,
        "rerank_depth": 3,
    }
    assert read_configuration("exact", docs).to_dict() == {"name": "exact", "exact": True}
    assert read_configuration("plain:", docs).to_dict() == {"name": "plain"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: mode=best", "mode is vector, text or hybrid, not 'best'"),
        ("a: mod=vector", "'mod=vector' is no option; did you mean mode?"),
        ("a: exact=1", "'exact=1' is no option; did you mean exact?"),
        ("a: mode", "did you mean mode?"),
        ("a: zzz", "write NAME: mode="),
        ("a: exact exact", "exact is given twice"),
        ("a: limit=ten", "limit is a whole number, not 'ten'"),
        ("a: fusion=sum", "fusion is one of bounded, relative_score, rrf"),
        ("a: fusion=rrf alpha=0.5", "alpha does not go with fusion=rrf"),
        ("a: k=60", "k does not go with fusion=bounded"),
        ("a: alpha=x", "alpha is a number, not 'x'"),
        ("a: fusion=rrf weights=1", "weights are two numbers"),
        ("a: rerank=best", "rerank is one of cross-encoder, bi-encoder, maxsim"),
        ("a: rerank=cross-encoder", "a cross-encoder needs its model"),
        ("a: mode='vector", "a quote is not closed"),
        (" ", "needs a name"),
    ],
)
def test_what_cannot_be_read_is_named(docs: vectordb.Collection, text: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("|", r"\|")):
        read_configuration(text, docs)


def test_rerankers(docs: vectordb.Collection) -> None:
    assert "CrossEncoder" in repr(read_configuration("a: rerank=cross-encoder:some/model depth=5", docs).rerank)
    assert "MaxSim" in repr(read_configuration("a: rerank=maxsim", docs).rerank)
    assert "BiEncoderReranker" in repr(read_configuration("a: rerank=bi-encoder", docs).rerank)


def test_fusions(docs: vectordb.Collection) -> None:
    assert read_configuration("a: alpha=0.7", docs).fusion == Bounded(alpha=0.7)
    assert read_configuration("a: fusion=relative_score alpha=0.2", docs).fusion == RelativeScore(alpha=0.2)
    assert read_configuration("a: fusion=rrf k=10 weights=2,1", docs).fusion == RRF(k=10, weights=(2.0, 1.0))
