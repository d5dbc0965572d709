"""`vectordb revision` writes a file that Alembic runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from tests.cli.conftest import CommandLine
from tests.migrations.application import ENVIRONMENT
from vectordb import BM25, HNSW, Chunking, VectorDB, errors


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """An application's folder, as `alembic init` makes it."""
    monkeypatch.chdir(tmp_path)
    command.init(Config("alembic.ini"), "migrations")
    (tmp_path / "migrations" / "env.py").write_text(ENVIRONMENT.replace("import vectordb.migration", ""))
    capsys.readouterr()
    return tmp_path


OPTIONS = (
    "--dimensions 8 --metric l2 --storage halfvec --m 8 --ef-construction 32 --text-config simple --k1 0.9 "
    "--field year=int --chunk-size 100"
)


def test_the_file_runs_as_it_is(cli: CommandLine, db: VectorDB, url: str, folder: Path) -> None:
    done = cli("revision", "add docs", "--collection", "docs", *OPTIONS.split(), "--json")
    path = Path(done.json["path"])
    assert path.parent.samefile(folder / "migrations" / "versions")
    assert path.name.endswith("_add_docs.py")
    assert cli("revision", "more", "-c", "more", "--no-text-index", "--index", "none").out.startswith("wrote ")
    alembic = Config("alembic.ini")
    alembic.set_main_option("sqlalchemy.url", url.replace("postgresql:", "postgresql+psycopg:").replace("%", "%%"))
    alembic.attributes["options"] = {"version_table": "application_version"}
    command.upgrade(alembic, "head")
    config = db.collection("docs").config
    assert (config.space.column_type, config.space.metric) == ("halfvec(8)", "l2")
    assert (config.index, config.text_config, config.text_index) == (HNSW(8, 32), "simple", BM25(k1=0.9))
    assert (config.fields, config.chunking, config.embedder) == ({"year": "int"}, Chunking(100), None)
    more = db.collection("more").config
    assert (more.index, more.text_index) == (None, None)
    assert more.embedder == db.collection().config.embedder
    command.downgrade(alembic, "base")
    with pytest.raises(errors.CollectionNotFound):
        db.collection("docs")


def test_a_configuration_in_pyproject(
    cli: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command.init(Config("alembic.ini", toml_file="pyproject.toml"), "migrations", template="pyproject")
    capsys.readouterr()
    written = Path(cli("revision", "add docs", "-c", "docs", "--dimensions", "8", "--json").json["path"])
    assert written.parent.samefile(tmp_path / "migrations" / "versions")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-c", "Docs"], "try 'docs'"),
        (["-c", "docs", "--dimensions", "2", "--lists", "7"], "--lists does not go with --index hnsw"),
        (["-c", "docs", "--dimensions", "3000"], "up to 2000 dimensions"),
        (["-c", "docs", "--dimensions", "2", "--config", "other.ini"], "there is no other.ini; run this where"),
        ([], "Missing option '--collection'"),
    ],
)
def test_it_refuses(reader: CommandLine, folder: Path, arguments: list[str], message: str) -> None:
    done = reader("revision", "add docs", *arguments)
    assert done.code == 2
    assert message in done.error
    assert not list((folder / "migrations" / "versions").glob("*.py"))


@pytest.mark.parametrize("message", ['""" + 1', "a\\"])
def test_it_refuses_a_message_that_makes_no_python(reader: CommandLine, folder: Path, message: str) -> None:
    done = reader("revision", message, "-c", "docs", "--dimensions", "2")
    assert (done.code, "leave out those and backslashes" in done.error) == (2, True)
    assert not list((folder / "migrations" / "versions").glob("*.py"))


def test_it_refuses_a_folder_that_is_missing(reader: CommandLine, folder: Path) -> None:
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = nowhere\n")
    done = reader("revision", "add docs", "-c", "docs", "--dimensions", "2")
    assert (done.code, "Alembic refuses, by alembic.ini" in done.error) == (2, True)
