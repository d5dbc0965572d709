"""`vectordb index`: build, drop and list, over embeddings and for text."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vectordb.cli import options
from vectordb.cli.database import open_database
from vectordb.cli.options import IndexMethod, given, vector_index
from vectordb.cli.output import print_json, print_line, print_table
from vectordb.cli.progress import build_bar, waiting
from vectordb.errors import InvalidInput
from vectordb.indexes import BM25

if TYPE_CHECKING:
    from vectordb.schema import IndexInfo
    from vectordb.text_inspection import TextIndexInfo

app = typer.Typer()


@app.command(epilog="Example: vectordb index create --index hnsw --m 24 --collection articles")
def create(
    index: Annotated[IndexMethod, typer.Option("--index", help="hnsw or ivfflat.")] = IndexMethod.HNSW,
    m: options.M = None,
    ef_construction: options.EfConstruction = None,
    lists: options.Lists = None,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Build the index over a collection's embeddings, in place of the one there is; writes wait meanwhile."""
    wanted = vector_index(index, m=m, ef_construction=ef_construction, lists=lists)
    if wanted is None:
        raise InvalidInput("there is nothing to build for --index none; `vectordb index drop` drops the index")
    with open_database(url, path) as db:
        chosen = db.collection(collection)
        started = time.perf_counter()
        with build_bar(db.engine, chosen.Chunk.__table__.fullname):
            chosen.create_index(wanted)
        seconds = time.perf_counter() - started
        built = _described(*chosen.indexes())
    if as_json:
        print_json({"indexes": built, "seconds": seconds})
    else:
        _print_indexes(built)


@app.command(epilog="Example: vectordb index drop --collection articles")
def drop(
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Drop the index over a collection's embeddings; searches compare every row from then on."""
    with open_database(url, path) as db:
        chosen = db.collection(collection)
        names = [each.name for each in chosen.indexes()]
        chosen.drop_index()
    if as_json:
        print_json({"dropped": names})
    else:
        print_line(f"dropped {', '.join(names) or 'nothing: there was no index'}")


@app.command("create-text", epilog="Example: vectordb index create-text --b 0.5 --collection articles")
def create_text(
    k1: options.K1 = None,
    b: options.B = None,
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Build the index for text search by BM25, in place of the one there is; writes wait meanwhile."""
    wanted = BM25(**given(k1=k1, b=b))
    with open_database(url, path) as db, waiting("Building the text index"):
        chosen = db.collection(collection)
        chosen.create_text_index(wanted)
        built = _described(chosen.text_index_info())
    if as_json:
        print_json({"indexes": built})
    else:
        _print_indexes(built)


@app.command("drop-text", epilog="Example: vectordb index drop-text --collection articles")
def drop_text(
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Drop the index for text search, which makes writing cheaper; only vectors are searched from then on."""
    with open_database(url, path) as db:
        chosen = db.collection(collection)
        names = [each["name"] for each in _described(chosen.text_index_info())]
        chosen.drop_text_index()
    if as_json:
        print_json({"dropped": names})
    else:
        print_line(f"dropped {', '.join(names) or 'nothing: there was no text index'}")


@app.command("list", epilog="Example: vectordb index list --collection articles")
def list_indexes(
    collection: options.CollectionName = options.DEFAULT_COLLECTION,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """List the indexes over a collection's embeddings and its text index, with their size."""
    with open_database(url, path) as db:
        chosen = db.collection(collection)
        found = _described(*chosen.indexes(), chosen.text_index_info())
    if as_json:
        print_json(found)
    else:
        _print_indexes(found)


def _described(*found: IndexInfo | TextIndexInfo | None) -> list[dict[str, Any]]:
    return [asdict(each) for each in found if each is not None]


def _print_indexes(found: list[dict[str, Any]]) -> None:
    rows: list[tuple[Any, ...]] = [
        (
            each["name"],
            each["method"],
            each.get("operator_class") or each["text_config"],
            ", ".join(f"{name} {value}" for name, value in each["options"].items()),
            "valid" if each["valid"] else "not valid",
            f"{each['bytes'] / 2**20:.1f} MiB",
        )
        for each in found
    ]
    print_table(("name", "method", "over", "options", "state", "size"), rows)
