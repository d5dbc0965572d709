"""Progress on stderr, and only when that is a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.progress import Progress
    from sqlalchemy import Connection, Engine

# Seconds.
_PATIENCE = 0.3
_POLL = 0.2

_BUILD_PROGRESS = """
    SELECT phase, tuples_done, tuples_total, blocks_done, blocks_total
    FROM pg_stat_progress_create_index
    WHERE datname = current_database() AND relid = to_regclass(:table)
"""


class BuildProgress(NamedTuple):
    """How far PostgreSQL is with building an index.

    Attributes:
        phase: In its words, such as "building index: loading tuples".
        done: Tuples, or blocks of the table, that are through.
        total: All of them; None while that is unknown.
    """

    phase: str
    done: int
    total: int | None


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something without a known end is going on, once it takes a moment."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    status = Console(stderr=True).status(f"{what} …")
    timer = threading.Timer(_PATIENCE, status.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


@contextmanager
def counting_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal; yields what takes `on_progress` of an upsert or an evaluation."""
    if not sys.stderr.isatty():
        yield lambda done, known: None
        return
    with _bars() as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, known: bars.update(task, completed=done, total=known)


@contextmanager
def build_bar(engine: Engine, table: str) -> Iterator[None]:
    """Show a bar while the block builds an index, read from PostgreSQL over a connection of its own.

    Args:
        engine: Of the database.
        table: That is indexed, as SQL writes it.
    """
    if not sys.stderr.isatty():
        yield
        return
    finished = threading.Event()
    with _bars() as bars:
        watcher = threading.Thread(target=_watch, args=(bars, engine, table, finished), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            finished.set()
            watcher.join()


def read_build_progress(connection: Connection, table: str) -> BuildProgress | None:
    """Return how far the build of an index on a table is; None when none is being built.

    Blocks are counted where PostgreSQL knows how many there are, as for HNSW; else tuples, as for IVFFlat.
    """
    from sqlalchemy import text

    row = connection.execute(text(_BUILD_PROGRESS), {"table": table}).first()
    if row is None:
        return None
    phase, tuples_done, tuples_total, blocks_done, blocks_total = row
    done, total = (tuples_done, tuples_total) if tuples_total else (blocks_done, blocks_total)
    return BuildProgress(phase, done or 0, total or None)


def _watch(bars: Progress, engine: Engine, table: str, finished: threading.Event) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    task = bars.add_task("Building the index", total=None)
    # Whatever is wrong with the database, the build itself reports it.
    with suppress(SQLAlchemyError), engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        while not finished.wait(_POLL):
            if (seen := read_build_progress(connection, table)) is not None:
                bars.update(task, description=seen.phase.capitalize(), completed=seen.done, total=seen.total)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
