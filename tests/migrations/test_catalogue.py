"""What autogenerate takes for the library's own."""

from __future__ import annotations

from sqlalchemy import create_engine, event, make_url, text

from vectordb.migration.catalogue import read_catalogue


def test_the_library_is_known_by_both_of_its_names(url: str) -> None:
    """SQLAlchemy lists what the search_path finds without a schema."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    statements: list[str] = []
    try:
        with engine.connect() as connection:
            event.listen(connection, "before_cursor_execute", lambda *call: statements.append(call[2]))
            hidden = read_catalogue(connection, "vectordb")
            assert len(statements) == 5
            connection.execute(text("SET LOCAL search_path = public, vectordb"))
            visible = read_catalogue(connection, "vectordb")
    finally:
        engine.dispose()
    for table in ("documents", "chunks", "collections", "alembic_version"):
        assert hidden.is_ours("vectordb", table)
        assert not hidden.is_ours(None, table)
        assert visible.is_ours(None, table)
    assert not visible.is_ours(None, "products")
