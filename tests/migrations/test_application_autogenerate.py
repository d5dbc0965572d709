"""What autogenerate sees of an application's vectors and text indexes, and the files it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import BIT, HALFVEC, VECTOR
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import DeclarativeBase, mapped_column

from tests.migrations.application import Application
from tests.migrations.support import execute, objects, rows, upgrade
from vectordb import BM25, HNSW, IVFFlat, errors
from vectordb.columns import embedding_column, text_search_column
from vectordb.vector_types import VectorColumn


def products(schema: str | None = None, **columns: Any) -> sa.MetaData:
    """Return the metadata of an application with one model, of these searchable columns."""

    class Base(DeclarativeBase):
        metadata = sa.MetaData(schema=schema)

    body = {
        "__tablename__": "products",
        "id": mapped_column(sa.Integer, primary_key=True),
        "title": mapped_column(sa.Text, nullable=False),
        "body": mapped_column(sa.Text),
        **columns,
    }
    type("Product", (Base,), body)
    return Base.metadata


def embedding(dimensions: int = 3, **options: Any) -> Any:
    return embedding_column(dimensions, source="body", **options)


def search(**options: Any) -> Any:
    return text_search_column("title", "body", **options)


@pytest.fixture
def app(tmp_path: Path, database_url: str) -> Application:
    return Application(tmp_path, database_url)


def indexes(url: str) -> set[str]:
    return {
        definition for (definition,) in rows(url, "SELECT indexdef FROM pg_indexes WHERE schemaname <> 'pg_catalog'")
    }


def test_the_first_revision_is_complete(app: Application, database_url: str) -> None:
    before = objects(database_url)
    metadata = products(embedding=embedding(), search=search())
    file = app.autogenerate(metadata)
    assert "import vectordb.migration\n" in file
    assert "op.create_vector_extension()" in file
    assert "sa.Column('embedding', vectordb.migration.VectorColumn('vector', 3), nullable=True)" in file
    assert (
        "op.create_vector_index('products', 'embedding', vectordb.HNSW(m=16, ef_construction=64), metric='cosine',"
        " storage='vector', name='ix_products_embedding')"
    ) in file
    assert "op.create_text_index('products', 'search', vectordb.BM25(k1=1.2, b=0.75), config='english'" in file
    app.upgrade()
    assert app.differences(metadata) is None
    assert app.differences(metadata, include_schemas=True) is None
    there = objects(database_url)
    app.downgrade()
    left = {each.partition(": ")[2] for each in objects(database_url) - before}
    assert not {each for each in left if "products" in each or "extension" in each}
    app.upgrade()
    assert {each.partition(": ")[2] for each in objects(database_url)} >= {
        each.partition(": ")[2] for each in there
    } - {each.partition(": ")[2] for each in there if "pg_toast" in each}


def test_it_makes_the_same_tables_as_create_all(app: Application, database_url: str) -> None:
    metadata = products(embedding=embedding(), search=search())
    app.autogenerate(metadata)
    app.upgrade()
    state = (
        "SELECT attrelid::regclass::text, attname, atttypid::regtype::text, atttypmod, attstorage::text, attnotnull,"
        " attgenerated::text FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
        " WHERE relnamespace = 'public'::regnamespace AND relname <> 'alembic_version' AND attnum > 0"
        " ORDER BY 1, attnum"
    )
    migrated, built = rows(database_url, state), indexes(database_url)
    app.downgrade()
    with app.connection() as connection:
        metadata.create_all(connection)
    assert rows(database_url, state) == migrated
    assert indexes(database_url) == built
    app.stamp()
    assert app.differences(metadata) is None


CHANGES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[], dict[str, Any]], str]] = {
    "operator class": (
        lambda: {"embedding": embedding()},
        lambda: {"embedding": embedding(metric="l2")},
        "vector_l2_ops",
    ),
    "m": (lambda: {"embedding": embedding()}, lambda: {"embedding": embedding(index=HNSW(m=8))}, "m='8'"),
    "ef_construction": (
        lambda: {"embedding": embedding()},
        lambda: {"embedding": embedding(index=HNSW(ef_construction=99))},
        "ef_construction='99'",
    ),
    "lists": (
        lambda: {"embedding": embedding(index=IVFFlat(3))},
        lambda: {"embedding": embedding(index=IVFFlat(5))},
        "lists='5'",
    ),
    "method": (
        lambda: {"embedding": embedding()},
        lambda: {"embedding": embedding(index=IVFFlat(5))},
        "USING ivfflat",
    ),
    "no index": (lambda: {"embedding": embedding(index=None)}, lambda: {"embedding": embedding()}, "USING hnsw"),
    "name": (lambda: {"embedding": embedding()}, lambda: {"embedding": embedding(index_name="other")}, "INDEX other"),
    "storage": (
        lambda: {"embedding": embedding()},
        lambda: {"embedding": embedding(storage="halfvec")},
        "halfvec_cosine_ops",
    ),
    "text index": (lambda: {"search": search(index=None)}, lambda: {"search": search()}, "lexeme_tiers(search)"),
    "text index name": (lambda: {"search": search()}, lambda: {"search": search(index_name="words")}, "INDEX words"),
    "text columns": (
        lambda: {"search": search()},
        lambda: {"search": text_search_column("title")},
        "lexeme_tiers(search)",
    ),
    "another text column": (lambda: {"search": search()}, lambda: {"lexemes": search()}, "lexeme_tiers(lexemes)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(change: str, app: Application, database_url: str) -> None:
    before, after, index = CHANGES[change]
    old, new = products(**before()), products(**after())
    app.autogenerate(old)
    app.upgrade()
    execute(database_url, "INSERT INTO products (id, title, body) VALUES (1, 'a title', 'a body')")
    definitions = indexes(database_url)
    assert not any(index in each for each in definitions - indexes_of_text(definitions, index))
    app.autogenerate(new)
    app.upgrade()
    assert any(index in each for each in indexes(database_url))
    assert app.differences(new) is None
    app.undo()
    assert app.differences(old) is None
    assert indexes(database_url) == definitions


def indexes_of_text(definitions: set[str], wanted: str) -> set[str]:
    """A text index over other columns looks the same."""
    return {each for each in definitions if "lexeme_tiers" in each and wanted.startswith("lexeme_tiers(search")}


@pytest.mark.parametrize("changed", [{"index": BM25(k1=0.9)}, {"index": BM25(b=0.5)}, {"config": "simple"}])
def test_a_changed_ranking_is_seen(changed: dict[str, Any], app: Application, database_url: str) -> None:
    old, new = products(search=search()), products(search=search(**changed))
    app.autogenerate(old)
    app.upgrade()
    execute(database_url, "INSERT INTO products (id, title, body) VALUES (1, 'the titles', 'bodies')")
    plan = "SELECT prosrc, pg_get_function_arguments(oid) FROM pg_proc WHERE proname = 'products_text_plan'"
    ((before),) = rows(database_url, plan)
    file = app.autogenerate(new)
    assert ("op.drop_column" in file) == ("config" in changed)
    app.upgrade()
    assert app.differences(new) is None
    assert rows(database_url, plan) != [before]
    assert rows(database_url, "SELECT texts FROM products_lexemes WHERE lexeme = ''") == [(1,)]
    app.undo()
    assert rows(database_url, plan) == [before]
    assert app.differences(old) is None


@pytest.mark.parametrize(
    ("dimensions", "storage", "name"),
    [(4, "vector", "embedding_4"), (3, "bit", "embedding_bit"), (4, "halfvec", "embedding_4")],
)
def test_other_dimensions_are_no_silent_alter(
    dimensions: int, storage: str, name: str, app: Application, database_url: str
) -> None:
    app.autogenerate(products(embedding=embedding()))
    app.upgrade()
    execute(database_url, "INSERT INTO products (id, title, embedding) VALUES (1, 'a', '[1,2,3]')")
    metric = "hamming" if storage == "bit" else "cosine"
    changed = products(embedding=embedding(dimensions, storage=storage, metric=metric))
    file = app.autogenerate(changed)
    assert f"# products.embedding is vector(3) in the database, and {storage}({dimensions}) in the model." in file
    assert "alter_column" not in file
    app.upgrade()
    assert rows(database_url, f"SELECT embedding::text, {name} FROM products") == [("[1,2,3]", None)]
    both = products(embedding=embedding(), **{name: embedding(dimensions, storage=storage, metric=metric)})
    assert app.differences(both) is None
    # Without the second column in the model, the next file says so again, and drops nothing.
    again = app.autogenerate(changed)
    assert f"# The column {name} is there for it" in again
    assert "op." not in again.partition("def upgrade")[2].partition("def downgrade")[0].replace("op.f", "")
    app.upgrade()
    switched = products(**{name: embedding(dimensions, storage=storage, metric=metric)})
    app.autogenerate(switched)
    app.upgrade()
    assert app.differences(switched) is None
    for _ in range(3):
        app.undo()
    assert app.differences(products(embedding=embedding())) is None


def test_storage_that_can_be_cast_is_cast(app: Application, database_url: str) -> None:
    app.autogenerate(products(embedding=embedding()))
    app.upgrade()
    execute(database_url, "INSERT INTO products (id, title, embedding) VALUES (1, 'a', '[1,2,3]')")
    file = app.autogenerate(products(embedding=embedding(storage="halfvec")))
    assert """postgresql_using='"embedding"::halfvec(3)'""" in file
    app.upgrade()
    assert rows(database_url, "SELECT pg_typeof(embedding)::text, embedding::text FROM products") == [
        ("halfvec", "[1,2,3]")
    ]
    app.undo()
    assert rows(database_url, "SELECT pg_typeof(embedding)::text, embedding::text FROM products") == [
        ("vector", "[1,2,3]")
    ]


def plain(*indexed: Any, where: Any = None, dimensions: int = 3) -> sa.MetaData:
    """Return a table of plain SQLAlchemy with an index that `embedding_column` cannot declare."""
    metadata = sa.MetaData()
    table = sa.Table(
        "items",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("embedding", VectorColumn("vector", dimensions)),
        sa.Column("price", sa.Integer),
    )
    expression, operator_class = indexed or (table.c.embedding, "vector_cosine_ops")
    options = {"postgresql_where": where(table)} if where else {}
    key = "embedding" if isinstance(expression, sa.Column) else "indexed"
    sa.Index(
        "items_idx",
        expression if key == "embedding" else sa.literal_column(expression).label("indexed"),
        postgresql_using="hnsw",
        postgresql_with={"m": 16},
        postgresql_ops={key: operator_class},
        **options,
        _table=table,
    )
    return metadata


def test_expressions_and_conditions_are_compared_as_postgresql_has_them(app: Application, database_url: str) -> None:
    versions = [
        plain(),
        plain("(embedding::halfvec(3))", "halfvec_l2_ops"),
        plain("(embedding::halfvec(2))", "halfvec_l2_ops"),
        plain("(CAST(binary_quantize(embedding) AS bit(3)))", "bit_hamming_ops"),
        plain("((embedding)::halfvec(3))", "halfvec_l2_ops", where=lambda table: table.c.price > 3),
        plain("(embedding::halfvec(3))", "halfvec_l2_ops", where=lambda table: sa.and_(table.c.price > 4)),
    ]
    for metadata in versions:
        file = app.autogenerate(metadata)
        assert "op.create_vector_index('items', 'embedding'" in file
        app.upgrade()
        assert app.differences(metadata) is None
    ((last,),) = rows(database_url, "SELECT indexdef FROM pg_indexes WHERE indexname = 'items_idx'")
    assert last.endswith(
        "(((embedding)::halfvec(3)) halfvec_l2_ops) WITH (m='16', ef_construction='64') WHERE (price > 4)"
    )
    for metadata in reversed(versions[:-1]):
        app.undo()
        assert app.differences(metadata) is None


def test_an_invalid_index_is_built_anew(app: Application, database_url: str) -> None:
    metadata = products(embedding=embedding())
    app.autogenerate(metadata)
    app.upgrade()
    execute(database_url, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_products_embedding'::regclass")
    assert "vector_index" in str(app.differences(metadata))
    app.autogenerate(metadata)
    app.upgrade()
    assert app.differences(metadata) is None


@pytest.mark.parametrize("lost", ["INDEX products_search_idx", "TRIGGER text_written ON products"])
def test_an_incomplete_text_index_is_built_anew(lost: str, app: Application, database_url: str) -> None:
    metadata = products(search=search())
    app.autogenerate(metadata)
    app.upgrade()
    execute(database_url, f"DROP {lost}")
    assert app.differences(metadata) is not None
    app.autogenerate(metadata)
    app.upgrade()
    assert app.differences(metadata) is None
    app.downgrade("r0")
    app.upgrade()
    execute(database_url, f"DROP {lost}")
    app.autogenerate(sa.MetaData())
    app.upgrade()
    assert not {each for each in objects(database_url) if "products" in each}


def test_a_role_that_may_not_look_into_our_schema(role: str, app: Application, database_url: str) -> None:
    upgrade(database_url, dimensions="3")
    execute(database_url, f"GRANT CREATE ON SCHEMA public TO {role}")
    metadata = products(embedding=embedding())
    app.autogenerate(metadata)
    app.upgrade()
    app.sqlalchemy_url += "&" if "?" in app.sqlalchemy_url else "?"
    app.sqlalchemy_url += f"options=-c%20role%3D{role}"
    app.config.set_main_option("sqlalchemy.url", app.sqlalchemy_url.replace("%", "%%"))
    execute(database_url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    assert app.differences(metadata) is None


def test_collections_are_left_alone(app: Application, database_url: str) -> None:
    upgrade(database_url, dimensions="3")
    seen = []

    def include_object(item: Any, name: str, kind: str, reflected: bool, compare_to: Any) -> bool:
        seen.append(name)
        return True

    metadata = products(embedding=embedding(), search=search())
    file = app.autogenerate(metadata, include_schemas=True, include_object=include_object)
    assert "chunks" not in file
    assert "drop_" not in file.partition("def downgrade")[0]
    app.upgrade()
    assert "products" in seen
    assert app.differences(metadata, include_schemas=True, include_object=include_object) is None


def test_another_schema(app: Application, database_url: str) -> None:
    execute(database_url, "CREATE SCHEMA shop")
    metadata = products("shop", embedding=embedding(), search=search())
    file = app.autogenerate(metadata, include_schemas=True)
    assert "schema='shop'" in file
    app.upgrade()
    assert app.differences(metadata, include_schemas=True) is None
    app.autogenerate(products("shop"), include_schemas=True)
    app.upgrade()
    assert app.differences(products("shop"), include_schemas=True) is None
    app.downgrade()
    assert rows(database_url, "SELECT count(*) FROM pg_class WHERE relnamespace = 'shop'::regnamespace") == [(0,)]


def test_a_dropped_table_comes_back_whole(app: Application, database_url: str) -> None:
    metadata = products(embedding=embedding(), search=search())
    app.autogenerate(metadata)
    app.upgrade()
    app.autogenerate(sa.MetaData())
    app.upgrade()
    assert rows(database_url, "SELECT count(*) FROM pg_class WHERE starts_with(relname, 'products')") == [(0,)]
    app.undo()
    assert app.differences(metadata) is None


def test_what_was_created_by_hand_stays(app: Application, database_url: str) -> None:
    metadata = sa.MetaData()
    lexemes = sa.Computed("to_tsvector('english', body)", persisted=True)
    sa.Table("notes", metadata, sa.Column("body", sa.Text), sa.Column("tsv", TSVECTOR, lexemes))
    app.autogenerate(metadata)
    app.write("op.create_text_index('notes', 'tsv', BM25())", "op.drop_text_index('notes', 'tsv')")
    app.upgrade()
    assert app.differences(metadata) is None


def test_the_extension_is_not_created_twice(app: Application, database_url: str) -> None:
    execute(database_url, "CREATE EXTENSION vector")
    file = app.autogenerate(products(embedding=embedding()))
    assert "extension" not in file


def test_types_of_pgvector_python_are_written_with_an_import(app: Application, database_url: str) -> None:
    metadata = sa.MetaData()
    sa.Table(
        "items", metadata, sa.Column("embedding", HALFVEC(3)), sa.Column("any", VECTOR()), sa.Column("bits", BIT(8))
    )
    file = app.autogenerate(metadata)
    assert "sa.Column('embedding', vectordb.migration.VectorColumn('halfvec', 3)" in file
    assert "sa.Column('any', vectordb.migration.VectorColumn('vector')" in file
    assert "sa.Column('bits', vectordb.migration.VectorColumn('bit', 8)" in file
    app.upgrade()
    assert app.differences(metadata) is None


def test_a_name_that_sqlalchemy_shortens_is_compared_as_it_is_shortened(app: Application, database_url: str) -> None:
    metadata = sa.MetaData(
        naming_convention={"ix": "ix_a_convention_of_names_too_long_to_keep_%(table_name)s_%(column_0_name)s"}
    )
    items = sa.Table("items_of_a_catalogue", metadata, sa.Column("embedding", VECTOR(3)))
    sa.Index(None, items.c.embedding, postgresql_using="hnsw", postgresql_ops={"embedding": "vector_l2_ops"})
    assert "op.create_vector_index('items_of_a_catalogue', 'embedding'" in app.autogenerate(metadata)
    app.upgrade()
    assert app.differences(metadata) is None
    app.downgrade()
    execute(database_url, "CREATE EXTENSION vector")
    with app.connection() as connection:
        metadata.create_all(connection)
    app.stamp()
    assert app.differences(metadata) is None


def test_a_table_with_a_colon_in_its_name(app: Application) -> None:
    class Base(DeclarativeBase):
        pass

    body = {"__tablename__": "a :b%(c)s", "id": mapped_column(sa.Integer, primary_key=True), "e": embedding_column(3)}
    type("Odd", (Base,), body)
    app.autogenerate(Base.metadata)
    app.upgrade()
    assert app.differences(Base.metadata) is None


def test_batches(app: Application, database_url: str) -> None:
    """As Flask-Migrate users have them: what is in a batch runs when it ends."""
    app.autogenerate(products(), render_as_batch=True)
    app.upgrade()
    for metadata in (
        products(embedding=embedding(), search=search()),
        products(embedding=embedding(storage="halfvec"), search=search(config="simple")),
        products(embedding=embedding(storage="halfvec"), search=search(), embedding_4=embedding(4)),
    ):
        app.autogenerate(metadata, render_as_batch=True)
        app.upgrade()
        assert app.differences(metadata, render_as_batch=True) is None
    app.autogenerate(products(embedding=embedding(4, storage="halfvec"), search=search()), render_as_batch=True)
    app.upgrade()
    app.downgrade()
    app.upgrade()


def test_the_application_says_what_is_compared(app: Application) -> None:
    app.autogenerate(products(embedding=embedding()))
    app.upgrade()
    changed = products(embedding=embedding(index=HNSW(m=8)))

    def include_object(item: Any, name: str, kind: str, reflected: bool, compare_to: Any) -> bool:
        return kind != "index"

    def render_item(kind: str, item: Any, context: Any) -> Any:
        return "sa.MINE()" if isinstance(item, VectorColumn) else False

    assert app.differences(changed, include_object=include_object) is None
    assert app.differences(changed, include_name=lambda name, kind, _: name != "products") is not None
    file = app.autogenerate(products(embedding=embedding(), other=embedding()), render_item=render_item)
    assert "sa.Column('other', sa.MINE()" in file


def test_a_read_only_database_is_told(app: Application, database_url: str) -> None:
    metadata = products(embedding=embedding())
    app.autogenerate(metadata)
    app.upgrade()
    app.sqlalchemy_url += "&" if "?" in app.sqlalchemy_url else "?"
    app.sqlalchemy_url += "options=-c%20default_transaction_read_only%3Don"
    app.config.set_main_option("sqlalchemy.url", app.sqlalchemy_url.replace("%", "%%"))
    with pytest.raises(errors.ConfigurationError, match="read-only; connect to the primary"):
        app.differences(metadata)


def test_a_search_path_that_begins_with_our_schema(app: Application, database_url: str) -> None:
    """As a role named vectordb has it: `"$user"` comes first."""
    metadata = products(embedding=embedding(), search=search())
    app.autogenerate(metadata)
    app.upgrade()
    app.sqlalchemy_url += "&" if "?" in app.sqlalchemy_url else "?"
    app.sqlalchemy_url += "options=-c%20search_path%3Dvectordb,public"
    app.config.set_main_option("sqlalchemy.url", app.sqlalchemy_url.replace("%", "%%"))
    assert app.differences(metadata) is None
    assert app.differences(metadata, include_schemas=True) is None
