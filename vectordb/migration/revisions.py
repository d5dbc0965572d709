"""Revision files for an application's Alembic folder."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError, rev_id

from vectordb.errors import ConfigurationError
from vectordb.registry import CollectionConfig


def write_collection_revision(message: str, config: CollectionConfig, configuration: Path) -> Script:
    """Write a revision that creates a collection, after the newest one of a folder; no database is asked.

    Args:
        message: Of the revision.
        config: Of the collection.
        configuration: The folder's `alembic.ini`.

    Returns:
        The revision, with the path of its file.

    Raises:
        ConfigurationError: There is no such file, or no one newest revision, or the message cannot be written into one.
    """
    if '"""' in message or "\\" in message:
        raise ConfigurationError(
            "Alembic writes the message into the file as it is, between triple quotes; leave out those and backslashes"
        )
    if not configuration.is_file():
        raise ConfigurationError(
            f"there is no {configuration}; run this where your alembic.ini is, name it with --config, or begin with "
            "`alembic init migrations`"
        )
    # Alembic reads pyproject.toml, too, and prints what it writes; what is printed here is for the caller to say.
    beside = configuration.with_name("pyproject.toml")
    alembic = Config(str(configuration), toml_file=str(beside), cmd_opts=Namespace(quiet=True))
    try:
        script = ScriptDirectory.from_config(alembic).generate_revision(
            rev_id(),
            message,
            refresh=True,
            imports="\n".join(_imports(config)),
            upgrades=_create(config),
            downgrades=f"op.drop_collection({config.name!r})",
            config=alembic,
        )
    except CommandError as error:
        raise ConfigurationError(f"Alembic refuses, by {configuration}: {error}") from None
    if script is None:
        raise ConfigurationError(
            f"Alembic has not taken up the new revision; look at version_locations in {configuration}"
        )
    return script


def _imports(config: CollectionConfig) -> list[str]:
    values = [config.index, config.text_index, config.chunking]
    names = sorted(type(value).__name__ for value in values if value is not None)
    embedder = [] if config.embedder is None else ["from vectordb.embedders import EmbedderIdentity"]
    return [
        "import vectordb.migration",
        f"from vectordb import {', '.join(names)}",
        *embedder,
        "from vectordb.metrics import VectorSpace",
        "from vectordb.registry import CollectionConfig",
    ]


def _create(config: CollectionConfig) -> str:
    space = config.space
    # No layout version: a revision that is run later creates the tables as the library has them then.
    arguments = {
        "name": repr(config.name),
        "space": f"VectorSpace.of({space.dimensions}, {str(space.metric)!r}, {str(space.storage)!r})",
        "index": repr(config.index),
        "text_config": repr(config.text_config),
        "text_index": repr(config.text_index),
        "chunking": repr(config.chunking),
        "embedder": repr(config.embedder),
        "fields": repr({name: str(kind) for name, kind in config.fields.items()}),
    }
    lines = "\n".join(f"            {name}={value}," for name, value in arguments.items())
    return f"op.create_collection(\n        CollectionConfig(\n{lines}\n        )\n    )"
