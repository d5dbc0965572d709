"""BM25 as it is defined, in numpy, over the tokens that PostgreSQL gives: the reference of the text index's tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as Set
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from vectordb import BM25, Collection, Hit, VectorDB

Key = tuple[str, int]
Scored = tuple[Key, float]


class Oracle:
    """Lucene's BM25, without its constant factor of k1 + 1, over chunks as they are now.

    Every step is the one that PostgreSQL takes, in the same order, so that scores are equal to the last bit.

    Args:
        texts: Document id, ordinal, lexemes and how often each occurs; those without a lexeme do not count.
        index: Parameters.
    """

    def __init__(self, texts: Iterable[tuple[str, int, list[str], list[int]]], index: BM25) -> None:
        counted = sorted((row for row in texts if row[2]), key=lambda row: (row[0].encode(), row[1]))
        self.index = index
        self.keys: list[Key] = [(id, ordinal) for id, ordinal, _, _ in counted]
        self.lengths = np.array([sum(counts) for *_, counts in counted], dtype=np.float64)
        self.average = float(self.lengths.sum() / len(counted)) if counted else 0.0
        places: dict[str, list[int]] = defaultdict(list)
        frequencies: dict[str, list[int]] = defaultdict(list)
        for place, (_, _, lexemes, counts) in enumerate(counted):
            for lexeme, count in zip(lexemes, counts, strict=True):
                places[lexeme].append(place)
                frequencies[lexeme].append(count)
        self.postings = {
            lexeme: (np.array(places[lexeme]), np.array(frequencies[lexeme], dtype=np.float64)) for lexeme in places
        }

    @classmethod
    def of(cls, connection: sa.Connection, docs: Collection, index: BM25 | None = None) -> Oracle:
        """Read all chunks of a collection in the connection's snapshot; the parameters are its own unless given."""
        chunks = docs.Chunk.__table__.fullname
        rows = connection.exec_driver_sql(
            "SELECT document_id, ordinal, array_agg(lexeme), array_agg(cardinality(positions))"
            f" FROM {chunks}, unnest(content_tsv) GROUP BY document_id, ordinal"
        )
        chosen = index or docs.text_index
        assert chosen is not None
        return cls([tuple(row) for row in rows], chosen)

    @classmethod
    def now(cls, db: VectorDB, docs: Collection) -> Oracle:
        """Read all chunks that are committed."""
        with db.engine.connect() as connection:
            return cls.of(connection, docs)

    def weight(self, lexeme: str) -> float:
        """Return the inverse document frequency."""
        texts = len(self.postings[lexeme][0])
        return float(np.log(1 + (len(self.keys) - texts + 0.5) / (texts + 0.5)))

    def scores(self, words: Mapping[str, int]) -> NDArray[np.float64]:
        """Return the score of every chunk, in the order of `keys`."""
        k1, b = self.index.k1, self.index.b
        total = np.zeros(len(self.keys))
        for lexeme in sorted(words, key=str.encode):
            if lexeme in self.postings:
                places, counts = self.postings[lexeme]
                norm = k1 * (1 - b + b * self.lengths[places] / self.average)
                total[places] += words[lexeme] * self.weight(lexeme) * counts / (counts + norm)
        return total

    def bound(self, words: Mapping[str, int]) -> float:
        """Return the most that any text could score."""
        return sum(count * self.weight(lexeme) for lexeme, count in words.items() if lexeme in self.postings)

    def best(self, words: Mapping[str, int], limit: int | None = None, among: Set[str] | None = None) -> list[Scored]:
        """Return chunks with any of the words by descending score, ties by document id and ordinal.

        Args:
            words: Lexemes of the query, and how often each stands in it.
            limit: Most chunks.
            among: Ids of the documents that count; None for all.
        """
        scores = self.scores(words)
        order = np.argsort(-scores, kind="stable")  # keys are in order already
        found = [
            (self.keys[place], float(scores[place]))
            for place in order[: np.count_nonzero(scores)]
            if among is None or self.keys[place][0] in among
        ]
        return found[:limit]


def lexemes(connection: sa.Connection, config: str, texts: list[str]) -> list[dict[str, int]]:
    """Return what PostgreSQL makes of the words of each text, and how often each occurs."""
    rows = connection.exec_driver_sql(
        "SELECT array(SELECT lexeme FROM unnest(t.v)), array(SELECT cardinality(positions) FROM unnest(t.v))"
        " FROM (SELECT to_tsvector(%s::regconfig, text) AS v"
        " FROM unnest(%s::text[]) WITH ORDINALITY AS g(text, place) ORDER BY place) AS t",
        (config, texts),
    )
    return [dict(zip(*row, strict=True)) for row in rows]


def keys(hits: Iterable[Hit]) -> list[Key]:
    """Return which chunks were found, in order."""
    return [(hit.document_id, hit.ordinal) for hit in hits]


def assert_same(hits: Iterable[Hit], expected: list[Scored], what: Any = "") -> None:
    """Check that hits are these chunks in this order, scored and ranked by text."""
    found = list(hits)
    assert keys(found) == [key for key, _ in expected], what
    np.testing.assert_allclose(
        np.array([hit.text_score for hit in found], dtype=np.float64),
        np.array([score for _, score in expected]),
        rtol=1e-12,
        err_msg=str(what),
    )
