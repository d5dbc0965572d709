"""Run the application's revisions; an ordinary env.py, but for one import."""

from __future__ import annotations

from logging.config import fileConfig

from alembic import context

import vectordb
import vectordb.migration  # this one: vectors and text indexes for `op` and for autogenerate
from examples.catalogue.models import Base

config = context.config
if config.config_file_name is not None and config.attributes.get("configure_logger", True):
    fileConfig(config.config_file_name, disable_existing_loggers=False)

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with vectordb.connect(config.get_main_option("sqlalchemy.url")) as db, db.engine.connect() as connection:
        # An index that is built concurrently commits what came before; so every revision is a transaction of its own.
        context.configure(connection=connection, target_metadata=Base.metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
