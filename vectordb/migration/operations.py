"""Everything that `import vectordb.migration` adds to `alembic.op`."""

from vectordb.migration.collection_operations import AddFields, CreateCollection, DropCollection, DropFields
from vectordb.migration.context import migration_options
from vectordb.migration.extension_operations import CreateVectorExtension, DropVectorExtension
from vectordb.migration.index_operations import CreateVectorIndex, DropVectorIndex
from vectordb.migration.text_operations import CreateTextIndex, DropTextIndex

__all__ = [
    "AddFields",
    "CreateCollection",
    "CreateTextIndex",
    "CreateVectorExtension",
    "CreateVectorIndex",
    "DropCollection",
    "DropFields",
    "DropTextIndex",
    "DropVectorExtension",
    "DropVectorIndex",
    "migration_options",
]
