"""`vectordb search`: the passages that fit a question, or documents, best."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vectordb.cli import options, ranking
from vectordb.cli.database import open_collection
from vectordb.cli.options import parse_where
from vectordb.cli.output import Marked, print_fields, print_json, print_line, print_note, print_table
from vectordb.cli.progress import waiting
from vectordb.errors import InvalidInput, InvalidVector

if TYPE_CHECKING:
    from vectordb import Hit, Results

app = typer.Typer()


class Strategy(StrEnum):
    """How to search, whatever the filter."""

    EXACT = "exact"
    ITERATIVE = "iterative"


class Group(StrEnum):
    """What hits are put together by."""

    DOCUMENT = "document"


@app.command(epilog="""Example: vectordb search 'happy animals' -k 3 --where 'lang = "en"' --collection articles""")
def search(
    query: Annotated[str | None, typer.Argument(help="What to look for. May be left out with --like.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most hits, or documents with --group-by.")] = 10,
    offset: Annotated[int, typer.Option("--offset", help="Hits to leave out first, for later pages.")] = 0,
    where: options.Where = None,
    mode: ranking.ModeOption = None,
    fusion: ranking.Fusion = None,
    alpha: ranking.Alpha = None,
    rrf_k: ranking.RRFK = None,
    weights: ranking.Weights = None,
    rerank: ranking.Rerank = None,
    rerank_depth: ranking.RerankDepth = None,
    highlight: Annotated[
        bool,
        typer.Option("--highlight", help="Show where the words occur: bold on a terminal, HTML in the JSON."),
    ] = False,
    min_score: Annotated[float | None, typer.Option("--min-score", help="Leave out hits below this score.")] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(
            "--like", metavar="ID", help="Find more of the kind of this document. May be given several times."
        ),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option("--unlike", metavar="ID", help="Keep away from this document. May be given several times."),
    ] = None,
    group_by: Annotated[Group | None, typer.Option("--group-by", help="Show the best hits of each document.")] = None,
    per_group: Annotated[int, typer.Option("--per-group", help="With --group-by: most hits of a document.")] = 1,
    diversity: Annotated[
        float | None, typer.Option("--diversity", help="0 to 1: prefer hits unlike those before to nearer ones.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare every row instead of using the index.")] = False,
    strategy: Annotated[
        Strategy | None, typer.Option("--strategy", help="Search so, whatever the filter. Default: the cheapest way.")
    ] = None,
    ef_search: Annotated[
        int | None, typer.Option("--ef-search", help="HNSW: candidates. More is better recall, slower. Default: 80.")
    ] = None,
    vector: Annotated[bool, typer.Option("--vector", help="QUERY is a vector, a JSON array of numbers.")] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show the scores and ranks of both halves, and how the hits were found. JSON: {plan, hits}.",
        ),
    ] = False,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Find the passages that fit a query best, by meaning and by words, with their scores; or those near examples."""
    if query is None and not like:
        raise InvalidInput("give a text to look for, or --like ID to find more of the kind of a document")
    condition = parse_where(where)
    fused = ranking.read_fusion(fusion, alpha=alpha, rrf_k=rrf_k, weights=weights)
    wanted = _parse_vector(query) if vector else query
    with open_collection(url, path, collection) as chosen, waiting("Searching"):
        results = chosen.search(
            wanted,
            limit=limit,
            offset=offset,
            where=condition,
            mode=mode,
            fusion=fused,
            rerank=ranking.read_reranker(rerank, chosen),
            rerank_depth=rerank_depth,
            highlight=highlight,
            min_score=min_score,
            exact=exact,
            strategy=strategy,
            ef_search=ef_search,
            like=like or None,
            unlike=unlike or None,
            group_by=group_by,
            per_group=per_group,
            diversity=diversity,
        )
    if as_json:
        hits = results.to_dicts()
        print_json({"plan": results.plan and results.plan.to_dict(), "hits": hits} if explain else hits)
    else:
        _print_results(results, explain=explain)


def _print_results(results: Results, *, explain: bool) -> None:
    shown = _signals(results) if explain else {}
    print_table(
        ("score", *shown, "document", "text"),
        [
            (f"{hit.score:.4f}", *(cells[row] for cells in shown.values()), hit.document_id, _passage(hit))
            for row, hit in enumerate(results)
        ],
    )
    plan = results.plan
    if plan is None:
        return
    if not explain:
        if not plan.complete:
            print_note("note: more may match than was found; without --strategy the search goes on until it has it")
        return
    matches = None
    if plan.estimated_matches is not None:
        matches = f"about {plan.estimated_matches} of {plan.estimated_rows} chunks"
    print_line()
    print_fields(
        {
            "mode": plan.mode,
            "strategy": plan.strategy,
            "reason": plan.reason,
            "matches": matches,
            "candidates": plan.candidates,
            "complete": "yes" if plan.complete else "no, more may match",
            "hint": plan.hint,
        }
    )


def _signals(results: Results) -> dict[str, list[str]]:
    """Return what each signal says of the hits, as columns by their headings; of signals that were asked."""
    columns: dict[str, list[tuple[float | None, int | None]]] = {
        "rerank": [(hit.rerank_score, None) for hit in results],
        "vector (rank)": [(hit.vector_score, hit.vector_rank) for hit in results],
        "BM25 (rank)": [(hit.text_score, hit.text_rank) for hit in results],
    }
    return {
        heading: [_signal(*cell) for cell in cells]
        for heading, cells in columns.items()
        if any(score is not None for score, _ in cells)
    }


def _signal(score: float | None, rank: int | None) -> str:
    if score is None:
        return ""
    return f"{score:.4f}" if rank is None else f"{score:.4f} ({rank})"


def _passage(hit: Hit) -> str | Marked:
    return hit.content if hit.highlight is None else Marked(hit.highlight)


def _parse_vector(query: str | None) -> list[float]:
    try:
        vector = json.loads(query or "")
    except (ValueError, RecursionError):
        vector = None
    if not isinstance(vector, list):
        raise InvalidVector("with --vector the query is a JSON array of numbers, as in '[0.1, 0.2]'")
    return vector
