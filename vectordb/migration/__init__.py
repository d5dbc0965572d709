"""Vectors and text indexes for Alembic: `import vectordb.migration` in an application's `env.py` is all.

Importing it adds operations to `alembic.op`, and teaches autogenerate to see columns of vectors, their indexes and text
indexes. The library's own revisions run from here, too; what runs them is `vectordb.bootstrap`, which loads no Alembic.
"""

from vectordb.bootstrap import (
    ADVISORY_LOCK,
    HEAD,
    VERSION_TABLE,
    configuration,
    current_revision,
    downgrade,
    lock,
    require_head,
    upgrade,
)
from vectordb.migration import operations
from vectordb.migration.autogenerate import register
from vectordb.scripts import scripts_folder
from vectordb.vector_types import VectorColumn

__all__ = [
    "ADVISORY_LOCK",
    "HEAD",
    "VERSION_TABLE",
    "VectorColumn",
    "configuration",
    "current_revision",
    "downgrade",
    "lock",
    "operations",
    "require_head",
    "scripts_folder",
    "upgrade",
]

register()
