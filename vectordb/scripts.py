"""Where the revisions and their SQL files lie."""

from __future__ import annotations

from pathlib import Path


def scripts_folder() -> Path:
    """Return the folder of the revisions, in a wheel or in a checkout."""
    package = Path(__file__).resolve().parent
    shipped = package / "_migrations"
    return shipped if shipped.is_dir() else package.parent / "migrations"
