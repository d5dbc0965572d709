"""The revisions as files."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from tests.migrations.support import ROOT
from vectordb import migration

SCRIPTS = ScriptDirectory.from_config(Config(ROOT / "alembic.ini"))
REVISIONS = list(SCRIPTS.walk_revisions())


def test_head_is_the_newest_revision() -> None:
    assert SCRIPTS.get_heads() == [migration.HEAD]


def test_the_library_and_alembic_ini_run_the_same_files() -> None:
    assert migration.scripts_folder().samefile(SCRIPTS.dir)


def test_revisions_are_numbered_without_a_gap() -> None:
    assert sorted(script.revision for script in REVISIONS) == [f"{n + 1:04}" for n in range(len(REVISIONS))]
    assert len(list((ROOT / "migrations" / "versions").glob("*.py"))) == len(REVISIONS)


@pytest.mark.parametrize("script", REVISIONS, ids=lambda script: script.revision)
def test_a_revision_says_what_it_does_and_goes_both_ways(script: Script) -> None:
    assert re.fullmatch(rf"{script.revision}_[a-z0-9_]+\.py", Path(script.path).name)
    assert script.doc
    assert script.doc.endswith(".")
    for function in (script.module.upgrade, script.module.downgrade):
        body = inspect.getsource(function).splitlines()[1:]
        assert [line.strip() for line in body if line.strip()] != ["pass"]
