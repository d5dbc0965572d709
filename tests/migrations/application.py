"""A small application with models, an env.py of its own, and revisions that autogenerate writes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import NullPool, create_engine

ENVIRONMENT = """
import importlib.util
from alembic import context
from sqlalchemy import NullPool, create_engine

import vectordb.migration

url = context.config.get_main_option("sqlalchemy.url")
options = dict(context.config.attributes.get("options", {}))
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"}, **options)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=context.config.attributes.get("metadata"), **options
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""
TEMPLATE = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''
WRITTEN = '''"""Written by hand."""
from alembic import op
import sqlalchemy as sa
import vectordb
from vectordb import BM25, HNSW, IVFFlat, Metric, Storage
from vectordb.metrics import VectorSpace
from vectordb.registry import CollectionConfig

revision = {revision!r}
down_revision = {down!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''


class Application:
    """Alembic as an application has it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.sqlalchemy_url = url.replace("postgresql:", "postgresql+psycopg:")
        self.folder = folder
        self.versions = folder / "versions"
        self.versions.mkdir()
        (folder / "env.py").write_text(ENVIRONMENT)
        (folder / "script.py.mako").write_text(TEMPLATE)
        self.output = io.StringIO()
        self.config = Config(output_buffer=self.output)
        self.config.set_main_option("script_location", str(folder))
        self.config.set_main_option("path_separator", "os")
        self.config.set_main_option("sqlalchemy.url", self.sqlalchemy_url.replace("%", "%%"))
        self._revisions: list[str] = []

    def write(self, upgrade: str, downgrade: str = "pass") -> None:
        """Write a revision by hand."""
        revision = f"r{len(self._revisions)}"
        down = self._revisions[-1] if self._revisions else None
        bodies = {
            name: "\n".join(f"    {line}" for line in body.splitlines())
            for name, body in (("upgrade", upgrade), ("downgrade", downgrade))
        }
        path = self.versions / f"{revision}_written.py"
        path.write_text(WRITTEN.format(revision=revision, down=down, **bodies))
        self._revisions.append(revision)

    def autogenerate(self, metadata: Any, **options: Any) -> str:
        """Write a revision for what has changed, and return the file."""
        self.config.attributes.update(metadata=metadata, options=options)
        revision = f"r{len(self._revisions)}"
        script = command.revision(self.config, "generated", autogenerate=True, rev_id=revision)
        self._revisions.append(revision)
        assert script is not None
        assert not isinstance(script, list)
        return Path(script.path).read_text()

    def upgrade(self, revision: str = "head") -> None:
        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "base") -> None:
        command.downgrade(self.config, revision)

    def undo(self) -> None:
        """Downgrade by one revision, and delete it."""
        command.downgrade(self.config, "-1")
        self.forget()

    def forget(self) -> None:
        """Delete the last revision."""
        for path in self.versions.glob(f"{self._revisions.pop()}_*.py"):
            path.unlink()

    def stamp(self) -> None:
        command.stamp(self.config, "head")

    def sql(self, revision: str = "head") -> str:
        """Return what `alembic upgrade head --sql` prints."""
        self.output.truncate(self.output.seek(0))
        command.upgrade(self.config, revision, sql=True)
        return self.output.getvalue()

    def differences(self, metadata: Any, **options: Any) -> str | None:
        """Return what `alembic check` says is left to do; None where nothing is."""
        self.config.attributes.update(metadata=metadata, options=options)
        try:
            command.check(self.config)
        except CommandError as error:
            return str(error)
        return None

    @contextmanager
    def connection(self) -> Iterator[Any]:
        engine = create_engine(self.sqlalchemy_url, poolclass=NullPool)
        with engine.begin() as connection:
            yield connection
        engine.dispose()
