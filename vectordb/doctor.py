"""The doctor: looks at the server, the tables and the collections, and says what to mend, and how.

It reads the catalogue and the server's own statistics, never the documents, so it is quick on tables of any size; row
counts are PostgreSQL's estimates.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Index, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from vectordb import bootstrap, registry, schema
from vectordb.collection import Collection, Where
from vectordb.database import Database
from vectordb.errors import ConnectionFailed
from vectordb.extension import OLDEST, RECOMMENDED, Extension, find_extension
from vectordb.indexes import VectorIndex
from vectordb.models import sorted_indexes, table_names, vector_index_name
from vectordb.registry import DEFAULT_COLLECTION, CollectionConfig
from vectordb.schema import IndexInfo
from vectordb.tables import quote
from vectordb.text_inspection import TextIndexInfo, inspect_text_index

OLDEST_POSTGRES = 14
# Source: postgresql.org, "Versioning Policy": the last release of each version.
_END_OF_LIFE = {
    14: datetime.date(2026, 11, 12),
    15: datetime.date(2027, 11, 11),
    16: datetime.date(2028, 11, 9),
    17: datetime.date(2029, 11, 8),
    18: datetime.date(2030, 11, 14),
}

# Chunks from which on comparing all of them takes a search too long.
_LARGE = 10_000
# Rows below which statistics and dead rows do not matter.
_SMALL = 1_000
_TOO_MUCH = 0.2
_MANY_SCANS = 100

_SERVER = """
    SELECT current_setting('server_version_num')::int AS version,
           greatest(pg_size_bytes(current_setting('shared_buffers')),
                    pg_size_bytes(current_setting('effective_cache_size'))) AS cache
"""
_TABLES = """
    SELECT c.relname AS name,
           CASE WHEN c.relpages > 0 AND c.reltuples >= 0
                THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / current_setting('block_size')::int)
                ELSE s.n_live_tup END::bigint AS rows,
           s.n_live_tup AS live,
           s.n_dead_tup AS dead,
           s.n_mod_since_analyze AS modified,
           coalesce(s.last_analyze, s.last_autoanalyze) IS NOT NULL AS analyzed,
           s.seq_scan AS scans,
           s.seq_tup_read AS scanned
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_stat_user_tables s ON s.relid = c.oid
    WHERE n.nspname = :schema AND c.relname = ANY(:names)
