"""The operations on an application's own tables, run and written out."""

from __future__ import annotations

import logging
import os
import subprocess
from pathlib import Path

import pytest

from tests.migrations.application import Application
from tests.migrations.support import execute, objects, rows, upgrade
from tests.test_readme import embedded_programs
from vectordb import errors

TABLE = "op.create_table('items', sa.Column('id', sa.Integer, primary_key=True), sa.Column('body', sa.Text))"
COLUMNS = """op.execute(
    "ALTER TABLE items ADD embedding vector(3), ADD small halfvec(3), ADD bare vector, ADD wide vector(2500), "
    "ADD search tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(body, ''))) STORED"
)"""
UNDO = "op.drop_table('items')\nop.drop_vector_extension()"


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Application:
    application = Application(tmp_path, database_url)
    application.write(f"op.create_vector_extension()\n{TABLE}\n{COLUMNS}", UNDO)
    return application


def definition(url: str, name: str) -> str:
    ((found,),) = rows(url, "SELECT substring(indexdef FROM 'USING (.*)') FROM pg_indexes WHERE indexname = %s", name)
    return str(found)


def test_operations_go_up_and_down_and_up(app: Application, database_url: str) -> None:
    before = objects(database_url)
    app.upgrade()
    app.write(
        "op.create_vector_index('items', 'embedding', HNSW(m=8, ef_construction=32), metric='l2')\n"
        "op.create_vector_index('items', 'small', IVFFlat(lists=2), storage='halfvec', name='small_idx')\n"
        "op.create_vector_index('items', 'wide', expression='wide::halfvec(2500)', storage='halfvec', where='id > 3')\n"
        "op.create_text_index('items', 'search', BM25(k1=0.9), config='english', schema='public')",
        "op.drop_text_index('items', 'search')\n"
        "op.drop_vector_index('items', 'small', name='small_idx')\n"
        "op.drop_vector_index('items', 'wide')\n"
        "op.drop_vector_index('items', 'embedding')",
    )
    app.upgrade()
    assert definition(database_url, "ix_items_embedding") == (
        "hnsw (embedding vector_l2_ops) WITH (m='8', ef_construction='32')"
    )
    assert definition(database_url, "small_idx") == "ivfflat (small halfvec_cosine_ops) WITH (lists='2')"
    assert definition(database_url, "ix_items_wide") == (
        "hnsw (((wide)::halfvec(2500)) halfvec_cosine_ops) WITH (m='16', ef_construction='64') WHERE (id > 3)"
    )
    execute(database_url, "INSERT INTO items (id, body) VALUES (1, 'cats'), (2, NULL)")
    assert rows(database_url, "SELECT texts FROM items_text_plan('cat', 1), items_lexemes WHERE lexeme = ''") == [(0,)]
    app.downgrade()
    left = {each.partition(": ")[2] for each in objects(database_url) - before}
    assert not {each for each in left if "items" in each or "extension" in each}
    app.upgrade()
    app.downgrade()


