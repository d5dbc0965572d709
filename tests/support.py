"""Helpers that several tests share."""

from __future__ import annotations

import re
import zlib
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from vectordb import FunctionEmbedder
from vectordb.filters import And, Compare, Filter, Not, Or

# Names and values in which naive SQL would go wrong; few, so that filters and metadata meet often.
HOSTILE_NAMES = ["a", "year", "a.b", "it's", '"quoted"', "100%", "%s", "%(w0)s", "$1", "{}", "é", "", " "]
HOSTILE_NAMES += ["'; DROP TABLE canary; --"]
HOSTILE_TEXTS = [
    "",
    "1",
    "10",
    "9",
    "true",
    "null",
    "a",
    "A",
    "é",
    "e\u0301",
    "\U0001f600",
    "\uffff",
    "\\",
    '"',
    "'",
    "%",
]
HOSTILE_TEXTS += ["%s", "\n", "[1]", "{}"]
HOSTILE_NUMBERS: list[int | float] = [0, 1, -1, 10, 9, 2**31, 2**53, 2**53 + 1, 10**23, 10**40, 10**308, 10**400]
HOSTILE_NUMBERS += [0.0, -0.0, 1.0, 0.1, -1.5, 1e23, 5e-324, 1.7976931348623157e308, 1e-7]

STORABLE_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
FIELD_NAMES = st.sampled_from(HOSTILE_NAMES)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False]),
    st.sampled_from(HOSTILE_NUMBERS),
    st.sampled_from(HOSTILE_TEXTS),
    st.integers(-3, 3),
)


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """Metadata of a document, with lists and objects among the values."""
    nested = st.lists(SCALARS, max_size=2) | st.dictionaries(FIELD_NAMES, SCALARS, max_size=2)
    return st.dictionaries(FIELD_NAMES, SCALARS | nested, max_size=4)


def filters() -> st.SearchStrategy[Filter]:
    """Filters of every kind, of a few levels."""
    ordered = SCALARS.filter(lambda value: value is not None and not isinstance(value, bool))
    comparisons = st.builds(Compare, FIELD_NAMES, st.just("=="), SCALARS) | st.builds(
        Compare, FIELD_NAMES, st.sampled_from(["<", "<=", ">", ">="]), ordered
    )
    return st.recursive(
        comparisons,
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(And, st.lists(inner, max_size=3).map(tuple))
            | st.builds(Or, st.lists(inner, max_size=3).map(tuple))
        ),
        max_leaves=5,
    )


def hashed_words(texts: list[str], dimensions: int = 16) -> NDArray[np.float32]:
    """Return a bag of hashed words for each text, never all zeros, shape (n, dimensions)."""
    matrix = np.full((len(texts), dimensions), 0.01, dtype=np.float32)
    for row, text in zip(matrix, texts, strict=True):
        for word in re.findall(r"\w+", text.lower()):
            row[zlib.crc32(word.encode()) % dimensions] += 1
    return matrix


class HashedEmbedder(FunctionEmbedder):
    """A quick embedder of bags of words; `seen` lists every text that it was given."""

    def __init__(self, dimensions: int = 16) -> None:
        self.seen: list[str] = []
        super().__init__(self._embed, dimensions=dimensions, name="hashed words")

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        self.seen.extend(texts)
        return hashed_words(texts, self.dimensions)
