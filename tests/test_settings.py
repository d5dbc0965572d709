"""Settings from the environment, and how `-x` options lie over them."""

from __future__ import annotations

from pathlib import Path

import pytest

import vectordb
from vectordb import Metric, Storage, errors
from vectordb.bootstrap.options import MigrationOptions
from vectordb.settings import Settings


def test_nothing_set_means_the_documented_defaults() -> None:
    settings = Settings()
    assert settings.model_dump() == {
        "url": None,
        "path": Path(".vectordb"),
        "schema_name": "vectordb",
        "dimensions": None,
        "metric": Metric.COSINE,
        "storage": Storage.VECTOR,
        "index": "hnsw",
        "m": 16,
        "ef_construction": 64,
        "lists": 100,
        "text_config": "english",
        "text_index": "bm25",
        "k1": 1.2,
        "b": 0.75,
        "model": None,
        "fields": "",
    }


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "url": "postgresql://h/d",
        "path": "/somewhere",
        "schema": "search",
        "dimensions": "64",
        "metric": "l2",
        "storage": "halfvec",
        "index": "ivfflat",
        "m": "24",
        "ef_construction": "128",
        "lists": "7",
        "text_config": "simple",
        "text_index": "none",
        "k1": "0.9",
        "b": "0.4",
        "model": "some/model",
        "fields": "year:int",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"VECTORDB_{name.upper()}", value)
    settings = Settings()
    found = {name: str(value) for name, value in settings.model_dump().items()}
    assert found == {
        **{name: value for name, value in values.items() if name not in ("url", "schema")},
        "schema_name": "search",
        "url": "**********",
    }
    assert settings.url is not None
    assert settings.url.get_secret_value() == "postgresql://h/d"


def test_the_environment_is_read_when_it_is_needed_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_M", "5")
    assert Settings().m == 5
    monkeypatch.setenv("VECTORDB_M", "6")
    assert Settings().m == 6


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DIMENSIONS", "many"), ("METRIC", "cosin"), ("STORAGE", "text"), ("M", "1.5")],
)
def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(f"VECTORDB_{variable}", value)
    with pytest.raises(errors.ConfigurationError, match=f"VECTORDB_{variable}"):
        vectordb.connect("postgresql://h/d")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "SCHEMA", "DIMENSIONS", "METRIC", "M", "MODEL"):
        monkeypatch.setenv(f"VECTORDB_{name}", "")
    settings = Settings()
    assert (settings.url, settings.schema_name, settings.dimensions, settings.m) == (None, "vectordb", None, 16)


def test_a_schema_that_sql_cannot_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_SCHEMA", "My Schema")
    with pytest.raises(errors.InvalidName, match="my_schema"):
        vectordb.connect("postgresql://h/d")


def test_x_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": "postgresql://env/d", "SCHEMA": "env", "M": "5", "LISTS": "6"}.items():
        monkeypatch.setenv(f"VECTORDB_{name}", value)
    options = MigrationOptions.of(Settings(), {"url": "postgresql://x/d", "schema": "x", "m": "7"})
    assert options.schema == options.settings.schema_name == "x"
    assert (options.settings.m, options.settings.lists) == (7, 6)
    assert options.settings.url is not None
    assert options.settings.url.get_secret_value() == "postgresql://x/d"


@pytest.mark.parametrize("option", ["dimension", "schema_name", "password", "VECTORDB_M", "", "model_config"])
def test_an_unknown_x_option_is_refused(option: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="unknown option -x"):
        MigrationOptions.of(Settings(), {option: "1"})


def test_settings_show_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VECTORDB_URL", "postgresql://u:correct-horse@h/d?password=battery-staple")
    options = MigrationOptions.of(Settings())
    for shown in (repr(options), str(options.settings), repr(options.settings), options.settings.model_dump_json()):
        assert "correct-horse" not in shown
        assert "battery-staple" not in shown