def test_the_extension_stays_where_it_is_used(app: Application, database_url: str) -> None:
    app.upgrade()
    execute(database_url, "CREATE TABLE other (embedding vector(2))")
    app.downgrade()
    assert rows(database_url, "SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == [(1,)]


CONCURRENTLY = "op.create_vector_index('items', 'embedding', HNSW(m=8), name='near', concurrently=True)"
DROPPED = "op.drop_vector_index('items', 'embedding', name='near', concurrently=True)"


def test_concurrently(app: Application, database_url: str) -> None:
    app.write(CONCURRENTLY, DROPPED)
    app.upgrade()
    assert "m='8'" in definition(database_url, "near")
    app.downgrade("-1")
    assert rows(database_url, "SELECT FROM pg_indexes WHERE indexname = 'near'") == []


@pytest.mark.parametrize("concurrently", [True, False])
def test_an_invalid_leftover_is_replaced(concurrently: bool, app: Application, database_url: str) -> None:
    app.upgrade()
    execute(
        database_url,
        "CREATE INDEX near ON items USING hnsw (embedding vector_l2_ops)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'near'::regclass",
    )
    app.write(CONCURRENTLY.replace("concurrently=True", f"concurrently={concurrently}"), DROPPED)
    app.upgrade()
    assert definition(database_url, "near") == "hnsw (embedding vector_cosine_ops) WITH (m='8', ef_construction='64')"
    assert rows(database_url, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'near'::regclass") == [(True,)]


def test_a_valid_leftover_is_kept_or_refused(
    app: Application, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.upgrade()
    execute(database_url, "CREATE INDEX near ON items USING hnsw (embedding vector_cosine_ops) WITH (m = 8)")
    before = rows(database_url, "SELECT 'near'::regclass::oid")
    app.write(CONCURRENTLY, DROPPED)
    with caplog.at_level(logging.INFO, logger="vectordb"):
        app.upgrade()
    assert "the index near is there already" in caplog.text
    assert rows(database_url, "SELECT 'near'::regclass::oid") == before
    app.write(CONCURRENTLY.replace("m=8", "m=9"))
    with pytest.raises(errors.ConfigurationError, match=r"op\.drop_vector_index\('items', 'embedding', name='near'\)"):
        app.upgrade()


def test_concurrently_needs_a_transaction_that_alembic_began(app: Application) -> None:
    environment = app.folder / "env.py"
    environment.write_text(environment.read_text().replace("engine.connect()", "engine.begin()"))
    app.write(CONCURRENTLY)
    with pytest.raises(errors.ConfigurationError, match=r"with context\.begin_transaction"):
        app.upgrade()


@pytest.mark.parametrize(
    ("operation", "error", "message"),
    [
        ("create_vector_index('items', 'wide')", errors.ConfigurationError, "up to 2000 dimensions, not 2500; use"),
        ("create_vector_index('items', 'bare')", errors.ConfigurationError, "has no dimensions"),
        ("create_vector_index('items', 'small')", errors.ConfigurationError, "pass storage='halfvec'"),
        ("create_vector_index('items', 'body')", errors.ConfigurationError, "is of type text"),
        ("create_vector_index('items', 'embeding')", errors.ConfigurationError, "did you mean 'embedding'"),
        ("create_vector_index('item', 'embedding')", errors.ConfigurationError, "no table"),
        ("create_vector_index('items', 'embedding', metric='near')", errors.ConfigurationError, "metric is one of"),
        ("create_vector_index('items', 'embedding', metric='hamming')", errors.ConfigurationError, "not by hamming"),
        ("create_vector_index('items', 'embedding', IVFFlat(), metric='l1')", errors.ConfigurationError, "use hnsw"),
        ("create_vector_index('items', 'embedding', BM25())", errors.ConfigurationError, "an index is HNSW"),
        ("create_vector_index('items', 'embedding', name='n' * 64)", errors.InvalidName, "64 bytes"),
        ("create_vector_index('items', 'embedding', name='items_pkey')", errors.ConfigurationError, "something else"),
        (
            "create_vector_index('items', 'wide', expression='wide::halfvec(9)', storage='bit', metric='hamming')",
            errors.ConfigurationError,
            "PostgreSQL refuses the index",
        ),
        ("create_vector_index('items', 'wide', expression='')", errors.ConfigurationError, "expression is SQL"),
        ("drop_vector_index('items', 'embedding')", errors.ConfigurationError, "no vector indexes; it has none"),
        ("drop_vector_index('items', 'embedding', name='x')", errors.ConfigurationError, "no vector index x"),
        ("create_text_index('items', 'body')", errors.ConfigurationError, "is of type text"),
        ("create_text_index('items', 'sarch')", errors.ConfigurationError, "is missing"),
        ("create_text_index('items', 'search', config='klingon')", errors.ConfigurationError, "it has"),
        ("create_text_index('items', 'search', HNSW())", errors.ConfigurationError, r"a text index is BM25"),
        ("drop_text_index('items', 'search')", errors.ConfigurationError, "has no text index"),
        (
            "create_collection(CollectionConfig('docs', VectorSpace.of(3, 'l2', 'vector')))",
            errors.SchemaError,
            "run `vectordb migrate`",
        ),
        ("drop_vector_index('docs')", errors.SchemaError, "run `vectordb migrate`"),
        ("create_text_index('i' * 60, 'search')", errors.InvalidName, "cut off"),
        ("create_vector_index('items', HNSW(), HNSW())", errors.ConfigurationError, "names a column"),
        ("create_collection('docs')", errors.ConfigurationError, "CollectionConfig"),
    ],
)
def test_wrong_input(operation: str, error: type[Exception], message: str, app: Application, database_url: str) -> None:
    app.upgrade()
    before = objects(database_url)
    app.write(f"op.{operation}")
    with pytest.raises(error, match=message):
        app.upgrade()
    assert objects(database_url) == before


def test_a_second_text_index_is_refused(app: Application) -> None:
    app.write("op.create_text_index('items', 'search')\nop.create_text_index('items', 'search', name='x')")
    with pytest.raises(errors.ConfigurationError, match="has a text index already"):
        app.upgrade()


@pytest.mark.parametrize("wrong", ["'items', 'body'", "'items', 'search', name='x'"])
def test_a_text_index_is_dropped_by_its_own_name(wrong: str, app: Application) -> None:
    """Otherwise its statistics would go, and its index over the lexemes would stay."""
    app.write(f"op.create_text_index('items', 'search')\nop.drop_text_index({wrong})")
    with pytest.raises(
        errors.ConfigurationError, match=r"op\.drop_text_index\('items', 'search', name='items_search_idx'"
    ):
        app.upgrade()


def run_as_psql(url: str, script: str) -> None:
    """Run a script as people do."""
    path = os.pathsep.join([os.environ["PATH"], *embedded_programs()])
    command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", url]
    done = subprocess.run(
        command, input=script, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_sql_that_is_written_out_does_the_same(app: Application, database_url: str) -> None:
    app.write(
        "op.create_vector_index('items', 'embedding', HNSW(m=8), metric='l2')\n"
        "op.create_vector_index('items', 'small', storage='halfvec', name='small_idx', concurrently=True)\n"
        "op.create_text_index('items', 'search', BM25(k1=0.9))",
    )
    script = app.sql()
    assert "CREATE INDEX CONCURRENTLY" in script
    app.upgrade()
    online = described(database_url)
    execute(database_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "DROP SCHEMA vectordb CASCADE")
    run_as_psql(database_url, script)
    assert described(database_url) == online
    app.write(
        "op.drop_text_index('items', 'search')\n"
        "op.drop_vector_index('items', 'small', name='small_idx', concurrently=True)\n"
        "op.drop_vector_index('items', 'embedding', name='ix_items_embedding')\n"
        "op.drop_table('items')\nop.drop_vector_extension()"
    )
    run_as_psql(database_url, app.sql("r1:head"))
    assert not {each for each in described(database_url) if "items" in each or "extension" in each}


def described(url: str) -> set[str]:
    """Describe what there is, but for what carries a number in its name."""
    unsteady = ("pg_toast", "RI_ConstraintTrigger", ": schema public")
    return {each.partition(": ")[2] for each in objects(url) if not any(part in each for part in unsteady)}


def test_a_collection_that_is_written_out(app: Application, database_url: str) -> None:
    upgrade(database_url, dimensions="3")
    before = described(database_url)
    app.write(
        "space = VectorSpace(3, Metric.L2, Storage.HALFVEC)\n"
        "op.create_collection(CollectionConfig('notes', space, text_config='simple', fields={'lang': 'str'}))"
    )
    run_as_psql(database_url, app.sql("r0:head").replace("UPDATE alembic_version", "--"))
    written = described(database_url) - before
    row = rows(database_url, "SELECT to_jsonb(c) - 'created_at' FROM vectordb.collections c WHERE name = 'notes'")
    app.write("op.drop_collection('notes')")
    run_as_psql(database_url, app.sql("r1:head").replace("UPDATE alembic_version", "--"))
    assert described(database_url) == before
    app.forget()
    app.upgrade("r1")
    assert described(database_url) - before >= written
    assert rows(database_url, "SELECT to_jsonb(c) - 'created_at' FROM vectordb.collections c")[-1:] == row


@pytest.mark.parametrize(
    ("operation", "form"),
    [
        ("create_vector_index('docs', HNSW())", r'op\.create_vector_index\("docs_chunks", "embedding"'),
        ("drop_vector_index('docs')", r'op\.drop_vector_index\("docs_chunks", "embedding"'),
        ("create_text_index('docs')", r'op\.create_text_index\("docs_chunks", "content_tsv"'),
        ("drop_text_index('docs')", r'op\.drop_text_index\("docs_chunks", "content_tsv"'),
        ("add_fields('docs', {'a': int})", "without --sql"),
        ("drop_fields('docs', ['a'])", "without --sql"),
        ("drop_vector_index('items', 'embedding')", "name it"),
    ],
)
def test_what_reads_the_database_cannot_be_written_out(operation: str, form: str, app: Application) -> None:
    app.write(f"op.{operation}")
    with pytest.raises(errors.ConfigurationError, match=form):
        app.sql()
