"""`vectordb migrate`: the tables, up to this version and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vectordb.cli import options
from vectordb.cli.database import confirm
from vectordb.cli.options import declared_fields, given
from vectordb.cli.output import print_json, print_line, print_note
from vectordb.cli.progress import waiting

if TYPE_CHECKING:
    from vectordb.bootstrap.options import MigrationOptions
    from vectordb.database import Database

app = typer.Typer()


@app.command(epilog="Example: vectordb migrate --dimensions 768 --storage halfvec --m 24")
def migrate(
    to: Annotated[str, typer.Option("--to", metavar="REVISION", help="head, base (no tables) or a revision.")] = "head",
    yes: options.Yes = False,
    schema: Annotated[str | None, typer.Option("--schema", help="Schema of all tables. Default: vectordb.")] = None,
    model: options.Model = None,
    dimensions: options.Dimensions = None,
    metric: options.MetricOption = None,
    storage: options.StorageOption = None,
    index: options.Index = None,
    m: options.M = None,
    ef_construction: options.EfConstruction = None,
    lists: options.Lists = None,
    text_config: options.TextConfig = None,
    text_index: options.TextIndex = None,
    k1: options.K1 = None,
    b: options.B = None,
    field: options.Fields = None,
    url: options.Url = None,
    path: options.DataPath = None,
    as_json: options.Json = False,
) -> None:
    """Create the tables, or bring them to another version of the library.

    The options from --model to --field say what the default collection is like, and count
    only when it is created. Other commands find another --schema by $VECTORDB_SCHEMA.
    """
    kept = options.text_index(wanted=text_index, k1=k1, b=b)
    collection = given(
        model=model,
        dimensions=dimensions,
        metric=metric,
        storage=storage,
        index=index,
        m=m,
        ef_construction=ef_construction,
        lists=lists,
        text_config=text_config,
        text_index=None if text_index is None else ("bm25" if kept else "none"),
        k1=k1,
        b=b,
        fields=",".join(f"{name}:{kind}" for name, kind in (declared_fields(field) or {}).items()) or None,
    )
    with _open({**collection, **given(schema=schema)}, url, path) as (database, chosen):
        before = _revision(database, chosen)
        _move(database, chosen, before, to, yes=yes)
        after = _revision(database, chosen)
    if collection and before is not None:
        print_note("note: the default collection was there already; its options had no effect")
    if as_json:
        print_json({"before": before, "after": after})
    else:
        print_line(f"before: {before or 'no tables'}\nafter: {after or 'no tables'}")


@contextmanager
def _open(
    overrides: Mapping[str, Any], url: str | None, path: Path | None
) -> Iterator[tuple[Database, MigrationOptions]]:
    """Open the database that `vectordb.connect` would open, but leave its tables alone."""
    from vectordb.bootstrap.options import MigrationOptions
    from vectordb.database import Database, open_configured
    from vectordb.settings import Settings

    settings = Settings()
    chosen = MigrationOptions.of(settings, {name: str(value) for name, value in overrides.items()})
    with waiting("Opening the database"):
        engine, _ = open_configured(settings, url, path=path)
    database = Database(engine, schema=chosen.schema)
    try:
        yield database, chosen
    finally:
        database.close()


def _revision(database: Database, chosen: MigrationOptions) -> str | None:
    from vectordb import bootstrap

    with database.begin() as connection:
        return bootstrap.current_revision(connection, chosen.schema)


def _move(database: Database, chosen: MigrationOptions, before: str | None, to: str, *, yes: bool) -> None:
    """Upgrade or downgrade, whichever leads to the revision."""
    from vectordb import bootstrap

    # Revisions are numbered, so their order is that of their names.
    down = before is not None and to != "head" and (to == "base" or to < before)
    if down:
        lost = "every collection with its data" if to == "base" else "what only later versions hold"
        confirm(f"go back from {before} to {to}, which deletes {lost}", yes=yes)
    with waiting("Migrating"):
        (bootstrap.downgrade if down else bootstrap.upgrade)(database.engine, chosen, to)
