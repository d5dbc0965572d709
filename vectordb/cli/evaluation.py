"""`vectordb eval`: how good the answers are, measured on judged queries."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vectordb.cli import options
from vectordb.cli.configurations import SYNTAX, read_configuration
from vectordb.cli.database import open_database
from vectordb.cli.options import parse_where
from vectordb.cli.output import print_fields, print_json, print_line, print_note, print_table
from vectordb.cli.progress import counting_bar
from vectordb.errors import InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection, Filter, VectorDB
    from vectordb.evaluation import Comparison, Configuration, Dataset, Report, Tuning

app = typer.Typer()

_SHOWN = 5
_FOLDS = 5


class Tunable(StrEnum):
    """What judged queries can choose."""

    ALPHA = "alpha"


@app.command(
    "eval", epilog="Example: vectordb eval scifact --load --collection scifact --config 'a: mode=vector exact'"
)
def evaluate(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="With queries.jsonl, qrels/test.tsv or qrels.tsv, and only for --load corpus.jsonl; or each as .gz."
        ),
    ] = None,
    load: Annotated[
        bool, typer.Option("--load", help="Upsert the corpus first; a collection that is not there is created.")
    ] = False,
    split: Annotated[str, typer.Option("--split", help="Which judgements of the folder.")] = "test",
    queries_table: Annotated[
        str | None,
        typer.Option("--queries-table", metavar="TABLE", help="Instead of FOLDER: table with query_id and text."),
    ] = None,
    judgements_table: Annotated[
        str | None,
        typer.Option("--judgements-table", metavar="TABLE", help="And one with query_id, document_id and grade."),
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            "--config",
            metavar="TEXT",
            help=f"A way to search: '{SYNTAX}'. May be given several times. Default: vector, text and hybrid.",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            help="As ndcg@10, recall@100, precision@5, mrr, mrr@10, map. May be given several times. "
            "Default: ndcg@10, recall@100, mrr@10.",
        ),
    ] = None,
    limit_queries: Annotated[
        int | None, typer.Option("--limit-queries", metavar="N", help="Only the first N judged queries.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="A,B", help="Show on which queries B is better than A, and worse."),
    ] = None,
    tune: Annotated[Tunable | None, typer.Option("--tune", help="Find the best alpha by cross-validation.")] = None,
    recall: Annotated[
        bool, typer.Option("--recall", help="Measure how much of an exact search the vector index finds.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw a chart: .png, .svg or .pdf.")
    ] = None,
    where: options.Where = None,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Measure how good the answers are, by queries whose relevant documents are known; compare ways to search."""
    from vectordb import evaluation

    condition, pair = parse_where(where), _read_pair(compare)
    metrics = [str(each) for each in evaluation.parse_metrics(metric or evaluation.DEFAULT_METRICS)]
    if plot is not None:
        evaluation.check_plot(plot)
    with open_database(url, path) as db:
        dataset = _dataset(db, folder, split, queries_table, judgements_table, load=load)
        if limit_queries is not None:
            dataset = dataset.first(limit_queries)
        docs = _loaded(db, collection, dataset) if load else db.collection(collection)
        chosen = _configurations(docs, config, condition)
        _check_pair(pair, chosen)
        with counting_bar("Searching") as progress:
            report = evaluation.evaluate(docs, dataset, chosen, metrics=metrics, on_progress=progress)
        tuned = _tuned(docs, dataset, metrics[0], condition) if tune else None
        found = docs.recall(report.queries.values(), where=condition) if recall else None
    compared = None if pair is None else report.compare(*pair)
    if plot is not None:
        report.plot(plot)
    if as_json:
        extras = {"comparison": compared, "tuning": tuned, "recall": found}
        print_json(report.to_dict() | {name: value.to_dict() for name, value in extras.items() if value is not None})
        return
    _print_report(report, pair)
    if compared is not None:
        _print_comparison(compared)
    if tuned is not None:
        _print_tuning(tuned)
    if found is not None:
        print_line(f"\nrecall@{found.k} of the vector index against exact search: {found.mean:.4f}")


