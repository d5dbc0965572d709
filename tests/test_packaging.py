"""What a user gets by `pip install vectordb-postgres`: the wheel, alone in an empty environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url

ROOT = Path(__file__).resolve().parents[1]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from this tree, with the hatchling that is installed: no network is needed."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` directory of an environment that holds the wheel and its core dependencies only."""
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    # This environment's pip installs into the empty one, which saves installing pip there.
    command = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    command += ["install", "--quiet", "--no-compile", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python.parent


def run_vectordb(bin_directory: Path, *arguments: str, cwd: Path) -> str:
    """Run the installed command where neither this tree nor this environment can be seen."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "VECTORDB_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [str(bin_directory / "vectordb"), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_library_and_its_migrations(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    # Revisions, and the SQL that they run.
    revisions = {path.name for kind in ("*.py", "*.sql") for path in (ROOT / "migrations" / "versions").glob(kind)}
    assert {Path(name).suffix for name in revisions} == {".py", ".sql"}
    assert {f"vectordb/_migrations/versions/{name}" for name in revisions} <= names
    assert {"vectordb/_migrations/env.py", "vectordb/_migrations/script.py.mako", "vectordb/py.typed"} <= names
    assert {name.split("/")[0] for name in names} == {"vectordb", f"vectordb_postgres-{VERSION}.dist-info"}
    assert not [name for name in names if {"tests", "__pycache__"} & set(name.split("/"))]


def test_the_wheel_carries_its_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        license_text = archive.read(f"vectordb_postgres-{VERSION}.dist-info/licenses/LICENSE").decode()
    assert license_text == (ROOT / "LICENSE").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["migrate", "--help"]], ids=" ".join)
def test_the_command_line_explains_itself_without_extras(installed: Path, arguments: list[str], tmp_path: Path) -> None:
    output = run_vectordb(installed, *arguments, cwd=tmp_path)
    assert "Usage:" in output
    assert "migrate" in output


@pytest.mark.slow
def test_the_installed_wheel_migrates_a_database(installed: Path, database_url: str, tmp_path: Path) -> None:
    run_vectordb(installed, "migrate", "--url", database_url, cwd=tmp_path)
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    tables = inspect(engine).get_table_names(schema="vectordb")
    engine.dispose()
    assert {"collections", "documents", "chunks"} <= set(tables)


def test_the_changelog_knows_this_version() -> None:
    released = re.findall(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == VERSION
