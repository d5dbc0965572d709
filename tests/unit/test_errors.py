"""The tree of errors: what its docstring draws is what there is, and what a program can do with it."""

from __future__ import annotations

import copy
import pickle
import re

import pytest

from vectordb import errors
from vectordb.errors import DatabaseError, VectorDBError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VectorDBError)]


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)([A-Z]\w+)", line)
        if found:
            drawn.append((len(found[1]) // 4, found[2]))
    parents: dict[int, str] = {}
    pairs = set()
    for depth, name in drawn:
        parents[depth] = name
        pairs.add((name, parents.get(depth - 1)))
    assert pairs == {(kind.__name__, None if kind is VectorDBError else kind.__bases__[0].__name__) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_survives_pickle_and_copy(kind: type[VectorDBError]) -> None:
    facts = {"sqlstate": "40P01"} if issubclass(kind, DatabaseError) else {}
    error = kind("what happened", position=3, **facts)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert str(again) == "what happened"
        assert getattr(again, "position") == 3  # noqa: B009 - a fact that only this error has
        assert again.facts == error.facts


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InvalidInput, ValueError),
        (errors.DimensionMismatch, ValueError),
        (errors.DuplicateDocument, ValueError),
        (errors.CollectionNotFound, LookupError),
        (errors.DocumentNotFound, LookupError),
        (errors.MissingDependency, ImportError),
    ],
)
def test_is_a_builtin_error_too(kind: type[VectorDBError], builtin: type[Exception]) -> None:
    assert issubclass(kind, builtin)
    assert str(kind("what happened")) == "what happened"


def test_what_may_be_tried_again() -> None:
    assert {kind.__name__ for kind in KINDS if kind.retryable} == {"ConnectionFailed", "TransactionConflict"}


def test_a_database_error_always_has_a_sqlstate() -> None:
    assert DatabaseError("no answer").sqlstate is None
    assert errors.StorageFull("full", sqlstate="53100").sqlstate == "53100"
