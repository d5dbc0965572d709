"""The evaluation of a collection on a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from vectordb.collection import Collection
from vectordb.errors import InvalidInput
from vectordb.evaluation.configuration import Configuration, check_configurations, default_configurations
from vectordb.evaluation.dataset import Dataset
from vectordb.evaluation.metrics import measure_run, parse_metrics
from vectordb.evaluation.report import Outcome, Report
from vectordb.evaluation.running import run_queries
from vectordb.validation import MAX_ID_BYTES

DEFAULT_METRICS = ("ndcg@10", "recall@100", "mrr@10")
_LOOKED_UP_AT_ONCE = 1_000

Progress = Callable[[int, int], None]


def evaluate(
    docs: Collection,
    dataset: Dataset,
    configurations: Sequence[Configuration] | None = None,
    *,
    metrics: Iterable[str] = DEFAULT_METRICS,
    on_progress: Progress | None = None,
) -> Report:
    """Measure how well a collection answers the queries of a data set.

    Nothing is written: the documents have to be in the collection, see `Collection.upsert`. The queries are searched
    one after the other, as an application would.

    Args:
        docs: The collection, or a view of it.
        dataset: Queries and judgements.
        configurations: Ways to search; None compares vector, text and hybrid search, so far as the collection has them.
        metrics: As `ndcg@10`, `recall@100`, `precision@5`, `mrr`, `mrr@10`, `map`; the first is compared by.
        on_progress: Called with the searches done, and all of them.

    Raises:
        InvalidInput: No query has both a text and judgements, a metric looks further than a configuration's `limit`, or
            an option is wrong.
        Others: As `Collection.search`.
    """
    chosen = check_configurations(default_configurations(docs) if configurations is None else configurations)
    parsed = parse_metrics(metrics)
    for configuration in chosen:
        _check_depth(configuration, max(metric.cutoff or 0 for metric in parsed))
    queries = {query: dataset.queries[query] for query in dataset.answerable}
    if not queries:
        raise InvalidInput("no query of the data set has both a text and judgements")
    judgements = {query: dataset.judgements[query] for query in queries}
    names = tuple(map(str, parsed))
    progress = _counting(on_progress, len(queries) * len(chosen))
    outcomes = []
    for configuration in chosen:
        found = run_queries(docs, queries, configuration, progress)
        outcomes.append(Outcome(configuration, measure_run(found.run, judgements, names), found.seconds))
    return Report(
        dataset.name,
        names,
        tuple(outcomes),
        queries,
        unknown_queries=tuple(dataset.unknown_queries),
        unknown_documents=tuple(_unknown_documents(docs, judgements.values())),
        unjudged_queries=len(dataset.queries) - len(queries),
    )


def _check_depth(configuration: Configuration, deepest: int) -> None:
    if deepest > configuration.limit:
        raise InvalidInput(
            f"{configuration.name} finds {configuration.limit} documents per query, too few for a metric at {deepest}; "
            "raise its limit"
        )


def _counting(on_progress: Progress | None, total: int) -> Callable[[], None]:
    done = 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, total)

    return count


def _unknown_documents(docs: Collection, grades: Iterable[Iterable[str]]) -> list[str]:
    """Return judged documents that are not in the collection, by id."""
    judged = sorted({document for each in grades for document in each})
    left = iter([document for document in judged if len(document.encode()) <= MAX_ID_BYTES and "\x00" not in document])
    there: set[str] = set()
    while batch := list(islice(left, _LOOKED_UP_AT_ONCE)):
        there |= {str(document.id) for document in docs.get(batch)}
    return [document for document in judged if document not in there]
