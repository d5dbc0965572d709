"""`vectordb field`: declare keys of the metadata, and take that back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vectordb.cli import options
from vectordb.cli.database import open_collection
from vectordb.cli.options import declared_fields
from vectordb.cli.output import print_json, print_line
from vectordb.cli.progress import waiting

if TYPE_CHECKING:
    from vectordb import Collection

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="Of the collection.")]


@app.command(epilog="Example: vectordb field add articles year=int lang=str")
def add(
    name: Name,
    fields: Annotated[
        list[str],
        typer.Argument(metavar="NAME=TYPE...", help="As year=int. Types: str, int, float, bool, datetime."),
    ],
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Give keys of the metadata a type, a column and an index; the tables are rewritten, reads and writes wait."""
    wanted = declared_fields(fields) or {}
    with open_collection(url, path, name) as collection, waiting("Rewriting the tables"):
        collection.add_fields(wanted)
    _print_fields(collection, as_json=as_json)


@app.command(epilog="Example: vectordb field drop articles lang")
def drop(
    name: Name,
    fields: Annotated[list[str], typer.Argument(metavar="NAME...", help="Of the fields.")],
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Take type, column and index from fields; the metadata keeps the values."""
    with open_collection(url, path, name) as collection:
        collection.drop_fields(fields)
    _print_fields(collection, as_json=as_json)


def _print_fields(collection: Collection, *, as_json: bool) -> None:
    if as_json:
        print_json({"fields": dict(collection.fields)})
    else:
        fields = ", ".join(f"{name} {kind}" for name, kind in collection.fields.items())
        print_line(f"fields: {fields or 'none'}")
