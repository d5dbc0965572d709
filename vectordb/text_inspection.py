"""What the catalogue knows of a collection's text index: whether it is whole, and how large."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from vectordb.models import table_names, text_index_name
from vectordb.registry import DEFAULT_TEXT_INDEX, CollectionConfig
from vectordb.tables import quote
from vectordb.text_index import create_text_index

# The text index is made of what its DDL creates, so that nothing needs to be listed twice.
_CREATED = re.compile(r"CREATE (TABLE|FUNCTION|TRIGGER) ([^\s(]+)")
_TRIGGERS = """
    SELECT tgname, tgenabled IN ('O', 'A') FROM pg_trigger
    WHERE tgrelid = to_regclass(:chunks) AND NOT tgisinternal
"""
_RELATIONS = """
    SELECT name, indisvalid AND indisready, pg_total_relation_size(to_regclass(name))
    FROM unnest(CAST(:names AS text[])) AS name LEFT JOIN pg_index ON indexrelid = to_regclass(name)
    WHERE to_regclass(name) IS NOT NULL
"""
_FUNCTIONS = "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regproc(name) IS NOT NULL"


@dataclass(frozen=True, slots=True)
class TextIndexInfo:
    """The text index of a collection, as the catalogue has it.

    Attributes:
        name: Of the index over the lexemes.
        method: `bm25`.
        text_config: PostgreSQL text search configuration that makes the lexemes.
        options: k1 and b.
        valid: Whether all its parts are there and work.
        bytes: Size on disk, with the statistics.
        faults: What is missing or does not work.
    """

    name: str
    method: str
    text_config: str
    options: dict[str, float]
    valid: bool
    bytes: int
    faults: tuple[str, ...]


def inspect_text_index(connection: Connection, config: CollectionConfig, schema: str) -> TextIndexInfo | None:
    """Read what is there of a collection's text index, whether or not one is registered; None where nothing is.

    Round trips: 3.
    """
    _, chunks = table_names(config.name)
    declared = config.text_index or DEFAULT_TEXT_INDEX
    ddl = create_text_index(schema, chunks, config=config.text_config, index=declared)
    parts = [match.groups() for match in map(_CREATED.match, ddl) if match is not None]
    named = {kind: [name for each, name in parts if each == kind] for kind in ("TABLE", "FUNCTION", "TRIGGER")}
    index = quote(schema, text_index_name(chunks))

    relations = connection.execute(text(_RELATIONS), {"names": [*named["TABLE"], index]}).all()
    functions = list(connection.scalars(text(_FUNCTIONS), {"names": named["FUNCTION"]}))
    found = connection.execute(text(_TRIGGERS), {"chunks": quote(schema, chunks)}).all()
    triggers: dict[str, bool] = {name: enabled for name, enabled in found if name in named["TRIGGER"]}
    valid: dict[str, bool | None] = {name: usable for name, usable, _ in relations}
    if not (valid or functions or triggers):
        return None

    named["INDEX"] = [index]
    there = {"TABLE": valid, "FUNCTION": functions, "TRIGGER": triggers, "INDEX": valid}
    missing = [(kind.lower(), name) for kind in named for name in named[kind] if name not in there[kind]]
    faults = [f"its {kind} {name} is missing" for kind, name in missing]
    faults += [f"its trigger {name} is disabled" for name, enabled in triggers.items() if not enabled]
    if valid.get(index) is False:
        faults.append(f"its index {index} is not valid")
    return TextIndexInfo(
        name=text_index_name(chunks),
        method="bm25",
        text_config=config.text_config,
        options=declared.to_dict(),
        valid=not faults,
        bytes=sum(size for _, _, size in relations),
        faults=tuple(faults),
    )
