"""From the options `--url` and `--path` to a database, and the question before something is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vectordb.cli.output import print_note
from vectordb.cli.progress import waiting
from vectordb.errors import InvalidInput

if TYPE_CHECKING:
    from vectordb import Collection, VectorDB


@contextmanager
def open_database(url: str | None, path: Path | None) -> Iterator[VectorDB]:
    """Open the database that the options name, as `vectordb.connect` does."""
    from vectordb import connect

    with waiting("Opening the database"):
        db = connect(url, path=path)
    with db:
        yield db


@contextmanager
def open_collection(url: str | None, path: Path | None, name: str) -> Iterator[Collection]:
    """Open a collection of the database that the options name."""
    with open_database(url, path) as db:
        yield db.collection(name)


def confirm(what: str, *, yes: bool) -> None:
    """Ask on the terminal whether to do something; go on only after a yes.

    Args:
        what: It is, as in "drop the table".
        yes: It was said on the command line already.

    Raises:
        InvalidInput: There is no terminal to ask on.
        typer.Exit: With code 1, after anything but a yes.
    """
    if yes:
        return
    if not is_interactive():
        raise InvalidInput(f"there is no terminal to ask on; add --yes to {what}")
    sys.stderr.write(f"Really {what}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        print_note("nothing was done")
        raise typer.Exit(1)


def is_interactive() -> bool:
    """Tell whether somebody sits at a terminal to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
