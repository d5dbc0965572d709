"""`vectordb revision`: a collection as a revision file of the application's own Alembic folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vectordb.cli import options
from vectordb.cli.options import declared_fields, given, vector_index
from vectordb.cli.output import print_json, print_line

app = typer.Typer()


@app.command(epilog='Example: vectordb revision "add docs" --collection docs --dimensions 384 --field year=int')
def revision(
    message: Annotated[str, typer.Argument(help="Of the revision, as `alembic revision -m` takes it.")],
    collection: Annotated[str, typer.Option("--collection", "-c", metavar="NAME", help="Collection that it creates.")],
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
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="Of the application's Alembic.")] = Path(
        "alembic.ini"
    ),
    as_json: options.Json = False,
) -> None:
    """Write an Alembic revision that creates a collection, for teams that allow DDL in migrations alone.

    No database is asked. `alembic upgrade` creates the collection, in a database that has been migrated.
    """
    from vectordb import Chunking
    from vectordb.client import declare_collection
    from vectordb.migration.revisions import write_collection_revision

    chosen = given(metric=metric, storage=storage, text_config=text_config)
    declared, _ = declare_collection(
        collection,
        **{"metric": "cosine", "storage": "vector", "text_config": "english", **chosen},
        embedder=model,
        dimensions=dimensions,
        index=vector_index(index, m=m, ef_construction=ef_construction, lists=lists),
        text_index=options.text_index(wanted=text_index, k1=k1, b=b),
        fields=declared_fields(field),
        chunking=Chunking(**given(size=chunk_size, overlap=chunk_overlap)),
    )
    script = write_collection_revision(message, declared, config)
    if as_json:
        print_json({"path": script.path, "revision": script.revision})
    else:
        print_line(f"wrote {script.path}")
