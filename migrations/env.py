"""Alembic's entry point; what it does is in `vectordb.migration.environment`."""

from vectordb.migration import environment

environment.run()
