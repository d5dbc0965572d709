"""A text index of an application's table as a value: declared, and read from the catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from vectordb.indexes import BM25
from vectordb.validation import check_identifier

# Its triggers, functions and tables have names of their own; the longest is `<table>_text_changes`.
_LONGEST_SUFFIX = "_text_changes"
_PARAMETERS = re.compile(r"\bk1 := ([^;\s]+);\s*b := ([^;\s]+);")
_CONFIG = re.compile(r"config regconfig DEFAULT '((?:[^']|'')+)'")

_CATALOGUE = """
    SELECT n.nspname, pg_table_is_visible(t.oid), t.relname, plan.prosrc,
        pg_get_function_arguments(plan.oid), tiers.name, tiers.column_name,
        EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgfoid = p.oid AND g.tgname = 'text_written')
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
    JOIN pg_proc p ON p.proname = t.relname || '_text_changed' AND p.pronamespace = n.oid
    LEFT JOIN pg_proc plan ON plan.proname = t.relname || '_text_plan' AND plan.pronamespace = n.oid
    LEFT JOIN LATERAL (
        SELECT i.relname AS name, min(a.attname::text) AS column_name
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.oid AND d.refobjid = t.oid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND a.attnum > 0
        WHERE x.indrelid = t.oid AND x.indisvalid AND pg_get_expr(x.indexprs, t.oid) LIKE '%lexeme_tiers(%'
        GROUP BY i.relname LIMIT 1
    ) AS tiers ON true
    WHERE t.relkind IN ('r', 'p') AND p.prorettype = 'trigger'::regtype
"""


@dataclass(frozen=True)
class TableTextIndex:
    """A text index of a table.

    Attributes:
        table: Its table.
        column: Of type `tsvector`.
        index: How it ranks.
        config: Text search configuration that queries are read with.
        name: Of the index over the lexemes.
        schema: Of the table; None is the first one of the search_path.
    """

    table: str
    column: str
    index: BM25
    config: str
    name: str
    schema: str | None = None

    def __post_init__(self) -> None:
        check_identifier(self.table, "table")
        check_identifier(f"{self.table}{_LONGEST_SUFFIX}", "text index's table")
        check_identifier(self.column, "column")
        check_identifier(self.name, "index")


@dataclass(frozen=True)
class FoundTextIndex:
    """A text index in the catalogue.

    Attributes:
        schema: Of its table.
        visible: Whether the search_path finds the table.
        table: Its table.
        name: Of the index over the lexemes; None where that is missing.
        index: None where a part is missing.
    """

    schema: str
    visible: bool
    table: str
    name: str | None
    index: TableTextIndex | None

    def parts(self) -> set[str]:
        """Return the tables that it is made of."""
        return {f"{self.table}_lexemes", f"{self.table}_text_changes"}


def read_text_indexes(connection: Connection) -> list[FoundTextIndex]:
    """Read all text indexes of the database.

    Round trips: 1.
    """
    return [_found(tuple(row)) for row in connection.execute(text(_CATALOGUE))]


def _found(row: tuple[Any, ...]) -> FoundTextIndex:
    schema, visible, table, source, arguments, name, column, has_trigger = row
    parameters = _PARAMETERS.search(source or "")
    config = _CONFIG.search(arguments or "")
    index = None
    if parameters is not None and config is not None and column is not None and has_trigger:
        ranking = BM25(float(parameters[1]), float(parameters[2]))
        index = TableTextIndex(table, column, ranking, config[1].strip('"'), name, schema)
    return FoundTextIndex(schema, visible, table, name, index)
