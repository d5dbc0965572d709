"""`op.create_vector_extension` and `op.drop_vector_extension`."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, Operations

from vectordb.extension import CREATED_HERE, drop_extension_if_ours, ensure_extension
from vectordb.migration.context import is_offline, migration_options, run_or_write

_CREATE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        CREATE EXTENSION vector;
        COMMENT ON EXTENSION vector IS '{CREATED_HERE}';
    END IF;
END
$$"""
_DROP = f"""
DO $$
BEGIN
    IF (SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'vector') = '{CREATED_HERE}' THEN
        DROP EXTENSION vector;
    END IF;
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
    NULL;
END
$$"""  # noqa: S608 - a constant


@Operations.register_operation("create_vector_extension")
class CreateVectorExtension(MigrateOperation):
    """Create pgvector where it is missing."""

    @classmethod
    def create_vector_extension(cls, operations: Operations) -> None:
        """Create pgvector where it is missing, and check its version.

        Raises:
            ExtensionError: This role may not create it, or the server does not have it; says what to run, and as whom.
        """
        operations.invoke(cls())

    def reverse(self) -> MigrateOperation:
        """Return what takes it away."""
        return DropVectorExtension()

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("add_vector_extension",)


@Operations.register_operation("drop_vector_extension")
class DropVectorExtension(MigrateOperation):
    """Drop pgvector if it was created here and nothing uses it."""

    @classmethod
    def drop_vector_extension(cls, operations: Operations) -> None:
        """Drop pgvector if `create_vector_extension` created it; it stays where anything uses it."""
        operations.invoke(cls())

    def reverse(self) -> MigrateOperation:
        """Return what creates it again."""
        return CreateVectorExtension()

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("remove_vector_extension",)


@Operations.implementation_for(CreateVectorExtension)
def _create(operations: Operations, _: CreateVectorExtension) -> None:
    if is_offline(operations):
        run_or_write(operations, [_CREATE])
    else:
        ensure_extension(operations.get_bind(), migration_options(operations).schema)


@Operations.implementation_for(DropVectorExtension)
def _drop(operations: Operations, _: DropVectorExtension) -> None:
    if is_offline(operations):
        run_or_write(operations, [_DROP])
    else:
        drop_extension_if_ours(operations.get_bind())
