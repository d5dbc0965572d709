"""`alembic` as users call it: a process of its own, with alembic.ini."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.migrations.support import ROOT, objects, rows, run_alembic, vector_index
from vectordb.migration import HEAD

HALF = "hnsw (embedding halfvec_l2_ops) WITH (m='24', ef_construction='64')"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder that holds what the repository ships for Alembic, and nothing else."""
    shutil.copy(ROOT / "alembic.ini", tmp_path)
    shutil.copytree(ROOT / "migrations", tmp_path / "migrations", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_x_options_shape_the_default_collection(database_url: str, copy: Path) -> None:
    before = objects(database_url)
    options = ("-x", "dimensions=64", "-x", "metric=l2", "-x", "storage=halfvec", "-x", "m=24")
    up = run_alembic(*options, "upgrade", "head", folder=copy, url=database_url)
    assert up.returncode == 0, up.stderr
    assert "Running upgrade  -> 0001" in up.stderr
    assert "Running upgrade 0001 -> 0002" in up.stderr
    assert "Running upgrade 0002 -> 0003" in up.stderr
    assert vector_index(database_url) == ("halfvec(64)", HALF)

    # The options are those of the first migration; from then on the registry knows.
    check = run_alembic("check", folder=copy, url=database_url)
    assert check.returncode == 0, check.stderr
    assert "No new upgrade operations detected" in check.stdout
    current = run_alembic("current", folder=copy, url=database_url)
    assert current.stdout.strip() == f"{HEAD} (head)"

    down = run_alembic("downgrade", "base", folder=copy, url=database_url)
    assert down.returncode == 0, down.stderr
    assert objects(database_url) == before


def test_settings_shape_the_default_collection(shared_url: str, schema: str) -> None:
    up = run_alembic(
        "upgrade", "head", url=shared_url, dimensions="64", metric="l2", storage="halfvec", m="24", schema=schema
    )
    assert up.returncode == 0, up.stderr
    assert vector_index(shared_url, schema) == ("halfvec(64)", HALF)


def test_x_options_win_over_settings(shared_url: str, schema: str) -> None:
    options = ("-x", f"url={shared_url}", "-x", "dimensions=5", "-x", f"schema={schema}")
    unreachable = "postgresql://nobody@127.0.0.1:1/none"
    up = run_alembic(*options, "upgrade", "head", url=unreachable, dimensions="7", schema="other")
    assert up.returncode == 0, up.stderr
    assert vector_index(shared_url, schema)[0] == "vector(5)"
    assert rows(shared_url, "SELECT to_regnamespace('other')::text") == [(None,)]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dimensons=64", "unknown option -x dimensons: did you mean dimensions?"),
        ("dimensions=many", "dimensions"),
    ],
)
def test_a_wrong_option_is_named_and_changes_nothing(shared_url: str, option: str, message: str) -> None:
    before = objects(shared_url)
    up = run_alembic("-x", option, "upgrade", "head", url=shared_url)
    assert up.returncode != 0
    assert message in up.stderr.splitlines()[-1]
    assert objects(shared_url) == before


def test_a_failed_connection_is_one_message_without_the_password() -> None:
    up = run_alembic("upgrade", "head", url="postgresql://somebody:correct-horse@127.0.0.1:1/none", dimensions="5")
    assert up.returncode != 0
    assert "cannot connect to PostgreSQL at 127.0.0.1:1/none" in up.stderr.splitlines()[-1]
    assert "correct-horse" not in up.stdout + up.stderr


def test_looking_where_nothing_is_leaves_nothing(shared_url: str, schema: str) -> None:
    before = objects(shared_url)
    current = run_alembic("-x", f"schema={schema}", "current", url=shared_url)
    assert current.returncode == 0, current.stderr
    assert current.stdout == ""
    assert objects(shared_url) == before


def test_sql_scripts_are_refused(shared_url: str) -> None:
    offline = run_alembic("upgrade", "head", "--sql", url=shared_url)
    assert offline.returncode != 0
    assert "cannot be written out with --sql" in offline.stderr.splitlines()[-1]
