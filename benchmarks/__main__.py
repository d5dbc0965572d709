"""`python -m benchmarks`: run them, print a table, write JSON.

Options: --rows N (of the benchmarks of searches), --only NAME, --url URL (else an embedded
server in a temporary directory).
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

import vectordb
from benchmarks import filtering, orm, ranking, searching, writing
from benchmarks.data import check_wordnet
from benchmarks.measure import FLOOR, FLOOR_AGAIN, Row
from vectordb.server import EmbeddedServer

_RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Run the benchmarks that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", type=int, help="of the benchmarks of searches; 100,000, and all passages for rankings"
    )
    parser.add_argument("--only", choices=["write", "search", "filter", "ranking", "orm"], help="run one of them")
    parser.add_argument("--url", help="a database to use; tables bench_… are made and dropped in it")
    arguments = parser.parse_args()
    if arguments.only not in ("write", "search", "orm"):
        check_wordnet()
    searched = arguments.rows or 100_000
    with _database(arguments.url) as url, vectordb.connect(url) as db:
        db.migrate()
        with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as raw:
            rows: list[Row] = []
            if arguments.only in (None, "write"):
                rows += writing.run(db, raw, rows=min(20_000, searched), rounds=15)
            if arguments.only in (None, "search"):
                rows += searching.run(db, raw, rows=searched, rounds=3_000)
            if arguments.only in (None, "filter"):
                rows += filtering.run(db, raw, rows=searched, rounds=100)
            if arguments.only in (None, "ranking"):
                rows += ranking.run(db, raw, rows=arguments.rows)
            if arguments.only in (None, "orm"):
                rows += orm.run(db, raw, rows=searched, rounds=15, searches=2_000)
            (version,) = raw.execute("SELECT version()").fetchone() or ("",)
    _print(rows)
    _write(rows, version)


@contextmanager
def _database(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="vectordb-bench-") as folder:
        server = EmbeddedServer(Path(folder) / "server")
        try:
            yield server.start()
        finally:
            server.stop()


def _print(rows: list[Row]) -> None:
    table = Table(title="vectordb against floors (p10; the same floor twice shows the noise)")
    for heading in ("benchmark", "variant"):
        table.add_column(heading)
    for heading in ("p10 ms", "median ms", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("target")
    previous = ""
    for row in rows:
        verdict = "" if row.met is None else ("[green]met[/]  " if row.met else "[red]missed[/]  ")
        table.add_row(
            row.benchmark if row.benchmark != previous else "",
            row.variant,
            f"{row.milliseconds:.3f}",
            f"{row.median:.3f}",
            f"{row.ratio:.3f}",
            verdict + row.target,
            end_section=row is rows[-1],
        )
        previous = row.benchmark
    Console().print(table)
    for row in rows:
        if row.variant == FLOOR_AGAIN and not 0.95 <= row.ratio <= 1.05:
            Console().print(
                f"[yellow]{row.benchmark}: the two runs of the {FLOOR} differ; run again on a quiet machine[/]"
            )


def _write(rows: list[Row], server: str) -> None:
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / "latest.json"
    machine = {"platform": platform.platform(), "python": platform.python_version(), "server": server}
    file.write_text(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
    Console().print(f"Written to {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")


if __name__ == "__main__":
    main()
