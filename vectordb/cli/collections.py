"""`vectordb collection`: create, list, show and drop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from vectordb.cli import options
from vectordb.cli.database import confirm, open_collection, open_database
from vectordb.cli.options import declared_fields, given, vector_index
from vectordb.cli.output import print_fields, print_json, print_line, print_table

if TYPE_CHECKING:
    from vectordb import Collection

app = typer.Typer()

Name = Annotated[str, typer.Argument(help="Of the collection: lower-case letters, digits and underscores.")]


@app.command(epilog="Example: vectordb collection create articles --m 24 --field year=int --field lang=str")
def create(
    name: Name,
    model: options.Model = None,
    dimensions: options.Dimensions = None,
    metric: options.MetricOption = None,
    storage: options.StorageOption = None,
    index: options.Index = None,
    m: options.M = None,
    ef_construction: options.EfConstruction = None,
    lists: options.Lists = None,
    field: options.Fields = None,
    text_config: options.TextConfig = None,
    text_index: options.TextIndex = None,
    k1: options.K1 = None,
    b: options.B = None,
    chunk_size: options.ChunkSize = None,
    chunk_overlap: options.ChunkOverlap = None,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Create a collection: for a model, or with --dimensions alone for vectors of your own."""
    from vectordb import Chunking

    chosen = given(embedder=model, dimensions=dimensions, metric=metric, storage=storage, text_config=text_config)
    chosen["index"] = vector_index(index, m=m, ef_construction=ef_construction, lists=lists)
    chosen["text_index"] = options.text_index(wanted=text_index, k1=k1, b=b)
    chosen["fields"] = declared_fields(field)
    chosen["chunking"] = Chunking(**given(size=chunk_size, overlap=chunk_overlap))
    with open_database(url, path) as db:
        described = _describe(db.create_collection(name, **chosen))
    if as_json:
        print_json(described)
    else:
        print_line(f"created {name}: {_space(described)}")


@app.command("list", epilog="Example: vectordb collection list --json")
def list_collections(url: options.Url = None, path: options.DataPath = None, as_json: options.Json = False) -> None:
    """List the collections."""
    with open_database(url, path) as db:
        described = [_describe(collection) for collection in db.collections()]
    if as_json:
        print_json(described)
    else:
        rows = [(each["name"], _space(each), _index(each), _embedder(each)) for each in described]
        print_table(("name", "embeddings", "index", "embedder"), rows)


@app.command(epilog="Example: vectordb collection show default")
def show(name: Name, url: options.Url = None, path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Show what a collection is and how much it holds."""
    with open_collection(url, path, name) as collection:
        described = {**_describe(collection), "documents": collection.count()}
    if as_json:
        print_json(described)
        return
    chunking = described["chunking"]
    size = "what the embedder reads" if chunking["size"] is None else f"{chunking['size']} {chunking['unit']}"
    print_fields(
        {
            "name": name,
            "documents": described["documents"],
            "embeddings": _space(described),
            "index": _index(described),
            "fields": ", ".join(f"{field} {kind}" for field, kind in described["fields"].items()) or "none",
            "embedder": _embedder(described),
            "chunks": f"{size}, overlap {chunking['overlap']}",
            "text search": _text_search(described),
            "tables": f"{described['documents_table']}, {described['chunks_table']}",
        }
    )


@app.command(epilog="Example: vectordb collection drop articles --yes")
def drop(
    name: Name,
    yes: options.Yes = False,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Drop a collection with all its documents."""
    with open_database(url, path) as db:
        documents = db.collection(name).count()
        confirm(f"drop the collection {name!r} with all its documents ({documents})", yes=yes)
        db.drop_collection(name)
    if as_json:
        print_json({"dropped": name, "documents": documents})
    else:
        print_line(f"dropped {name} with {documents} documents")


def _describe(collection: Collection) -> dict[str, Any]:
    """Return the declaration with the names that the options have, and the tables' full names."""
    row = collection.config.to_row()
    row["index"] = row.pop("vector_index")
    row["documents_table"] = collection.Document.__table__.fullname
    row["chunks_table"] = collection.Chunk.__table__.fullname
    return row


def _space(described: dict[str, Any]) -> str:
    return f"{described['storage']}({described['dimensions']}) by {described['metric']}"


def _index(described: dict[str, Any]) -> str:
    index = described["index"]
    if index is None:
        return "none"
    return ", ".join([index["method"], *(f"{name} {value}" for name, value in index.items() if name != "method")])


def _text_search(described: dict[str, Any]) -> str:
    index = described["text_index"]
    if index is None:
        return f"{described['text_config']}, no text index"
    return ", ".join([described["text_config"], "bm25", *(f"{name} {value}" for name, value in index.items())])


def _embedder(described: dict[str, Any]) -> str:
    return described["embedder"]["model"] if described["embedder"] else "none"
