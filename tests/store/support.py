"""Helpers of the tests of the store."""

from __future__ import annotations

from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from vectordb import Collection, Results, VectorDB

PARAGRAPHS = ["Cats purr when content.", "Dogs bark at strangers.", "Birds sing at dawn.", "Fish swim in silence."]


def text_of(*paragraphs: str) -> str:
    """Join paragraphs, each of which becomes a chunk of its own in the collection `docs`."""
    return "\n\n".join(paragraphs)


def rows(db: VectorDB, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run SQL beside the library and return its rows."""
    with db.engine.begin() as connection:
        return [tuple(row) for row in connection.execute(sa.text(statement), parameters)]


def mode_of(results: Results) -> str:
    """Return what a search went by."""
    assert results.plan is not None
    return results.plan.mode


def chunk_rows(db: VectorDB, docs: Collection, id: str) -> dict[int, tuple[Any, ...]]:
    """Return content, physical place and writing transaction of a document's chunks, by ordinal."""
    table = docs.Chunk.__table__
    found = rows(
        db,
        f"SELECT ordinal, content, ctid::text, xmin::text FROM {table.schema}.{table.name}"
        " WHERE document_id = :id ORDER BY ordinal",
        id=id,
    )
    return {ordinal: tuple(rest) for ordinal, *rest in found}


def with_setting(url: str, setting: str) -> str:
    """Return the URL of the same database with `name=value` set in every session."""
    changed = sa.make_url(url).update_query_dict({"options": f"-c {setting}"})
    return changed.render_as_string(hide_password=False)


def unit_vectors(random: np.random.Generator, count: int, dimensions: int) -> NDArray[np.float32]:
    """Return random vectors of length 1."""
    matrix = random.standard_normal((count, dimensions)).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return matrix
