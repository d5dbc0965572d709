"""`vectordb doctor`: what is wrong, and what mends it."""

from __future__ import annotations

from typing import Annotated

import typer

from vectordb.cli import options
from vectordb.cli.database import open_database
from vectordb.cli.options import parse_where
from vectordb.cli.output import print_json, print_table
from vectordb.cli.progress import waiting

app = typer.Typer()


@app.command(epilog="Example: vectordb doctor --where 'year >= 2020' --collection articles")
def doctor(
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="FILTER", help="Tell, too, whether an index serves this filter."),
    ] = None,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", metavar="NAME", help="Look at this one only. Default: at all of them."),
    ] = None,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Look at server, tables, indexes and statistics, and say what to mend; fails if something is broken."""
    condition = parse_where(where)
    with open_database(url, path) as db, waiting("Looking"):
        findings = db.doctor(where=condition, collection=collection)
    if as_json:
        print_json([finding.to_dict() for finding in findings])
    else:
        print_table(
            ("", "what", "finding", "what to do"),
            [(finding.level, finding.subject, finding.message, finding.fix) for finding in findings],
        )
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)
