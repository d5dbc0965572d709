"""Declared fields, timestamps in metadata, and an index over all metadata.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from vectordb.fields import FieldType, parse_fields
from vectordb.migration.operations import migration_options
from vectordb.registry import DEFAULT_COLLECTION
from vectordb.schema import add_field_columns
from vectordb.tables import quote

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The same strings as `vectordb.timestamps` reads, to the same moments. It is one expression, and not declared STRICT
# (though NULL makes NULL), because only so does PostgreSQL put it in place of the call: a call costs ten times more.
# Every function in it is immutable; a cast, or `make_timestamptz`, would depend on the session's time zone.
YEAR = "([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"
MONTH_AND_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
ZONE = "(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"
TIMESTAMP = f"^({YEAR}-{MONTH_AND_DAY}|{LEAP_YEAR}-02-29)([T ]{TIME}{ZONE}?)?$"

DATE = "substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int"
HOUR, MINUTE = "substr(value, 12, 2)::int", "substr(value, 15, 2)::int"
SECOND = (
    "CASE WHEN substr(value, 17, 1) = ':'"
    """ THEN split_part(translate(substr(value, 18), '-Z', '+') COLLATE "C", '+', 1)::double precision ELSE 0 END"""
)
SIGN = "left(right(value, 6), 1)"
OFFSET_HOURS, OFFSET_MINUTES = "left(right(value, 6), 3)::int", f"({SIGN} || right(value, 2))::int"
MINUTE_OF_DAY = f"60 * ({HOUR} - {OFFSET_HOURS}) + {MINUTE} - {OFFSET_MINUTES}"
ISO_TIMESTAMP = f"""
CREATE FUNCTION {{function}}(value text) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $body$
    SELECT CASE WHEN value COLLATE "C" ~ '{TIMESTAMP}' THEN
        CASE
            WHEN octet_length(value) = 10 THEN make_timestamp({DATE}, 0, 0, 0)
            WHEN {SIGN} NOT IN ('+', '-') THEN make_timestamp({DATE}, {HOUR}, {MINUTE}, {SECOND})
            -- An offset can lead out of the years 1 to 9999.
            WHEN left(value, 10) = '0001-01-01' AND {MINUTE_OF_DAY} < 0 THEN NULL
            WHEN left(value, 10) = '9999-12-31' AND {MINUTE_OF_DAY} >= 1440 THEN NULL
            ELSE make_timestamp({DATE}, {HOUR}, {MINUTE}, {SECOND})
                - make_interval(hours => {OFFSET_HOURS}, mins => {OFFSET_MINUTES})
        END
    END AT TIME ZONE 'UTC'
$body$
"""


def upgrade() -> None:
    options = migration_options(op)
    # Not by `op.execute`, which takes a colon in the pattern for a parameter.
    op.get_bind().exec_driver_sql(ISO_TIMESTAMP.replace("{function}", quote(options.schema, "iso_timestamp")))
    op.add_column(
        "collections",
        sa.Column("fields", postgresql.JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        schema=options.schema,
    )
    registered = _registered(options.schema)
    for tables in registered.values():
        for table in tables:
            op.create_index(
                f"{table}_metadata_idx",
                table,
                ["metadata"],
                schema=options.schema,
                postgresql_using="gin",
                postgresql_ops={"metadata": "jsonb_path_ops"},
            )
    op.execute(sa.update(_collections(options.schema)).values(layout_version=2))
    fields = parse_fields(options.settings.fields)
    if fields and DEFAULT_COLLECTION in registered:
        _declare(registered[DEFAULT_COLLECTION], fields, options.schema)


def downgrade() -> None:
    schema = migration_options(op).schema
    collections = _collections(schema)
    declared = sa.select(collections.c.documents_table, collections.c.chunks_table, collections.c.fields)
    for *tables, fields in op.get_bind().execute(declared).all():
        for table in tables:
            for field in fields:
                op.drop_column(table, field, schema=schema)
            op.drop_index(f"{table}_metadata_idx", table, schema=schema)
    op.drop_column("collections", "fields", schema=schema)
    op.execute(f"DROP FUNCTION {quote(schema, 'iso_timestamp')}(text)")
    op.execute(sa.update(collections).values(layout_version=1))


def _declare(tables: tuple[str, str], fields: dict[str, FieldType], schema: str) -> None:
    add_field_columns(op.get_bind(), tables, fields, schema)
    collections = _collections(schema)
    op.execute(
        sa.update(collections)
        .where(collections.c.name == DEFAULT_COLLECTION)
        .values(fields={name: str(kind) for name, kind in fields.items()})
    )


def _registered(schema: str) -> dict[str, tuple[str, str]]:
    """Return the tables of documents and of chunks by collection."""
    collections = _collections(schema)
    rows = op.get_bind().execute(
        sa.select(collections.c.name, collections.c.documents_table, collections.c.chunks_table)
    )
    return {name: (documents, chunks) for name, documents, chunks in rows}


def _collections(schema: str) -> sa.TableClause:
    return sa.table(
        "collections",
        sa.column("name"),
        sa.column("documents_table"),
        sa.column("chunks_table"),
        sa.column("layout_version"),
        sa.column("fields", postgresql.JSONB),
        schema=schema,
    )