def _read_pair(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    first, separator, second = (part.strip() for part in text.partition(","))
    if not (first and separator and second):
        raise InvalidInput(f"--compare takes the names of two configurations, as in vector,hybrid, not {text[:60]!r}")
    return first, second


def _check_pair(pair: tuple[str, str] | None, configurations: list[Configuration]) -> None:
    """Check that what is to be compared will be there, before anything is searched."""
    names = [configuration.name for configuration in configurations]
    if missing := [name for name in pair or () if name not in names]:
        raise InvalidInput(f"--compare: there is no configuration {missing[0][:60]!r}; there are {', '.join(names)}")


def _dataset(
    db: VectorDB, folder: Path | None, split: str, queries: str | None, judgements: str | None, *, load: bool
) -> Dataset:
    from vectordb.evaluation import Dataset, load_dataset

    if folder is not None and queries is None and judgements is None:
        return load_dataset(folder, split=split)
    if folder is not None or queries is None or judgements is None:
        raise InvalidInput("give either a folder, or both --queries-table and --judgements-table")
    if load:
        raise InvalidInput(
            "--load takes the corpus of a folder; with tables the documents are in the collection already"
        )
    return Dataset.from_tables(db, queries=queries, judgements=judgements)


def _loaded(db: VectorDB, name: str, dataset: Dataset) -> Collection:
    documents = iter(dataset.documents)  # says that there is no corpus before a collection is created for it
    docs = db.get_or_create_collection(name)
    with counting_bar("Embedding") as report:
        result = docs.upsert(documents, on_progress=report)
    print_note(", ".join(f"{what} {number}" for what, number in result.to_dict().items()))
    return docs


def _configurations(docs: Collection, texts: list[str] | None, where: Filter | None) -> list[Configuration]:
    from vectordb.evaluation import default_configurations

    if texts:
        return [read_configuration(text, docs, where) for text in texts]
    return [replace(configuration, where=where) for configuration in default_configurations(docs)]


def _tuned(docs: Collection, dataset: Dataset, metric: str, where: Filter | None) -> Tuning:
    from vectordb.evaluation import tune_alpha

    with counting_bar("Tuning") as progress:
        folds = min(_FOLDS, max(2, len(dataset.answerable)))
        return tune_alpha(docs, dataset, metric=metric, folds=folds, where=where, on_progress=progress)


def _print_report(report: Report, told_below: tuple[str, str] | None) -> None:
    headings, *rows = report.rows()
    print_table(headings, rows)
    for comparison in report.comparisons():
        if (comparison.baseline, comparison.name) != told_below:
            print_line(_in_words(comparison))
    queries, documents = len(report.unknown_queries), len(report.unknown_documents)
    if queries:
        what = "judged query has" if queries == 1 else "judged queries have"
        print_note(f"note: {queries} {what} no text; --json names them")
    if documents:
        what = "judged document is" if documents == 1 else "judged documents are"
        print_note(f"note: {documents} {what} not in the collection; --json names them")


def _in_words(comparison: Comparison) -> str:
    low, high = comparison.interval
    return (
        f"{comparison.name} against {comparison.baseline}, {comparison.metric}: {comparison.difference:+.4f} "
        f"(95 % interval {low:+.4f} to {high:+.4f}, p = {comparison.p_value:.4f}); "
        f"better for {comparison.won}, worse for {comparison.lost}, equal for {comparison.tied} queries"
    )


def _print_comparison(comparison: Comparison) -> None:
    print_line()
    print_line(_in_words(comparison))
    won = [each for each in comparison.largest if each.difference > 0][:_SHOWN]
    lost = [each for each in comparison.largest if each.difference < 0][:_SHOWN]
    if not (won or lost):
        return
    print_table(
        ("difference", comparison.baseline, comparison.name, "query", "text"),
        [
            (f"{each.difference:+.4f}", f"{each.baseline:.4f}", f"{each.value:.4f}", each.query_id, each.text)
            for each in (*won, *lost)
        ],
    )


def _print_tuning(tuned: Tuning) -> None:
    print_line()
    print_table(
        ("alpha", tuned.metric), [(f"{a:g}", f"{mean:.4f}") for a, mean in zip(tuned.alphas, tuned.means, strict=True)]
    )
    print_fields(
        {
            "best alpha": f"{tuned.best:g}",
            "expected of tuning, by cross-validation": f"{tuned.held_out:.4f}",
            "at the default, 0.5": f"{tuned.default:.4f}",
        }
    )
