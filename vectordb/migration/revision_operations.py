"""What autogenerate writes into a revision beside operations of ours: an explanation, a cast, where vectors lie."""

from __future__ import annotations

from typing import Any

from alembic.operations import MigrateOperation, ops


class Explanation(MigrateOperation):
    """Comments in the generated file; `alone` where no operation stands beside them."""

    def __init__(self, lines: list[str], subject: str = "", *, alone: bool = False) -> None:
        self.lines = lines
        self.subject = subject
        self.alone = alone

    def reverse(self) -> MigrateOperation:
        """Return nothing to say."""
        return Explanation([])

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("explain_vector_column", self.subject)


class StoreInline(MigrateOperation):
    """Keep the vectors of a column in the row, as `create_all` does: exact scans and loads are a third faster."""

    def __init__(self, table: str, column: str) -> None:
        # `op.execute` takes a word behind a colon for a parameter.
        self.statement = f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE PLAIN".replace(":", r"\:")

    def reverse(self) -> MigrateOperation:
        """Return nothing: the column goes."""
        return Explanation([])

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Describe it for `alembic check`."""
        return ("store_inline", self.statement)


class RecastColumn(ops.AlterColumnOp):
    """Change a column's type by a cast of what it holds."""

    def reverse(self) -> ops.AlterColumnOp:
        """Return the cast back."""
        reverse = super().reverse()
        reverse.kw["postgresql_using"] = self.kw["reverse_using"]
        reverse.kw["reverse_using"] = self.kw["postgresql_using"]
        return reverse
