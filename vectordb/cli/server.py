"""`vectordb server`: the embedded PostgreSQL."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vectordb.cli import options
from vectordb.cli.output import print_fields, print_json, print_line
from vectordb.cli.progress import waiting

if TYPE_CHECKING:
    from vectordb.server import EmbeddedServer, ServerStatus

app = typer.Typer()


@app.command(epilog="Example: vectordb server start --path ~/vectors")
def start(path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Start the server unless it runs; it goes on running until it is stopped."""
    server = _server(path)
    with waiting("Starting PostgreSQL"):
        server.start()
    _print_status(server.status(), as_json=as_json)


@app.command(epilog="Example: vectordb server stop")
def stop(path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Stop the server: open transactions are rolled back, everything committed is on disk."""
    with waiting("Stopping PostgreSQL"):
        stopped = _server(path).stop()
    if as_json:
        print_json({"stopped": stopped})
    else:
        print_line("stopped" if stopped else "it was not running")


@app.command(epilog="Example: vectordb server status --json")
def status(path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Say whether the server runs, and where its data and its log are."""
    _print_status(_server(path).status(), as_json=as_json)


@app.command(epilog='Example: psql "$(vectordb server url)"')
def url(path: options.DataPath = None, as_json: options.Json = False) -> None:
    """Print the URL of the running server for psql and other clients, with the password in it."""
    address = _server(path).libpq_url
    if as_json:
        print_json({"url": address})
    else:
        print_line(address)


def _server(path: Path | None) -> EmbeddedServer:
    from vectordb.server import EmbeddedServer
    from vectordb.settings import Settings

    return EmbeddedServer(path or Settings().path)


def _print_status(found: ServerStatus, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(found))
    else:
        print_fields({name.replace("_", " "): value for name, value in asdict(found).items()})
