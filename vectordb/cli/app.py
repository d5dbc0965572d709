"""All commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from vectordb.cli import (
    collections,
    demo,
    doctor,
    documents,
    evaluation,
    fields,
    indexes,
    migrate,
    revision,
    search,
    server,
)
from vectordb.cli.output import print_line

app = typer.Typer(
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. With --json, errors are JSON on stderr.",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    add_completion=False,
)
app.add_typer(demo.app)
app.add_typer(migrate.app)
app.add_typer(revision.app)
app.add_typer(documents.app)
app.add_typer(search.app)
app.add_typer(evaluation.app)
app.add_typer(doctor.app)
app.add_typer(collections.app, name="collection", help="Create, list, show and drop collections.")
app.add_typer(fields.app, name="field", help="Declare keys of the metadata: a type, a column and an index.")
app.add_typer(indexes.app, name="index", help="Build, drop and list the indexes over embeddings and texts.")
app.add_typer(server.app, name="server", help="Start and stop the embedded PostgreSQL.")


def _print_version(wanted: bool) -> None:
    if wanted:
        from vectordb import __version__

        print_line(f"vectordb {__version__}")
        raise typer.Exit


@app.callback()
def vectordb(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The vector database that is already in your PostgreSQL."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
