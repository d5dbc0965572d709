"""`vectordb search`: the passages nearest to a question."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from vectordb.cli import options
from vectordb.cli.database import open_collection
from vectordb.cli.options import parse_where
from vectordb.cli.output import print_json, print_table
from vectordb.cli.progress import waiting
from vectordb.errors import InvalidVector

app = typer.Typer()


@app.command(epilog="Example: vectordb search 'happy animals' -k 3 --collection articles")
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most hits.")] = 10,
    where: options.Where = None,
    min_score: Annotated[float | None, typer.Option("--min-score", help="Leave out hits below this score.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Compare every row instead of using the index.")] = False,
    ef_search: Annotated[
        int | None, typer.Option("--ef-search", help="HNSW: candidates. More is better recall, slower. Default: 40.")
    ] = None,
    vector: Annotated[bool, typer.Option("--vector", help="QUERY is a vector, a JSON array of numbers.")] = False,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Find the passages nearest to a query, best first, with their scores."""
    condition = parse_where(where)
    wanted = _parse_vector(query) if vector else query
    with open_collection(url, path, collection) as chosen, waiting("Searching"):
        results = chosen.search(
            wanted, limit=limit, where=condition, min_score=min_score, exact=exact, ef_search=ef_search
        )
    if as_json:
        print_json(results.to_dicts())
    else:
        rows = [(f"{hit.score:.4f}", hit.document_id, hit.content) for hit in results]
        print_table(("score", "document", "text"), rows)


def _parse_vector(query: str) -> list[float]:
    try:
        vector = json.loads(query)
    except (ValueError, RecursionError):
        vector = None
    if not isinstance(vector, list):
        raise InvalidVector("with --vector the query is a JSON array of numbers, as in '[0.1, 0.2]'")
    return vector