"""
_INDEXES = """
    SELECT i.relname AS name, x.indisvalid AND x.indisready AS valid
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE n.nspname = :schema AND t.relname = ANY(:names)
"""


class Level(StrEnum):
    """How bad a finding is: as it should be, could be better, will hurt, or is broken."""

    OK = "ok"
    HINT = "hint"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: How bad it is.
        subject: What it is about: connection, PostgreSQL, pgvector, tables, filter, or a collection.
        message: What was found.
        fix: Command, call or SQL that mends it; None where there is nothing to mend.
    """

    level: Level
    subject: str
    message: str
    fix: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return {name: None if value is None else str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the server's statistics say of a table; rows are estimates.

    Attributes:
        name: Quoted, with the schema.
        rows: In the table, as its size and the planner's statistics have it.
        live: Rows by another count, the one that goes with `dead`.
        dead: Rows that were deleted or replaced, and are still there.
        modified: Rows written since the planner's statistics were made.
        analyzed: Whether such were made.
        scans: How often all rows were read.
        scanned: Rows that were read so.
    """

    name: str
    rows: int
    live: int = 0
    dead: int = 0
    modified: int = 0
    analyzed: bool = True
    scans: int = 0
    scanned: int = 0


def examine(
    database: Database,
    open_collection: Callable[[str], Collection],
    *,
    where: Where | None = None,
    collection: str | None = None,
) -> list[Finding]:
    """Look at everything there is to look at; stops where going on makes no sense.

    Args:
        database: Where to look.
        open_collection: Opens one by its name.
        where: A filter to look for an index for.
        collection: The only one to look at; None looks at all of them, and takes `where` for the default one.

    Raises:
        InvalidFilter: `where` cannot be understood.
        CollectionNotFound: No such collection.
        DatabaseError: Or the kind that fits, once the connection stood.
    """
    try:
        with database.begin() as connection:
            findings = [Finding(Level.OK, "connection", f"connected to {database.target}")]
            version, cache = connection.execute(text(_SERVER)).one()
            findings += [
                check_postgres(version, datetime.datetime.now(datetime.UTC).date()),
                check_extension(find_extension(connection)),
                check_revision(bootstrap.current_revision(connection, database.schema)),
            ]
            if any(finding.level is Level.PROBLEM for finding in findings):
                return findings
            for config in _wanted(connection, collection):
                findings += _check_collection(connection, config, database.schema, cache)
    except ConnectionFailed as error:
        fix = "start the server, or correct --url or $VECTORDB_URL"
        return [Finding(Level.PROBLEM, "connection", str(error), fix)]
    if where is not None:
        findings += check_filter(open_collection(collection or DEFAULT_COLLECTION).hints(where))
    return findings


def check_postgres(version: int, today: datetime.date) -> Finding:
    """Judge PostgreSQL's version, given as the server's `server_version_num`."""
    major, subject = version // 10_000, "PostgreSQL"
    shown = f"version {major}.{version % 10_000}"
    if major < OLDEST_POSTGRES:
        fix = "upgrade the server, for example with pg_upgrade"
        return Finding(Level.PROBLEM, subject, f"{shown}; vectordb needs {OLDEST_POSTGRES} or later", fix)
    end = _END_OF_LIFE.get(major)
    if end is not None and today > end:
        message = f"{shown} has had no fixes since {end:%Y-%m-%d}, not even for security"
        return Finding(Level.WARNING, subject, message, "upgrade the server, for example with pg_upgrade")
    return Finding(Level.OK, subject, shown)


def check_extension(extension: Extension | None) -> Finding:
    """Judge pgvector's version; None is that it is missing."""
    subject, update = "pgvector", "install pgvector 0.8.4 or later on the server, then: ALTER EXTENSION vector UPDATE;"
    if extension is None:
        return Finding(Level.PROBLEM, subject, "it is not installed in this database", "vectordb migrate")
    version = tuple(int(part) for part in re.findall(r"\d+", extension.version)[:3])
    shown = f"version {extension.version}"
    if version < OLDEST:
        message = f"{shown} is unsafe: building an index can overflow a buffer (CVE-2026-3172)"
        return Finding(Level.PROBLEM, subject, message, update)
    if version < RECOMMENDED:
        return Finding(Level.WARNING, subject, f"{shown} can damage an HNSW index during vacuum", update)
    return Finding(Level.OK, subject, shown)


def check_revision(revision: str | None) -> Finding:
    """Judge the revision of the tables; None is that there are none."""
    subject, head = "tables", bootstrap.HEAD
    if revision == head:
        return Finding(Level.OK, subject, f"revision {revision}, that of this library")
    if revision is None:
        return Finding(Level.PROBLEM, subject, "this database has none of vectordb's", "vectordb migrate")
    message = f"revision {revision}, this library is of {head}"
    fix = "vectordb migrate" if revision < head else "pip install --upgrade vectordb-postgres"
    return Finding(Level.PROBLEM, subject, message, fix)


def check_vector_index(
    config: CollectionConfig, found: list[IndexInfo], rows: int, schema_name: str
) -> Iterator[Finding]:
    """Hold the indexes over the embeddings against the one that is registered."""
    subject, declared = _subject(config), config.index
    valid = [index for index in found if index.valid]
    for index in found:
        if not index.valid:
            message = f"the index {index.name} is not valid: building it failed, or is still going on"
            fix = _build(config, declared) if declared else f"DROP INDEX {quote(schema_name, index.name)};"
            yield Finding(Level.PROBLEM, subject, message, fix)
    if declared is None:
        if valid:
            message = f"the registry does not know of the index {valid[0].name}, so searches do without"
            yield Finding(Level.WARNING, subject, message, f"vectordb index create -c {config.name}")
        elif rows > _LARGE:
            message = f"there is no index over the embeddings: a search compares all of about {rows} chunks"
            yield Finding(Level.HINT, subject, message, f"vectordb index create -c {config.name}")
        return
    wanted = config.space.operator_class(declared.method)
    fitting = [index for index in valid if (index.method, index.operator_class) == (declared.method, wanted)]
    if not fitting and len(valid) == len(found):
        message = f"the index that is registered, {declared.method} with {wanted}, is not there"
        yield Finding(Level.PROBLEM, subject, message, _build(config, declared))
    for index in fitting[:1]:
        options = {**type(declared)().options(), **index.options}
        if options != declared.options():
            message = f"the index {index.name} has {_shown(options)}, registered is {_shown(declared.options())}"
            yield Finding(Level.WARNING, subject, message, _build(config, declared))
    for index in [index for index in valid if index not in fitting[:1]] if fitting else []:
        message = f"no search uses the index {index.name}, and every write pays for it"
        yield Finding(Level.HINT, subject, message, f"DROP INDEX {quote(schema_name, index.name)};")


def check_text_index(config: CollectionConfig, found: TextIndexInfo | None) -> Iterator[Finding]:
    """Hold what is there of a text index against what is registered."""
    subject, declared = _subject(config), config.text_index
    if declared is None:
        if found is not None:
            message = "the registry does not know of the text index that is there, at least in parts; writes pay for it"
            yield Finding(Level.WARNING, subject, message, f"vectordb index drop-text -c {config.name}")
        return
    fix = f"vectordb index create-text -c {config.name} --k1 {declared.k1} --b {declared.b}"
    for fault in ["it is not there"] if found is None else found.faults:
        message = f"the text index is broken, text searches fail or rank wrongly: {fault}"
        yield Finding(Level.PROBLEM, subject, message, fix)


def check_memory(config: CollectionConfig, found: list[IndexInfo], cache: int) -> Iterator[Finding]:
    """Hold the size of the vector index against the memory that the server counts on, in bytes."""
    for index in found:
        if index.bytes > cache:
            message = (
                f"the index {index.name} has {_mebibytes(index.bytes)}, more than the {_mebibytes(cache)} of memory "
                "that the server counts on; searches wait for the disk"
            )
            fix = "raise shared_buffers and effective_cache_size if there is memory, or store as halfvec"
            yield Finding(Level.WARNING, _subject(config), message, fix)


def check_index(
    config: CollectionConfig, index: Index, known: Mapping[str, bool], schema_name: str
) -> Iterator[Finding]:
    """Look for an index over metadata or a declared field among those that are there, name to validity."""
    name, subject = str(index.name), _subject(config)
    if name not in known:
        create = str(CreateIndex(index).compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call] # no types
        yield Finding(Level.WARNING, subject, f"the index {name} is missing: filters read every row", f"{create};")
    elif not known[name]:
        fix = f"REINDEX INDEX {quote(schema_name, name)};"
        yield Finding(Level.WARNING, subject, f"the index {name} is not valid: filters read every row", fix)


def check_table(config: CollectionConfig, table: TableFacts) -> Iterator[Finding]:
    """Judge what the statistics say of a table."""
    subject = _subject(config)
    if table.rows > _SMALL and not table.analyzed:
        message = f"the planner knows nothing of the {table.rows} rows of {table.name}, and may choose slow ways"
        yield Finding(Level.WARNING, subject, message, f"ANALYZE {table.name};")
    elif table.rows > _SMALL and table.modified > _TOO_MUCH * table.rows:
        message = f"{table.modified} rows of {table.name} were written since the planner looked at its {table.rows}"
        yield Finding(Level.HINT, subject, message, f"ANALYZE {table.name};")
    if table.live + table.dead > _SMALL and table.dead > _TOO_MUCH * (table.live + table.dead):
        message = f"{table.dead} rows of {table.name} are dead, and slow down index and scans; {table.live} are alive"
        yield Finding(Level.WARNING, subject, message, f"VACUUM (ANALYZE) {table.name};")


def check_scans(config: CollectionConfig, chunks: TableFacts) -> Iterator[Finding]:
    """Look for searches that read the whole table in spite of the index over the embeddings."""
    whole = chunks.scanned / max(chunks.scans, 1) > chunks.rows / 2
    if config.index is not None and chunks.rows > _LARGE and chunks.scans >= _MANY_SCANS and whole:
        message = (
            f"{chunks.scans} times all of {chunks.name} was read, for exact searches or for filters without an index"
        )
        fix = (
            f"vectordb doctor -c {config.name} --where FILTER tells for a filter; "
            f"vectordb field add {config.name} NAME=TYPE gives a key of the metadata an index"
        )
        yield Finding(Level.HINT, _subject(config), message, fix)


def check_filter(hints: list[str]) -> list[Finding]:
    """Turn the hints of a collection on a filter into findings."""
    findings = []
    for hint in hints:
        message, _, fix = hint.partition("; ")
        findings.append(Finding(Level.HINT, "filter", message, fix or None))
    return findings or [Finding(Level.OK, "filter", "an index serves it, or none would help here")]


def _wanted(connection: Connection, name: str | None) -> list[CollectionConfig]:
    return registry.list_collections(connection) if name is None else [registry.get_collection(connection, name)]


def _check_collection(
    connection: Connection, config: CollectionConfig, schema_name: str, cache: int
) -> Iterator[Finding]:
    names = table_names(config.name)
    facts = _table_facts(connection, names, schema_name)
    if missing := [name for name in names if name not in facts]:
        fix = f"restore it from a backup, or: vectordb collection drop {config.name} --yes"
        yield Finding(Level.PROBLEM, _subject(config), f"its table {quote(schema_name, missing[0])} is missing", fix)
        return
    chunks = facts[names[1]]
    indexes = schema.list_indexes(connection, config, schema_name)
    findings = [
        *check_vector_index(config, indexes, chunks.rows, schema_name),
        *check_text_index(config, inspect_text_index(connection, config, schema_name)),
        *check_memory(config, indexes, cache),
        *_check_indexes(connection, config, schema_name),
        *(finding for name in names for finding in check_table(config, facts[name])),
        *check_scans(config, chunks),
    ]
    yield from findings or [Finding(Level.OK, _subject(config), f"about {chunks.rows} chunks, {_indexes(config)}")]
    if config.embedder is None:
        message = "no embedder is registered: it takes vectors, or the embedder that first writes texts to it"
        yield Finding(Level.OK, _subject(config), message)


def _check_indexes(connection: Connection, config: CollectionConfig, schema_name: str) -> Iterator[Finding]:
    names = table_names(config.name)
    rows = connection.execute(text(_INDEXES), {"schema": schema_name, "names": list(names)})
    known: dict[str, bool] = {name: valid for name, valid in rows}  # noqa: C416 - rows are no pairs to mypy
    vector = {vector_index_name(names[1], method) for method in ("hnsw", "ivfflat")}
    for table in schema.models_of(config, schema_name).metadata.sorted_tables:
        for index in sorted_indexes(table):
            if index.name not in vector:
                yield from check_index(config, index, known, schema_name)


def _table_facts(connection: Connection, names: tuple[str, str], schema_name: str) -> dict[str, TableFacts]:
    rows = connection.execute(text(_TABLES), {"schema": schema_name, "names": list(names)}).mappings()
    return {row["name"]: TableFacts(**{**row, "name": quote(schema_name, row["name"])}) for row in rows}


def _subject(config: CollectionConfig) -> str:
    return f"collection {config.name}"


def _indexes(config: CollectionConfig) -> str:
    vector = "no index" if config.index is None else f"index {config.index.method}, {_shown(config.index.options())}"
    return f"{vector}, {'no text index' if config.text_index is None else 'text index bm25'}"


def _build(config: CollectionConfig, index: VectorIndex) -> str:
    options = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in index.options().items())
    return f"vectordb index create -c {config.name} --index {index.method} {options}"


def _shown(options: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
