"""`vectordb upsert`, `get`, `export`, `patch`, `delete`, `count` and `facets`: documents in and out."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vectordb.cli import options
from vectordb.cli.database import confirm, is_interactive, open_collection
from vectordb.cli.inputs import InputFormat, read_documents, read_object
from vectordb.cli.options import parse_where
from vectordb.cli.output import one_line, print_json, print_line, print_table, printable, to_json
from vectordb.cli.progress import counting_bar
from vectordb.errors import DocumentNotFound, InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection, Document, Filter

app = typer.Typer()

_EXPORTED_AT_ONCE = 500


@app.command(epilog="Example: vectordb upsert --collection articles --file articles.jsonl")
def upsert(
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts, a document each.")] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            help="Documents from a file, or - for stdin: JSON Lines or a JSON array of objects with content, id, "
            "title, uri, metadata; or a text per line.",
        ),
    ] = None,
    file_format: Annotated[
        InputFormat | None, typer.Option("--format", help="Of the file. Default: by its name, else by how it begins.")
    ] = None,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Store documents, new ones and changed ones; what is there already is not embedded again."""
    if bool(texts) == (file is not None):
        raise InvalidInput("give either texts or --file, as in `vectordb upsert --file documents.jsonl`")
    with (
        open_collection(url, path, collection) as chosen,
        read_documents(texts, file, file_format) as found,
        counting_bar("Embedding") as report,
    ):
        result = chosen.upsert(found, on_progress=report)
    if as_json:
        print_json(result.to_dict())
    else:
        print_line(", ".join(f"{name} {number}" for name, number in result.to_dict().items()))


@app.command(epilog="Example: vectordb get 42 43 --collection articles")
def get(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Of the documents.")],
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Show documents by id; fails when one of them does not exist, after showing the others."""
    with open_collection(url, path, collection) as chosen:
        found = chosen.get(ids)
    if as_json:
        print_json([_fields(document) for document in found])
    elif found:
        print_line("\n---\n".join(_as_text(document) for document in found))
    if missing := sorted(set(ids) - {str(document.id) for document in found}):
        raise DocumentNotFound(f"{collection} has no document with the id {missing[0]!r}", id=missing[0])


@app.command(epilog="Example: vectordb export --where 'year >= 2020' --collection articles")
def export(
    where: options.Where = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="With the embedding of each document that is a single chunk.")
    ] = False,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines, as always; errors as JSON, too.")] = False,
) -> None:
    """Print documents as JSON Lines, an object each in the order of their ids, as `upsert --file` reads them."""
    condition = parse_where(where)
    with open_collection(url, path, collection) as chosen:
        documents = chosen.scan(condition)
        while batch := list(islice(documents, _EXPORTED_AT_ONCE)):
            found = chosen.vectors([str(document.id) for document in batch]) if vectors else {}
            for document in batch:
                matrix = found.get(str(document.id))
                embedding = {"embedding": matrix[0].tolist()} if matrix is not None and len(matrix) == 1 else {}
                print_json({**_fields(document), **embedding})


@app.command(epilog="""Example: vectordb patch '{"lang": "en"}' --remove draft --where 'lang is missing'""")
def patch(
    metadata: Annotated[str, typer.Argument(metavar="JSON", help="Keys of the metadata with their new values.")],
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of the documents.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="Key to remove. May be given several times.")
    ] = None,
    where: options.Where = None,
    yes: options.Yes = False,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Set and remove keys of the metadata of documents, by id, by a filter, or of those that fit both."""
    condition = parse_where(where)
    values = read_object(metadata)
    with open_collection(url, path, collection) as chosen:
        _confirm_for(chosen, condition, "change", yes=yes)
        changed = chosen.patch_metadata(values, remove=remove or (), ids=ids or None, where=condition)
    if as_json:
        print_json({"changed": changed})
    else:
        print_line(f"changed {changed}")


@app.command(epilog="Example: vectordb delete --where 'year < 2020'")
def delete(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Of the documents.")] = None,
    where: options.Where = None,
    yes: options.Yes = False,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Delete documents by id, by a filter, or those that fit both."""
    condition = parse_where(where)
    with open_collection(url, path, collection) as chosen:
        _confirm_for(chosen, condition, "delete", yes=yes)
        deleted = chosen.delete(ids or None, where=condition)
    if as_json:
        print_json({"deleted": deleted})
    else:
        print_line(f"deleted {deleted}")


@app.command(epilog="""Example: vectordb count --where 'lang = "en" and not tags contains "draft"'""")
def count(
    where: options.Where = None,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Count documents, all or those that match a filter."""
    condition = parse_where(where)
    with open_collection(url, path, collection) as chosen:
        number = chosen.count(condition)
    if as_json:
        print_json({"count": number})
    else:
        print_line(str(number))


@app.command(epilog="Example: vectordb facets lang --where 'year >= 2020'")
def facets(
    field: Annotated[str, typer.Argument(help="Of the metadata, as lang or author.name; or id, title or uri.")],
    where: options.Where = None,
    limit: Annotated[int, typer.Option("--limit", "-k", help="Most values.")] = 10,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Count documents by their values of a field, most frequent first."""
    condition = parse_where(where)
    with open_collection(url, path, collection) as chosen:
        found = chosen.facets(field, where=condition, limit=limit)
    if as_json:
        print_json([facet._asdict() for facet in found])
    else:
        print_table(("value", "documents"), [(_shown(facet.value), facet.documents) for facet in found])


def _confirm_for(collection: Collection, condition: Filter | None, what: str, *, yes: bool) -> None:
    """Ask on a terminal before something is done to whatever matches a filter."""
    if condition is not None and is_interactive():
        confirm(f"{what} {collection.count(condition)} documents of the collection {collection.name!r}", yes=yes)


def _shown(value: object) -> str:
    """Return a value as text: as JSON, but for strings that nothing else in JSON looks like."""
    if isinstance(value, str) and value:
        try:
            json.loads(value)
        except ValueError:
            return value
    return to_json(value)


def _fields(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "metadata": document.metadata,
        "content": document.content,
    }


def _as_text(document: Document) -> str:
    """Return the fields, a line each, and below them the content."""
    fields = {**_fields(document), "metadata": to_json(document.metadata) if document.metadata else None}
    content = fields.pop("content")
    head = [f"{name}: {one_line(str(value))}" for name, value in fields.items() if value is not None]
    return "\n".join([*head, "", printable(content)])
